//! A relay that only remembers what it was told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;
use strowger_switch::{CallKey, LegCounters, MediaControl, MediaSide, RemoteMedia};

#[derive(Default)]
pub(crate) struct MemoryMedia {
    sessions: HashMap<CallKey, HashMap<bool, RemoteMedia>>,
    next_port: u16,
    /// Refuse to open, as if no port were free.
    pub(crate) exhausted: bool,
    /// What the vendors of each call sent, all together.
    pub(crate) vendors_sent: u64,
    /// How often each vendor's side was taken over.
    pub(crate) takeovers: u64,
    /// How often a vendor was forgotten for the next one at the same pair.
    pub(crate) forgotten: usize,
    pub(crate) updates: Vec<(MediaSide, RemoteMedia)>,
    /// When the caller's last packet came.
    pub(crate) last_packet: Option<Instant>,
}

impl MemoryMedia {
    pub(crate) fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    fn read(&self) -> [LegCounters; 2] {
        let (rtp_in, takeovers) = (self.vendors_sent, self.takeovers);
        [
            LegCounters { last_packet: self.last_packet, ..Default::default() },
            LegCounters { rtp_in, takeovers, ..Default::default() },
        ]
    }

    /// A pair of a media address: 10.0.0.1 for the first, 10.0.1.1 for the second ...
    fn next_pair(&mut self, address: u16) -> SocketAddr {
        let network = u8::try_from(address).expect("few media addresses");
        self.next_port = self.next_port % 20_000 + 2;
        SocketAddr::from(([10, 0, network, 1], 10_000 + self.next_port))
    }
}

impl MediaControl for MemoryMedia {
    fn open(&mut self, session: CallKey, caller: u16, vendor: u16) -> Option<[SocketAddr; 2]> {
        if self.exhausted {
            return None;
        }
        assert!(self.sessions.insert(session, HashMap::new()).is_none(), "opened twice");
        Some([self.next_pair(caller), self.next_pair(vendor)])
    }

    fn move_vendor(&mut self, session: CallKey, vendor: u16) -> Option<SocketAddr> {
        if self.exhausted {
            return None;
        }
        self.sessions.get_mut(&session).expect("an open session").remove(&false);
        Some(self.next_pair(vendor))
    }

    fn forget_vendor(&mut self, session: CallKey) {
        self.sessions.get_mut(&session).expect("an open session").remove(&false);
        self.forgotten += 1;
    }

    fn update(&mut self, session: CallKey, side: MediaSide, remote: RemoteMedia) {
        let session = self.sessions.get_mut(&session).expect("an open session");
        session.insert(side == MediaSide::Caller, remote.clone());
        self.updates.push((side, remote));
    }

    fn counters(&mut self, session: CallKey) -> Option<[LegCounters; 2]> {
        self.sessions.get(&session).map(|_| self.read())
    }

    fn close(&mut self, session: CallKey) -> Option<[LegCounters; 2]> {
        self.sessions.remove(&session).map(|_| self.read())
    }
}
