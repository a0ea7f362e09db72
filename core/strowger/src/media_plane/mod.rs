//! The media plane: sockets and threads that relay RTP apart from signalling.
//!
//! A signalling shard holds a [`PlaneControl`]: it binds the ports of a call in its own
//! thread, so that a busy port is noticed before it is written into SDP, and hands the
//! sockets to the relay thread with the fewest sessions. From then on shard and relay
//! share only counters and a queue of commands.

mod relay_thread;
mod sockets;

use crate::clock;
use crate::seldom::Seldom;
use host::ProcessorSet;
use media::{PortPool, RemoteMedia, SessionCounters, Side};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use relay_thread::{Command, OnLost, Opening, RelayThread, SessionId};
use sockets::{ConnectedBudget, SocketPair};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use switch::{CallKey, LegCounters, MediaControl, MediaSide};

/// Of parties that name our own ports.
static OWN_PORT: Seldom = Seldom::new();

/// Pairs tried before a side is told that there are no ports.
const BIND_TRIES: usize = 8;

/// What the media plane needs to know at start.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Media addresses; trunks name them by their place in this list (MEDIA-10). At least one.
    pub addresses: Vec<MediaAddress>,
    /// Relay threads, at least 1.
    pub threads: usize,
    /// DSCP of RTP and RTCP, 0-63; EF is 46 (MEDIA-46, SIG-94).
    pub dscp: u8,
    /// Seed of the port choice (MEDIA-08): secret, else ports could be guessed.
    pub seed: [u8; 32],
    /// Processors that the threads keep to; none: wherever the system puts them.
    pub processors: Option<ProcessorSet>,
    /// Open files beyond the two sockets of each pair, for sockets that only make the relay
    /// faster: one for each side that is heard.
    pub spare_files: usize,
}

/// An address that media comes to and leaves from (MEDIA-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaAddress {
    /// Its name in configuration and metrics.
    pub name: String,
    /// Local address that sockets are bound to.
    pub bind: IpAddr,
    /// Address written into SDP; differs from `bind` behind a static NAT.
    pub advertised: IpAddr,
    /// Ports, 1024 or higher; no overlap with another range of the same `bind` (MEDIA-08).
    pub ports: RangeInclusive<u16>,
}

/// The running media plane. Dropping it ends the relay threads and all relayed calls.
#[derive(Debug)]
pub struct MediaPlane {
    shared: Arc<Shared>,
    relays: Vec<RelayThread>,
    threads: Vec<JoinHandle<()>>,
    seeds: Mutex<StdRng>,
}

/// One signalling shard's hold on the plane: opens, steers and closes the relays of its
/// calls. Dropping it closes those that are left.
pub struct PlaneControl {
    shared: Arc<Shared>,
    relays: Vec<RelayThread>,
    sessions: HashMap<CallKey, OpenSession>,
    rng: StdRng,
    on_lost: OnLost,
}

/// A reading of the plane, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaneStats {
    /// Packets received since start.
    pub packets_in: u64,
    /// Packets sent since start.
    pub packets_out: u64,
    /// Packets dropped since start.
    pub dropped: u64,
    /// Sides that another source took over since start (MEDIA-11).
    pub takeovers: u64,
    /// Faults of relay threads since start, after which they went on.
    pub faults: u64,
    /// Sessions open.
    pub sessions: usize,
    /// RTP/RTCP pairs taken, all addresses together.
    pub ports_in_use: usize,
    /// Pairs that rest after a call (MEDIA-08).
    pub ports_resting: usize,
    /// The pairs of each address, in the order of the settings.
    pub addresses: Vec<AddressStats>,
}

/// A reading of one media address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressStats {
    /// Its name.
    pub name: String,
    /// RTP/RTCP pairs in its range; a relayed call takes one per side (MEDIA-09).
    pub capacity: usize,
    /// Pairs taken.
    pub in_use: usize,
    /// Pairs that rest.
    pub resting: usize,
    /// Attempts that got no pair since start: none was free, or the system refused it.
    pub refused: u64,
    /// 80 % or more of the pairs are taken (MEDIA-09).
    pub nearly_full: bool,
}

