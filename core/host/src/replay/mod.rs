//! Replay: asks another build of a plugin the questions of past calls, and compares its answers
//! with those that the calls got (`docs/plugins.md`, "Replay").
//!
//! It runs in its own process. The build takes all steps of a swap, but its counters are its own
//! and start empty, its clock is that of the recorded decisions, and its random bits are those that
//! the calls drew.

mod compare;
mod example;
mod groups;
mod report;
mod tally;
mod trace;

pub use compare::Kind;
pub use example::Example;
pub use groups::Group;
pub use report::{HookReport, Money, Report, Sums, Turn};
pub use trace::Traced;

use crate::ask::fold::{Fold, nobody_decided};
use crate::build::version::Version;
use crate::decisions::{Decision, DecisionReader, Texts};
use crate::error::LoadError;
use crate::guest::engine::engine;
use crate::guest::imports::Linkers;
use crate::guest::verify::Said;
use crate::load::artifact::{Artifact, Intake, Source};
use crate::load::components::{Components, is_safe_cache};
use crate::load::signature::SigningPolicy;
use crate::outside::lane::Lanes;
use crate::plugin::{Plugin, Recorded, Services, check};
use crate::services::counters::Counters;
use crate::services::holds::Holds;
use crate::services::reaper::Reaper;
use crate::services::ticker::{Ticker, Watched};
use crate::settings::{
    BreakerSettings, Grant, HostSettings, HttpSettings, KeptLog, LogLines, PluginSettings,
};
use policy::{
    Answer, CallNotes, Context, Fault, Hook, Lookup, Owner, Pin, PluginStamp, PrefixHit, Question,
    Supervised,
};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// Number of counters of the replayed build, the same as in a node.
const COUNTER_KEYS: usize = 1_000_000;

/// The only host that a replayed build may contact; it does not exist (RFC 2606).
const NOBODY: &str = "replay.invalid";

/// What is replayed, and how much of it is shown.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Only these hooks of the build; none takes all of its hooks.
    pub hooks: Option<BTreeSet<Hook>>,
    /// Most examples, trunks and destinations in the report.
    pub limit: usize,
    /// Only the questions of this call.
    pub call: Option<u128>,
    /// List each question with its answers and log lines, at most 1,000.
    pub trace: bool,
}

/// Names for numbers in the report; a trunk without one is shown by its number.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Customer trunks by id.
    pub customers: HashMap<u32, String>,
    /// Vendor trunks by id.
    pub vendors: HashMap<u32, String>,
}

/// An engine for replays, separate from all calls.
pub struct ReplayHost {
    linkers: Linkers,
    services: Arc<Services>,
    reaper: Reaper,
    _ticker: Ticker,
}

impl ReplayHost {
    /// Starts the engine; `cache_dir` keeps compiled code.
    ///
    /// # Errors
    /// If the engine does not start.
    pub fn new(cache_dir: Option<PathBuf>) -> Result<ReplayHost, LoadError> {
        let cache_dir = cache_dir.filter(|cache| is_safe_cache(cache));
        let components = Components::in_cache(cache_dir.as_deref());
        let settings = HostSettings {
            plugins: Vec::new(),
            cache_dir,
            shards: 1,
            random_seed: None,
            housekeeping: None,
        };
        let engine = engine(&settings)?;
        let linkers = Linkers::new(&engine)
            .map_err(|cause| LoadError::Engine(format!("host imports: {cause:#}")))?;
        let ticker = Ticker::start(&engine)?;
        let services = Services {
            counters: Counters::new(COUNTER_KEYS),
            started: Instant::now(),
            holds: Arc::new(Holds::new()),
            random_seed: 0,
            // Nothing here affects a call, so a build may be tried before it is signed.
            intake: Intake { signing: SigningPolicy::default(), components },
            instances: AtomicUsize::new(0),
            pace: ticker.pace(),
            lanes: Lanes::new(None),
            recorded: Some(Recorded::default()),
        };
        Ok(ReplayHost {
            linkers,
            services: Arc::new(services),
            reaper: Reaper::start(None)?,
            _ticker: ticker,
        })
    }

