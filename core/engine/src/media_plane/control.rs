//! The media plane's handle for a signalling shard.

use super::relay_thread::{Command, Opening, RelayThread, Reports, SessionId};
use super::sockets::SocketPair;
use super::sounds::{Playing, format_of};
use super::{MediaAddress, Place, Shared};
use crate::clock;
use crate::seldom::Seldom;
use media::{Formats, Input, LegId, LegReading, Limits, RemoteMedia};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use switch::{AudioFormats, CallKey, LegCounters, MediaControl, MediaLeg, SilenceLimits};

/// Limits log lines about parties that name our own ports.
static OWN_PORT: Seldom = Seldom::new();

/// Pairs tried before the plane reports that no port is free.
const BIND_TRIES: usize = 8;

/// Handle of a signalling shard: opens, joins and closes the legs of its calls. Dropping it closes
/// the remaining legs.
pub struct PlaneControl {
    shared: Arc<Shared>,
    relays: Vec<RelayThread>,
    calls: HashMap<CallKey, OpenCall>,
    rng: StdRng,
    reports: Reports,
}

/// A call with at least one leg.
#[derive(Debug)]
struct OpenCall {
    id: SessionId,
    /// Index of its relay thread.
    relay: usize,
    /// By leg index in the bridge.
    legs: Vec<Option<OpenLeg>>,
}

#[derive(Debug)]
struct OpenLeg {
    /// The leg's number within the call.
    number: u16,
    counters: Arc<media::LegCounters>,
    place: Place,
}

impl MediaControl for PlaneControl {
    fn open(&mut self, leg: MediaLeg, media_address: u16) -> Option<SocketAddr> {
        self.close(leg);
        let (place, sockets) = self.bind(media_address)?;
        self.add(leg, place, sockets)
    }

    fn reopen(&mut self, leg: MediaLeg, media_address: u16, local: SocketAddr) -> bool {
        self.close(leg);
        let bound = self.bind_again(media_address, local);
        bound.is_some_and(|(place, sockets)| self.add(leg, place, sockets).is_some())
    }

    fn update(&mut self, leg: MediaLeg, remote: switch::RemoteMedia) {
        let Some((call, at)) = self.find(leg) else { return };
        let mut remote = RemoteMedia {
            rtp: remote.rtp,
            rtcp: remote.rtcp,
            rtcp_mux: remote.rtcp_mux,
            payload_types: remote.payload_types.into_iter().collect(),
            signalling: remote.signalling,
            strict: remote.strict,
            clock_hz: remote.clock_hz,
            sealed: remote.sealed,
            sends: remote.sends,
            receives: remote.receives,
            formats: remote.formats.map(formats_of),
        };
        // A party that names our own ports would make us send to ourselves forever.
        if call.legs.iter().flatten().any(|own| own.place.advertised == remote.rtp) {
            if let Some(held) = OWN_PORT.pass() {
                tracing::warn!(
                    address = %remote.rtp, held,
                    "SDP names the relay's own port, nothing is sent there"
                );
            }
            remote.rtp.set_port(0);
            remote.rtcp.set_port(0);
        }
        self.tell(call, Input::Remote { leg: at, media: remote });
    }

    fn join(&mut self, a: MediaLeg, b: MediaLeg) {
        if let (Some((call, a)), Some((other, b))) = (self.find(a), self.find(b))
            && call.id == other.id
        {
            self.tell(call, Input::Join(a, b));
        }
    }

    fn play(&mut self, leg: MediaLeg, sound: &str, repeats: bool) -> bool {
        let seed = self.rng.random();
        let found = self.find(leg).zip(self.shared.sounds.find(sound, repeats));
        let Some(((call, leg), sound)) = found else { return false };
        self.tell(call, Input::Play { leg, sound: Box::new(Playing::new(sound)), seed });
        true
    }

    fn watch(&mut self, call: CallKey, limits: SilenceLimits) {
        if let Some(call) = self.calls.get(&call) {
            self.tell(call, Input::Watch(limits_of(&limits)));
        }
    }

    fn counters(&mut self, leg: MediaLeg) -> Option<LegCounters> {
        let (call, at) = self.find(leg)?;
        call.legs[usize::from(at.0)].as_ref().map(|leg| in_clock(leg.counters.read()))
    }

    fn close(&mut self, leg: MediaLeg) -> Option<LegCounters> {
        let (_, at) = self.find(leg)?;
        let call = self.calls.get_mut(&leg.call)?;
        let closed = call.legs[usize::from(at.0)].take()?;
        let relay = &self.relays[call.relay];
        relay.tell(Command::Close { id: call.id, leg: at });
        if call.legs.iter().all(Option::is_none) {
            relay.end_call();
            self.calls.remove(&leg.call);
        }
        self.shared.release(closed.place);
        Some(in_clock(closed.counters.read()))
    }
}

impl Drop for PlaneControl {
    fn drop(&mut self) {
        self.close_all();
    }
}

impl PlaneControl {
    pub(super) fn new(
        shared: Arc<Shared>,
        relays: Vec<RelayThread>,
        rng: StdRng,
        reports: Reports,
    ) -> PlaneControl {
        PlaneControl { shared, relays, calls: HashMap::new(), rng, reports }
    }

