//! How other threads reach a shard: datagrams from its neighbours, commands from the
//! admin interface, answers of plugins that had to wait.

use crate::handover::WrittenShard;
use crate::media_plane::Report;
use crate::seldom::Seldom;
use mio::Waker;
use policy::Reply;
use sip::Flow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use switch::{Ask, CallKey, CallView, Counters, NotPlaced, Standing, TestCall};
use tokio::sync::oneshot;

/// Datagrams and ICMP errors that may wait for one shard; more are dropped, as a full socket
/// would.
const INBOX_LIMIT: usize = 65_536;

/// Of a system that refuses to write to an event descriptor.
static NOT_WOKEN: Seldom = Seldom::new();

/// What a shard is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// List the calls.
    Calls(oneshot::Sender<Vec<CallView>>),
    /// Look at a call; none if it is not there.
    Look(u128, oneshot::Sender<Option<CallView>>),
    /// Place a test call; the answer is its id, or why it was not placed.
    Place(TestCall, oneshot::Sender<Result<u128, NotPlaced>>),
    /// End a call; the answer says whether it was there.
    HangUp(u128, oneshot::Sender<bool>),
    /// End the running calls of an account that was locked together with them.
    Cut(u32),
    /// Take the published world now: the answer comes when calls begin with it.
    TakeWorld(oneshot::Sender<()>),
    /// Take no new calls from now on.
    Drain,
    /// End every call; peers may still answer.
    HangUpAll,
    /// Await no peer any more: write the record of every call once its charges are known.
    CloseAll,
    /// Fail as a defect would.
    #[cfg(test)]
    Fail,
    /// Read the counters.
    Read(oneshot::Sender<ShardReading>),
    /// Write the records of calls that are left, and end the thread.
    Stop,
    /// Read no more datagrams: they wait in the sockets for the next program.
    Pause(oneshot::Sender<()>),
    /// Write the calls down for the next program; none if they cannot be.
    WriteDown(oneshot::Sender<Option<WrittenShard>>),
}

/// A reading of one shard.
#[derive(Clone, Debug)]
pub(crate) struct ShardReading {
    /// The machine's own counters.
    pub(crate) counters: Counters,
    /// Calls up or being set up.
    pub(crate) calls: usize,
    /// Transactions alive.
    pub(crate) transactions: usize,
}

/// Counters that the shell keeps itself.
#[derive(Debug, Default)]
pub(crate) struct ShardCounters {
    /// Datagrams handed to this shard by another one.
    pub(crate) handed_over: AtomicU64,
    /// Datagrams and ICMP errors dropped because too many waited for this shard.
    pub(crate) inbox_dropped: AtomicU64,
    /// Datagrams and ICMP errors waiting for this shard.
    pub(crate) inbox_depth: AtomicUsize,
    /// Messages of TCP from somebody who is not heard.
    pub(crate) turned_away: AtomicU64,
    /// Datagrams that the kernel did not take.
    pub(crate) send_errors: AtomicU64,
    /// Milliseconds that the last datagram waited between the machine and the shard.
    pub(crate) waited_ms: AtomicU64,
    /// How often datagrams began to wait for too long.
    pub(crate) overloads: AtomicU64,
    /// Faults of the shard itself, after which it started anew.
    pub(crate) faults: AtomicU64,
}

/// Where a message came from, what may come of it, and when it reached the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) flow: Flow,
    pub(crate) standing: Standing,
    /// UTC ms.
    pub(crate) at_ms: u64,
}

pub(super) enum Letter {
    /// A message for this shard.
    Datagram(Arrived, Box<[u8]>),
    /// Something has happened to the audio of a call.
    Media(CallKey, Report),
    /// Nobody is at the far end of this flow (SIG-24).
    Unreachable(Flow),
    Command(Command),
    Answer(Answer),
}

/// What a plugin answered that had to wait.
pub(super) struct Answer {
    pub(super) ask: Box<Ask>,
    /// Random draws of the call before.
    pub(super) draw: u32,
    pub(super) reply: Reply,
}

/// The sending end; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    letters: Sender<Letter>,
    waker: Arc<Waker>,
    /// A wake-up is on its way: no second system call is needed.
    signalled: Arc<AtomicBool>,
    counters: Arc<ShardCounters>,
}

/// The receiving end.
pub(crate) struct Inbox {
    letters: Receiver<Letter>,
    /// Letters that were passed over to find a datagram, oldest first.
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
    /// Gives a command. A shard that has ended drops it, and with it the answer's sender.
    pub(crate) fn send(&self, command: Command) {
        let _ = self.letters.send(Letter::Command(command));
        self.wake();
    }

    /// Hands over a datagram that belongs to this shard.
    pub(crate) fn hand_over(&self, arrived: Arrived, datagram: &[u8]) {
        if self.has_room() {
            self.counters.handed_over.fetch_add(1, Ordering::Relaxed);
            self.put(Letter::Datagram(arrived, datagram.into()));
        }
    }

    /// Counts a message for this shard of somebody who is not heard.
    pub(crate) fn turn_away(&self) {
        self.counters.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells what has happened to the audio of a call of this shard.
    pub(crate) fn tell_media(&self, call: CallKey, report: Report) {
        let _ = self.letters.send(Letter::Media(call, report));
        self.wake();
    }

    /// Tells that nobody is at the far end of a flow: of an ICMP error that the kernel gave to
    /// another shard's socket, or of a connection that has ended.
    pub(crate) fn tell_unreachable(&self, flow: Flow) {
        if self.has_room() {
            self.put(Letter::Unreachable(flow));
        }
    }

    /// Whether the network may put one more letter here; if not, the letter is lost.
    fn has_room(&self) -> bool {
        let full = self.counters.inbox_depth.load(Ordering::Relaxed) >= INBOX_LIMIT;
        if full {
            self.counters.inbox_dropped.fetch_add(1, Ordering::Relaxed);
        }
        !full
    }

    /// Puts a letter that came from the network.
    fn put(&self, letter: Letter) {
        self.counters.inbox_depth.fetch_add(1, Ordering::Relaxed);
        let _ = self.letters.send(letter);
        self.wake();
    }

    /// Answers a question of this shard; a call that has ended meanwhile does not miss it.
    pub(super) fn answer(&self, answer: Answer) {
        let _ = self.letters.send(Letter::Answer(answer));
        self.wake();
    }

    /// Makes the shard look at its world and its letters.
    pub(crate) fn wake(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
            && let Some(held) = NOT_WOKEN.pass()
        {
            tracing::error!(%error, held, "a shard cannot be woken");
        }
    }

    /// The shell's counters of that shard.
    pub(crate) fn counters(&self) -> &ShardCounters {
        &self.counters
    }
}

impl Inbox {
    /// Before letters are taken: letters sent from now on wake the poll again.
    pub(super) fn open(&self) {
        self.signalled.store(false, Ordering::Release);
    }

    pub(super) fn take(&mut self) -> Option<Letter> {
        self.passed_over.pop_front().or_else(|| self.receive())
    }

    /// The next datagram. Other letters wait for [`Inbox::take`].
    pub(super) fn take_datagram(&mut self) -> Option<(Arrived, Box<[u8]>)> {
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

    pub(super) fn counters(&self) -> &ShardCounters {
        &self.counters
    }
}
