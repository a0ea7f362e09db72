//! Makes foreign text harmless for a terminal, a log and a line.
//!
//! Numbers, names and reasons come from peers and plugins. A line end could forge a line, an escape
//! sequence could move the cursor or rename the window, and a change of direction could make other
//! characters appear.

use std::borrow::Cow;
use std::fmt::Write;

/// The text on one line: line ends and everything that a terminal interprets become JSON escapes.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, is_unsafe)
}

/// The same for a text of several lines: line ends stay.
#[must_use]
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && is_unsafe(character))
}

fn escaped(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' if is_unsafe('\n') => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // All of these are in the basic plane.
            _ if is_unsafe(character) => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    Cow::Owned(out)
}

/// Control characters (C0 with DEL, C1), line separators, and characters that change the direction
/// of text (Unicode standard annex 9).
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert!(matches!(plain("+44 20 \u{e9}\u{4e2d} \\n"), Cow::Borrowed(_)));
        let rows = [
            ("a\nb\rc\td", "a\\nb\\rc\\td"),
            ("\u{1b}[2J", "\\u001b[2J"),
            ("\u{9b}2J\u{7f}\0", "\\u009b2J\\u007f\\u0000"),
            ("\u{202e}gpj\u{2028}", "\\u202egpj\\u2028"),
        ];
        for (text, shown) in rows {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(plain_lines("a\u{1b}\nb\r\n"), "a\\u001b\nb\\r\n");
    }
}
