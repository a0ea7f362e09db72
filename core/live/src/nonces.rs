//! Used nonces of digest authentication (SIG-54): the sender determines the shard, so all share
//! them.

use sip::digest::{Denial, NonceUse, ReplayGuard};
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

/// The used nonce counts.
pub trait Nonces: Debug + Send + Sync {
    /// Uses up one count of a nonce.
    ///
    /// # Errors
    /// [`Denial::Replayed`] for a count already used, [`Denial::Stale`] for a nonce that had to be
    /// forgotten.
    fn admit(&self, used: &NonceUse<'_>, utc_ms: u64) -> Result<(), Denial>;
}

/// Nonces of one process.
#[derive(Debug)]
pub(crate) struct InProcess {
    used: Mutex<ReplayGuard>,
}

impl InProcess {
    pub(crate) fn new(capacity: usize, since_ms: u64) -> InProcess {
        InProcess { used: Mutex::new(ReplayGuard::new(capacity, since_ms)) }
    }
}

impl Nonces for InProcess {
    fn admit(&self, used: &NonceUse<'_>, utc_ms: u64) -> Result<(), Denial> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).admit(used, utc_ms)
    }
}
