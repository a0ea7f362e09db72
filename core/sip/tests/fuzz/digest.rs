//! Challenges and credentials.

use crate::MOMENT;
use crate::recipe::{MESSAGES, Recipe, cook};
use rand::SeedableRng;
use rand::rngs::StdRng;
use strowger_sip::Message;
use strowger_sip::digest::{Algorithm, Answer, Challenge, Credentials};

const VALUES: [&[u8]; 2] = [
    b"Digest username=\"alice\", realm=\"r\", nonce=\"n,o\", uri=\"sip:b@h\", response=\"00\", \
      algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\"",
    b"digest username=\"a\\\"b\",realm=\"\",nonce=\"\",uri=\"*\",response=\"\"",
];

/// Every part of parsed credentials occurs in the value.
#[test]
fn credentials_say_what_was_written() {
    bolero::check!().with_test_time(MOMENT).with_type::<Recipe>().for_each(|recipe| {
        let bytes = cook(&VALUES, recipe);
        let text = String::from_utf8_lossy(&bytes);
        let Some(read) = Credentials::parse(&text) else { return };
        for part in [read.username, read.realm, read.nonce, read.uri, read.response] {
            assert!(text.contains(part), "{part} of {text}");
        }
        assert!(!read.uri.is_empty());
    });
}

/// Our answer to any challenge is read back with its values.
#[test]
fn an_answer_to_any_challenge_can_be_read() {
    bolero::check!().with_test_time(MOMENT).with_type::<Recipe>().for_each(|(seed, edits)| {
        // The challenge is the fourth message.
        let bytes = cook(&MESSAGES[3..4], &(*seed, edits.clone()));
        let Ok(message) = Message::parse(&bytes) else { return };
        let Ok(challenge) = Challenge::choose(&message, &Algorithm::ALL) else { return };
        let uri = "sip:b@h";
        let answer =
            Answer { username: "alice", password: "secret", method: "INVITE", uri, count: 7 };
        let value = challenge.answer(&answer, &mut StdRng::seed_from_u64(1));
        assert!(!value.contains(['\r', '\n']), "{value}");
        let read = Credentials::parse(&value).unwrap_or_else(|| panic!("{value}"));
        assert_eq!((read.username, read.uri), ("alice", uri), "{value}");
    });
}
