//! A relay thread: one loop over the sockets of its sessions. It shares nothing with
//! signalling but a command queue and counters, so that neither delays the other.

use super::calls::{Calls, Clocks, Obeyed};
use super::epoll::EpollEngine;
use super::port::Token;
use super::sockets::SocketPair;
use super::uring::UringEngine;
use media::{RemoteMedia, SessionCounters, Side};
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

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

/// How a relay thread receives and sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EngineKind {
    IoUring,
    Epoll,
}

/// What brings packets to the calls of a relay thread and carries them away.
pub(super) trait Engine {
    /// Begins to receive at a socket. A connected one is heard after all that waits at the
    /// first socket of its side.
    ///
    /// # Errors
    /// If the system refuses.
    fn watch(&mut self, token: Token, socket: &Arc<UdpSocket>) -> io::Result<()>;

    /// Ends that, if it was begun; the caller closes the socket afterwards. No packet that
    /// came before is taken for one of the token's next socket.
    fn forget(&mut self, token: Token);

    /// Waits until there is something to do or the waker was written.
    ///
    /// # Errors
    /// What the system says; the thread cannot go on.
    fn wait(&mut self) -> io::Result<()>;

    /// Relays what came, a bounded number of packets for each socket.
    fn serve(&mut self, clocks: Clocks, calls: &mut Calls);
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
    /// Counts wake-ups; readable while the thread has not taken them.
    waker: Arc<OwnedFd>,
    /// Sessions that it was given and that are not closed.
    sessions: Arc<AtomicUsize>,
    totals: Arc<ThreadTotals>,
}

/// The thread's own state.
struct Relay<E> {
    engine: E,
    calls: Calls,
    commands: Receiver<Command>,
    totals: Arc<ThreadTotals>,
}

impl RelayThread {
    /// Starts the thread `relay-{number}` and waits until its engine runs.
    ///
    /// # Errors
    /// If the system refuses the engine or a thread.
    pub(super) fn start(
        number: usize,
        dscp: u8,
        kind: EngineKind,
    ) -> io::Result<(RelayThread, JoinHandle<()>)> {
        let waker = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        let (commands, received) = channel();
        let totals = Arc::new(ThreadTotals::default());
        let (say, started) = sync_channel(1);
        let (woken, published) = (waker.clone(), totals.clone());
        let body = move || {
            // Made here: a ring belongs to the thread that makes it.
            match kind {
                EngineKind::IoUring => {
                    run(UringEngine::new(&woken), dscp, received, published, &say)
                }
                EngineKind::Epoll => run(EpollEngine::new(woken), dscp, received, published, &say),
            }
        };
        let thread = std::thread::Builder::new().name(format!("relay-{number}")).spawn(body)?;
        started.recv().map_err(|_| io::Error::other("a relay thread panicked at its start"))??;
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
            && let Err(error) = rustix::io::write(&self.waker, &1_u64.to_ne_bytes())
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

impl<E: Engine> Relay<E> {
    fn run(mut self) {
        loop {
            if let Err(error) = self.engine.wait() {
                tracing::error!(%error, "relay thread cannot wait for packets and ends");
                return;
            }
            // Before the packets: what was told before a packet was sent applies to it.
            while let Ok(command) = self.commands.try_recv() {
                if self.calls.obey(command, &mut self.engine) == Obeyed::Stop {
                    return;
                }
            }
            self.engine.serve(Clocks::read(), &mut self.calls);
            let sums = self.calls.sums();
            self.totals.packets_in.store(sums.packets_in, Relaxed);
            self.totals.packets_out.store(sums.packets_out, Relaxed);
            self.totals.dropped.store(sums.dropped, Relaxed);
        }
    }
}

/// Says whether the engine was made, and runs the relay on it.
fn run<E: Engine>(
    made: io::Result<E>,
    dscp: u8,
    commands: Receiver<Command>,
    totals: Arc<ThreadTotals>,
    say: &SyncSender<io::Result<()>>,
) {
    let (engine, said) = match made {
        Ok(engine) => (Some(engine), Ok(())),
        Err(error) => (None, Err(error)),
    };
    if say.send(said).is_ok()
        && let Some(engine) = engine
    {
        Relay { engine, calls: Calls::new(dscp), commands, totals }.run();
    }
}
