//! Our own descriptions, and the agreement of two sides through us (MEDIA-22, MEDIA-23, RFC 3264).
// Test helpers may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use strowger_sip::SessionDescription;
use strowger_sip::sdp::{Agreement, Audio, Direction, Origin, PayloadType, Settled, settle};

fn origin() -> Origin {
    Origin { session_id: 77, version: 3, address: "192.0.2.9".parse().unwrap() }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn parsed(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).unwrap()
}

/// A description with these media lines.
fn describing(media: &str) -> SessionDescription {
    parsed(&format!(
        "v=0\r\no=- 1 1 IN IP4 10.1.2.3\r\ns=-\r\nc=IN IP4 10.1.2.3\r\nt=0 0\r\n{media}"
    ))
}

/// An audio stream with these payload types; 101 and 97 are telephone events.
fn audio(numbers: &str) -> SessionDescription {
    let mut media = format!("m=audio 4000 RTP/AVP {numbers}\r\n");
    for (number, encoding) in
        [("101", "telephone-event/8000"), ("97", "telephone-event/8000"), ("18", "G729/8000")]
    {
        if numbers.split(' ').any(|listed| listed == number) {
            media += &format!("a=rtpmap:{number} {encoding}\r\n");
        }
    }
    describing(&media)
}

fn g711() -> Vec<PayloadType> {
    let of = |number, name: &str| PayloadType {
        number,
        name: name.into(),
        clock_hz: 8_000,
        channels: 1,
        fmtp: None,
    };
    vec![of(8, "PCMA"), of(0, "PCMU")]
}

fn numbers(types: &[PayloadType]) -> Vec<u8> {
    types.iter().map(|found| found.number).collect()
}

/// The outcome of an answer to an offer that we sent on with the codecs we convert.
fn settled(offer: &str, answer: &str, bound: Option<&[PayloadType]>) -> Settled {
    let (offer, answer) = (audio(offer), audio(answer));
    let offered = &offer.streams()[0];
    let added = offered.convertible_beside(&g711());
    settle(offered, &added, &answer.streams()[0], &g711(), bound)
}

fn agreed(offer: &str, answer: &str) -> Agreement {
    match settled(offer, answer, None) {
        Settled::Converted(agreement) => agreement,
        Settled::Shared => panic!("{offer} / {answer} is shared"),
    }
}