    /// The name from a build's `describe`.
    ///
    /// # Errors
    /// If it is not a plugin.
    pub fn name_of(&self, file: &Path) -> Result<String, LoadError> {
        let settings = PluginSettings::of_stranger("replay", file);
        let stranger = Plugin::new(settings, u32::MAX, Arc::clone(&self.services));
        let artifact = Artifact::read("replay", Source::from(file), &self.services.intake)?;
        Version::name_of(&self.linkers, &Arc::new(stranger), &artifact)
    }

    /// Loads a build as a swap would. `beside` answers look-ups of tables and attributes; outside
    /// servers are never contacted: a request is refused like one to a host without a grant, and one
    /// that nobody waits for is accepted and dropped.
    ///
    /// # Errors
    /// As [`crate::life::host::Host::swap`].
    pub fn load(
        &self,
        mut settings: PluginSettings,
        beside: Option<Arc<dyn Lookup>>,
    ) -> Result<Replay<'_>, LoadError> {
        let granted = settings.grants.contains(&Grant::Http);
        // Each recorded question is put to the build.
        settings.breaker = BreakerSettings::OFF;
        settings.http = granted.then(|| HttpSettings::new([NOBODY]));
        let log = settings.kept_log.get_or_insert_default().clone();
        check(&settings)?;
        let plugin = Arc::new(Plugin::new(settings, 0, Arc::clone(&self.services)));
        let file = plugin.settings.path.clone().into();
        let artifact = Artifact::named(&plugin.name, file, &self.services.intake)?;
        let version = Version::load(&self.linkers, &plugin, artifact, 1, &self.reaper)?;
        let loading = log.take_load();
        Ok(Replay { host: self, version: Arc::new(version), beside, log, loading })
    }
}

/// A build that is ready to be asked.
pub struct Replay<'a> {
    host: &'a ReplayHost,
    version: Arc<Version>,
    beside: Option<Arc<dyn Lookup>>,
    /// Lines that the build logs.
    log: KeptLog,
    /// Those of its load.
    loading: LogLines,
}

