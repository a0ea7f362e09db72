//! The one-pass scanner: from a datagram to the positions of its header lines.
//!
//! Nothing is decoded here. Folded lines are joined by overwriting the line break with
//! spaces, so positions and lengths stay those of the datagram.

use crate::error::ParseError;
use crate::header_name::Known;
use std::ops::Range;

/// Longest datagram accepted (SIG-13), bytes.
pub const MAX_DATAGRAM: usize = 16 * 1024;
/// Most header lines accepted in one message.
pub const MAX_HEADERS: usize = 256;

/// A piece of the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// `range` must lie within a message of 64 KB; positions beyond it are clamped.
    pub(crate) fn new(range: Range<usize>) -> Span {
        let cut = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Span { start: cut(range.start), end: cut(range.end) }
    }

    pub(crate) fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// The text in the head of a message.
    pub(crate) fn text(self, head: &str) -> &str {
        head.get(self.range()).unwrap_or_default()
    }

    /// The position of `part`, a slice of `head`, in it; for an empty part, an empty span.
    pub(crate) fn of(head: &str, part: &str) -> Span {
        if part.is_empty() {
            return Span::default();
        }
        let start = (part.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
        Span::new(start..start.saturating_add(part.len()))
    }
}

/// One header line, unfolded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) known: Known,
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// The result of the scan.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) start_line: Span,
    pub(crate) lines: Vec<Line>,
    /// Where the body begins.
    pub(crate) body: usize,
}

/// The datagram without leading line breaks (RFC 3261 7.5).
///
/// # Errors
/// `Empty`, `KeepAlive` (only CR, LF, NUL or spaces: RFC 5626 3.5.1 and its imitations), `TooLarge`.
pub(crate) fn trim_start(datagram: &[u8], most: usize) -> Result<&[u8], ParseError> {
    if datagram.is_empty() {
        return Err(ParseError::Empty);
    }
    if datagram.len() > most {
        return Err(ParseError::TooLarge { length: datagram.len(), most });
    }
    let blank = |byte: &u8| matches!(byte, b'\r' | b'\n' | b' ' | 0);
    if datagram.iter().all(blank) {
        return Err(ParseError::KeepAlive);
    }
    let breaks = datagram.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    Ok(&datagram[breaks..])
}

/// Indexes `bytes`; unfolds header lines and replaces bytes of the head that are not
/// UTF-8 by `?` in place.
pub(crate) fn scan(bytes: &mut [u8]) -> Result<Scan, ParseError> {
    let mut lines = Vec::with_capacity(24);
    let (start_end, mut at) = line_end(bytes, 0).ok_or(ParseError::Truncated)?;
    let start_line = Span::new(0..start_end);
    if matches!(bytes.get(at), Some(b' ' | b'\t')) {
        return Err(ParseError::StartLine { problem: "start line is folded" });
    }
    while at < bytes.len() {
        let (mut end, mut next) = line_end(bytes, at).ok_or(ParseError::Truncated)?;
        if end == at {
            at = next;
            break;
        }
        while matches!(bytes.get(next), Some(b' ' | b'\t')) {
            let (fold_end, fold_next) = line_end(bytes, next).ok_or(ParseError::Truncated)?;
            bytes[end..next].fill(b' ');
            (end, next) = (fold_end, fold_next);
        }
        if lines.len() == MAX_HEADERS {
            return Err(ParseError::TooManyHeaders { offset: at });
        }
        lines.push(header_line(bytes, at, end)?);
        at = next;
    }
    clean_text(&mut bytes[..at])?;
    Ok(Scan { start_line, lines, body: at })
}

/// End of the line that begins at `from`, and start of the next one.
pub(crate) fn line_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let feed = from + memchr::memchr(b'\n', bytes.get(from..)?)?;
    let end = if feed > from && bytes[feed - 1] == b'\r' { feed - 1 } else { feed };
    Some((end, feed + 1))
}

/// The header line that lies in this part of the message, unfolded.
pub(crate) fn header_line(bytes: &[u8], start: usize, end: usize) -> Result<Line, ParseError> {
    let line = &bytes[start..end];
    let mut name_length = 0;
    while line.get(name_length).is_some_and(|&byte| is_token_byte(byte)) {
        name_length += 1;
    }
    let mut colon = name_length;
    while matches!(line.get(colon), Some(b' ' | b'\t')) {
        colon += 1;
    }
    if name_length == 0 || line.get(colon) != Some(&b':') {
        let problem = if name_length == 0 { "has no name" } else { "has no colon after its name" };
        return Err(ParseError::HeaderLine { offset: start, problem });
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut from = colon + 1;
    while line.get(from).is_some_and(blank) {
        from += 1;
    }
    let mut to = line.len();
    while to > from && blank(&line[to - 1]) {
        to -= 1;
    }
    Ok(Line {
        known: Known::of(&line[..name_length]),
        name: Span::new(start..start + name_length),
        value: Span::new(start + from..start + to),
    })
}

/// Refuses control bytes outside quoted pairs; replaces bytes that are not UTF-8.
fn clean_text(head: &mut [u8]) -> Result<(), ParseError> {
    let control = |byte: u8| (byte < 0x20) & (byte != b'\t') & (byte != b'\r') & (byte != b'\n');
    let bare_return = |byte: u8, next: u8| (byte == b'\r') & (next != b'\n');
    // Accumulated without branches, so that the compiler can use wide registers. The last byte of
    // the head is a line feed.
    let (mut stray, mut all) = (0_u8, 0_u8);
    for (&byte, &next) in head.iter().zip(head.get(1..).unwrap_or_default()) {
        stray |= u8::from(control(byte)) | u8::from(bare_return(byte, next));
        all |= byte;
    }
    let (stray, any_wide) = (stray != 0, all >= 0x80);
    if stray {
        let offset = (0..head.len().saturating_sub(1)).find(|&at| {
            let quoted_pair = at > 0 && head[at - 1] == b'\\';
            (control(head[at]) && !quoted_pair) || bare_return(head[at], head[at + 1])
        });
        if let Some(offset) = offset {
            return Err(ParseError::ControlByte { offset, byte: head[offset] });
        }
    }
    if any_wide {
        replace_bad_text(head);
    }
    Ok(())
}

/// Replaces bytes that are not UTF-8 by `?` in place.
pub(crate) fn replace_bad_text(text: &mut [u8]) {
    let mut from = 0;
    while let Err(error) = std::str::from_utf8(&text[from..]) {
        let bad = from + error.valid_up_to();
        let length = error.error_len().unwrap_or(text.len() - bad);
        text[bad..bad + length].fill(b'?');
        from = bad + length;
    }
}

/// Whether `byte` may stand in a token (RFC 3261 25.1).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// Whether `text` is a token (RFC 3261 25.1).
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}
