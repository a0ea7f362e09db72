//! Plugins: their builds, the figures of these, and what was taken back.

use super::times::date_time;
use api::{BuildFigures, PluginLine, PluginList, SendsLine, TakenBackLine};
use kit::{Table, fault_lines};
use platform::{plain, plain_lines};
use std::fmt::Write;

/// End reasons of failed calls that are named.
const REASONS: usize = 3;

/// Live plugins.
pub(crate) fn plugins(list: &PluginList) -> String {
    let mut table = Table::new(&[
        "PLUGIN",
        "VERSION",
        "DIGEST",
        "SIGNED BY",
        "HOOKS",
        ">SINCE GEN",
        ">ANSWERED",
        ">FAULTS",
        ">P50 µs",
        ">P99 µs",
        "SUMMARY",
    ]);
    for plugin in &list.plugins {
        table.row([
            plugin.name.clone(),
            plugin.version.clone(),
            plugin.digest.clone(),
            signer(plugin),
            plugin.hooks.join(", "),
            plugin.since_generation.to_string(),
            plugin.answered.to_string(),
            plugin.faults.to_string(),
            micros(plugin.p50_nanos),
            micros(plugin.p99_nanos),
            plugin.summary.clone(),
        ]);
    }
    let mut trials = String::new();
    for plugin in &list.plugins {
        if let Some(canary) = &plugin.canary {
            trials.push_str(&format!(
                "canary {}: {}, asked {}, faults {}, rejects {}{}\n{}",
                canary.build,
                canary.selection,
                canary.figures.asked,
                canary.figures.faults,
                canary.figures.rejects,
                losses(&canary.figures),
                calls(&canary.figures).map(|calls| format!("  {calls}\n")).unwrap_or_default(),
            ));
        }
        if let Some(shadow) = &plugin.shadow {
            trials.push_str(&format!(
                "shadow {}: {}, asked {}, different {}, lost {}, faults {}, left out {}\n",
                shadow.build,
                shadow.selection,
                shadow.asked,
                shadow.different,
                shadow.lost,
                shadow.faults,
                shadow.left_out
            ));
        }
        if let Some(faults) = plugin.left_out {
            trials.push_str(&format!(
                "{} {} is left out after {faults} faults in a row\n",
                plugin.name, plugin.version
            ));
        }
        if let Some(last) = &plugin.last_taken_back {
            trials.push_str(&taken_back(last));
            trials.push('\n');
        }
    }
    // Counts of the live build alone would lose faults at each swap.
    let whose = match list.plugins.is_empty() {
        true => "",
        false => "ANSWERED, FAULTS, P50 and P99: all builds of the plugin since the start\n",
    };
    format!("{table}{whose}{trials}generation {}\n", list.generation)
}

/// One plugin.
pub(crate) fn plugin(plugin: &PluginLine) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "{name:<14}{}", plain(value));
        }
    };
    line("plugin", &format!("{} {}", plugin.name, plugin.version));
    line("summary", &plugin.summary);
    line("digest", &plugin.digest);
    line("signed by", &signer(plugin));
    line("file", &plugin.file);
    line("hooks", &plugin.hooks.join(", "));
    line("since", &format!("generation {}", plugin.since_generation));
    line("builds", &plugin.builds.join(", "));
    line("previous", &plugin.previous);
    line("figures", "of all its builds since the start");
    line("answered", &plugin.answered.to_string());
    line("faults", &plugin.faults.to_string());
    line("p50, p99", &format!("{}, {} µs", micros(plugin.p50_nanos), micros(plugin.p99_nanos)));
    if let Some(sends) = &plugin.sends {
        let SendsLine { sent, failed, dropped, lost, waiting, .. } = sends;
        let counts = format!(
            "{sent} sent, {failed} failed, {dropped} dropped, {lost} lost, {waiting} waiting"
        );
        line("requests left", &counts);
        line("last failure", &sends.last_failure);
    }
    let build = &plugin.build;
    line(
        "this build",
        &format!(
            "asked {}, faults {}, rejects {}{}",
            build.asked,
            build.faults,
            build.rejects,
            losses(build)
        ),
    );
    line("its calls", &calls(build).unwrap_or_default());
    line("its p50, p99", &format!("{}, {} µs", micros(build.p50_nanos), micros(build.p99_nanos)));
    if let Some(faults) = plugin.left_out {
        line("left out", &format!("after {faults} faults in a row; it is tried again by itself"));
    }
    if let Some(last) = &plugin.last_taken_back {
        line("taken back", &plugin.taken_back.to_string());
        line("the latest", &taken_back(last));
    }
    if let Some(last) = &plugin.last_fault {
        let when = format!("{} UTC, {}, {}", date_time(last.at_ms), last.hook, last.build);
        line("last fault", &when);
        let _ = writeln!(out, "{:<14}{}", "", fault_lines(&last.fault, 16));
    }
    // Newlines are layout here: those inside texts are escaped by JSON.
    let schema = plugin.config_schema.as_ref().map(|schema| format!("{schema:#}"));
    let _ = writeln!(out, "{:<14}{}", "schema", plain_lines(schema.as_deref().unwrap_or("none")));
    out
}

