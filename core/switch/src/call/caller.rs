//! The caller's identity in the INVITE: number, display name, privacy wish (SIG-68, SIG-76,
//! SIG-78).

use crate::facts::CustomerTrunk;
use crate::number;
use ledger::Text;
use serde::{Deserialize, Serialize};
use sip::{Message, NameAddrRef, UriRef};

/// Far more than all tokens of RFC 3323 and its successors together.
const PRIVACY_BYTES: usize = 256;

/// The caller's own data beside its number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CallerIdentity {
    pub(super) display: Text,
    pub(super) privacy: Text,
}

/// The caller as its INVITE describes it.
pub(super) struct Caller {
    /// Its number; empty if it has none.
    pub(super) number: Text,
    pub(super) identity: CallerIdentity,
    /// It wants privacy, and its trunk may ask for it (SIG-76).
    pub(super) private: bool,
}

impl Caller {
    /// From names the caller. If a trusted trunk sends an anonymous From as in RFC 3325, the
    /// asserted identity names the caller instead, and the caller stays private.
    pub(super) fn of(invite: &Message, trunk: &CustomerTrunk) -> Caller {
        let from = invite.from();
        let shown = number_of(from.uri());
        let asserted = if shown.is_none() && trunk.trusted { asserted(invite) } else { None };
        let hidden = asserted.is_some() || wants_privacy(invite);
        let private = trunk.support_privacy && hidden;
        let (number, display) = match (shown, asserted) {
            (Some(number), _) => (number, from.display().into()),
            (None, Some((number, display))) => (number, display),
            (None, None) => (Text::default(), from.display().into()),
        };
        let mut privacy = Text::default();
        for value in invite.headers("Privacy") {
            privacy.push_str(if privacy.is_empty() { "" } else { ";" });
            privacy.push_str(value);
        }
        let display = within(display, policy::DISPLAY_BYTES);
        let privacy = within(privacy, PRIVACY_BYTES);
        Caller { number, identity: CallerIdentity { display, privacy }, private }
    }
}

/// Plugins pass a caller's words on, and a long text must not fail the call.
fn within(mut text: Text, bytes: usize) -> Text {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// The first number that a trusted trunk asserts, with its display name (SIG-68).
fn asserted(invite: &Message) -> Option<(Text, Text)> {
    let values = invite.headers("P-Asserted-Identity").chain(invite.headers("Remote-Party-ID"));
    values
        .filter_map(|value| NameAddrRef::parse(value).ok())
        .find_map(|identity| Some((number_of(identity.uri())?, identity.display().into())))
}

/// The number in a `sip` or `tel` URI, if there is one.
fn number_of(uri: &str) -> Option<Text> {
    let number = number::of_uri(&UriRef::parse(uri).ok()?);
    let good = number::is_valid(&number) && !number.eq_ignore_ascii_case("anonymous");
    good.then_some(number)
}

/// Whether Privacy asks for anything (RFC 3323 section 4.2). Its tokens are case-insensitive (RFC
/// 3261 section 7.3.1); `critical` asks for nothing by itself, and `history` (RFC 7044) does not
/// concern the caller's identity. An unknown token counts as a wish for privacy.
fn wants_privacy(invite: &Message) -> bool {
    let nothing = ["", "none", "critical", "history"];
    let values = invite.headers("Privacy");
    let mut tokens = values.flat_map(|value| value.split([';', ','])).map(str::trim);
    tokens.any(|token| !nothing.iter().any(|word| token.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(lines: &str) -> Message {
        let text = format!(
            "INVITE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\n\
             From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:a@192.0.2.1>\r\nCall-ID: c\r\n\
             CSeq: 1 INVITE\r\n{lines}\r\n"
        );
        Message::parse(text.as_bytes()).expect("a request")
    }

    /// SIG-76, RFC 3323 section 4.2
    #[test]
    fn privacy_is_asked_for_in_any_case() {
        for (line, private) in [
            ("", false),
            ("Privacy: none\r\n", false),
            ("Privacy: None\r\n", false),
            ("Privacy: NONE ; Critical\r\n", false),
            ("Privacy: history\r\n", false),
            ("Privacy: \r\n", false),
            ("Privacy: ID\r\n", true),
            ("Privacy: Id;Critical\r\n", true),
            ("Privacy: none\r\nPrivacy: USER\r\n", true),
            ("Privacy: header, session\r\n", true),
            ("Privacy: something-new\r\n", true),
        ] {
            assert_eq!(wants_privacy(&invite(line)), private, "{line}");
        }
    }

    /// SIG-68, RFC 3325 section 9.1
    #[test]
    fn the_first_number_that_is_asserted_counts() {
        let number = |lines: &str| asserted(&invite(lines)).map(|(number, _)| number);
        assert_eq!(
            number("P-Asserted-Identity: \"A, B\" <sip:desk@x.example>, <tel:+44-20-7946>\r\n"),
            Some("desk".into())
        );
        let words = "P-Asserted-Identity: <sip:anonymous@x>\r\nP-Asserted-Identity: tel:+4420\r\n";
        assert_eq!(number(words), Some("+4420".into()));
        let party = "Remote-Party-ID: <sip:4421@x>;party=calling;privacy=full\r\n";
        assert_eq!(number(party), Some("4421".into()));
        assert_eq!(number("P-Asserted-Identity: <<<\r\n"), None);
    }
}
