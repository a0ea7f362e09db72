//! The next deadline of every transaction: a binary heap with lazy deletion.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// One timer per slot. Setting a timer leaves the old entry in the heap as a stale one;
/// stale entries are dropped when they reach the top, and the heap is rebuilt when they
/// outnumber the live ones. The top is always live, so [`Timers::next`] is O(1).
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Deadline>>,
    /// By slot.
    armed: Vec<Armed>,
    /// Slots whose timer runs.
    live: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    at: Instant,
    slot: u32,
    /// Which setting of the slot's timer made this entry.
    stamp: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Armed {
    at: Option<Instant>,
    stamp: u32,
}

impl Timers {
    /// Stale entries tolerated beyond the number of live ones.
    const SLACK: usize = 64;

    /// Sets, moves or (with none) clears the timer of `slot`.
    pub(super) fn set(&mut self, slot: u32, at: Option<Instant>) {
        let index = slot as usize;
        if index >= self.armed.len() {
            if at.is_none() {
                return;
            }
            self.armed.resize(index + 1, Armed::default());
        }
        let armed = &mut self.armed[index];
        if armed.at == at {
            return;
        }
        self.live -= usize::from(armed.at.is_some());
        self.live += usize::from(at.is_some());
        armed.at = at;
        armed.stamp = armed.stamp.wrapping_add(1);
        if let Some(at) = at {
            self.heap.push(Reverse(Deadline { at, slot, stamp: armed.stamp }));
        }
        self.drop_stale();
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(deadline)| deadline.at)
    }

    /// Takes the earliest slot whose deadline is not after `now`; its timer is cleared.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let Reverse(deadline) = *self.heap.peek()?;
        if deadline.at > now {
            return None;
        }
        self.set(deadline.slot, None);
        Some(deadline.slot)
    }

    fn drop_stale(&mut self) {
        while self.heap.peek().is_some_and(|Reverse(deadline)| !self.is_live(deadline)) {
            self.heap.pop();
        }
        if self.heap.len() > 2 * self.live + Self::SLACK {
            let mut heap = std::mem::take(&mut self.heap);
            heap.retain(|Reverse(deadline)| self.is_live(deadline));
            heap.shrink_to(2 * self.live + Self::SLACK);
            self.heap = heap;
        }
    }

    fn is_live(&self, deadline: &Deadline) -> bool {
        let armed = self.armed[deadline.slot as usize];
        armed.at.is_some() && armed.stamp == deadline.stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_fire_in_order_and_a_moved_one_fires_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        timers.set(0, Some(at(5)));
        timers.set(1, Some(at(3)));
        timers.set(2, Some(at(4)));
        timers.set(1, Some(at(9)));
        timers.set(2, None);
        assert_eq!(timers.next(), Some(at(5)), "stale entries never show");
        assert_eq!(timers.pop_due(at(4)), None);
        assert_eq!(timers.pop_due(at(20)), Some(0));
        assert_eq!(timers.pop_due(at(20)), Some(1));
        assert_eq!(timers.pop_due(at(20)), None);
        assert_eq!((timers.next(), timers.live), (None, 0));
    }

    #[test]
    fn the_heap_stays_in_proportion_to_the_running_timers() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(0, Some(start));
        for round in 0..100_000_u64 {
            timers.set(1 + (round % 10) as u32, Some(start + Duration::from_millis(1 + round)));
            assert!(timers.heap.len() <= 2 * 11 + Timers::SLACK + 1);
        }
        assert_eq!(timers.live, 11);
    }
}
