use super::breaker::{Breaker, Change};
use super::history::History;
use super::probation::{Config, LOAD_DEADLINE_MS, Proven, hooks, probation};
use super::tally::{Figures, Tally};
use crate::error::LoadError;
use crate::guest::code::Code;
use crate::guest::imports::Linkers;
use crate::guest::instance::Instance;
use crate::guest::verify::{Said, shortened};
use crate::load::artifact::Artifact;
use crate::load::signature::Signer;
use crate::plugin::{LinePass, Plugin};
use crate::services::reaper::Reaper;
use crate::services::ticker::{Deadline, Watched};
use crate::settings::{Grant, Isolation};
use policy::{Context, Fault, Hook, PluginStamp, Question};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Idle instances that a version keeps for questions on fibres. When more questions wait at one
/// time, more are made, and dropped after their answer.
const IDLE: usize = 16;

/// Instances beside those of the shards: one for the shadow thread, and one for the questions of
/// each hook that are asked on the host's own threads.
const SLOTS_BESIDE: usize = 1 + Hook::ALL.len();

/// The slot of questions of a hook on the host's own threads. A plugin that computes without end in
/// one hook holds up no other hook there.
pub(crate) fn slot_beside(shards: usize, hook: Hook) -> usize {
    shards + 1 + hook as usize
}

/// An instance with up to this much memory is dropped by the thread that asked it. Resetting its
/// few written pages takes less time than waking the reaper, which would also hold the lock of the
/// address space that the next instance needs. A larger memory may have many written pages.
const SMALL: usize = 2 << 20;

/// The state of a shard's instance.
#[derive(Default)]
enum Slot {
    /// Not made yet, or it cannot be made.
    #[default]
    Empty,
    Ready(Box<Instance>),
    /// After a fault, the reaper is making the next instance.
    Making,
}

/// One build of one plugin, with an instance for each shard that asked it.
pub(crate) struct Version {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) stamp: Arc<PluginStamp>,
    /// All 64 hex digits of the SHA-256; the stamp has eight.
    pub(crate) digest: String,
    /// The signer of its file.
    pub(crate) signer: Signer,
    pub(crate) summary: String,
    /// JSON Schema of its configuration; empty if it ships none.
    pub(crate) config_schema: String,
    pub(crate) path: Option<PathBuf>,
    pub(crate) hooks: Vec<Hook>,
    /// UTC milliseconds.
    pub(crate) loaded_at_ms: u64,
    pub(crate) compile_ms: u64,
    pub(crate) self_test_cases: u32,
    /// Generation in which it went live.
    pub(crate) since: AtomicU64,
    code: Arc<Code>,
    config: Config,
    /// Making an instance takes at most [`super::probation::QUICK`].
    quick: bool,
    pub(crate) tally: Tally,
    pub(crate) breaker: Breaker,
    history: History,
    /// When it replaced another build, milliseconds of the host's clock, from 1; 0: it did not.
    went_live_ms: AtomicU64,
    reaper: Reaper,
    slots: Box<[Mutex<Slot>]>,
    /// For questions on fibres.
    #[expect(clippy::vec_box, reason = "instances are large and go in and out")]
    idle: Mutex<Vec<Box<Instance>>>,
}

