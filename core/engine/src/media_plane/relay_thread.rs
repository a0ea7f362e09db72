//! A relay thread: a poll loop over the sockets of its calls. It shares only a command queue and
//! counters with signalling, so that neither delays the other.
//!
//! The poll is level-triggered: a ready socket yields one packet per round and is reported again
//! while it has more. So a flood on one socket does not delay other calls, and no packet costs a
//! second receive that returns "empty" (as with an edge-triggered poll).

use super::Report;
use super::relayed::{LONGEST_PACKET, Means, Relayed, Sums, Token, WAKE, watch};
use super::sockets::{ConnectedBudget, SocketPair};
use crate::clock;
use crate::panic_text::words_of;
use crate::seldom::Seldom;
use media::{Input, LegCounters, LegId, Now};
use platform::{ProcessorSet, keep_to, shorten_time_slice};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::time::Timespec;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use switch::CallKey;

/// Sockets served in one round.
const ROUND: usize = 256;
/// Pause after a failed poll, so that repeated failures do not occupy a CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// Limits log lines about failed wake-ups and faults.
static NOT_WOKEN: Seldom = Seldom::new();
static FAULT: Seldom = Seldom::new();

/// Identifies a call in its relay thread: calls of different shards may have equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionId(pub(super) u64);

/// Receives events of calls. Called on the relay thread: it must not block.
#[derive(Clone)]
pub(super) struct Reports(pub(super) Arc<dyn Fn(CallKey, Report) + Send + Sync>);

/// A leg to open.
pub(super) struct Opening {
    pub(super) id: SessionId,
    pub(super) leg: LegId,
    pub(super) sockets: SocketPair,
    pub(super) counters: Arc<LegCounters>,
    /// Its call, its number there, and the receiver of reports.
    pub(super) call: CallKey,
    pub(super) number: u16,
    pub(super) reports: Reports,
}

/// A command to a relay thread.
pub(super) enum Command {
    /// Adds the sockets of a leg; the first leg begins the call.
    Open(Box<Opening>),
    /// Passes an input to the bridge of a call.
    Tell { id: SessionId, input: Input },
    /// Closes the sockets of a leg; the last leg ends the call.
    Close { id: SessionId, leg: LegId },
    /// Ends the thread.
    Stop,
}

/// Totals of a relay thread since start.
#[derive(Debug, Default)]
pub(super) struct ThreadTotals {
    pub(super) packets_in: AtomicU64,
    pub(super) packets_out: AtomicU64,
    pub(super) dropped: AtomicU64,
    /// Sides that switched to another source (MEDIA-11).
    pub(super) takeovers: AtomicU64,
    /// Faults that the thread has survived.
    pub(super) faults: AtomicU64,
}

/// The handle of a running relay thread.
#[derive(Debug)]
pub(super) struct RelayThread {
    commands: Sender<Command>,
    /// Counts wake-ups; readable while the thread has not taken them.
    waker: Arc<OwnedFd>,
    /// Calls assigned to it.
    calls: Arc<AtomicUsize>,
    totals: Arc<ThreadTotals>,
}

impl RelayThread {
    /// Starts the thread `relay-{number}`, pinned to `processors` if given.
    ///
    /// # Errors
    /// The system refuses an epoll instance or a thread.
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
            means: Means { poll, dscp, budget },
            waker: waker.clone(),
            commands: received,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            buffer: Box::new([0; LONGEST_PACKET + 1]),
            sums: Sums::default(),
            totals: totals.clone(),
            serving: None,
            wakes: BTreeSet::new(),
        };
        let thread =
            std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
                keep_to(processors.as_ref());
                shorten_time_slice();
                relay.run_to_the_end();
            })?;
        Ok((RelayThread { commands, waker, calls: Arc::default(), totals }, thread))
    }

    /// A second handle to the same thread, for another signalling shard.
    pub(super) fn share(&self) -> RelayThread {
        RelayThread {
            commands: self.commands.clone(),
            waker: self.waker.clone(),
            calls: self.calls.clone(),
            totals: self.totals.clone(),
        }
    }

    /// Queues a command; dropped if the thread has ended (the plane was stopped).
    pub(super) fn tell(&self, command: Command) {
        if self.commands.send(command).is_ok()
            && let Err(error) = rustix::io::write(&self.waker, &1_u64.to_ne_bytes())
            && let Some(held) = NOT_WOKEN.pass()
        {
            tracing::warn!(%error, held, "relay thread not woken");
        }
    }

    /// Counts a call assigned to it.
    pub(super) fn begin_call(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// Counts an ended call.
    pub(super) fn end_call(&self) {
        self.calls.fetch_sub(1, Relaxed);
    }

    /// Calls assigned to it.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    /// Totals since start.
    pub(super) fn totals(&self) -> &ThreadTotals {
        &self.totals
    }
}

/// The thread's own state.
struct Relay {
    number: usize,
    means: Means,
    waker: Arc<OwnedFd>,
    commands: Receiver<Command>,
    /// Calls by slot; the slot is part of the poll token.
    slots: Vec<Option<Relayed>>,
    free: Vec<usize>,
    by_id: HashMap<SessionId, usize>,
    /// One byte longer than the longest packet, to detect truncation.
    buffer: Box<[u8; LONGEST_PACKET + 1]>,
    sums: Sums,
    totals: Arc<ThreadTotals>,
    /// The slot whose packet is being relayed, closed after a fault.
    serving: Option<usize>,
    /// Wake-up times of calls.
    wakes: BTreeSet<(Instant, usize)>,
}

