use serde::Serialize;
use std::fmt;

/// What applying a configuration changes, or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// One for each object that differs.
    pub changes: Vec<Change>,
    /// What the operator should know besides.
    pub notices: Vec<String>,
}

/// One object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Kind of object, such as `vendor_trunk`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub action: Action,
    /// For a changed object its fields: `channels: 10 -> 20`.
    pub details: Vec<String>,
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was not there.
    Added,
    /// Some of its fields differ.
    Changed,
    /// It is no longer configured; its records, id and balance stay.
    Removed,
}

impl Changes {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
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
