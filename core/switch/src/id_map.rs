//! Objects by id, in a map that is cheap to copy and to change while readers keep the old state.
//!
//! Calls look up accounts and trunks all the time, and a database assigns their ids in sequence. So
//! this is a table of tables: a look-up takes two steps, while a [`SharedMap`] hashes and takes
//! three or four. The few much larger ids that an operator chose are in such a map.

use crate::shared_map::SharedMap;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

/// Ids per chunk: for some ten thousand ids there are about as many chunks, so a change copies
/// little of either.
const CHUNK: usize = 256;
/// Maximum number of chunks; larger ids are rare.
const CHUNKS: usize = 4096;

type Chunk<V> = [Option<V>; CHUNK];

/// A map from ids whose clone shares all entries.
pub struct IdMap<V> {
    near: Arc<[Option<Arc<Chunk<V>>>]>,
    far: SharedMap<u32, V>,
    len: usize,
}

/// The chunk of an id and its place there; none if the id is too large.
fn place(id: u32) -> Option<(usize, usize)> {
    let id = usize::try_from(id).ok()?;
    (id < CHUNK * CHUNKS).then_some((id / CHUNK, id % CHUNK))
}

impl<V> IdMap<V> {
    /// The object with this id.
    #[must_use]
    pub fn get(&self, id: &u32) -> Option<&V> {
        match place(*id) {
            Some((chunk, at)) => self.near.get(chunk)?.as_ref()?[at].as_ref(),
            None => self.far.get(id),
        }
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every object with its id.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        let chunks = (0..).zip(self.near.iter());
        let near = chunks.flat_map(|(number, chunk)| of_chunk(number, chunk.as_deref()));
        near.chain(self.far.iter().map(|(id, object)| (*id, object)))
    }

    /// Every id.
    pub fn keys(&self) -> impl Iterator<Item = u32> {
        self.iter().map(|(id, _)| id)
    }

    /// Every object.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, object)| object)
    }

    /// Objects that this map does not share with the map it was made from: all new or changed ones,
    /// and some of their neighbours. Shared parts are not visited.
    #[must_use]
    pub fn unshared(&self, before: &IdMap<V>) -> Vec<(u32, &V)> {
        let mut found: Vec<(u32, &V)> = Vec::new();
        for (number, chunk) in (0..).zip(self.near.iter()) {
            let chunk = chunk.as_ref();
            let known = before.near.get(number as usize).and_then(Option::as_ref);
            if chunk.map(Arc::as_ptr) != known.map(Arc::as_ptr) {
                found.extend(of_chunk(number, chunk.map(|chunk| &**chunk)));
            }
        }
        let far = self.far.unshared(&before.far).into_iter();
        found.extend(far.map(|(id, object)| (*id, object)));
        found
    }
}

fn of_chunk<V>(number: u32, chunk: Option<&Chunk<V>>) -> impl Iterator<Item = (u32, &V)> {
    let first = number * CHUNK as u32;
    let places = chunk.map(|chunk| (first..).zip(chunk)).into_iter().flatten();
    places.filter_map(|(id, object)| Some((id, object.as_ref()?)))
}

impl<V: Clone> IdMap<V> {
    /// Adds an object and returns the one it replaces. Copies of this map do not change.
    pub fn insert(&mut self, id: u32, object: V) -> Option<V> {
        let before = match place(id) {
            Some((chunk, at)) => {
                if chunk >= self.near.len() {
                    let more = std::iter::repeat_n(None, chunk + 1 - self.near.len());
                    self.near = self.near.iter().cloned().chain(more).collect();
                }
                let chunk = &mut Arc::make_mut(&mut self.near)[chunk];
                let chunk = chunk.get_or_insert_with(|| Arc::new([const { None }; CHUNK]));
                Arc::make_mut(chunk)[at].replace(object)
            }
            None => self.far.insert(id, object),
        };
        self.len += usize::from(before.is_none());
        before
    }

    /// Removes an object. Copies of this map do not change.
    pub fn remove(&mut self, id: &u32) -> Option<V> {
        self.get(id)?;
        self.len -= 1;
        match place(*id) {
            Some((chunk, at)) => {
                let chunk = Arc::make_mut(&mut self.near)[chunk].as_mut()?;
                Arc::make_mut(chunk)[at].take()
            }
            None => self.far.remove(id),
        }
    }
}

impl<V> Clone for IdMap<V> {
    fn clone(&self) -> Self {
        IdMap { near: Arc::clone(&self.near), far: self.far.clone(), len: self.len }
    }
}

impl<V> Default for IdMap<V> {
    fn default() -> Self {
        IdMap { near: Arc::new([]), far: SharedMap::default(), len: 0 }
    }
}

impl<V: fmt::Debug> fmt::Debug for IdMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<V: PartialEq> PartialEq for IdMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().all(|(id, object)| other.get(&id) == Some(object))
    }
}

impl<V: Clone> FromIterator<(u32, V)> for IdMap<V> {
    fn from_iter<I: IntoIterator<Item = (u32, V)>>(objects: I) -> Self {
        let mut map = IdMap::default();
        for (id, object) in objects {
            map.insert(id, object);
        }
        map
    }
}

/// For ids that must be present, as in tests; panics like other maps.
impl<V> Index<&u32> for IdMap<V> {
    type Output = V;

    fn index(&self, id: &u32) -> &V {
        self.get(id).expect("no such id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_naive_map() {
        let mut rng = StdRng::seed_from_u64(9);
        let (mut map, mut naive) = (IdMap::default(), BTreeMap::new());
        for round in 0..20_000_u32 {
            let id = match rng.random_range(0..4) {
                0 => u32::MAX - rng.random_range(0..50),
                1 => (CHUNK * CHUNKS) as u32 - 20 + rng.random_range(0..40),
                _ => rng.random_range(0..1000),
            };
            let (before, was) = (map.clone(), naive.get(&id).copied());
            if rng.random_range(0..3) == 0 {
                assert_eq!(map.remove(&id), naive.remove(&id));
            } else {
                assert_eq!(map.insert(id, round), naive.insert(id, round));
            }
            assert_eq!(before.get(&id).copied(), was, "the copy stays as it was");
            assert_eq!((map.get(&id), map.len()), (naive.get(&id), naive.len()));
            assert!(map.unshared(&before).iter().all(|(id, object)| naive[id] == **object));
            assert_eq!(map.unshared(&before).iter().any(|(known, _)| *known == id), {
                naive.contains_key(&id)
            });
            if round % 500 == 0 {
                let listed: BTreeMap<u32, u32> = map.iter().map(|(id, one)| (id, *one)).collect();
                assert_eq!(listed, naive);
                assert_eq!(map, naive.iter().rev().map(|(id, one)| (*id, *one)).collect());
            }
        }
    }

    #[test]
    fn a_change_shares_the_rest() {
        let map: IdMap<u32> = (0..100_000).map(|id| (id, id)).collect();
        let mut next = map.clone();
        next.insert(77, 0);
        assert!(next.unshared(&map).contains(&(77, &0)));
        assert_eq!(next.unshared(&map).len(), CHUNK);
        assert!(map.unshared(&map.clone()).is_empty());
    }
}
