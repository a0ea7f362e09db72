//! A map that is cheap to copy, and cheap to change while readers keep the old state.
//!
//! A tree whose branches have up to 64 places, chosen by six bits of a key's hash at a time. A copy
//! shares the whole tree. A change copies the branches on the path to one key (three of them with a
//! hundred thousand keys) and shares the rest. A look-up takes one step per branch. The same
//! entries always make the same tree, in any order of insertion.

use foldhash::fast::FixedState;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::ops::Index;
use std::sync::Arc;

/// Bits of the hash that choose a place in one branch.
const BITS: u32 = 6;
/// Number of branches on a path after which the hash is used up and is computed with another seed.
const LEVELS: u32 = u64::BITS / BITS;

/// A map whose clone shares all of its entries. Keys that differ must have different hashes for
/// some seed, as numbers, texts and addresses do.
pub struct SharedMap<K, V> {
    root: Branch<K, V>,
    len: usize,
}

struct Branch<K, V> {
    /// One bit for each occupied place.
    present: u64,
    /// The occupied places, in the order of the bits.
    slots: Arc<[Slot<K, V>]>,
}

#[derive(Clone)]
enum Slot<K, V> {
    Branch(Branch<K, V>),
    Entry(K, V),
}

/// The path to a key: a place in each branch.
struct Way {
    hash: u64,
    level: u32,
}

impl Way {
    /// The path from this level on; the root is level 0.
    fn of<Q: Hash + ?Sized>(key: &Q, level: u32) -> Way {
        let hash = FixedState::with_seed(u64::from(level / LEVELS)).hash_one(key);
        Way { hash: hash >> (level % LEVELS * BITS), level }
    }

    /// The bit of the place at this level.
    fn bit(&self) -> u64 {
        1 << (self.hash & (u64::BITS as u64 - 1))
    }

    /// Moves one level down.
    fn next<Q: Hash + ?Sized>(&mut self, key: &Q) {
        self.level += 1;
        if self.level.is_multiple_of(LEVELS) {
            *self = Way::of(key, self.level);
        } else {
            self.hash >>= BITS;
        }
    }
}

impl<K, V> Branch<K, V> {
    /// Number of occupied places before that of `bit`.
    fn rank(&self, bit: u64) -> usize {
        (self.present & (bit - 1)).count_ones() as usize
    }

    fn slot(&self, bit: u64) -> Option<&Slot<K, V>> {
        if self.present & bit == 0 { None } else { self.slots.get(self.rank(bit)) }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Branch<K, V> {
    fn insert(&mut self, mut way: Way, key: K, value: V) -> Option<V> {
        let bit = way.bit();
        let at = self.rank(bit);
        if self.present & bit == 0 {
            let (before, after) = self.slots.split_at(at);
            let new = std::iter::once(Slot::Entry(key, value));
            self.slots = before.iter().cloned().chain(new).chain(after.iter().cloned()).collect();
            self.present |= bit;
            return None;
        }
        let slot = &mut Arc::make_mut(&mut self.slots)[at];
        way.next(&key);
        match slot {
            Slot::Branch(branch) => branch.insert(way, key, value),
            Slot::Entry(known, old) if *known == key => Some(std::mem::replace(old, value)),
            Slot::Entry(known, old) => {
                let mut branch = Branch::default();
                branch.insert(Way::of(known, way.level), known.clone(), old.clone());
                branch.insert(way, key, value);
                *slot = Slot::Branch(branch);
                None
            }
        }
    }

    /// Removes an entry that is present.
    fn remove<Q>(&mut self, mut way: Way, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let bit = way.bit();
        let at = self.rank(bit);
        let slot = &mut Arc::make_mut(&mut self.slots)[at];
        let taken = match slot {
            Slot::Branch(branch) => {
                way.next(key);
                let taken = branch.remove(way, key);
                // A single entry needs no branch.
                if let [Slot::Entry(key, value)] = &*branch.slots {
                    *slot = Slot::Entry(key.clone(), value.clone());
                }
                return taken;
            }
            Slot::Entry(_, value) => value.clone(),
        };
        let (before, after) = (&self.slots[..at], &self.slots[at + 1..]);
        self.slots = before.iter().chain(after).cloned().collect();
        self.present &= !bit;
        Some(taken)
    }
}

impl<K: Hash + Eq, V> SharedMap<K, V> {
    /// The value of a key.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut way = Way::of(key, 0);
        let mut branch = &self.root;
        loop {
            match branch.slot(way.bit())? {
                Slot::Branch(next) => branch = next,
                Slot::Entry(known, value) => return (known.borrow() == key).then_some(value),
            }
            way.next(key);
        }
    }

    /// Whether it has the key.
    #[must_use]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).is_some()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> SharedMap<K, V> {
    /// Sets the value of a key and returns the one it replaces. Copies of this map do not change.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.root.insert(Way::of(&key, 0), key, value);
        self.len += usize::from(before.is_none());
        before
    }

    /// Removes a key and returns its value. Copies of this map do not change.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key)?;
        self.len -= 1;
        self.root.remove(Way::of(key, 0), key)
    }
}

impl<K, V> SharedMap<K, V> {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every entry, in an arbitrary order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        entries(&self.root.slots)
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// Every value.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Entries that this map does not share with the map it was made from: all new or changed ones,
    /// and some of their neighbours. Shared parts are not visited.
    #[must_use]
    pub fn unshared(&self, before: &SharedMap<K, V>) -> Vec<(&K, &V)> {
        let mut found = Vec::new();
        unshared(&self.root, &before.root, &mut found);
        found
    }
}

fn entries<K, V>(slots: &[Slot<K, V>]) -> impl Iterator<Item = (&K, &V)> {
    let mut open = vec![slots.iter()];
    std::iter::from_fn(move || {
        loop {
            match open.last_mut()?.next() {
                Some(Slot::Entry(key, value)) => return Some((key, value)),
                Some(Slot::Branch(branch)) => open.push(branch.slots.iter()),
                None => drop(open.pop()),
            }
        }
    })
}

fn unshared<'a, K, V>(
    now: &'a Branch<K, V>,
    before: &Branch<K, V>,
    found: &mut Vec<(&'a K, &'a V)>,
) {
    if Arc::ptr_eq(&now.slots, &before.slots) {
        return;
    }
    let mut left = now.present;
    for slot in now.slots.iter() {
        let bit = left & left.wrapping_neg();
        left ^= bit;
        match (slot, before.slot(bit)) {
            (Slot::Branch(now), Some(Slot::Branch(before))) => unshared(now, before, found),
            _ => found.extend(entries(std::slice::from_ref(slot))),
        }
    }
}

impl<K, V> Clone for Branch<K, V> {
    fn clone(&self) -> Self {
        Branch { present: self.present, slots: Arc::clone(&self.slots) }
    }
}

impl<K, V> Default for Branch<K, V> {
    fn default() -> Self {
        Branch { present: 0, slots: Arc::new([]) }
    }
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        SharedMap { root: self.root.clone(), len: self.len }
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap { root: Branch::default(), len: 0 }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Hash + Eq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Extend<(K, V)> for SharedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = SharedMap::default();
        map.extend(entries);
        map
    }
}

/// For keys that must be present, as in tests; panics like other maps.
impl<K: Hash + Eq, V> Index<&K> for SharedMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("no such key")
    }
}

#[cfg(test)]
mod tests;
