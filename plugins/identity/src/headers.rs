//! Values of identity headers.

use std::borrow::Cow;

/// A display name as a quoted string (RFC 3261 section 25.1): quotes and backslashes escaped,
/// control characters dropped.
#[must_use]
pub fn quoted(display: &str) -> String {
    let mut text = String::with_capacity(display.len() + 2);
    text.push('"');
    for character in display.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    text
}

/// A display name that fits on one header line.
pub(crate) fn plain(display: &str) -> String {
    match display.chars().any(char::is_control) {
        true => display.chars().filter(|character| !character.is_control()).collect(),
        false => display.to_owned(),
    }
}

/// `<sip:number@host>`, without a display name.
pub(crate) fn address(number: &str, host: &str) -> String {
    format!("<sip:{}@{host}>", escaped(number))
}

/// The same address with the caller's display name.
pub(crate) fn named_address(display: &str, number: &str, host: &str) -> String {
    match display {
        "" => address(number, host),
        _ => format!("{} <sip:{}@{host}>", quoted(display), escaped(number)),
    }
}

/// Escapes `#`, a character of numbers that the user part of a URI must not contain.
pub(crate) fn escaped(number: &str) -> Cow<'_, str> {
    if number.contains('#') { number.replace('#', "%23").into() } else { number.into() }
}

/// A configured identity; a bare URI gets angle brackets.
pub(crate) fn fixed(identity: &str) -> String {
    if identity.contains('<') { identity.to_owned() } else { format!("<{identity}>") }
}

/// Longest header value that a plugin may return, bytes.
const VALUE_BYTES: usize = 2048;

/// Whether a value fits on one header line. Foreign header values are written unchanged or not at
/// all.
pub(crate) fn is_one_line(value: &str) -> bool {
    (1..=VALUE_BYTES).contains(&value.len())
        && !value.chars().any(|character| character.is_control() && character != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_are_quoted_by_rfc_3261_section_25() {
        assert_eq!(quoted("Ann Lee"), r#""Ann Lee""#);
        assert_eq!(quoted(r#"Ann "A" \Lee"#), r#""Ann \"A\" \\Lee""#);
        assert_eq!(quoted("Ann\r\nVia: x"), r#""AnnVia: x""#);
        assert_eq!(quoted("Zoë"), "\"Zoë\"");
    }

    #[test]
    fn hash_in_a_number_is_escaped_in_the_uri() {
        assert_eq!(address("#31#49", "sip.example"), "<sip:%2331%2349@sip.example>");
        assert_eq!(named_address("", "*9", "h"), "<sip:*9@h>");
        assert_eq!(named_address("Ann", "9", "h"), "\"Ann\" <sip:9@h>");
    }

    #[test]
    fn a_fixed_identity_may_be_a_bare_uri() {
        assert_eq!(fixed("sip:100@a.example"), "<sip:100@a.example>");
        assert_eq!(fixed("\"Desk\" <sip:100@a.example>"), "\"Desk\" <sip:100@a.example>");
    }
}