/// The key and whether it is trusted.
fn signer(plugin: &PluginLine) -> String {
    match (plugin.signer.as_str(), plugin.trusted) {
        ("", _) => "nobody".to_owned(),
        (key, true) => key.to_owned(),
        (key, false) => format!("{key}, not trusted"),
    }
}

fn micros(nanos: u64) -> String {
    format!("{}.{}", nanos / 1000, nanos / 100 % 10)
}

/// The answers by which calls are lost, beside rejections; those that there are none of are omitted.
fn losses(figures: &BuildFigures) -> String {
    let mut text = String::new();
    for (words, count) in [
        ("without a usable vendor", figures.no_candidate),
        ("challenges", figures.challenges),
        ("stops", figures.stops),
    ] {
        if count > 0 {
            let _ = write!(text, ", {words} {count}");
        }
    }
    text
}

/// The calls that a build decided, if any.
fn calls(figures: &BuildFigures) -> Option<String> {
    let BuildFigures { calls, answered, failed, given_up, .. } = figures;
    if *calls == 0 {
        return None;
    }
    let mut text = format!("calls {calls}: answered {answered}, failed {failed}");
    let mut reasons: Vec<(&String, &u64)> = figures.reasons.iter().collect();
    reasons.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let named: Vec<String> = reasons
        .iter()
        .take(REASONS)
        .map(|(name, count)| format!("{} {count}", plain(name)))
        .collect();
    if !named.is_empty() {
        let _ = write!(text, " ({})", named.join(", "));
    }
    let _ = write!(text, ", given up {given_up}");
    if let Some(permille) = figures.margin_permille {
        let sign = if permille < 0 { "-" } else { "" };
        let permille = permille.unsigned_abs();
        let _ = write!(text, ", margin {sign}{}.{} % of the sales", permille / 10, permille % 10);
    }
    Some(text)
}

