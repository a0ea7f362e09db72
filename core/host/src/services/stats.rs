use super::loss::Loss;
use policy::{Fault, Hook};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Figures of one plugin at one hook since the host started; they survive swaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookMetrics {
    /// The plugin's name.
    pub plugin: String,
    /// The hook.
    pub hook: Hook,
    /// Questions answered by the version that was asked first, including rejections.
    pub answered: u64,
    /// Answered questions in which the plugin returned its own error instead of a decision.
    pub refused: u64,
    /// Answers after which a call, or its attempt, does not go on.
    pub losses: LossCounts,
    /// Questions answered by the previous version after a fault.
    pub by_previous: u64,
    /// Questions without a usable answer of the version asked first.
    pub faults: FaultCounts,
    /// Time of each question, answered or not.
    pub nanos: Histogram,
}

/// Answers by which a call is lost, by kind. Each may be right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounts {
    /// Rejections, ends of calls that are up, and callees that no call can have (NUM-03).
    pub rejected: u64,
    /// Rejections because no usable vendor trunk is left, including lists without a candidate.
    pub no_candidate: u64,
    /// Challenges.
    pub challenged: u64,
    /// Failed attempts after which no other vendor trunk is tried.
    pub stopped: u64,
}

impl LossCounts {
    /// Each kind with its name in metrics.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 4] {
        [
            ("rejected", self.rejected),
            ("no_candidate", self.no_candidate),
            ("challenged", self.challenged),
            ("stopped", self.stopped),
        ]
    }
}

/// Faults by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// It ran past its deadline.
    pub deadline: u64,
    /// It trapped.
    pub trap: u64,
    /// It requested more memory than allowed.
    pub memory: u64,
    /// Its answer was unusable for a call.
    pub nonsense: u64,
    /// It waited too long for an outside server.
    pub timeout: u64,
    /// Too many of its questions were waiting.
    pub busy: u64,
    /// The instance after a fault was not ready.
    pub starting: u64,
    /// It was not asked, because the breaker left it out.
    pub left_out: u64,
}

impl FaultCounts {
    /// All kinds together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }

    /// Each kind with its name in metrics.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("deadline", self.deadline),
            ("trap", self.trap),
            ("memory", self.memory),
            ("nonsense", self.nonsense),
            ("timeout", self.timeout),
            ("busy", self.busy),
            ("starting", self.starting),
            ("left_out", self.left_out),
        ]
    }

    pub(crate) fn add(&mut self, other: FaultCounts) {
        self.deadline += other.deadline;
        self.trap += other.trap;
        self.memory += other.memory;
        self.nonsense += other.nonsense;
        self.timeout += other.timeout;
        self.busy += other.busy;
        self.starting += other.starting;
        self.left_out += other.left_out;
    }
}

/// Times by bucket. Those of questions have four buckets per octave from 64 ns to 4.3 s, so a
/// quantile is exact to 19 %.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Upper bound in nanoseconds, and the number of times above the previous bound up to this one;
    /// the last bound is `u64::MAX`.
    pub buckets: Vec<(u64, u64)>,
    /// Sum of all times, nanoseconds.
    pub sum: u64,
}

impl Histogram {
    /// Number of recorded times.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Upper bound of the bucket that contains the quantile `q` (0 to 1); 0 if empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> u64 {
        let count = self.count();
        let wanted = ((count as f64 * q).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (bound, here) in &self.buckets {
            seen += here;
            if seen >= wanted {
                return *bound;
            }
        }
        0
    }

    pub(crate) fn add(&mut self, other: &Histogram) {
        if self.buckets.is_empty() {
            self.buckets = other.buckets.clone();
        } else {
            for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
                mine.1 += theirs.1;
            }
        }
        self.sum += other.sum;
    }

    /// The times that were added after `earlier`, a reading of the same counters.
    pub(crate) fn since(&self, earlier: &Histogram) -> Histogram {
        let then = |at: usize| earlier.buckets.get(at).map_or(0, |(_, count)| *count);
        let left =
            |(at, (bound, count)): (usize, &(u64, u64))| (*bound, count.saturating_sub(then(at)));
        Histogram {
            buckets: self.buckets.iter().enumerate().map(left).collect(),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }
}

const FIRST_OCTAVE: u32 = 6;
const OCTAVES: usize = 26;
const BUCKETS: usize = OCTAVES * 4 + 1;

/// The counters behind [`HookMetrics`]; each shard adds to the same ones.
#[derive(Debug)]
pub(crate) struct HookCounters {
    answered: AtomicU64,
    refused: AtomicU64,
    by_previous: AtomicU64,
    rejected: AtomicU64,
    no_candidate: AtomicU64,
    challenged: AtomicU64,
    stopped: AtomicU64,
    faults: [AtomicU64; 8],
    times: Times,
    sum: AtomicU64,
}

/// The counters of the buckets of a [`Histogram`].
#[derive(Debug)]
pub(crate) struct Times([AtomicU64; BUCKETS]);

