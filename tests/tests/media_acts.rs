//! The relay acting on media, with real sockets: transcoding, playback of tones and files, one
//! stream across a failover, calls ended by silence.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use strowger_tests::raw::RawCaller;
use strowger_tests::sipp::{audio_address, header};
use strowger_tests::stage::Stage;
use strowger_tests::switch::Setup;
use strowger_tests::wait;

const CALLEE: &str = "442071234567";
const PACKET: Duration = Duration::from_millis(20);

/// A received packet.
#[derive(Debug)]
struct Heard {
    payload_type: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

/// A telephone or gateway: hand-written SIP, and audio.
struct Peer {
    sip: RawCaller,
    rtp: UdpSocket,
    /// Formats of its SDP.
    formats: &'static str,
    ssrc: u32,
    sent: u16,
}

impl Peer {
    fn at(address: IpAddr, switch: SocketAddr, formats: &'static str, ssrc: u32) -> Peer {
        let rtp = UdpSocket::bind((address, 40_000)).expect("the address is free");
        Peer { sip: RawCaller::at(address, switch), rtp, formats, ssrc, sent: 0 }
    }

    fn sdp(&self) -> String {
        let address = self.rtp.local_addr().expect("bound").ip();
        let mut sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP {}\r\n",
            self.formats
        );
        for events in self.formats.split(' ').filter(|number| number.len() > 1) {
            sdp += &format!("a=rtpmap:{events} telephone-event/8000\r\n");
        }
        sdp
    }

    /// Answers a request of the switch, with or without SDP.
    fn answers(&self, request: &str, status: &str, described: bool) {
        let of = |name: &str| header(request, name).expect("a request of the switch has it");
        let to = of("To");
        let tag = if to.contains("tag=") { "" } else { ";tag=gateway" };
        let local = self.rtp.local_addr().expect("bound").ip();
        let body = if described { self.sdp() } else { String::new() };
        let kind = if described { "Content-Type: application/sdp\r\n" } else { "" };
        self.sip.send(&format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:gateway@{local}:5060>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            of("Via"),
            of("From"),
            of("Call-ID"),
            of("CSeq"),
            body.len(),
        ));
    }

    fn gets(&self, method: &str) -> String {
        self.sip.hear(method, |message| message.starts_with(method))
    }

    fn says(&mut self, to: SocketAddr, payload_type: u8, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sent.to_be_bytes());
        packet.extend((u32::from(self.sent) * 160).to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sent += 1;
        self.rtp.send_to(&packet, to).expect("loopback takes packets");
    }

    /// The next packet, unless none comes for half a second.
    fn hears(&self) -> Option<Heard> {
        self.rtp.set_read_timeout(Some(Duration::from_millis(500))).expect("a time is set");
        let mut buffer = [0; 2048];
        let (length, _) = self.rtp.recv_from(&mut buffer).ok()?;
        let word = |at: usize| {
            u32::from_be_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]])
        };
        Some(Heard {
            payload_type: buffer[1] & 0x7f,
            marker: buffer[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([buffer[2], buffer[3]]),
            timestamp: word(4),
            ssrc: word(8),
            payload: buffer[12..length].to_vec(),
        })
    }

    /// Packets received within a time.
    fn hears_for(&self, time: Duration) -> Vec<Heard> {
        let end = Instant::now() + time;
        let mut heard = Vec::new();
        while Instant::now() < end {
            heard.extend(self.hears());
        }
        heard
    }
}

/// A call from the customer to vendor A.
struct Talk {
    stage: Stage,
    caller: Peer,
    vendor: Peer,
    invite: String,
    /// The SDP sent to the vendor.
    offer: String,
}

impl Talk {
    fn begin(setup: &Setup, caller: &'static str, vendor: &'static str) -> Talk {
        let stage = Stage::with(setup);
        let switch = stage.switch.address();
        let caller = Peer::at(stage.net.caller(), switch, caller, 0xca11);
        let vendor = Peer::at(stage.net.vendor_a(), switch, vendor, 0xfe2d);
        let invite = caller.sip.invite_with("acts", CALLEE, &caller.sdp());
        caller.sip.send(&invite);
        let offer = vendor.gets("INVITE");
        Talk { stage, caller, vendor, invite, offer }
    }

