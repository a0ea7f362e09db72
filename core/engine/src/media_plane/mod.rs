//! The media plane: sockets and threads that relay RTP, separate from signalling.
//!
//! A signalling shard holds a [`PlaneControl`]. It binds the ports of each leg in its own thread,
//! so that a busy port is detected before it is written into SDP, and passes the sockets to a relay
//! thread: a call's first leg goes to the thread with the fewest calls, its other legs to the same
//! one. From then on shard and relay share only counters and a command queue.

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

/// Settings of the media plane.
#[derive(Debug)]
pub struct MediaSettings {
    /// Media addresses, at least one; trunks refer to them by index (MEDIA-10).
    pub addresses: Vec<MediaAddress>,
    /// Relay threads, at least 1.
    pub threads: usize,
    /// DSCP of RTP and RTCP, 0-63; EF is 46 (MEDIA-46, SIG-94).
    pub dscp: u8,
    /// Seed of the port choice, secret so that ports cannot be guessed (MEDIA-08).
    pub seed: [u8; 32],
    /// CPUs of the threads; `None` leaves the choice to the system.
    pub processors: Option<ProcessorSet>,
    /// Spare file descriptors besides the two sockets of each pair, for connected sockets that only
    /// make the relay faster: one for each active side.
    pub spare_files: usize,
    /// Sounds for playback.
    pub sounds: Sounds,
}

/// A media address (MEDIA-10).
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

/// A report of a relay thread on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Its relay has failed: it has no audio and must be ended.
    Lost,
    /// An event for the call.
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
    /// Legs that switched to another source since start (MEDIA-11).
    pub takeovers: u64,
    /// Faults since start that relay threads have survived.
    pub faults: u64,
    /// Calls with an open leg.
    pub sessions: usize,
    /// RTP/RTCP pairs in use, all addresses together.
    pub ports_in_use: usize,
    /// Pairs in their rest period after a call (MEDIA-08).
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
    /// Pairs in use.
    pub in_use: usize,
    /// Pairs in their rest period.
    pub resting: usize,
    /// Attempts without a pair since start: none was free, or the system refused it.
    pub refused: u64,
    /// At least 80 % of the pairs are in use (MEDIA-09).
    pub nearly_full: bool,
}

/// State shared by all controls.
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
    /// Locked when a call opens or closes, never per packet.
    pool: Mutex<PortPool>,
    /// Whether the log has reported that it is nearly full.
    alarmed: AtomicBool,
    refused: AtomicU64,
    no_port: Seldom,
    not_bound: Seldom,
}

/// Binding of a leg.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Index of the media address.
    address: usize,
    port: u16,
    /// Address in the SDP.
    advertised: SocketAddr,
}

impl MediaPlane {
    /// Checks the settings and starts the relay threads. Ports are bound per call.
    ///
    /// # Errors
    /// `InvalidInput` for invalid settings, with the offending address and value; otherwise the
    /// system's error.
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

    /// A control for one signalling shard. `report` is called on a relay thread with events of its
    /// calls.
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
    /// Reports the alarm of MEDIA-09 once when it rises; it rearms when the use falls below 70 %,
    /// so that calls around the threshold do not repeat it.
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

/// Returns what is wrong with the settings.
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
