//! Fuzz targets for packets on media ports (docs/sip-wire.md describes longer runs).
#![allow(missing_docs)]

use std::time::Duration;
use strowger_media::rtcp::{Compound, is_rtcp};
use strowger_media::rtp::{FIXED_HEADER, RtpHeader};

/// How long a target runs in an ordinary test run.
const MOMENT: Duration = Duration::from_secs(1);

/// A packet with plausible first bytes.
fn packet(first: u8, second: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80 | (first & 0x3f), second];
    packet.extend_from_slice(rest);
    packet
}

/// The parts of a packet fill it without a gap, and the fixed header agrees with its bytes.
#[test]
fn the_parts_of_an_rtp_packet_fill_it() {
    let check = bolero::check!().with_test_time(MOMENT);
    check.with_type::<(u8, u8, Vec<u8>)>().for_each(|(first, second, rest)| {
        let packet = packet(*first, *second, rest);
        let Ok(header) = RtpHeader::parse(&packet) else { return };
        let head = FIXED_HEADER + 4 * usize::from(header.csrc_count) + header.extension_len;
        assert_eq!(header.payload_offset, head);
        assert_eq!(head + header.payload_len + header.padding_len, packet.len());
        let second = (u8::from(header.marker) << 7) | header.payload_type;
        assert_eq!(packet[1], second);
        assert_eq!(packet[2..4], header.sequence.to_be_bytes());
        assert_eq!(packet[4..8], header.timestamp.to_be_bytes());
        assert_eq!(packet[8..12], header.ssrc.to_be_bytes());
    });
}

/// The packets of a compound fill it without a gap, so that they rebuild it.
#[test]
fn the_packets_of_an_rtcp_compound_fill_it() {
    let check = bolero::check!().with_test_time(MOMENT);
    check.with_type::<Vec<(u8, u8, Vec<u8>)>>().for_each(|parts| {
        let mut bytes = Vec::new();
        for (first, kind, body) in parts.iter().take(5) {
            let words = u16::try_from(body.len() / 4).unwrap_or(0);
            // Mostly whole words; a remainder makes a compound that is refused.
            let body = if first & 0x40 == 0 { &body[..usize::from(words) * 4] } else { body };
            bytes.extend(packet(first & 0x1f, 192 + kind % 33, &words.to_be_bytes()));
            bytes.extend_from_slice(body);
        }
        let Ok(compound) = Compound::parse(&bytes) else { return };
        let mut again = Vec::new();
        for found in compound.packets() {
            assert!(found.count < 32 && found.body.len().is_multiple_of(4));
            let words = u16::try_from(found.body.len() / 4).unwrap_or(u16::MAX);
            let padding = u8::from(found.padding) << 5;
            again.extend(packet(padding | found.count, found.packet_type, &words.to_be_bytes()));
            again.extend_from_slice(found.body);
        }
        assert_eq!(again, bytes);
        assert!(bytes.len() < 8 || is_rtcp(&bytes));
    });
}

/// No input makes a reader panic.
#[test]
fn packets_of_any_kind_are_read_or_refused() {
    bolero::check!().with_test_time(MOMENT).for_each(|bytes: &[u8]| {
        let _ = (RtpHeader::parse(bytes).is_ok(), is_rtcp(bytes));
        if let Ok(compound) = Compound::parse(bytes) {
            assert!(compound.packets().count() <= bytes.len() / 4);
        }
    });
}
