//! State that all versions of one plugin share, and services that all plugins of a host share.

use crate::error::LoadError;
use crate::load::artifact::Intake;
use crate::outside::lane::Lanes;
use crate::outside::{self, Outside};
use crate::services::counters::Counters;
use crate::services::holds::Holds;
use crate::services::own_metrics::OwnMetrics;
use crate::services::stats::HookCounters;
use crate::services::ticker::Pace;
use crate::settings::PluginSettings;
use policy::{Fault, Hook, PluginStamp};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Log lines that a plugin may write per second.
const LOG_LINES: u64 = 100;

/// Log lines per minute about faults of one plugin: a failing plugin is asked for every call.
const FAULT_LINES: u64 = 10;

/// Separates the counters and places of a shadow from those of the live build.
pub(crate) const SHADOW_NUMBER: u32 = 1 << 31;

/// Services of the node behind the host imports.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) counters: Counters,
    pub(crate) holds: Arc<Holds>,
    pub(crate) started: Instant,
    /// Seed of `host-random`.
    pub(crate) random_seed: u64,
    pub(crate) intake: Intake,
    /// Instances alive now.
    pub(crate) instances: AtomicUsize,
    /// The state of the thread that checks deadlines.
    pub(crate) pace: Arc<Pace>,
    /// Each is started when first needed.
    pub(crate) lanes: Lanes,
    /// In a replay: the source of time and random bits.
    pub(crate) recorded: Option<Recorded>,
}

/// Time and seed of the decision being replayed.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) utc_ms: AtomicU64,
    pub(crate) seed: AtomicU64,
}

impl Services {
    /// Milliseconds since an arbitrary start: the clock of counters and limits.
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
            None => platform::utc_ms(),
        }
    }

    /// Seed of `host-random`.
    pub(crate) fn seed(&self) -> u64 {
        self.recorded.as_ref().map_or(self.random_seed, |recorded| recorded.seed.load(Relaxed))
    }
}

/// One configured plugin: its settings and figures outlive its versions.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) settings: PluginSettings,
    /// What the next build is configured with; begins with that of the settings.
    config: Mutex<Arc<serde_json::Value>>,
    pub(crate) name: Arc<str>,
    /// Position in the configuration; separates the plugin's counters from those of others.
    pub(crate) number: u32,
    pub(crate) services: Arc<Services>,
    /// Lines that the plugin writes.
    pub(crate) log: LineLimit,
    /// Lines that the host writes about the plugin's faults.
    pub(crate) faults_logged: LineLimit,
    /// The newest fault of any build.
    last_fault: Mutex<Option<LastFault>>,
    /// The plugin's own figures.
    pub(crate) own_metrics: OwnMetrics,
    /// Its requests to outside servers; none without the grant.
    pub(crate) outside: Option<Arc<Outside>>,
    /// The latest build that the host took back, and how many there were since the start.
    taken_back: Mutex<(u64, Option<TakenBack>)>,
    stats: [HookCounters; Hook::ALL.len()],
}

/// A build that the host took back by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// UTC milliseconds.
    pub at_ms: u64,
    /// Which build.
    pub build: Arc<PluginStamp>,
    /// It was a canary; the live build did not change.
    pub was_canary: bool,
    /// The reason, as text for the operator.
    pub why: String,
}

impl Plugin {
    pub(crate) fn new(settings: PluginSettings, number: u32, services: Arc<Services>) -> Plugin {
        Plugin {
            name: Arc::from(settings.name.as_str()),
            outside: settings.http.clone().map(|http| Arc::new(Outside::new(http))),
            config: Mutex::new(Arc::new(settings.config.clone())),
            settings,
            number,
            services,
            log: LineLimit::new(LOG_LINES, Duration::from_secs(1)),
            faults_logged: LineLimit::new(FAULT_LINES, Duration::from_secs(60)),
            last_fault: Mutex::default(),
            own_metrics: OwnMetrics::default(),
            taken_back: Mutex::default(),
            stats: std::array::from_fn(|_| HookCounters::new()),
        }
    }

    /// What builds that are loaded from now on are configured with.
    pub(crate) fn config(&self) -> Arc<serde_json::Value> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_config(&self, config: Arc<serde_json::Value>) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// How many builds were taken back since the start, and the latest.
    pub(crate) fn taken_back(&self) -> (u64, Option<TakenBack>) {
        self.taken_back.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_taken_back(&self, taken_back: TakenBack) {
        let mut latest = self.taken_back.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = (latest.0 + 1, Some(taken_back));
    }

    /// Whether its answers are only compared.
    pub(crate) fn is_shadow(&self) -> bool {
        self.number & SHADOW_NUMBER != 0
    }

    /// Keeps the fault for [`Plugin::last_fault`], unless it is a plugin's own decision or only
    /// follows from another one.
    pub(crate) fn note_fault(&self, build: &Arc<PluginStamp>, hook: Hook, fault: &Fault) {
        if fault.is_deliberate() || matches!(fault, Fault::Starting) {
            return;
        }
        let last = LastFault {
            at_ms: platform::utc_ms(),
            build: Arc::clone(build),
            hook,
            fault: fault.clone(),
        };
        *self.last_fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// The newest fault of any build since the host started.
    pub(crate) fn last_fault(&self) -> Option<LastFault> {
        self.last_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn stats(&self, hook: Hook) -> &HookCounters {
        &self.stats[hook as usize]
    }
}

/// A fault of a plugin, as `plugin show` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFault {
    /// When, UTC milliseconds.
    pub at_ms: u64,
    /// The build that failed.
    pub build: Arc<PluginStamp>,
    /// The hook that was asked.
    pub hook: Hook,
    /// How it failed.
    pub fault: Fault,
}

/// Checks the settings of a plugin, except its own configuration.
pub(crate) fn check(settings: &PluginSettings) -> Result<(), LoadError> {
    let wrong = |field, value: String, allowed| {
        Err(LoadError::Setting { plugin: settings.name.clone(), field, value, allowed })
    };
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if settings.name.is_empty() || settings.name.len() > 64 || !settings.name.bytes().all(letters) {
        return wrong("name", format!("{:?}", settings.name), "1 to 64 of a-z, 0-9 and -");
    }
    if !(2..=1000).contains(&settings.deadline_ms) {
        return wrong("deadline_ms", settings.deadline_ms.to_string(), "2 to 1000");
    }
    if !((64 << 10)..=(1 << 30)).contains(&settings.memory_bytes) {
        return wrong("memory_bytes", settings.memory_bytes.to_string(), "65536 to 1073741824");
    }
    outside::check(settings)
}

/// Lets a limited number of lines per period pass and counts the rest.
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
    /// Yes, and this many were suppressed in the previous period.
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
