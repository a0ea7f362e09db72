//! Counters of a relay session, shared with whoever reads them.

use crate::session::Side;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of both sides. Written by the one thread that runs the session, read by
/// any: no locked instruction per packet and no question to the relay thread.
#[derive(Debug, Default)]
pub struct SessionCounters {
    sides: [SharedSide; 2],
}

/// A reading of one side's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideCounters {
    /// RTP packets accepted from this side.
    pub rtp_in: u64,
    /// RTP packets forwarded to this side.
    pub rtp_out: u64,
    /// Bytes of RTP accepted from this side, headers included.
    pub bytes_in: u64,
    /// RTCP packets accepted from this side.
    pub rtcp_in: u64,
    /// Packets that arrived at this side's ports and went nowhere: foreign source, not RTP,
    /// payload type not negotiated, or nowhere to send to.
    pub dropped: u64,
    /// UTC milliseconds of the last accepted RTP or RTCP packet, 0 if none (BILL-13).
    pub last_packet_ms: u64,
    /// How often another source took this side over after 5 s of silence (MEDIA-11).
    pub takeovers: u64,
    /// Source that this side is locked to (MEDIA-11).
    pub latched: Option<SocketAddr>,
}

#[derive(Debug, Default)]
pub(crate) struct SharedSide {
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

/// A number with one writer.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl SessionCounters {
    /// Reads one side. The fields are each exact; a packet in flight may be in some only.
    pub fn side(&self, side: Side) -> SideCounters {
        let shared = self.shared(side);
        SideCounters {
            rtp_in: shared.rtp_in.get(),
            rtp_out: shared.rtp_out.get(),
            bytes_in: shared.bytes_in.get(),
            rtcp_in: shared.rtcp_in.get(),
            dropped: shared.dropped.get(),
            last_packet_ms: shared.last_packet_ms.get(),
            takeovers: shared.takeovers.get(),
            latched: *shared.latched.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(crate) fn shared(&self, side: Side) -> &SharedSide {
        &self.sides[side.index()]
    }
}

impl SharedSide {
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
