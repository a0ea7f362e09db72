//! Streams that continue when their source changes.

use super::*;
use std::time::Duration;

const CLOCK: u32 = 8_000;

/// A packet of 20 ms: SSRC, sequence number and timestamp; the payload repeats the sequence number.
fn rtp(ssrc: u32, sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0x88];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet
}

/// A stream in virtual time.
struct Stream {
    outgoing: Outgoing,
    now: Instant,
}

impl Stream {
    fn new() -> Stream {
        Stream { outgoing: Outgoing::default(), now: Instant::now() }
    }

    /// The packet as sent: SSRC, sequence number, timestamp.
    fn send(&mut self, ssrc: u32, sequence: u16, timestamp: u32) -> Option<(u32, u16, u32)> {
        let mut packet = rtp(ssrc, sequence, timestamp);
        let before = packet.clone();
        let header = RtpHeader::parse(&packet).expect("RTP");
        if !self.outgoing.renumber(self.now, CLOCK, &header, &mut packet) {
            assert_eq!(packet, before);
            return None;
        }
        assert_eq!((packet[..2].to_vec(), &packet[12..]), (vec![0x80, 0x88], &before[12..]));
        let sent = RtpHeader::parse(&packet).expect("RTP");
        Some((sent.ssrc, sent.sequence, sent.timestamp))
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }
}

/// MEDIA-12: one source passes unchanged: reordered, with gaps, around the wrap.
#[test]
fn one_source_is_untouched() {
    let mut stream = Stream::new();
    for sequence in [65_533, 65_535, 65_534, 0, 1, 700, 2] {
        let numbers = (7, sequence, u32::from(sequence) * 160);
        assert_eq!(stream.send(numbers.0, numbers.1, numbers.2), Some(numbers));
        stream.pass(20);
    }
}

/// MEDIA-12: the next source gets the known SSRC and the next numbers; its timestamps advance by
/// the time that has passed.
#[test]
fn the_next_source_goes_on_where_the_one_before_stopped() {
    for path_changed in [true, false] {
        let mut stream = Stream::new();
        stream.send(7, 65_535, 16_000);
        stream.pass(100);
        if path_changed {
            stream.outgoing.change_source();
        }
        assert_eq!(stream.send(8, 500, 90_000), Some((7, 0, 16_800)));
        stream.pass(20);
        assert_eq!(stream.send(8, 501, 90_160), Some((7, 1, 16_960)));
        assert_eq!(stream.send(8, 504, 90_640), Some((7, 4, 17_440)), "a gap stays one");
        assert_eq!(stream.send(8, 503, 90_480), Some((7, 3, 17_280)), "late in its own stream");
        assert_eq!(stream.send(8, 505, 90_800), Some((7, 5, 17_600)));
    }
    let mut stream = Stream::new();
    stream.send(7, 1, 160);
    assert_eq!(stream.send(8, 1, 160), Some((7, 2, 320)), "at once: one packet later");
}

/// MEDIA-12: after a path change, the same SSRC is still another stream.
#[test]
fn a_vendor_that_happens_to_have_the_same_ssrc_is_another_source() {
    let mut stream = Stream::new();
    stream.send(7, 100, 16_000);
    stream.outgoing.change_source();
    stream.pass(20);
    assert_eq!(stream.send(7, 9_000, 500), Some((7, 101, 16_160)));
}

/// MEDIA-12: packets of the old source that the network delivers after the change do not disturb
/// the new source.
#[test]
fn late_packets_of_the_source_before_are_dropped() {
    let mut stream = Stream::new();
    stream.send(7, 100, 16_000);
    stream.send(7, 103, 16_480);
    stream.pass(20);
    assert_eq!(stream.send(8, 1, 0), Some((7, 104, 16_640)));
    assert_eq!((stream.send(7, 101, 16_160), stream.send(7, 103, 16_480)), (None, None));
    assert_eq!(stream.send(8, 2, 160), Some((7, 105, 16_800)));
}

/// A gateway that sends digits with their own SSRC between its audio: every packet of an event
/// keeps the event's timestamp.
#[test]
fn two_sources_that_alternate_keep_their_time() {
    let mut stream = Stream::new();
    stream.send(7, 100, 16_000);
    stream.pass(20);
    let first = stream.send(8, 1, 5_000).expect("sent");
    assert_eq!(stream.send(7, 101, 16_160), Some((7, 102, 16_160)));
    let second = stream.send(8, 2, 5_000).expect("sent");
    assert_eq!((first.1, second.1), (101, 103));
    assert_eq!(first.2, second.2);
}

/// A compound of a sender report with one block, a description and a goodbye.
fn report(ssrc: u32, timestamp: u32, heard: u32, highest: u32) -> Vec<u8> {
    let mut words = vec![0x81c8_000c, ssrc, 1, 2, timestamp, 50, 8_000];
    words.extend([heard, 0, highest, 0, 0, 0]);
    let mut packet: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
    packet.extend([0x82, 202, 0, 6]);
    for (source, name) in [(ssrc, b"me"), (99, b"us")] {
        packet.extend(source.to_be_bytes());
        packet.extend([1, 2, name[0], name[1], 0, 0, 0, 0]);
    }
    packet.extend([0x81, 203, 0, 1]);
    packet.extend(ssrc.to_be_bytes());
    packet
}

/// RFC 3550 section 7.1: a translator that changes numbers must change them in RTCP too.
#[test]
fn reports_are_told_in_the_numbers_of_their_hearer() {
    // The caller heard a tone with SSRC 7 before the vendor with SSRC 8.
    let mut caller = Stream::new();
    caller.send(7, 100, 16_000);
    caller.outgoing.change_source();
    caller.pass(20);
    caller.send(8, 20, 1_000);
    let mut vendor = Stream::new();
    vendor.send(5, 3, 3_000);

    let mut to_caller = report(8, 1_160, 5, 3);
    renumber_rtcp(&caller.outgoing, &vendor.outgoing, &mut to_caller);
    assert_eq!(to_caller, report(7, 16_320, 5, 3));
    let mut to_vendor = report(5, 3_160, 7, 0x0002_0065);
    renumber_rtcp(&vendor.outgoing, &caller.outgoing, &mut to_vendor);
    assert_eq!(to_vendor, report(5, 3_160, 8, 0x0002_0014));
}

#[test]
fn reports_about_untouched_streams_are_untouched() {
    let (mut caller, mut vendor) = (Stream::new(), Stream::new());
    caller.send(8, 1, 160);
    vendor.send(5, 1, 160);
    for end in 0..report(8, 1, 5, 1).len() {
        let mut cut = report(8, 1, 5, 1);
        cut.truncate(end);
        let before = cut.clone();
        renumber_rtcp(&caller.outgoing, &vendor.outgoing, &mut cut);
        assert_eq!(cut, before);
        caller.outgoing.change_source();
        caller.send(9, 1, 160);
        renumber_rtcp(&caller.outgoing, &vendor.outgoing, &mut cut);
        caller = Stream::new();
        caller.send(8, 1, 160);
    }
}
