use crate::ask::asker::Shared;
use crate::ask::events::EventQueue;
use crate::ask::shard::ShardHost;
use crate::build::version::Version;
use crate::error::LoadError;
use crate::generation::Generation;
use crate::generation::chain::ChainSettings;
use crate::generation::live::Live;
use crate::generation::shadow::ShadowThread;
use crate::guest::engine::engine;
use crate::guest::imports::Linkers;
use crate::life::state::PluginState;
use crate::load::artifact::{Artifact, Intake, Source};
use crate::load::components::{Components, is_safe_cache};
use crate::load::signature::SigningPolicy;
use crate::outside::HttpMetrics;
use crate::outside::lane::Lanes;
use crate::plugin::{Plugin, Services, check};
use crate::services::compiler::Compiler;
use crate::services::counters::Counters;
use crate::services::holds::Holds;
use crate::services::own_metrics::OwnMetric;
use crate::services::reaper::Reaper;
use crate::services::stats::HookMetrics;
use crate::services::ticker::Ticker;
use crate::settings::{HostSettings, PluginSettings};
use arc_swap::ArcSwap;
use policy::{Hook, Lookup, Pin, PluginStamp};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

/// Maximum number of counters of `host-counters`, over all plugins.
const COUNTER_KEYS: usize = 1_000_000;

/// Loads plugins, gives generations of them to calls, and swaps them while calls run. Cloning is
/// cheap; all clones are one host.
#[derive(Clone)]
pub struct Host {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) linkers: Linkers,
    compiler: Compiler,
    pub(crate) plugins: BTreeMap<String, Arc<Plugin>>,
    /// Plugin names in the order of the configuration.
    order: Vec<Arc<str>>,
    pub(crate) chains: Mutex<Vec<ChainSettings>>,
    pub(crate) shared: Arc<Shared>,
    /// Generations that some call may still pin.
    lived: Mutex<Vec<(u64, Weak<Generation>)>>,
    changing: Mutex<()>,
    shards_made: AtomicUsize,
    pub(crate) reaper: Reaper,
}

/// The result of a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapReport {
    /// The build that was live.
    pub from: Arc<PluginStamp>,
    /// The build that is live now.
    pub to: Arc<PluginStamp>,
    /// Wall time of compilation, or of the look-up in the cache.
    pub compile_ms: u64,
    /// How many of its own examples the new build passed.
    pub self_test_cases: u32,
    /// The generation that new calls pin. It does not grow if the same bytes were already live:
    /// then `from` equals `to`.
    pub generation: u64,
}

impl Host {
    /// Starts the engine and loads every plugin; none is live until all are good.
    ///
    /// # Errors
    /// The first unusable setting, file or plugin.
    pub fn new(settings: HostSettings) -> Result<Host, LoadError> {
        Host::signed(settings, SigningPolicy::default())
    }

    /// [`Host::new`] that loads only files that its keys allow, now and at every swap.
    ///
    /// # Errors
    /// As [`Host::new`]; also a file whose signature is missing or wrong.
    pub fn signed(mut settings: HostSettings, signing: SigningPolicy) -> Result<Host, LoadError> {
        settings.cache_dir = settings.cache_dir.filter(|cache| is_safe_cache(cache));
        let engine = engine(&settings)?;
        let linkers = Linkers::new(&engine)
            .map_err(|cause| LoadError::Engine(format!("host imports: {cause:#}")))?;
        let ticker = Ticker::start(&engine)?;
        let housekeeping = settings.housekeeping;
        let reaper = Reaper::start(housekeeping.clone())?;
        let services = Arc::new(Services {
            counters: Counters::new(COUNTER_KEYS),
            started: Instant::now(),
            holds: Arc::new(Holds::new()),
            random_seed: settings.random_seed.unwrap_or_else(|| StdRng::from_os_rng().next_u64()),
            intake: Intake {
                signing,
                components: Components::in_cache(settings.cache_dir.as_deref()),
            },
            instances: AtomicUsize::new(0),
            pace: ticker.pace(),
            lanes: Lanes::new(housekeeping.clone()),
            recorded: None,
        });
        let shards = settings.shards.max(1);
        let mut plugins = BTreeMap::new();
        let mut order = Vec::new();
        let mut live = BTreeMap::new();
        for (number, settings) in (0..).zip(settings.plugins) {
            check(&settings)?;
            let name = settings.name.clone();
            let plugin = Arc::new(Plugin::new(settings, number, Arc::clone(&services)));
            let artifact =
                Artifact::read(&name, plugin.settings.path.clone().into(), &services.intake)?;
            let version = Version::load(&linkers, &plugin, artifact, shards, &reaper)?;
            version.set_since(1);
            order.push(Arc::clone(&plugin.name));
            live.insert(Arc::clone(&plugin.name), Arc::new(Live::alone(Arc::new(version))));
            if plugins.insert(name.clone(), plugin).is_some() {
                return Err(LoadError::Twice(name));
            }
        }
        let first = Arc::new(Generation::new(1, live, &order, &[], &reaper)?);
        Ok(Host {
            inner: Arc::new(Inner {
                linkers,
                // The first builds were compiled at full speed: there were no calls to disturb.
                compiler: Compiler::start(housekeeping.clone())?,
                plugins,
                order,
                chains: Mutex::default(),
                lived: Mutex::new(vec![(first.number(), Arc::downgrade(&first))]),
                shared: Arc::new(Shared {
                    services,
                    current: ArcSwap::new(first),
                    shadows: ShadowThread::start(shards, housekeeping.clone())?,
                    events: EventQueue::start(housekeeping)?,
                    shards,
                    _ticker: ticker,
                }),
                changing: Mutex::new(()),
                shards_made: AtomicUsize::new(0),
                reaper,
            }),
        })
    }

