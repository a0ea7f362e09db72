//! Parameters, comma lists and quoted strings: the small grammar that header values share.

use std::borrow::Cow;

/// Splits `text` at `separator` outside quoted strings and angle brackets; parts are trimmed.
#[derive(Clone, Debug)]
pub(crate) struct Parts<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(text: &'a str, separator: u8) -> Parts<'a> {
        Parts { rest: Some(text), separator }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        let end = top_level(text, self.separator);
        self.rest = end.map(|at| &text[at + 1..]);
        Some(trim(&text[..end.unwrap_or(text.len())]))
    }
}

/// Position of the first `wanted` outside quoted strings and angle brackets.
pub(crate) fn top_level(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        at += if rest.len() > SHORT {
            memchr::memchr3(wanted, b'"', b'<', rest)?
        } else {
            rest.iter().position(|&byte| byte == wanted || byte == b'"' || byte == b'<')?
        };
        at += match bytes[at] {
            byte if byte == wanted => return Some(at),
            b'"' => quoted_length(&text[at..])?,
            _ => memchr::memchr(b'>', &bytes[at..])? + 1,
        };
    }
}

/// Up to this length, a byte-by-byte search beats one that must set up wide registers.
const SHORT: usize = 32;

/// Position of the first `wanted` in a text of a few dozen bytes.
#[inline]
pub(crate) fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|&byte| byte == wanted)
}

/// Removes spaces and tabs at both ends.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) if blank(first) || blank(last) => trim_blanks(text),
        _ => text,
    }
}

#[cold]
fn trim_blanks(text: &str) -> &str {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let bytes = text.as_bytes();
    let start = bytes.iter().take_while(|byte| blank(byte)).count();
    let end = bytes[start..].iter().rev().take_while(|byte| blank(byte)).count();
    &text[start..text.len() - end]
}

/// The text before and after the first `at`, an ASCII byte. The standard library's search is built
/// for long texts; header lines are short.
#[inline]
pub(crate) fn split_once(text: &str, at: u8) -> Option<(&str, &str)> {
    let found = find(text.as_bytes(), at)?;
    Some((&text[..found], &text[found + 1..]))
}

/// The parameters of `;a=b;c`: name and raw value. A leading `;` is optional.
pub(crate) fn params(text: &str) -> impl Iterator<Item = (&str, &str)> {
    Parts::new(text, b';').filter(|part| !part.is_empty()).map(|part| {
        match split_once(part, b'=') {
            Some((name, value)) => (trim(name), trim(value)),
            None => (part, ""),
        }
    })
}

/// Value of the first parameter called `name` (any case), without its quotes; `""` for a parameter
/// without a value.
pub(crate) fn param<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    params(text).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| inner(value))
}

/// The text between the quotes, escapes kept; an unquoted value unchanged.
pub(crate) fn inner(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

/// The text inside a quoted string with its quoted pairs resolved (RFC 3261 25.1).
pub(crate) fn unescape(inside: &str) -> Cow<'_, str> {
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut text = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(char) = chars.next() {
        text.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    Cow::Owned(text)
}

/// Length of the quoted string at the start of `text`, including both quotes; `None` if it is not
/// closed.
pub(crate) fn quoted_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}
