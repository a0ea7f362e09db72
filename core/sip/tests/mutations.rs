//! Seeded mutations of real messages: whatever a datagram contains, nothing panics, and every
//! answer can be parsed. A failure prints the seed that replays it.
// Test helpers may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use strowger_sip::digest::{Algorithm, Answer, Authority, Challenge, Check, Credentials, Ha1s};
use strowger_sip::percent::decode;
use strowger_sip::{
    Flow, Frame, Framer, FramingError, Message, MessageBuilder, NameAddrRef, SessionDescription,
    UriRef, ViaRef, call_id_of, salvage, sdp,
};

const ROUNDS: u64 = 40_000;

fn corpus() -> Vec<Vec<u8>> {
    let folder = format!("{}/testdata/rfc4475", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Bytes that parsers interpret.
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
    b"\r\nCall-ID: another\r\n",
    b"\r\ncALL-id\t :",
    b"\r\ni:",
    b"\r\n ",
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

/// Reads everything that the switch might read.
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
        let _ = (uri.user().map(decode), uri.ip(), uri.param("lr"));
    }
    let _ = (message.contact(), message.max_forwards(), message.response_address());
    assert!(message.reasons().all(|reason| reason.protocol.len() <= message.to_bytes().len()));
    let _ = (
        message.validate_request(),
        message.validate_response(),
        Challenge::choose(message, &Algorithm::ALL),
    );
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
                assert_eq!(call_id_of(&bytes).unwrap(), message.call_id().as_bytes());
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
                match salvage(Flow::datagram(0, source), &bytes) {
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
        let _ = salvage(Flow::datagram(0, SocketAddr::from(([198, 51, 100, 7], 5062))), &bytes);
        let _ = call_id_of(&bytes);
    }
}

/// A stream yields the same messages and the same end wherever it is cut.
#[test]
fn a_mutated_stream_is_read_alike_wherever_it_is_cut() {
    let corpus = corpus();
    let read = |pieces: &[&[u8]]| {
        let (mut framer, mut found) = (Framer::default(), Vec::new());
        for piece in pieces {
            framer.push(piece);
            loop {
                match framer.frame() {
                    Ok(Some(frame)) => found.push(frame),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error)),
                }
            }
        }
        (found, None::<FramingError>)
    };
    let (mut messages, mut refused) = (0, 0);
    for seed in 0..ROUNDS / 4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let stream: Vec<u8> =
            (0..3).flat_map(|_| mutated(&corpus, &mut rng)).chain(*b"\r\n").collect();
        let whole = read(&[&stream]);
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rng.random_range(1..=rest.len().min(300)));
            pieces.push(piece);
            rest = after;
        }
        assert_eq!(read(&pieces), whole, "seed {seed}");
        messages += whole.0.iter().filter(|frame| matches!(frame, Frame::Message(_))).count();
        refused += usize::from(whole.1.is_some());
    }
    assert!(messages > 1_000 && refused > 1_000, "{messages} {refused}");
}

/// Descriptions as telephones, browsers and carriers write them.
const BODIES: &[&str] = &[
    "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
     m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
     a=rtcp:4001 IN IP4 198.51.100.1\r\na=ptime:20\r\na=sendrecv\r\n",
    "v=0\no=a 2 3 IN IP4 198.51.100.2\ns=call\nt=0 0\nm=audio 5000 RTP/AVP 18\n\
     c=IN IP4 198.51.100.2\nm=video 5002 RTP/AVP 96\nc=IN IP4 198.51.100.3\n\
     a=rtpmap:96 H264/90000\n",
    "v=0\r\no=- 4 4 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n\
     m=audio 6000 RTP/AVP 0\r\na=rtcp-mux\r\na=candidate:1 1 UDP 1 2001:db8::1 6000 typ host\r\n",
    "v=0\r\no=- 5 6 IN IP4 198.51.100.5\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
     m=audio 7000 RTP/AVP 8\r\na=inactive\r\nm=image 7002 udptl t38\r\n",
    "v=0\r\no=- 7 7 IN IP4 host.example\r\ns=-\r\nc=IN IP4 host.example\r\nt=0 0\r\n\
     m=audio 0 RTP/AVP 8\r\nm=audio 8000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 x\r\n",
];

/// SIG-04: however a description is written, after rewriting its audio goes to the relay, its other
/// streams are refused, and no RTP or RTCP address of the peer remains.
#[test]
fn a_rewritten_description_leads_to_the_relay_and_nowhere_else() {
    let corpus: Vec<Vec<u8>> = BODIES.iter().map(|body| body.as_bytes().to_vec()).collect();
    let relay = SocketAddr::from(([192, 0, 2, 9], 20_000));
    let origin = sdp::Origin { session_id: 1, version: 2, address: relay.ip() };
    let mut understood = 0;
    for seed in 0..ROUNDS {
        let body = mutated(&corpus, &mut StdRng::seed_from_u64(seed));
        let Ok(description) = SessionDescription::parse(&body) else { continue };
        understood += 1;
        let rewritten = description.rewrite_first_audio(&origin, relay);
        let shown = String::from_utf8_lossy(&rewritten);
        let again = SessionDescription::parse(&rewritten)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}: {shown}"));
        let audio = description.first_audio().map(|(index, _)| index);
        for (index, stream) in again.streams().iter().enumerate() {
            if Some(index) != audio {
                assert_eq!(stream.port, 0, "seed {seed}: stream {index} of {shown}");
                continue;
            }
            assert_eq!(stream.port, relay.port(), "seed {seed}: {shown}");
            for address in [stream.rtp_address(), stream.rtcp_address()] {
                let address = address.unwrap_or_else(|| panic!("seed {seed}: none in {shown}"));
                let ours = address.ip() == relay.ip() || address.ip().is_unspecified();
                assert!(ours, "seed {seed}: {address} in {shown}");
            }
        }
    }
    assert!(understood > ROUNDS / 10, "{understood}");
}