    /// The generation that a call arriving now gets.
    #[must_use]
    pub fn current(&self) -> Arc<Generation> {
        self.inner.shared.current.load_full()
    }

    /// Pins the current generation for a call, together with its snapshot's lookups.
    #[must_use]
    pub fn pin(&self, lookup: Arc<dyn Lookup>) -> Pin {
        let generation = self.current();
        Pin {
            generation: generation.number(),
            hears_events: generation.answers(Hook::Events),
            supervised: generation.supervised(),
            wants_details: generation.wants_details(),
            notes: Arc::default(),
            policy: generation as Arc<dyn Any + Send + Sync>,
            lookup,
        }
    }

    /// The instances of one signalling thread.
    #[must_use]
    pub fn shard(&self) -> ShardHost {
        let number = self.inner.shards_made.fetch_add(1, Relaxed) % self.inner.shared.shards;
        ShardHost::new(Arc::clone(&self.inner.shared), number)
    }

    /// Replaces the live build of a configured plugin: the new build is compiled, instantiated and
    /// self-tested on other threads, then made live for new calls by one atomic store. Running
    /// calls keep the generation that they pinned. The build may have another name than the plugin
    /// that it replaces. Swaps wait for each other; call this from a thread that may block for some
    /// tens of milliseconds.
    ///
    /// # Errors
    /// What is wrong with the new build; the live one stays live.
    pub fn swap(&self, name: &str, source: impl Into<Source>) -> Result<SwapReport, LoadError> {
        let plugin = self.inner.plugin(name)?;
        let artifact = self.named(name, source.into())?;
        self.publish(plugin, artifact)
    }

    /// [`Host::swap`] for a file of the watched folder. The file belongs to the plugin that is
    /// loaded from this path, else to the plugin named like the file's stem (up to the first `.` or
    /// `@`). The name inside the file does not count: builds for trials are in such folders too.
    ///
    /// # Errors
    /// As [`Host::swap`]; [`LoadError::UnknownPlugin`] if it belongs to none;
    /// [`LoadError::HalfWritten`] while the file is being copied: try again at the next change.
    pub fn swap_file(&self, path: &Path) -> Result<SwapReport, LoadError> {
        let plugins = &self.inner.plugins;
        let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = stem.split(['.', '@']).next().unwrap_or_default();
        let named = plugins.values().find(|plugin| plugin.settings.path == path);
        let plugin = named.or_else(|| plugins.get(stem)).ok_or_else(|| self.inner.unknown(stem))?;
        let artifact = self.read(&plugin.name, path.into())?;
        self.publish(plugin, artifact)
    }

    /// Loads a build as a swap would, without making it live, as `plugin check` does.
    ///
    /// # Errors
    /// As [`Host::swap`].
    pub fn check(&self, name: &str, source: impl Into<Source>) -> Result<PluginStamp, LoadError> {
        let plugin = self.inner.plugin(name)?;
        let artifact = self.named(name, source.into())?;
        Ok(PluginStamp::clone(&self.load(plugin, artifact)?.stamp))
    }

