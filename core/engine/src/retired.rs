//! Parts of replaced snapshots, kept until no call needs them. A call keeps the snapshot that it
//! started with, but must not be the one to free tens of megabytes: freeing a million prices blocks
//! a thread for many milliseconds.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Replaced parts that calls may still share.
#[derive(Default)]
pub(crate) struct Retired(Mutex<Vec<Arc<dyn Any + Send + Sync>>>);

impl Retired {
    /// Keeps a part of which a call may be the last user.
    pub(crate) fn keep<T: Any + Send + Sync>(&self, replaced: Arc<T>) {
        self.lock().push(replaced);
    }

    /// Frees what no call needs any more, on the calling thread.
    pub(crate) fn sweep(&self) {
        let (unused, used) = std::mem::take(&mut *self.lock())
            .into_iter()
            // Nobody can clone what only this list holds.
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

    /// Promise 4: a call keeps its snapshot, and the last call does not free it.
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
