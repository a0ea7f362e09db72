//! A relay thread: one poll loop over the sockets of its sessions. It shares nothing with
//! signalling but a command queue and counters, so that neither delays the other.
//!
//! The poll is level-triggered: a ready socket gives one packet per round and is reported
//! again while it has more. So no flood on one socket delays another call, and no packet
//! costs a second receive that only says "empty" (an edge-triggered poll needs one).

use super::sockets::{ConnectedBudget, LatchedSocket, SocketPair};
use crate::clock;
use crate::seldom::Seldom;
use crate::shard::words_of;
use host::{ProcessorSet, keep_to, shorten_time_slice};
use media::{Forward, Kind, RelaySession, RemoteMedia, SessionCounters, Side};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use switch::CallKey;

/// Longest packet relayed; longer ones would not cross any usual link in one piece.
const LONGEST_PACKET: usize = 2_048;
/// Sockets served in one round.
const ROUND: usize = 256;
/// Packets taken at once from the first socket when its side gets a connected one: more than
/// a socket's default buffer holds.
const HANDOVER: usize = 512;
/// After a poll that fails, so that one that goes on failing does not keep a processor busy.
const PAUSE: Duration = Duration::from_millis(100);
/// Token of the waker; no slot reaches it.
const WAKE: Token = Token(u64::MAX);

/// What the system may refuse for each call, and what may happen for each packet.
static NOT_WOKEN: Seldom = Seldom::new();
static NOT_POLLED: Seldom = Seldom::new();
static FAULT: Seldom = Seldom::new();

/// What the poll reports: which socket is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token(u64);

/// Names a session towards its relay thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionId(pub(super) u64);

/// Hears that a session has failed and is closed. Called by the relay thread: it must not wait.
pub(super) type OnLost = Arc<dyn Fn(CallKey) + Send + Sync>;

/// A session to be opened.
pub(super) struct Opening {
    pub(super) id: SessionId,
    /// Caller's and vendor's.
    pub(super) sockets: [SocketPair; 2],
    pub(super) counters: Arc<SessionCounters>,
    /// The call that it belongs to, and who hears when it fails.
    pub(super) call: CallKey,
    pub(super) on_lost: OnLost,
}

/// What a relay thread can be told.
pub(super) enum Command {
    /// Relay between these sockets.
    Open(Box<Opening>),
    /// Another party takes a side's place, at the same sockets.
    Forget { id: SessionId, side: Side },
    /// Another party takes a side's place, at these sockets.
    Move { id: SessionId, side: Side, sockets: Box<SocketPair> },
    /// A side's SDP came or changed.
    Update { id: SessionId, side: Side, remote: RemoteMedia },
    /// Forget the session and close its sockets.
    Close { id: SessionId },
    /// Leave the thread.
    Stop,
}

/// Totals of a relay thread since start.
#[derive(Debug, Default)]
pub(super) struct ThreadTotals {
    pub(super) packets_in: AtomicU64,
    pub(super) packets_out: AtomicU64,
    pub(super) dropped: AtomicU64,
    /// Sides that another source took over (MEDIA-11).
    pub(super) takeovers: AtomicU64,
    /// Faults of the thread itself, after which it went on.
    pub(super) faults: AtomicU64,
}

/// The handle of a running relay thread.
#[derive(Debug)]
pub(super) struct RelayThread {
    commands: Sender<Command>,
    /// Counts wake-ups; readable while the thread has not taken them.
    waker: Arc<OwnedFd>,
    /// Sessions that it was given and that are not closed.
    sessions: Arc<AtomicUsize>,
    totals: Arc<ThreadTotals>,
}

impl RelayThread {
    /// Starts the thread `relay-{number}`, kept to `processors` if there are any.
    ///
    /// # Errors
    /// If the system refuses a poll instance or a thread.
    pub(super) fn start(
        number: usize,
        dscp: u8,
        processors: Option<ProcessorSet>,
        budget: Arc<ConnectedBudget>,
    ) -> io::Result<(RelayThread, JoinHandle<()>)> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        watch(&poll, &waker, WAKE)?;
        let (commands, received) = channel();
        let totals = Arc::new(ThreadTotals::default());
        let mut relay = Relay {
            number,
            poll,
            waker: waker.clone(),
            commands: received,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            buffer: Box::new([0; LONGEST_PACKET + 1]),
            sums: Sums::default(),
            totals: totals.clone(),
            dscp,
            budget,
            serving: None,
        };
        let thread =
            std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
                keep_to(processors.as_ref());
                shorten_time_slice();
                relay.run_to_the_end();
            })?;
        Ok((RelayThread { commands, waker, sessions: Arc::default(), totals }, thread))
    }

    /// A second handle to the same thread, for another signalling shard.
    pub(super) fn share(&self) -> RelayThread {
        RelayThread {
            commands: self.commands.clone(),
            waker: self.waker.clone(),
            sessions: self.sessions.clone(),
            totals: self.totals.clone(),
        }
    }

    /// Queues a command. A thread that is gone (the plane was stopped) takes none.
    pub(super) fn tell(&self, command: Command) {
        match command {
            Command::Open(_) => self.sessions.fetch_add(1, Relaxed),
            Command::Close { .. } => self.sessions.fetch_sub(1, Relaxed),
            _ => 0,
        };
        if self.commands.send(command).is_ok()
            && let Err(error) = rustix::io::write(&self.waker, &1_u64.to_ne_bytes())
            && let Some(held) = NOT_WOKEN.pass()
        {
            tracing::warn!(%error, held, "relay thread not woken");
        }
    }

    /// Sessions that it carries.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.load(Relaxed)
    }

    /// Totals since start.
    pub(super) fn totals(&self) -> &ThreadTotals {
        &self.totals
    }
}