impl Default for Times {
    fn default() -> Self {
        Times(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Times {
    pub(crate) fn note(&self, nanos: u64) {
        self.0[bucket(nanos)].fetch_add(1, Relaxed);
    }

    /// The histogram without a sum.
    pub(crate) fn read(&self) -> Histogram {
        let buckets = self.0.iter().enumerate().map(|(at, count)| (bound(at), count.load(Relaxed)));
        Histogram { buckets: buckets.collect(), sum: 0 }
    }
}

impl HookCounters {
    pub(crate) fn new() -> HookCounters {
        HookCounters {
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            by_previous: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            no_candidate: AtomicU64::new(0),
            challenged: AtomicU64::new(0),
            stopped: AtomicU64::new(0),
            faults: std::array::from_fn(|_| AtomicU64::new(0)),
            times: Times::default(),
            sum: AtomicU64::new(0),
        }
    }

    pub(crate) fn note(&self, fault: Option<&Fault>, by_previous: bool, nanos: u64) {
        match fault {
            None => self.answered.fetch_add(1, Relaxed),
            Some(Fault::Deadline(..)) => self.faults[0].fetch_add(1, Relaxed),
            Some(Fault::Trap(_) | Fault::Absent) => self.faults[1].fetch_add(1, Relaxed),
            Some(Fault::Memory(_)) => self.faults[2].fetch_add(1, Relaxed),
            Some(Fault::Nonsense(_)) => self.faults[3].fetch_add(1, Relaxed),
            Some(Fault::Refused(_)) => {
                self.refused.fetch_add(1, Relaxed);
                self.answered.fetch_add(1, Relaxed)
            }
            Some(Fault::Timeout(_)) => self.faults[4].fetch_add(1, Relaxed),
            Some(Fault::Busy(_)) => self.faults[5].fetch_add(1, Relaxed),
            Some(Fault::Starting) => self.faults[6].fetch_add(1, Relaxed),
            Some(Fault::LeftOut(_)) => self.faults[7].fetch_add(1, Relaxed),
        };
        if by_previous {
            self.by_previous.fetch_add(1, Relaxed);
        }
        self.times.note(nanos);
        self.sum.fetch_add(nanos, Relaxed);
    }

    /// Counts an answer after which the call or its attempt does not go on.
    pub(crate) fn note_loss(&self, loss: Loss) {
        let counter = match loss {
            Loss::NoCandidate => &self.no_candidate,
            Loss::Reject => &self.rejected,
            Loss::Challenge => &self.challenged,
            Loss::Stop => &self.stopped,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self, plugin: &str, hook: Hook) -> HookMetrics {
        let fault = |kind: usize| self.faults[kind].load(Relaxed);
        HookMetrics {
            plugin: plugin.to_owned(),
            hook,
            answered: self.answered.load(Relaxed),
            refused: self.refused.load(Relaxed),
            losses: LossCounts {
                rejected: self.rejected.load(Relaxed),
                no_candidate: self.no_candidate.load(Relaxed),
                challenged: self.challenged.load(Relaxed),
                stopped: self.stopped.load(Relaxed),
            },
            by_previous: self.by_previous.load(Relaxed),
            faults: FaultCounts {
                deadline: fault(0),
                trap: fault(1),
                memory: fault(2),
                nonsense: fault(3),
                timeout: fault(4),
                busy: fault(5),
                starting: fault(6),
                left_out: fault(7),
            },
            nanos: Histogram { sum: self.sum.load(Relaxed), ..self.times.read() },
        }
    }
}

/// The first bucket whose bound is at least `nanos`.
fn bucket(nanos: u64) -> usize {
    if nanos <= 1 << FIRST_OCTAVE {
        return 0;
    }
    let below = nanos - 1;
    let octave = below.ilog2();
    let quarter = (below >> (octave - 2)) & 3;
    (((octave - FIRST_OCTAVE) * 4) as usize + quarter as usize + 1).min(BUCKETS - 1)
}

fn bound(bucket: usize) -> u64 {
    if bucket == 0 {
        return 1 << FIRST_OCTAVE;
    }
    if bucket == BUCKETS - 1 {
        return u64::MAX;
    }
    let base = 1u64 << (FIRST_OCTAVE as usize + (bucket - 1) / 4);
    base + base / 4 * ((bucket - 1) % 4 + 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_falls_under_the_smallest_bound_that_holds_it() {
        for nanos in [0, 1, 64, 65, 80, 81, 1000, 1024, 1025, 123_456, 60_000_000] {
            let at = bucket(nanos);
            assert!(nanos <= bound(at), "{nanos} above bucket {at}");
            assert!(at == 0 || nanos > bound(at - 1), "{nanos} fits below bucket {at}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_come_from_the_buckets() {
        let counters = HookCounters::new();
        for _ in 0..99 {
            counters.note(None, false, 1000);
        }
        counters.note(Some(&Fault::Deadline(5, String::new())), false, 5_000_000);
        let metrics = counters.snapshot("rating", Hook::Rating);
        assert_eq!((metrics.answered, metrics.faults.deadline), (99, 1));
        assert_eq!(metrics.nanos.quantile(0.5), 1024);
        assert!(metrics.nanos.quantile(0.999) >= 5_000_000);
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }
}
