//! Sliding-window counters behind `host-counters`, shared by every instance on the node.
//!
//! Time comes in as an argument (milliseconds since the host started), so tests can set it. A
//! window is 60 whole slots plus the current one: never shorter than requested (SEC-18), and up to
//! a sixtieth longer. A counter stores only slots that have counts, so a number that called once
//! costs one pair. `plugin-sdk/src/fake.rs` counts the same way.

use compact_str::CompactString;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

const STRIPES: usize = 64;
/// Whole slots per window.
const SLOTS: u64 = 60;
const WINDOWS: usize = 8;

/// All counters of all plugins; a plugin sees only its own keys.
#[derive(Debug)]
pub(crate) struct Counters {
    stripes: Box<[Mutex<Stripe>]>,
    hasher: RandomState,
    keys_per_stripe: usize,
}

type Stripe = HashMap<Key, Windows>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    plugin: u32,
    name: CompactString,
}

/// One name may be counted over several windows, but nearly always has one. That window is stored
/// in the table itself, and so are a short name and a single slot: a hundred thousand counters that
/// live for an hour, each with three allocations, would fragment memory that the allocator could
/// otherwise return.
type Windows = SmallVec<[(u32, Window); 1]>;

#[derive(Debug, Default)]
struct Window {
    /// Slots with counts, oldest first.
    slots: SmallVec<[Slot; 2]>,
    sum: u64,
}

/// Eight bytes instead of the sixteen with a full slot number: an hour's limit keeps up to 61 of
/// them for a number.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The low half of the slot number since start. A slot no longer matters 61 slots later, so the
    /// current slot number implies the high half.
    low: u32,
    count: u32,
}

impl Slot {
    /// How many slots ago it was; negative if another shard's clock was ahead.
    fn age(self, now: u64) -> i64 {
        i64::from((now as u32).wrapping_sub(self.low) as i32)
    }

    fn matters(self, now: u64) -> bool {
        self.age(now).unsigned_abs() <= SLOTS
    }
}

impl Counters {
    /// Room for about `keys` counters; when a stripe is full, idle counters are evicted first, then
    /// those that would be idle soonest.
    pub(crate) fn new(keys: usize) -> Counters {
        Counters {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            keys_per_stripe: keys.div_ceil(STRIPES).max(1),
        }
    }

    /// Adds and returns the new sum, atomically over all shards.
    pub(crate) fn add(
        &self,
        plugin: u32,
        name: &str,
        amount: u32,
        window_s: u32,
        now_ms: u64,
    ) -> u64 {
        self.change((plugin, name), window_s, now_ms, |window, slot| {
            window.add(slot, amount);
            window.sum
        })
    }

    /// Accesses a window, creating it if necessary, under its lock.
    fn change<R>(
        &self,
        (plugin, name): (u32, &str),
        window_s: u32,
        now_ms: u64,
        change: impl FnOnce(&mut Window, u64) -> R,
    ) -> R {
        let window_s = clamped(window_s);
        let slot = slot(window_s, now_ms);
        let key = Key { plugin, name: name.into() };
        let mut stripe = self.stripe(plugin, name);
        if stripe.len() >= self.keys_per_stripe && !stripe.contains_key(&key) {
            evict(&mut stripe, self.keys_per_stripe, now_ms);
        }
        let windows = stripe.entry(key).or_default();
        let at = windows.iter().position(|(length, _)| *length == window_s).unwrap_or_else(|| {
            // A plugin that uses too many windows for one name loses the oldest window.
            if windows.len() == WINDOWS {
                windows.remove(0);
            }
            windows.push((window_s, Window::default()));
            windows.len() - 1
        });
        let window = &mut windows[at].1;
        window.forget_before(slot);
        change(window, slot)
    }

    /// Adds only if the sum stays within `limit`; otherwise returns the sum that left no room.
    pub(crate) fn add_within(
        &self,
        (plugin, name): (u32, &str),
        amount: u32,
        window_s: u32,
        limit: u64,
        now_ms: u64,
    ) -> Result<u64, u64> {
        self.change((plugin, name), window_s, now_ms, |window, slot| {
            if window.sum.saturating_add(u64::from(amount)) > limit {
                return Err(window.sum);
            }
            window.add(slot, amount);
            Ok(window.sum)
        })
    }

