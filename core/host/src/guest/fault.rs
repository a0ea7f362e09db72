//! The fault that an engine error means for a call, and its text: the guest's own last words and
//! the functions that it was in.

use crate::guest::verify::shortened;
use platform::plain;
use policy::Fault;
use std::borrow::Cow;
use std::fmt::Write;
use thiserror::Error;
use wasmtime::{Trap, WasmBacktrace};

/// Longest text of a fault, bytes.
pub(crate) const LONGEST: usize = 1024;

/// Functions that a text names.
const FRAMES: usize = 10;

/// Longest name of a function in a text, bytes.
const NAME: usize = 120;

/// Between the lines of a text: a fault is shown on one line.
const BETWEEN: &str = " | ";

/// The deadline passed, in milliseconds.
#[derive(Debug, Error)]
#[error("deadline of {0} ms passed")]
pub(crate) struct DeadlinePassed(pub(crate) u32);

/// The guest wanted more memory than it may have.
#[derive(Debug, Error)]
#[error("{desired} bytes wanted, {limit} allowed")]
pub(crate) struct MemoryDenied {
    pub(crate) desired: usize,
    pub(crate) limit: u64,
}

/// A host function rejects its input; ends the question.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct HostRefusal(pub(crate) String);

/// The text that a guest hands over before it traps (`host-fault.explain`).
#[derive(Debug, Default)]
pub(crate) struct LastWords(String);

impl LastWords {
    /// Nothing is said yet.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends text; what exceeds [`LONGEST`] is dropped.
    pub(crate) fn add(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
    }
}

/// The fault of an error that ended a question.
pub(crate) fn fault(error: &wasmtime::Error, said: &LastWords) -> Fault {
    if let Some(DeadlinePassed(limit)) = error.downcast_ref() {
        return Fault::Deadline(*limit, text("", said, error));
    }
    if let Some(denied) = error.downcast_ref::<MemoryDenied>() {
        return Fault::Memory(text(&denied.to_string(), said, error));
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        // A panic and an assertion end in this instruction: it says less than they do.
        let told = !said.0.is_empty() && *trap == Trap::UnreachableCodeReached;
        let trap = if told { String::new() } else { trap.to_string() };
        return Fault::Trap(text(&trap, said, error));
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Fault::Memory("no room for another instance on this node".to_owned());
    }
    match error.downcast_ref::<HostRefusal>() {
        Some(refusal) => Fault::Trap(text(&refusal.to_string(), said, error)),
        // Everything else is an answer that cannot be lifted: bad pointers, text that is not UTF-8,
        // an unknown case, too many bytes.
        None => {
            // A backtrace is the outermost context.
            let places = usize::from(error.is::<WasmBacktrace>());
            let causes: Vec<String> =
                error.chain().skip(places).map(|cause| cause.to_string()).collect();
            Fault::Nonsense(text(&shortened(causes.join(": ")), said, error))
        }
    }
}

/// A text of the plugin on one line of at most [`LONGEST`] bytes, with control characters escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        add(&mut out, line);
    }
    cut(out)
}

/// Cause, last words and functions on one line of at most [`LONGEST`] bytes.
fn text(cause: &str, said: &LastWords, error: &wasmtime::Error) -> String {
    let lines: Vec<&str> =
        said.0.lines().map(str::trim_end).filter(|line| !line.trim_start().is_empty()).collect();
    let mut out = String::new();
    for part in [cause].into_iter().chain(lines.iter().copied()).filter(|part| !part.is_empty()) {
        add(&mut out, part);
    }
    // Several lines are a traceback of the plugin's own language; the functions are then those of
    // its interpreter.
    if lines.len() < 2
        && let Some(trace) = error.downcast_ref::<WasmBacktrace>()
    {
        let in_panic = error.downcast_ref::<Trap>() == Some(&Trap::UnreachableCodeReached);
        add(&mut out, &functions(trace, in_panic));
    }
    cut(out)
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST - 3));
        text.push_str("...");
    }
    text
}