    /// The vendor answers and the caller acknowledges; returns the 200, and where each side sends.
    fn connect(&self) -> (String, SocketAddr, SocketAddr) {
        self.vendor.answers(&self.offer, "200 OK", true);
        let ok = self.caller.sip.hear_final("acts", "1 INVITE");
        self.caller.sip.send(&self.caller.sip.in_dialog(&self.invite, &ok, "ACK", 1));
        let at_caller = audio_address(&ok).expect("an answer");
        (ok, at_caller, audio_address(&self.offer).expect("an offer"))
    }

    /// The caller hangs up; all resources are released.
    fn end(&self, ok: &str) {
        self.caller.sip.send(&self.caller.sip.in_dialog(&self.invite, ok, "BYE", 2));
        let bye = self.vendor.gets("BYE");
        self.vendor.answers(&bye, "200 OK", false);
        assert!(self.caller.sip.hear_final("acts", "2 BYE").starts_with("SIP/2.0 200 "));
        self.nothing_is_left();
    }

    fn nothing_is_left(&self) {
        for metric in ["strowger_relay_pairs_used", "strowger_relay_sessions"] {
            wait::until(metric, Duration::from_secs(10), || {
                (self.stage.switch.metric(metric, &[]) == 0.0).then_some(())
            });
        }
    }
}

/// The `m=` line of a message.
fn media_line(message: &str) -> &str {
    message.lines().find(|line| line.starts_with("m=")).expect("a stream")
}

/// Asserts one stream: same SSRC, consecutive sequence numbers, advancing timestamps.
fn assert_one_stream(heard: &[Heard]) {
    for pair in heard.windows(2) {
        assert_eq!(pair[0].ssrc, pair[1].ssrc, "{pair:?}");
        assert_eq!(pair[0].sequence.wrapping_add(1), pair[1].sequence, "{pair:?}");
        let later = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((160..80_000).contains(&later), "{pair:?}");
    }
}

/// MEDIA-21, MEDIA-22, MEDIA-23: A-law to µ-law; telephone events are preserved.
#[test]
fn a_vendor_of_the_other_law_is_understood() {
    let mut talk = Talk::begin(&Setup::new(), "8 101", "0 97");
    assert!(media_line(&talk.offer).ends_with(" 8 101 0"), "{}", talk.offer);
    let (ok, at_caller, at_vendor) = talk.connect();
    assert!(media_line(&ok).ends_with(" RTP/AVP 8 101"), "{ok}");

    // The digital milliwatt in both laws (ITU-T G.711 tables 5 and 6).
    let [a, mu] = [
        [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4],
        [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e],
    ]
    .map(|tone: [u8; 8]| tone.repeat(20));
    for number in 0..20 {
        talk.caller.says(at_caller, 8, &a);
        let heard = talk.vendor.hears().expect("audio");
        assert_eq!((heard.payload_type, &heard.payload), (0, &mu), "packet {number}");
        talk.vendor.says(at_vendor, 0, &mu);
        let heard = talk.caller.hears().expect("audio");
        assert_eq!((heard.payload_type, &heard.payload), (8, &a), "packet {number}");
    }
    let digit = [5, 0x0a, 0, 160];
    talk.caller.says(at_caller, 0x80 | 101, &digit);
    let heard = talk.vendor.hears().expect("an event");
    assert_eq!((heard.payload_type, heard.marker, heard.payload), (97, true, digit.to_vec()));
    talk.end(&ok);
    let record = talk.stage.switch.record();
    record.shows("/media/codec", "PCMA").shows("/attempts/0/media/codec", "PCMU");
}

