//! Places that calls hold behind `host-counters.hold` (NUM-21): released when the call ends, even
//! if the plugin that took them failed or was swapped.

use policy::CallNotes;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const STRIPES: usize = 64;

/// Places that one call may hold at a time, over all plugins.
const PLACES_OF_A_CALL: usize = 256;

/// Places held now, by plugin number and key.
#[derive(Debug)]
pub(crate) struct Holds {
    stripes: Box<[Mutex<HashMap<Key, u32>>]>,
    hasher: RandomState,
}

type Key = (u32, Box<str>);

/// The places of one call.
#[derive(Debug)]
struct OfCall {
    holds: Arc<Holds>,
    places: Mutex<Vec<Key>>,
}

impl Holds {
    pub(crate) fn new() -> Holds {
        Holds {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Takes one of `limit` places for the call.
    pub(crate) fn take(
        self: &Arc<Self>,
        call: &CallNotes,
        plugin: u32,
        key: &str,
        limit: u32,
    ) -> bool {
        let Some(own) = self.of(call) else { return false };
        let mut places = lock(&own.places);
        if places.len() >= PLACES_OF_A_CALL || !self.occupy((plugin, key.into()), limit) {
            return false;
        }
        places.push((plugin, key.into()));
        true
    }

    /// Releases one place of the call; false if it holds none.
    pub(crate) fn release(self: &Arc<Self>, call: &CallNotes, plugin: u32, key: &str) -> bool {
        let Some(own) = self.of(call) else { return false };
        let mut places = lock(&own.places);
        match places.iter().position(|(owner, held)| *owner == plugin && **held == *key) {
            Some(at) => {
                self.vacate(places.swap_remove(at));
                true
            }
            None => false,
        }
    }

    /// Places of the key that are held now.
    pub(crate) fn held(&self, plugin: u32, key: &str) -> u32 {
        let key = (plugin, key.into());
        lock(self.stripe(&key)).get(&key).copied().unwrap_or(0)
    }

    fn of<'a>(self: &Arc<Self>, call: &'a CallNotes) -> Option<&'a OfCall> {
        let make = || OfCall { holds: Arc::clone(self), places: Mutex::default() };
        call.held(|| Box::new(make())).downcast_ref()
    }

    fn occupy(&self, key: Key, limit: u32) -> bool {
        let mut stripe = lock(self.stripe(&key));
        let taken = stripe.get(&key).copied().unwrap_or(0);
        let room = taken < limit;
        if room {
            stripe.insert(key, taken + 1);
        }
        room
    }

    fn vacate(&self, key: Key) {
        let mut stripe = lock(self.stripe(&key));
        match stripe.get_mut(&key) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => drop(stripe.remove(&key)),
        }
    }

    fn stripe(&self, key: &Key) -> &Mutex<HashMap<Key, u32>> {
        &self.stripes[self.hasher.hash_one(key) as usize % STRIPES]
    }
}

impl Drop for OfCall {
    fn drop(&mut self) {
        for key in lock(&self.places).drain(..) {
            self.holds.vacate(key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NUM-21: a limit of N is never exceeded, and a call that ends releases all its places.
    #[test]
    fn a_call_gives_back_what_it_holds() {
        let holds = Arc::new(Holds::new());
        let (one, two) = (CallNotes::default(), CallNotes::default());
        assert!(holds.take(&one, 1, "4930", 2) && holds.take(&one, 1, "4930", 2));
        assert!(!holds.take(&two, 1, "4930", 2), "both places are taken");
        assert!(!holds.release(&two, 1, "4930"), "it holds none");
        assert!(holds.release(&one, 1, "4930") && holds.take(&two, 1, "4930", 2));
        assert!(holds.take(&two, 2, "4930", 1), "another plugin's key is another key");
        assert_eq!(holds.held(1, "4930"), 2);
        drop(one);
        assert_eq!(holds.held(1, "4930"), 1);
        drop(two);
        assert_eq!((holds.held(1, "4930"), holds.held(2, "4930")), (0, 0));
    }

    #[test]
    fn a_limit_holds_between_threads() {
        let holds = Arc::new(Holds::new());
        let calls: Vec<CallNotes> = (0..8).map(|_| CallNotes::default()).collect();
        let taken: usize = std::thread::scope(|scope| {
            let take = |call| {
                let holds = &holds;
                scope.spawn(move || (0..100).filter(|_| holds.take(call, 1, "k", 50)).count())
            };
            let threads: Vec<_> = calls.iter().map(take).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!((taken, holds.held(1, "k")), (50, 50));
    }
}
