//! Counters of a leg, shared with their readers.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one leg. Written only by the thread that carries the leg, read by any: no locked
/// instruction per packet, and no query to the relay thread.
#[derive(Debug, Default)]
pub struct LegCounters {
    pub(crate) rtp_in: Count,
    pub(crate) rtp_out: Count,
    pub(crate) bytes_in: Count,
    pub(crate) rtcp_in: Count,
    pub(crate) dropped: Count,
    pub(crate) last_packet_ms: Count,
    pub(crate) takeovers: Count,
    /// Locked only when the latch changes and when it is read, never per packet.
    latched: Mutex<Option<SocketAddr>>,
}

/// A reading of a leg's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegReading {
    /// RTP packets accepted from the leg.
    pub rtp_in: u64,
    /// RTP packets sent to it.
    pub rtp_out: u64,
    /// Bytes of RTP accepted from it, headers included.
    pub bytes_in: u64,
    /// RTCP packets accepted from it.
    pub rtcp_in: u64,
    /// Packets dropped at its ports: foreign source, not RTP, payload type not negotiated, or no
    /// destination.
    pub dropped: u64,
    /// UTC milliseconds of the last accepted RTP or RTCP packet, 0 if none (BILL-13).
    pub last_packet_ms: u64,
    /// How often another source took the leg over after 5 s of silence (MEDIA-11).
    pub takeovers: u64,
    /// Source that the leg is locked to (MEDIA-11).
    pub latched: Option<SocketAddr>,
}

/// A number with one writer.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl LegCounters {
    /// Reads the counters. Each field is exact; a packet in flight may be in only some of them.
    pub fn read(&self) -> LegReading {
        LegReading {
            rtp_in: self.rtp_in.get(),
            rtp_out: self.rtp_out.get(),
            bytes_in: self.bytes_in.get(),
            rtcp_in: self.rtcp_in.get(),
            dropped: self.dropped.get(),
            last_packet_ms: self.last_packet_ms.get(),
            takeovers: self.takeovers.get(),
            latched: *self.latched.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(crate) fn set_latched(&self, source: Option<SocketAddr>) {
        *self.latched.lock().unwrap_or_else(PoisonError::into_inner) = source;
    }
}

impl Count {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn add(&self, amount: u64) {
        self.set(self.get() + amount);
    }
}
