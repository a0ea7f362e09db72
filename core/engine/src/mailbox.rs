//! Messages to a shard from other threads: datagrams from other shards, commands from the admin
//! API, deferred answers of plugins.

use crate::handover::WrittenShard;
use crate::media_plane::Report;
use crate::seldom::Seldom;
use mio::Waker;
use policy::{NotesMark, Reply};
use sip::Flow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use switch::{Ask, CallKey, CallView, Counters, NotPlaced, Standing, TestCall};
use tokio::sync::oneshot;

/// Most datagrams and ICMP errors waiting for a shard; more are dropped, as by a full socket.
const INBOX_LIMIT: usize = 65_536;

/// Limits log lines about failed wake-ups.
static NOT_WOKEN: Seldom = Seldom::new();

/// A command to a shard.
#[derive(Debug)]
pub(crate) enum Command {
    /// Lists the calls.
    Calls(oneshot::Sender<Vec<CallView>>),
    /// Returns a call, if it exists.
    Look(u128, oneshot::Sender<Option<CallView>>),
    /// Places a test call; returns its id, or why it was not placed.
    Place(TestCall, oneshot::Sender<Result<u128, NotPlaced>>),
    /// Ends a call; returns whether it existed.
    HangUp(u128, oneshot::Sender<bool>),
    /// Ends the running calls of an account that was locked together with them.
    Cut(u32),
    /// Takes the published world now; replies once calls start with it.
    TakeWorld(oneshot::Sender<()>),
    /// Takes no new calls from now on.
    Drain,
    /// Hangs up every call; peers may still respond.
    HangUpAll,
    /// Waits for peers no longer: writes the record of every call once its charges are known.
    CloseAll,
    /// Panics, as a defect would.
    #[cfg(test)]
    Fail,
    /// Reads the counters.
    Read(oneshot::Sender<ShardReading>),
    /// Writes the records of remaining calls and ends the thread.
    Stop,
    /// Stops reading datagrams: they wait in the sockets for the next program.
    Pause(oneshot::Sender<()>),
    /// Serializes the calls for the next program; `None` if that fails.
    WriteDown(oneshot::Sender<Option<WrittenShard>>),
}

/// A reading of one shard.
#[derive(Clone, Debug)]
pub(crate) struct ShardReading {
    /// The machine's own counters.
    pub(crate) counters: Counters,
    /// Calls in progress, answered or not.
    pub(crate) calls: usize,
    /// Transactions alive.
    pub(crate) transactions: usize,
}

/// Counters of the shard outside its call machine.
#[derive(Debug, Default)]
pub(crate) struct ShardCounters {
    /// Datagrams received from other shards.
    pub(crate) handed_over: AtomicU64,
    /// Datagrams and ICMP errors dropped because the inbox was full.
    pub(crate) inbox_dropped: AtomicU64,
    /// Datagrams and ICMP errors in the inbox.
    pub(crate) inbox_depth: AtomicUsize,
    /// TCP messages from peers that are not accepted.
    pub(crate) turned_away: AtomicU64,
    /// Datagrams that the kernel refused to send.
    pub(crate) send_errors: AtomicU64,
    /// Time between the last datagram's arrival at the machine and its processing, milliseconds.
    pub(crate) waited_ms: AtomicU64,
    /// How often datagrams began to wait too long.
    pub(crate) overloads: AtomicU64,
    /// Faults that the shard has survived.
    pub(crate) faults: AtomicU64,
}

/// Flow, standing and arrival time of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) flow: Flow,
    pub(crate) standing: Standing,
    /// UTC ms.
    pub(crate) at_ms: u64,
}

pub(crate) enum Letter {
    /// A message for this shard.
    Datagram(Arrived, Box<[u8]>),
    /// An event of a call's media.
    Media(CallKey, Report),
    /// The peer of this flow is unreachable (SIG-24).
    Unreachable(Flow),
    Command(Command),
    Answer(Answer),
}

/// A deferred answer of a plugin.
pub(crate) struct Answer {
    pub(crate) ask: Box<Ask>,
    /// The notes of the call before it.
    pub(crate) mark: NotesMark,
    pub(crate) reply: Reply,
}

/// The sending end; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    letters: Sender<Letter>,
    waker: Arc<Waker>,
    /// A wake-up is pending: no second system call is needed.
    signalled: Arc<AtomicBool>,
    counters: Arc<ShardCounters>,
}

