//! Clean-up of received numbers (NUM-02), and which numbers a rewrite may produce (NUM-03).

use ledger::Text;
use std::borrow::Cow;

/// The number in a `sip:` or `tel:` URI (NUM-02).
pub(crate) fn of_uri(uri: &sip::UriRef<'_>) -> Text {
    clean(if uri.is_tel() { uri.opaque() } else { uri.user().unwrap_or("") })
}

/// The user part of a URI as a number: percent-decoded, without parameters, and without visual
/// separators if the rest is only a number (NUM-02).
pub(crate) fn clean(user: &str) -> Text {
    let decoded = sip::percent::decode(user);
    let bare = decoded.split(';').next().unwrap_or("");
    let separator = |c: char| matches!(c, '-' | '.' | '(' | ')' | ' ');
    let number =
        bare.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#') || separator(c));
    // Fast path: most numbers have no separators.
    if number && bare.contains(separator) {
        bare.chars().filter(|c| !separator(*c)).collect()
    } else {
        bare.into()
    }
}

pub(crate) use policy::is_number as is_valid;

/// A number as the user part of a URI: `#` must be escaped there (RFC 3261 section 25.1).
pub(crate) fn uri_user(number: &str) -> Cow<'_, str> {
    if number.contains('#') { number.replace('#', "%23").into() } else { number.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NUM-02
    #[test]
    fn separators_go_from_numbers_and_stay_in_names() {
        for (user, number) in [
            ("+44-20.7946(0)18", "+44207946018"),
            ("00%34%34123", "0044123"),
            ("5551234;phone-context=+1", "5551234"),
            ("john.smith", "john.smith"),
            ("*99%23", "*99#"),
            ("", ""),
            ("100%", "100%"),
        ] {
            assert_eq!(clean(user), number, "{user}");
        }
    }

    /// NUM-03
    #[test]
    fn illegal_numbers_are_noticed() {
        for good in ["1", "+4412", "*99880", "john.smith", &"1".repeat(64)] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "44+1", "a b", "100%", &"1".repeat(65), "é"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
