use crate::artifact::Artifact;
use crate::exports::Exports;
use crate::imports::{self, Linkers};
use crate::instance::Instance;
use crate::interface::Interface;
use crate::plugin::Plugin;
use crate::reaper::Reaper;
use crate::sandbox::{self, Sandbox};
use crate::tally::Tally;
use crate::ticker::{Deadline, Watched};
use crate::verify::{Said, is_version, shortened};
use crate::{Grant, Isolation, LoadError, Signer};
use policy::{Context, Fault, Hook, PluginStamp, Question};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmtime::component::{Component, InstancePre};

/// Processor time for each step before a version is live, when no call waits.
pub(crate) const LOAD_DEADLINE_MS: u32 = 2_000;

/// Problems of a configuration that a refusal names; more are counted.
const NAMED: usize = 5;

/// Idle instances that a version keeps for questions on fibres; more are made when more
/// questions wait at one time, and dropped after their answer.
const IDLE: usize = 16;

/// Memory of an instance that is dropped where it answered. Its few written pages are put back
/// in less time than it takes to wake the reaper, which would also hold the lock of the
/// address space that the next instance needs. A larger memory may have many written pages.
const SMALL: usize = 2 << 20;

/// Processor time of making an instance up to which a question that finds none makes it
/// itself. A longer one (a plugin that works through a large configuration) would hold the
/// calls of the thread up and end at the question's own deadline, each time again.
const QUICK: Duration = Duration::from_millis(1);

/// Compiled code, ready to be instantiated.
pub(crate) struct Code {
    pub(crate) pre: InstancePre<Sandbox>,
    pub(crate) exports: Exports,
    /// Grants that it really uses.
    pub(crate) imports: BTreeSet<Grant>,
    /// It imports something that can make it wait.
    pub(crate) on_fibre: bool,
}

impl Code {
    pub(crate) fn compile(
        linkers: &Linkers,
        plugin: &Plugin,
        artifact: &Artifact,
    ) -> Result<Code, LoadError> {
        let settings = &plugin.settings;
        let compile_error = |cause: wasmtime::Error| LoadError::Compile {
            plugin: settings.name.clone(),
            cause: format!("{cause:#}"),
        };
        let component =
            Component::new(linkers.engine(), &artifact.component).map_err(compile_error)?;
        Interface::check(&settings.name, &component)?;
        let imports = imports::check(settings, &component)?;
        let exports = Exports::find(&settings.name, &component)?;
        let pre = linkers.of(&imports).instantiate_pre(&component).map_err(compile_error)?;
        let on_fibre = imports.contains(&Grant::Http);
        if on_fibre {
            plugin.services.start_lane()?;
        }
        Ok(Code { pre, exports, imports, on_fibre })
    }
}

/// Where a shard's instance is.
#[derive(Default)]
enum Slot {
    /// Never made, or it cannot be.
    #[default]
    Empty,
    Ready(Box<Instance>),
    /// The reaper makes it, after a fault of the one before.
    Making,
}

/// One build of one plugin, with an instance for each shard that asked it.
pub(crate) struct Version {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) stamp: Arc<PluginStamp>,
    /// All 64 digits; the stamp has eight.
    pub(crate) digest: String,
    /// Who signed it.
    pub(crate) signer: Signer,
    pub(crate) summary: String,
    /// JSON Schema of its configuration; empty: it ships none.
    pub(crate) config_schema: String,
    pub(crate) path: Option<PathBuf>,
    pub(crate) hooks: Vec<Hook>,
    /// UTC milliseconds.
    pub(crate) loaded_at_ms: u64,
    pub(crate) compile_ms: u64,
    pub(crate) self_test_cases: u32,
    /// Generation in which it went live.
    pub(crate) since: AtomicU64,
    code: Code,
    config: String,
    /// An instance is made within [`QUICK`].
    quick: bool,
    pub(crate) tally: Tally,
    reaper: Reaper,
    slots: Box<[Mutex<Slot>]>,
    /// For questions on fibres.
    #[expect(clippy::vec_box, reason = "instances are large and go in and out")]
    idle: Mutex<Vec<Box<Instance>>>,
}

