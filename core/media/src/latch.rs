//! Learns the source of a side's packets (MEDIA-11).
//!
//! SDP often names an address behind a NAT, from which no packet ever comes. The latch learns the
//! true source from the packets themselves and then keeps strangers out.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Consecutive packets of one source and one SSRC that lock a learning latch, if they come from a
/// host of the party: the host in its SDP or of its signalling.
pub const LATCH_PACKETS: u8 = 3;

/// Silence of the locked source after which another source may be learned.
pub const LATCH_SILENCE: Duration = Duration::from_secs(5);

/// Consecutive packets of one source and one SSRC that another host must send to lock a latch, or
/// any host to take over from a silent locked source: half a second of speech at 20 ms, which no
/// scanner sends to all ports.
pub const TAKEOVER_PACKETS: u8 = 25;

/// The shortest time in which these packets may arrive: speech does not come in a burst.
pub const TAKEOVER_TIME: Duration = Duration::from_millis(400);

/// How long the former party's source is not learned, counted from its first packet after the
/// change: longer than packets are in transit. Not for ever: gateways that rewrite the address in
/// only some SDPs make one party look like two.
pub const FORMER_REST: Duration = LATCH_SILENCE;

/// The latch of one side.
#[derive(Clone, Debug)]
pub struct Latch {
    /// The receiving address in the side's SDP. Packets from there are trusted at once.
    sdp: SocketAddr,
    /// The source host of its signalling: behind a NAT, media and signalling share it.
    signalling: IpAddr,
    /// Only packets from `sdp` are accepted.
    strict: bool,
    /// SDP address and source of the previous party in this place.
    former: [Option<SocketAddr>; 2],
    /// Until when they are not learned; `None` before their first packet.
    former_until: Option<Instant>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Not sure yet; the source of the last plausible packets, if any.
    Learning(Option<Candidate>),
    /// Sure; others are kept out. After a silence a rival may be counted, but until it has sent
    /// enough the locked source is trusted.
    Locked {
        source: SocketAddr,
        heard: Instant,
        rival: Option<Candidate>,
        /// The source that `source` took over from. It may take the side back at any time.
        ousted: Option<SocketAddr>,
    },
}

#[derive(Clone, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    packets: u8,
    /// Arrival of the first of them.
    since: Instant,
}

impl Candidate {
    /// Whether it has sent speech for half a second.
    fn is_in_earnest(&self, now: Instant) -> bool {
        self.packets >= TAKEOVER_PACKETS && now.duration_since(self.since) >= TAKEOVER_TIME
    }

    /// The candidate after one more packet.
    fn after(before: Option<Candidate>, now: Instant, source: SocketAddr, ssrc: u32) -> Candidate {
        match before {
            Some(same) if same.source == source && same.ssrc == ssrc => {
                Candidate { packets: same.packets.saturating_add(1), ..same }
            }
            _ => Candidate { source, ssrc, packets: 1, since: now },
        }
    }
}

impl Latch {
    /// A latch that has heard nothing yet.
    pub fn new(sdp: SocketAddr, signalling: IpAddr, strict: bool) -> Latch {
        let state = State::Learning(None);
        Latch { sdp, signalling, strict, former: [None; 2], former_until: None, state }
    }

    /// Whether an address belongs to a host of the party.
    fn is_home(&self, source: SocketAddr) -> bool {
        let host = source.ip().to_canonical();
        host == self.sdp.ip().to_canonical() || host == self.signalling.to_canonical()
    }

    /// A latch for the party that replaces this one: a new SDP address. Packets of the former party
    /// that are still in transit do not lock it.
    #[must_use]
    pub(crate) fn succeeded_by(&self, sdp: SocketAddr, signalling: IpAddr, strict: bool) -> Latch {
        // A gateway that sends from one port regardless of its SDP is still the same gateway.
        let source = self.locked().filter(|source| source.ip() != sdp.ip());
        let former = [Some(self.sdp), source].map(|former| former.filter(|known| *known != sdp));
        Latch { former, ..Latch::new(sdp, signalling, strict) }
    }

    /// Judges an RTP packet of a negotiated payload type; true means relay it. While nothing is
    /// locked, packets of a source that is being learned are relayed too, so that early media is
    /// not clipped.
    #[inline]
    pub fn accept(&mut self, now: Instant, source: SocketAddr, ssrc: u32) -> bool {
        match &mut self.state {
            State::Locked { source: locked, heard, rival, .. } if *locked == source => {
                *heard = now;
                *rival = None;
                true
            }
            _ => self.accept_another(now, source, ssrc),
        }
    }

