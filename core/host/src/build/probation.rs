//! The tests that a build must pass before a call uses it.

use crate::error::LoadError;
use crate::guest::code::Code;
use crate::guest::exports::Exports;
use crate::guest::fault::one_line;
use crate::guest::instance::Instance;
use crate::guest::sandbox;
use crate::guest::verify::{is_version, shortened};
use crate::plugin::Plugin;
use crate::services::ticker::Watched;
use policy::Hook;
use std::sync::Arc;
use std::time::Duration;

/// Processor time for each step before a version is live, when no call waits.
pub(crate) const LOAD_DEADLINE_MS: u32 = 2_000;

/// Number of configuration problems that a refusal names; further ones are counted.
const NAMED: usize = 5;

/// If making an instance takes at most this much processor time, a question that finds none makes
/// it itself. Making a slower one (a plugin that works through a large configuration) would delay
/// the calls of the thread and run into the question's own deadline, every time.
pub(crate) const QUICK: Duration = Duration::from_millis(1);

/// The hooks that calls will ask: all that are exported, or those of the settings.
pub(super) fn hooks(plugin: &Plugin, exports: &Exports) -> Result<Vec<Hook>, LoadError> {
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

/// The configuration of a build.
pub(super) struct Config {
    pub(super) value: Arc<serde_json::Value>,
    /// The same as plugins are given it.
    pub(super) text: String,
}

impl Config {
    pub(super) fn new(value: Arc<serde_json::Value>) -> Config {
        Config { text: value.to_string(), value }
    }
}

/// Results of a build's probation.
pub(super) struct Proven {
    pub(super) description: crate::wire::Description,
    pub(super) self_test_cases: u32,
    /// Making an instance takes at most [`QUICK`].
    pub(super) quick: bool,
}

/// Describe, configure and self-test, on an instance that no call uses.
pub(super) fn probation(
    code: &Code,
    plugin: &Arc<Plugin>,
    config: &Config,
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
    schema::check(&description.config_schema, &config.value)
        .map_err(|refusal| does_not_fit(name(), refusal))?;
    instance.begin(deadline());
    if let Err(cause) = instance.configure(&config.text).map_err(failed("configure"))? {
        return Err(LoadError::ConfigRefused { plugin: name(), cause: one_line(&cause) });
    }
    instance.begin(deadline());
    match instance.self_test().map_err(failed("self-test"))? {
        Ok(self_test_cases) => {
            let quick = is_quick(code, plugin, &config.text, watching.watched())?;
            Ok(Proven { description, self_test_cases, quick })
        }
        Err(cause) => Err(LoadError::SelfTest { plugin: name(), cause: one_line(&cause) }),
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

/// Whether making an instance takes at most [`QUICK`]: the best of three, because a busy machine
/// may slow one of them down.
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
        // A refusal would already have ended the probation.
        let _ = instance.configure(config).map_err(failed)?;
        if sandbox::processor_time().saturating_sub(begun) <= QUICK {
            return Ok(true);
        }
    }
    Ok(false)
}
