//! The Call-ID of a datagram, found without reading the rest.

use crate::header_name::Known;
use crate::scan;
use std::borrow::Cow;

/// The Call-ID that [`crate::Message::parse`] would find, so that sorting datagrams before they are
/// parsed agrees with reading the parsed message. For a datagram that cannot be parsed, the result
/// is an arbitrary Call-ID or `None`.
#[must_use]
pub fn call_id_of(datagram: &[u8]) -> Option<Cow<'_, [u8]>> {
    let bytes = scan::trim_start(datagram, crate::MAX_STREAM_MESSAGE).ok()?;
    let (_, mut at) = scan::line_end(bytes, 0)?;
    loop {
        let (first_end, mut next) = scan::line_end(bytes, at)?;
        if first_end == at {
            return None;
        }
        let mut end = first_end;
        while matches!(bytes.get(next), Some(b' ' | b'\t')) {
            (end, next) = scan::line_end(bytes, next)?;
        }
        if matches!(bytes[at], b'c' | b'C' | b'i' | b'I') {
            let value = if end == first_end {
                value_of(&bytes[at..end]).map(|value| Cow::Borrowed(&bytes[at..end][value]))
            } else {
                let unfolded = unfold(&bytes[at..end]);
                value_of(&unfolded).map(|value| Cow::Owned(unfolded[value].to_vec()))
            };
            if let Some(value) = value {
                return (!value.is_empty()).then(|| clean(value));
            }
        }
        at = next;
    }
}

/// The position of the value if the line is a Call-ID line.
fn value_of(line: &[u8]) -> Option<std::ops::Range<usize>> {
    let line = scan::header_line(line, 0, line.len()).ok()?;
    (line.known == Known::CallId).then(|| line.value.range())
}

/// A folded line with its line breaks replaced by spaces, as the scan leaves it.
fn unfold(line: &[u8]) -> Vec<u8> {
    let mut unfolded = line.to_vec();
    for at in memchr::memchr_iter(b'\n', line) {
        unfolded[at] = b' ';
        if at > 0 && line[at - 1] == b'\r' {
            unfolded[at - 1] = b' ';
        }
    }
    unfolded
}

/// Replaces bytes that are not UTF-8, as the scan does.
fn clean(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if value.is_ascii() {
        return value;
    }
    let mut value = value.into_owned();
    scan::replace_bad_text(&mut value);
    Cow::Owned(value)
}