/// MEDIA-13, MEDIA-12: a tone from 180 to the answer, then the vendor in the same stream.
#[test]
fn a_caller_hears_a_tone_until_the_vendor_answers() {
    let mut setup = Setup::new();
    setup.vendor_a = "ringback = \"if_no_early_media\"\nringback_sound = \"gb\"".to_owned();
    let mut talk = Talk::begin(&setup, "8 101", "8 101");
    talk.vendor.answers(&talk.offer, "180 Ringing", false);
    let early = talk.caller.sip.hear("183", |message| message.starts_with("SIP/2.0 183 "));
    assert!(media_line(&early).ends_with(" RTP/AVP 8 101"), "{early}");
    let mut heard = talk.caller.hears_for(Duration::from_millis(1_500));
    assert!((60..90).contains(&heard.len()), "{} packets in 1.5 s", heard.len());
    assert!(heard.iter().all(|packet| (packet.payload_type, packet.payload.len()) == (8, 160)));
    // Two rings of 400 ms, 200 ms apart; silent packets contain one value only.
    let sounds = |packet: &Heard| packet.payload.iter().any(|code| code | 0x80 != 0xd5);
    let loud = heard.iter().filter(|packet| sounds(packet)).count();
    assert!((36..46).contains(&loud), "{loud} packets sound");

    let (ok, at_caller, at_vendor) = talk.connect();
    assert_eq!(audio_address(&early), Some(at_caller));
    heard.extend(talk.caller.hears_for(Duration::from_millis(600)));
    for _ in 0..10 {
        talk.vendor.says(at_vendor, 8, &[0x11; 160]);
        std::thread::sleep(PACKET);
    }
    let after = talk.caller.hears_for(Duration::from_millis(600));
    let of_vendor = after.iter().filter(|packet| packet.payload == [0x11; 160]).count();
    assert_eq!(of_vendor, 10);
    heard.extend(after);
    assert!(heard.last().is_some_and(|packet| packet.payload == [0x11; 160]), "the tone has ended");
    assert_one_stream(&heard);
    talk.end(&ok);
}

/// MEDIA-13: a file of the node replaces the tone; one that cannot be played prevents the start,
/// with the reason.
#[test]
fn a_caller_hears_a_file_of_the_node() {
    let mut setup = Setup::new();
    setup.media = "sounds = { hello = \"hello.wav\" }".to_owned();
    setup.vendor_a = "ringback = \"always\"\nringback_sound = \"hello\"".to_owned();
    let folder = setup.write();
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x07\0\x01\0".to_vec();
    file.extend([0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0]);
    file.extend(b"data\x40\x01\0\0");
    file.extend([0x1e; 160]);
    file.extend([0x8b; 160]);
    std::fs::write(folder.path().join("hello.wav"), file).expect("written");
    let stage = Stage::on(&setup, folder);
    let switch = stage.switch.address();
    let caller = Peer::at(stage.net.caller(), switch, "0", 0xca11);
    let vendor = Peer::at(stage.net.vendor_a(), switch, "0", 0xfe2d);
    let invite = caller.sip.invite_with("file", CALLEE, &caller.sdp());
    caller.sip.send(&invite);
    let offer = vendor.gets("INVITE");
    vendor.answers(&offer, "183 Session Progress", true);
    caller.sip.hear("183", |message| message.starts_with("SIP/2.0 183 "));
    let heard = caller.hears_for(Duration::from_millis(400));
    assert!(heard.len() > 10, "{}", heard.len());
    for (number, packet) in heard.iter().enumerate() {
        let expected = if number % 2 == 0 { 0x1e } else { 0x8b };
        assert_eq!(packet.payload, [expected; 160], "packet {number}");
    }
    assert_one_stream(&heard);
    caller.sip.send(
        &invite
            .replace("INVITE", "CANCEL")
            .split("Content-Type")
            .next()
            .map_or_else(String::new, |head| format!("{head}Content-Length: 0\r\n\r\n")),
    );
    let cancel = vendor.gets("CANCEL");
    vendor.answers(&cancel, "200 OK", false);
    vendor.answers(&offer, "487 Request Terminated", false);
    caller.sip.hear_final("file", "1 INVITE");
    stage.switch.record().shows("/end_reason", "caller_cancelled");
    assert_eq!(stage.switch.metric("strowger_relay_pairs_used", &[]), 0.0);
}

