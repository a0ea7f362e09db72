//! What a call keeps for its plugins, from its first question to its last.

use crate::Text;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Most values that plugins may keep for one call; a key that is set again counts again.
pub const KEPT_VALUES: usize = 64;
/// Most bytes of keys and values that plugins may keep for one call.
pub const KEPT_BYTES: usize = 8_192;
/// Most explanations that wait for their answers to be noted.
const REASONS: usize = 64;

/// A value that a plugin kept for the later questions of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptValue {
    /// Name of the plugin.
    pub plugin: Arc<str>,
    /// Its key, unique within the plugin.
    pub key: Text,
    /// The value.
    pub value: Text,
}

/// A moment in the notes of a call: what a question that is asked now may see. A replay of the
/// question starts from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotesMark {
    /// Random draws so far.
    pub draws: u32,
    /// Number of values kept so far.
    pub kept: u32,
}

/// The host's notes for one call; they are dropped with the call's pin, which frees everything the
/// call held.
#[derive(Default)]
pub struct CallNotes {
    draws: AtomicU32,
    number: AtomicU32,
    asked: AtomicU64,
    held: OnceLock<Box<dyn Any + Send + Sync>>,
    words: OnceLock<Mutex<Words>>,
    /// The notes of the call, if these are a copy.
    call: Option<Weak<CallNotes>>,
}

/// What plugins said beside their answers. Values are only ever added, so that their number
/// identifies a moment.
#[derive(Default)]
struct Words {
    kept: Vec<KeptValue>,
    kept_bytes: usize,
    reasons: Vec<(Arc<str>, Text)>,
}

impl CallNotes {
    /// Notes of a call that has already drawn `draws` times, with these values.
    #[must_use]
    pub fn starting_at(draws: u32, kept: Vec<KeptValue>) -> CallNotes {
        let notes = CallNotes { draws: AtomicU32::new(draws), ..CallNotes::default() };
        notes.keep(kept);
        notes
    }

