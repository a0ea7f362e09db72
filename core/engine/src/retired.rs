//! What replaced snapshots hold until no call needs it any more. A call keeps the snapshot that
//! it began with, but must not be the one that gives tens of megabytes back: freeing a million
//! prices holds a thread up for many milliseconds.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things that were replaced and that some call may still share.
#[derive(Default)]
pub(crate) struct Retired(Mutex<Vec<Arc<dyn Any + Send + Sync>>>);

impl Retired {
    /// Keeps what a call may be the last to need.
    pub(crate) fn keep<T: Any + Send + Sync>(&self, replaced: Arc<T>) {
        self.lock().push(replaced);
    }

    /// Gives back what no call needs any more, on the thread that calls this.
    pub(crate) fn sweep(&self) {
        let (unused, used) = std::mem::take(&mut *self.lock())
            .into_iter()
            // Nobody can take a new share of what only this list knows.
            .partition::<Vec<_>, _>(|kept| Arc::strong_count(kept) == 1);
        self.lock().extend(used);
        drop(unused);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<dyn Any + Send + Sync>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise 4: a call keeps its snapshot; the last call is not the one that frees it.
    #[test]
    fn what_was_replaced_stays_until_its_last_call_has_ended() {
        let retired = Retired::default();
        let call = Arc::new(vec![1, 2, 3]);
        let freed = Arc::downgrade(&call);
        retired.keep(Arc::clone(&call));
        retired.sweep();
        assert!(freed.upgrade().is_some(), "a call still needs it");
        drop(call);
        assert!(freed.upgrade().is_some(), "freed by the sweep only");
        retired.sweep();
        assert!(freed.upgrade().is_none());
    }
}