fn add(out: &mut String, part: &str) {
    if !out.is_empty() && !part.is_empty() {
        out.push_str(BETWEEN);
    }
    out.push_str(&plain(part));
}

/// `in NAME, called by NAME, NAME`, innermost first.
fn functions(trace: &WasmBacktrace, in_panic: bool) -> String {
    let names: Vec<Cow<'_, str>> = trace.frames().iter().map(name).collect();
    // The functions of the panic itself tell nothing.
    let own = names.iter().position(|name| !(in_panic && is_machinery(name))).unwrap_or(0);
    let mut text = String::new();
    let mut names = names[own..].iter().peekable();
    let mut shown = 0;
    while let Some(name) = names.next() {
        if shown == FRAMES {
            break;
        }
        let mut times = 1;
        while names.next_if_eq(&name).is_some() {
            times += 1;
        }
        text.push_str(match shown {
            0 => "in ",
            1 => ", called by ",
            _ => ", ",
        });
        text.push_str(&name[..name.floor_char_boundary(NAME)]);
        if times > 1 {
            // The engine's trace ends after some frames.
            let least = if names.peek().is_none() { "at least " } else { "" };
            // Writing into a String cannot fail.
            let _ = write!(text, " ({least}{times} times)");
        }
        shown += 1;
    }
    text
}

fn name(frame: &wasmtime::FrameInfo) -> Cow<'_, str> {
    match frame.func_name() {
        Some(name) => match rustc_demangle::try_demangle(name) {
            // Without the hash.
            Ok(name) => format!("{name:#}").into(),
            Err(_) => name.into(),
        },
        None => format!("function {}", frame.func_index()).into(),
    }
}

/// Functions between a panic or a failed assertion and its trap.
fn is_machinery(name: &str) -> bool {
    ["std::", "core::", "alloc::", "__rust", "rust_", "__assert", "abort"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_end_at_the_limit_and_never_inside_a_character() {
        let mut said = LastWords::default();
        said.add(&"x".repeat(LONGEST - 1));
        said.add("\u{e9}rror");
        assert_eq!(said.0.len(), LONGEST - 1);
        said.add("more");
        assert_eq!(said.0.len(), LONGEST);
        said.clear();
        assert_eq!(said.0, "");
    }

    #[test]
    fn a_text_is_one_harmless_line() {
        let mut said = LastWords::default();
        said.add("IndexError: 7\u{1b}[2J\r\n\n  app.py:3 in select\n");
        let error = wasmtime::Error::from(Trap::UnreachableCodeReached);
        assert_eq!(
            fault(&error, &said),
            Fault::Trap("IndexError: 7\\u001b[2J |   app.py:3 in select".to_owned())
        );
        let error = wasmtime::Error::from(Trap::StackOverflow);
        let Fault::Trap(text) = fault(&error, &LastWords::default()) else { panic!() };
        assert!(text.contains("call stack exhausted"), "{text}");
    }

    #[test]
    fn a_long_text_is_cut() {
        let mut said = LastWords::default();
        // Each becomes six bytes.
        said.add(&"\u{1b}".repeat(LONGEST));
        let error = wasmtime::Error::from(DeadlinePassed(5));
        let Fault::Deadline(5, text) = fault(&error, &said) else { panic!() };
        assert!(text.len() <= LONGEST && text.ends_with("..."), "{text}");
        assert_eq!(one_line("a\r\n\n\u{7}b\n"), "a | \\u0007b");
        assert_eq!(one_line(&"x".repeat(2 * LONGEST)).len(), LONGEST);
    }

    #[test]
    fn the_frames_of_a_panic_are_told_from_those_of_the_plugin() {
        for name in ["core::panicking::panic_fmt", "__rustc::rust_begin_unwind", "__assert_fail"] {
            assert!(is_machinery(name), "{name}");
        }
        for name in ["my_router::select", "<my_router::Router as core::ops::Add>::add"] {
            assert!(!is_machinery(name), "{name}");
        }
    }
}