    /// The state of every plugin.
    #[must_use]
    pub fn list(&self) -> Vec<PluginState> {
        crate::life::state::list(&self.inner.shared.current.load(), &self.lived())
    }

    /// Figures of each plugin at each of its hooks.
    #[must_use]
    pub fn metrics(&self) -> Vec<HookMetrics> {
        let current = self.inner.shared.current.load();
        let plugins = current.plugins().values();
        let figures = plugins.flat_map(|live| {
            let version = &live.version;
            let plugin = &version.plugin;
            version.hooks.iter().map(|hook| plugin.stats(*hook).snapshot(&plugin.name, *hook))
        });
        figures.collect()
    }

    /// Figures that plugins maintain themselves: plugin, name, figure.
    #[must_use]
    pub fn own_metrics(&self) -> Vec<(Arc<str>, String, OwnMetric)> {
        let of = |plugin: &Arc<Plugin>| {
            let (figures, _) = plugin.own_metrics.read();
            let name = Arc::clone(&plugin.name);
            figures.into_iter().map(move |(figure, value)| (Arc::clone(&name), figure, value))
        };
        self.inner.plugins.values().flat_map(of).collect()
    }

    /// Figures of the requests to outside servers, for each plugin that may make any.
    #[must_use]
    pub fn http_metrics(&self) -> Vec<HttpMetrics> {
        let plugins = self.inner.plugins.values();
        plugins.filter_map(|plugin| Some(plugin.outside.as_ref()?.metrics(&plugin.name))).collect()
    }

