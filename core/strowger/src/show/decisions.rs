//! The decision trail of a call.

use kit::{Table, fault_lines};
use ledger::TrailEntry;
use platform::plain;
use std::fmt::Write;

/// The decisions, in the order of the questions; faults of several lines follow in full.
pub(crate) fn decision_trail(trail: &[TrailEntry]) -> String {
    if trail.is_empty() {
        return "no decisions\n".to_owned();
    }
    let mut table =
        Table::new(&[">MS", ">ATTEMPT", "HOOK", "DECIDED BY", "ANSWER", ">µs", "FAULT"]);
    let mut faults = String::new();
    for entry in trail {
        let (fault, more) = entry.fault.split_once(" | ").unwrap_or((&entry.fault, ""));
        table.row([
            entry.at_ms.to_string(),
            if entry.attempt == 0 { String::new() } else { entry.attempt.to_string() },
            entry.hook.to_string(),
            entry.plugin.to_string(),
            entry.answer.to_string(),
            entry.micros.to_string(),
            fault.to_owned(),
        ]);
        if !more.is_empty() {
            let (hook, plugin) = (plain(&entry.hook), plain(&entry.plugin));
            // Writing into a String cannot fail.
            let _ = writeln!(faults, "\nFault at {} ms, {hook}, {plugin}:", entry.at_ms);
            let _ = writeln!(faults, "  {}", fault_lines(&entry.fault, 4));
        }
    }
    format!("{table}{faults}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fault: &str) -> TrailEntry {
        TrailEntry {
            at_ms: 3,
            attempt: 1,
            hook: "routing".into(),
            plugin: "routing 1.0.0 (abcd0123)".into(),
            answer: "vendor-b, vendor-a".into(),
            fault: fault.into(),
            micros: 4,
        }
    }

    #[test]
    fn a_trail_shows_who_decided() {
        let text = decision_trail(&[entry("")]);
        assert!(text.contains("routing 1.0.0 (abcd0123)  vendor-b, vendor-a"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn a_fault_of_several_lines_is_shown_below_the_table() {
        let text = decision_trail(&[entry("trapped: IndexError: \u{1b}7 | app.py:3 in select")]);
        let below = "\n\nFault at 3 ms, routing, routing 1.0.0 (abcd0123):\n\
             \x20 trapped: IndexError: \\u001b7\n    app.py:3 in select\n";
        assert!(text.ends_with(below), "{text}");
    }
}
