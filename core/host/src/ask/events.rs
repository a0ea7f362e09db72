//! Events of calls. They wait in a bounded queue for a thread of their own, so that no call waits
//! for a plugin that is only notified.
//!
//! The thread takes them in their order. If a plugin of the chain may wait for an outside server, a
//! task of the hook's lane notifies the chain, and later events of the same call wait for it. So
//! the events of a call arrive in their order, and a slow server holds up only the calls whose
//! events go there, up to the plugin's limit of questions under way.

use super::asker::{Asker, chain};
use crate::build::version::slot_beside;
use crate::error::LoadError;
use crate::outside::lane::at_once;
use crate::services::backlog::{Backlog, Waiting};
use crate::services::ticker::Watched;
use platform::{ProcessorSet, keep_to};
use policy::{CallDetails, Context, Hook, Pin, Question, Reply};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Events of a node that may wait; further ones are dropped and counted. It is seconds of the
/// events of a busy node, and some megabytes.
pub(crate) const WAITING: usize = 10_000;

/// Receives the reply, on the thread that notified the plugins.
pub(super) type Deliver = Box<dyn FnOnce(Reply) + Send>;

/// Events of calls since the host started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventMetrics {
    /// Plugins were notified, with or without success.
    pub told: u64,
    /// Dropped, because too many waited or the host stopped.
    pub dropped: u64,
    /// Waiting now.
    pub waiting: usize,
    /// How many may wait.
    pub most: usize,
}

/// An event on its way to the plugins of its call's chain.
pub(super) struct Notice {
    pub(super) asker: Asker,
    /// The call's pin with a copy of its notes: what the call holds is free at its end.
    pub(super) pin: Pin,
    pub(super) details: Option<Arc<CallDetails>>,
    pub(super) question: Question,
    pub(super) deliver: Option<Deliver>,
}

/// The sending end; the thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct EventQueue {
    notices: Sender<(Notice, Waiting)>,
    desk: Arc<Desk>,
}

/// The state that the queue shares with its thread.
struct Desk {
    backlog: Arc<Backlog>,
    told: AtomicU64,
    dropped: AtomicU64,
    /// What waits is dropped.
    closed: AtomicBool,
    /// For each call with an event on a fibre: its later events.
    behind: Mutex<HashMap<u128, VecDeque<(Notice, Waiting)>>>,
}

impl EventQueue {
    pub(crate) fn start(housekeeping: Option<ProcessorSet>) -> Result<EventQueue, LoadError> {
        let (notices, waiting) = channel::<(Notice, Waiting)>();
        let desk = Arc::new(Desk {
            backlog: Backlog::new(WAITING),
            told: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            behind: Mutex::default(),
        });
        let own = Arc::clone(&desk);
        std::thread::Builder::new()
            .name("policy-events".to_owned())
            .spawn(move || {
                keep_to(housekeeping.as_ref());
                for notice in waiting {
                    // A fault of the host's own, which the panic hook has logged, costs one event.
                    if catch_unwind(AssertUnwindSafe(|| own.take(notice))).is_err() {
                        own.dropped.fetch_add(1, Relaxed);
                    }
                }
            })
            .map_err(|cause| LoadError::Engine(format!("no thread for events: {cause}")))?;
        Ok(EventQueue { notices, desk })
    }

