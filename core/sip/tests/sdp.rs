//! Session descriptions through the relay (SIG-04, MEDIA-11, RFC 8866, RFC 3264).
// Test helpers may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::net::{IpAddr, SocketAddr};
use strowger_sip::sdp::{self, Direction, MediaKind, Origin, SdpError, StreamPlan};
use strowger_sip::{Message, SessionDescription};

const OFFER: &str = "v=0\r\n\
    o=alice 2890844526 2890844527 IN IP4 10.1.2.3\r\n\
    s=Call from 10.1.2.3\r\n\
    c=IN IP4 10.1.2.3\r\n\
    t=0 0\r\n\
    a=X-odd:  two  spaces \r\n\
    m=audio 49170 RTP/AVP 8 0 101 96\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=rtpmap:96 opus/48000/2\r\n\
    a=candidate:1 1 UDP 2130706431 10.1.2.3 49170 typ host\r\n\
    a=ice-ufrag:abcd\r\n\
    a=ptime:20\r\n\
    m=video 51372 RTP/AVP 31\r\n\
    c=IN IP4 10.1.2.4\r\n\
    a=sendonly\r\n";

fn origin() -> Origin {
    Origin { session_id: 77, version: 3, address: address("192.0.2.9") }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn parsed(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn relayed(text: &str, rtp: &str) -> String {
    let bytes = parsed(text).rewrite_first_audio(&origin(), socket(rtp));
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_streams_tell_where_the_peer_receives_and_what() {
    let offer = parsed(OFFER);
    assert_eq!(offer.origin_version(), Some((2890844526, 2890844527)));
    let (index, audio) = offer.first_audio().unwrap();
    assert_eq!((index, &audio.kind), (0, &MediaKind::Audio));
    assert_eq!(audio.rtp_address(), Some(socket("10.1.2.3:49170")));
    assert_eq!(audio.rtcp_address(), Some(socket("10.1.2.3:49171")));
    assert_eq!((audio.direction, audio.ptime_ms), (Direction::SendRecv, Some(20)));
    let types: Vec<(u8, &str, u32, u8)> = audio
        .payload_types
        .iter()
        .map(|t| (t.number, t.name.as_str(), t.clock_hz, t.channels))
        .collect();
    let expected = [
        (8, "PCMA", 8000, 1),
        (0, "PCMU", 8000, 1),
        (101, "telephone-event", 8000, 1),
        (96, "opus", 48000, 2),
    ];
    assert_eq!(types, expected);
    assert_eq!(audio.payload_types[2].fmtp.as_deref(), Some("0-15"));
    let video = &offer.streams()[1];
    assert_eq!(video.rtp_address(), Some(socket("10.1.2.4:51372")));
    assert!(video.is_held() && !audio.is_held());
}

#[test]
fn sig_04_the_rewritten_offer_shows_our_addresses_only() {
    let text = relayed(OFFER, "192.0.2.9:20000");
    let expected = "v=0\r\n\
        o=switch 77 3 IN IP4 192.0.2.9\r\n\
        s=-\r\n\
        c=IN IP4 192.0.2.9\r\n\
        t=0 0\r\n\
        a=X-odd:  two  spaces \r\n\
        m=audio 20000 RTP/AVP 8 0 101 96\r\n\
        a=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\n\
        a=rtpmap:96 opus/48000/2\r\n\
        a=ptime:20\r\n\
        m=video 0 RTP/AVP 31\r\n\
        c=IN IP4 192.0.2.9\r\n\
        a=sendonly\r\n";
    assert_eq!(text, expected);
    assert!(!text.contains("10.1.2"));
}

/// Lines of an upstream peer that must not reach the downstream side.
const TELLING: &str = "v=0\r\n\
    o=alice 2890844526 7 IN IP4 10.1.2.3\r\n\
    s=Call from pbx.example\r\n\
    i=Alice at pbx.example\r\n\
    u=http://pbx.example/\r\n\
    e=alice@pbx.example\r\n\
    p=+44 20 7946 0901\r\n\
    y=pbx.example\r\n\
    c=IN IP4 198.51.100.7\r\n\
    b=AS:80\r\n\
    t=0 0\r\n\
    a=tool:pbx.example 4\r\n\
    a=ice-lite\r\n\
    m=audio 49170 RTP/AVP 8\r\n\
    i=pbx.example\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=candidate:1 1 UDP 2130706431 10.1.2.3 49170 typ host\r\n\
    a=alt:1 1 : 8F2E7D12 4C3B2A19 10.1.2.3 49170\r\n\
    a=rtcp:49180\r\n\
    m=video 51372 RTP/AVP 31\r\n\
    a=x-host:10.1.2.3:51372\r\n";

#[test]
fn sig_04_a_description_tells_nobody_who_made_it() {
    let expected = "v=0\r\no=switch 77 3 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 198.51.100.7\r\n\
        b=AS:80\r\nt=0 0\r\nm=audio 49170 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n\
        a=rtcp:49180\r\nm=video 51372 RTP/AVP 31\r\n";
    let concealed = parsed(TELLING).conceal(&origin());
    assert_eq!(String::from_utf8(concealed).unwrap(), expected, "where media go past us");
    let text = relayed(TELLING, "192.0.2.9:20000");
    for own in ["pbx.example", "10.1.2.3", "198.51.100.7", "7946", "2890844526"] {
        assert!(!text.contains(own), "{own} in {text}");
    }
}

/// An attribute with an address anywhere in it is dropped; the other lines of the media stay.
#[test]
fn sig_04_no_attribute_carries_an_address_out() {
    let pieces = [
        "10.1.2.3",
        "2001:db8::7",
        " ",
        ":",
        ";",
        "=",
        "host",
        "/",
        "@",
        "[",
        "]",
        "\"",
        ",",
        "-",
        "_",
        "x",
        "1",
        ".",
        "|",
        "(",
        ")",
    ];
    let mut rng = StdRng::seed_from_u64(11);
    let mut dropped = 0;
    for _ in 0..20_000 {
        let length = rng.random_range(1..8);
        let value: String =
            (0..length).map(|_| pieces[rng.random_range(0..pieces.len())]).collect();
        let text = format!(
            "v=0\r\no=a 1 1 IN IP4 10.1.2.3\r\ns=a\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 8\r\na=x-any:{value}\r\na=rtpmap:8 PCMA/8000\r\n"
        );
        let concealed = String::from_utf8(parsed(&text).conceal(&origin())).unwrap();
        assert!(concealed.ends_with("a=rtpmap:8 PCMA/8000\r\n"), "{concealed}");
        // Compare whole runs: `110.1.2.3` and `2001:db8::71` are other addresses, dropped as well.
        let kept = concealed.contains("x-any");
        let whole = value.split(|c: char| !(c.is_ascii_hexdigit() || ".:".contains(c)));
        let named = whole.clone().any(|run| run == "10.1.2.3" || run == "2001:db8::7");
        assert!(!(named && kept), "{value}");
        dropped += u32::from(!kept);
    }
    assert!(dropped > 1_000, "{dropped}");
}

/// sipp's regexp client expects three words of letters and digits in `o=`, or fails the call.
#[test]
fn the_origin_is_made_of_letters_and_digits() {
    let text = relayed(TELLING, "192.0.2.9:20000");
    let origin = text.lines().find_map(|line| line.strip_prefix("o=")).unwrap();
    let words: Vec<&str> = origin.split(' ').collect();
    assert_eq!(words.len(), 6, "{origin}");
    let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(words[..3].iter().all(|word| plain(word) && !word.is_empty()), "{origin}");
}

#[test]
fn a_line_that_is_dropped_at_the_end_leaves_whole_lines() {
    let cut = TELLING.trim_end();
    let concealed = String::from_utf8(parsed(cut).conceal(&origin())).unwrap();
    assert!(concealed.ends_with("m=video 51372 RTP/AVP 31\r\n"), "{concealed}");
    parsed(&concealed);
    assert_eq!(parsed(&concealed).conceal(&origin()), concealed.as_bytes(), "once is enough");
}

#[test]
fn rfc_3605_an_rtcp_attribute_is_read_and_written() {
    let offer = "v=0\no=- 1 1 IN IP6 2001:db8::1\ns=-\nc=IN IP6 2001:db8::1\nt=0 0\n\
        m=audio 4000 RTP/AVP 0\na=rtcp:53020 IN IP6 2001:db8::2\na=x\n";
    let description = parsed(offer);
    let (_, audio) = description.first_audio().unwrap();
    assert_eq!(audio.rtp_address(), Some(socket("[2001:db8::1]:4000")));
    assert_eq!(audio.rtcp_address(), Some(socket("[2001:db8::2]:53020")));
    let plan =
        StreamPlan::Relay { rtp: socket("192.0.2.9:20000"), rtcp: socket("192.0.2.9:20005") };
    let text = String::from_utf8(description.rewrite(&origin(), &[plan])).unwrap();
    let expected = "v=0\no=switch 77 3 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n\
        m=audio 20000 RTP/AVP 0\na=rtcp:20005 IN IP4 192.0.2.9\na=x\n";
    assert_eq!(text, expected, "IPv6 to IPv4, line ends as they came");

    let plain = offer.replace("a=rtcp:53020 IN IP6 2001:db8::2\n", "");
    let text = String::from_utf8(parsed(&plain).rewrite(&origin(), &[plan])).unwrap();
    assert!(text.ends_with("a=x\na=rtcp:20005 IN IP4 192.0.2.9\r\n"), "{text}");
    let text = relayed(&plain, "192.0.2.9:20000");
    assert!(!text.contains("a=rtcp"), "{text}");
}

#[test]
fn rfc_5761_muxed_rtcp_shares_the_port() {
    let offer = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n";
    let description = parsed(offer);
    let (_, audio) = description.first_audio().unwrap();
    assert_eq!(audio.rtcp_address(), audio.rtp_address());
}

#[test]
fn hold_in_all_its_forms_is_seen_and_passes_through() {
    let session = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n";
    let media = "m=audio 4000 RTP/AVP 0\r\n";
    for attribute in ["sendonly", "inactive"] {
        let description = parsed(&format!("{session}{media}a={attribute}\r\n"));
        assert!(description.streams()[0].is_held());
        let description = parsed(&format!("{session}a={attribute}\r\n{media}"));
        assert!(description.streams()[0].is_held(), "the session's direction counts");
        let description = parsed(&format!("{session}a={attribute}\r\n{media}a=sendrecv\r\n"));
        assert!(!description.streams()[0].is_held(), "the stream's goes before it");
    }
    let old_style = format!("{session}{media}c=IN IP4 0.0.0.0\r\n");
    assert!(parsed(&old_style).streams()[0].is_held());
    let text = relayed(&old_style, "192.0.2.9:20000");
    assert!(text.contains("m=audio 20000 ") && text.ends_with("c=IN IP4 0.0.0.0\r\n"), "{text}");
    assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
}

#[test]
fn a_stream_on_another_relay_address_gets_its_own_connection_line() {
    let offer = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0\r\ni=voice\r\na=ptime:20\r\nm=audio 4002 RTP/AVP 0\r\n";
    let plans = [
        StreamPlan::relay(socket("[2001:db8::9]:20000")),
        StreamPlan::relay(socket("[2001:db8::9]:20002")),
    ];
    let text = String::from_utf8(parsed(offer).rewrite(&origin(), &plans)).unwrap();
    let expected = "c=IN IP4 192.0.2.9\r\nt=0 0\r\n\
        m=audio 20000 RTP/AVP 0\r\nc=IN IP6 2001:db8::9\r\na=ptime:20\r\n\
        m=audio 20002 RTP/AVP 0\r\nc=IN IP6 2001:db8::9\r\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn odd_descriptions_are_understood_as_far_as_they_go() {
    let no_break = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000/2 RTP/AVP 0";
    assert_eq!(parsed(no_break).streams()[0].rtp_address(), None, "no c= at all");
    let text = relayed(no_break, "192.0.2.9:20000");
    assert!(text.ends_with("m=audio 20000 RTP/AVP 0\r\nc=IN IP4 192.0.2.9\r\n"), "{text}");

    let named = "v=0\no=- x y IN IP4 h\ns=é\nc=IN IP4 host.example.com\n\nt=0 0\nm=audio  4000  RTP/AVP  0 8\nm=image 5000 udptl t38\n";
    let description = parsed(named);
    assert_eq!(description.origin_version(), None);
    assert_eq!(description.streams()[0].connection, None);
    assert_eq!(description.streams()[1].kind, MediaKind::Image);
    let text = relayed(named, "192.0.2.9:20000");
    assert!(text.contains("m=audio  20000  RTP/AVP  0 8\nm=image 0 udptl t38\n"), "{text}");

    let address = |connection: &str| {
        let named = named.replace("c=IN IP4 host.example.com", connection);
        parsed(&named).streams()[0].connection.map(|address| address.to_string())
    };
    assert_eq!(address("c=IN IP6 [2001:db8::7]").as_deref(), Some("2001:db8::7"));
    assert_eq!(address("c=IN IP6 2001:db8::7").as_deref(), Some("2001:db8::7"));
    for wrong in ["c=IN IP6 [2001:db8::7", "c=IN IP4 [192.0.2.7]", "c=IN IP4", "c=IN IP6 []"] {
        assert_eq!(address(wrong), None, "{wrong}");
    }

    let declined = OFFER.replace("m=audio 49170", "m=audio 0");
    assert!(parsed(&declined).first_audio().is_none());
    assert!(relayed(&declined, "192.0.2.9:20000").contains("m=audio 0 "));
}

#[test]
fn what_is_no_description_is_refused_with_the_line() {
    let error = |text: &str| SessionDescription::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error(""), SdpError::Version);
    assert_eq!(error("v=1\r\n"), SdpError::Version);
    assert_eq!(error("v=0\r\ns=-\r\n"), SdpError::Origin);
    let shown = error("v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 70000 RTP/AVP 0\r\n").to_string();
    let expected =
        "session description, line 3: `m=audio 70000 RTP/AVP 0` has a port outside 0-65535";
    assert_eq!(shown, expected);
    assert!(error("v=0\r\nnonsense\r\n").to_string().contains("line 2: `nonsense`"));
}

#[test]
fn the_description_is_found_in_a_multipart_body() {
    let body = format!(
        "preamble\r\n--b1\r\nContent-Type: application/isup;version=itu\r\n\r\n\x01\x02\r\n\
         --b1\r\nContent-Type: Application/SDP\r\nContent-Disposition: session\r\n\r\n{OFFER}\r\n--b1--\r\n"
    );
    let message = |content_type: &str, body: &str| {
        let text = format!(
            "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n\
             From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\n\
             CSeq: 1 INVITE\r\nc: {content_type}\r\nl: {}\r\n\r\n{body}",
            body.len()
        );
        Message::parse(text.as_bytes()).unwrap()
    };
    let multipart = message("multipart/mixed; boundary=\"b1\"", &body);
    assert_eq!(sdp::body_of(&multipart), Some(OFFER.as_bytes()));
    let plain = message("Application/SDP; charset=utf-8", OFFER);
    assert_eq!(sdp::body_of(&plain), Some(OFFER.as_bytes()));
    assert_eq!(sdp::body_of(&message("text/plain", "hello")), None);
    assert_eq!(sdp::body_of(&message("multipart/mixed;boundary=b2", &body)), None);
}
