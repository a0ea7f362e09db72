//! The stored form of a [`CallDocument`]: a format byte and its postcard encoding.

use crate::error::StoreError;
use ledger::CallDocument;

/// Format of the encoding. It grows when a field of the record model is added, and the
/// older shapes stay readable.
const FORMAT: u8 = 1;

/// Appends the encoding of a document to `bytes`.
pub(crate) fn encode(document: &CallDocument, mut bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    bytes.push(FORMAT);
    postcard::to_extend(document, bytes)
        .map_err(|error| StoreError::unreadable(format!("call {:032x}", document.call.id), error))
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8], what: &str) -> Result<CallDocument, StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => {
            postcard::from_bytes(rest).map_err(|error| StoreError::unreadable(what, error))
        }
        Some((format, _)) => {
            Err(StoreError::unreadable(what, format!("format {format} is not known")))
        }
        None => Err(StoreError::unreadable(what, "it is empty")),
    }
}
