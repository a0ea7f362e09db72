//! The scanner's tolerance and the builder's output (SIG-13, RFC 3261, RFC 3581).
// Test helpers may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use strowger_sip::{
    Flow, MAX_DATAGRAM, MAX_HEADERS, Message, MessageBuilder, Method, NameAddrRef, ParseError,
    UriRef, ViaRef, reason_phrase, salvage,
};

const INVITE: &str = "INVITE sip:1000@192.0.2.10:5060;transport=udp SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKabc;rport\r\n\
    Via: SIP/2.0/UDP 10.0.0.6;branch=z9hG4bKdef\r\n\
    Max-Forwards: 70\r\n\
    From: \"A, B <x>\" <sip:alice@example.com>;tag=a1\r\n\
    To: <sip:1000@192.0.2.10>\r\n\
    Call-ID: c1@10.0.0.5\r\n\
    CSeq: 7 INVITE\r\n\
    Contact: <sip:alice@10.0.0.5:5070>\r\n\
    Supported: timer, 100rel\r\n\
    Supported: replaces\r\n\
    Content-Length: 0\r\n\
    \r\n";

fn parse(text: &str) -> Message {
    Message::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn error(text: &str) -> ParseError {
    Message::parse(text.as_bytes()).unwrap_err()
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn an_ordinary_invite_is_read() {
    let invite = parse(INVITE);
    assert!(invite.is_request());
    assert_eq!((invite.method(), invite.status()), (&Method::Invite, 0));
    assert_eq!(invite.uri(), "sip:1000@192.0.2.10:5060;transport=udp");
    assert_eq!(invite.from().display(), "A, B <x>");
    assert_eq!(invite.from().uri(), "sip:alice@example.com");
    assert_eq!((invite.from_tag(), invite.to_tag()), (Some("a1"), None));
    let supported: Vec<&str> = invite.headers("supported").collect();
    assert_eq!(supported, ["timer", "100rel", "replaces"]);
    assert_eq!(invite.header("k"), Some("timer, 100rel"), "either form names it");
    assert_eq!(invite.headers("From").count(), 1, "its comma separates nothing");
    assert_eq!(invite.header_lines().count(), 11);
    assert_eq!(invite.validate_request(), Ok(()));
    assert_eq!(invite.to_bytes(), INVITE.as_bytes());
}

#[test]
fn sig_13_line_feeds_alone_and_leading_breaks_are_tolerated() {
    let loose = format!("\r\n\r\n{}", INVITE.replace("\r\n", "\n"));
    let invite = parse(&loose);
    assert_eq!(invite.call_id(), "c1@10.0.0.5");
    assert!(invite.body().is_empty());
    // A datagram that ends right after its last header line.
    assert_eq!(parse(INVITE.strip_suffix("\r\n").unwrap()).cseq().0, 7);
}

#[test]
fn keep_alives_and_empty_datagrams_are_no_messages() {
    assert_eq!(error(""), ParseError::Empty);
    for keep_alive in ["\r\n\r\n", "\r\n", "\0", "\0\0\0\0", " "] {
        assert_eq!(error(keep_alive), ParseError::KeepAlive);
        assert_eq!(
            salvage(Flow::datagram(0, socket("192.0.2.1:5060")), keep_alive.as_bytes()),
            None
        );
    }
}

#[test]
fn sig_13_messages_up_to_16_kb_and_256_headers_are_taken() {
    let line = format!("X-Filler: {}\r\n", "x".repeat(100));
    let filled = |count: usize| INVITE.replace("Content-Length", &(line.repeat(count) + "l"));
    assert_eq!(parse(&filled(140)).headers("X-Filler").count(), 140);
    assert!(
        matches!(error(&filled(200)), ParseError::TooLarge { length, .. } if length > MAX_DATAGRAM)
    );
    let short = |count: usize| INVITE.replace("Content-Length", &("A:\r\n".repeat(count) + "l"));
    parse(&short(MAX_HEADERS - 11));
    assert!(matches!(error(&short(MAX_HEADERS)), ParseError::TooManyHeaders { .. }));
    let answer =
        salvage(Flow::datagram(0, socket("192.0.2.1:5060")), filled(200).as_bytes()).unwrap();
    let text = String::from_utf8(answer).unwrap();
    assert!(text.starts_with("SIP/2.0 400 message of "), "{text}");
}

#[test]
fn rfc_3261_18_3_content_length_rules_over_datagrams() {
    let with = |header: &str, body: &str| {
        INVITE.replace("Content-Length: 0\r\n\r\n", &format!("{header}\r\n{body}"))
    };
    assert_eq!(parse(&with("l: 4\r\n", "bodytail")).body(), b"body", "smaller: cut");
    assert_eq!(parse(&with("", "bodytail")).body(), b"bodytail", "absent: the rest");
    assert_eq!(
        error(&with("l: 9\r\n", "bodytail")),
        ParseError::BodyTooShort { announced: 9, present: 8 }
    );
    for bad in ["l: 0x8\r\n", "l:\r\n", "l: +4\r\n", "l: 99999999999999999999\r\n"] {
        assert!(matches!(
            error(&with(bad, "bodytail")),
            ParseError::Header { header: "Content-Length", .. }
        ));
    }
}

#[test]
fn what_is_missing_or_broken_is_named() {
    for header in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let without: String = INVITE
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with(&format!("{header}:")))
            .collect();
        assert_eq!(error(&without), ParseError::Missing { header });
    }
    let cases = [
        (
            "Max-Forwards: 70",
            "no colon here",
            "header line at byte 156 has no colon after its name",
        ),
        ("Max-Forwards: 70", ": 70", "header line at byte 156 has no name"),
        ("Max-Forwards: 70", "X: a\0b", "control byte 0x00 at byte 160"),
        ("Max-Forwards: 70", "X: a\rTo: b", "control byte 0x0d at byte 160"),
        ("<sip:1000@192.0.2.10>", "<sip:1000@192.0.2.10", "bad To header: no `>` after the URI"),
        ("<sip:1000@192.0.2.10>", "<>", "bad To header: empty URI"),
        (
            "<sip:1000@192.0.2.10>",
            "<sip:a@b> x",
            "bad To header: text after `>` that is no parameter",
        ),
        ("7 INVITE", "INVITE", "bad CSeq header: is not `number method`"),
        ("c1@10.0.0.5", "", "bad Call-ID header: is empty"),
        ("INVITE sip:", "INVITE\tsip:", "bad start line: malformed method"),
        (" SIP/2.0\r\nVia: SIP", "\r\nVia: SIP", "bad start line: no SIP version at its end"),
        (
            "INVITE sip:1000@192.0.2.10:5060;transport=udp SIP",
            "INVITE SIP",
            "bad start line: no Request-URI",
        ),
    ];
    for (good, bad, expected) in cases {
        assert!(INVITE.contains(good), "{good}");
        assert_eq!(error(&INVITE.replacen(good, bad, 1)).to_string(), expected);
    }
    assert_eq!(error("INVITE sip:a SIP/2.0\r\nVia: x"), ParseError::Truncated);
}