impl Replay<'_> {
    /// Which build it is.
    #[must_use]
    pub fn stamp(&self) -> &PluginStamp {
        &self.version.stamp
    }

    /// Puts every decision of its hooks to the build and reports the differences.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn run(
        &self,
        reader: DecisionReader,
        options: &ReplayOptions,
        names: &Names,
    ) -> io::Result<Report> {
        let watching = self.host.services.pace.watch();
        let begun = Instant::now();
        let wanted = |hook: &Hook| {
            self.version.hooks.contains(hook)
                && options.hooks.as_ref().is_none_or(|hooks| hooks.contains(hook))
        };
        let hooks: Vec<Hook> = Hook::ALL.into_iter().filter(wanted).collect();
        // Screening is read too: it contains the destination, which some hooks' questions lack.
        let wants_details = self.version.wants_details();
        let met: Vec<Hook> = hooks.iter().copied().chain([Hook::Screening]).collect();
        let mut reader = reader.only(&met, wants_details);
        let mut pin = Pin {
            generation: 0,
            policy: Arc::new(()),
            lookup: Arc::new(KeptLookup { texts: reader.texts(), beside: self.beside.clone() }),
            hears_events: false,
            supervised: Supervised::default(),
            wants_details: policy::HookSet::default(),
            notes: Arc::default(),
        };
        let mut trace = trace::Trace::new(options.trace, names);
        let mut tally = tally::Tally::new(options.limit, names, wants_details);
        while let Some(decision) = reader.next()? {
            if options.call.is_some_and(|call| call != decision.question.call().id) {
                continue;
            }
            tally.meet(&decision);
            if hooks.contains(&decision.question.hook()) {
                let compared = self.compared(watching.watched(), decision, &mut pin);
                tally.add(&compared);
                trace.add(&compared);
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        let mut report = tally.report(self.version.stamp.to_string(), reader.counts(), seconds);
        report.log_at_load = trace::lines(&self.loading);
        trace.finish(&mut report);
        Ok(report)
    }

    /// Puts the build in the place of its plugin, after those that were asked before it. If its
    /// plugin was not asked, it replaces the plugin that decided.
    fn compared(&self, watched: Watched<'_>, mut decision: Decision, pin: &mut Pin) -> Compared {
        let name = &self.version.plugin.name;
        let own = decision.earlier.iter().position(|(stamp, _)| stamp.name == *name);
        let mut fold = Fold::new();
        for (_, outcome) in &decision.earlier[..own.unwrap_or(decision.earlier.len())] {
            if let Ok(Some(answer)) = outcome {
                fold.add(&decision.question, answer.clone());
            }
        }
        let said = self.ask(watched, &decision, fold.question(&decision.question), pin);
        let log = self.log.take();
        let passed = matches!(said, Ok(Said::Pass));
        let (old, new) = match (own, said) {
            (Some(at), said) => (
                decision.earlier.swap_remove(at).1,
                said.map(|said| match said {
                    Said::Answer(answer) => Some(answer),
                    Said::Pass => None,
                }),
            ),
            (None, said) => (
                std::mem::replace(&mut decision.outcome, Err(Fault::Absent)).map(Some),
                said.and_then(|said| settled(said, fold, &decision.question)).map(Some),
            ),
        };
        Compared { decision, old, new, passed, log }
    }

    fn ask(
        &self,
        watched: Watched<'_>,
        decision: &Decision,
        question: &Question,
        pin: &mut Pin,
    ) -> Result<Said, Fault> {
        if let Some(recorded) = &self.host.services.recorded {
            recorded.utc_ms.store(decision.at_ms, Relaxed);
            recorded.seed.store(decision.random_seed, Relaxed);
        }
        pin.notes = Arc::new(CallNotes::starting_at(decision.draw, decision.kept.clone()));
        let context = Context { pin, details: decision.details.as_ref() };
        let deadline_ms = self.version.plugin.settings.deadline_ms;
        // No call waits, so making the next instance after a fault may take time.
        self.version.warm(0, watched)?;
        self.version.ask(0, context, question, watched.deadline(deadline_ms))
    }
}

/// A decision with the old and the new answer.
struct Compared {
    decision: Decision,
    /// The answer of the plugin, or of all plugins together; none: the plugin passed.
    old: Result<Option<Answer>, Fault>,
    new: Result<Option<Answer>, Fault>,
    /// The build passed.
    passed: bool,
    /// What the build logged meanwhile.
    log: LogLines,
}

/// Combines the last plugin's answer with those before it, as for a call.
fn settled(said: Said, mut fold: Fold, question: &Question) -> Result<Answer, Fault> {
    if let Said::Answer(answer) = said {
        fold.add(question, answer);
    }
    let undecided = || Fault::Refused("no plugin decides this".to_owned());
    fold.finish().or_else(|| nobody_decided(question)).ok_or_else(undecided)
}

/// Texts as they were; tables, attributes, names, money and prices as they are now, if `beside` has
/// them.
struct KeptLookup {
    texts: Arc<Texts>,
    beside: Option<Arc<dyn Lookup>>,
}

impl Lookup for KeptLookup {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        self.texts.get(handle)
    }

    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit> {
        self.beside.as_ref()?.longest_prefix(table, number)
    }

    fn exact(&self, table: &str, number: &str) -> Option<Arc<str>> {
        self.beside.as_ref()?.exact(table, number)
    }

    fn attribute(&self, owner: Owner, name: &str) -> Option<Arc<str>> {
        self.beside.as_ref()?.attribute(owner, name)
    }

    fn name(&self, owner: Owner) -> Option<Arc<str>> {
        self.beside.as_ref()?.name(owner)
    }

    fn standing(&self, owner: Owner) -> Option<policy::Standing> {
        self.beside.as_ref()?.standing(owner)
    }

    fn price(&self, owner: Owner, number: &str, at_ms: u64) -> Option<policy::Price> {
        self.beside.as_ref()?.price(owner, number, at_ms)
    }
}

#[cfg(test)]
mod tests;
