//! The Reason header (RFC 3326): why a request was sent.

use crate::header_name::Known;
use crate::message::Message;
use crate::params;

/// One value of a Reason header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonRef<'a> {
    /// `Q.850`, `SIP` or another protocol, as written.
    pub protocol: &'a str,
    /// The protocol's cause; `None` if it is missing or not a number.
    pub cause: Option<u16>,
}

impl<'a> ReasonRef<'a> {
    /// Parses one value; a comma list must be split first.
    #[must_use]
    pub fn parse(value: &'a str) -> ReasonRef<'a> {
        let at = params::top_level(value, b';').unwrap_or(value.len());
        let (protocol, rest) = value.split_at(at);
        let cause = params::param(rest, "cause").and_then(|cause| cause.trim().parse().ok());
        ReasonRef { protocol: params::trim(protocol), cause }
    }
}

impl Message {
    /// Every value of every Reason line, in order: one for each protocol (RFC 3326 section 2).
    pub fn reasons(&self) -> impl Iterator<Item = ReasonRef<'_>> {
        self.values(Known::Reason).map(ReasonRef::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3326 section 2.
    #[test]
    fn a_value_has_a_protocol_and_a_cause() {
        let parse = ReasonRef::parse;
        let busy = ReasonRef { protocol: "Q.850", cause: Some(17) };
        assert_eq!(parse("Q.850;cause=17;text=\"User busy\""), busy);
        assert_eq!(parse("Q.850 ; cause = 17"), busy);
        assert_eq!(parse("Q.850;text=\"no; cause=3\";Cause=\"17\""), busy);
        for value in ["Q.850", "Q.850;", "Q.850;cause", "Q.850;cause=x", "Q.850;cause=99999"] {
            assert_eq!(parse(value), ReasonRef { protocol: "Q.850", cause: None }, "{value}");
        }
        assert_eq!(parse(""), ReasonRef { protocol: "", cause: None });
    }

    /// Arbitrary combinations of the grammar's pieces.
    #[test]
    fn no_value_is_too_odd() {
        let pieces =
            ["Q.850", "SIP", ";", "=", "cause", "text", "17", "\"", "\\", ",", "<", " ", "é"];
        let mut state = 7_u64;
        let mut found = 0;
        for _ in 0..50_000 {
            let mut value = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                value.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let reason = ReasonRef::parse(&value);
            assert!(value.contains(reason.protocol), "{value}");
            assert!(reason.cause.is_none() || value.contains("17"), "{value}");
            found += u32::from(reason.cause.is_some());
        }
        assert!(found > 0, "a dull run");
    }

    #[test]
    fn all_lines_and_all_values_of_a_line_count() {
        let text = "BYE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\n\
            From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:a@192.0.2.1>;tag=2\r\nCall-ID: c\r\n\
            CSeq: 1 BYE\r\nReason: SIP;cause=200;text=\"a, b\", preemption;cause=1\r\n\
            reason: Q.850;cause=26\r\n\r\n";
        let message = Message::parse(text.as_bytes()).expect("a request");
        let found: Vec<_> = message.reasons().map(|r| (r.protocol, r.cause)).collect();
        assert_eq!(found, [("SIP", Some(200)), ("preemption", Some(1)), ("Q.850", Some(26))]);
    }
}
