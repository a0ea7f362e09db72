//! A relay thread: one poll loop over the sockets of its sessions. It shares nothing with
//! signalling but a command queue and counters, so that neither delays the other.

use super::sockets::SocketPair;
use media::{Forward, Kind, RelaySession, RemoteMedia, SessionCounters, Side};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest packet relayed; longer ones would not cross any usual link in one piece.
const LONGEST_PACKET: usize = 2_048;
/// Packets taken from one socket before the others get their turn.
const FAIR_SHARE: usize = 32;
/// Token of the waker; no slot reaches it.
const WAKE: Token = Token(usize::MAX);

/// Names a session towards its relay thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionId(pub(super) u64);

/// What a relay thread can be told.
#[derive(Debug)]
pub(super) enum Command {
    /// Relay between these sockets (caller, vendor).
    Open { id: SessionId, sockets: Box<[SocketPair; 2]>, counters: Arc<SessionCounters> },
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
}

/// The handle of a running relay thread.
#[derive(Debug)]
pub(super) struct RelayThread {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    /// Sessions that it was given and that are not closed.
    sessions: Arc<AtomicUsize>,
    totals: Arc<ThreadTotals>,
}

impl RelayThread {
    /// Starts the thread `relay-{number}`.
    ///
    /// # Errors
    /// If the system refuses a poll instance or a thread.
    pub(super) fn start(number: usize) -> io::Result<(RelayThread, JoinHandle<()>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (commands, received) = channel();
        let totals = Arc::new(ThreadTotals::default());
        let relay = Relay {
            registry: poll.registry().try_clone()?,
            commands: received,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            unfinished: VecDeque::new(),
            buffer: Box::new([0; LONGEST_PACKET + 1]),
            sums: Sums::default(),
            totals: totals.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("relay-{number}"))
            .spawn(move || relay.run(poll))?;
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
            Command::Open { .. } => self.sessions.fetch_add(1, Relaxed),
            Command::Close { .. } => self.sessions.fetch_sub(1, Relaxed),
            Command::Update { .. } | Command::Stop => 0,
        };
        if self.commands.send(command).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::warn!(%error, "relay thread not woken");
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
    registry: Registry,
    commands: Receiver<Command>,
    /// Sessions by slot; the slot is part of the poll token.
    slots: Vec<Option<Relayed>>,
    free: Vec<usize>,
    by_id: HashMap<SessionId, usize>,
    /// Sockets that used up their share with packets left.
    unfinished: VecDeque<Token>,
    /// One byte longer than the longest packet, to notice what was cut.
    buffer: Box<[u8; LONGEST_PACKET + 1]>,
    sums: Sums,
    totals: Arc<ThreadTotals>,
}

/// A session and its sockets, indexed by side.
struct Relayed {
    session: RelaySession,
    sockets: Box<[SocketPair; 2]>,
}

/// The totals as the thread counts them; published once per wake.
#[derive(Default)]
struct Sums {
    packets_in: u64,
    packets_out: u64,
    dropped: u64,
}

/// The clocks, read once per wake.
#[derive(Clone, Copy)]
struct Clocks {
    now: Instant,
    utc_ms: u64,
}

/// Why a socket was left.
#[derive(PartialEq, Eq)]
enum Left {
    Empty,
    ShareUsed,
}