impl Version {
    /// The whole way from bytes to a version that may go live.
    pub(crate) fn load(
        linkers: &Linkers,
        plugin: &Arc<Plugin>,
        artifact: Artifact,
        shards: usize,
        reaper: &Reaper,
    ) -> Result<Version, LoadError> {
        let begun = Instant::now();
        let code = Code::compile(linkers, plugin, &artifact)?;
        let compile_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let hooks = hooks(plugin, &code.exports)?;
        let config = plugin.settings.config.to_string();
        let Proven { description, self_test_cases, quick } =
            probation(&code, plugin, &config, artifact.any_name)?;

        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Version {
            stamp: Arc::new(PluginStamp {
                name: Arc::clone(&plugin.name),
                version: Arc::from(description.version),
                digest: Arc::from(&artifact.digest[..8]),
            }),
            plugin: Arc::clone(plugin),
            digest: artifact.digest,
            signer: artifact.signer,
            summary: description.summary,
            config_schema: description.config_schema,
            path: artifact.path,
            hooks,
            loaded_at_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
            compile_ms,
            self_test_cases,
            since: AtomicU64::new(0),
            code,
            config,
            quick,
            tally: Tally::default(),
            reaper: reaper.clone(),
            slots: (0..=shards).map(|_| Mutex::default()).collect(),
            idle: Mutex::default(),
        })
    }

    /// The name that a build gives itself.
    pub(crate) fn name_of(
        linkers: &Linkers,
        plugin: &Arc<Plugin>,
        artifact: &Artifact,
    ) -> Result<String, LoadError> {
        let code = Code::compile(linkers, plugin, artifact)?;
        let watching = plugin.services.pace.watch();
        let deadline = || watching.watched().deadline(LOAD_DEADLINE_MS);
        let mut instance = Instance::new(&code, plugin, deadline())?;
        instance.begin(deadline());
        let failed = |fault| LoadError::Failed {
            plugin: plugin.settings.name.clone(),
            stage: "describe",
            fault,
        };
        instance.describe().map(|description| description.name).map_err(failed)
    }

    /// Asks the shard's instance, making one first where there is none. After a fault the
    /// instance goes to the reaper: nobody knows what state it is in. The reaper also makes
    /// the next one where that takes long; until then there is no answer.
    pub(crate) fn ask(
        self: &Arc<Version>,
        shard: usize,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        if self.on_fibre()
            && let Some(lane) = self.plugin.services.lane()
        {
            return lane.wait(self.ask_on_fibre(context, question, deadline));
        }
        let said = match self.plugin.settings.isolation {
            Isolation::Reused => self.ask_reused(shard, context, question, deadline),
            Isolation::PerCall => self.ask_fresh(context, question, deadline),
        };
        self.tally.note(&said);
        said
    }

    /// Asks an instance that nobody else asks meanwhile, on a fibre: while the guest waits
    /// for a server, the thread does something else.
    pub(crate) async fn ask_on_fibre(
        &self,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        let Some(outside) = &self.plugin.outside else {
            return Err(Fault::Trap("it was loaded without `http` settings".to_owned()));
        };
        let Some(_place) = outside.enter() else {
            return Err(Fault::Busy(outside.in_flight_limit()));
        };
        let reused = self.plugin.settings.isolation == Isolation::Reused;
        let idle = self.idle().pop();
        let mut instance = match idle {
            Some(instance) => instance,
            None => Box::new(self.configured(deadline)?),
        };
        let asked = instance.ask_on_fibre(context, question, deadline.again());
        let limit = Duration::from_millis(u64::from(outside.total_ms()));
        let said = tokio::time::timeout(limit, asked).await;
        let said = said.unwrap_or_else(|_| Err(Fault::Timeout(outside.total_ms())));
        self.tally.note(&said);
        if reused && matches!(said, Ok(_) | Err(Fault::Refused(_))) {
            let mut idle = self.idle();
            if idle.len() < IDLE {
                idle.push(instance);
                return said;
            }
        }
        self.reaper.take_instance(instance);
        said
    }

    /// It can say what is wrong with a rule set.
    pub(crate) fn checks_rules(&self) -> bool {
        self.code.exports.checks_rules()
    }

    /// Its questions may wait: a thread that must not asks by [`Version::ask_on_fibre`].
    pub(crate) fn on_fibre(&self) -> bool {
        self.code.on_fibre
    }

    /// On an instance that no question met before and none will meet again.
    fn ask_fresh(
        &self,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        let mut instance = Box::new(self.configured(deadline)?);
        let said = instance.ask(context, question);
        if instance.memory_bytes() > SMALL {
            self.reaper.take_instance(instance);
        }
        said
    }

    fn ask_reused(
        self: &Arc<Version>,
        shard: usize,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        let mut slot = self.slot(shard);
        let mut instance = match std::mem::take(&mut *slot) {
            Slot::Ready(mut instance) => {
                instance.begin(deadline);
                instance
            }
            Slot::Empty => Box::new(self.configured(deadline)?),
            Slot::Making => {
                *slot = Slot::Making;
                return Err(Fault::Starting);
            }
        };
        let said = instance.ask(context, question);
        if matches!(said, Ok(_) | Err(Fault::Refused(_))) {
            *slot = Slot::Ready(instance);
            return said;
        }
        self.reaper.take_instance(instance);
        if !self.quick {
            *slot = Slot::Making;
            self.reaper.make_instance(Arc::clone(self), shard);
        }
        said
    }

    /// Makes the shard's instance before a call needs it.
    pub(crate) fn warm(&self, shard: usize, watched: Watched<'_>) -> Result<(), Fault> {
        if self.plugin.settings.isolation == Isolation::PerCall {
            return Ok(());
        }
        if self.on_fibre() {
            let mut idle = self.idle();
            if idle.is_empty() {
                idle.push(Box::new(self.configured(watched.deadline(LOAD_DEADLINE_MS))?));
            }
            return Ok(());
        }
        if matches!(*self.slot(shard), Slot::Ready(_)) {
            return Ok(());
        }
        // Not under the lock: its questions need not wait for it.
        let made = self.configured(watched.deadline(LOAD_DEADLINE_MS));
        let mut slot = self.slot(shard);
        match made {
            Ok(_) if matches!(*slot, Slot::Ready(_)) => Ok(()),
            Ok(instance) => {
                *slot = Slot::Ready(Box::new(instance));
                Ok(())
            }
            Err(fault) => {
                // A question may try again; what another made meanwhile stays.
                if matches!(*slot, Slot::Making) {
                    *slot = Slot::Empty;
                }
                Err(fault)
            }
        }
    }

    /// It imports `host-call`.
    pub(crate) fn wants_details(&self) -> bool {
        self.code.imports.contains(&Grant::Call)
    }

    pub(crate) fn set_since(&self, generation: u64) {
        self.since.store(generation, Relaxed);
    }

    fn slot(&self, shard: usize) -> std::sync::MutexGuard<'_, Slot> {
        self.slots[shard % self.slots.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::vec_box, reason = "as the field")]
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Box<Instance>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Instantiation and configuration share one deadline.
    pub(crate) fn configured(&self, deadline: Deadline<'_>) -> Result<Instance, Fault> {
        let mut instance =
            Instance::new(&self.code, &self.plugin, deadline).map_err(|error| match error {
                LoadError::Failed { fault, .. } => fault,
                other => Fault::Trap(other.to_string()),
            })?;
        match instance.configure(&self.config)? {
            Ok(()) => Ok(instance),
            Err(words) => {
                let words = shortened(words);
                Err(Fault::Nonsense(format!("it refuses the configuration of its load: {words}")))
            }
        }
    }
}