    /// Queues an event, or drops and counts it. It never waits.
    pub(super) fn put(&self, notice: Notice) {
        let Some(place) = self.desk.backlog.enter() else {
            self.desk.dropped.fetch_add(1, Relaxed);
            return;
        };
        if self.notices.send((notice, place)).is_err() {
            self.desk.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Blocks until no event waits, at most until `until`; then drops those that wait and returns
    /// how many.
    pub(crate) fn finish(&self, until: Instant) -> usize {
        let left = self.desk.backlog.wait_until_empty(until);
        self.desk.closed.store(true, Relaxed);
        left
    }

    pub(crate) fn metrics(&self) -> EventMetrics {
        EventMetrics {
            told: self.desk.told.load(Relaxed),
            dropped: self.desk.dropped.load(Relaxed),
            waiting: self.desk.backlog.len(),
            most: self.desk.backlog.most(),
        }
    }
}

impl Desk {
    /// Notifies the plugins here, or has them notified on fibres.
    fn take(self: &Arc<Desk>, (notice, place): (Notice, Waiting)) {
        if self.drops() {
            return;
        }
        let context = Context { pin: &notice.pin, details: None };
        if !chain(context, &notice.question).iter().any(|live| live.may_wait()) {
            let services = Arc::clone(notice.asker.services());
            let watching = services.pace.watch();
            // No plugin of the chain waits.
            at_once(notice.tell(watching.watched()));
            self.told.fetch_add(1, Relaxed);
            return;
        }
        let call = notice.question.call().id;
        match self.behind().entry(call) {
            Entry::Occupied(mut behind) => return behind.get_mut().push_back((notice, place)),
            Entry::Vacant(behind) => drop(behind.insert(VecDeque::new())),
        }
        let turn = Turn { desk: Arc::clone(self), call, over: false };
        let services = Arc::clone(notice.asker.services());
        // Loading a plugin that may wait has started the lane.
        if let Some(lane) = services.lanes.of(Hook::Events) {
            lane.spawn(turn.tell(notice, place));
        }
    }

    /// Counts the next event as dropped if the host has stopped.
    fn drops(&self) -> bool {
        let closed = self.closed.load(Relaxed);
        if closed {
            self.dropped.fetch_add(1, Relaxed);
        }
        closed
    }

    fn behind(&self) -> MutexGuard<'_, HashMap<u128, VecDeque<(Notice, Waiting)>>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of one call on fibres, one after the other.
struct Turn {
    desk: Arc<Desk>,
    call: u128,
    /// No event of the call waits behind this turn any more.
    over: bool,
}

impl Turn {
    async fn tell(mut self, notice: Notice, place: Waiting) {
        let mut next = Some((notice, place));
        while let Some((notice, place)) = next {
            if !self.desk.drops() {
                let services = Arc::clone(notice.asker.services());
                let watching = services.pace.watch();
                notice.tell(watching.watched()).await;
                self.desk.told.fetch_add(1, Relaxed);
            }
            drop(place);
            next = self.next();
        }
    }

    fn next(&mut self) -> Option<(Notice, Waiting)> {
        let mut behind = self.desk.behind();
        let next = behind.get_mut(&self.call).and_then(VecDeque::pop_front);
        if next.is_none() {
            behind.remove(&self.call);
            self.over = true;
        }
        next
    }
}

impl Drop for Turn {
    /// A turn that broke off must not keep later events of its call for ever.
    fn drop(&mut self) {
        if !self.over
            && let Some(behind) = self.desk.behind().remove(&self.call)
        {
            self.desk.dropped.fetch_add(1 + behind.len() as u64, Relaxed);
        }
    }
}

impl Notice {
    /// Makes missing instances first, because nobody waits, and notifies the chain.
    async fn tell(self, watched: Watched<'_>) {
        let Notice { asker, pin, details, question, deliver } = self;
        let context = Context { pin: &pin, details: details.as_ref() };
        let plain = chain(context, &question)
            .iter()
            .flat_map(|live| live.versions())
            .filter(|version| !version.on_fibre() && version.hooks.contains(&Hook::Events));
        for version in plain {
            if let Err(fault) = version.warm(asker.number, watched) {
                tracing::debug!(plugin = %version.stamp, %fault, "no instance for an event");
            }
        }
        let reply = asker.ask(watched, context, &question).await;
        if let Some(deliver) = deliver {
            deliver(reply);
        }
    }
}

impl Asker {
    /// The same for questions of a hook on the host's own threads.
    pub(super) fn beside(&self, hook: Hook) -> Asker {
        let number = slot_beside(self.shared.shards, hook);
        Asker { shared: Arc::clone(&self.shared), number }
    }
}
