//! Addresses that refused a connection for a large request (RFC 3261 section 18.1.1).

use foldhash::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing large is sent over TCP to an address after it refused a connection: each try
/// costs its call up to three seconds.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The addresses, shared by all shards; only vendors' addresses are entered. While it is empty, a
/// query takes no lock.
#[derive(Debug, Default)]
pub(super) struct Unconnected {
    count: AtomicUsize,
    until: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Unconnected {
    /// Notes that `address` refused a connection.
    pub(super) fn note(&self, now: Instant, address: SocketAddr) {
        let mut until = self.lock();
        until.retain(|_, until| now < *until);
        until.insert(address, now + REMEMBERED);
        self.count.store(until.len(), Ordering::Release);
    }

    /// Whether `address` refused a connection recently.
    pub(super) fn has(&self, now: Instant, address: SocketAddr) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.lock().get(&address).is_some_and(|until| now < *until)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        // A panic leaves a map of valid times.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
