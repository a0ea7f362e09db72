//! Format 3: the document of format 2, followed by the new fields.

use super::v2;
use ledger::{AttemptRecord, CallDocument, CallRecord};
use serde::{Deserialize, Serialize};

/// A document.
#[derive(Serialize, Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    before: v2::Document<'a>,
    #[serde(borrow)]
    call: Call<'a>,
    /// One per attempt.
    #[serde(borrow)]
    attempts: Vec<Attempt<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Call<'a> {
    transport: &'a str,
    local: &'a str,
    caller_tag: &'a str,
    our_tag: &'a str,
    media_local: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Attempt<'a> {
    transport: &'a str,
    local: &'a str,
    our_tag: &'a str,
    vendor_tag: &'a str,
    sends: u16,
    first_response_ms: Option<u32>,
    media_ms: Option<u64>,
    media_local: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn of(document: &'a CallDocument) -> Document<'a> {
        Document {
            before: v2::Document::of(document),
            call: Call::of(&document.call),
            attempts: document.attempts.iter().map(Attempt::of).collect(),
        }
    }

    /// # Errors
    /// The number of parts differs from the number of attempts.
    pub(super) fn into_ledger(self) -> Result<CallDocument, String> {
        let mut document = self.before.into_ledger();
        if document.attempts.len() != self.attempts.len() {
            return Err(format!(
                "{} attempts have {} parts",
                document.attempts.len(),
                self.attempts.len()
            ));
        }
        self.call.put_into(&mut document.call);
        for (attempt, record) in self.attempts.into_iter().zip(&mut document.attempts) {
            attempt.put_into(record);
        }
        Ok(document)
    }
}

impl<'a> Call<'a> {
    fn of(record: &'a CallRecord) -> Call<'a> {
        Call {
            transport: &record.transport,
            local: &record.local,
            caller_tag: &record.caller_tag,
            our_tag: &record.our_tag,
            media_local: &record.media.local,
        }
    }

    fn put_into(self, record: &mut CallRecord) {
        record.transport = self.transport.into();
        record.local = self.local.into();
        record.caller_tag = self.caller_tag.into();
        record.our_tag = self.our_tag.into();
        record.media.local = self.media_local.into();
    }
}

impl<'a> Attempt<'a> {
    fn of(record: &'a AttemptRecord) -> Attempt<'a> {
        Attempt {
            transport: &record.transport,
            local: &record.local,
            our_tag: &record.our_tag,
            vendor_tag: &record.vendor_tag,
            sends: record.sends,
            first_response_ms: record.first_response_ms,
            media_ms: record.media_ms,
            media_local: &record.media.local,
        }
    }

    fn put_into(self, record: &mut AttemptRecord) {
        record.transport = self.transport.into();
        record.local = self.local.into();
        record.our_tag = self.our_tag.into();
        record.vendor_tag = self.vendor_tag.into();
        record.sends = self.sends;
        record.first_response_ms = self.first_response_ms;
        record.media_ms = self.media_ms;
        record.media.local = self.media_local.into();
    }
}
