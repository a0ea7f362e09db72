use crate::build::tally::BuildTally;
use crate::generation::Generation;
use crate::generation::live::Live;
use crate::generation::shadow::ShadowState;
use crate::generation::trial::{Canary, Selection};
use crate::load::signature::Signer;
use crate::outside::SendMetrics;
use crate::plugin::{LastFault, TakenBack};
use crate::services::stats::{FaultCounts, Histogram};
use policy::{Hook, PluginStamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A plugin as `plugin list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginState {
    /// Name, version and short digest of the live build.
    pub stamp: Arc<PluginStamp>,
    /// SHA-256 of the original bytes, 64 hex digits.
    pub digest: String,
    /// Who signed it.
    pub signer: Signer,
    /// Its summary of itself.
    pub summary: String,
    /// JSON Schema of its configuration; empty if it ships none.
    pub config_schema: String,
    /// The hooks that it answers.
    pub hooks: Vec<Hook>,
    /// The generation in which the live build went live.
    pub since_generation: u64,
    /// The file it came from; none for an upload.
    pub path: Option<PathBuf>,
    /// UTC milliseconds.
    pub loaded_at_ms: u64,
    /// How many of its own examples it passed.
    pub self_test_cases: u32,
    /// Questions answered since the host started.
    pub answered: u64,
    /// Questions that the previous version answered.
    pub by_previous: u64,
    /// Faults since the host started.
    pub faults: FaultCounts,
    /// The newest fault since the host started.
    pub last_fault: Option<LastFault>,
    /// Median time of a question, nanoseconds.
    pub p50_nanos: u64,
    /// 99th percentile of the time of a question, nanoseconds.
    pub p99_nanos: u64,
    /// Builds that calls can still ask, oldest first; the live one is the last.
    pub builds: Vec<LiveBuild>,
    /// Counts of the live build since it was loaded.
    pub tally: BuildTally,
    /// Most frequent end reasons of the failed calls that it decided.
    pub reasons: Vec<(String, u64)>,
    /// Median time of its questions, nanoseconds.
    pub build_p50_nanos: u64,
    /// 99th percentile of the time of its questions, nanoseconds.
    pub build_p99_nanos: u64,
    /// The breaker leaves it out after so many faults in a row.
    pub left_out: Option<u32>,
    /// Builds that the host took back since the start.
    pub taken_back: u64,
    /// The latest of these.
    pub last_taken_back: Option<TakenBack>,
    /// The build that a rollback restores.
    pub previous: Option<Arc<PluginStamp>>,
    /// The build that decides a share of the calls.
    pub canary: Option<CanaryState>,
    /// The build that is asked and not obeyed.
    pub shadow: Option<ShadowState>,
    /// Its requests that nobody waits for; none without the grant `http`.
    pub sends: Option<SendMetrics>,
}

/// A build of a plugin that some generation still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBuild {
    /// Which build.
    pub stamp: Arc<PluginStamp>,
    /// Generations that hold it.
    pub generations: Vec<u64>,
    /// Pins on those generations: calls that can ask this build.
    pub pinned: usize,
}

/// A canary as `plugin list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryState {
    /// Which build.
    pub stamp: Arc<PluginStamp>,
    /// Which calls it decides.
    pub selection: Selection,
    /// Its counts.
    pub tally: BuildTally,
    /// Most frequent end reasons of the failed calls that it decided.
    pub reasons: Vec<(String, u64)>,
    /// Median time of its questions, nanoseconds.
    pub p50_nanos: u64,
    /// 99th percentile of the time of its questions, nanoseconds.
    pub p99_nanos: u64,
}

pub(crate) fn list(current: &Generation, lived: &[(Arc<Generation>, usize)]) -> Vec<PluginState> {
    current.plugins().values().map(|live| state(live, lived)).collect()
}

fn state(live: &Live, lived: &[(Arc<Generation>, usize)]) -> PluginState {
    let version = &live.version;
    let mut answered = 0;
    let mut by_previous = 0;
    let mut faults = FaultCounts::default();
    let mut nanos = Histogram::default();
    for hook in &version.hooks {
        let metrics = version.plugin.stats(*hook).snapshot(&version.plugin.name, *hook);
        answered += metrics.answered;
        by_previous += metrics.by_previous;
        faults.add(metrics.faults);
        nanos.add(&metrics.nanos);
    }
    let figures = version.tally.figures();
    let (taken_back, last_taken_back) = version.plugin.taken_back();
    PluginState {
        stamp: Arc::clone(&version.stamp),
        digest: version.digest.clone(),
        signer: version.signer.clone(),
        summary: version.summary.clone(),
        config_schema: version.config_schema.clone(),
        hooks: version.hooks.clone(),
        since_generation: version.since.load(Relaxed),
        path: version.path.clone(),
        loaded_at_ms: version.loaded_at_ms,
        self_test_cases: version.self_test_cases,
        answered,
        by_previous,
        faults,
        last_fault: version.plugin.last_fault(),
        p50_nanos: nanos.quantile(0.5),
        p99_nanos: nanos.quantile(0.99),
        builds: builds(&version.plugin.name, lived),
        tally: figures.tally,
        reasons: version.tally.reasons(),
        build_p50_nanos: figures.nanos.quantile(0.5),
        build_p99_nanos: figures.nanos.quantile(0.99),
        left_out: version.breaker.open_after(),
        taken_back,
        last_taken_back,
        previous: live.previous.as_ref().map(|version| Arc::clone(&version.stamp)),
        canary: live.canary.as_ref().map(canary),
        shadow: live.shadow.as_ref().map(|shadow| shadow.state()),
        sends: version.plugin.outside.as_ref().map(|outside| outside.send_metrics()),
    }
}

fn canary(canary: &Canary) -> CanaryState {
    let tally = &canary.version.tally;
    let figures = tally.figures();
    CanaryState {
        stamp: Arc::clone(&canary.version.stamp),
        selection: canary.selection.clone(),
        tally: figures.tally,
        reasons: tally.reasons(),
        p50_nanos: figures.nanos.quantile(0.5),
        p99_nanos: figures.nanos.quantile(0.99),
    }
}

fn builds(plugin: &str, lived: &[(Arc<Generation>, usize)]) -> Vec<LiveBuild> {
    let mut builds: Vec<LiveBuild> = Vec::new();
    for (generation, pinned) in lived {
        let Some(live) = generation.plugin(plugin) else { continue };
        let version = &live.version;
        match builds.iter_mut().find(|build| build.stamp == version.stamp) {
            Some(build) => {
                build.generations.push(generation.number());
                build.pinned += pinned;
            }
            None => builds.push(LiveBuild {
                stamp: Arc::clone(&version.stamp),
                generations: vec![generation.number()],
                pinned: *pinned,
            }),
        }
    }
    builds
}