    /// The sum of the last `window_s` seconds.
    pub(crate) fn sum(&self, plugin: u32, name: &str, window_s: u32, now_ms: u64) -> u64 {
        let window_s = clamped(window_s);
        let key = Key { plugin, name: name.into() };
        let mut stripe = self.stripe(plugin, name);
        let window = stripe
            .get_mut(&key)
            .and_then(|windows| windows.iter_mut().find(|(length, _)| *length == window_s));
        match window {
            None => 0,
            Some((_, window)) => {
                window.forget_before(slot(window_s, now_ms));
                window.sum
            }
        }
    }

    /// Deletes the counter with all its windows.
    pub(crate) fn clear(&self, plugin: u32, name: &str) {
        self.stripe(plugin, name).remove(&Key { plugin, name: name.into() });
    }

    /// Current number of counters.
    pub(crate) fn len(&self) -> usize {
        self.stripes
            .iter()
            .map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    fn stripe(&self, plugin: u32, name: &str) -> std::sync::MutexGuard<'_, Stripe> {
        let at = self.hasher.hash_one((plugin, name)) as usize % STRIPES;
        self.stripes[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn forget_before(&mut self, slot: u64) {
        let gone = self.slots.partition_point(|oldest| !oldest.matters(slot));
        for oldest in self.slots.drain(..gone) {
            self.sum -= u64::from(oldest.count);
        }
    }

    fn add(&mut self, slot: u64, amount: u32) {
        self.sum += u64::from(amount);
        // Shards may take the lock in another order than they read the clock.
        let newest = self.slots.last_mut().filter(|newest| newest.age(slot) <= 0);
        let low = newest.as_ref().map_or(slot as u32, |newest| newest.low);
        if let Some(newest) = newest
            && let Some(count) = newest.count.checked_add(amount)
        {
            newest.count = count;
        } else {
            self.slots.push(Slot { low, count: amount });
        }
    }
}

fn clamped(window_s: u32) -> u32 {
    window_s.clamp(1, 86_400)
}

fn slot(window_s: u32, now_ms: u64) -> u64 {
    now_ms * SLOTS / (u64::from(window_s) * 1000)
}

/// When the last of its slots stops mattering, milliseconds since start.
fn idle_from(windows: &Windows, now_ms: u64) -> u64 {
    let end = |(window_s, window): &(u32, Window)| {
        let now = slot(*window_s, now_ms);
        let last = window.slots.last().filter(|last| last.matters(now))?;
        let end = now.saturating_add_signed(SLOTS as i64 + 1 - last.age(now));
        Some((end * u64::from(*window_s) * 1000).div_ceil(SLOTS))
    };
    windows.iter().filter_map(end).max().unwrap_or(0)
}

/// Why a counter must be kept: until when it matters, and how much it counted.
fn worth_of(windows: &Windows, now_ms: u64) -> (u64, u64) {
    let counted = windows.iter().map(|(_, window)| window.sum).max().unwrap_or(0);
    (idle_from(windows, now_ms), counted)
}

/// Frees a sixteenth of the stripe, so that eviction is rare. Idle counters go first, then those
/// that would be idle soonest, and among these the ones with the lowest counts: a flood of new keys
/// must not evict a counter that is about to reach its limit.
fn evict(stripe: &mut Stripe, limit: usize, now_ms: u64) {
    stripe.retain(|_, windows| idle_from(windows, now_ms) > now_ms);
    let spare = (limit - limit / 16).min(limit - 1);
    if stripe.len() <= spare {
        return;
    }
    let mut room = stripe.len() - spare;
    let mut worth: Vec<(u64, u64)> =
        stripe.values().map(|windows| worth_of(windows, now_ms)).collect();
    let (_, &mut last_to_go, _) = worth.select_nth_unstable(room - 1);
    stripe.retain(|_, windows| {
        let goes = room > 0 && worth_of(windows, now_ms) <= last_to_go;
        room -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides_by_sixtieths() {
        let counters = Counters::new(1000);
        assert_eq!(counters.add(1, "4930", 1, 60, 0), 1);
        assert_eq!(counters.add(1, "4930", 2, 60, 30_000), 3);
        assert_eq!(counters.sum(1, "4930", 60, 60_999), 3);
        assert_eq!(counters.sum(1, "4930", 60, 61_000), 2);
        assert_eq!(counters.sum(1, "4930", 60, 91_000), 0);
    }

    /// SEC-18: wherever the window starts, a block lasts at least as long as the operator said.
    #[test]
    fn a_window_is_never_shorter_than_asked_and_at_most_a_sixtieth_longer() {
        for window_s in [1, 60, 3600, 86_400] {
            let window_ms = u64::from(window_s) * 1000;
            for begun in [0, 1, window_ms / 60 - 1, window_ms / 60, window_ms / 2 + 7] {
                let counters = Counters::new(1000);
                let sum = |now_ms| counters.sum(1, "block", window_s, now_ms);
                counters.add(1, "block", 1, window_s, begun);
                assert_eq!(sum(begun + window_ms), 1, "{window_s} s from {begun}");
                assert_eq!(sum(begun + window_ms + window_ms / 60 + 1), 0, "{window_s} s");
            }
        }
    }

    #[test]
    fn a_slot_counts_more_than_32_bits_and_its_number_may_need_more() {
        let counters = Counters::new(1000);
        // Windows of one second reach slot 2^32 after two years.
        let turn = (1u64 << 32) * 1000 / 60;
        for now_ms in [0, turn - 20, turn, turn + 20] {
            counters.clear(1, "4930");
            counters.add(1, "4930", u32::MAX, 1, now_ms);
            assert_eq!(counters.add(1, "4930", u32::MAX, 1, now_ms), 2 * u64::from(u32::MAX));
            assert_eq!(counters.add(1, "4930", 1, 1, now_ms + 40), 2 * u64::from(u32::MAX) + 1);
            assert_eq!(counters.sum(1, "4930", 1, now_ms + 1030), 1);
            assert_eq!(counters.sum(1, "4930", 1, now_ms + 1060), 0);
            counters.add(1, "4930", 5, 1, now_ms + 1060);
            assert_eq!(counters.add(1, "4930", 1, 1, now_ms + turn * 3 / 5), 1);
        }
    }

    #[test]
    fn a_limit_is_reached_and_never_passed() {
        let counters = Counters::new(1000);
        let add = |amount, now_ms| counters.add_within((1, "4930"), amount, 60, 5, now_ms);
        assert_eq!((add(3, 0), add(3, 0), add(2, 0)), (Ok(3), Err(3), Ok(5)));
        assert_eq!(add(1, 60_000), Err(5));
        assert_eq!(add(1, 61_000), Ok(1));
    }

    #[test]
    fn plugins_keys_and_windows_do_not_mix() {
        let counters = Counters::new(1000);
        counters.add(1, "a", 1, 60, 0);
        counters.add(2, "a", 5, 60, 0);
        counters.add(1, "a", 7, 3600, 0);
        assert_eq!(counters.sum(1, "a", 60, 0), 1);
        counters.clear(1, "a");
        assert_eq!((counters.sum(1, "a", 60, 0), counters.sum(1, "a", 3600, 0)), (0, 0));
        assert_eq!(counters.sum(2, "a", 60, 0), 5);
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_busy_ones_stay() {
        let counters = Counters::new(64 * 32);
        for number in 0..20_000u64 {
            counters.add(1, "busy", 1, 3600, number);
            counters.add(1, &number.to_string(), 1, 3600, number);
        }
        assert!(counters.len() <= 64 * 32, "{} keys", counters.len());
        assert_eq!(counters.sum(1, "busy", 3600, 20_000), 20_000);
    }

    #[test]
    fn shards_add_as_one() {
        let counters = Counters::new(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        counters.add(1, "all", 1, 60, 0);
                    }
                });
            }
        });
        assert_eq!(counters.sum(1, "all", 60, 0), 40_000);
    }
}
