//! SIP over TCP: one thread accepts and opens connections, frames messages and passes each to the
//! shard of its call (SIG-02, SIG-03, SIG-24). A slow peer delays only itself.

mod connection;

use crate::clock;
use crate::handover::KeptConnection;
use crate::mailbox::{Arrived, Mailbox};
use crate::panic_text::words_of;
use crate::seldom::Seldom;
use arc_swap::ArcSwap;
use connection::{Connection, Heard};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use sip::{Flow, Frame, Link};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use switch::{Classifier, World, shard_of};
use tokio::sync::oneshot;

/// Connections of all peers; of all strangers; of one stranger's address.
const CONNECTIONS: usize = 8192;
const OF_STRANGERS: usize = 256;
const OF_ONE_STRANGER: usize = 8;
/// Connections that one trunk address may open, and the number reserved for outgoing ones.
const OF_ONE_PEER: usize = 1024;
const OURS: usize = 1024;

/// Time limit for connecting (SIG-24).
const CONNECT: Duration = Duration::from_secs(3);
/// Time limit for completing a message, and for a stranger's first message to begin.
const MESSAGE: Duration = Duration::from_secs(10);
/// Idle time after which a connection is closed (SIG-03).
const IDLE: Duration = Duration::from_secs(600);
/// Interval between checks of these limits.
const LOOK: Duration = Duration::from_secs(1);
/// How long a stop waits for unsent data.
const FAREWELL: Duration = Duration::from_secs(1);

/// Limits log lines about peers with too many connections.
static NO_CONNECTION: Seldom = Seldom::new();

/// Token of the waker; listeners use their index, connections follow.
const WAKER: Token = Token(usize::MAX);

/// Counters for the metrics.
#[derive(Debug, Default)]
pub(crate) struct StreamCounters {
    /// Connections that are open or connecting.
    pub(crate) open: AtomicUsize,
    /// Refused connections of strangers.
    pub(crate) refused: AtomicU64,
    /// Connections closed because of received data or a timeout.
    pub(crate) broken: AtomicU64,
}

/// A request of the shards to the thread.
enum Order {
    Send(Flow, Box<[u8]>),
    Stop,
    /// Stop reading and accepting: data wait for the next program.
    Pause(oneshot::Sender<()>),
    /// Leave the connections to the next program and end.
    Leave(oneshot::Sender<Vec<KeptConnection>>),
}

/// Handle of the thread; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    orders: Sender<Order>,
    waker: Arc<Waker>,
    /// A wake-up is pending: no second system call is needed.
    signalled: Arc<AtomicBool>,
    counters: Arc<StreamCounters>,
}

impl Streams {
    /// Sends a message on the connection of its flow, which is opened if needed.
    pub(crate) fn send(&self, flow: Flow, message: &[u8]) {
        self.give(Order::Send(flow, message.into()));
    }

    /// Stops reading and accepting; sending continues.
    pub(crate) async fn pause(&self) {
        let (sender, receiver) = oneshot::channel();
        self.give(Order::Pause(sender));
        let _ = receiver.await;
    }

    /// Takes the connections once earlier sends have been attempted; the thread ends.
    pub(crate) async fn leave(&self) -> Vec<KeptConnection> {
        let (sender, receiver) = oneshot::channel();
        self.give(Order::Leave(sender));
        receiver.await.unwrap_or_default()
    }

    pub(crate) fn counters(&self) -> &StreamCounters {
        &self.counters
    }

    fn give(&self, order: Order) {
        let _ = self.orders.send(order);
        if !self.signalled.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "the TCP thread cannot be woken");
        }
    }
}

/// The thread before its start: shards need its [`Streams`], and it needs their mailboxes.
pub(crate) struct StreamRoom {
    poll: Poll,
    orders: Receiver<Order>,
    streams: Streams,
    listeners: Vec<Listener>,
}

struct Listener {
    /// Index in the configuration.
    index: u16,
    local: SocketAddr,
    socket: TcpListener,
    reset: bool,
}

/// A bound TCP listener.
#[derive(Debug)]
pub(crate) struct Accepting {
    /// Index in the configuration.
    pub(crate) index: u16,
    /// Its socket.
    pub(crate) socket: std::net::TcpListener,
    /// Connections closed by the switch end with RST (SIG-03).
    pub(crate) reset: bool,
}