    /// Closes all legs of the shard.
    pub fn close_all(&mut self) {
        let calls = self.calls.iter();
        let left: Vec<MediaLeg> = calls
            .flat_map(|(call, open)| {
                let numbers = open.legs.iter().flatten().map(|leg| leg.number);
                numbers.map(|leg| MediaLeg { call: *call, leg })
            })
            .collect();
        for leg in left {
            self.close(leg);
        }
    }

    /// Passes the sockets of a leg to the relay thread of its call.
    fn add(&mut self, leg: MediaLeg, place: Place, sockets: SocketPair) -> Option<SocketAddr> {
        let call = match self.calls.entry(leg.call) {
            Entry::Occupied(call) => call.into_mut(),
            Entry::Vacant(vacant) => {
                let relays = self.relays.iter().enumerate();
                let (relay, thread) = relays.min_by_key(|(_, relay)| relay.calls())?;
                thread.begin_call();
                let id = SessionId(self.shared.next_id.fetch_add(1, Relaxed));
                vacant.insert(OpenCall { id, relay, legs: Vec::new() })
            }
        };
        let counters = Arc::<media::LegCounters>::default();
        let opened = OpenLeg { number: leg.leg, counters: counters.clone(), place };
        let Some(at) = call.add(opened) else {
            self.shared.release(place);
            return None;
        };
        self.relays[call.relay].tell(Command::Open(Box::new(Opening {
            id: call.id,
            leg: at,
            sockets,
            counters,
            call: leg.call,
            number: leg.leg,
            reports: self.reports.clone(),
        })));
        Some(place.advertised)
    }

    fn find(&self, leg: MediaLeg) -> Option<(&OpenCall, LegId)> {
        let call = self.calls.get(&leg.call)?;
        let is_it = |open: &Option<OpenLeg>| open.as_ref().is_some_and(|o| o.number == leg.leg);
        let at = call.legs.iter().position(is_it)?;
        Some((call, LegId(u8::try_from(at).ok()?)))
    }

    fn tell(&self, call: &OpenCall, input: Input) {
        self.relays[call.relay].tell(Command::Tell { id: call.id, input });
    }

    /// Takes and binds a pair known to the peer: of the address with this index, or of another one
    /// with the same advertised address.
    fn bind_again(&self, index: u16, local: SocketAddr) -> Option<(Place, SocketPair)> {
        let advertises = |at: &usize| {
            let address = self.shared.addresses.get(*at);
            address.is_some_and(|address| {
                let MediaAddress { advertised, ports, .. } = &address.settings;
                *advertised == local.ip() && ports.contains(&local.port())
            })
        };
        let usual = usize::from(index);
        let index = [usual].into_iter().chain(0..self.shared.addresses.len()).find(advertises)?;
        let address = self.shared.addresses.get(index)?;
        let port = local.port();
        let taken = {
            let mut pool = address.pool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.take_pair(Instant::now(), port)
        };
        let place = Place { address: index, port, advertised: local };
        let MediaAddress { name, bind, .. } = &address.settings;
        match taken.then(|| SocketPair::bind(*bind, port, self.shared.dscp)) {
            Some(Ok(sockets)) => return Some((place, sockets)),
            Some(Err(error)) => {
                self.shared.release(place);
                tracing::warn!(address = %name, port, %error, "media port of a running call not bound");
            }
            None => tracing::warn!(address = %name, port, "media port of a running call is taken"),
        }
        None
    }

    /// Takes and binds a pair of the address with this index, else of the first address.
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

impl OpenCall {
    /// Inserts a leg at the first free index; `None` if all are taken.
    fn add(&mut self, leg: OpenLeg) -> Option<LegId> {
        let at = self.legs.iter().position(Option::is_none).unwrap_or(self.legs.len());
        let id = LegId(u8::try_from(at).ok()?);
        match self.legs.get_mut(at) {
            Some(free) => *free = Some(leg),
            None => self.legs.push(Some(leg)),
        }
        Some(id)
    }
}

fn formats_of(formats: AudioFormats) -> Formats {
    let of = |list: Vec<(u8, _)>| {
        list.into_iter().map(|(number, format)| (number, format_of(format))).collect()
    };
    Formats { sends: of(formats.sends), wants: of(formats.wants) }
}

fn limits_of(limits: &SilenceLimits) -> Limits {
    Limits {
        no_media: limits.no_media,
        both_silent: limits.both_silent,
        one_silent: limits.one_silent,
        probe: limits.probe,
        probe_again: limits.probe_again,
        hold: limits.hold,
    }
}

/// A reading in the call machine's time.
fn in_clock(reading: LegReading) -> LegCounters {
    LegCounters {
        rtp_in: reading.rtp_in,
        rtp_out: reading.rtp_out,
        bytes_in: reading.bytes_in,
        rtcp_in: reading.rtcp_in,
        dropped: reading.dropped,
        last_packet: (reading.last_packet_ms > 0)
            .then(|| clock::instant_of(reading.last_packet_ms)),
        takeovers: reading.takeovers,
        latched: reading.latched,
    }
}