/// What all controls see.
#[derive(Debug)]
struct Shared {
    addresses: Vec<SharedAddress>,
    dscp: u8,
    /// The next [`SessionId`].
    next_id: AtomicU64,
}

#[derive(Debug)]
struct SharedAddress {
    settings: MediaAddress,
    /// Taken when a call opens or closes, never per packet.
    pool: Mutex<PortPool>,
    /// The log said that it is nearly full.
    alarmed: AtomicBool,
    refused: AtomicU64,
    no_port: Seldom,
    not_bound: Seldom,
}

#[derive(Debug)]
struct OpenSession {
    id: SessionId,
    /// Index of its relay thread.
    relay: usize,
    counters: Arc<SessionCounters>,
    /// Caller's and vendor's place.
    places: [Place; 2],
}

/// Where one side of a session is bound.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Index of the media address.
    address: usize,
    port: u16,
    /// What SDP says.
    advertised: SocketAddr,
}

impl MediaPlane {
    /// Checks the settings and starts the relay threads. Ports are bound per call.
    ///
    /// # Errors
    /// `InvalidInput` for settings that cannot work, with the offending address and value;
    /// else what the system says.
    pub fn start(settings: MediaSettings) -> io::Result<MediaPlane> {
        check(&settings).map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
        let mut addresses = Vec::new();
        for address in settings.addresses {
            let pool = PortPool::new(address.ports.clone()).map_err(|error| {
                let reason = format!("media address `{}`: {error}", address.name);
                io::Error::new(io::ErrorKind::InvalidInput, reason)
            })?;
            addresses.push(SharedAddress {
                settings: address,
                pool: Mutex::new(pool),
                alarmed: AtomicBool::default(),
                refused: AtomicU64::default(),
                no_port: Seldom::new(),
                not_bound: Seldom::new(),
            });
        }
        let shared =
            Arc::new(Shared { addresses, dscp: settings.dscp, next_id: AtomicU64::new(0) });
        let mut plane = MediaPlane {
            shared,
            relays: Vec::new(),
            threads: Vec::new(),
            seeds: Mutex::new(StdRng::from_seed(settings.seed)),
        };
        let budget = ConnectedBudget::new(settings.spare_files);
        for number in 0..settings.threads {
            let processors = settings.processors.clone();
            let (relay, thread) =
                RelayThread::start(number, settings.dscp, processors, Arc::clone(&budget))?;
            plane.relays.push(relay);
            plane.threads.push(thread);
        }
        Ok(plane)
    }

    /// A control for one signalling shard. `on_lost` hears, from a relay thread, of calls whose
    /// relay has failed: they have no audio any more and are to be ended.
    pub fn control(&self, on_lost: impl Fn(CallKey) + Send + Sync + 'static) -> PlaneControl {
        let mut seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        PlaneControl {
            shared: self.shared.clone(),
            relays: self.relays.iter().map(RelayThread::share).collect(),
            sessions: HashMap::new(),
            rng: StdRng::from_seed(seeds.random()),
            on_lost: Arc::new(on_lost),
        }
    }

    /// Reads counters and port use.
    pub fn stats(&self) -> PlaneStats {
        let now = Instant::now();
        let mut stats = PlaneStats::default();
        for relay in &self.relays {
            stats.packets_in += relay.totals().packets_in.load(Relaxed);
            stats.packets_out += relay.totals().packets_out.load(Relaxed);
            stats.dropped += relay.totals().dropped.load(Relaxed);
            stats.takeovers += relay.totals().takeovers.load(Relaxed);
            stats.faults += relay.totals().faults.load(Relaxed);
            stats.sessions += relay.sessions();
        }
        for address in &self.shared.addresses {
            let mut pool = address.pool.lock().unwrap_or_else(PoisonError::into_inner);
            let address = AddressStats {
                name: address.settings.name.clone(),
                capacity: pool.capacity(),
                resting: pool.resting(now),
                in_use: pool.in_use(),
                nearly_full: pool.is_nearly_full(),
                refused: address.refused.load(Relaxed),
            };
            stats.ports_in_use += address.in_use;
            stats.ports_resting += address.resting;
            stats.addresses.push(address);
        }
        stats
    }
}