/// The receiving end.
pub(crate) struct Inbox {
    letters: Receiver<Letter>,
    /// Letters skipped in search of a datagram, oldest first.
    passed_over: VecDeque<Letter>,
    signalled: Arc<AtomicBool>,
    counters: Arc<ShardCounters>,
}

/// Both ends; `waker` belongs to the receiver's poll.
pub(crate) fn mailbox(waker: Waker) -> (Mailbox, Inbox) {
    let (sender, receiver) = mpsc::channel();
    let signalled = Arc::new(AtomicBool::new(false));
    let counters = Arc::new(ShardCounters::default());
    let mailbox = Mailbox {
        letters: sender,
        waker: Arc::new(waker),
        signalled: signalled.clone(),
        counters: counters.clone(),
    };
    (mailbox, Inbox { letters: receiver, passed_over: VecDeque::new(), signalled, counters })
}

impl Mailbox {
    /// Sends a command. A shard that has ended drops it together with the reply's sender.
    pub(crate) fn send(&self, command: Command) {
        let _ = self.letters.send(Letter::Command(command));
        self.wake();
    }

    /// Passes on a datagram that belongs to this shard.
    pub(crate) fn hand_over(&self, arrived: Arrived, datagram: &[u8]) {
        if self.has_room() {
            self.counters.handed_over.fetch_add(1, Ordering::Relaxed);
            self.put(Letter::Datagram(arrived, datagram.into()));
        }
    }

    /// Counts a message for this shard from a peer that is not accepted.
    pub(crate) fn turn_away(&self) {
        self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// Passes on a media event of a call of this shard.
    pub(crate) fn tell_media(&self, call: CallKey, report: Report) {
        let _ = self.letters.send(Letter::Media(call, report));
        self.wake();
    }

    /// Reports that the peer of a flow is unreachable: by an ICMP error that the kernel gave to
    /// another shard's socket, or because a connection ended.
    pub(crate) fn tell_unreachable(&self, flow: Flow) {
        if self.has_room() {
            self.put(Letter::Unreachable(flow));
        }
    }

    /// Whether there is room for another letter from the network; otherwise it is dropped.
    fn has_room(&self) -> bool {
        let full = self.counters.inbox_depth.load(Ordering::Relaxed) >= INBOX_LIMIT;
        if full {
            self.counters.inbox_dropped.fetch_add(1, Ordering::Relaxed);
        }
        !full
    }

    /// Adds a letter from the network.
    fn put(&self, letter: Letter) {
        self.counters.inbox_depth.fetch_add(1, Ordering::Relaxed);
        let _ = self.letters.send(letter);
        self.wake();
    }

    /// Answers a question of this shard; ignored if the call has ended meanwhile.
    pub(crate) fn answer(&self, answer: Answer) {
        let _ = self.letters.send(Letter::Answer(answer));
        self.wake();
    }

    /// Makes the shard check its world and letters.
    pub(crate) fn wake(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
            && let Some(held) = NOT_WOKEN.pass()
        {
            tracing::error!(%error, held, "a shard cannot be woken");
        }
    }

    /// The counters of that shard.
    pub(crate) fn counters(&self) -> &ShardCounters {
        &self.counters
    }
}

impl Inbox {
    /// Before letters are taken: later letters wake the poll again.
    pub(crate) fn open(&self) {
        self.signalled.store(false, Ordering::Release);
    }

    pub(crate) fn take(&mut self) -> Option<Letter> {
        self.passed_over.pop_front().or_else(|| self.receive())
    }

    /// The next datagram. Other letters stay for [`Inbox::take`].
    pub(crate) fn take_datagram(&mut self) -> Option<(Arrived, Box<[u8]>)> {
        loop {
            match self.receive()? {
                Letter::Datagram(arrived, datagram) => return Some((arrived, datagram)),
                other => self.passed_over.push_back(other),
            }
        }
    }

    fn receive(&self) -> Option<Letter> {
        let letter = self.letters.try_recv().ok()?;
        if matches!(letter, Letter::Datagram(..) | Letter::Unreachable(_)) {
            self.counters.inbox_depth.fetch_sub(1, Ordering::Relaxed);
        }
        Some(letter)
    }

    pub(crate) fn counters(&self) -> &ShardCounters {
        &self.counters
    }
}
