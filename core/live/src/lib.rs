//! State that changes while calls run and that all shards share: channels, call rates, purses,
//! figures of vendor trunks, used nonces, resting addresses. Each noun is a trait; its
//! implementation here keeps the state in this process. A replicated store can implement the same
//! traits with leases.
//!
//! Nothing here is configuration: limits come with each request, from the snapshot of the caller.
//! State is keyed by the ids of objects, which never change, so that it outlives every snapshot.
#![forbid(unsafe_code)]

mod channels;
mod health;
mod nonces;
mod purses;
mod quality;
mod rates;
mod table;

pub use channels::{Channels, Holder};
pub use health::Health;
pub use nonces::Nonces;
pub use purses::{Purses, Standing};
pub use quality::{Figures, Outcome, Quality, Refusals};
pub use rates::{Rate, Rates};

use std::sync::Arc;

/// All live state. Clones share it.
#[derive(Clone, Debug)]
pub struct Live {
    /// Channels taken by calls.
    pub channels: Arc<dyn Channels>,
    /// Recent call starts.
    pub rates: Arc<dyn Rates>,
    /// The money of accounts.
    pub purses: Arc<dyn Purses>,
    /// The quality of vendor trunks.
    pub quality: Arc<dyn Quality>,
    /// Used nonces of digest authentication.
    pub nonces: Arc<dyn Nonces>,
    /// Vendor addresses that rest.
    pub health: Arc<dyn Health>,
}

impl Live {
    /// State in this process, for at most `nonces` nonces; those made up to `since_ms` (UTC) are
    /// refused, because their earlier use is unknown.
    #[must_use]
    pub fn in_process(nonces: usize, since_ms: u64) -> Live {
        Live {
            channels: Arc::new(channels::InProcess::default()),
            rates: Arc::new(rates::InProcess::default()),
            purses: Arc::new(purses::InProcess::default()),
            quality: Arc::new(quality::InProcess::default()),
            nonces: Arc::new(nonces::InProcess::new(nonces, since_ms)),
            health: Arc::new(health::InProcess::default()),
        }
    }
}

impl Default for Live {
    /// A small state for tests.
    fn default() -> Live {
        Live::in_process(64, 0)
    }
}
