//! The node file as it was read, so that later errors can refer to its lines too.

use super::{Problem, place};
use std::fmt;

/// Name and text of a node file.
#[derive(Clone, Default)]
pub struct Source {
    file: String,
    text: String,
}

impl Source {
    pub(super) fn new(file: &str, text: &str) -> Source {
        Source { file: file.to_owned(), text: text.to_owned() }
    }

    /// A problem with a setting that only shows outside the file, with its line or that of the
    /// nearest table around it. `field` is its dotted name, such as `plugins.list[0].grants`;
    /// `detail` describes what is wrong and what would be right.
    #[must_use]
    pub fn problem(&self, field: &str, detail: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: place::line_of_field(&self.text, field),
            field: field.to_owned(),
            detail: detail.into(),
        }
    }
}

impl fmt::Debug for Source {
    /// Omits the text, which may contain a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}
