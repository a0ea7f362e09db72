//! A bounded number of things that wait for the host's own threads, and a way to wait until none
//! is left.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Counts the things that wait; each holds a [`Waiting`].
#[derive(Debug)]
pub(crate) struct Backlog {
    most: usize,
    taken: AtomicUsize,
    lock: Mutex<()>,
    emptied: Condvar,
}

/// One of the places; released when dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Backlog>);

impl Backlog {
    pub(crate) fn new(most: usize) -> Arc<Backlog> {
        Arc::new(Backlog {
            most,
            taken: AtomicUsize::new(0),
            lock: Mutex::new(()),
            emptied: Condvar::new(),
        })
    }

    /// A place for one more; none if all are taken.
    pub(crate) fn enter(self: &Arc<Backlog>) -> Option<Waiting> {
        let more = |taken: usize| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(SeqCst, SeqCst, more).ok().map(|_| Waiting(Arc::clone(self)))
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn len(&self) -> usize {
        self.taken.load(SeqCst)
    }

    /// Blocks until nothing waits, at most until `until`; returns how many still wait.
    pub(crate) fn wait_until_empty(&self, until: Instant) -> usize {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = self.len();
            let patience = until.saturating_duration_since(Instant::now());
            if left == 0 || patience.is_zero() {
                return left;
            }
            let woken = self.emptied.wait_timeout(guard, patience);
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.0.taken.fetch_sub(1, SeqCst) == 1 {
            // Under the lock: a thread between its look and its sleep would miss the call.
            let _guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.emptied.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_bounded_and_tells_when_it_is_empty() {
        let backlog = Backlog::new(2);
        let first = backlog.enter().expect("there is room");
        let second = backlog.enter().expect("there is room");
        assert!(backlog.enter().is_none());
        assert_eq!(backlog.wait_until_empty(Instant::now()), 2);
        drop(first);
        assert!(backlog.enter().is_some(), "one place is free again");
        let waiting = std::thread::spawn({
            let backlog = Arc::clone(&backlog);
            move || backlog.wait_until_empty(Instant::now() + Duration::from_secs(60))
        });
        drop(second);
        assert_eq!(waiting.join().expect("it returns"), 0);
    }
}
