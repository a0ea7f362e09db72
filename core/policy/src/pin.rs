use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What a call pins when it begins and keeps until it ends: one generation of plugins
/// and the lookups of one configuration snapshot.
#[derive(Clone)]
pub struct Pin {
    /// Generation number, written to the record. Grows by one with each swap.
    pub generation: u64,
    /// The host's own handle to that generation; opaque here.
    pub policy: Arc<dyn Any + Send + Sync>,
    /// Texts and tables of the snapshot.
    pub lookup: Arc<dyn Lookup>,
    /// Somebody answers the `events` hook; if not, events need not be told.
    pub hears_events: bool,
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Lookups in a configuration snapshot that are too large to be put into a question.
pub trait Lookup: Send + Sync {
    /// The text behind a content handle (see [`text_handle`]); 0 is never a handle.
    fn text(&self, handle: u64) -> Option<Arc<str>>;
    /// Longest entry of `table` that is a prefix of `number`.
    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit>;
    /// The entry of `table` equal to `number`.
    fn exact(&self, table: &str, number: &str) -> Option<Arc<str>>;
}

/// An entry found in a prefix table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixHit {
    /// Characters of the entry.
    pub length: u32,
    /// Its value.
    pub value: Arc<str>,
}
