//! Addresses that took no connection for a large request (RFC 3261 section 18.1.1).

use foldhash::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing large is offered to an address over TCP after it took no connection: each try
/// costs its call up to three seconds.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The addresses, the same for all shards: only vendors' addresses get in. Where there is none,
/// asking takes no lock.
#[derive(Debug, Default)]
pub(super) struct Unconnected {
    count: AtomicUsize,
    until: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Unconnected {
    /// `address` took no connection.
    pub(super) fn note(&self, now: Instant, address: SocketAddr) {
        let mut until = self.lock();
        until.retain(|_, until| now < *until);
        until.insert(address, now + REMEMBERED);
        self.count.store(until.len(), Ordering::Release);
    }

    /// Whether `address` took no connection a short while ago.
    pub(super) fn has(&self, now: Instant, address: SocketAddr) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.lock().get(&address).is_some_and(|until| now < *until)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        // What a panic left is a map of moments, each good in itself.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
