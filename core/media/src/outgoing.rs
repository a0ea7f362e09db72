//! The stream that a leg hears, continuous across changes of the speaker (MEDIA-12).
//!
//! The first source passes unchanged. When another takes its place (the next vendor, a new port, a
//! tone of ours), the leg keeps hearing the SSRC that it knows, with the next sequence numbers and
//! timestamps, so that its jitter buffer and its loss count notice nothing. RTCP is rewritten to
//! the same numbers, in both directions.

use crate::rtcp::Compound;
use crate::rtp::RtpHeader;
use std::time::Instant;

/// Offsets of the fixed header's fields.
const SEQUENCE: usize = 2;
const TIMESTAMP: usize = 4;
const SSRC: usize = 8;

/// RTCP packet types (RFC 3550 section 12.1, RFC 4585 section 6.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const FEEDBACK: [u8; 2] = [205, 206];

/// Bytes of an RTCP packet before its body, of the sender's part of a sender report, and of a
/// report block.
const RTCP_HEAD: usize = 4;
const SENDER_INFO: usize = 24;
const REPORT_BLOCK: usize = 24;

/// Offset of the RTP timestamp in a sender report, after SSRC and NTP time.
const REPORTED_TIMESTAMP: usize = 12;

/// The stream that a leg hears.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// The last packet; `None` before the first.
    last: Option<Last>,
    /// The current source; `None` after the path has changed.
    source: Option<Source>,
    /// The previous source at the same leg: some gateways alternate between two.
    before: Option<Source>,
}

/// The newest packet sent, in the leg's numbers.
#[derive(Clone, Copy, Debug)]
struct Last {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    at: Instant,
}

/// A source and the offset of its numbers from the leg's.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    /// The source's own newest sequence number.
    highest: u16,
    sequence_shift: u16,
    timestamp_shift: u32,
}

impl Outgoing {
    /// The next packet comes from another source, whatever its SSRC.
    pub(crate) fn change_source(&mut self) {
        self.source = None;
        self.before = None;
    }

    /// Rewrites a packet to the leg's numbers. False means a late packet of a source that was
    /// replaced.
    #[inline]
    pub(crate) fn renumber(
        &mut self,
        now: Instant,
        clock_hz: u32,
        header: &RtpHeader,
        packet: &mut [u8],
    ) -> bool {
        match &mut self.source {
            Some(source) if source.ssrc == header.ssrc => {}
            _ => {
                if !self.take_source(now, clock_hz, header) {
                    return false;
                }
            }
        }
        let (Some(source), Some(last)) = (&mut self.source, &mut self.last) else { return false };
        let sequence = header.sequence.wrapping_add(source.sequence_shift);
        let timestamp = header.timestamp.wrapping_add(source.timestamp_shift);
        if is_newer(header.sequence, source.highest) {
            source.highest = header.sequence;
            *last = Last { sequence, timestamp, at: now, ..*last };
        }
        if !source.is_untouched(last.ssrc) {
            write(packet, SEQUENCE, &sequence.to_be_bytes());
            write(packet, TIMESTAMP, &timestamp.to_be_bytes());
            write(packet, SSRC, &last.ssrc.to_be_bytes());
        }
        true
    }

    /// Makes the sender of a packet the current source.
    fn take_source(&mut self, now: Instant, clock_hz: u32, header: &RtpHeader) -> bool {
        let RtpHeader { ssrc, sequence, timestamp, .. } = *header;
        let Some(last) = self.last else {
            self.last = Some(Last { ssrc, sequence, timestamp, at: now });
            let (sequence_shift, timestamp_shift) = (0, 0);
            self.source = Some(Source { ssrc, highest: sequence, sequence_shift, timestamp_shift });
            return true;
        };
        let known = self.before.filter(|before| before.ssrc == ssrc);
        if known.is_some_and(|known| !is_newer(sequence, known.highest)) {
            return false;
        }
        let timestamp_shift = match known {
            Some(known) => known.timestamp_shift,
            None => last.timestamp_after(now, clock_hz).wrapping_sub(timestamp),
        };
        let sequence_shift = last.sequence.wrapping_add(1).wrapping_sub(sequence);
        // One less: the packet itself becomes the newest when it is sent.
        let highest = sequence.wrapping_sub(1);
        self.before = self.source;
        self.source = Some(Source { ssrc, highest, sequence_shift, timestamp_shift });
        true
    }

    /// Whether the leg hears its source unchanged.
    fn is_untouched(&self) -> bool {
        match (&self.source, &self.last) {
            (Some(source), Some(last)) => source.is_untouched(last.ssrc),
            _ => true,
        }
    }
}