/// The hooks that calls will ask: all, or those of the settings.
fn hooks(plugin: &Plugin, exports: &Exports) -> Result<Vec<Hook>, LoadError> {
    let exported = Hook::ALL.into_iter().filter(|hook| exports.has(*hook));
    let Some(wanted) = &plugin.settings.hooks else {
        return Ok(exported.collect());
    };
    match wanted.iter().find(|hook| !exports.has(**hook)) {
        Some(hook) => {
            Err(LoadError::HookNotExported { plugin: plugin.settings.name.clone(), hook: *hook })
        }
        None => Ok(exported.filter(|hook| wanted.contains(hook)).collect()),
    }
}

/// What a build showed on probation.
struct Proven {
    description: crate::wire::Description,
    self_test_cases: u32,
    /// As [`Version::quick`].
    quick: bool,
}

/// Describe, configure, self-test, on an instance of their own that no call will meet.
fn probation(
    code: &Code,
    plugin: &Arc<Plugin>,
    config: &str,
    any_name: bool,
) -> Result<Proven, LoadError> {
    let name = || plugin.settings.name.clone();
    let failed = |stage| move |fault| LoadError::Failed { plugin: name(), stage, fault };
    let watching = plugin.services.pace.watch();
    let deadline = || watching.watched().deadline(LOAD_DEADLINE_MS);
    let mut instance = Instance::new(code, plugin, deadline())?;
    instance.begin(deadline());
    let description = instance.describe().map_err(failed("describe"))?;
    if !any_name && description.name != plugin.settings.name {
        return Err(LoadError::WrongName { configured: name(), described: description.name });
    }
    if !is_version(&description.version) {
        let described = shortened(description.version);
        return Err(LoadError::BadVersion { plugin: name(), described });
    }
    schema::check(&description.config_schema, &plugin.settings.config)
        .map_err(|refusal| does_not_fit(name(), refusal))?;
    instance.begin(deadline());
    if let Err(cause) = instance.configure(config).map_err(failed("configure"))? {
        return Err(LoadError::ConfigRefused { plugin: name(), cause });
    }
    instance.begin(deadline());
    match instance.self_test().map_err(failed("self-test"))? {
        Ok(self_test_cases) => {
            let quick = is_quick(code, plugin, config, watching.watched())?;
            Ok(Proven { description, self_test_cases, quick })
        }
        Err(cause) => Err(LoadError::SelfTest { plugin: name(), cause }),
    }
}

