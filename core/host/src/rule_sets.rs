//! Rule sets put to the plugins that read them, before a call needs one. What a rule is, only
//! they know.

use crate::instance::Instance;
use crate::verify::shortened;
use crate::version::{LOAD_DEADLINE_MS, Version};
use crate::{Host, LoadError};
use std::sync::Arc;

/// Problems of one text that are kept.
const KEPT: usize = 100;

/// Why a text is no rule set to any plugin that reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSetRefusal {
    /// The plugin that says so.
    pub plugin: Arc<str>,
    /// Line from 1, or 0 for the text as a whole, and what is wrong there; at least one.
    pub problems: Vec<(u32, String)>,
}

impl Host {
    /// Asks the live plugins that read rule sets about each text. A text is refused when all of
    /// them refuse it: with plugins of several grammars it is meant for one of them. Where no
    /// plugin reads rule sets nothing is known to be wrong.
    ///
    /// # Errors
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

/// What one build says of each text.
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