    /// Live instances, over all shards and generations.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.inner.shared.services.instances.load(Relaxed)
    }

    /// The seed of `host-random`: seed, call and number of draws reproduce a decision.
    #[must_use]
    pub fn random_seed(&self) -> u64 {
        self.inner.shared.services.random_seed
    }

    /// Current number of counters of `host-counters`.
    #[must_use]
    pub fn counter_keys(&self) -> usize {
        self.inner.shared.services.counters.len()
    }

    /// A plugin without an entry in the configuration, with every grant.
    pub(crate) fn stranger(&self, name: &str, path: &Path) -> Arc<Plugin> {
        let settings = PluginSettings::of_stranger(name, path);
        Arc::new(Plugin::new(settings, u32::MAX, Arc::clone(&self.inner.shared.services)))
    }

    /// Reads the bytes, unless the node's keys forbid them.
    pub(crate) fn read(&self, plugin: &str, source: Source) -> Result<Artifact, LoadError> {
        Artifact::read(plugin, source, &self.inner.shared.services.intake)
    }

    /// The same for a build that is to replace a plugin named by the operator.
    pub(crate) fn named(&self, plugin: &str, source: Source) -> Result<Artifact, LoadError> {
        Artifact::named(plugin, source, &self.inner.shared.services.intake)
    }

    pub(crate) fn load(
        &self,
        plugin: &Arc<Plugin>,
        artifact: Artifact,
    ) -> Result<Version, LoadError> {
        let inner = &self.inner;
        let load =
            || Version::load(&inner.linkers, plugin, artifact, inner.shared.shards, &inner.reaper);
        inner.compiler.run(load)
    }

    fn publish(&self, plugin: &Arc<Plugin>, artifact: Artifact) -> Result<SwapReport, LoadError> {
        let _one_at_a_time = self.changing();
        let live = self.live(plugin)?;
        if live.version.digest == artifact.digest {
            return Ok(SwapReport {
                from: Arc::clone(&live.version.stamp),
                to: Arc::clone(&live.version.stamp),
                compile_ms: 0,
                self_test_cases: live.version.self_test_cases,
                generation: self.current().number(),
            });
        }
        let proven = live.canary.as_ref().map(|canary| &canary.version);
        let version = match proven.filter(|version| version.digest == artifact.digest) {
            Some(version) => Arc::clone(version),
            None => Arc::new(self.load(plugin, artifact)?),
        };
        self.replace(plugin, &live, version, "plugin swapped")
    }

    /// Makes `version` the live one of its plugin; the builds beside the old one are dropped.
    pub(crate) fn replace(
        &self,
        plugin: &Arc<Plugin>,
        live: &Live,
        version: Arc<Version>,
        what: &'static str,
    ) -> Result<SwapReport, LoadError> {
        keeps_hooks(&live.version, &version)?;
        version.goes_live();
        let next = Live { previous: Some(Arc::clone(&live.version)), ..Live::alone(version) };
        let report = SwapReport {
            from: Arc::clone(&live.version.stamp),
            to: Arc::clone(&next.version.stamp),
            compile_ms: next.version.compile_ms,
            self_test_cases: next.version.self_test_cases,
            generation: self.put(plugin, next)?,
        };
        tracing::info!(from = %report.from, to = %report.to, generation = report.generation, "{what}");
        Ok(report)
    }

    /// Publishes a generation with a new state of one plugin; returns its number. Every thread's
    /// instance is made before, so that no first call pays for it: making a Python instance takes
    /// longer than an answer may.
    pub(crate) fn put(&self, plugin: &Arc<Plugin>, live: Live) -> Result<u64, LoadError> {
        let watching = self.inner.shared.services.pace.watch();
        let canary = live.canary.as_ref().map(|canary| &canary.version);
        for version in [&live.version].into_iter().chain(canary) {
            for shard in 0..self.inner.shared.shards {
                version.warm(shard, watching.watched()).map_err(|fault| LoadError::Failed {
                    plugin: plugin.settings.name.clone(),
                    stage: "instantiation",
                    fault,
                })?;
            }
        }
        let mut plugins = self.current().plugins().clone();
        let version = Arc::clone(&live.version);
        plugins.insert(Arc::clone(&plugin.name), Arc::new(live));
        let number = self.advance(plugins)?;
        if version.since.load(Relaxed) == 0 {
            version.set_since(number);
        }
        Ok(number)
    }

    pub(crate) fn advance(&self, plugins: BTreeMap<Arc<str>, Arc<Live>>) -> Result<u64, LoadError> {
        let inner = &self.inner;
        let number = self.current().number() + 1;
        let chains = inner.chains.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = Generation::new(number, plugins, &inner.order, &chains, &inner.reaper)?;
        let next = Arc::new(next);
        let mut lived = inner.lived.lock().unwrap_or_else(PoisonError::into_inner);
        lived.retain(|(_, generation)| generation.strong_count() > 0);
        lived.push((number, Arc::downgrade(&next)));
        drop(lived);
        inner.shared.current.store(next);
        Ok(number)
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a plugin in the generation of new calls.
    pub(crate) fn live(&self, plugin: &Arc<Plugin>) -> Result<Arc<Live>, LoadError> {
        let current = self.current();
        current.plugin(&plugin.name).cloned().ok_or_else(|| self.inner.unknown(&plugin.name))
    }

    /// Live generations, oldest first, and the number of calls that pin each.
    fn lived(&self) -> Vec<(Arc<Generation>, usize)> {
        let lived = self.inner.lived.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.inner.shared.current.load().number();
        lived
            .iter()
            .filter_map(|(number, generation)| {
                let generation = generation.upgrade()?;
                // The reference just made, and that of `current`, belong to no call.
                let others = 1 + usize::from(*number == current);
                let pinned = Arc::strong_count(&generation).saturating_sub(others);
                Some((generation, pinned))
            })
            .collect()
    }
}

impl Inner {
    /// Does what takes a while where it disturbs no call.
    pub(crate) fn run_aside<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, LoadError> + Send,
    ) -> Result<T, LoadError> {
        self.compiler.run(work)
    }

    pub(crate) fn plugin(&self, name: &str) -> Result<&Arc<Plugin>, LoadError> {
        self.plugins.get(name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> LoadError {
        let known: Vec<&str> = self.plugins.keys().map(String::as_str).collect();
        LoadError::UnknownPlugin { name: name.to_owned(), known: known.join(", ") }
    }
}

/// A build may not drop a hook that calls ask its plugin for.
pub(crate) fn keeps_hooks(old: &Version, new: &Version) -> Result<(), LoadError> {
    match old.hooks.iter().find(|hook| !new.hooks.contains(hook)) {
        None => Ok(()),
        Some(hook) => Err(LoadError::HookLost {
            plugin: new.plugin.name.to_string(),
            version: new.stamp.version.to_string(),
            hook: *hook,
        }),
    }
}
