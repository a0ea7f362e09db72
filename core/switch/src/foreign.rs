//! Calls with peers at addresses that no trunk names, because a Contact led there or the trunk was
//! removed. These peers are heard for those calls only.

use crate::io::Now;
use crate::shard::CallKey;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// State about such peers: they are heard while one of these calls is up, and for a while after.
/// All shards share it, because each shard reads messages for the others.
#[derive(Debug, Default)]
pub struct Foreign {
    /// Calls with such a peer.
    calls: AtomicUsize,
    /// End of the time in which the last of them may still resend.
    until: Mutex<Option<Instant>>,
}

impl Foreign {
    pub(crate) fn is_heard(&self, now: Instant) -> bool {
        self.calls.load(Ordering::Relaxed) > 0 || self.until().is_some_and(|until| now < until)
    }

    /// Until when they are heard even without such a call.
    pub(crate) fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Extends the time in which they are heard without such a call.
    pub(crate) fn hear_until(&self, until: Instant) {
        let mut last = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(last.map_or(until, |last| last.max(until)));
    }
}

/// The calls of one shard with such a peer; the count goes with the shard.
#[derive(Debug)]
pub(crate) struct ForeignCalls {
    own: usize,
    shared: Arc<Foreign>,
    look: Option<Look>,
}

/// A check of all calls that were up when a trunk lost an address, a few at a time. While it runs
/// it counts as a call with such a peer, so that every peer is heard in the meantime.
#[derive(Debug)]
struct Look {
    since: Instant,
    /// Calls still to be checked.
    left: Vec<CallKey>,
    /// Another address was lost in the meantime: check all calls once more.
    again: bool,
}

/// Calls that are checked before other work gets its turn: less than a millisecond.
const LOOKED_AT_ONCE: usize = 64;

impl ForeignCalls {
    pub(crate) fn new(shared: Arc<Foreign>) -> ForeignCalls {
        ForeignCalls { own: 0, shared, look: None }
    }

    /// Counts one more call.
    pub(crate) fn add(&mut self) {
        self.own += 1;
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// A call has ended; its peer is heard until `until`.
    pub(crate) fn end(&mut self, until: Instant) {
        self.shared.hear_until(until);
        self.take_one();
    }

    fn take_one(&mut self) {
        self.own -= 1;
        self.shared.calls.fetch_sub(1, Ordering::Relaxed);
    }

    /// Some addresses are no longer known: these calls are checked for peers there at the next
    /// time-outs.
    pub(crate) fn check(&mut self, now: Now, calls: impl Iterator<Item = CallKey>) {
        if let Some(look) = &mut self.look {
            look.again = true;
            return;
        }
        let left: Vec<CallKey> = calls.collect();
        if !left.is_empty() {
            self.look = Some(Look { since: now.instant, left, again: false });
            self.add();
        }
    }

    /// The calls to be checked next.
    pub(crate) fn next(&mut self) -> Vec<CallKey> {
        let Some(look) = &mut self.look else { return Vec::new() };
        look.left.split_off(look.left.len().saturating_sub(LOOKED_AT_ONCE))
    }

    /// Those have been checked: ends the check after the last of them, or begins another one of
    /// `calls` if an address was lost in the meantime.
    pub(crate) fn checked(&mut self, now: Now, calls: impl Iterator<Item = CallKey>) {
        let Some(look) = self.look.take_if(|look| look.left.is_empty()) else { return };
        if look.again {
            self.check(now, calls);
        }
        self.take_one();
    }

    /// Since when a check is running.
    pub(crate) fn looking_since(&self) -> Option<Instant> {
        self.look.as_ref().map(|look| look.since)
    }
}

impl Drop for ForeignCalls {
    fn drop(&mut self) {
        self.shared.calls.fetch_sub(self.own, Ordering::Relaxed);
    }
}
