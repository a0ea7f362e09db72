//! The stored form of a [`CallDocument`]: a format byte and its postcard encoding.

use crate::error::StoreError;
use ledger::{CallDocument, RecordState};

/// Format of the encoding. It grows when a field of the record model is added or means
/// something else, and the older shapes stay readable.
const FORMAT: u8 = 2;
/// As [`FORMAT`], but interim copies have no durations.
const WITHOUT_DURATIONS: u8 = 1;

/// Whether a byte can be the first of a document.
pub(crate) fn is_format(byte: u8) -> bool {
    (WITHOUT_DURATIONS..=FORMAT).contains(&byte)
}

/// Appends the encoding of a document to `bytes`.
pub(crate) fn encode(document: &CallDocument, mut bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    bytes.push(FORMAT);
    postcard::to_extend(document, bytes)
        .map_err(|error| StoreError::unreadable(format!("call {:032x}", document.call.id), error))
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8], what: &str) -> Result<CallDocument, StoreError> {
    let Some((&format, rest)) = bytes.split_first() else {
        return Err(StoreError::unreadable(what, "it is empty"));
    };
    if !is_format(format) {
        return Err(StoreError::unreadable(what, format!("format {format} is not known")));
    }
    let mut document =
        postcard::from_bytes(rest).map_err(|error| StoreError::unreadable(what, error))?;
    if format == WITHOUT_DURATIONS {
        fill_durations(&mut document);
    }
    Ok(document)
}

/// An older interim copy knows its evidence by the clock of the day only.
fn fill_durations(document: &mut CallDocument) {
    let call = &mut document.call;
    if call.state == RecordState::Final {
        return;
    }
    let evidence = call.evidence_ms;
    let since = |answer: Option<u64>| answer.map_or(0, |answer| evidence.saturating_sub(answer));
    call.billable_ms = since(call.answer_ms);
    call.duration_ms = call.billable_ms;
    for attempt in &mut document.attempts {
        if attempt.end_ms.is_none() && !attempt.skipped {
            attempt.billable_ms = since(attempt.answer_ms);
            attempt.duration_ms = attempt.billable_ms;
        }
    }
}
