//! Seeded mutations of real messages: whatever a datagram contains, nothing panics and
//! what is answered can be read. A failure prints the seed that replays it.
// Helpers of tests may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::net::SocketAddr;
use strowger_sip::digest::{Challenge, Credentials};
use strowger_sip::{
    Message, MessageBuilder, NameAddrRef, SessionDescription, UriRef, ViaRef, salvage, sdp,
};

const ROUNDS: u64 = 40_000;

fn corpus() -> Vec<Vec<u8>> {
    let folder = format!("{}/testdata/rfc4475", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Bytes that mean something to a parser.
const SPICE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"@",
    b"[",
    b"]",
    b"%",
    b"=",
    b"?",
    b"/",
    b"\xff",
    b"\xc3",
    b"\xe2\x82",
    b"SIP/2.0",
    b"Via: ",
    b"tag=",
    b"\r\n\r\n",
    b"m=audio 1 RTP/AVP 0\r\n",
    b"c=IN IP4 ",
    b"a=rtcp:",
    b"99999999999",
    b"Digest realm=\"",
    b"Authorization: ",
    b"Content-Length: 5\r\n",
];

fn mutated(corpus: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = corpus.choose(rng).unwrap().clone();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..20)).min(bytes.len());
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..end, SPICE.choose(rng).unwrap().iter().copied())),
            3 => drop(bytes.splice(at..at, SPICE.choose(rng).unwrap().iter().copied())),
            4 if at < bytes.len() => bytes[at] = rng.random(),
            _ => {
                let other = corpus.choose(rng).unwrap();
                let from = rng.random_range(0..=other.len());
                let to = (from + rng.random_range(0..60)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

/// Asks everything that the switch might ask.
fn read_all(message: &Message) {
    message.header_lines().for_each(|(name, value)| {
        assert!(message.header(name).is_some());
        let _ = (NameAddrRef::parse(value), ViaRef::parse(value), UriRef::parse(value));
        let _ = Credentials::parse(value);
        assert!(message.headers(name).all(|part| value.len() >= part.len() || !part.is_empty()));
    });
    let (from, to) = (message.from(), message.to());
    let _ = (from.display(), from.parse_uri(), to.param("tag"), to.parse_uri());
    assert!(!message.call_id().is_empty() && !from.uri().is_empty() && !to.uri().is_empty());
    assert!(!message.top_via().host().is_empty());
    if let Ok(uri) = UriRef::parse(message.uri()) {
        let _ = (uri.user_decoded(), uri.ip(), uri.param("lr"));
    }
    let _ = (message.contact(), message.max_forwards(), message.response_address());
    assert!(message.reasons().all(|reason| reason.protocol.len() <= message.to_bytes().len()));
    let _ = (message.validate_request(), message.validate_response(), Challenge::choose(message));
    let body = sdp::body_of(message).unwrap_or_else(|| message.body());
    if let Ok(description) = SessionDescription::parse(body) {
        let relay = SocketAddr::from(([192, 0, 2, 9], 20_000));
        let origin = sdp::Origin { session_id: 1, version: 2, address: relay.ip() };
        let rewritten = description.rewrite_first_audio(&origin, relay);
        let again = SessionDescription::parse(&rewritten).unwrap();
        assert_eq!(again.streams().len(), description.streams().len());
        assert_eq!(again.first_audio().is_some(), description.first_audio().is_some());
        let concealed = description.conceal(&origin);
        let again = SessionDescription::parse(&concealed).unwrap();
        assert_eq!(again.streams().len(), description.streams().len());
        assert_eq!(again.conceal(&origin), concealed);
    }
}

#[test]
fn no_mutation_of_the_torture_messages_panics() {
    let corpus = corpus();
    let source = SocketAddr::from(([198, 51, 100, 7], 5062));
    let (mut understood, mut salvaged) = (0, 0);
    for seed in 0..ROUNDS {
        let bytes = mutated(&corpus, &mut StdRng::seed_from_u64(seed));
        let run = std::panic::catch_unwind(|| match Message::parse(&bytes) {
            Ok(mut message) => {
                read_all(&message);
                let again = Message::parse(&message.to_bytes()).unwrap();
                assert_eq!(again.call_id(), message.call_id());
                if message.is_request() {
                    message.set_source(source);
                    let response =
                        MessageBuilder::response_to(&message, 500, "x").to_tag("t").finish();
                    let response = Message::parse(&response).unwrap();
                    assert_eq!(response.cseq(), message.cseq());
                    assert!(
                        response.to_tag().is_some(),
                        "{:?} {:?}",
                        message.header("To"),
                        response.header("To")
                    );
                }
                (1, 0)
            }
            Err(error) => {
                assert!(!error.to_string().contains('\n'));
                match salvage(&bytes, source) {
                    Some(response) => {
                        assert!(response.starts_with(b"SIP/2.0 400 "));
                        (0, 1)
                    }
                    None => (0, 0),
                }
            }
        });
        let counted = run.unwrap_or_else(|_| panic!("seed {seed}"));
        (understood, salvaged) = (understood + counted.0, salvaged + counted.1);
    }
    assert!(understood > ROUNDS / 10 && salvaged > ROUNDS / 10, "{understood} {salvaged}");
}

#[test]
fn no_noise_panics() {
    let mut rng = StdRng::seed_from_u64(4475);
    for _ in 0..ROUNDS {
        let bytes: Vec<u8> = (0..rng.random_range(0..200)).map(|_| rng.random()).collect();
        let text = String::from_utf8_lossy(&bytes);
        let _ = (Message::parse(&bytes), SessionDescription::parse(&bytes));
        let _ = (UriRef::parse(&text), NameAddrRef::parse(&text), ViaRef::parse(&text));
        let _ = salvage(&bytes, SocketAddr::from(([198, 51, 100, 7], 5062)));
    }
}
