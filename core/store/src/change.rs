use serde::Serialize;
use std::fmt;

/// The changes of applying a configuration, planned or made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// One per object that differs.
    pub changes: Vec<Change>,
    /// Notices for the operator.
    pub notices: Vec<String>,
}

/// One object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Kind of object, such as `vendor_trunk`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub action: Action,
    /// For a changed object, its fields: `channels: 10 -> 20`.
    pub details: Vec<String>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// New.
    Added,
    /// Some of its fields differ.
    Changed,
    /// It is no longer configured; its records, id and balance stay.
    Removed,
}

/// Objects logged one by one.
const LOGGED: usize = 100;
/// Longest log line, in characters.
const LONGEST_LINE: usize = 1_000;

impl Changes {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes for display: each object, followed by its fields.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let text = if self.is_empty() && self.notices.is_empty() {
            String::new()
        } else {
            self.to_string()
        };
        text.lines().map(str::to_owned).collect()
    }

    /// The changes for the log: one line per object with its fields before and after, for the first
    /// hundred objects, then the number of the others.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.changes.iter().take(LOGGED).map(Change::line).collect();
        if self.changes.len() > LOGGED {
            let more = self.changes.iter().skip(LOGGED);
            let count = |action| more.clone().filter(|change| change.action == action).count();
            lines.push(format!(
                "and {} more objects: {} added, {} changed, {} removed",
                self.changes.len() - LOGGED,
                count(Action::Added),
                count(Action::Changed),
                count(Action::Removed),
            ));
        }
        lines.extend(self.notices.iter().take(LOGGED).map(|notice| cut(format!("note: {notice}"))));
        lines
    }
}

impl Action {
    /// Its name in JSON and the history.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Action::Added => "added",
            Action::Changed => "changed",
            Action::Removed => "removed",
        }
    }
}

impl Change {
    /// The change in one line.
    fn line(&self) -> String {
        let Change { kind, name, action, details } = self;
        let verb = action.name();
        let colon = if details.is_empty() { "" } else { ": " };
        cut(format!("{kind} {name} {verb}{colon}{}", details.join("; ")))
    }
}

fn cut(line: String) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            writeln!(f, "no changes")?;
        }
        for change in &self.changes {
            let sign = match change.action {
                Action::Added => '+',
                Action::Changed => '~',
                Action::Removed => '-',
            };
            writeln!(f, "{sign} {} {}", change.kind, change.name)?;
            for detail in &change.details {
                writeln!(f, "    {detail}")?;
            }
        }
        for notice in &self.notices {
            writeln!(f, "note: {notice}")?;
        }
        Ok(())
    }
}
