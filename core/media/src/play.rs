//! A sound that a leg hears instead of its peer (MEDIA-13).

use crate::leg::Now;
use crate::path::CodecId;
use crate::rtp::{FIXED_HEADER, RtpHeader};
use std::fmt;
use std::time::{Duration, Instant};

/// The packet interval: 20 ms of speech each.
pub const PLAY_INTERVAL: Duration = Duration::from_millis(20);

/// Timestamp units per packet: 20 ms of narrow-band speech.
const PLAY_TICKS: u32 = 160;

/// Lateness beyond which a player skips the missed packets instead of sending them at once.
const LATEST: Duration = Duration::from_millis(100);

/// The largest payload of a packet.
const PAYLOAD: usize = 160;

/// A source of sound, 20 ms at a time.
pub trait Play: Send {
    /// Writes the next 20 ms in this codec and returns their length; 0 means that the sound has
    /// ended or cannot be written in this codec.
    fn next(&mut self, codec: CodecId, payload: &mut [u8]) -> usize;
}

/// A sound that is being played.
pub(crate) struct Player {
    sound: Box<dyn Play>,
    /// When the next packet is due.
    due: Instant,
    /// Numbers of the next packet; the sound is a source of its own.
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// No packet has been sent.
    fresh: bool,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Player at {}", self.sequence)
    }
}

impl Player {
    /// Begins at once. SSRC and first numbers come from `seed`, so that they cannot be guessed
    /// (RFC 3550 section 5.1).
    pub(crate) fn new(now: Instant, sound: Box<dyn Play>, seed: u64) -> Player {
        let [a, b, c, d, e, f, g, h] = seed.to_be_bytes();
        Player {
            sound,
            due: now,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence: u16::from_be_bytes([e, f]),
            timestamp: u32::from_be_bytes([g, h, e, f]),
            fresh: true,
        }
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// There is nowhere to send now: the sound waits.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.due = now + PLAY_INTERVAL;
    }

    /// Writes the due packet and returns its length; `None` means that the sound has ended.
    pub(crate) fn next(
        &mut self,
        now: Now,
        (payload_type, codec): (u8, CodecId),
        buffer: &mut [u8],
    ) -> Option<(RtpHeader, usize)> {
        let (head, payload) = buffer.split_first_chunk_mut::<FIXED_HEADER>()?;
        let room = payload.len().min(PAYLOAD);
        let len = self.sound.next(codec, &mut payload[..room]);
        if len == 0 {
            return None;
        }
        let mut missed = 0;
        if now.instant.saturating_duration_since(self.due) > LATEST {
            let late = now.instant.saturating_duration_since(self.due);
            missed = u32::try_from(late.as_millis() / PLAY_INTERVAL.as_millis()).unwrap_or(0);
            self.due += PLAY_INTERVAL * missed;
        }
        self.timestamp = self.timestamp.wrapping_add(missed.wrapping_mul(PLAY_TICKS));
        let header = RtpHeader {
            marker: std::mem::take(&mut self.fresh) || missed > 0,
            payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            csrc_count: 0,
            extension_len: 0,
            padding_len: 0,
            payload_offset: FIXED_HEADER,
            payload_len: len,
        };
        header.write(head);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(PLAY_TICKS);
        self.due += PLAY_INTERVAL;
        Some((header, FIXED_HEADER + len))
    }
}

#[cfg(test)]
#[path = "play_tests.rs"]
mod tests;