impl StreamRoom {
    /// A thread for the bound TCP listeners, not started yet.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn new(accepting: Vec<Accepting>) -> io::Result<StreamRoom> {
        let poll = Poll::new()?;
        let (sender, orders) = mpsc::channel();
        let streams = Streams {
            orders: sender,
            waker: Arc::new(Waker::new(poll.registry(), WAKER)?),
            signalled: Arc::default(),
            counters: Arc::default(),
        };
        let mut listeners = Vec::new();
        for Accepting { index, socket, reset } in accepting {
            let local = socket.local_addr()?;
            let mut socket = TcpListener::from_std(socket);
            let token = Token(listeners.len());
            poll.registry().register(&mut socket, token, Interest::READABLE)?;
            listeners.push(Listener { index, local, socket, reset });
        }
        Ok(StreamRoom { poll, orders, streams, listeners })
    }

    /// The handle of the thread.
    pub(crate) fn streams(&self) -> Streams {
        self.streams.clone()
    }

    /// Starts the thread with the connections of the previous program.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn start(
        self,
        mailboxes: Vec<Mailbox>,
        world: Arc<ArcSwap<World>>,
        classifier: Classifier,
        kept: Vec<KeptConnection>,
    ) -> io::Result<JoinHandle<()>> {
        let StreamRoom { poll, orders, streams, listeners } = self;
        let mut driver = Driver {
            poll,
            orders,
            streams,
            listeners,
            connections: Vec::new(),
            free: Vec::new(),
            by_flow: HashMap::new(),
            strangers: HashMap::new(),
            peers: HashMap::new(),
            again: Vec::new(),
            mailboxes,
            world,
            classifier,
            looked: Instant::now(),
            paused: false,
        };
        for kept in kept {
            driver.resume(kept);
        }
        std::thread::Builder::new().name("tcp".to_owned()).spawn(move || {
            while let Err(panic) = catch_unwind(AssertUnwindSafe(|| driver.run())) {
                let what = words_of(panic.as_ref());
                tracing::error!(
                    %what,
                    "ALARM internal_error: the thread of TCP has failed; its connections are \
                     closed, and it starts anew"
                );
                driver.close_all();
                // A recurring fault must not occupy a CPU.
                std::thread::sleep(LOOK);
            }
        })
    }
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct StreamThread {
    pub(crate) streams: Streams,
    pub(crate) thread: JoinHandle<()>,
}

impl StreamThread {
    /// Sends what is queued and ends the thread.
    pub(crate) fn stop(self) {
        self.streams.give(Order::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread of TCP does not stop");
        }
    }
}

struct Driver {
    poll: Poll,
    orders: Receiver<Order>,
    streams: Streams,
    listeners: Vec<Listener>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    by_flow: HashMap<(u16, SocketAddr), usize>,
    /// Connections per address of strangers.
    strangers: HashMap<IpAddr, usize>,
    /// Connections opened per trunk address.
    peers: HashMap<IpAddr, usize>,
    /// Connections with more to read after their turn.
    again: Vec<usize>,
    mailboxes: Vec<Mailbox>,
    world: Arc<ArcSwap<World>>,
    /// Decides which messages are accepted.
    classifier: Classifier,
    looked: Instant,
    /// Incoming data are left to the next program.
    paused: bool,
}