/// The thread's own state.
struct Relay {
    number: usize,
    poll: OwnedFd,
    waker: Arc<OwnedFd>,
    commands: Receiver<Command>,
    /// Sessions by slot; the slot is part of the poll token.
    slots: Vec<Option<Relayed>>,
    free: Vec<usize>,
    by_id: HashMap<SessionId, usize>,
    /// One byte longer than the longest packet, to notice what was cut.
    buffer: Box<[u8; LONGEST_PACKET + 1]>,
    sums: Sums,
    totals: Arc<ThreadTotals>,
    dscp: u8,
    budget: Arc<ConnectedBudget>,
    /// The slot whose packet is being relayed: after a fault it is the one that is closed.
    serving: Option<usize>,
}

/// A session and its sockets, indexed by side.
struct Relayed {
    id: SessionId,
    session: RelaySession,
    sockets: [SocketPair; 2],
    latched: [Latched; 2],
    call: CallKey,
    on_lost: OnLost,
}

/// Whether a side's RTP has a connected socket.
enum Latched {
    /// Its source is not locked.
    Not,
    /// It is, and most packets take this socket.
    Connected(LatchedSocket),
    /// The system gave no socket for this source; the first one serves alone.
    Refused(SocketAddr),
}

/// A socket of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    /// The bound socket of this kind.
    Bound(Side, Kind),
    /// The side's connected RTP socket.
    Connected(Side),
}

/// The totals as the thread counts them; published once per wake.
#[derive(Default)]
struct Sums {
    packets_in: u64,
    packets_out: u64,
    dropped: u64,
    takeovers: u64,
}

/// The clocks, read once per wake.
#[derive(Clone, Copy)]
struct Clocks {
    now: Instant,
    utc_ms: u64,
}