impl Relay {
    /// Relays until stopped. A fault ends and reports the call that was being served; all others
    /// continue.
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
        let (thread, calls) = (self.number, self.by_id.len());
        if let Some(held) = FAULT.pass() {
            tracing::error!(
                thread,
                what,
                calls,
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
            if let Some(at) = relayed.wake {
                self.wakes.remove(&(at, slot));
            }
            self.free.push(slot);
            relayed.report(Report::Lost);
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::with_capacity(ROUND);
        let mut now = read_clocks();
        loop {
            let patience = self.patience(now.instant);
            match epoll::wait(&self.means.poll, spare_capacity(&mut ready), patience.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if ready.iter().any(|event: &epoll::Event| Token(event.data.u64()) == WAKE) {
                // Before the commands are taken: a later command wakes the thread again.
                let _ = rustix::io::read(&self.waker, &mut [0; 8]);
            }
            // Before the packets: commands sent before a packet apply to it.
            if self.obey() == Obeyed::Stop {
                return Ok(());
            }
            now = read_clocks();
            self.wake(now);
            for event in ready.drain(..) {
                let token = Token(event.data.u64());
                if token != WAKE {
                    self.serve(now, token);
                }
            }
            self.publish();
        }
    }

    /// How long to wait for packets; `None` without limit. It counts from the start of the last
    /// round, which saves reading the clock again.
    fn patience(&self, round: Instant) -> Option<Timespec> {
        let (at, _) = self.wakes.first()?;
        let left = at.saturating_duration_since(round);
        // An implausibly long wait is cut short: the thread polls again.
        Some(Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 60, tv_nsec: 0 }))
    }

    /// Wakes the calls whose time has come.
    fn wake(&mut self, now: Now) {
        while let Some((at, slot)) = self.wakes.first().copied()
            && at <= now.instant
        {
            self.wakes.pop_first();
            if let Some(Some(relayed)) = self.slots.get_mut(slot) {
                self.serving = Some(slot);
                relayed.wake = None;
                relayed.tell(Input::Timeout, now.instant, &self.means);
                relayed.drain(now, &mut self.buffer[..], &mut self.sums);
                self.serving = None;
            }
            self.arrange(slot);
        }
    }

    /// Schedules the wake-up of a call. An earlier wake-up stays if the time moves later: the call
    /// is asked again then.
    fn arrange(&mut self, slot: usize) {
        let Some(Some(relayed)) = self.slots.get_mut(slot) else { return };
        let wanted = relayed.next_wake();
        if wanted != relayed.wake {
            self.wakes.extend(wanted.map(|at| (at, slot)));
            if let Some(at) = std::mem::replace(&mut relayed.wake, wanted) {
                self.wakes.remove(&(at, slot));
            }
        }
    }

    fn serve(&mut self, now: Now, token: Token) {
        let (slot, port) = token.split();
        let Some(Some(relayed)) = self.slots.get_mut(slot) else {
            return;
        };
        self.serving = Some(slot);
        relayed.serve(now, port, &mut self.buffer[..], &mut self.sums, &self.means);
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
                Command::Tell { id, input } => self.tell(id, input),
                Command::Close { id, leg } => self.close(id, leg),
                Command::Stop => return Obeyed::Stop,
            }
        }
        Obeyed::Continue
    }

    fn open(&mut self, opening: Opening) {
        let Opening { id, leg, sockets, counters, call, number, reports } = opening;
        let slot = match self.by_id.get(&id) {
            Some(slot) => *slot,
            None => {
                let slot = self.free.pop().unwrap_or_else(|| {
                    self.slots.push(None);
                    self.slots.len() - 1
                });
                self.slots[slot] = Some(Relayed::new(id, slot, call, reports));
                self.by_id.insert(id, slot);
                slot
            }
        };
        if let Some(relayed) = &mut self.slots[slot] {
            relayed.open((leg, number), sockets, counters, &self.means);
        }
    }

    fn tell(&mut self, id: SessionId, input: Input) {
        if let Some(&slot) = self.by_id.get(&id)
            && let Some(relayed) = &mut self.slots[slot]
        {
            let now = read_clocks();
            self.serving = Some(slot);
            relayed.tell(input, now.instant, &self.means);
            relayed.drain(now, &mut self.buffer[..], &mut self.sums);
            self.serving = None;
            self.arrange(slot);
        }
    }

    fn close(&mut self, id: SessionId, leg: LegId) {
        if let Some(&slot) = self.by_id.get(&id)
            && let Some(relayed) = &mut self.slots[slot]
        {
            relayed.close(leg);
            if relayed.is_empty() {
                if let Some(at) = relayed.wake {
                    self.wakes.remove(&(at, slot));
                }
                self.slots[slot] = None;
                self.by_id.remove(&id);
                self.free.push(slot);
            }
        }
    }
}

/// Whether to continue after the commands.
#[derive(PartialEq, Eq)]
enum Obeyed {
    Continue,
    Stop,
}

/// Reads the clocks, once per wake-up.
fn read_clocks() -> Now {
    let instant = Instant::now();
    // A lost call is billed up to its last packet, so the clock must not be settable.
    Now { instant, utc_ms: clock::steady_ms(instant) }
}
