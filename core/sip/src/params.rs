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
    let (mut quoted, mut bracket, mut at) = (false, false, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        if quoted {
            match byte {
                b'\\' => at += 1,
                b'"' => quoted = false,
                _ => {}
            }
        } else if byte == wanted && !bracket {
            return Some(at);
        } else {
            match byte {
                b'"' if !bracket => quoted = true,
                b'<' => bracket = true,
                b'>' => bracket = false,
                _ => {}
            }
        }
        at += 1;
    }
    None
}

/// Without spaces and tabs at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The parameters of `;a=b;c`: name and raw value. A leading `;` is optional.
pub(crate) fn params(text: &str) -> impl Iterator<Item = (&str, &str)> {
    Parts::new(text, b';').filter(|part| !part.is_empty()).map(|part| match part.split_once('=') {
        Some((name, value)) => (trim(name), trim(value)),
        None => (part, ""),
    })
}

/// Value of the first parameter called `name` (any case), without its quotes; `""` for a
/// parameter without value.
pub(crate) fn param<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    params(text).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| inner(value))
}

/// What stands between the quotes, escapes kept; an unquoted value as it is.
pub(crate) fn inner(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

/// The text of a quoted string's inside: quoted pairs resolved (RFC 3261 25.1).
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

/// Length of the quoted string at the start of `text`, both quotes included; `None` if it
/// is not closed.
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
