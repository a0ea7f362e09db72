//! The next deadline of every transaction: exact ones in a heap, others in a calendar.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

/// One timer per slot. Setting a timer leaves its old entry behind as stale; it is dropped when its
/// turn comes.
///
/// Deadlines that someone waits for, such as a retransmission or the end of waiting, are kept
/// exactly in a heap. Transactions that are over and only absorb repetitions (timers D, I, J, K, L
/// and M) may end up to [`PAGE`] late: the ends of many calls then share one wake-up, and the heap
/// does not have to hold them all.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Deadline>>,
    /// Deadlines in pages, keyed by the end of the page, at which the whole page is due.
    calendar: BTreeMap<Instant, Vec<Entry>>,
    /// By slot.
    armed: Vec<Armed>,
    /// Entries of the heap whose timer still runs.
    live: usize,
}

/// The interval at which deadlines fire that need not be exact.
const PAGE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    at: Instant,
    entry: Entry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    slot: u32,
    /// The setting of the slot's timer that created this entry.
    stamp: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Armed {
    at: Option<Instant>,
    stamp: u32,
    /// Its entry is in the heap.
    exact: bool,
}

impl Timers {
    /// Stale entries tolerated in the heap beyond the number of live ones.
    const SLACK: usize = 64;

    /// Sets, moves or (with `None`) clears the timer of `slot`.
    pub(super) fn set(&mut self, slot: u32, at: Option<Instant>) {
        if let Some((entry, at)) = self.arm(slot, at, true) {
            self.live += 1;
            self.heap.push(Reverse(Deadline { at, entry }));
        }
        self.drop_stale();
    }

    /// Sets or moves the timer of `slot`, which may fire up to [`PAGE`] late.
    pub(super) fn set_about(&mut self, slot: u32, at: Instant) {
        if let Some((entry, at)) = self.arm(slot, Some(at), false) {
            match self.calendar.range_mut(at..=at + PAGE).next() {
                Some((_, page)) => page.push(entry),
                None => drop(self.calendar.insert(at + PAGE, vec![entry])),
            }
        }
        self.drop_stale();
    }

    /// Records a deadline; returns the entry to store if the deadline is new.
    fn arm(&mut self, slot: u32, at: Option<Instant>, exact: bool) -> Option<(Entry, Instant)> {
        let index = slot as usize;
        if index >= self.armed.len() {
            at?;
            self.armed.resize(index + 1, Armed::default());
        }
        let armed = &mut self.armed[index];
        if (armed.at, armed.exact) == (at, exact) {
            return None;
        }
        self.live -= usize::from(armed.at.is_some() && armed.exact);
        *armed = Armed { at, exact, stamp: armed.stamp.wrapping_add(1) };
        Some((Entry { slot, stamp: armed.stamp }, at?))
    }

    /// When [`Timers::pop_due`] has something to do: never later than the earliest deadline or the
    /// end of its page.
    pub(super) fn next(&self) -> Option<Instant> {
        let exact = self.heap.peek().map(|Reverse(deadline)| deadline.at);
        let about = self.calendar.first_key_value().map(|(end, _)| *end);
        exact.into_iter().chain(about).min()
    }

    /// Returns a slot whose deadline is not after `now`, and clears its timer.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let slot = self.due_exact(now).or_else(|| self.due_about(now))?;
        self.set(slot, None);
        Some(slot)
    }

    fn due_exact(&self, now: Instant) -> Option<u32> {
        let Reverse(deadline) = self.heap.peek()?;
        (deadline.at <= now).then_some(deadline.entry.slot)
    }

    fn due_about(&mut self, now: Instant) -> Option<u32> {
        loop {
            let mut page = self.calendar.first_entry()?;
            if *page.key() > now {
                return None;
            }
            while let Some(entry) = page.get_mut().pop() {
                if is_live(&self.armed, entry) {
                    return Some(entry.slot);
                }
            }
            page.remove();
        }
    }

    fn drop_stale(&mut self) {
        let armed = &self.armed;
        while self.heap.peek().is_some_and(|Reverse(top)| !is_live(armed, top.entry)) {
            self.heap.pop();
        }
        if self.heap.len() > 2 * self.live + Self::SLACK {
            self.heap.retain(|Reverse(deadline)| is_live(armed, deadline.entry));
            self.heap.shrink_to(2 * self.live + Self::SLACK);
        }
    }
}

fn is_live(armed: &[Armed], entry: Entry) -> bool {
    armed
        .get(entry.slot as usize)
        .is_some_and(|armed| armed.at.is_some() && armed.stamp == entry.stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_timers_fire_in_order_and_a_moved_one_fires_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.set(0, Some(at(500)));
        timers.set(1, Some(at(300)));
        timers.set(2, Some(at(400)));
        timers.set(1, Some(at(900)));
        timers.set(2, None);
        assert_eq!(timers.next(), Some(at(500)), "stale entries never show");
        assert_eq!(timers.pop_due(at(499)), None);
        assert_eq!(timers.pop_due(at(2000)), Some(0));
        assert_eq!(timers.pop_due(at(2000)), Some(1));
        assert_eq!(timers.pop_due(at(2000)), None);
        assert_eq!((timers.next(), timers.live), (None, 0));
    }

    #[test]
    fn other_timers_fire_in_pages_never_early_and_at_most_a_page_late() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        let mut expected = Vec::new();
        for slot in 0..3200_u32 {
            let due = at(32_000 + u64::from(slot));
            timers.set_about(slot, due);
            expected.push(due);
        }
        timers.set(77, None);
        timers.set(78, Some(at(3300)));
        let (mut fired, mut wakes) = (vec![None; 3200], 0);
        while let Some(now) = timers.next() {
            wakes += 1;
            while let Some(slot) = timers.pop_due(now) {
                assert_eq!(fired[slot as usize].replace(now), None, "slot {slot} fired twice");
            }
        }
        for (slot, (fired, due)) in fired.into_iter().zip(expected).enumerate() {
            match slot {
                77 => assert_eq!(fired, None, "it was cleared"),
                78 => assert_eq!(fired, Some(at(3300)), "it was moved"),
                _ => {
                    let fired = fired.expect("every timer fires");
                    assert!(fired >= due && fired <= due + PAGE, "slot {slot}");
                }
            }
        }
        assert!(wakes <= 34, "3,200 calls cost {wakes} wake-ups");
        assert_eq!(timers.pop_due(at(100_000)), None);
    }

    #[test]
    fn the_heap_stays_in_proportion_to_the_running_timers() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(0, Some(start));
        for round in 0..100_000_u64 {
            let now = start + Duration::from_millis(round);
            timers.set(1 + (round % 10) as u32, Some(now + Duration::from_millis(1)));
            assert!(timers.heap.len() <= 2 * 11 + Timers::SLACK + 1);
        }
        assert_eq!(timers.live, 11);
    }
}