/// MEDIA-12, ROUTE-52: early media of one vendor, then the answer of the next: one stream, not
/// disturbed by late packets of the first.
#[test]
fn a_failover_goes_on_in_the_same_stream() {
    let mut setup = Setup::new();
    setup.vendor_a = "failover = { stop_after_media = \"off\" }".to_owned();
    let mut talk = Talk::begin(&setup, "8 101", "8 101");
    let switch = talk.stage.switch.address();
    let mut next = Peer::at(talk.stage.net.vendor_b(), switch, "8 101", 0xb0b0);
    next.sent = 30_000;
    talk.vendor.answers(&talk.offer, "183 Session Progress", true);
    talk.caller.sip.hear("183", |message| message.starts_with("SIP/2.0 183 "));
    let at_vendor = audio_address(&talk.offer).expect("an offer");
    let mut heard = Vec::new();
    for _ in 0..10 {
        talk.vendor.says(at_vendor, 8, &[0x11; 160]);
        heard.extend(talk.caller.hears());
    }
    assert_eq!((heard.len(), heard[0].ssrc), (10, 0xfe2d), "the first source as it is");
    talk.vendor.answers(&talk.offer, "503 Service Unavailable", false);
    let offer = next.gets("INVITE");
    next.answers(&offer, "200 OK", true);
    let ok = talk.caller.sip.hear_final("acts", "1 INVITE");
    talk.caller.sip.send(&talk.caller.sip.in_dialog(&talk.invite, &ok, "ACK", 1));
    let at_next = audio_address(&offer).expect("an offer");
    assert_ne!(at_next, at_vendor, "ports of its own");
    for _ in 0..10 {
        talk.vendor.says(at_vendor, 8, &[0x11; 160]);
        next.says(at_next, 8, &[0x22; 160]);
        let packet = talk.caller.hears().expect("audio");
        assert_eq!(packet.payload, [0x22; 160]);
        heard.push(packet);
        std::thread::sleep(PACKET);
    }
    assert_one_stream(&heard);
    talk.caller.sip.send(&talk.caller.sip.in_dialog(&talk.invite, &ok, "BYE", 2));
    let bye = next.gets("BYE");
    next.answers(&bye, "200 OK", false);
    talk.caller.sip.hear_final("acts", "2 BYE");
    talk.nothing_is_left();
}

/// MEDIA-16, MEDIA-20, BILL-13: no media since the answer.
#[test]
fn a_call_without_media_is_ended_and_not_billed() {
    let mut setup = Setup::new();
    setup.media = "silence = { no_media = \"5s\" }".to_owned();
    let talk = Talk::begin(&setup, "8", "8");
    talk.connect();
    let begun = Instant::now();
    let byes = [talk.vendor.gets("BYE"), talk.caller.gets("BYE")];
    assert!((4..9).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    for (bye, peer) in byes.iter().zip([&talk.vendor, &talk.caller]) {
        assert!(header(bye, "Reason").is_some_and(|reason| reason.contains("cause=41")), "{bye}");
        peer.answers(bye, "200 OK", false);
    }
    let record = talk.stage.switch.record();
    record.shows("/end_reason", "media_timeout").shows("/cause", 0);
    assert!(record.number("/duration_ms") >= 5_000 && record.number("/billable_ms") < 1_000);
    talk.nothing_is_left();
}

/// MEDIA-17, MEDIA-18: one silent side is reported and ends nothing; when both are silent, the call
/// ends.
#[test]
fn a_one_way_call_is_flagged_and_ends_when_nobody_speaks() {
    let mut setup = Setup::new();
    setup.media = "silence = { one = \"5s\", both = \"6s\" }".to_owned();
    let mut talk = Talk::begin(&setup, "8", "8");
    let (_, _, at_vendor) = talk.connect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        talk.vendor.says(at_vendor, 8, &[0x11; 160]);
        std::thread::sleep(PACKET * 5);
    }
    let byes = [talk.vendor.gets("BYE"), talk.caller.gets("BYE")];
    assert!((13..18).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    talk.vendor.answers(&byes[0], "200 OK", false);
    talk.caller.answers(&byes[1], "200 OK", false);
    let records = talk.stage.switch.settled_records(1);
    assert_eq!(records[0]["end_reason"], "media_timeout", "{}", records[0]);
    assert_eq!(records[0]["flags"], serde_json::json!(["one_way"]), "{}", records[0]);
    let billed = records[0]["billable_ms"].as_u64().expect("a number");
    assert!((7_000..10_000).contains(&billed), "billed to the last packet: {billed} ms");
    talk.nothing_is_left();
}
