//! A table whose entries are created on first use and found by many threads at once.

use foldhash::fast::FixedState;
use foldhash::{HashMap, HashMapExt};
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Stripes, so that threads that access different entries rarely contend for one lock.
const STRIPES: usize = 64;

/// The entries of a stripe.
type Stripe<K, V> = RwLock<HashMap<K, Arc<V>>>;

/// Entries by key. Keys are ids of configured objects, so that outsiders cannot make it grow.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    stripes: Box<[Stripe<K, V>]>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table { stripes: (0..STRIPES).map(|_| RwLock::new(HashMap::new())).collect() }
    }
}

impl<K: Copy + Eq + Hash, V: Default> Table<K, V> {
    /// Runs `act` on an entry, which is created if it does not exist.
    pub(crate) fn with<R>(&self, key: K, act: impl FnOnce(&V) -> R) -> R {
        if let Some(entry) = self.read(key).get(&key) {
            return act(entry);
        }
        act(&self.get(key))
    }

    /// Runs `act` on an entry if it exists.
    pub(crate) fn with_known<R>(&self, key: K, act: impl FnOnce(&V) -> R) -> Option<R> {
        self.read(key).get(&key).map(|entry| act(entry))
    }

    /// An entry, created if it does not exist.
    pub(crate) fn get(&self, key: K) -> Arc<V> {
        if let Some(entry) = self.read(key).get(&key) {
            return Arc::clone(entry);
        }
        let mut stripe = self.stripe(key).write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(stripe.entry(key).or_default())
    }

    fn read(&self, key: K) -> RwLockReadGuard<'_, HashMap<K, Arc<V>>> {
        // A panic elsewhere leaves the map intact: an entry exists or it does not.
        self.stripe(key).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn stripe(&self, key: K) -> &Stripe<K, V> {
        let hash = FixedState::default().hash_one(key);
        // The high bits: the map in the stripe uses the low ones.
        &self.stripes[(hash >> 57) as usize % STRIPES]
    }
}
