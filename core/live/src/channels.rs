//! Channels: how many calls are up or being set up (SEC-10, SEC-12).

use crate::table::Table;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};

/// The holder of channels or calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The node.
    Node,
    /// An account by its id, including everything below it.
    Account(u32),
    /// A customer trunk by its id.
    Customer(u32),
    /// A vendor trunk by its id.
    Vendor(u32),
}

/// Channels of every holder: a limit of N is never exceeded, however many threads ask at once.
pub trait Channels: Debug + Send + Sync {
    /// Takes a channel if fewer than `limit` are taken; 0 means no limit.
    fn take(&self, of: Holder, limit: u32) -> bool;

    /// Releases a channel.
    fn release(&self, of: Holder);

    /// Channels taken now.
    fn active(&self, of: Holder) -> u32;
}

/// Channels of one process.
#[derive(Debug, Default)]
pub(crate) struct InProcess {
    taken: Table<Holder, AtomicU32>,
}

impl Channels for InProcess {
    fn take(&self, of: Holder, limit: u32) -> bool {
        let limit = if limit == 0 { u32::MAX } else { limit };
        let more = |taken: u32| (taken < limit).then(|| taken + 1);
        self.taken
            .with(of, |taken| taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok())
    }

    fn release(&self, of: Holder) {
        let less = |taken: u32| taken.checked_sub(1);
        self.taken.with(of, |taken| {
            let released = taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
            debug_assert!(released.is_ok(), "a channel of {of:?} that nobody has taken");
        });
    }

    fn active(&self, of: Holder) -> u32 {
        self.taken.with_known(of, |taken| taken.load(Ordering::Acquire)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-12
    #[test]
    fn threads_together_never_exceed_a_limit() {
        const LIMIT: u32 = 7;
        let (channels, held) = (InProcess::default(), AtomicU32::new(0));
        let of = Holder::Customer(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if channels.take(of, LIMIT) {
                            assert!(held.fetch_add(1, Ordering::SeqCst) < LIMIT);
                            held.fetch_sub(1, Ordering::SeqCst);
                            channels.release(of);
                        }
                    }
                });
            }
        });
        assert_eq!(channels.active(of), 0);
        assert!((0..LIMIT).all(|_| channels.take(of, LIMIT)) && !channels.take(of, LIMIT));
        assert!(channels.take(of, 0), "no limit");
        assert!(channels.take(Holder::Vendor(3), 1), "another holder");
    }
}
