use crate::artifact::{Artifact, Source};
use crate::counters::Counters;
use crate::engine::{Ticker, engine};
use crate::generation::Generation;
use crate::holds::Holds;
use crate::plugin::{Plugin, Services};
use crate::reaper::Reaper;
use crate::sandbox::Sandbox;
use crate::shard::ShardHost;
use crate::state::PluginState;
use crate::stats::HookMetrics;
use crate::version::Version;
use crate::{
    Grant, HostSettings, LoadError, OwnMetric, PluginSettings, ScreeningFallback, imports,
};
use arc_swap::ArcSwap;
use policy::{Hook, Lookup, Pin, PluginStamp};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;
use wasmtime::component::Linker;

/// Counters that `host-counters` keeps at most, over all plugins.
const COUNTER_KEYS: usize = 1_000_000;

/// Loads plugins, hands generations of them to calls, and swaps them while calls run.
/// Cloning is cheap; all clones are one host.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    linker: Linker<Sandbox>,
    pub(crate) plugins: BTreeMap<String, Arc<Plugin>>,
    services: Arc<Services>,
    pub(crate) current: ArcSwap<Generation>,
    /// Generations that some call may still pin.
    lived: Mutex<Vec<(u64, Weak<Generation>)>>,
    swapping: Mutex<()>,
    shards: usize,
    shards_made: AtomicUsize,
    pub(crate) reaper: Reaper,
    _ticker: Ticker,
}

/// What a swap did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapReport {
    /// The build that was live.
    pub from: Arc<PluginStamp>,
    /// The build that is live now.
    pub to: Arc<PluginStamp>,
    /// Wall time of compilation, or of the lookup in the cache.
    pub compile_ms: u64,
    /// How many of its own examples the new build passed.
    pub self_test_cases: u32,
    /// The generation that new calls pin. It did not grow when the bytes are those that
    /// were live already: then `from` is `to`.
    pub generation: u64,
}

impl Host {
    /// Starts the engine and loads every plugin; nothing is live before all are good.
    ///
    /// # Errors
    /// The first setting, file or plugin that is not usable.
    pub fn new(settings: HostSettings) -> Result<Host, LoadError> {
        let engine = engine(&settings)?;
        let linker = imports::linker(&engine)
            .map_err(|cause| LoadError::Engine(format!("host imports: {cause:#}")))?;
        let ticker = Ticker::start(&engine)?;
        let reaper = Reaper::start()?;
        let services = Arc::new(Services {
            counters: Counters::new(COUNTER_KEYS),
            started: Instant::now(),
            holds: Arc::new(Holds::new()),
            random_seed: settings.random_seed.unwrap_or_else(|| StdRng::from_os_rng().next_u64()),
            instances: AtomicUsize::new(0),
            pace: ticker.pace(),
        });
        let shards = settings.shards.max(1);
        let mut plugins = BTreeMap::new();
        let mut versions = Vec::new();
        for (number, settings) in (0..).zip(settings.plugins) {
            check(&settings)?;
            let name = settings.name.clone();
            let plugin = Arc::new(Plugin::new(settings, number, Arc::clone(&services)));
            let artifact = Artifact::read(&name, plugin.settings.path.clone().into())?;
            versions.push(Arc::new(Version::load(&linker, &plugin, artifact, shards)?));
            if plugins.insert(name.clone(), plugin).is_some() {
                return Err(LoadError::Twice(name));
            }
        }
        let first = Arc::new(Generation::first(versions, &reaper)?);
        Ok(Host {
            inner: Arc::new(Inner {
                linker,
                plugins,
                services,
                lived: Mutex::new(vec![(first.number(), Arc::downgrade(&first))]),
                current: ArcSwap::new(first),
                swapping: Mutex::new(()),
                shards,
                shards_made: AtomicUsize::new(0),
                reaper,
                _ticker: ticker,
            }),
        })
    }

    /// The generation that a call arriving now gets.
    #[must_use]
    pub fn current(&self) -> Arc<Generation> {
        self.inner.current.load_full()
    }

    /// Pins the current generation for a call, together with its snapshot's lookups.
    #[must_use]
    pub fn pin(&self, lookup: Arc<dyn Lookup>) -> Pin {
        let generation = self.current();
        Pin {
            generation: generation.number(),
            hears_events: generation.stamp(Hook::Events).is_some(),
            wants_details: generation.wants_details(),
            notes: Arc::default(),
            policy: generation as Arc<dyn Any + Send + Sync>,
            lookup,
        }
    }

    /// The instances of one signalling thread.
    #[must_use]
    pub fn shard(&self) -> ShardHost {
        let number = self.inner.shards_made.fetch_add(1, Relaxed) % self.inner.shards;
        ShardHost::new(Arc::clone(&self.inner), number)
    }

    /// Puts another build of a configured plugin in place of the live one: compiled,
    /// instantiated and self-tested aside, then live for new calls by one atomic store.
    /// Calls that are up keep the generation they pinned. Swaps wait for each other; call
    /// it from a thread that may wait some tens of milliseconds.
    ///
    /// # Errors
    /// What is wrong with the new build; the live one stays live.
    pub fn swap(&self, name: &str, source: impl Into<Source>) -> Result<SwapReport, LoadError> {
        let plugin = self.inner.plugin(name)?;
        let artifact = Artifact::read(name, source.into())?;
        self.publish(plugin, artifact)
    }