impl Version {
    /// All steps from bytes to a version that may go live.
    pub(crate) fn load(
        linkers: &Linkers,
        plugin: &Arc<Plugin>,
        artifact: Artifact,
        shards: usize,
        reaper: &Reaper,
    ) -> Result<Version, LoadError> {
        let begun = Instant::now();
        let code = Arc::new(Code::compile(linkers, plugin, &artifact)?);
        let compile_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let hooks = hooks(plugin, &code.exports)?;
        let lanes = &plugin.services.lanes;
        if code.on_fibre {
            hooks.iter().try_for_each(|hook| lanes.start(*hook))?;
        }
        if code.sends {
            lanes.start_sending()?;
        }
        let config = Config::new(plugin.config());
        let Proven { description, self_test_cases, quick } =
            probation(&code, plugin, &config, artifact.any_name)?;

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
            loaded_at_ms: platform::utc_ms(),
            compile_ms,
            self_test_cases,
            since: AtomicU64::new(0),
            code,
            config,
            quick,
            tally: Tally::default(),
            breaker: Breaker::default(),
            history: History::default(),
            went_live_ms: AtomicU64::new(0),
            reaper: reaper.clone(),
            slots: (0..shards + SLOTS_BESIDE).map(|_| Mutex::default()).collect(),
            idle: Mutex::default(),
        })
    }

    /// The same build with another configuration, which it has to accept and to pass its own
    /// examples with.
    pub(crate) fn with_config(&self, config: Arc<serde_json::Value>) -> Result<Version, LoadError> {
        let config = Config::new(config);
        let Proven { description, self_test_cases, quick } =
            probation(&self.code, &self.plugin, &config, true)?;
        Ok(Version {
            plugin: Arc::clone(&self.plugin),
            stamp: Arc::clone(&self.stamp),
            digest: self.digest.clone(),
            signer: self.signer.clone(),
            summary: description.summary,
            config_schema: description.config_schema,
            path: self.path.clone(),
            hooks: self.hooks.clone(),
            loaded_at_ms: platform::utc_ms(),
            compile_ms: 0,
            self_test_cases,
            since: AtomicU64::new(0),
            code: Arc::clone(&self.code),
            config,
            quick,
            tally: Tally::default(),
            breaker: Breaker::default(),
            history: History::default(),
            went_live_ms: AtomicU64::new(0),
            reaper: self.reaper.clone(),
            slots: self.slots.iter().map(|_| Mutex::default()).collect(),
            idle: Mutex::default(),
        })
    }

    /// What it is configured with.
    pub(crate) fn config(&self) -> &Arc<serde_json::Value> {
        &self.config.value
    }

    /// The name from a build's `describe`.
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

    /// Asks the shard's instance, making one first if there is none. After a fault the instance
    /// goes to the reaper, because its state is unknown. If making an instance takes long, the
    /// reaper also makes the next one; until it is ready there is no answer.
    pub(crate) fn ask(
        self: &Arc<Version>,
        shard: usize,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        if self.on_fibre()
            && let Some(lane) = self.plugin.services.lanes.of(question.hook())
        {
            return lane.wait(self.ask_on_fibre(context, question, deadline));
        }
        if let Some(fault) = self.left_out() {
            return Err(fault);
        }
        let said = match self.plugin.settings.isolation {
            Isolation::Reused => self.ask_reused(shard, context, question, deadline),
            Isolation::PerCall => self.ask_fresh(context, question, deadline),
        };
        self.note(&said);
        said
    }

    /// Asks an instance that no other question uses, on a fibre: while the guest waits for a
    /// server, the thread does other work.
    pub(crate) async fn ask_on_fibre(
        &self,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        let Some(outside) = &self.plugin.outside else {
            return Err(Fault::Trap("it was loaded without `http` settings".to_owned()));
        };
        if let Some(fault) = self.left_out() {
            return Err(fault);
        }
        let hook = question.hook();
        // An event has its place already: nobody waits for it, so it waited for the place.
        let place = if hook == Hook::Events { None } else { outside.enter(hook) };
        if place.is_none() && hook != Hook::Events {
            return Err(Fault::Busy(outside.in_flight_limit()));
        }
        let reused = self.plugin.settings.isolation == Isolation::Reused;
        let idle = self.idle().pop();
        let mut instance = match idle {
            Some(instance) => instance,
            None => Box::new(self.configured(deadline.again())?),
        };
        let asked = instance.ask_on_fibre(context, question, deadline.again());
        let limit = Duration::from_millis(u64::from(outside.total_ms()));
        let said = tokio::time::timeout(limit, asked).await;
        let said = said.unwrap_or_else(|_| Err(Fault::Timeout(outside.total_ms())));
        self.note(&said);
        if reused && matches!(said, Ok(_) | Err(Fault::Refused(_))) {
            let mut idle = self.idle();
            if idle.len() < IDLE {
                idle.push(instance);
                return said;
            }
        }
        self.reaper.take(instance);
        said
    }

    /// The fault of a question that is not put to the build, because the breaker leaves it out.
    fn left_out(&self) -> Option<Fault> {
        let services = &self.plugin.services;
        let faults = self.breaker.pass(self.plugin.settings.breaker, || services.now_ms()).err()?;
        let said = Err(Fault::LeftOut(faults));
        self.tally.note(&said);
        said.err()
    }

    /// Counts an answer or a fault.
    fn note(&self, said: &Result<Said, Fault>) {
        self.tally.note(said);
        let settings = self.plugin.settings.breaker;
        let now_ms = || self.plugin.services.now_ms();
        let plugin = &self.stamp;
        match self.breaker.note(said.as_ref().err(), settings, now_ms) {
            Change::None => {}
            Change::Opened(faults) => {
                let pause_ms = settings.pause_ms;
                tracing::error!(%plugin, faults, pause_ms, "a plugin is left out");
            }
            Change::Closed => tracing::info!(%plugin, "a plugin that was left out answers again"),
        }
    }

    /// Notes that it replaces another build now.
    pub(crate) fn goes_live(&self) {
        self.went_live_ms.store(self.plugin.services.now_ms().max(1), Relaxed);
    }

    /// Whether it replaced another build less than `within` ago.
    pub(crate) fn is_young(&self, within: Duration) -> bool {
        let since = self.went_live_ms.load(Relaxed);
        let age_ms = self.plugin.services.now_ms().saturating_sub(since);
        since > 0 && u128::from(age_ms) < within.as_millis()
    }

    /// Its figures of the last minutes, if they hold enough questions to judge it; otherwise all.
    pub(crate) fn recent_figures(&self) -> Figures {
        self.history.recent(self.tally.figures(), self.plugin.settings.rollback.least)
    }

    /// Keeps a reading of its figures from time to time; call it about once a second.
    pub(crate) fn keep_figures(&self) {
        self.history.keep(self.plugin.services.now_ms(), &self.tally.figures());
    }

    /// Whether it exports the check of rule sets.
    pub(crate) fn checks_rules(&self) -> bool {
        self.code.exports.checks_rules()
    }

    /// Its questions may wait: a thread that must not block asks by [`Version::ask_on_fibre`].
    pub(crate) fn on_fibre(&self) -> bool {
        self.code.on_fibre
    }

    /// Asks an instance that answers this question only.
    fn ask_fresh(
        &self,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        let mut instance = Box::new(self.configured(deadline)?);
        let said = instance.ask(context, question);
        if instance.memory_bytes() > SMALL {
            self.reaper.take(instance);
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
        self.reaper.take(instance);
        if !self.quick {
            *slot = Slot::Making;
            self.make_aside(shard);
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
        // Not under the lock, so that questions of the shard need not wait for it.
        let made = self.configured(watched.deadline(LOAD_DEADLINE_MS));
        let mut slot = self.slot(shard);
        match made {
            Ok(_) if matches!(*slot, Slot::Ready(_)) => Ok(()),
            Ok(instance) => {
                *slot = Slot::Ready(Box::new(instance));
                Ok(())
            }
            Err(fault) => {
                // Lets the next question try again; an instance that was made in the meantime
                // stays.
                if matches!(*slot, Slot::Making) {
                    *slot = Slot::Empty;
                }
                Err(fault)
            }
        }
    }

    /// Lets the reaper make the shard's next instance; a failure is logged.
    fn make_aside(self: &Arc<Version>, shard: usize) {
        let version = Arc::clone(self);
        self.reaper.run(move || {
            let services = &version.plugin.services;
            let watching = services.pace.watch();
            if let Err(fault) = version.warm(shard, watching.watched())
                && version.plugin.faults_logged.pass(services.now_ms()) != LinePass::No
            {
                tracing::warn!(plugin = %version.stamp, %fault, "no new instance after a fault");
            }
        });
    }

    /// Whether it imports `host-call`.
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
        match instance.configure(&self.config.text)? {
            Ok(()) => Ok(instance),
            Err(words) => {
                let words = shortened(words);
                Err(Fault::Nonsense(format!("it refuses the configuration of its load: {words}")))
            }
        }
    }
}
