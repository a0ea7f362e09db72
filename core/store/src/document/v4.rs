//! Format 4: the document of format 3, followed by the flags of the call and of each attempt.

use super::v3;
use ledger::{CallDocument, Text};
use serde::{Deserialize, Serialize};

/// A document.
#[derive(Serialize, Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    before: v3::Document<'a>,
    #[serde(borrow)]
    flags: Vec<&'a str>,
    /// One per attempt.
    #[serde(borrow)]
    attempts: Vec<Vec<&'a str>>,
}

impl<'a> Document<'a> {
    pub(super) fn of(document: &'a CallDocument) -> Document<'a> {
        let words = |flags: &'a [Text]| flags.iter().map(Text::as_str).collect();
        Document {
            before: v3::Document::of(document),
            flags: words(&document.call.flags),
            attempts: document.attempts.iter().map(|attempt| words(&attempt.flags)).collect(),
        }
    }

    /// # Errors
    /// The number of parts differs from the number of attempts.
    pub(super) fn into_ledger(self) -> Result<CallDocument, String> {
        let mut document = self.before.into_ledger()?;
        let (attempts, parts) = (document.attempts.len(), self.attempts.len());
        if attempts != parts {
            return Err(format!("{attempts} attempts have {parts} lists of flags"));
        }
        document.call.flags = self.flags.into_iter().map(Text::from).collect();
        for (record, flags) in document.attempts.iter_mut().zip(self.attempts) {
            record.flags = flags.into_iter().map(Text::from).collect();
        }
        Ok(document)
    }
}