/// SIG-54: altered credentials are never accepted, and nothing panics.
#[test]
fn no_mutation_of_credentials_is_let_in() {
    let now = 1_795_000_000_000;
    let mut rng = StdRng::seed_from_u64(54);
    let authority = Authority::new([7; 32]);
    let ha1s = Ha1s::of_password("alice", "r", "secret");
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let challenges = authority.challenges(peer, "r", &Algorithm::ALL, now, false, &mut rng);
    let lines = challenges.iter().map(|line| format!("WWW-Authenticate: {line}\r\n"));
    let head = "SIP/2.0 401 x\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n\
                From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n";
    let response = [head, &lines.collect::<String>(), "\r\n"].concat();
    let challenge =
        Challenge::choose(&Message::parse(response.as_bytes()).unwrap(), &Algorithm::ALL).unwrap();
    let uri = "sip:1000@h";
    let answer = Answer { username: "alice", password: "secret", method: "INVITE", uri, count: 1 };
    let right = challenge.answer(&answer, &mut rng);
    let verdict = |credentials: &Credentials<'_>| {
        let algorithms = &Algorithm::ALL;
        let check =
            Check { method: "INVITE", realm: "r", username: "alice", ha1s: &ha1s, algorithms };
        authority.verify(peer, credentials, &check, now + 1).is_ok()
    };
    let original = Credentials::parse(&right).unwrap();
    assert!(verdict(&original));

    let corpus = [right.clone().into_bytes()];
    let (mut understood, mut same) = (0, 0);
    for seed in 0..ROUNDS {
        let bytes = mutated(&corpus, &mut StdRng::seed_from_u64(seed));
        let text = String::from_utf8_lossy(&bytes);
        let Some(credentials) = Credentials::parse(&text) else { continue };
        understood += 1;
        if verdict(&credentials) {
            let says =
                |it: &Credentials<'_>| [it.username, it.realm, it.nonce, it.uri].map(str::to_owned);
            assert_eq!(says(&credentials), says(&original), "seed {seed}: {text}");
            same += 1;
        }
    }
    assert!(understood > ROUNDS / 10 && same < understood, "{understood} {same}");
}

/// Values of the headers that route a call.
const VALUES: &[&str] = &[
    "sip:+49301234;npdi;rn=+4930@[2001:db8::1]:5060;user=phone;lr?Subject=x",
    "sips:alice:secret@example.com:5061;transport=tls",
    "tel:+1-201-555-0123;phone-context=example.com",
    "sip:%23%2a9@192.0.2.1",
    "\"A \\\" B\" <sip:a%40b@h;x=1>;tag=1;y=\"a;b\"",
    "sip:a@h;tag=2",
    "<sip:h>;expires=60;+sip.instance=\"<urn:uuid:0>\"",
    "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport=99;received=198.51.100.1",
    "SIP / 2.0 / TCP [2001:db8::2] ; branch = z9hG4bK2 ; rport",
    "SIP/2.0/UDP first.example.com;maddr=192.0.2.3;ttl=16",
];

/// Every part that a parser returns occurs in the value: nothing is invented or runs past the end.
#[test]
fn the_parts_of_a_value_stand_in_it() {
    let corpus: Vec<Vec<u8>> = VALUES.iter().map(|value| value.as_bytes().to_vec()).collect();
    let mut understood = [0; 3];
    for seed in 0..ROUNDS {
        let bytes = mutated(&corpus, &mut StdRng::seed_from_u64(seed));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let within = |part: &str| assert!(text.contains(part), "seed {seed}: {part:?} of {text:?}");
        if let Ok(uri) = UriRef::parse(&text) {
            understood[0] += 1;
            [uri.scheme(), uri.host(), uri.params(), uri.headers()].into_iter().for_each(within);
            uri.user().into_iter().chain(uri.password()).chain(uri.param("rn")).for_each(within);
            assert!(!(uri.is_sip() && uri.host().is_empty()), "seed {seed}: {text:?}");
            let again = UriRef::parse(uri.as_str()).unwrap();
            assert_eq!((again.user(), again.host()), (uri.user(), uri.host()), "seed {seed}");
        }
        if let Ok(address) = NameAddrRef::parse(&text) {
            understood[1] += 1;
            [address.uri(), address.params()].into_iter().for_each(within);
            address.tag().into_iter().for_each(within);
            assert!(!address.uri().is_empty(), "seed {seed}: {text:?}");
        }
        if let Ok(via) = ViaRef::parse(&text) {
            understood[2] += 1;
            [via.transport(), via.host(), via.sent_by(), via.params()].into_iter().for_each(within);
            via.branch().into_iter().chain(via.param("maddr")).for_each(within);
            assert!(!via.host().is_empty(), "seed {seed}: {text:?}");
        }
    }
    assert!(understood.iter().all(|count| *count > ROUNDS / 20), "{understood:?}");
}
