//! Entries as bytes: found one after the other, and found again behind a damaged part.

use crate::document::is_format;

/// Head of every segment; the last byte is the format.
pub(super) const MAGIC: &[u8; 8] = b"STRWJNL\x01";
/// Length and check sum before each entry.
const HEAD: usize = 8;
/// Longest entry: far beyond any call, far below what a torn length could claim.
const LONGEST: usize = 16 * 1024 * 1024;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A call that is up: evidence, in case the node dies.
    Interim = 1,
    /// A call that has ended.
    Final = 2,
}

/// An entry read back.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

/// A segment or a stretch of it, read back.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    pub(crate) entries: Vec<Entry>,
    /// Parts that are no entries, in their order.
    pub(crate) damage: Vec<Damage>,
    /// Bytes at the end that a crash left half-written: fewer than they say they are.
    pub(crate) torn: u64,
    /// Bytes before the end.
    end: u64,
}

/// A part of a segment that is no entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Bytes of the segment before it.
    pub(crate) from: u64,
    /// Its length, bytes.
    pub(crate) length: u64,
}

impl Segment {
    /// Nothing but a half-written beginning.
    pub(super) fn torn(torn: u64) -> Segment {
        Segment { torn, end: torn, ..Segment::default() }
    }

    /// Of what was written as a whole, an end that is missing is damage too.
    pub(super) fn whole(mut self) -> Segment {
        if self.torn > 0 {
            self.damage.push(Damage { from: self.end - self.torn, length: self.torn });
            self.torn = 0;
        }
        self
    }
}

/// Appends an entry.
pub(super) fn frame(bytes: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let mut check = crc32fast::Hasher::new();
    check.update(&[kind as u8]);
    check.update(payload);
    // Payloads are one call each: kilobytes.
    let length = payload.len() as u32 + 1;
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&check.finalize().to_le_bytes());
    bytes.push(kind as u8);
    bytes.extend_from_slice(payload);
}

/// The entries in some bytes, of which `before` others lie before them in the segment.
pub(super) fn entries(bytes: &[u8], before: u64) -> Segment {
    let mut segment = Segment { end: before + bytes.len() as u64, ..Segment::default() };
    let mut rest = bytes;
    loop {
        while let Some((entry, after)) = next(rest) {
            segment.entries.push(entry);
            rest = after;
        }
        if rest.is_empty() {
            return segment;
        }
        let found = (1..rest.len()).find(|at| next(&rest[*at..]).is_some());
        if found.is_none() && is_cut_short(rest) {
            segment.torn = rest.len() as u64;
            return segment;
        }
        let length = found.unwrap_or(rest.len());
        let from = segment.end - rest.len() as u64;
        segment.damage.push(Damage { from, length: length as u64 });
        rest = &rest[length..];
    }
}

/// The first entry of some bytes and what follows it, if it is whole. What cannot be one is
/// told by its first bytes, before a check sum is made.
fn next(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let length = length(head).filter(|length| *length <= LONGEST)?;
    let (body, rest) = rest.split_at_checked(length)?;
    let (kind, payload) = body.split_first()?;
    let kind = match kind {
        1 => Kind::Interim,
        2 => Kind::Final,
        _ => return None,
    };
    if !payload.first().is_some_and(|format| is_format(*format)) {
        return None;
    }
    let sum = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
    if crc32fast::hash(body) != sum {
        return None;
    }
    Some((Entry { kind, payload: payload.to_vec() }, rest))
}

/// What the first four bytes say is the length.
fn length(head: &[u8]) -> Option<usize> {
    let bytes = head.get(..4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// Whether bytes that are no entry are the beginning of one.
fn is_cut_short(bytes: &[u8]) -> bool {
    match length(bytes) {
        None => true,
        Some(length) => {
            (1..=LONGEST).contains(&length) && bytes.len().saturating_sub(HEAD) < length
        }
    }
}
