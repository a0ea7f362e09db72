use super::Failure;
use super::cache::Outcome;
use crate::services::stats::Histogram;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Requests of one plugin to outside servers since the host started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpMetrics {
    /// The plugin's name.
    pub plugin: String,
    /// A response arrived, with any status.
    pub answered: u64,
    /// No response in time.
    pub timeouts: u64,
    /// Name resolution, connection, TLS or the response failed.
    pub failed: u64,
    /// Not sent: the host is not granted, or the request is invalid.
    pub refused: u64,
    /// Not sent: too many open requests.
    pub busy: u64,
    /// Answered from the cache; not sent.
    pub cache_hits: u64,
    /// Waited for an equal open request; not sent.
    pub joined: u64,
    /// Requests open now.
    pub requests: u32,
    /// Questions open now.
    pub questions: u32,
    /// Responses in the cache.
    pub cache_entries: usize,
    /// Approximate memory of the cache, bytes.
    pub cache_bytes: usize,
    /// Duration of each request that was sent.
    pub nanos: Histogram,
}

impl HttpMetrics {
    /// Each result with its word for metrics.
    #[must_use]
    pub fn results(&self) -> [(&'static str, u64); 7] {
        [
            ("answered", self.answered),
            ("timeout", self.timeouts),
            ("failed", self.failed),
            ("refused", self.refused),
            ("busy", self.busy),
            ("cached", self.cache_hits),
            ("joined", self.joined),
        ]
    }
}

/// 1.05 ms; each bucket is twice the one before, up to 8.6 s.
const FIRST: u32 = 20;
const BUCKETS: usize = 15;

/// The counters behind [`HttpMetrics`].
#[derive(Debug, Default)]
pub(crate) struct HttpCounters {
    answered: AtomicU64,
    timeouts: AtomicU64,
    failed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) busy: AtomicU64,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) joined: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl HttpCounters {
    pub(crate) fn note(&self, outcome: &Outcome, took: Duration) {
        let counter = match outcome {
            Ok(_) => &self.answered,
            Err(Failure::Timeout) => &self.timeouts,
            Err(Failure::Failed(_)) => &self.failed,
            Err(Failure::Busy) => &self.busy,
        };
        counter.fetch_add(1, Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = (0..BUCKETS).find(|at| nanos <= bound(*at)).unwrap_or(BUCKETS - 1);
        self.buckets[at].fetch_add(1, Relaxed);
        self.sum.fetch_add(nanos, Relaxed);
    }

    pub(crate) fn snapshot(
        &self,
        plugin: &str,
        (questions, requests): (u32, u32),
        (cache_entries, cache_bytes): (usize, usize),
    ) -> HttpMetrics {
        let buckets = self.buckets.iter().enumerate();
        HttpMetrics {
            plugin: plugin.to_owned(),
            answered: self.answered.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            failed: self.failed.load(Relaxed),
            refused: self.refused.load(Relaxed),
            busy: self.busy.load(Relaxed),
            cache_hits: self.cache_hits.load(Relaxed),
            joined: self.joined.load(Relaxed),
            requests,
            questions,
            cache_entries,
            cache_bytes,
            nanos: Histogram {
                buckets: buckets.map(|(at, count)| (bound(at), count.load(Relaxed))).collect(),
                sum: self.sum.load(Relaxed),
            },
        }
    }
}

fn bound(bucket: usize) -> u64 {
    if bucket == BUCKETS - 1 { u64::MAX } else { 1 << (FIRST as usize + bucket) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_under_the_smallest_bound_that_holds_it() {
        let counters = HttpCounters::default();
        counters.note(&Err(Failure::Timeout), Duration::from_millis(500));
        counters.note(&Err(Failure::Busy), Duration::from_secs(60));
        let metrics = counters.snapshot("lrn", (0, 0), (0, 0));
        assert_eq!((metrics.timeouts, metrics.busy), (1, 1));
        assert_eq!(metrics.nanos.quantile(0.5), 1 << 29, "537 ms");
        assert_eq!(metrics.nanos.quantile(1.0), u64::MAX);
    }
}
