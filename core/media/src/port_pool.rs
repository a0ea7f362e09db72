//! The RTP ports of one media address (MEDIA-08, MEDIA-09).

use rand::Rng;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long a freed pair rests while others are free, so that late packets of the old call do not
/// reach a new one (MEDIA-08).
pub const PORT_REST: Duration = Duration::from_secs(5);

/// Pairs of an even RTP port and the odd RTCP port after it, handed out at random.
#[derive(Clone, Debug)]
pub struct PortPool {
    /// Even port of the first pair.
    first: u16,
    /// State of pair `first + 2 * index`.
    pairs: Vec<Pair>,
    /// Indices of free pairs, in no order.
    free: Vec<u16>,
    /// Freed pairs, oldest first, with the end of their rest.
    resting: VecDeque<(Instant, u16)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pair {
    Free,
    Taken,
    Resting,
}

/// Why a range cannot be a pool.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PortPoolError {
    /// The range contains no even port with the odd port after it.
    #[error("port range {0}-{1} holds no pair of an even port and the next odd one")]
    NoPair(u16, u16),
    /// Ports below 1024 belong to the system.
    #[error("port range {0}-{1} begins below 1024")]
    Privileged(u16, u16),
}

impl PortPool {
    /// A pool of all pairs that lie wholly inside `range`.
    ///
    /// # Errors
    /// [`PortPoolError`] if the range holds no pair or begins below 1024.
    pub fn new(range: RangeInclusive<u16>) -> Result<PortPool, PortPoolError> {
        let (start, end) = range.into_inner();
        if start < 1024 {
            return Err(PortPoolError::Privileged(start, end));
        }
        let first = u32::from(start).next_multiple_of(2);
        let count = (u32::from(end) + 1).saturating_sub(first) / 2;
        let (Ok(first), Ok(count @ 1..)) = (u16::try_from(first), u16::try_from(count)) else {
            return Err(PortPoolError::NoPair(start, end));
        };
        Ok(PortPool {
            first,
            pairs: vec![Pair::Free; usize::from(count)],
            free: (0..count).collect(),
            resting: VecDeque::new(),
        })
    }

    /// Takes a random free pair and returns its even port; if there is none, the pair that has
    /// rested longest, because a call with stray packets is better than no call. `None` if all are
    /// taken.
    pub fn take<R: Rng>(&mut self, now: Instant, rng: &mut R) -> Option<u16> {
        self.wake_rested(now);
        let index = match self.free.len() {
            0 => self.resting.pop_front()?.1,
            free => self.free.swap_remove(rng.random_range(0..free)),
        };
        self.pairs[usize::from(index)] = Pair::Taken;
        Some(self.first + index * 2)
    }

    /// Takes the pair that begins with `port`, for a call that already has it. Returns false and
    /// changes nothing if there is no such pair or it is taken.
    pub fn take_pair(&mut self, now: Instant, port: u16) -> bool {
        self.wake_rested(now);
        let Some(index) = self.index_of(port) else { return false };
        match self.pairs.get_mut(usize::from(index)) {
            Some(pair) if *pair != Pair::Taken => *pair = Pair::Taken,
            _ => return false,
        }
        self.free.retain(|free| *free != index);
        self.resting.retain(|(_, resting)| *resting != index);
        true
    }

    /// Index of the pair that begins with `port`.
    fn index_of(&self, port: u16) -> Option<u16> {
        port.checked_sub(self.first).filter(|gap| gap % 2 == 0).map(|gap| gap / 2)
    }

    /// Gives back the pair that begins with `port`; it rests for [`PORT_REST`]. Returns false and
    /// changes nothing if that pair was not taken.
    pub fn release(&mut self, now: Instant, port: u16) -> bool {
        let Some(index) = self.index_of(port) else { return false };
        match self.pairs.get_mut(usize::from(index)) {
            Some(pair) if *pair == Pair::Taken => *pair = Pair::Resting,
            _ => return false,
        }
        self.resting.push_back((now + PORT_REST, index));
        true
    }

    /// Pairs in the pool; a relayed call takes two (MEDIA-09).
    pub fn capacity(&self) -> usize {
        self.pairs.len()
    }

    /// Pairs taken.
    pub fn in_use(&self) -> usize {
        self.pairs.len() - self.free.len() - self.resting.len()
    }

    /// Pairs that still rest at `now`.
    pub fn resting(&mut self, now: Instant) -> usize {
        self.wake_rested(now);
        self.resting.len()
    }

    /// True while at least 80 % of the pairs are taken: time to add a media address (MEDIA-09).
    /// Resting pairs can be taken and do not count.
    pub fn is_nearly_full(&self) -> bool {
        self.in_use() * 5 >= self.capacity() * 4
    }

