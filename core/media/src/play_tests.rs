//! Sounds played to a leg, in virtual time.

use super::*;
use crate::bridge::tests::{A, B, CALLER, CALLER_RTCP, Call, VENDOR, at, remote};
use crate::bridge::{Forward, Input};
use crate::path::tests::{ONE, TWO};
use crate::path::{Format, Formats};
use crate::{Event, Kind, RemoteMedia};

/// A sound of this many packets, each filled with the number of the codec.
struct Beeps(u32);

impl Play for Beeps {
    fn next(&mut self, codec: CodecId, payload: &mut [u8]) -> usize {
        let Some(left) = self.0.checked_sub(1) else { return 0 };
        self.0 = left;
        payload.fill(codec.0);
        payload.len()
    }
}

/// A description of ours with one codec.
fn described(rtp: &str, number: u8, format: Format) -> RemoteMedia {
    let formats = Formats { sends: vec![(number, format)], wants: vec![(number, format)] };
    RemoteMedia { formats: Some(formats), ..remote(rtp, &[number]) }
}

fn plays(call: &mut Call, packets: u32) {
    let sound = Box::new(Beeps(packets));
    call.handle(Input::Play { leg: A, sound, seed: 0x0000_0007_ffff_0000 });
}

/// The packets that are due, each with its header and the first byte of its payload.
fn sent(call: &mut Call) -> Vec<(Forward, RtpHeader, u8)> {
    let now = Now { instant: call.now, utc_ms: 1 };
    let (mut buffer, mut packets) = ([0; 512], Vec::new());
    while let Some(forward) = call.bridge.poll_transmit(now, &mut buffer) {
        let header = RtpHeader::parse(&buffer[..forward.len]).expect("RTP");
        packets.push((forward, header, buffer[header.payload_offset]));
    }
    packets
}

/// MEDIA-13: a packet every 20 ms in the leg's codec and payload type, until the sound ends.
#[test]
fn a_sound_is_sent_every_20_ms_in_the_codec_of_the_leg() {
    let mut call = Call::begun();
    call.told(A, described(CALLER, 96, TWO));
    plays(&mut call, 3);
    for (place, sequence) in [65_535, 0, 1].into_iter().enumerate() {
        let packets = sent(&mut call);
        let [(forward, header, payload)] = &packets[..] else { panic!("{packets:?}") };
        assert_eq!(*forward, Forward { leg: A, kind: Kind::Rtp, to: at(CALLER), len: 172 });
        assert_eq!((header.ssrc, header.sequence, *payload), (7, sequence, 2));
        assert_eq!((header.payload_type, header.marker), (96, place == 0));
        assert_eq!(header.timestamp.wrapping_sub(0xffff), place as u32 * 160);
        assert_eq!(call.bridge.poll_timeout(), Some(call.now + PLAY_INTERVAL));
        call.now += PLAY_INTERVAL;
    }
    assert!(sent(&mut call).is_empty());
    assert_eq!(call.bridge.poll_event(), Some(Event::PlayEnded(A)));
    assert_eq!((call.bridge.poll_event(), call.bridge.poll_timeout()), (None, None));
    assert_eq!(call.counters(A).rtp_out, 3);
}

/// MEDIA-12, MEDIA-13: the vendor is not heard while the tone plays; once joined it is heard, in
/// the tone's stream.
#[test]
fn a_tone_gives_way_to_the_vendor_in_one_stream() {
    let mut call = Call::begun();
    call.told(A, described(CALLER, 8, ONE));
    call.told(B, described(VENDOR, 8, ONE));
    plays(&mut call, 100);
    let tone = sent(&mut call)[0].1;
    assert_eq!(call.hears_rtp(B, VENDOR), None);
    assert_eq!(call.hears_rtp(A, CALLER), Some(at(VENDOR)), "the vendor hears the caller");
    call.handle(Input::Join(A, B));
    call.now += PLAY_INTERVAL;
    assert!(sent(&mut call).is_empty());
    let mut packet = vec![0x80, 8, 0, 50, 0, 0, 0, 9, 0, 0, 0, 1, 5, 5];
    let now = Now { instant: call.now, utc_ms: 1 };
    let forward = call.bridge.relay(now, (B, Kind::Rtp), at(VENDOR), &mut packet, 14);
    assert_eq!(forward.map(|forward| forward.to), Some(at(CALLER)));
    let header = RtpHeader::parse(&packet).expect("RTP");
    assert_eq!((header.ssrc, header.sequence), (tone.ssrc, tone.sequence.wrapping_add(1)));
    assert_eq!(header.timestamp, tone.timestamp.wrapping_add(PLAY_TICKS));
}

