//! The media plane: sockets and threads that relay RTP apart from signalling.
//!
//! A signalling shard holds a [`PlaneControl`]: it binds the ports of each leg in its own
//! thread, so that a busy port is noticed before it is written into SDP, and hands the
//! sockets to a relay thread: a call's first leg goes to the one with the fewest calls, its
//! other legs to the same. From then on shard and relay share only counters and a queue of
//! commands.

mod control;
mod relay_thread;
mod relayed;
mod sockets;
mod sounds;

pub use control::PlaneControl;
pub use sounds::Sounds;

use crate::seldom::Seldom;
use media::PortPool;
use platform::ProcessorSet;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use relay_thread::{Command, RelayThread, Reports};
use sockets::ConnectedBudget;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use switch::{CallKey, MediaEvent};

/// What the media plane needs to know at start.
#[derive(Debug)]
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
    /// What can be played.
    pub sounds: Sounds,
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

/// What a relay thread reports of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Its relay has failed: it has no audio any more and is to be ended.
    Lost,
    /// Something that the call has to know.
    Event(MediaEvent),
}

/// The running media plane. Dropping it ends the relay threads and all relayed calls.
#[derive(Debug)]
pub struct MediaPlane {
    shared: Arc<Shared>,
    relays: Vec<RelayThread>,
    threads: Vec<JoinHandle<()>>,
    seeds: Mutex<StdRng>,
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
    /// Legs that another source took over since start (MEDIA-11).
    pub takeovers: u64,
    /// Faults of relay threads since start, after which they went on.
    pub faults: u64,
    /// Calls that have a leg open.
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
    sounds: Sounds,
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

/// Where a leg is bound.
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
        let (dscp, sounds) = (settings.dscp, settings.sounds);
        let shared = Arc::new(Shared { addresses, dscp, next_id: AtomicU64::new(0), sounds });
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
                RelayThread::start(number, dscp, processors, Arc::clone(&budget))?;
            plane.relays.push(relay);
            plane.threads.push(thread);
        }
        Ok(plane)
    }

    /// A control for one signalling shard. `report` hears, from a relay thread, what happens to
    /// the audio of its calls.
    pub fn control(
        &self,
        report: impl Fn(CallKey, Report) + Send + Sync + 'static,
    ) -> PlaneControl {
        let mut seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        let relays = self.relays.iter().map(RelayThread::share).collect();
        let rng = StdRng::from_seed(seeds.random());
        PlaneControl::new(self.shared.clone(), relays, rng, Reports(Arc::new(report)))
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
            stats.sessions += relay.calls();
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
mod acting_tests;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::DEFECT;