impl Driver {
    /// Runs until it is stopped.
    fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let patience = if self.again.is_empty() { LOOK } else { Duration::ZERO };
            if let Err(error) = self.poll.poll(&mut events, Some(patience))
                && error.kind() != io::ErrorKind::Interrupted
            {
                panic!("its poll fails: {error}");
            }
            for slot in std::mem::take(&mut self.again) {
                self.read(slot);
            }
            for event in &events {
                let token = event.token();
                if token == WAKER {
                    continue;
                }
                if token.0 < self.listeners.len() {
                    self.accept(token.0);
                    continue;
                }
                let slot = token.0 - self.listeners.len();
                if event.is_writable() {
                    self.write(slot);
                }
                if event.is_readable() || event.is_error() {
                    self.read(slot);
                }
            }
            self.streams.signalled.store(false, Ordering::Release);
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Send(flow, message) => self.send(flow, message),
                    Order::Stop => return self.say_farewell(),
                    Order::Pause(reply) => {
                        self.paused = true;
                        let _ = reply.send(());
                    }
                    Order::Leave(reply) => {
                        let connections = std::mem::take(&mut self.connections);
                        let left = connections.into_iter().flatten();
                        let _ = reply.send(left.filter_map(Connection::leave).collect());
                        return;
                    }
                }
            }
            if self.looked.elapsed() >= LOOK {
                self.look();
            }
        }
    }

    /// Resumes a connection of the previous program.
    fn resume(&mut self, kept: KeptConnection) {
        let remote = kept.flow.remote;
        if let Err(error) = Connection::resumed(kept).and_then(|connection| self.add(connection)) {
            tracing::warn!(%remote, %error, "a connection is lost");
        }
    }

    fn accept(&mut self, at: usize) {
        while !self.paused {
            let (socket, remote) = match self.listeners[at].socket.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // An error of this connection, or no more descriptors: try the next one.
                    tracing::debug!(%error, "a connection is not accepted");
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        return;
                    }
                    continue;
                }
            };
            let listener = self.listeners[at].index;
            let known = self.world.load().facts.knows(remote);
            let many = self.peers.get(&remote.ip()).is_some_and(|count| *count >= OF_ONE_PEER);
            if !known && !self.takes_stranger(listener, remote.ip())
                || known && many
                || self.by_flow.len() >= CONNECTIONS - OURS
            {
                if known && let Some(held) = NO_CONNECTION.pass() {
                    tracing::warn!(
                        %remote, held,
                        "a peer has too many connections, or all peers together have: no more are \
                         taken"
                    );
                }
                self.streams.counters.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let flow = Flow { listener, remote, link: Link::Stream };
            if let Err(error) = self.add(Connection::accepted(socket, flow, known)) {
                tracing::debug!(%remote, %error, "a connection is not taken");
            }
        }
    }

    /// The counters of a connection; `None` for outgoing ones to trunks.
    fn counts(&mut self, known: bool, accepted: bool) -> Option<&mut HashMap<IpAddr, usize>> {
        match (known, accepted) {
            (false, _) => Some(&mut self.strangers),
            (true, true) => Some(&mut self.peers),
            (true, false) => None,
        }
    }

    fn takes_stranger(&self, listener: u16, source: IpAddr) -> bool {
        self.world.load().facts.admits_users(listener)
            && self.strangers.values().sum::<usize>() < OF_STRANGERS
            && self.strangers.get(&source).copied().unwrap_or(0) < OF_ONE_STRANGER
    }

    fn add(&mut self, mut connection: Connection) -> io::Result<usize> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let token = Token(self.listeners.len() + slot);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut connection.socket, token, interest) {
            self.free.push(slot);
            return Err(error);
        }
        best_effort(&connection.socket);
        if let Some(counts) = self.counts(connection.known, connection.accepted) {
            *counts.entry(connection.flow.remote.ip()).or_default() += 1;
        }
        self.by_flow.insert((connection.flow.listener, connection.flow.remote), slot);
        self.connections[slot] = Some(connection);
        self.streams.counters.open.store(self.by_flow.len(), Ordering::Relaxed);
        Ok(slot)
    }

    fn send(&mut self, flow: Flow, message: Box<[u8]>) {
        let slot = match self.by_flow.get(&(flow.listener, flow.remote)) {
            Some(slot) => *slot,
            // A stranger's request must not make us connect to it.
            None if message.starts_with(b"SIP/2.0 ") && !self.is_known(flow.remote) => {
                return self.tell_unreachable(flow);
            }
            None => match self.connect(flow) {
                Ok(slot) => slot,
                Err(error) => {
                    tracing::debug!(remote = %flow.remote, %error, "no connection");
                    return self.tell_unreachable(flow);
                }
            },
        };
        if let Some(Some(connection)) = self.connections.get_mut(slot) {
            connection.used = true;
        }
        self.queue(slot, message);
    }

    /// Sends at once, or as soon as the peer reads; a peer that does not is disconnected.
    fn queue(&mut self, slot: usize, message: Box<[u8]>) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        if connection.queue(message) {
            self.write(slot);
        } else {
            self.close(slot, "it does not read");
        }
    }

    /// Starts connecting from the listener's address.
    fn connect(&mut self, flow: Flow) -> io::Result<usize> {
        if self.by_flow.len() >= CONNECTIONS {
            return Err(io::Error::other("there are too many connections"));
        }
        let listener = self.listeners.iter().find(|listener| listener.index == flow.listener);
        let local = listener.ok_or_else(|| io::Error::other("no such listener"))?.local;
        let socket =
            Socket::new(Domain::for_address(flow.remote), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        if !local.ip().is_unspecified() {
            socket.bind(&SocketAddr::new(local.ip(), 0).into())?;
        }
        match socket.connect(&flow.remote.into()) {
            Ok(()) => {}
            Err(error)
                if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        let known = self.is_known(flow.remote);
        self.add(Connection::begun(TcpStream::from_std(socket.into()), flow, known))
    }

    /// Whether an address belongs to a trunk, directly or by name.
    fn is_known(&self, remote: SocketAddr) -> bool {
        let facts = &self.world.load().facts;
        facts.knows(remote) || facts.directory.had_host(remote.ip())
    }

    fn write(&mut self, slot: usize) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        if let Err(error) = connection.write() {
            self.close(slot, &error.to_string());
        }
    }

    fn read(&mut self, slot: usize) {
        if self.paused {
            return;
        }
        self.classifier.set_facts(Arc::clone(&self.world.load().facts));
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let (frames, heard) = connection.read();
        let flow = connection.flow;
        for frame in frames {
            match frame {
                Frame::Message(message) => {
                    let shard =
                        shard_of(&message, u16::try_from(self.mailboxes.len()).unwrap_or(1));
                    let Some(mailbox) = self.mailboxes.get(usize::from(shard)) else { continue };
                    match self.classifier.standing(Instant::now(), flow) {
                        Some(standing) => {
                            let arrived = Arrived { flow, standing, at_ms: clock::utc_ms() };
                            mailbox.hand_over(arrived, &message);
                        }
                        None => mailbox.turn_away(),
                    }
                }
                Frame::Ping => self.queue(slot, Box::from(*b"\r\n")),
            }
        }
        match heard {
            Heard::All => {}
            Heard::Some => self.again.push(slot),
            Heard::End(why) => self.close(slot, &why),
        }
    }

    /// Closes connections that exceed a time limit.
    fn look(&mut self) {
        let now = Instant::now();
        self.looked = now;
        for slot in 0..self.connections.len() {
            let late = self.connections[slot].as_ref().and_then(|connection| connection.late(now));
            if let Some(why) = late {
                self.close(slot, why);
            }
        }
    }

    /// Closes a connection and reports it to those who wait for a response on it.
    fn close(&mut self, slot: usize, why: &str) {
        let Some(mut connection) = self.connections.get_mut(slot).and_then(Option::take) else {
            return;
        };
        let flow = connection.flow;
        tracing::debug!(remote = %flow.remote, why, "a connection is closed");
        let _ = self.poll.registry().deregister(&mut connection.socket);
        let of_flow = |listener: &&Listener| listener.index == flow.listener;
        if self.listeners.iter().find(of_flow).is_some_and(|listener| listener.reset) {
            reset(&connection.socket);
        }
        self.by_flow.remove(&(flow.listener, flow.remote));
        self.free.push(slot);
        self.again.retain(|waiting| *waiting != slot);
        let source = flow.remote.ip();
        if let Some(counts) = self.counts(connection.known, connection.accepted)
            && let Some(count) = counts.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                counts.remove(&source);
            }
        }
        let counters = &self.streams.counters;
        counters.open.store(self.by_flow.len(), Ordering::Relaxed);
        if connection.is_broken() {
            counters.broken.fetch_add(1, Ordering::Relaxed);
        }
        if connection.used {
            self.tell_unreachable(flow);
        }
    }

    fn tell_unreachable(&self, flow: Flow) {
        for mailbox in &self.mailboxes {
            mailbox.tell_unreachable(flow);
        }
    }

    fn close_all(&mut self) {
        for slot in 0..self.connections.len() {
            self.close(slot, "the thread starts anew");
        }
    }

    fn say_farewell(&mut self) {
        let until = Instant::now() + FAREWELL;
        let mut events = Events::with_capacity(256);
        while self.connections.iter().flatten().any(Connection::has_more) && Instant::now() < until
        {
            let left = until.saturating_duration_since(Instant::now());
            let _ = self.poll.poll(&mut events, Some(left));
            for slot in 0..self.connections.len() {
                self.write(slot);
            }
        }
    }
}

/// Closes with RST on drop, so that nothing is left in TIME_WAIT (SIG-03).
fn reset(socket: &TcpStream) {
    if let Err(error) = SockRef::from(socket).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection ends with FIN");
    }
}

/// Sends small messages at once (TCP_NODELAY) and detects vanished peers (keep-alive).
fn best_effort(socket: &TcpStream) {
    let socket = SockRef::from(socket);
    for result in [socket.set_tcp_nodelay(true), socket.set_keepalive(true)] {
        if let Err(error) = result {
            tracing::debug!(%error, "a connection is not as wanted");
        }
    }
}