impl Relay {
    /// Relays until it is told to stop. A fault costs the session whose packet met it, and its
    /// call is told; all others go on.
    fn run_to_the_end(&mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.run())) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    self.failed(&format!("its poll fails: {error}"));
                    std::thread::sleep(PAUSE);
                }
                Err(panic) => self.failed(&words_of(panic.as_ref())),
            }
        }
    }

    fn failed(&mut self, what: &str) {
        self.totals.faults.fetch_add(1, Relaxed);
        let (thread, sessions) = (self.number, self.by_id.len());
        if let Some(held) = FAULT.pass() {
            tracing::error!(
                thread,
                what,
                sessions,
                held,
                "ALARM internal_error: a relay thread has failed and goes on; the call whose \
                 packet it was is ended"
            );
        }
        let lost =
            self.serving.take().and_then(|slot| Some((slot, self.slots.get_mut(slot)?.take()?)));
        if let Some((slot, relayed)) = lost {
            // The command that closes it will find nothing.
            self.by_id.remove(&relayed.id);
            self.free.push(slot);
            (relayed.on_lost)(relayed.call);
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::with_capacity(ROUND);
        loop {
            match epoll::wait(&self.poll, spare_capacity(&mut ready), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if ready.iter().any(|event: &epoll::Event| Token(event.data.u64()) == WAKE) {
                // Before the commands are taken: one that comes later wakes again.
                let _ = rustix::io::read(&self.waker, &mut [0; 8]);
            }
            // Before the packets: what was told before a packet was sent applies to it.
            if self.obey() == Obeyed::Stop {
                return Ok(());
            }
            let clocks = Clocks::read();
            for event in ready.drain(..) {
                let token = Token(event.data.u64());
                if token != WAKE {
                    self.serve(clocks, token);
                }
            }
            self.publish();
        }
    }

    fn serve(&mut self, clocks: Clocks, token: Token) {
        let (slot, port) = port_of(token);
        let Some(Some(relayed)) = self.slots.get_mut(slot) else {
            return;
        };
        self.serving = Some(slot);
        let side = port.side();
        relayed.relay_one(clocks, port, &mut self.buffer[..], &mut self.sums);
        if relayed.latch_moved(side) {
            self.sums.takeovers += u64::from(relayed.session.is_taken_over(side));
            relayed.follow_latch(side, slot, &self.poll, self.dscp, &self.budget);
            // From here on the source's packets reach the connected socket; what still waits
            // at the first one came before them and goes ahead.
            let first = Port::Bound(side, Kind::Rtp);
            for _ in 0..HANDOVER {
                if !relayed.relay_one(clocks, first, &mut self.buffer[..], &mut self.sums) {
                    break;
                }
            }
        }
        self.serving = None;
    }

    fn publish(&self) {
        self.totals.packets_in.store(self.sums.packets_in, Relaxed);
        self.totals.packets_out.store(self.sums.packets_out, Relaxed);
        self.totals.dropped.store(self.sums.dropped, Relaxed);
        self.totals.takeovers.store(self.sums.takeovers, Relaxed);
    }

    fn obey(&mut self) -> Obeyed {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open(opening) => self.open(*opening),
                Command::Forget { id, side } => {
                    if let Some(&slot) = self.by_id.get(&id)
                        && let Some(relayed) = &mut self.slots[slot]
                    {
                        relayed.session.forget(side);
                        relayed.latched[side.index()] = Latched::Not;
                    }
                }
                Command::Move { id, side, sockets } => {
                    if let Some(&slot) = self.by_id.get(&id)
                        && let Some(relayed) = &mut self.slots[slot]
                    {
                        watch_pair(&self.poll, &sockets, slot, side);
                        relayed.move_to(side, *sockets);
                    }
                }
                Command::Update { id, side, remote } => {
                    if let Some(&slot) = self.by_id.get(&id)
                        && let Some(relayed) = &mut self.slots[slot]
                    {
                        relayed.session.set_remote(side, remote);
                        relayed.follow_latch(side, slot, &self.poll, self.dscp, &self.budget);
                    }
                }
                Command::Close { id } => {
                    if let Some(slot) = self.by_id.remove(&id) {
                        // Closing a socket takes it out of the poll as well.
                        self.slots[slot] = None;
                        self.free.push(slot);
                    }
                }
                Command::Stop => return Obeyed::Stop,
            }
        }
        Obeyed::Continue
    }

    fn open(&mut self, opening: Opening) {
        let Opening { id, sockets, counters, call, on_lost } = opening;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        for side in [Side::Caller, Side::Vendor] {
            watch_pair(&self.poll, &sockets[side.index()], slot, side);
        }
        let session = RelaySession::new(counters);
        let latched = [Latched::Not, Latched::Not];
        self.slots[slot] = Some(Relayed { id, session, sockets, latched, call, on_lost });
        self.by_id.insert(id, slot);
    }
}

/// Whether to go on after the commands.
#[derive(PartialEq, Eq)]
enum Obeyed {
    Continue,
    Stop,
}

impl Relayed {
    /// Relays the packet that waits at a socket; false if there is none.
    fn relay_one(
        &mut self,
        clocks: Clocks,
        port: Port,
        buffer: &mut [u8],
        sums: &mut Sums,
    ) -> bool {
        let (side, kind) = (port.side(), port.kind());
        // An error is an empty socket, or the refusal of an earlier packet: then the socket
        // is reported again.
        let Some(Ok((len, source))) = self.receive(port, buffer) else {
            return false;
        };
        sums.packets_in += 1;
        if len > LONGEST_PACKET {
            self.session.too_long(side);
            sums.dropped += 1;
            return true;
        }
        let packet = &buffer[..len];
        #[cfg(test)]
        assert!(!packet.ends_with(super::tests::DEFECT), "a deliberate fault");
        match self.session.receive(clocks.now, clocks.utc_ms, (side, kind), source, packet) {
            Some(forward) if self.send(forward, packet) => sums.packets_out += 1,
            Some(forward) => {
                self.session.not_sent(forward, packet);
                sums.dropped += 1;
            }
            None => sums.dropped += 1,
        }
        true
    }

    /// False if the network took no packet: a full queue, no route.
    fn send(&self, forward: Forward, packet: &[u8]) -> bool {
        let pair = &self.sockets[forward.side.index()];
        let sent = match (forward.kind, &self.latched[forward.side.index()]) {
            (Kind::Rtp, Latched::Connected(latched)) if latched.peer == forward.to => {
                latched.send(packet)
            }
            (Kind::Rtp, _) => pair.rtp.send_to(packet, forward.to),
            (Kind::Rtcp, _) => pair.rtcp.send_to(packet, forward.to),
        };
        sent.is_ok()
    }

    /// Gives a side other sockets; closing the old ones takes them out of the poll as well.
    fn move_to(&mut self, side: Side, sockets: SocketPair) {
        self.session.forget(side);
        self.latched[side.index()] = Latched::Not;
        self.sockets[side.index()] = sockets;
    }