/// A delayed thread does not catch up on packets that are too late to be heard.
#[test]
fn a_late_player_skips_what_it_has_missed() {
    let mut call = Call::begun();
    call.told(A, described(CALLER, 8, ONE));
    plays(&mut call, 100);
    let first = sent(&mut call)[0].1;
    call.now += PLAY_INTERVAL * 3;
    assert_eq!(sent(&mut call).len(), 3, "a little is made good");
    call.now += Duration::from_secs(2);
    let late = sent(&mut call);
    assert_eq!(late.len(), 1);
    let header = late[0].1;
    assert_eq!(header.sequence, first.sequence.wrapping_add(4));
    assert!(header.marker && header.timestamp.wrapping_sub(first.timestamp) >= 16_000);
}

/// A leg on hold, or one whose SDP is not known yet, is sent nothing; one without a codec of ours
/// cannot hear the sound.
#[test]
fn a_sound_waits_for_somebody_who_can_hear_it() {
    let mut call = Call::begun();
    plays(&mut call, 100);
    assert!(sent(&mut call).is_empty());
    assert_eq!((call.bridge.poll_event(), call.counters(A).rtp_out), (None, 0));
    call.told(A, described(CALLER, 8, ONE));
    call.now += PLAY_INTERVAL;
    assert_eq!(sent(&mut call).len(), 1);
    call.told(A, remote(CALLER, &[18]));
    call.now += PLAY_INTERVAL;
    assert!(sent(&mut call).is_empty());
    assert_eq!(call.bridge.poll_event(), Some(Event::PlayEnded(A)));
}

/// ROUTE-83: packets of a leg that has no peer and hears a sound have arrived; without a sound they
/// are dropped.
#[test]
fn a_leg_may_talk_with_us_alone() {
    let mut call = Call::begun();
    call.handle(Input::Close(B));
    call.told(A, described(CALLER, 8, ONE));
    assert_eq!((call.hears_rtp(A, CALLER), call.counters(A).dropped), (None, 1));
    plays(&mut call, 100);
    assert_eq!(sent(&mut call).len(), 1);
    assert_eq!(call.hears_rtp(A, CALLER), None);
    assert_eq!((call.counters(A).rtp_in, call.counters(A).dropped), (2, 1));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    assert_eq!(call.hears(A, Kind::Rtcp, CALLER_RTCP, &report), None);
    assert_eq!((call.counters(A).rtcp_in, call.counters(A).dropped), (1, 1));
    assert_eq!(call.hears(A, Kind::Rtp, CALLER, &[0x80, 8]), None);
    assert_eq!(call.counters(A).dropped, 2, "no RTP");
}

/// RFC 3264 section 8.4: a peer that holds us does not want to hear us.
#[test]
fn a_sound_waits_while_its_leg_holds_us() {
    let mut call = Call::begun();
    call.told(A, described(CALLER, 8, ONE));
    plays(&mut call, 100);
    assert_eq!(sent(&mut call).len(), 1);
    call.told(A, RemoteMedia { receives: false, ..described(CALLER, 8, ONE) });
    for _ in 0..10 {
        call.now += PLAY_INTERVAL;
        assert!(sent(&mut call).is_empty());
    }
    assert_eq!(call.bridge.poll_event(), None, "it has not ended");
    call.told(A, described(CALLER, 8, ONE));
    call.now += PLAY_INTERVAL;
    assert_eq!(sent(&mut call).len(), 1);
}