#[test]
fn an_offer_of_ours_is_a_whole_description() {
    let mut formats = g711();
    formats.push(PayloadType {
        number: 101,
        name: "telephone-event".into(),
        clock_hz: 8_000,
        channels: 1,
        fmtp: Some("0-15".into()),
    });
    let audio = Audio {
        rtp: socket("192.0.2.9:10000"),
        formats: &formats,
        direction: Direction::SendRecv,
        ptime_ms: Some(20),
    };
    let offer = String::from_utf8(audio.offer(&origin())).unwrap();
    assert_eq!(
        offer,
        "v=0\r\no=switch 77 3 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio 10000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    let read = parsed(&offer);
    assert_eq!(read.streams()[0].payload_types, formats);
}

/// RFC 3264 section 6: one stream for each stream of the offer, in its order; a refused stream has
/// port 0.
#[test]
fn an_answer_of_ours_refuses_what_is_not_audio() {
    let offer = describing(
        "m=video 5000 RTP/AVP 31\r\nm=audio 4000 RTP/AVPF 0 8\r\nm=audio 4002 RTP/AVP 9\r\n",
    );
    let (rtp, formats) = (socket("[2001:db8::1]:10000"), &g711()[..1]);
    let audio = Audio { rtp, formats, direction: Direction::RecvOnly, ptime_ms: None };
    let answer = String::from_utf8(audio.answer(&offer, &origin())).unwrap();
    let media = &answer[answer.find("m=").unwrap()..];
    assert_eq!(
        media,
        "m=video 0 RTP/AVP 31\r\nm=audio 10000 RTP/AVPF 8\r\nc=IN IP6 2001:db8::1\r\n\
         a=rtpmap:8 PCMA/8000\r\na=recvonly\r\nm=audio 0 RTP/AVP 9\r\n"
    );
}

/// MEDIA-23: the caller's codecs first, then those that we can convert to; if nothing can be
/// converted, nothing is added.
#[test]
fn an_offer_goes_on_with_what_can_be_converted() {
    let added =
        |offer: &SessionDescription| numbers(&offer.streams()[0].convertible_beside(&g711()));
    assert_eq!(added(&audio("0 18 101")), [8]);
    assert_eq!(added(&audio("8")), [0]);
    assert!(added(&audio("8 0")).is_empty(), "has both");
    assert!(added(&audio("18 101")).is_empty(), "has none that we know");
    let secure = describing("m=audio 4000 RTP/SAVP 8\r\n");
    assert!(added(&secure).is_empty(), "cannot be read");

    let offer = describing("m=audio 4000 RTP/AVP 0 101 \r\na=rtpmap:101 telephone-event/8000\r\n");
    let extended = offer.extend_first_audio(&origin(), socket("192.0.2.9:10000"), &g711()[..1]);
    let extended = String::from_utf8(extended).unwrap();
    let media = &extended[extended.find("m=").unwrap()..];
    assert_eq!(
        media,
        "m=audio 10000 RTP/AVP 0 101 8\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\n"
    );
}

/// MEDIA-23: a codec that both have is not converted.
#[test]
fn an_answer_of_the_offerers_codecs_is_shared() {
    for (offer, answer) in [("0 8 101", "8 101"), ("18 0", "18"), ("0 101", "0"), ("0", "101")] {
        assert_eq!(settled(offer, answer, None), Settled::Shared, "{offer} / {answer}");
    }
    assert_eq!(settled("0", "18", None), Settled::Shared, "nobody can help");
}

/// MEDIA-22, MEDIA-23: the offerer is answered with a codec of its own, the answerer keeps its
/// choice; each side gets events under its own payload type.
#[test]
fn an_answer_with_another_codec_is_converted() {
    let agreement = agreed("0 101", "8 97");
    assert_eq!(numbers(&agreement.answer), [0, 101]);
    assert_eq!(numbers(&agreement.offerer.sends), [0, 101]);
    assert_eq!(numbers(&agreement.offerer.wants), [0, 101]);
    assert_eq!(numbers(&agreement.answerer.sends), [0, 101, 8]);
    assert_eq!(numbers(&agreement.answerer.wants), [8, 97]);
}

/// RFC 3264 section 6.1: an answer may list several codecs; our answer to the offerer lists only
/// codecs that it offered.
#[test]
fn an_answer_of_several_codecs_is_cut_to_one_of_the_offer() {
    let agreement = agreed("18 0 101", "8 0 101");
    assert_eq!(numbers(&agreement.answer), [0, 101], "one that the answerer takes too");
    assert_eq!(numbers(&agreement.answerer.wants), [8, 0, 101]);
    let agreement = agreed("18 0 101", "18 8 101");
    assert_eq!(numbers(&agreement.answer), [18, 101], "the answerer's choice needs no conversion");
    assert_eq!(numbers(&agreement.answerer.sends), [18, 0, 101, 8]);
}

/// RFC 3261 section 13.2.1: a caller that heard our tone already has its answer; it stands as long
/// as the vendor's audio can be converted to it.
#[test]
fn an_answer_that_was_given_stands() {
    let offer = audio("0 8 18 101");
    let given = offer.streams()[0].answer_alone(&g711()).unwrap();
    assert_eq!(numbers(&given), [0, 101]);
    let Settled::Converted(agreement) = settled("0 8 18 101", "8 101", Some(&given)) else {
        panic!("the answer was given");
    };
    assert_eq!(numbers(&agreement.answer), [0, 101]);
    assert_eq!(numbers(&agreement.answerer.wants), [8, 101]);
    assert_eq!(settled("0 8 18 101", "18", Some(&given)), Settled::Shared);
    assert_eq!(audio("18").streams()[0].answer_alone(&g711()), None);
}
