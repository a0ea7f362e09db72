use crate::{CallDetails, CallNotes, Hook, Owner, Price, Standing, Supervised, TrunkStatistics};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

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
    /// The name of an account or trunk.
    fn name(&self, owner: Owner) -> Option<Arc<str>> {
        let _ = owner;
        None
    }
    /// The money of an account, or of the account of a trunk; `None` if there is no such account
    /// or an amount is out of range.
    fn standing(&self, owner: Owner) -> Option<Standing> {
        let _ = owner;
        None
    }
    /// The price of `number` at `at_ms` (UTC) in the deck of an account, or of the account of a
    /// trunk; `None` if the number is not priced there.
    fn price(&self, owner: Owner, number: &str, at_ms: u64) -> Option<Price> {
        let _ = (owner, number, at_ms);
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
