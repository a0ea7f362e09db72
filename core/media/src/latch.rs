//! Which source a side's packets come from (MEDIA-11).
//!
//! SDP often names an address behind a NAT, from which no packet ever comes. The latch
//! learns the true source from the packets themselves and then keeps strangers out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Consecutive packets of one source and one SSRC that lock the latch.
pub const LATCH_PACKETS: u8 = 3;

/// Silence of the locked source after which another may be learned.
pub const LATCH_SILENCE: Duration = Duration::from_secs(5);

/// The latch of one side.
#[derive(Clone, Debug)]
pub struct Latch {
    /// Where the side's SDP says that it receives.
    sdp: SocketAddr,
    /// Only packets from `sdp` are accepted.
    strict: bool,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Not sure yet; the source of the last plausible packets, if any came.
    Learning(Option<Candidate>),
    /// Sure; others are kept out.
    Locked { source: SocketAddr, heard: Instant },
}

#[derive(Clone, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    packets: u8,
}

impl Latch {
    /// A latch that has heard nothing yet.
    pub fn new(sdp: SocketAddr, strict: bool) -> Latch {
        Latch { sdp, strict, state: State::Learning(None) }
    }

    /// Judges a packet that is RTP of a negotiated payload type; true: relay it. Packets
    /// of a source still being learned are relayed too, so that early media is not clipped.
    pub fn accept(&mut self, now: Instant, source: SocketAddr, ssrc: u32) -> bool {
        if self.strict && source != self.sdp {
            return false;
        }
        let candidate = match &mut self.state {
            State::Locked { source: locked, heard } if *locked == source => {
                *heard = now;
                return true;
            }
            State::Locked { heard, .. } if now.duration_since(*heard) < LATCH_SILENCE => {
                return false;
            }
            State::Locked { .. } => None,
            State::Learning(candidate) => candidate.take(),
        };
        let packets = match candidate {
            Some(same) if same.source == source && same.ssrc == ssrc => same.packets + 1,
            _ => 1,
        };
        self.state = if source == self.sdp || packets >= LATCH_PACKETS {
            State::Locked { source, heard: now }
        } else {
            State::Learning(Some(Candidate { source, ssrc, packets }))
        };
        true
    }

    /// The locked source.
    pub fn locked(&self) -> Option<SocketAddr> {
        match self.state {
            State::Locked { source, .. } => Some(source),
            State::Learning(_) => None,
        }
    }

    /// The locked source, or the one being learned.
    pub fn heard_from(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Locked { source, .. } => Some(*source),
            State::Learning(candidate) => candidate.as_ref().map(|c| c.source),
        }
    }

    /// Where packets for this side go: the source heard, else the SDP address.
    pub fn target(&self) -> SocketAddr {
        self.heard_from().unwrap_or(self.sdp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "192.0.2.10:4000";
    const NAT: &str = "198.51.100.7:61000";
    const INTRUDER: &str = "203.0.113.66:7000";

    fn at(address: &str) -> SocketAddr {
        address.parse().expect("address")
    }

    fn latch(strict: bool) -> (Latch, Instant) {
        (Latch::new(at(SDP), strict), Instant::now())
    }

    fn locked_to_nat() -> (Latch, Instant) {
        let (mut latch, now) = latch(false);
        for _ in 0..LATCH_PACKETS {
            assert!(latch.accept(now, at(NAT), 1));
        }
        (latch, now)
    }

    /// MEDIA-11: the first three consecutive packets of one SSRC, relayed meanwhile.
    #[test]
    fn three_packets_of_one_source_lock_and_all_are_relayed() {
        let (mut latch, now) = latch(false);
        assert_eq!(latch.target(), at(SDP), "nothing heard: the SDP address");
        assert!(latch.accept(now, at(NAT), 1) && latch.accept(now, at(NAT), 1));
        assert_eq!((latch.locked(), latch.target()), (None, at(NAT)));
        assert!(latch.accept(now, at(NAT), 1));
        assert_eq!(latch.locked(), Some(at(NAT)));
    }

    /// MEDIA-11: the address of the SDP is preferred.
    #[test]
    fn a_packet_from_the_sdp_address_locks_at_once() {
        let (mut latch, now) = latch(false);
        assert!(latch.accept(now, at(INTRUDER), 9) && latch.accept(now, at(INTRUDER), 9));
        assert!(latch.accept(now, at(SDP), 1));
        assert_eq!(latch.locked(), Some(at(SDP)));
    }

    /// MEDIA-11: consecutive, and one SSRC.
    #[test]
    fn another_source_or_ssrc_begins_the_count_again() {
        let (mut latch, now) = latch(false);
        for (source, ssrc) in [(NAT, 1), (NAT, 1), (NAT, 2), (NAT, 2), (INTRUDER, 2), (NAT, 2)] {
            assert!(latch.accept(now, at(source), ssrc));
        }
        assert_eq!(latch.locked(), None);
        assert!(latch.accept(now, at(NAT), 2) && latch.accept(now, at(NAT), 2));
        assert_eq!(latch.locked(), Some(at(NAT)));
    }

    /// MEDIA-11: then locked; a new SSRC of the same source is the same party.
    #[test]
    fn a_locked_latch_keeps_strangers_out() {
        let (mut latch, now) = locked_to_nat();
        let soon = now + LATCH_SILENCE - Duration::from_millis(1);
        assert!(!latch.accept(soon, at(INTRUDER), 1) && !latch.accept(soon, at(SDP), 1));
        assert!(latch.accept(soon, at(NAT), 77));
        assert_eq!(latch.locked(), Some(at(NAT)));
    }

    /// MEDIA-11: re-learn after 5 s of silence.
    #[test]
    fn after_five_seconds_of_silence_another_source_is_learned() {
        let (mut latch, now) = locked_to_nat();
        let later = now + LATCH_SILENCE;
        let moved = at("198.51.100.7:61002");
        assert!(latch.accept(later, moved, 1) && latch.accept(later, moved, 1));
        assert_eq!((latch.locked(), latch.target()), (None, moved));
        assert!(latch.accept(later, moved, 1));
        assert_eq!(latch.locked(), Some(moved));
    }

    /// MEDIA-11: silence is counted from the last packet, not from the lock.
    #[test]
    fn a_talking_source_never_loses_its_lock() {
        let (mut latch, now) = locked_to_nat();
        for step in 1..=100 {
            let then = now + Duration::from_secs(step);
            assert!(latch.accept(then, at(NAT), 1) && !latch.accept(then, at(INTRUDER), 1));
        }
    }

    /// MEDIA-11: strict mode.
    #[test]
    fn a_strict_latch_takes_the_sdp_address_only() {
        let (mut latch, now) = latch(true);
        for _ in 0..9 {
            assert!(!latch.accept(now, at(NAT), 1));
        }
        assert_eq!(latch.target(), at(SDP));
        assert!(latch.accept(now, at(SDP), 1));
        let later = now + LATCH_SILENCE * 2;
        assert!(!latch.accept(later, at(NAT), 1), "silence opens nothing in strict mode");
        assert_eq!(latch.target(), at(SDP));
    }
}
