//! Rate limit for log lines that load or strangers can cause: one a minute, with the number
//! suppressed.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Interval between lines.
const PAUSE: Duration = Duration::from_secs(60);

/// Origin of the millisecond times.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One log statement, shared by all threads.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    /// Earliest time of the next line, milliseconds since [`START`]; 0 before the first.
    next_ms: AtomicU64,
    held: AtomicU64,
}

impl Seldom {
    /// A limit before the first line.
    pub(crate) const fn new() -> Seldom {
        Seldom { next_ms: AtomicU64::new(0), held: AtomicU64::new(0) }
    }

    /// `Some` if the line may be written now, with the number suppressed since the last one.
    pub(crate) fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let now = now.saturating_duration_since(*START);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next_ms.load(Relaxed);
        let passes = millis(now) >= next
            && self.next_ms.compare_exchange(next, millis(now + PAUSE), Relaxed, Relaxed).is_ok();
        if passes {
            Some(self.held.swap(0, Relaxed))
        } else {
            self.held.fetch_add(1, Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPS-44: a flood is one line a minute with a count.
    #[test]
    fn a_flood_is_one_line_a_minute_with_a_count() {
        let line = Seldom::new();
        let begin = *START + Duration::from_millis(7);
        let written: Vec<(u64, u64)> = (0..150_000_u64)
            .filter_map(|at| Some((at, line.pass_at(begin + Duration::from_millis(at))?)))
            .collect();
        assert_eq!(written, [(0, 0), (60_000, 59_999), (120_000, 59_999)]);
    }

    #[test]
    fn of_many_threads_one_writes() {
        let line = Seldom::new();
        let now = *START + Duration::from_secs(1);
        let count = || (0..1_000).filter(|_| line.pass_at(now).is_some()).count();
        let written: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().expect("counted")).sum()
        });
        assert_eq!((written, line.pass_at(now + PAUSE)), (1, Some(3_999)));
    }
}