impl Drop for MediaPlane {
    fn drop(&mut self) {
        for relay in &self.relays {
            relay.tell(Command::Stop);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a relay thread had panicked");
            }
        }
    }
}

impl MediaControl for PlaneControl {
    fn open(&mut self, session: CallKey, caller: u16, vendor: u16) -> Option<[SocketAddr; 2]> {
        self.close(session);
        let (caller, caller_sockets) = self.bind(caller)?;
        let Some((vendor, vendor_sockets)) = self.bind(vendor) else {
            drop(caller_sockets);
            self.shared.release(caller);
            return None;
        };
        let relay = (0..self.relays.len()).min_by_key(|index| self.relays[*index].sessions())?;
        let opened = OpenSession {
            id: SessionId(self.shared.next_id.fetch_add(1, Relaxed)),
            relay,
            counters: Arc::default(),
            places: [caller, vendor],
        };
        self.relays[relay].tell(Command::Open(Box::new(Opening {
            id: opened.id,
            sockets: [caller_sockets, vendor_sockets],
            counters: opened.counters.clone(),
            call: session,
            on_lost: self.on_lost.clone(),
        })));
        self.sessions.insert(session, opened);
        Some([caller.advertised, vendor.advertised])
    }

    fn move_vendor(&mut self, session: CallKey, vendor: u16) -> Option<SocketAddr> {
        let relay = self.sessions.get(&session)?.relay;
        let (place, sockets) = self.bind(vendor)?;
        let open = self.sessions.get_mut(&session)?;
        let left = std::mem::replace(&mut open.places[Side::Vendor.index()], place);
        self.relays[relay].tell(Command::Move {
            id: open.id,
            side: Side::Vendor,
            sockets: Box::new(sockets),
        });
        self.shared.release(left);
        Some(place.advertised)
    }

    fn forget_vendor(&mut self, session: CallKey) {
        if let Some(open) = self.sessions.get(&session) {
            let forget = Command::Forget { id: open.id, side: Side::Vendor };
            self.relays[open.relay].tell(forget);
        }
    }

    fn update(&mut self, session: CallKey, side: MediaSide, remote: switch::RemoteMedia) {
        let Some(open) = self.sessions.get(&session) else {
            return;
        };
        let mut remote = RemoteMedia {
            rtp: remote.rtp,
            rtcp: remote.rtcp,
            rtcp_mux: remote.rtcp_mux,
            payload_types: remote.payload_types.into_iter().collect(),
            signalling: remote.signalling,
            strict: remote.strict,
        };
        // A party that names our own ports would have us send to ourselves for ever.
        if open.places.iter().any(|place| place.advertised == remote.rtp) {
            if let Some(held) = OWN_PORT.pass() {
                tracing::warn!(
                    address = %remote.rtp, held,
                    "SDP names the relay's own port, nothing is sent there"
                );
            }
            remote.rtp.set_port(0);
            remote.rtcp.set_port(0);
        }
        let side = match side {
            MediaSide::Caller => Side::Caller,
            MediaSide::Vendor => Side::Vendor,
        };
        self.relays[open.relay].tell(Command::Update { id: open.id, side, remote });
    }

    fn counters(&mut self, session: CallKey) -> Option<[LegCounters; 2]> {
        self.sessions.get(&session).map(OpenSession::counters)
    }

    fn close(&mut self, session: CallKey) -> Option<[LegCounters; 2]> {
        let open = self.sessions.remove(&session)?;
        self.relays[open.relay].tell(Command::Close { id: open.id });
        for place in open.places {
            self.shared.release(place);
        }
        Some(open.counters())
    }
}

impl Drop for PlaneControl {
    fn drop(&mut self) {
        self.close_all();
    }
}

impl PlaneControl {
    /// Ends all sessions of the shard.
    pub fn close_all(&mut self) {
        let left: Vec<CallKey> = self.sessions.keys().copied().collect();
        for session in left {
            self.close(session);
        }
    }

