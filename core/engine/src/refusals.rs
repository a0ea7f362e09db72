//! What the admin interface refused: it counts, and the node's metrics show it.

use std::sync::atomic::AtomicU64;

/// Why requests were refused, since start.
#[derive(Debug, Default)]
pub struct Refusals {
    /// A `Host` that is not a name of this interface.
    pub host: AtomicU64,
    /// From a web page of another origin.
    pub origin: AtomicU64,
    /// No token, or a wrong one.
    pub token: AtomicU64,
    /// A change that is neither JSON nor WebAssembly.
    pub content_type: AtomicU64,
    /// All places were taken.
    pub busy: AtomicU64,
}
