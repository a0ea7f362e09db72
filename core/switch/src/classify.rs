//! Who may be heard, by the source of a datagram alone: before anything is parsed, handed to the
//! shard of its call, or put into a transaction (SEC-20).

use crate::facts::Facts;
use crate::index::SourceIndex;
use crate::strangers::{Admission, Strangers, source_of};
use sip::Flow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a datagram may lead to, by its source alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A trunk names its address.
    Known,
    /// A digest user may be there.
    Stranger {
        /// A user was there within the hour.
        proven: bool,
    },
    /// Nobody may be there: only what belongs to a call or transaction of ours is heard.
    OnlyOurs,
}

/// Tells whose datagrams are heard. Each thread that reads sockets has one; what it knows is shared
/// with the shards.
#[derive(Clone, Debug)]
pub struct Classifier {
    facts: Arc<Facts>,
    index: Arc<SourceIndex>,
    strangers: Arc<Strangers>,
    foreign: Arc<Foreign>,
}

impl Classifier {
    /// By this configuration.
    #[must_use]
    pub fn new(facts: Arc<Facts>, strangers: Arc<Strangers>, foreign: Arc<Foreign>) -> Classifier {
        let index = Arc::clone(facts.source_index());
        Classifier { facts, index, strangers, foreign }
    }

    /// By another configuration from now on.
    pub fn set_facts(&mut self, facts: Arc<Facts>) {
        self.index = Arc::clone(facts.source_index());
        self.facts = facts;
    }

    /// What may come of a datagram or message from `flow`; none: nothing. It counts against the
    /// budget of a stranger: ask once for each.
    #[must_use]
    pub fn standing(&self, now: Instant, flow: Flow) -> Option<Standing> {
        if self.index.knows(flow.remote) {
            return Some(Standing::Known);
        }
        // A vendor's name may lead elsewhere by now; calls that are up stay where they are.
        let ours = self.foreign.is_heard(now) || self.facts.directory.had_host(flow.remote.ip());
        let ours = ours.then_some(Standing::OnlyOurs);
        if !self.facts.admits_users(flow.listener) {
            return ours;
        }
        match self.strangers.admits(source_of(flow.remote), now) {
            Admission::Stranger => Some(Standing::Stranger { proven: false }),
            Admission::Proven => Some(Standing::Stranger { proven: true }),
            Admission::Refused => ours,
        }
    }
}

/// Peers of calls that no trunk names: they are heard as long as one of the calls is up, and a
/// while after. All shards share it, as each reads what is for the others.
#[derive(Debug, Default)]
pub struct Foreign {
    /// Calls with such a peer.
    calls: AtomicUsize,
    /// Until when the last of them repeats itself.
    until: Mutex<Option<Instant>>,
}

impl Foreign {
    fn is_heard(&self, now: Instant) -> bool {
        self.calls.load(Ordering::Relaxed) > 0 || self.until().is_some_and(|until| now < until)
    }

    /// Until when they are heard though no call is up.
    pub(crate) fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// They are heard until then, though no call is up.
    pub(crate) fn hear_until(&self, until: Instant) {
        let mut last = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(last.map_or(until, |last| last.max(until)));
    }
}

/// The calls of one shard with such a peer; gone with the shard.
#[derive(Debug)]
pub(crate) struct ForeignCalls {
    own: usize,
    shared: Arc<Foreign>,
}

impl ForeignCalls {
    pub(crate) fn new(shared: Arc<Foreign>) -> ForeignCalls {
        ForeignCalls { own: 0, shared }
    }

    /// One more.
    pub(crate) fn add(&mut self) {
        self.own += 1;
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// One has ended; its peer is heard until `until`.
    pub(crate) fn end(&mut self, until: Instant) {
        self.own -= 1;
        self.shared.hear_until(until);
        self.shared.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for ForeignCalls {
    fn drop(&mut self) {
        self.shared.calls.fetch_sub(self.own, Ordering::Relaxed);
    }
}
