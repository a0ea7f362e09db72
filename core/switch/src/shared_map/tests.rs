//! Compares with the standard map, and checks what is shared.

use super::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::hash::Hasher;

/// A key whose hash equals that of others until the seed has changed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crowded(u32);

impl Hash for Crowded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The hasher's state reveals the seed: only from the third seed on the number counts.
        let seeds = (0..2).map(|seed| FixedState::with_seed(seed).build_hasher().finish());
        let crowd = seeds.into_iter().any(|seed| seed == state.finish());
        state.write_u32(if crowd { 0 } else { self.0 });
    }
}

fn agrees_with_a_naive_map<K: Hash + Ord + Copy + fmt::Debug>(key: impl Fn(u32) -> K) {
    let mut rng = StdRng::seed_from_u64(5);
    let (mut map, mut naive) = (SharedMap::default(), BTreeMap::new());
    for round in 0..20_000_u32 {
        let one = key(rng.random_range(0..1500));
        let (before, was) = (map.clone(), naive.get(&one).copied());
        if rng.random_range(0..3) == 0 {
            assert_eq!(map.remove(&one), naive.remove(&one));
        } else {
            assert_eq!(map.insert(one, round), naive.insert(one, round));
        }
        assert_eq!(before.get(&one).copied(), was, "the copy stays as it was");
        assert_eq!(map.get(&one), naive.get(&one));
        assert_eq!(map.len(), naive.len());
        if round % 500 == 0 {
            let listed: BTreeMap<K, u32> = map.iter().map(|(key, value)| (*key, *value)).collect();
            assert_eq!(listed, naive);
            let anew: SharedMap<K, u32> = naive.iter().rev().map(|(k, v)| (*k, *v)).collect();
            assert_eq!(map, anew);
            assert!(map.iter().eq(anew.iter()), "one shape for the same entries");
        }
    }
}

#[test]
fn it_agrees_with_a_naive_map() {
    agrees_with_a_naive_map(|key| key);
}

#[test]
fn keys_that_share_a_hash_are_told_apart() {
    agrees_with_a_naive_map(|key| Crowded(key % 60));
}

#[test]
fn texts_are_found_by_their_borrowed_form() {
    let map: SharedMap<Arc<str>, u32> =
        [("one".into(), 1), ("two".into(), 2)].into_iter().collect();
    assert_eq!((map.get("two"), map.get("three")), (Some(&2), None));
}

/// One change leaves all but a few branches shared.
#[test]
fn a_change_shares_the_rest() {
    let map: SharedMap<u32, u32> = (0..100_000).map(|key| (key, key)).collect();
    let mut next = map.clone();
    next.insert(77, 0);
    next.remove(&78);
    next.insert(100_001, 5);
    let found = next.unshared(&map);
    assert!(found.contains(&(&77, &0)) && found.contains(&(&100_001, &5)));
    assert!(found.len() < 300, "{} entries were looked at", found.len());
    assert!(map.unshared(&map.clone()).is_empty());
}
