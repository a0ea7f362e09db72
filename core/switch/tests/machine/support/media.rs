//! A relay that only records its calls.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use strowger_switch::{CallKey, LegCounters, MediaControl, MediaLeg, RemoteMedia, SilenceLimits};

/// The number of the caller's leg; vendors have the numbers of their attempts, from 1.
pub(crate) const CALLER_LEG: u16 = 0;

#[derive(Default)]
pub(crate) struct MemoryMedia {
    /// The open legs, each with the leg that it is joined to.
    legs: HashMap<MediaLeg, Option<MediaLeg>>,
    /// Legs that the previous machine had open.
    of_the_last: HashSet<MediaLeg>,
    /// Also reopens legs of a machine that this relay has not seen.
    pub(crate) adopts: bool,
    next_port: u16,
    /// Refuse to open, as if no port were free.
    pub(crate) exhausted: bool,
    /// Packets received from each vendor's leg.
    pub(crate) vendors_sent: u64,
    /// How often each vendor's leg was taken over.
    pub(crate) takeovers: u64,
    /// Each leg update: leg number and content.
    pub(crate) updates: Vec<(u16, RemoteMedia)>,
    /// The numbers of the joined legs.
    pub(crate) joins: Vec<(u16, u16)>,
    /// Each played sound: leg number and name.
    pub(crate) plays: Vec<(u16, String)>,
    /// The calls that are watched for silence.
    pub(crate) watched: Vec<CallKey>,
    /// When the caller's last packet came.
    pub(crate) last_packet: Option<Instant>,
}

impl MemoryMedia {
    pub(crate) fn open_legs(&self) -> usize {
        self.legs.len() + self.of_the_last.len()
    }

    /// The machine ends; the next one must open the same legs.
    pub(crate) fn change_machines(&mut self) {
        assert!(self.of_the_last.is_empty(), "legs that nobody has opened again");
        self.of_the_last = self.legs.drain().map(|(leg, _)| leg).collect();
    }

    fn read(&self, leg: MediaLeg) -> LegCounters {
        if leg.leg == CALLER_LEG {
            return LegCounters { last_packet: self.last_packet, ..Default::default() };
        }
        let (rtp_in, takeovers) = (self.vendors_sent, self.takeovers);
        LegCounters { rtp_in, takeovers, ..Default::default() }
    }

    fn part(&mut self, leg: MediaLeg) {
        for peer in self.legs.values_mut() {
            peer.take_if(|peer| *peer == leg);
        }
    }
}

impl MediaControl for MemoryMedia {
    /// A pair at a media address: 10.0.0.1 for the first, 10.0.1.1 for the second ...
    fn open(&mut self, leg: MediaLeg, address: u16) -> Option<SocketAddr> {
        if self.exhausted {
            return None;
        }
        assert!(self.legs.insert(leg, None).is_none(), "opened twice");
        let network = u8::try_from(address).expect("few media addresses");
        self.next_port = self.next_port % 20_000 + 2;
        Some(SocketAddr::from(([10, 0, network, 1], 10_000 + self.next_port)))
    }

    fn reopen(&mut self, leg: MediaLeg, address: u16, local: SocketAddr) -> bool {
        let network = u8::try_from(address).expect("few media addresses");
        assert_eq!(local.ip(), IpAddr::from([10, 0, network, 1]), "of its media address");
        assert!(self.of_the_last.remove(&leg) || self.adopts, "it was open");
        assert!(self.legs.insert(leg, None).is_none(), "opened twice");
        true
    }

    fn update(&mut self, leg: MediaLeg, remote: RemoteMedia) {
        assert!(self.legs.contains_key(&leg), "an open leg");
        self.updates.push((leg.leg, remote));
    }

    fn join(&mut self, a: MediaLeg, b: MediaLeg) {
        for (leg, peer) in [(a, b), (b, a)] {
            self.part(leg);
            *self.legs.get_mut(&leg).expect("an open leg") = Some(peer);
        }
        self.joins.push((a.leg, b.leg));
    }

    fn play(&mut self, leg: MediaLeg, sound: &str, _: bool) -> bool {
        let (_, told) = self.updates.iter().rfind(|(number, _)| *number == leg.leg).expect("told");
        assert!(told.formats.is_some(), "nobody knows how to write the sound");
        self.plays.push((leg.leg, sound.to_owned()));
        true
    }

    fn watch(&mut self, call: CallKey, _: SilenceLimits) {
        self.watched.push(call);
    }

    fn counters(&mut self, leg: MediaLeg) -> Option<LegCounters> {
        self.legs.contains_key(&leg).then(|| self.read(leg))
    }

    fn close(&mut self, leg: MediaLeg) -> Option<LegCounters> {
        self.legs.remove(&leg)?;
        self.part(leg);
        Some(self.read(leg))
    }
}