fn taken_back(last: &TakenBackLine) -> String {
    let what = if last.was_canary { "canary" } else { "build" };
    let at = date_time(last.at_ms);
    format!("{what} {} was taken back at {at} UTC: {}", last.build, plain(&last.why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn routing() -> PluginLine {
        PluginLine {
            name: "routing".into(),
            version: "1.0.0".into(),
            digest: "abcd0123".into(),
            signer: String::new(),
            trusted: false,
            hooks: vec!["routing".into()],
            since_generation: 3,
            builds: Vec::new(),
            summary: "one line\nand a second".into(),
            config_schema: Some(serde_json::json!({ "title": "a\nb\u{9b}", "type": "object" })),
            file: String::new(),
            answered: 349,
            faults: 0,
            last_fault: None,
            p50_nanos: 1_200,
            p99_nanos: 3_400,
            previous: String::new(),
            canary: None,
            shadow: None,
            build: BuildFigures::default(),
            left_out: None,
            taken_back: 0,
            last_taken_back: None,
            sends: None,
        }
    }

    #[test]
    fn a_schema_is_shown_line_by_line_and_moves_no_cursor() {
        let text = plugin(&routing());
        let schema = "schema        {\n  \"title\": \"a\\nb\\u009b\",\n  \"type\": \"object\"\n}\n";
        assert!(text.ends_with(schema), "{text}");
        assert!(text.contains("summary       one line\\nand a second\n"), "{text}");
        let bare = plugin(&PluginLine { config_schema: None, ..routing() });
        assert!(bare.ends_with("schema        none\n"), "{bare}");
    }

    #[test]
    fn a_plugin_shows_what_became_of_the_requests_that_it_left() {
        let last_failure = "hooks.example.com: status 503\x1b[2J".to_owned();
        let sends =
            SendsLine { sent: 7, failed: 2, waiting: 1, last_failure, ..Default::default() };
        let text = plugin(&PluginLine { sends: Some(sends), ..routing() });
        let counts = "requests left 7 sent, 2 failed, 0 dropped, 0 lost, 1 waiting\n";
        assert!(text.contains(counts), "{text}");
        assert!(text.contains("last failure  hooks.example.com: status 503\\u001b[2J\n"), "{text}");
        assert!(!plugin(&routing()).contains("requests left"));
    }

    #[test]
    fn the_last_fault_is_told_with_its_place() {
        let last = api::FaultLine {
            at_ms: 0,
            build: "routing 1.0.0 (abcd0123)".into(),
            hook: "routing".into(),
            fault: "trapped: panicked at src/lib.rs:7:9: none | in select".into(),
        };
        let text = plugin(&PluginLine { last_fault: Some(last), ..routing() });
        let fault = "last fault    1970-01-01 00:00:00 UTC, routing, routing 1.0.0 (abcd0123)\n\
             \x20             trapped: panicked at src/lib.rs:7:9: none\n\
             \x20               in select\n";
        assert!(text.contains(fault), "{text}");
    }

    /// They survive swaps, so the row of a new build would claim the answers of earlier ones.
    #[test]
    fn figures_of_a_plugin_say_whose_they_are() {
        let list = PluginList { generation: 3, plugins: vec![routing()] };
        let words = "all builds of the plugin since the start\ngeneration 3\n";
        assert!(plugins(&list).ends_with(words), "{}", plugins(&list));
        let none = PluginList { generation: 3, plugins: Vec::new() };
        assert!(!plugins(&none).contains("builds"));
        assert!(plugin(&routing()).contains("figures       of all its builds since the start\n"));
    }

    #[test]
    fn a_build_says_what_became_of_its_calls_and_why_one_was_taken_back() {
        let build = BuildFigures {
            asked: 70,
            stops: 3,
            calls: 60,
            answered: 10,
            failed: 49,
            given_up: 1,
            margin_permille: Some(-25),
            reasons: BTreeMap::from([("b".to_owned(), 1), ("a".to_owned(), 48)]),
            ..BuildFigures::default()
        };
        let last = TakenBackLine {
            at_ms: 0,
            build: "routing 2.0.0 (beef0123)".into(),
            was_canary: true,
            why: "1000 of 1000 questions rejected".into(),
        };
        let line = PluginLine {
            build,
            left_out: Some(20),
            taken_back: 4,
            last_taken_back: Some(last),
            ..routing()
        };
        let text = plugin(&line);
        let latest = "canary routing 2.0.0 (beef0123) was taken back at 1970-01-01 00:00:00 UTC: \
                      1000 of 1000 questions rejected\n";
        for words in [
            "this build    asked 70, faults 0, rejects 0, stops 3\n",
            "its calls     calls 60: answered 10, failed 49 (a 48, b 1), given up 1, margin -2.5 % of \
             the sales\n",
            "left out      after 20 faults in a row; it is tried again by itself\n",
            "taken back    4\n",
            latest,
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        let list = plugins(&PluginList { generation: 3, plugins: vec![line] });
        assert!(list.contains(latest) && list.contains("left out after 20 faults"), "{list}");
    }
}
