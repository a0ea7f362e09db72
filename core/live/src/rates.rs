//! Call rates: how many calls may begin per second (SEC-11).

use crate::channels::Holder;
use crate::table::Table;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A limit of calls per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Thousandths of a call per second, 100 to 100,000,000; 0 means no limit.
    pub per_mille: u32,
    /// Calls that may begin at once after a pause; 0 means those of one second, at least one.
    pub burst: u32,
}

impl Rate {
    fn per_second(self) -> f64 {
        f64::from(self.per_mille) / 1000.0
    }

    fn bucket(self) -> f64 {
        if self.burst == 0 { self.per_second().max(1.0) } else { f64::from(self.burst) }
    }
}

/// Token buckets of every holder.
pub trait Rates: Debug + Send + Sync {
    /// Counts a call that begins at `now`, if the rate allows it.
    fn take(&self, of: Holder, rate: Rate, now: Instant) -> bool;
}

/// Call rates of one process.
#[derive(Debug, Default)]
pub(crate) struct InProcess {
    buckets: Table<Holder, Mutex<Bucket>>,
}

/// Tokens at one moment; `None` before the first call.
#[derive(Debug, Default)]
struct Bucket {
    filled: Option<(Instant, f64)>,
}

impl Rates for InProcess {
    fn take(&self, of: Holder, rate: Rate, now: Instant) -> bool {
        if rate.per_mille == 0 {
            return true;
        }
        self.buckets.with(of, |bucket| {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            let most = rate.bucket();
            let (at, tokens) = bucket.filled.unwrap_or((now, most));
            let passed = now.saturating_duration_since(at).as_secs_f64();
            let tokens = (tokens + passed * rate.per_second()).min(most);
            let taken = tokens >= 1.0;
            bucket.filled = Some((now.max(at), if taken { tokens - 1.0 } else { tokens }));
            taken
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// SEC-11
    #[test]
    fn a_second_of_calls_may_begin_at_once_and_then_as_many_as_the_rate_allows() {
        let (rates, start) = (InProcess::default(), Instant::now());
        let rate = Rate { per_mille: 5_000, burst: 0 };
        let of = Holder::Account(1);
        let begun = |at_ms: u64, tries: u32| {
            let now = start + Duration::from_millis(at_ms);
            (0..tries).filter(|_| rates.take(of, rate, now)).count()
        };
        assert_eq!(begun(0, 20), 5);
        assert_eq!(begun(100, 20), 0);
        assert_eq!(begun(200, 20), 1);
        assert_eq!(begun(10_000, 20), 5, "a pause fills the bucket and no more");
        let slow = Rate { per_mille: 500, burst: 0 };
        let slow_at = |at_ms| rates.take(Holder::Node, slow, start + Duration::from_millis(at_ms));
        assert!(slow_at(0) && !slow_at(1_900) && slow_at(2_000));
        assert!((0..100).all(|_| rates.take(of, Rate::default(), start)), "no limit");
    }
}