    /// True if a side's connected socket is not the one that its latch asks for.
    fn latch_moved(&self, side: Side) -> bool {
        self.session.locked(side) != self.latched[side.index()].peer()
    }

    /// Gives a side the connected socket that its latch asks for.
    fn follow_latch(
        &mut self,
        side: Side,
        slot: usize,
        poll: &OwnedFd,
        dscp: u8,
        budget: &Arc<ConnectedBudget>,
    ) {
        if !self.latch_moved(side) {
            return;
        }
        let latched = &mut self.latched[side.index()];
        *latched = Latched::Not;
        if let Some(peer) = self.session.locked(side) {
            let token = token_of(slot, Port::Connected(side));
            let first = &self.sockets[side.index()].rtp;
            let connected = LatchedSocket::connect(first, peer, dscp, budget).and_then(|latched| {
                watch(poll, &latched.socket, token)?;
                Ok(latched)
            });
            *latched = match connected {
                Ok(connected) => Latched::Connected(connected),
                Err(error) => {
                    tracing::debug!(%peer, %error, "no connected socket for a latched source");
                    Latched::Refused(peer)
                }
            };
        }
    }

    /// The packet that waits at a port, and its source; none if there is no such socket.
    fn receive(&self, port: Port, buffer: &mut [u8]) -> Option<io::Result<(usize, SocketAddr)>> {
        let pair = &self.sockets[port.side().index()];
        Some(match (port, &self.latched[port.side().index()]) {
            (Port::Bound(_, Kind::Rtp), _) => pair.rtp.recv_from(buffer),
            (Port::Bound(_, Kind::Rtcp), _) => pair.rtcp.recv_from(buffer),
            (Port::Connected(_), Latched::Connected(latched)) => {
                latched.receive(buffer).map(|len| (len, latched.peer))
            }
            (Port::Connected(_), _) => return None,
        })
    }
}

impl Latched {
    /// The source that the side is known to be locked to.
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Latched::Not => None,
            Latched::Connected(latched) => Some(latched.peer),
            Latched::Refused(peer) => Some(*peer),
        }
    }
}

impl Port {
    fn side(self) -> Side {
        match self {
            Port::Bound(side, _) | Port::Connected(side) => side,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Port::Bound(_, kind) => kind,
            Port::Connected(_) => Kind::Rtp,
        }
    }
}

impl Clocks {
    fn read() -> Clocks {
        let now = Instant::now();
        // The last packet is what a lost call is billed to: no clock that somebody sets.
        Clocks { now, utc_ms: clock::steady_ms(now) }
    }
}

/// Has the poll report a descriptor whenever it is readable. Closing it ends that.
fn watch(poll: &OwnedFd, readable: &impl AsFd, token: Token) -> io::Result<()> {
    Ok(epoll::add(poll, readable, EventData::new_u64(token.0), EventFlags::IN)?)
}

/// Has the poll report both sockets of a side.
fn watch_pair(poll: &OwnedFd, pair: &SocketPair, slot: usize, side: Side) {
    for (socket, kind) in [(&pair.rtp, Kind::Rtp), (&pair.rtcp, Kind::Rtcp)] {
        if let Err(error) = watch(poll, socket, token_of(slot, Port::Bound(side, kind)))
            && let Some(held) = NOT_POLLED.pass()
        {
            tracing::error!(%error, ?side, ?kind, held, "relay socket cannot be polled");
        }
    }
}

/// Eight tokens per slot: three sockets for each side, two tokens unused.
fn token_of(slot: usize, port: Port) -> Token {
    let socket = match port {
        Port::Bound(_, Kind::Rtp) => 0,
        Port::Bound(_, Kind::Rtcp) => 1,
        Port::Connected(_) => 2,
    };
    Token((slot * 8 + port.side().index() * 4 + socket) as u64)
}

fn port_of(token: Token) -> (usize, Port) {
    let side = if token.0 & 4 == 0 { Side::Caller } else { Side::Vendor };
    let port = match token.0 & 3 {
        0 => Port::Bound(side, Kind::Rtp),
        1 => Port::Bound(side, Kind::Rtcp),
        _ => Port::Connected(side),
    };
    ((token.0 / 8) as usize, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_socket_of_one_session() {
        let mut tokens = Vec::new();
        for slot in [0, 1, 7_499] {
            for side in [Side::Caller, Side::Vendor] {
                for port in [
                    Port::Bound(side, Kind::Rtp),
                    Port::Bound(side, Kind::Rtcp),
                    Port::Connected(side),
                ] {
                    let token = token_of(slot, port);
                    assert!(port_of(token) == (slot, port) && !tokens.contains(&token));
                    tokens.push(token);
                }
            }
        }
    }
}