    /// [`Host::swap`] for a file of the watched folder. It belongs to the plugin that is
    /// loaded from this path, else to the one with the file's stem for a name (what
    /// follows a first `.` or `@` does not count), else to the one it says it is.
    ///
    /// # Errors
    /// As [`Host::swap`]; [`LoadError::HalfWritten`] while the file is being copied: try
    /// again at the next change.
    pub fn swap_file(&self, path: &Path) -> Result<SwapReport, LoadError> {
        let plugins = &self.inner.plugins;
        let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = stem.split(['.', '@']).next().unwrap_or_default();
        let named = plugins.values().find(|plugin| plugin.settings.path == path);
        let named = named.or_else(|| plugins.get(stem));
        let artifact = Artifact::read(stem, path.into())?;
        let plugin = match named {
            Some(plugin) => plugin,
            None => self.inner.plugin(&self.name_of(stem, path, &artifact)?)?,
        };
        self.publish(plugin, artifact)
    }

    /// Loads a build as a swap would, without making it live: what `plugin check` does.
    ///
    /// # Errors
    /// As [`Host::swap`].
    pub fn check(&self, name: &str, source: impl Into<Source>) -> Result<PluginStamp, LoadError> {
        let plugin = self.inner.plugin(name)?;
        let artifact = Artifact::read(name, source.into())?;
        let version = Version::load(&self.inner.linker, plugin, artifact, self.inner.shards)?;
        Ok(PluginStamp::clone(&version.stamp))
    }

    /// Every plugin as it stands.
    #[must_use]
    pub fn list(&self) -> Vec<PluginState> {
        crate::state::list(&self.inner.current.load(), &self.lived())
    }

    /// Figures of each plugin at each hook that it answers.
    #[must_use]
    pub fn metrics(&self) -> Vec<HookMetrics> {
        let current = self.inner.current.load();
        Hook::ALL
            .into_iter()
            .filter_map(|hook| Some((hook, current.bound(hook)?)))
            .map(|(hook, bound)| {
                let plugin = &bound.version.plugin;
                plugin.stats(hook).snapshot(&plugin.name, hook)
            })
            .collect()
    }

    /// Figures that plugins keep themselves: plugin, name, figure.
    #[must_use]
    pub fn own_metrics(&self) -> Vec<(Arc<str>, String, OwnMetric)> {
        let of = |plugin: &Arc<Plugin>| {
            let (figures, _) = plugin.own_metrics.read();
            let name = Arc::clone(&plugin.name);
            figures.into_iter().map(move |(figure, value)| (Arc::clone(&name), figure, value))
        };
        self.inner.plugins.values().flat_map(of).collect()
    }

    /// Instances alive now, over all shards and generations.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.inner.services.instances.load(Relaxed)
    }

    /// Counters kept now for `host-counters`.
    #[must_use]
    pub fn counter_keys(&self) -> usize {
        self.inner.services.counters.len()
    }

    /// What a call does when screening does not answer.
    #[must_use]
    pub fn screening_fallback(&self) -> ScreeningFallback {
        let current = self.inner.current.load();
        current
            .bound(Hook::Screening)
            .map(|bound| bound.version.plugin.settings.screening_fallback)
            .unwrap_or_default()
    }

    /// What a plugin calls itself, asked on an instance that nothing else meets.
    fn name_of(&self, stem: &str, path: &Path, artifact: &Artifact) -> Result<String, LoadError> {
        let settings = PluginSettings {
            grants: Grant::ALL.into_iter().collect(),
            ..PluginSettings::new(stem, path)
        };
        let stranger = Plugin::new(settings, u32::MAX, Arc::clone(&self.inner.services));
        Version::name_of(&self.inner.linker, &Arc::new(stranger), artifact)
    }

    fn publish(&self, plugin: &Arc<Plugin>, artifact: Artifact) -> Result<SwapReport, LoadError> {
        let _one_at_a_time = self.inner.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        let unknown = || self.inner.unknown(&plugin.name);
        let live = current.version(&plugin.name).ok_or_else(unknown)?;
        if live.digest == artifact.digest {
            return Ok(SwapReport {
                from: Arc::clone(&live.stamp),
                to: Arc::clone(&live.stamp),
                compile_ms: 0,
                self_test_cases: live.self_test_cases,
                generation: current.number(),
            });
        }
        let version =
            Arc::new(Version::load(&self.inner.linker, plugin, artifact, self.inner.shards)?);
        let report = SwapReport {
            from: Arc::clone(&live.stamp),
            to: Arc::clone(&version.stamp),
            compile_ms: version.compile_ms,
            self_test_cases: version.self_test_cases,
            generation: current.number() + 1,
        };
        let next = Arc::new(current.next(version)?);
        let mut lived = self.inner.lived.lock().unwrap_or_else(PoisonError::into_inner);
        lived.retain(|(_, generation)| generation.strong_count() > 0);
        lived.push((next.number(), Arc::downgrade(&next)));
        drop(lived);
        self.inner.current.store(next);
        tracing::info!(from = %report.from, to = %report.to, generation = report.generation, "plugin swapped");
        Ok(report)
    }

    /// Generations that are alive, oldest first, and how many calls pin each.
    fn lived(&self) -> Vec<(Arc<Generation>, usize)> {
        let lived = self.inner.lived.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.inner.current.load().number();
        lived
            .iter()
            .filter_map(|(number, generation)| {
                let generation = generation.upgrade()?;
                // The reference just made, and the one of `current`, are no calls.
                let others = 1 + usize::from(*number == current);
                let pinned = Arc::strong_count(&generation).saturating_sub(others);
                Some((generation, pinned))
            })
            .collect()
    }
}

impl Inner {
    fn plugin(&self, name: &str) -> Result<&Arc<Plugin>, LoadError> {
        self.plugins.get(name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> LoadError {
        let known: Vec<&str> = self.plugins.keys().map(String::as_str).collect();
        LoadError::UnknownPlugin { name: name.to_owned(), known: known.join(", ") }
    }
}

fn check(settings: &PluginSettings) -> Result<(), LoadError> {
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
    Ok(())
}
