use crate::generation::Generation;
use crate::stats::{FaultCounts, Histogram};
use policy::{Hook, PluginStamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A plugin as `plugin list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginState {
    /// Name, version and short digest of the live build.
    pub stamp: Arc<PluginStamp>,
    /// SHA-256 of the bytes as they came, 64 hex digits.
    pub digest: String,
    /// What it says about itself.
    pub summary: String,
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
    /// Questions that the previous version had to answer.
    pub by_previous: u64,
    /// Faults since the host started.
    pub faults: FaultCounts,
    /// Half of the questions took at most this long, nanoseconds.
    pub p50_nanos: u64,
    /// 99 of 100 questions took at most this long, nanoseconds.
    pub p99_nanos: u64,
    /// Builds of it that calls can still ask, oldest first; the live one is the last.
    pub builds: Vec<LiveBuild>,
}

/// A build of a plugin that some generation still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBuild {
    /// Which build.
    pub stamp: Arc<PluginStamp>,
    /// Generations that hold it.
    pub generations: Vec<u64>,
    /// Pins on those generations: calls that ask this build.
    pub pinned: usize,
}

pub(crate) fn list(current: &Generation, lived: &[(Arc<Generation>, usize)]) -> Vec<PluginState> {
    let mut seen = Vec::new();
    let mut states = Vec::new();
    for version in current.versions() {
        if seen.contains(&&version.plugin.name) {
            continue;
        }
        seen.push(&version.plugin.name);
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
        states.push(PluginState {
            stamp: Arc::clone(&version.stamp),
            digest: version.digest.clone(),
            summary: version.summary.clone(),
            hooks: version.hooks.clone(),
            since_generation: version.since.load(Relaxed),
            path: version.path.clone(),
            loaded_at_ms: version.loaded_at_ms,
            self_test_cases: version.self_test_cases,
            answered,
            by_previous,
            faults,
            p50_nanos: nanos.quantile(0.5),
            p99_nanos: nanos.quantile(0.99),
            builds: builds(&version.plugin.name, lived),
        });
    }
    states
}

fn builds(plugin: &str, lived: &[(Arc<Generation>, usize)]) -> Vec<LiveBuild> {
    let mut builds: Vec<LiveBuild> = Vec::new();
    for (generation, pinned) in lived {
        let Some(version) = generation.version(plugin) else { continue };
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
