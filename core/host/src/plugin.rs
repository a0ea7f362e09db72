//! What all versions of one plugin share, and what all plugins of a host share.

use crate::components::Components;
use crate::counters::Counters;
use crate::holds::Holds;
use crate::http::Outside;
use crate::lane::Lane;
use crate::own_metrics::OwnMetrics;
use crate::stats::HookCounters;
use crate::ticker::Pace;
use crate::{LoadError, PluginSettings, SigningPolicy};
use policy::Hook;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Log lines a plugin may write in a second.
const LOG_LINES: u64 = 100;

/// Lines a minute about faults of one plugin: a plugin that fails is asked for each call.
const FAULT_LINES: u64 = 10;

/// Services of the node behind the host imports.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) counters: Counters,
    pub(crate) holds: Arc<Holds>,
    pub(crate) started: Instant,
    /// Where `host-random` starts from.
    pub(crate) random_seed: u64,
    /// Whose plugins may be loaded.
    pub(crate) signing: SigningPolicy,
    /// Those made before.
    pub(crate) components: Components,
    /// Instances alive now.
    pub(crate) instances: AtomicUsize,
    /// Who watches deadlines, and how finely.
    pub(crate) pace: Arc<Pace>,
    /// Started when it is first needed.
    pub(crate) lane: OnceLock<Lane>,
    /// In a replay: where time and random bits come from instead.
    pub(crate) recorded: Option<Recorded>,
}

/// What holds for the decision that is replayed now.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) utc_ms: AtomicU64,
    pub(crate) seed: AtomicU64,
}

impl Services {
    /// The lane, started if it is not yet.
    pub(crate) fn start_lane(&self) -> Result<&Lane, LoadError> {
        if self.lane.get().is_none() {
            // Of two loads at one time the second one's lane is dropped again, unused.
            let _ = self.lane.set(Lane::start()?);
        }
        self.lane().ok_or_else(|| LoadError::Engine("no threads for fibres".to_owned()))
    }

    /// The lane, if a plugin needed it.
    pub(crate) fn lane(&self) -> Option<&Lane> {
        self.lane.get()
    }

    /// Milliseconds since some moment: the clock of counters and limits.
    pub(crate) fn now_ms(&self) -> u64 {
        match &self.recorded {
            Some(recorded) => recorded.utc_ms.load(Relaxed),
            None => u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The time of day, UTC milliseconds.
    pub(crate) fn utc_ms(&self) -> u64 {
        match &self.recorded {
            Some(recorded) => recorded.utc_ms.load(Relaxed),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
        }
    }

    /// Where `host-random` starts from.
    pub(crate) fn seed(&self) -> u64 {
        self.recorded.as_ref().map_or(self.random_seed, |recorded| recorded.seed.load(Relaxed))
    }
}

/// One configured plugin: its settings and figures outlive its versions.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) settings: PluginSettings,
    pub(crate) name: Arc<str>,
    /// Position in the configuration: separates the plugin's counters from others'.
    pub(crate) number: u32,
    pub(crate) services: Arc<Services>,
    /// Lines that the plugin writes.
    pub(crate) log: LineLimit,
    /// Lines that the host writes about its faults.
    pub(crate) faults_logged: LineLimit,
    /// Figures of its own.
    pub(crate) own_metrics: OwnMetrics,
    /// What it may ask outside; none without the grant.
    pub(crate) outside: Option<Arc<Outside>>,
    stats: [HookCounters; Hook::ALL.len()],
}

impl Plugin {
    pub(crate) fn new(settings: PluginSettings, number: u32, services: Arc<Services>) -> Plugin {
        Plugin {
            name: Arc::from(settings.name.as_str()),
            outside: settings.http.clone().map(|http| Arc::new(Outside::new(http))),
            settings,
            number,
            services,
            log: LineLimit::new(LOG_LINES, Duration::from_secs(1)),
            faults_logged: LineLimit::new(FAULT_LINES, Duration::from_secs(60)),
            own_metrics: OwnMetrics::default(),
            stats: std::array::from_fn(|_| HookCounters::new()),
        }
    }

    pub(crate) fn stats(&self, hook: Hook) -> &HookCounters {
        &self.stats[hook as usize]
    }
}

/// Lets so many lines of a period pass and counts the rest.
#[derive(Debug)]
pub(crate) struct LineLimit {
    most: u64,
    period_ms: u64,
    /// Number of the period, from 1.
    period: AtomicU64,
    lines: AtomicU64,
}

/// Whether a line may be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinePass {
    /// Yes.
    Yes,
    /// Yes, and this many were held back in the period before.
    YesAfter(u64),
    /// No.
    No,
}

impl LineLimit {
    fn new(most: u64, period: Duration) -> LineLimit {
        let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
        LineLimit { most, period_ms, period: AtomicU64::new(0), lines: AtomicU64::new(0) }
    }

    pub(crate) fn pass(&self, now_ms: u64) -> LinePass {
        let period = now_ms / self.period_ms + 1;
        if self.period.swap(period, Relaxed) != period {
            let before = self.lines.swap(1, Relaxed);
            return match before.saturating_sub(self.most) {
                0 => LinePass::Yes,
                held => LinePass::YesAfter(held),
            };
        }
        if self.lines.fetch_add(1, Relaxed) < self.most { LinePass::Yes } else { LinePass::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chatty_plugin_is_cut_and_what_was_cut_is_counted() {
        let limit = LineLimit::new(100, Duration::from_secs(1));
        let passed = (0..150).filter(|_| limit.pass(0) == LinePass::Yes).count();
        assert_eq!(passed, 100);
        assert_eq!(limit.pass(1000), LinePass::YesAfter(50));
        assert_eq!(limit.pass(1001), LinePass::Yes);
    }
}