    /// [`Latch::accept`] for a packet from any source but the locked one.
    fn accept_another(&mut self, now: Instant, source: SocketAddr, ssrc: u32) -> bool {
        let announced = source == self.sdp;
        if !announced && (self.strict || self.is_former(now, source)) {
            return false;
        }
        let home = self.is_home(source);
        let held_by_another = self.locked().is_some_and(|locked| !self.is_home(locked));
        match &mut self.state {
            State::Learning(candidate) => {
                let next = Candidate::after(candidate.take(), now, source, ssrc);
                let enough = home && next.packets >= LATCH_PACKETS || next.is_in_earnest(now);
                if announced || enough {
                    self.lock(now, source, None);
                } else {
                    *candidate = Some(next);
                }
                true
            }
            State::Locked { ousted, .. } if announced || *ousted == Some(source) => {
                self.lock(now, source, None);
                true
            }
            // A foreign host was locked first.
            State::Locked { rival, .. } if home && held_by_another => {
                let next = Candidate::after(rival.take(), now, source, ssrc);
                let enough = next.packets >= LATCH_PACKETS;
                if enough {
                    self.lock(now, source, None);
                } else {
                    *rival = Some(next);
                }
                enough
            }
            State::Locked { heard, .. } if now.duration_since(*heard) < LATCH_SILENCE => false,
            State::Locked { source: locked, rival, ousted, .. } => {
                let next = Candidate::after(rival.take(), now, source, ssrc);
                let in_earnest = next.is_in_earnest(now);
                if in_earnest {
                    let ousted = ousted.unwrap_or(*locked);
                    self.lock(now, source, Some(ousted));
                } else {
                    *rival = Some(next);
                }
                in_earnest
            }
        }
    }

    fn is_former(&mut self, now: Instant, source: SocketAddr) -> bool {
        self.former.contains(&Some(source))
            && now < *self.former_until.get_or_insert(now + FORMER_REST)
    }

    fn lock(&mut self, now: Instant, source: SocketAddr, ousted: Option<SocketAddr>) {
        self.state = State::Locked { source, heard: now, rival: None, ousted };
    }

    /// Whether the locked source took the side over from another one.
    pub fn is_taken_over(&self) -> bool {
        matches!(self.state, State::Locked { ousted: Some(_), .. })
    }

    /// The address that the side's SDP names.
    pub fn announced(&self) -> SocketAddr {
        self.sdp
    }

    /// Judges a packet that proves nothing, such as comfort noise that was not negotiated: it
    /// passes from the known source of the side, and keeps a lock alive.
    pub fn keep(&mut self, now: Instant, source: SocketAddr) -> bool {
        match &mut self.state {
            State::Locked { source: locked, heard, .. } if *locked == source => {
                *heard = now;
                true
            }
            State::Locked { .. } => false,
            State::Learning(_) => source == self.sdp,
        }
    }

    /// The locked source.
    pub fn locked(&self) -> Option<SocketAddr> {
        match self.state {
            State::Locked { source, .. } => Some(source),
            State::Learning(_) => None,
        }
    }

    /// Where packets for this side go: the locked source, else the SDP address. Packets cannot
    /// reach a private address, so there the first source on a host of the party is the better
    /// guess; any other single packet could misdirect the audio.
    pub fn target(&self) -> SocketAddr {
        match &self.state {
            State::Locked { source, .. } => *source,
            State::Learning(Some(candidate))
                if is_private(self.sdp.ip()) && self.is_home(candidate.source) =>
            {
                candidate.source
            }
            State::Learning(_) => self.sdp,
        }
    }
}