    fn wake_rested(&mut self, now: Instant) {
        while let Some(&(until, index)) = self.resting.front() {
            if until > now {
                break;
            }
            self.resting.pop_front();
            self.pairs[usize::from(index)] = Pair::Free;
            self.free.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::collections::HashSet;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(8)
    }

    /// MEDIA-08: RTP on even ports, RTCP next, both inside the range.
    #[test]
    fn pairs_begin_even_and_stay_inside_the_range() {
        let now = Instant::now();
        let mut pool = PortPool::new(10_001..=10_008).expect("range");
        let mut taken: Vec<_> = std::iter::from_fn(|| pool.take(now, &mut rng())).collect();
        taken.sort_unstable();
        assert_eq!(taken, [10_002, 10_004, 10_006], "10008 has no odd partner in the range");
        let mut last = PortPool::new(65_534..=65_535).expect("range");
        assert_eq!(last.take(now, &mut rng()), Some(65_534));
    }

    /// MEDIA-09: 30,000 ports are 7,500 relayed calls of two pairs each.
    #[test]
    fn the_default_range_carries_7500_calls() {
        let now = Instant::now();
        let mut pool = PortPool::new(10_000..=39_999).expect("range");
        assert_eq!(pool.capacity() / 2, 7_500);
        let mut rng = rng();
        let ports: HashSet<_> = std::iter::from_fn(|| pool.take(now, &mut rng)).collect();
        assert_eq!(ports.len(), 15_000, "no pair twice");
        assert!(pool.is_nearly_full());
    }

    /// MEDIA-09: alarm at 80 % use.
    #[test]
    fn the_alarm_rises_at_four_fifths() {
        let now = Instant::now();
        let mut pool = PortPool::new(10_000..=10_019).expect("range");
        for taken in 1..=10 {
            pool.take(now, &mut rng()).expect("free");
            assert_eq!(pool.is_nearly_full(), taken >= 8);
        }
    }

    /// MEDIA-08: a freed port rests 5 s while another is available.
    #[test]
    fn a_freed_pair_rests_five_seconds_while_there_is_choice() {
        let now = Instant::now();
        let mut pool = PortPool::new(10_000..=10_005).expect("range");
        let port = pool.take(now, &mut rng()).expect("free");
        assert!(pool.release(now, port));
        assert_eq!((pool.in_use(), pool.resting(now)), (0, 1));
        let almost = now + PORT_REST - Duration::from_millis(1);
        for _ in 0..2 {
            assert_ne!(pool.take(almost, &mut rng()).expect("free"), port);
        }
        assert_eq!((pool.in_use(), pool.resting(almost)), (2, 1));
        assert_eq!((pool.take(now + PORT_REST, &mut rng()), pool.in_use()), (Some(port), 3));
        assert_eq!(pool.take(now + PORT_REST, &mut rng()), None, "all are taken");
    }

    /// A call that continues in another process takes its own pair, once.
    #[test]
    fn a_pair_can_be_taken_by_its_port() {
        let now = Instant::now();
        let mut pool = PortPool::new(10_000..=10_005).expect("range");
        for (port, taken) in [(10_002, true), (10_002, false), (10_001, false), (10_006, false)] {
            assert_eq!(pool.take_pair(now, port), taken, "{port}");
        }
        assert!(pool.release(now, 10_002));
        assert!(pool.take_pair(now, 10_002), "it rests");
        assert_eq!((pool.in_use(), pool.resting(now)), (1, 0));
        let mut rng = rng();
        let mut others: Vec<_> = std::iter::from_fn(|| pool.take(now, &mut rng)).collect();
        others.sort_unstable();
        assert_eq!(others, [10_000, 10_004]);
    }

    /// MEDIA-08, MEDIA-09: a range carries as many calls at once as it has pairs, however quickly
    /// they follow each other; the pair that has rested longest is taken first.
    #[test]
    fn pairs_that_rest_are_taken_when_there_is_no_other() {
        let now = Instant::now();
        let mut rng = rng();
        let mut pool = PortPool::new(10_000..=10_199).expect("range");
        let mut waiting: VecDeque<u16> = std::iter::from_fn(|| pool.take(now, &mut rng)).collect();
        for call in 0..10_000_u64 {
            let at = now + Duration::from_micros(call);
            let ended = waiting.pop_front().expect("a call is up");
            assert!(pool.release(at, ended));
            assert_eq!(pool.take(at, &mut rng), Some(ended), "the only one that is not taken");
            waiting.push_back(ended);
        }
        for port in [waiting[7], waiting[3]] {
            assert!(pool.release(now, port));
        }
        assert_eq!(pool.take(now, &mut rng), Some(waiting[7]));
    }

    #[test]
    fn what_was_not_taken_cannot_be_released() {
        let now = Instant::now();
        let mut pool = PortPool::new(10_000..=10_003).expect("range");
        let port = pool.take(now, &mut rng()).expect("free");
        assert!(!pool.release(now, port + 1), "an RTCP port");
        assert!(!pool.release(now, 9_998) && !pool.release(now, 10_004), "outside");
        assert!(pool.release(now, port));
        assert!(!pool.release(now, port), "already resting");
        assert_eq!((pool.in_use(), pool.resting(now)), (0, 1));
    }

    /// MEDIA-08: allocation is random, so ports cannot be guessed from the last call.
    #[test]
    fn the_order_follows_the_seed() {
        let draw = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut pool = PortPool::new(10_000..=39_999).expect("range");
            let now = Instant::now();
            (0..8).map(|_| pool.take(now, &mut rng).expect("free")).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(!draw(1).is_sorted());
    }

    #[test]
    fn ranges_without_a_pair_are_refused() {
        for (start, end) in [(10_001, 10_002), (10_000, 10_000), (10_002, 10_000), (65_535, 65_535)]
        {
            let error = PortPool::new(start..=end).expect_err("no pair");
            assert_eq!(error, PortPoolError::NoPair(start, end));
        }
        assert_eq!(PortPool::new(80..=90).expect_err("low"), PortPoolError::Privileged(80, 90));
    }
}