/// Rewrites RTCP that goes from one leg to another to the numbers of its hearer: the sender's
/// stream as `hearer` hears it, and in the reports the hearer's stream as `sender` hears it.
pub(crate) fn renumber_rtcp(hearer: &Outgoing, sender: &Outgoing, packet: &mut [u8]) {
    if hearer.is_untouched() && sender.is_untouched() {
        return;
    }
    let Ok(compound) = Compound::parse(packet) else { return };
    let mut at = 0;
    let parts: Vec<_> = compound
        .packets()
        .map(|part| {
            let begin = at + RTCP_HEAD;
            at = begin + part.body.len();
            (part.packet_type, usize::from(part.count), begin..at)
        })
        .collect();
    for (packet_type, count, range) in parts {
        let Some(body) = packet.get_mut(range) else { return };
        match packet_type {
            SENDER_REPORT => {
                hearer.shift_reported_time(body);
                hearer.name_source(body, 0);
                sender.shift_blocks(body, SENDER_INFO, count);
            }
            RECEIVER_REPORT => {
                hearer.name_source(body, 0);
                sender.shift_blocks(body, 4, count);
            }
            DESCRIPTION => hearer.name_described(body, count),
            GOODBYE => (0..count).for_each(|place| hearer.name_source(body, place * 4)),
            _ => {
                hearer.name_source(body, 0);
                if FEEDBACK.contains(&packet_type) {
                    sender.name_own(body, 4);
                }
            }
        }
    }
}

impl Outgoing {
    /// Replaces the source's SSRC by the one that the leg knows.
    fn name_source(&self, body: &mut [u8], at: usize) {
        if let (Some(source), Some(last)) = (&self.source, &self.last)
            && word(body, at) == Some(source.ssrc)
        {
            write(body, at, &last.ssrc.to_be_bytes());
        }
    }

    /// Replaces the SSRC that the leg knows by the source's.
    fn name_own(&self, body: &mut [u8], at: usize) -> bool {
        let (Some(source), Some(last)) = (&self.source, &self.last) else { return false };
        let is_it = word(body, at) == Some(last.ssrc);
        if is_it {
            write(body, at, &source.ssrc.to_be_bytes());
        }
        is_it
    }

    fn shift_reported_time(&self, body: &mut [u8]) {
        if let Some(source) = self.source.filter(|source| word(body, 0) == Some(source.ssrc))
            && let Some(timestamp) = word(body, REPORTED_TIMESTAMP)
        {
            let shifted = timestamp.wrapping_add(source.timestamp_shift);
            write(body, REPORTED_TIMESTAMP, &shifted.to_be_bytes());
        }
    }

    /// Rewrites report blocks about this leg's stream to the numbers of its source.
    fn shift_blocks(&self, body: &mut [u8], from: usize, count: usize) {
        for at in (0..count).map(|block| from + block * REPORT_BLOCK) {
            if self.name_own(body, at)
                && let Some(source) = &self.source
                && let Some(highest) = word(body, at + 8)
            {
                // The upper half counts how often the sequence number wrapped.
                let sequence = (highest as u16).wrapping_sub(source.sequence_shift);
                let highest = highest & 0xffff_0000 | u32::from(sequence);
                write(body, at + 8, &highest.to_be_bytes());
            }
        }
    }

    /// Rewrites the chunks of a source description: an SSRC, items, and padding to a whole word.
    fn name_described(&self, body: &mut [u8], count: usize) {
        let mut at = 0;
        for _ in 0..count {
            self.name_source(body, at);
            at += 4;
            while let Some(&[item, len]) = body.get(at..).and_then(<[u8]>::first_chunk)
                && item != 0
            {
                at += 2 + usize::from(len);
            }
            at = (at + 1).next_multiple_of(4);
        }
    }
}

impl Source {
    fn is_untouched(&self, ssrc: u32) -> bool {
        self.ssrc == ssrc && self.sequence_shift == 0 && self.timestamp_shift == 0
    }
}

impl Last {
    /// The timestamp of a packet sent now: advanced by the time that has passed, at least by a
    /// packet's usual 20 ms.
    fn timestamp_after(&self, now: Instant, clock_hz: u32) -> u32 {
        let passed = now.saturating_duration_since(self.at).as_micros();
        let ticks = passed * u128::from(clock_hz) / 1_000_000;
        self.timestamp.wrapping_add((ticks as u32).max(clock_hz / 50))
    }
}

/// Whether `sequence` comes after `than`, with wrapping (RFC 3550 appendix A.1).
fn is_newer(sequence: u16, than: u16) -> bool {
    let ahead = sequence.wrapping_sub(than);
    ahead != 0 && ahead < 0x8000
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Writes a field; a field beyond the end is not written.
fn write(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + field.len()) {
        place.copy_from_slice(field);
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
