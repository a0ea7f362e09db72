//! Percent-encoding (RFC 3986 section 2.1).

use std::borrow::Cow;

/// Resolves `%HH`; resulting bytes that are not UTF-8 become U+FFFD. A `%` without two hexadecimal
/// digits stays.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit =
            |offset: usize| bytes.get(at + offset).and_then(|&byte| char::from(byte).to_digit(16));
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// Encodes every character that is not unreserved (RFC 3986 section 2.3) as `%HH`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(|digit| {
                char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
            }));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_half_an_escape_stays() {
        for text in ["", "a-b_c.d~e", "100 %", "+1;ext=/?#", "\u{e4}\u{20ac}"] {
            assert_eq!(decode(&encode(text)), text);
        }
        assert_eq!(encode("a b/\u{e4}"), "a%20b%2F%C3%A4");
        for (text, decoded) in [("100%", "100%"), ("%2", "%2"), ("%+1", "%+1"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decode(text), decoded);
        }
    }
}
