//! The stored form of a [`CallDocument`]: a format byte and the postcard encoding of wire structs
//! of that format. The structs of the ledger may change; those of a format never do.

mod v2;
mod v3;
mod v4;
mod v5;

use crate::error::StoreError;
use ledger::{CallDocument, RecordState};

/// The format written. A new field, or a new meaning of one, needs a new format; older formats stay
/// readable.
const FORMAT: u8 = 5;
/// As format 2, but interim copies have no durations.
const WITHOUT_DURATIONS: u8 = 1;

/// Whether a document may begin with this byte, in a later version too.
pub(crate) fn is_format(byte: u8) -> bool {
    (WITHOUT_DURATIONS..=99).contains(&byte)
}

/// The format of a document written by a later version.
pub(crate) fn later_format(bytes: &[u8]) -> Option<u8> {
    bytes.first().copied().filter(|format| *format > FORMAT)
}

/// Appends the encoding of a document to `bytes`.
pub(crate) fn encode(document: &CallDocument, mut bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    bytes.push(FORMAT);
    postcard::to_extend(&v5::Document::of(document), bytes)
        .map_err(|error| StoreError::unreadable(format!("call {:032x}", document.call.id), error))
}

/// Decodes a document in this format or an older one.
///
/// # Errors
/// The format is unknown, or the bytes are not exactly one document.
pub(crate) fn decode(bytes: &[u8], what: &str) -> Result<CallDocument, StoreError> {
    let Some((&format, rest)) = bytes.split_first() else {
        return Err(StoreError::unreadable(what, "it is empty"));
    };
    let unreadable = |error| StoreError::unreadable(what, error);
    match format {
        WITHOUT_DURATIONS => {
            let mut document = whole::<v2::Document<'_>>(rest).map_err(unreadable)?.into_ledger();
            fill_durations(&mut document);
            Ok(document)
        }
        2 => Ok(whole::<v2::Document<'_>>(rest).map_err(unreadable)?.into_ledger()),
        3 => {
            let document = whole::<v3::Document<'_>>(rest).map_err(unreadable)?;
            document.into_ledger().map_err(unreadable)
        }
        4 => {
            let document = whole::<v4::Document<'_>>(rest).map_err(unreadable)?;
            document.into_ledger().map_err(unreadable)
        }
        FORMAT => {
            let document = whole::<v5::Document<'_>>(rest).map_err(unreadable)?;
            document.into_ledger().map_err(unreadable)
        }
        _ => Err(StoreError::unreadable(what, format!("format {format} is not known"))),
    }
}

/// Decodes a value from all of the bytes.
fn whole<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes follow its end", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;

/// Interim copies in format 1 have only the wall-clock time of their evidence.
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