    /// A copy for a question that is asked later, perhaps after the end of the call: with the draws
    /// and values of now, and without keeping alive what the call holds.
    #[must_use]
    pub fn copy(self: &Arc<CallNotes>) -> CallNotes {
        let mut copy = CallNotes::starting_at(self.draws(), self.kept_at_last());
        copy.number = AtomicU32::new(self.number_hash());
        copy.asked = AtomicU64::new(self.asked.load(Relaxed));
        copy.call = Some(self.call.clone().unwrap_or_else(|| Arc::downgrade(self)));
        copy
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

    /// This moment.
    #[must_use]
    pub fn mark(&self) -> NotesMark {
        let kept = self.words().map_or(0, |words| words.kept.len());
        NotesMark { draws: self.draws(), kept: u32::try_from(kept).unwrap_or(u32::MAX) }
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

    /// Notes that the call has asked a plugin, by its number below 64; whether it is the first time.
    pub fn first_asks(&self, plugin: u32) -> bool {
        let Some(bit) = 1_u64.checked_shl(plugin) else { return false };
        // Most questions are not the first: a load costs less than a write.
        self.asked.load(Relaxed) & bit == 0 && self.asked.fetch_or(bit, Relaxed) & bit == 0
    }

    /// Whether the call has asked the plugin with this number; false from 64 on.
    #[must_use]
    pub fn has_asked(&self, plugin: u32) -> bool {
        1_u64.checked_shl(plugin).is_some_and(|bit| self.asked.load(Relaxed) & bit != 0)
    }

    /// The host's own object, created on first use.
    pub fn held(
        &self,
        make: impl FnOnce() -> Box<dyn Any + Send + Sync>,
    ) -> &(dyn Any + Send + Sync) {
        &**self.held.get_or_init(make)
    }

    /// Whether `values` more values of `bytes` bytes fit.
    #[must_use]
    pub fn has_room(&self, values: usize, bytes: usize) -> bool {
        let (kept, kept_bytes) =
            self.words().map_or((0, 0), |words| (words.kept.len(), words.kept_bytes));
        kept + values <= KEPT_VALUES && kept_bytes + bytes <= KEPT_BYTES
    }

    /// Keeps values, in order, as long as there is room.
    pub fn keep(&self, values: impl IntoIterator<Item = KeptValue>) {
        let mut words = None;
        for value in values {
            let words = words.get_or_insert_with(|| self.words_to_add());
            let bytes = value.key.len() + value.value.len();
            if words.kept.len() < KEPT_VALUES && words.kept_bytes + bytes <= KEPT_BYTES {
                words.kept_bytes += bytes;
                words.kept.push(value);
            }
        }
    }

    /// The latest value of a plugin's key.
    #[must_use]
    pub fn kept(&self, plugin: &str, key: &str) -> Option<Text> {
        let words = self.words()?;
        let of_key = |value: &&KeptValue| *value.plugin == *plugin && value.key == key;
        words.kept.iter().rev().find(of_key).map(|value| value.value.clone())
    }

    /// The values kept before a moment, oldest first.
    #[must_use]
    pub fn kept_before(&self, mark: NotesMark) -> Vec<KeptValue> {
        let most = usize::try_from(mark.kept).unwrap_or(usize::MAX);
        if most == 0 {
            return Vec::new();
        }
        self.words().map_or_else(Vec::new, |words| words.kept.iter().take(most).cloned().collect())
    }

    /// The latest value of each key, in the order of their keeping.
    #[must_use]
    pub fn kept_at_last(&self) -> Vec<KeptValue> {
        let Some(words) = self.words() else { return Vec::new() };
        let later = |at: usize, value: &KeptValue| {
            let same = |other: &KeptValue| other.plugin == value.plugin && other.key == value.key;
            words.kept[at + 1..].iter().any(same)
        };
        let values = words.kept.iter().enumerate();
        values.filter(|(at, value)| !later(*at, value)).map(|(_, value)| value.clone()).collect()
    }

    /// A plugin explained its answer.
    pub fn explain(&self, plugin: Arc<str>, reason: Text) {
        let mut words = self.words_to_add();
        if words.reasons.len() < REASONS {
            words.reasons.push((plugin, reason));
        }
    }

    /// Takes the explanations of a plugin that are not yet taken.
    #[must_use]
    pub fn take_reason(&self, plugin: &str) -> Option<Text> {
        let mut words = self.words()?;
        let at = words.reasons.iter().position(|(name, _)| **name == *plugin)?;
        Some(words.reasons.remove(at).1)
    }

    fn words(&self) -> Option<MutexGuard<'_, Words>> {
        Some(self.words.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn words_to_add(&self) -> MutexGuard<'_, Words> {
        self.words.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CallNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallNotes").field("mark", &self.mark()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(plugin: &str, key: &str, value: &str) -> KeptValue {
        KeptValue { plugin: plugin.into(), key: key.into(), value: value.into() }
    }

    #[test]
    fn the_latest_value_of_a_key_counts_and_a_moment_sees_what_was_kept_before() {
        let notes = CallNotes::default();
        assert_eq!(notes.mark(), NotesMark::default());
        notes.keep([value("screening", "score", "3"), value("routing", "score", "9")]);
        let moment = notes.mark();
        notes.keep([value("screening", "score", "4")]);
        assert_eq!(notes.kept("screening", "score").as_deref(), Some("4"));
        assert_eq!(notes.kept("routing", "score").as_deref(), Some("9"));
        assert_eq!(notes.kept("routing", "other"), None);
        let before = CallNotes::starting_at(moment.draws, notes.kept_before(moment));
        assert_eq!(before.kept("screening", "score").as_deref(), Some("3"));
        let last = notes.kept_at_last();
        assert_eq!(last, [value("routing", "score", "9"), value("screening", "score", "4")]);
    }

    #[test]
    fn values_have_bounds() {
        let notes = CallNotes::default();
        notes.keep((0..100).map(|n| value("p", &n.to_string(), "")));
        assert_eq!(notes.mark().kept as usize, KEPT_VALUES);
        assert!(!notes.has_room(1, 1));
        let notes = CallNotes::default();
        assert!(notes.has_room(1, KEPT_BYTES) && !notes.has_room(1, KEPT_BYTES + 1));
        notes.keep((0..100).map(|_| value("p", "k", &"x".repeat(1_000))));
        assert_eq!(notes.mark().kept, 8);
        for _ in 0..100 {
            notes.explain("p".into(), "because".into());
        }
        assert_eq!((0..100).filter_map(|_| notes.take_reason("p")).count(), REASONS);
    }

    #[test]
    fn each_answer_has_its_own_explanation() {
        let notes = CallNotes::default();
        notes.explain("routing".into(), "cheapest".into());
        notes.explain("screening".into(), "known".into());
        notes.explain("routing".into(), "next".into());
        assert_eq!(notes.take_reason("routing").as_deref(), Some("cheapest"));
        assert_eq!(notes.take_reason("routing").as_deref(), Some("next"));
        assert_eq!(notes.take_reason("routing"), None);
        assert_eq!(notes.take_reason("screening").as_deref(), Some("known"));
    }

    #[test]
    fn a_copy_draws_alike_and_keeps_nothing_of_the_call() {
        let call = Arc::new(CallNotes::starting_at(3, Vec::new()));
        call.set_number("442071230001");
        call.keep([value("screening", "score", "3"), value("screening", "score", "4")]);
        let moment = call.mark();
        let copy = Arc::new(call.copy());
        assert_eq!(copy.kept_before(moment), [value("screening", "score", "4")]);
        assert_eq!((copy.next_draw(), call.draws()), (3, 3));
        assert_eq!(copy.number_hash(), call.number_hash());
        let second = Arc::new(copy.copy());
        assert!(second.of_call().is_some_and(|notes| Arc::ptr_eq(&notes, &call)));
        assert!(call.of_call().is_some_and(|notes| Arc::ptr_eq(&notes, &call)));
        drop(call);
        assert!(copy.of_call().is_none() && second.of_call().is_none());
    }
}
