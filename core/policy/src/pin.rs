use crate::{CallDetails, Hook, Owner, Supervised, TrunkStatistics};
use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

/// The versions that a call pins when it begins and keeps until it ends: one generation of plugins
/// and the lookups of one configuration snapshot.
#[derive(Clone)]
pub struct Pin {
    /// Generation number, written to the record. Increases by one with each swap.
    pub generation: u64,
    /// The host's own handle to that generation; opaque here.
    pub policy: Arc<dyn Any + Send + Sync>,
    /// Texts and tables of the snapshot.
    pub lookup: Arc<dyn Lookup>,
    /// A plugin answers the `events` hook; otherwise events need not be sent.
    pub hears_events: bool,
    /// The calls that have a plugin for the `supervision` hook; no other call asks it.
    pub supervised: Supervised,
    /// Hooks whose plugins may ask for details about the call beyond the question.
    pub wants_details: HookSet,
    /// The host's notes for this call alone.
    pub notes: Arc<CallNotes>,
}

impl Pin {
    /// The pin of one call: the same generation and lookups, with its own notes.
    #[must_use]
    pub fn for_call(&self) -> Pin {
        Pin { notes: Arc::default(), ..self.clone() }
    }
}

/// The host's notes for one call; they are dropped with the call's pin, which frees everything the
/// call held.
#[derive(Default)]
pub struct CallNotes {
    draws: AtomicU32,
    number: AtomicU32,
    held: OnceLock<Box<dyn Any + Send + Sync>>,
    /// The notes of the call, if these are a copy.
    call: Option<Weak<CallNotes>>,
}

impl CallNotes {
    /// Notes of a call that has already drawn `draws` times.
    #[must_use]
    pub fn starting_at(draws: u32) -> CallNotes {
        CallNotes { draws: AtomicU32::new(draws), ..CallNotes::default() }
    }

    /// A copy for a question that is asked later, perhaps after the end of the call: with the draws
    /// of now, and without keeping alive what the call holds.
    #[must_use]
    pub fn copy(self: &Arc<CallNotes>) -> CallNotes {
        CallNotes {
            draws: AtomicU32::new(self.draws()),
            number: AtomicU32::new(self.number_hash()),
            held: OnceLock::new(),
            call: Some(self.call.clone().unwrap_or_else(|| Arc::downgrade(self))),
        }
    }

    /// The notes of the call itself: these, or those that they were copied from; `None` after its
    /// end.
    #[must_use]
    pub fn of_call(self: &Arc<CallNotes>) -> Option<Arc<CallNotes>> {
        match &self.call {
            None => Some(Arc::clone(self)),
            Some(call) => call.upgrade(),
        }
    }

    /// Random draws so far.
    #[must_use]
    pub fn draws(&self) -> u32 {
        self.draws.load(Relaxed)
    }

    /// Stores a hash of the called number as received, by which trials may select calls.
    pub fn set_number(&self, callee: &str) {
        let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let hash = callee.bytes().fold(0x811c_9dc5, mix);
        // FNV-1a alone leaves the upper bits of short numbers equal.
        self.number.store(hash.wrapping_mul(0x9e37_79b9) ^ hash.rotate_left(16), Relaxed);
    }

    /// The hash of that number.
    #[must_use]
    pub fn number_hash(&self) -> u32 {
        self.number.load(Relaxed)
    }

    /// Index of the next random draw of this call, from 0.
    pub fn next_draw(&self) -> u32 {
        self.draws.fetch_add(1, Relaxed)
    }

    /// The host's own object, created on first use.
    pub fn held(
        &self,
        make: impl FnOnce() -> Box<dyn Any + Send + Sync>,
    ) -> &(dyn Any + Send + Sync) {
        &**self.held.get_or_init(make)
    }
}

impl fmt::Debug for CallNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallNotes").field("draws", &self.draws).finish_non_exhaustive()
    }
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookSet(u8);

impl HookSet {
    /// Whether the set contains the hook.
    #[must_use]
    pub fn contains(self, hook: Hook) -> bool {
        self.0 >> hook as u8 & 1 == 1
    }

    /// Adds a hook.
    pub fn insert(&mut self, hook: Hook) {
        self.0 |= 1 << hook as u8;
    }
}

impl FromIterator<Hook> for HookSet {
    fn from_iter<I: IntoIterator<Item = Hook>>(hooks: I) -> HookSet {
        let mut set = HookSet::default();
        hooks.into_iter().for_each(|hook| set.insert(hook));
        set
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Lookups in a configuration snapshot that are too large for a question.
pub trait Lookup: Send + Sync {
    /// The text behind a content handle (see [`text_handle`]); 0 is never a handle.
    fn text(&self, handle: u64) -> Option<Arc<str>>;
    /// Longest entry of `table` that is a prefix of `number`.
    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit>;
    /// The entry of `table` equal to `number`.
    fn exact(&self, table: &str, number: &str) -> Option<Arc<str>>;
    /// An attribute that the operator gave to an account or trunk.
    fn attribute(&self, owner: Owner, name: &str) -> Option<Arc<str>> {
        let _ = (owner, name);
        None
    }
    /// Live figures of a vendor trunk; `None` if there is no such trunk.
    fn trunk_statistics(&self, trunk: u32) -> Option<TrunkStatistics> {
        let _ = trunk;
        None
    }
}

impl<'a> From<&'a Pin> for Context<'a> {
    fn from(pin: &'a Pin) -> Context<'a> {
        Context { pin, details: None }
    }
}

/// A question's context: facts that the call knows beyond the question.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Generation, lookups and notes of the call.
    pub pin: &'a Pin,
    /// Present if [`Pin::wants_details`] contains the question's hook.
    pub details: Option<&'a Arc<CallDetails>>,
}

/// An entry found in a prefix table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixHit {
    /// Characters of the entry.
    pub length: u32,
    /// Its value.
    pub value: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_draws_alike_and_keeps_nothing_of_the_call() {
        let call = Arc::new(CallNotes::starting_at(3));
        call.set_number("442071230001");
        let copy = Arc::new(call.copy());
        assert_eq!((copy.next_draw(), call.draws()), (3, 3));
        assert_eq!(copy.number_hash(), call.number_hash());
        let second = Arc::new(copy.copy());
        assert!(second.of_call().is_some_and(|notes| Arc::ptr_eq(&notes, &call)));
        assert!(call.of_call().is_some_and(|notes| Arc::ptr_eq(&notes, &call)));
        drop(call);
        assert!(copy.of_call().is_none() && second.of_call().is_none());
    }
}
