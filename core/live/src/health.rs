//! Vendor addresses that requested a pause (SIG-91).

use foldhash::HashMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The vendor addresses that must not be used now.
pub trait Health: Debug + Send + Sync {
    /// Nothing is sent to `address` before `until`.
    fn rest(&self, address: SocketAddr, now: Instant, until: Instant);

    /// Whether `address` rests at `now`.
    fn rests(&self, address: SocketAddr, now: Instant) -> bool;

    /// Addresses that may rest now.
    fn resting(&self) -> usize;
}

/// Health as one process sees it. Only vendors' addresses are stored. If none rests, a check takes
/// no lock.
#[derive(Debug, Default)]
pub(crate) struct InProcess {
    resting: AtomicUsize,
    until: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Health for InProcess {
    fn rest(&self, address: SocketAddr, now: Instant, until: Instant) {
        let mut table = self.lock();
        table.retain(|_, until| now < *until);
        if now < until {
            table.insert(address, until);
        }
        self.resting.store(table.len(), Ordering::Release);
    }

    fn rests(&self, address: SocketAddr, now: Instant) -> bool {
        if self.resting() == 0 {
            return false;
        }
        let mut table = self.lock();
        let rests = table.get(&address).map(|until| now < *until);
        if rests == Some(false) {
            table.remove(&address);
            self.resting.store(table.len(), Ordering::Release);
        }
        rests == Some(true)
    }

    fn resting(&self) -> usize {
        self.resting.load(Ordering::Acquire)
    }
}

impl InProcess {
    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        // After a panic the map is still valid: each entry is complete by itself.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