#[test]
fn bytes_that_are_not_utf_8_do_not_cost_the_call() {
    let mut bytes = INVITE.replace("A, B <x>", "Jos#").into_bytes();
    let at = bytes.iter().position(|&byte| byte == b'#').unwrap();
    bytes[at] = 0xe9;
    let invite = Message::parse(&bytes).unwrap();
    assert_eq!(invite.from().display(), "Jos?");
    assert_eq!(invite.from_tag(), Some("a1"));
}

#[test]
fn name_addrs_in_all_their_shapes() {
    let read = |text: &'static str| NameAddrRef::parse(text).unwrap();
    let bare = read("sip:+4420@example.com:5070;tag=1;x=\"a;b\"");
    assert_eq!((bare.uri(), bare.tag()), ("sip:+4420@example.com:5070", Some("1")));
    assert_eq!(bare.param("X"), Some("a;b"));
    let quoted = read("\"a \\\"<q>\\\" b\"<sip:b@h;lr>;tag=2");
    assert_eq!((quoted.display().as_ref(), quoted.uri()), ("a \"<q>\" b", "sip:b@h;lr"));
    let tel = read("<tel:+1-201-555-0123;phone-context=x>");
    assert_eq!(tel.parse_uri().unwrap().user(), Some("+1-201-555-0123"));
    assert_eq!(read("Ext 12 - Bob <sip:b@h>").display(), "Ext 12 - Bob");
    assert_eq!(read("*").uri(), "*");
    for bad in ["", "<sip:a", "\"a <sip:b>", "\"a\" sip:b@h", "sip:a b", "a, b <sip:x>"] {
        assert!(NameAddrRef::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn uris_in_all_their_shapes() {
    let v6 = UriRef::parse("sips:a.b-c:pw@[2001:db8::1]:5061;lr?X=y").unwrap();
    assert_eq!((v6.user(), v6.password()), (Some("a.b-c"), Some("pw")));
    assert_eq!((v6.host(), v6.port()), ("[2001:db8::1]", Some(5061)));
    assert_eq!(v6.ip(), Some("2001:db8::1".parse().unwrap()));
    assert_eq!((v6.param("lr"), v6.headers()), (Some(""), "X=y"));
    let plain = UriRef::parse("SIP:example.com").unwrap();
    assert_eq!((plain.user(), plain.host(), plain.ip()), (None, "example.com", None));
    assert_eq!(UriRef::parse("sip:@10.0.0.1").unwrap().host(), "10.0.0.1", "hidden number");
    assert_eq!(UriRef::parse("urn:service:sos").unwrap().opaque(), "service:sos");
    let bad = [
        "",
        "sip",
        "sip:",
        "sip:a@",
        "sip:a@b:x",
        "sip:a@b:70000",
        "sip:[::1",
        "sip:[zz]",
        "1a:b",
        "sip:a@b c",
        "tel:",
        "sip:a@b/c",
    ];
    for text in bad {
        assert!(UriRef::parse(text).is_err(), "{text}");
    }
}

#[test]
fn rfc_3581_the_source_is_written_into_the_top_via() {
    let mut invite = parse(INVITE);
    assert_eq!(invite.response_address(), Some(socket("10.0.0.5:5070")));
    invite.set_source(socket("198.51.100.7:40000"));
    assert_eq!(invite.response_address(), Some(socket("198.51.100.7:40000")));
    let ringing = MessageBuilder::response_to(&invite, 180, reason_phrase(180)).to_tag("b2");
    let ringing = parse(&String::from_utf8(ringing.finish()).unwrap());
    assert_eq!((ringing.status(), ringing.reason_phrase()), (180, "Ringing"));
    assert_eq!(ringing.cseq(), (7, &Method::Invite));
    assert_eq!((ringing.from_tag(), ringing.to_tag()), (Some("a1"), Some("b2")));
    let vias: Vec<&str> = ringing.headers("Via").collect();
    let top = ViaRef::parse(vias[0]).unwrap();
    assert_eq!(top.response_address(), Some(socket("198.51.100.7:40000")));
    assert_eq!(
        (top.branch(), vias[1]),
        (Some("z9hG4bKabc"), "SIP/2.0/UDP 10.0.0.6;branch=z9hG4bKdef")
    );

    let mut without = parse(&INVITE.replace(";rport", ""));
    without.set_source(socket("198.51.100.7:40000"));
    assert_eq!(without.response_address(), Some(socket("198.51.100.7:5070")));
    let named = parse(&INVITE.replace("10.0.0.5:5070;branch", "pbx.local;branch"));
    assert_eq!(named.response_address(), None);
    let v6 = ViaRef::parse("SIP/2.0/UDP [2001:db8::5]:5070;received=2001:db8::9;rport=7").unwrap();
    assert_eq!(v6.response_address(), Some(socket("[2001:db8::9]:7")));
}

#[test]
fn responses_copy_what_rfc_3261_8_2_6_and_12_1_1_demand() {
    let text = INVITE.replace(
        "Max-Forwards: 70",
        "Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\nTimestamp: 54\r\nX-Secret: y",
    );
    let invite = parse(&text);
    let build = |status: u16| {
        let bytes = MessageBuilder::response_to(&invite, status, "x").to_tag("t").finish();
        parse(&String::from_utf8(bytes).unwrap())
    };
    assert_eq!(build(100).header("Timestamp"), Some("54"));
    let routes: Vec<String> = build(200).headers("Record-Route").map(str::to_owned).collect();
    assert_eq!(routes, ["<sip:p2;lr>", "<sip:p1;lr>"]);
    assert_eq!(build(404).header("Record-Route"), None);
    assert_eq!(build(200).header("X-Secret"), None);
}

#[test]
fn nothing_that_is_written_can_add_a_line() {
    let bytes = MessageBuilder::request(&Method::Options, "sip:a@b\r\nX-Evil: 1")
        .header("Via", "SIP/2.0/UDP h;branch=z9hG4bK1")
        .header("From", "<sip:a@b>;tag=1\r\nX-Evil: 2")
        .body("text/plain", b"hello\r\n")
        .finish();
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.contains("\nX-Evil"), "{text}");
    assert!(text.ends_with("Content-Type: text/plain\r\nContent-Length: 7\r\n\r\nhello\r\n"));
}

#[test]
fn validation_names_the_fault() {
    let cases = [
        ("Max-Forwards: 70", "Max-Forwards: 0", 483, "Too Many Hops"),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 256",
            400,
            "bad Max-Forwards header: not a number in 0-255",
        ),
        (
            "Max-Forwards: 70",
            "Max-Forwards: +7",
            400,
            "bad Max-Forwards header: not a number in 0-255",
        ),
        ("Max-Forwards: 70", "Require: 100rel", 420, "Bad Extension"),
        ("CSeq: 7", "CSeq: 2147483648", 400, "bad CSeq header: number is not below 2^31"),
        (
            "INVITE sip:1000@192.0.2.10:5060",
            "INVITE mailto:a",
            416,
            "unsupported URI scheme mailto",
        ),
        (
            "INVITE sip:1000@",
            "INVITE sip:1000@[::",
            400,
            "bad Request-URI: has an IPv6 address without `]`",
        ),
        ("Max-Forwards: 70", "t: <sip:x@y>", 400, "more than one To header"),
        ("<sip:alice@10.0.0.5:5070>", "*", 400, "bad Contact header: `*` outside REGISTER"),
        (
            "<sip:1000@192.0.2.10>",
            "<sip:1000@a b>",
            400,
            "bad To header: white space, quote or bracket inside the URI",
        ),
        ("Max-Forwards: 70", "Accept: text/plain", 406, "Accept excludes application/sdp"),
    ];
    for (good, bad, status, reason) in cases {
        let text = INVITE.replacen(good, bad, 1);
        match Message::parse(text.as_bytes()) {
            Ok(message) => {
                let refusal = message.validate_request().expect_err(bad);
                assert_eq!((refusal.status, refusal.reason.as_str()), (status, reason));
            }
            Err(error) => assert_eq!((status, error.to_string().as_str()), (400, reason)),
        }
    }
    let reliable = parse(&INVITE.replace("Max-Forwards: 70", "Require: 100rel"));
    assert_eq!(reliable.validate_request_for(&["100rel"]), Ok(()));
    let tel =
        parse(&INVITE.replace("INVITE sip:1000@192.0.2.10:5060;transport=udp", "INVITE tel:+4420"));
    assert_eq!(tel.validate_request(), Ok(()));
}

#[test]
fn status_codes_have_their_reason_phrases() {
    let phrases = [(100, "Trying"), (200, "OK"), (404, "Not Found"), (486, "Busy Here")];
    for (status, phrase) in phrases {
        assert_eq!(reason_phrase(status), phrase);
    }
    assert_eq!(reason_phrase(481), "Call/Transaction Does Not Exist");
    assert_eq!((reason_phrase(299), reason_phrase(7)), ("Unknown", "Unknown"));
}
