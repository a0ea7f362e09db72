use platform::plain;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines kept between two collections.
const KEPT: usize = 100;

/// Longest line, bytes; the rest is dropped.
const LONGEST: usize = 1024;

/// The severity of a [`LogLine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is wrong.
    Warn,
    /// A decision could not be made.
    Error,
}

/// A line that a plugin logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How severe it is.
    pub level: LogLevel,
    /// At most 1,024 bytes before control characters were escaped.
    pub text: String,
}

impl LogLine {
    pub(crate) fn new(level: LogLevel, text: &str) -> LogLine {
        let text = &text[..text.floor_char_boundary(LONGEST)];
        LogLine { level, text: plain(text).into_owned() }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        write!(f, "{level}: {}", self.text)
    }
}

/// Lines that were collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLines {
    /// The first 100.
    pub lines: Vec<LogLine>,
    /// Number of further lines.
    pub more: u64,
}

/// Keeps the log lines of a plugin for a command that shows them; they are then not in the log. All
/// clones are one.
#[derive(Clone, Debug, Default)]
pub struct KeptLog(Arc<Mutex<LogLines>>);

impl KeptLog {
    /// The lines since the last collection.
    #[must_use]
    pub fn take(&self) -> LogLines {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those of a load: it makes several instances, which log the same.
    #[must_use]
    pub fn take_load(&self) -> LogLines {
        let mut taken = self.take();
        taken.lines.dedup();
        taken
    }

    pub(crate) fn add(&self, line: LogLine) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.lines.len() < KEPT {
            kept.lines.push(line);
        } else {
            kept.more += 1;
        }
    }
}

impl PartialEq for KeptLog {
    fn eq(&self, other: &KeptLog) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_are_kept_and_the_others_counted() {
        let log = KeptLog::default();
        for number in 0..=KEPT {
            log.clone().add(LogLine::new(LogLevel::Warn, &format!("{number}\n")));
        }
        let taken = log.take();
        assert_eq!((taken.lines.len(), taken.more), (KEPT, 1));
        assert_eq!(taken.lines[0].to_string(), "warn: 0\\n");
        assert_eq!(log.take(), LogLines::default());
        for text in ["a", "a", "b"] {
            log.add(LogLine::new(LogLevel::Info, text));
        }
        assert_eq!(log.take_load().lines.len(), 2);
        let long = LogLine::new(LogLevel::Info, &"\u{e9}".repeat(LONGEST));
        assert_eq!(long.text.len(), LONGEST);
    }
}
