use crate::build::tally::BuildTally;
use crate::generation::Generation;
use crate::generation::live::Live;
use crate::generation::shadow::ShadowState;
use crate::generation::trial::Selection;
use crate::load::signature::Signer;
use crate::plugin::LastFault;
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
    /// The build that a rollback restores.
    pub previous: Option<Arc<PluginStamp>>,
    /// The build that decides a share of the calls.
    pub canary: Option<CanaryState>,
    /// The build that is asked and not obeyed.
    pub shadow: Option<ShadowState>,
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
        tally: version.tally.read(),
        previous: live.previous.as_ref().map(|version| Arc::clone(&version.stamp)),
        canary: live.canary.as_ref().map(|canary| CanaryState {
            stamp: Arc::clone(&canary.version.stamp),
            selection: canary.selection.clone(),
            tally: canary.version.tally.read(),
        }),
        shadow: live.shadow.as_ref().map(|shadow| shadow.state()),
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
