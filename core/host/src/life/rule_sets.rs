//! Checks rule sets with the plugins that read them, before a call needs one. Only these plugins
//! know what a rule is.

use crate::build::probation::LOAD_DEADLINE_MS;
use crate::build::version::Version;
use crate::error::LoadError;
use crate::guest::instance::Instance;
use crate::guest::verify::shortened;
use crate::life::host::Host;
use std::sync::Arc;

/// Problems that are kept per text.
const KEPT: usize = 100;

/// Why every plugin that reads rule sets refuses a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSetRefusal {
    /// The plugin that refused it.
    pub plugin: Arc<str>,
    /// Line from 1, or 0 for the whole text, and the problem there; at least one.
    pub problems: Vec<(u32, String)>,
}

impl Host {
    /// Asks the live plugins that read rule sets about each text. A text is refused if all of them
    /// refuse it: with several grammars it is meant for only one of them. If no plugin reads rule
    /// sets, no text is refused.
    ///
    /// # Errors
    /// A plugin that fails instead of answering.
    /// A plugin that fails instead of answering.
    pub fn check_rule_sets(
        &self,
        texts: &[&str],
    ) -> Result<Vec<Option<RuleSetRefusal>>, LoadError> {
        let generation = self.current();
        let readers = generation.plugins().values().map(|live| &live.version);
        let mut verdicts: Vec<Option<RuleSetRefusal>> = vec![None; texts.len()];
        let mut first = true;
        for reader in readers.filter(|version| version.checks_rules()) {
            let refusals = refusals(reader, texts)?;
            for (verdict, refusal) in verdicts.iter_mut().zip(refusals) {
                match refusal {
                    Some(refusal) if first => *verdict = Some(refusal),
                    Some(_) => {}
                    None => *verdict = None,
                }
            }
            first = false;
        }
        Ok(verdicts)
    }
}

/// One build's result for each text.
fn refusals(
    version: &Arc<Version>,
    texts: &[&str],
) -> Result<Vec<Option<RuleSetRefusal>>, LoadError> {
    let plugin = &version.plugin;
    let failed =
        |fault| LoadError::Failed { plugin: plugin.name.to_string(), stage: "rule-sets", fault };
    let watching = plugin.services.pace.watch();
    let deadline = || watching.watched().deadline(LOAD_DEADLINE_MS);
    let mut instance: Instance = version.configured(deadline()).map_err(failed)?;
    let mut refusals = Vec::with_capacity(texts.len());
    for text in texts {
        instance.begin(deadline());
        let problems = instance.check_rules(text).map_err(failed)?;
        let problems: Vec<(u32, String)> = problems
            .into_iter()
            .take(KEPT)
            .map(|problem| (problem.line, shortened(problem.reason)))
            .collect();
        let refusal = RuleSetRefusal { plugin: Arc::clone(&plugin.name), problems };
        refusals.push((!refusal.problems.is_empty()).then_some(refusal));
    }
    Ok(refusals)
}