fn does_not_fit(plugin: String, refusal: schema::Refusal) -> LoadError {
    match refusal {
        schema::Refusal::NotValid(cause) => {
            LoadError::SchemaNotValid { plugin, cause: shortened(cause) }
        }
        schema::Refusal::DoesNotFit(mut problems) => {
            let more = problems.len().saturating_sub(NAMED);
            problems.truncate(NAMED);
            let mut problems: Vec<String> = problems.into_iter().map(shortened).collect();
            if more > 0 {
                problems.push(format!("and {more} more"));
            }
            LoadError::ConfigDoesNotFit { plugin, problems: problems.join("; ") }
        }
    }
}

/// Whether an instance is made within [`QUICK`]: the best of three, because a busy machine may
/// slow one of them.
fn is_quick(
    code: &Code,
    plugin: &Arc<Plugin>,
    config: &str,
    watched: Watched<'_>,
) -> Result<bool, LoadError> {
    let failed = |fault| LoadError::Failed {
        plugin: plugin.settings.name.clone(),
        stage: "configure",
        fault,
    };
    for _ in 0..3 {
        let begun = sandbox::processor_time();
        let mut instance = Instance::new(code, plugin, watched.deadline(LOAD_DEADLINE_MS))?;
        // What it refuses it refused before.
        let _ = instance.configure(config).map_err(failed)?;
        if sandbox::processor_time().saturating_sub(begun) <= QUICK {
            return Ok(true);
        }
    }
    Ok(false)
}