    /// Takes and binds a pair of the address with this index, or of the first address.
    fn bind(&mut self, index: u16) -> Option<(Place, SocketPair)> {
        let index = if usize::from(index) < self.shared.addresses.len() { index.into() } else { 0 };
        let address = self.shared.addresses.get(index)?;
        let MediaAddress { name, bind, advertised, .. } = &address.settings;
        for _ in 0..BIND_TRIES {
            let taken = {
                let mut pool = address.pool.lock().unwrap_or_else(PoisonError::into_inner);
                let taken = pool.take(Instant::now(), &mut self.rng);
                address.warn_at_the_edge(&pool);
                taken
            };
            let Some(port) = taken else {
                address.refused.fetch_add(1, Relaxed);
                if let Some(held) = address.no_port.pass() {
                    tracing::warn!(address = %name, held, "no free media port: attempts fail");
                }
                return None;
            };
            let advertised = SocketAddr::new(*advertised, port);
            let place = Place { address: index, port, advertised };
            match SocketPair::bind(*bind, port, self.shared.dscp) {
                Ok(sockets) => return Some((place, sockets)),
                Err(error) => {
                    self.shared.release(place);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        address.refused.fetch_add(1, Relaxed);
                        if let Some(held) = address.not_bound.pass() {
                            tracing::warn!(address = %name, port, %error, held, "media port not bound");
                        }
                        return None;
                    }
                }
            }
        }
        address.refused.fetch_add(1, Relaxed);
        if let Some(held) = address.not_bound.pass() {
            tracing::warn!(
                address = %name, tries = BIND_TRIES, held, "media ports are held by other programs"
            );
        }
        None
    }
}

impl Shared {
    fn release(&self, place: Place) {
        let pool = &self.addresses[place.address].pool;
        pool.lock().unwrap_or_else(PoisonError::into_inner).release(Instant::now(), place.port);
    }
}

impl SharedAddress {
    /// The alarm of MEDIA-09, told when it rises; the next one comes after the use fell below
    /// 70 %, not with every call around the edge.
    fn warn_at_the_edge(&self, pool: &PortPool) {
        if pool.is_nearly_full() {
            if !self.alarmed.swap(true, Relaxed) {
                tracing::warn!(
                    address = %self.settings.name, pairs = pool.capacity(), taken = pool.in_use(),
                    "80 % of the media ports are in use: a wider range or one more media address \
                     is needed"
                );
            }
        } else if pool.in_use() * 10 < pool.capacity() * 7 {
            self.alarmed.store(false, Relaxed);
        }
    }
}

impl OpenSession {
    fn counters(&self) -> [LegCounters; 2] {
        [Side::Caller, Side::Vendor].map(|side| {
            let side = self.counters.side(side);
            LegCounters {
                rtp_in: side.rtp_in,
                rtp_out: side.rtp_out,
                bytes_in: side.bytes_in,
                rtcp_in: side.rtcp_in,
                dropped: side.dropped,
                last_packet: (side.last_packet_ms > 0)
                    .then(|| clock::instant_of(side.last_packet_ms)),
                takeovers: side.takeovers,
                latched: side.latched,
            }
        })
    }
}

/// What makes settings impossible, if anything.
fn check(settings: &MediaSettings) -> Result<(), String> {
    if settings.addresses.is_empty() {
        return Err("no media address; at least one is needed".into());
    }
    if settings.threads == 0 {
        return Err("0 relay threads; at least 1 is needed".into());
    }
    if settings.dscp > 63 {
        return Err(format!("media DSCP {} is not in 0-63 (EF is 46)", settings.dscp));
    }
    for (index, one) in settings.addresses.iter().enumerate() {
        if one.bind.is_ipv4() != one.advertised.is_ipv4() {
            return Err(format!(
                "media address `{}` is bound to {} but advertises {}: not the same IP version",
                one.name, one.bind, one.advertised
            ));
        }
        for other in &settings.addresses[..index] {
            let apart =
                one.ports.start() > other.ports.end() || other.ports.start() > one.ports.end();
            if one.bind == other.bind && !apart {
                return Err(format!(
                    "media addresses `{}` and `{}` share ports of {}",
                    other.name, one.name, one.bind
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::DEFECT;