/// Addresses that mean a different host in each network: RFC 1918, RFC 6598, RFC 4193, link-local.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
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
        (Latch::new(at(SDP), at(NAT).ip(), strict), Instant::now())
    }

    fn locked_to_nat() -> (Latch, Instant) {
        let (mut latch, now) = latch(false);
        for _ in 0..LATCH_PACKETS {
            assert!(latch.accept(now, at(NAT), 1));
        }
        (latch, now)
    }

    /// MEDIA-11: the first three consecutive packets of one SSRC lock; they are relayed meanwhile.
    #[test]
    fn three_packets_of_one_source_lock_and_all_are_relayed() {
        let (mut latch, now) = latch(false);
        assert_eq!(latch.target(), at(SDP), "nothing heard: the SDP address");
        assert!(latch.accept(now, at(NAT), 1) && latch.accept(now, at(NAT), 1));
        assert_eq!((latch.locked(), latch.target()), (None, at(SDP)), "two may be a probe");
        assert!(latch.accept(now, at(NAT), 1));
        assert_eq!((latch.locked(), latch.target()), (Some(at(NAT)), at(NAT)));
    }

    /// MEDIA-11: a private SDP address from a public peer means NAT: answering the first source
    /// heard loses nothing.
    #[test]
    fn a_private_address_is_given_up_for_the_first_source() {
        for private in ["10.1.2.3:4000", "100.64.0.1:4000", "[fd00::1]:4000"] {
            let mut latch = Latch::new(at(private), at(NAT).ip(), false);
            assert!(latch.accept(Instant::now(), at(INTRUDER), 1));
            assert_eq!((latch.locked(), latch.target()), (None, at(private)), "some host");
            assert!(latch.accept(Instant::now(), at(NAT), 1));
            assert_eq!((latch.locked(), latch.target()), (None, at(NAT)));
        }
    }

    /// MEDIA-11: before a party has spoken, a sweep over all ports locks nothing, however often it
    /// is repeated; a media server on another host is learned from half a second of speech, and
    /// gives way to the host of the signalling.
    #[test]
    fn another_host_is_learned_from_speech_alone() {
        let (mut latch, now) = latch(false);
        let heard = |n: u32, gap: u64| now + Duration::from_millis(gap) * n;
        for round in 0..20 {
            latch.accept(heard(round, 200), at(INTRUDER), 9);
        }
        assert_eq!((latch.locked(), latch.target()), (None, at(SDP)));
        let server = at("203.0.113.70:9000");
        let spoken = u32::from(TAKEOVER_PACKETS);
        assert!((0..spoken).all(|n| latch.accept(heard(n, 20), server, 2)), "nothing is clipped");
        assert_eq!(latch.locked(), Some(server));
        let heard: Vec<bool> = (0..3).map(|_| latch.accept(now, at(NAT), 1)).collect();
        assert_eq!((heard, latch.locked()), (vec![false, false, true], Some(at(NAT))));
    }

    /// MEDIA-11: the address of the SDP is preferred.
    #[test]
    fn a_packet_from_the_sdp_address_locks_at_once() {
        let (mut latch, now) = latch(false);
        assert!(latch.accept(now, at(INTRUDER), 9) && latch.accept(now, at(INTRUDER), 9));
        assert!(latch.accept(now, at(SDP), 1));
        assert_eq!(latch.locked(), Some(at(SDP)));
    }

    /// MEDIA-11: the packets must be consecutive and of one SSRC.
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

    /// MEDIA-11: once locked, a new SSRC of the same source is the same party.
    #[test]
    fn a_locked_latch_keeps_strangers_out() {
        let (mut latch, now) = locked_to_nat();
        let soon = now + LATCH_SILENCE - Duration::from_millis(1);
        assert!(!latch.accept(soon, at(INTRUDER), 1));
        assert!(latch.accept(soon, at(NAT), 77));
        assert_eq!(latch.locked(), Some(at(NAT)));
    }

    /// MEDIA-11: after 5 s of silence another source is learned, from half a second of speech and
    /// not from the three packets that a port scanner sends to each port. Until then audio keeps
    /// its destination, and the rival is not heard.
    #[test]
    fn after_five_seconds_of_silence_another_source_takes_over_by_speaking() {
        let moved = at("198.51.100.7:61002");
        let (mut latch, now) = locked_to_nat();
        let later = now + LATCH_SILENCE;
        let speaks = |latch: &mut Latch, packets: u8, gap: Duration| {
            (0..u32::from(packets)).filter(|n| latch.accept(later + gap * *n, moved, 1)).count()
        };
        assert_eq!(speaks(&mut latch, TAKEOVER_PACKETS - 1, Duration::from_millis(20)), 0);
        assert_eq!((latch.locked(), latch.target()), (Some(at(NAT)), at(NAT)));
        let (mut burst, _) = locked_to_nat();
        assert_eq!(speaks(&mut burst, u8::MAX, Duration::from_millis(1)), 0, "a burst");
        assert!(latch.accept(later + TAKEOVER_TIME, moved, 1));
        assert_eq!((latch.locked(), latch.target()), (Some(moved), moved));
        assert!(latch.is_taken_over());
    }

    /// MEDIA-11: a source that took over a silent side does not lock out its party: neither at its
    /// former source nor at its SDP address.
    #[test]
    fn a_party_that_was_taken_over_has_its_side_back_when_it_speaks() {
        for home in [NAT, SDP] {
            let (mut latch, now) = locked_to_nat();
            for sources in [INTRUDER, "203.0.113.67:7000"] {
                let begin = now + LATCH_SILENCE * 4;
                for packet in 0..=u32::from(TAKEOVER_PACKETS) {
                    latch.accept(begin + Duration::from_millis(20) * packet, at(sources), 9);
                }
            }
            assert_eq!(latch.locked(), Some(at(INTRUDER)));
            let heard = now + LATCH_SILENCE * 4 + Duration::from_millis(520);
            assert!(latch.accept(heard, at(home), 1));
            assert_eq!((latch.locked(), latch.is_taken_over()), (Some(at(home)), false));
            assert!(!latch.accept(heard, at(INTRUDER), 9));
        }
    }

    /// MEDIA-11: packets that the old party still sends do not lock the new party's latch; an
    /// address named in the new SDP does not count as former.
    #[test]
    fn a_former_source_is_no_candidate_after_a_change() {
        let (mut old, now) = latch(false);
        assert!(old.accept(now, at(SDP), 1));
        let mut new = old.succeeded_by(at("192.0.2.10:4400"), at(NAT).ip(), false);
        for packet in 0..200 {
            assert!(!new.accept(now + Duration::from_millis(20) * packet, at(SDP), 1));
        }
        assert_eq!(new.locked(), None);
        for _ in 0..LATCH_PACKETS {
            assert!(new.accept(now, at(NAT), 2));
        }
        assert_eq!(new.locked(), Some(at(NAT)), "the new party may be behind a NAT");
        let mut third = new.succeeded_by(at(SDP), at(NAT).ip(), false);
        assert!(!third.accept(now, at(NAT), 2) && third.accept(now, at(SDP), 1));
        assert_eq!(third.locked(), Some(at(SDP)));
    }

    /// A gateway on the way rewrites the address in one SDP and not in the next: the party looks
    /// like another one, and is heard again after a while.
    #[test]
    fn a_former_source_that_goes_on_is_learned_in_the_end() {
        let (mut old, now) = latch(false);
        assert!(old.accept(now, at(SDP), 1));
        let mut new = old.succeeded_by(at("10.1.2.3:4000"), at(SDP).ip(), false);
        let heard = |packet: u32| now + Duration::from_millis(20) * packet;
        let first = (0..1_000).find(|packet| new.accept(heard(*packet), at(SDP), 1));
        assert_eq!(first.map(heard), Some(now + FORMER_REST));
        assert!((251..254).all(|packet| new.accept(heard(packet), at(SDP), 1)));
        assert_eq!(new.locked(), Some(at(SDP)));
    }

    /// A gateway whose packets never come from the port in its SDP stays audible.
    #[test]
    fn another_port_of_the_announced_host_is_not_former() {
        let (mut old, now) = latch(false);
        let sends_from = at("192.0.2.10:5000");
        for _ in 0..LATCH_PACKETS {
            old.accept(now, sends_from, 1);
        }
        let mut new = old.succeeded_by(at("192.0.2.10:4400"), at(NAT).ip(), false);
        assert!((0..LATCH_PACKETS).all(|_| new.accept(now, sends_from, 1)));
        assert_eq!(new.locked(), Some(sends_from));
    }

    /// A side that listens silently does not lose its lock to a probe, nor to a flood once it
    /// speaks.
    #[test]
    fn a_silent_side_that_speaks_again_keeps_its_lock() {
        let (mut latch, now) = locked_to_nat();
        let later = now + LATCH_SILENCE;
        assert!(!latch.accept(later, at(INTRUDER), 9) && !latch.accept(later, at(INTRUDER), 9));
        assert!(latch.accept(later, at(NAT), 1));
        assert!(!latch.accept(later, at(INTRUDER), 9));
        assert_eq!(latch.locked(), Some(at(NAT)));
    }

    #[test]
    fn what_proves_nothing_passes_from_the_known_source_only() {
        let (mut latch, now) = latch(false);
        assert!(latch.keep(now, at(SDP)) && !latch.keep(now, at(NAT)));
        assert_eq!(latch.locked(), None);
        let (mut latch, now) = locked_to_nat();
        let then = now + LATCH_SILENCE;
        assert!(latch.keep(then, at(NAT)) && !latch.keep(then, at(SDP)));
        assert!(!latch.accept(then, at(INTRUDER), 9), "it was heard just now");
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