impl Relay {
    fn run(mut self, mut poll: Poll) {
        let mut events = Events::with_capacity(1_024);
        loop {
            let timeout = (!self.unfinished.is_empty()).then_some(Duration::ZERO);
            if let Err(error) = poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "relay thread cannot poll and ends");
                return;
            }
            // Before the packets: what was told before a packet was sent applies to it.
            if self.obey() == Obeyed::Stop {
                return;
            }
            let clocks = Clocks::read();
            for _ in 0..self.unfinished.len() {
                if let Some(token) = self.unfinished.pop_front() {
                    self.serve(clocks, token);
                }
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.serve(clocks, event.token());
            }
            self.publish();
        }
    }

    fn serve(&mut self, clocks: Clocks, token: Token) {
        let (slot, side, kind) = port_of(token);
        let Some(Some(relayed)) = self.slots.get_mut(slot) else {
            return;
        };
        let left = relayed.drain(clocks, (side, kind), &mut self.buffer[..], &mut self.sums);
        if left == Left::ShareUsed {
            self.unfinished.push_back(token);
        }
    }

    fn publish(&self) {
        self.totals.packets_in.store(self.sums.packets_in, Relaxed);
        self.totals.packets_out.store(self.sums.packets_out, Relaxed);
        self.totals.dropped.store(self.sums.dropped, Relaxed);
    }

    fn obey(&mut self) -> Obeyed {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open { id, sockets, counters } => self.open(id, sockets, counters),
                Command::Update { id, side, remote } => {
                    if let Some(relayed) = self.find(id) {
                        relayed.session.set_remote(side, remote);
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

    fn open(
        &mut self,
        id: SessionId,
        mut sockets: Box<[SocketPair; 2]>,
        counters: Arc<SessionCounters>,
    ) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        for side in [Side::Caller, Side::Vendor] {
            let pair = &mut sockets[side.index()];
            for (socket, kind) in [(&mut pair.rtp, Kind::Rtp), (&mut pair.rtcp, Kind::Rtcp)] {
                let token = token_of(slot, side, kind);
                if let Err(error) = self.registry.register(socket, token, Interest::READABLE) {
                    tracing::error!(%error, ?side, ?kind, "relay socket cannot be polled");
                }
            }
        }
        self.slots[slot] = Some(Relayed { session: RelaySession::new(counters), sockets });
        self.by_id.insert(id, slot);
    }

    fn find(&mut self, id: SessionId) -> Option<&mut Relayed> {
        self.slots[*self.by_id.get(&id)?].as_mut()
    }
}

/// Whether to go on after the commands.
#[derive(PartialEq, Eq)]
enum Obeyed {
    Continue,
    Stop,
}

impl Relayed {
    /// Relays what waits at one port, up to its fair share.
    fn drain(
        &mut self,
        clocks: Clocks,
        port: (Side, Kind),
        buffer: &mut [u8],
        sums: &mut Sums,
    ) -> Left {
        for _ in 0..FAIR_SHARE {
            let (len, source) = match self.socket(port).recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Left::Empty,
            };
            sums.packets_in += 1;
            if len > LONGEST_PACKET {
                self.session.too_long(port.0);
                sums.dropped += 1;
                continue;
            }
            let packet = &buffer[..len];
            match self.session.receive(clocks.now, clocks.utc_ms, port, source, packet) {
                Some(forward) if self.send(forward, packet) => sums.packets_out += 1,
                Some(forward) => {
                    self.session.not_sent(forward, packet);
                    sums.dropped += 1;
                }
                None => sums.dropped += 1,
            }
        }
        Left::ShareUsed
    }

    /// False if the network took no packet: a full queue, no route, a closed port.
    fn send(&self, forward: Forward, packet: &[u8]) -> bool {
        self.socket((forward.side, forward.kind)).send_to(packet, forward.to).is_ok()
    }

    fn socket(&self, (side, kind): (Side, Kind)) -> &UdpSocket {
        let pair = &self.sockets[side.index()];
        match kind {
            Kind::Rtp => &pair.rtp,
            Kind::Rtcp => &pair.rtcp,
        }
    }
}

impl Clocks {
    fn read() -> Clocks {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let utc_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Clocks { now: Instant::now(), utc_ms }
    }
}

/// Four tokens per slot: caller RTP and RTCP, vendor RTP and RTCP.
fn token_of(slot: usize, side: Side, kind: Kind) -> Token {
    Token(slot * 4 + side.index() * 2 + usize::from(kind == Kind::Rtcp))
}

fn port_of(token: Token) -> (usize, Side, Kind) {
    let side = if token.0 & 2 == 0 { Side::Caller } else { Side::Vendor };
    let kind = if token.0 & 1 == 0 { Kind::Rtp } else { Kind::Rtcp };
    (token.0 / 4, side, kind)
}
