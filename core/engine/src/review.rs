//! Checks the parts of a configuration against each other before anything is stored or started:
//! plugins and hooks, number lists named by plugins, rule sets read by them.

use business::Business;
use config::{ChainConfig, Config, ConfigErrors};
use host::{Host, LoadError, PluginState};
use policy::Hook;
use std::collections::{BTreeSet, HashSet};
use thiserror::Error;

/// Most names of lists, trunks or accounts in an error.
const LISTED: usize = 10;

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ReviewError {
    /// Settings of the node file that do not match the business.
    #[error(transparent)]
    Settings(#[from] ConfigErrors),
    /// Business objects that the plugins cannot use.
    #[error(transparent)]
    Business(#[from] business::ConfigErrors),
    /// A plugin that fails during a check.
    #[error(transparent)]
    Plugin(#[from] LoadError),
    /// An unknown sound.
    #[error("{0}")]
    Sound(String),
}

/// Checks node file, plugins and a new business against each other; `others` are the number lists
/// that exist besides those of the business, made by the API.
///
/// # Errors
/// Everything at which a call would fail, with file, line and field.
pub(crate) fn review(
    config: &Config,
    host: &Host,
    business: &Business,
    others: &[String],
) -> Result<(), ReviewError> {
    rule_sets(host, business)?;
    sounds(config, business)?;
    let mut problems = Vec::new();
    lists(config, host, (business, others), &mut problems);
    if !business.customer_trunks.is_empty() {
        hooks(config, &host.list(), &mut problems);
    }
    settle(config, problems)
}

/// Checks a few objects against the node file and plugins in use.
///
/// # Errors
/// As [`review`].
pub(crate) fn objects(config: &Config, host: &Host, few: &Business) -> Result<(), ReviewError> {
    rule_sets(host, few)?;
    sounds(config, few)
}

/// Vendor trunks whose ringback sound does not exist.
fn sounds(config: &Config, business: &Business) -> Result<(), ReviewError> {
    let mut wrong = Vec::new();
    for trunk in &business.vendor_trunks {
        if let Some(problem) = unknown_sound(config, &trunk.ringback_sound) {
            wrong.push(format!("vendor trunk `{}`: {problem}", trunk.name));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(ReviewError::Sound(wrong.join("\n"))) }
}

/// The error in a `ringback_sound`, if any.
pub(crate) fn unknown_sound(config: &Config, name: &str) -> Option<String> {
    let files = &config.media.sounds;
    if files.contains_key(name) || codec::ringback(name).is_some() {
        return None;
    }
    let countries = codec::RINGBACK_COUNTRIES.iter().map(|tone| tone.country);
    let known: Vec<&str> = files.keys().map(String::as_str).chain(countries).collect();
    Some(format!(
        "ringback_sound `{name}` is neither a sound of the node file nor the code of a country; \
         there are: {}",
        known.join(", ")
    ))
}

/// Chains of the node file for a trunk or account that the business lacks.
///
/// # Errors
/// Every such place of the node file.
pub(crate) fn chains(config: &Config, business: &Business) -> Result<(), ReviewError> {
    let trunks = || business.customer_trunks.iter().map(|trunk| trunk.name.as_str());
    let accounts = || business.accounts.iter().map(|account| account.name.as_str());
    let (known_trunks, known_accounts): (HashSet<_>, HashSet<_>) =
        (trunks().collect(), accounts().collect());
    let mut problems = Vec::new();
    for (index, chain) in config.plugins.chain.iter().enumerate() {
        if let Some(name) = chain.customer_trunk.as_deref().filter(|n| !known_trunks.contains(n)) {
            let detail = format!("no customer trunk `{name}`; there are: {}", listed(trunks()));
            problems.push((format!("plugins.chain[{index}].customer_trunk"), detail));
        }
        if let Some(name) = chain.account.as_deref().filter(|n| !known_accounts.contains(n)) {
            let detail = format!("no account `{name}`; there are: {}", listed(accounts()));
            problems.push((format!("plugins.chain[{index}].account"), detail));
        }
    }
    settle(config, problems)
}

/// Notes on valid but surprising settings: optional hooks without a plugin, and plugins that no
/// call asks; one per line.
pub(crate) fn notes(config: &Config, plugins: &[PluginState]) -> Vec<String> {
    let chained = |name: &str| {
        config.plugins.chain.iter().any(|chain| chain.plugins.iter().any(|link| link == name))
    };
    let idle = config.plugins.list.iter().filter(|plugin| {
        !chained(&plugin.name)
            && (!plugin.by_default || plugin.hooks.as_ref().is_some_and(BTreeSet::is_empty))
    });
    let idle = idle.map(|plugin| format!("plugin {} is asked by no call", plugin.name));
    unanswered(config, plugins).into_iter().chain(idle).collect()
}

fn unanswered(config: &Config, plugins: &[PluginState]) -> Vec<String> {
    let instead = |hook| match hook {
        Hook::Screening => Some("every call that has a price and a route is let through"),
        Hook::Routing => Some("vendor trunks are tried by priority and id"),
        Hook::Rating | Hook::Numbering | Hook::Identity | Hook::Supervision | Hook::Events => None,
    };
    Hook::ALL
        .into_iter()
        .filter(|hook| asked(config, plugins, *hook).is_empty())
        .filter_map(|hook| Some(format!("no plugin answers {}: {}", hook.name(), instead(hook)?)))
        .collect()
}

/// Hooks without which no call succeeds.
fn hooks(config: &Config, plugins: &[PluginState], problems: &mut Vec<(String, String)>) {
    for (hook, fate) in [
        (Hook::Numbering, "every call is refused with 500"),
        (Hook::Rating, "every call is refused with 500"),
        (Hook::Identity, "every vendor trunk is skipped"),
    ] {
        let chains = config.plugins.chain.iter().enumerate();
        let mut empty = chains.filter(|(_, chain)| chain.hook == hook && chain.plugins.is_empty());
        if let Some((index, _)) = empty.next() {
            let detail = format!("nobody is asked at {}: {fate}", hook.name());
            problems.push((format!("plugins.chain[{index}].plugins"), detail));
        } else if asked(config, plugins, hook).is_empty() {
            let detail = format!(
                "no plugin answers {}: {fate}; name one that does, such as `{}`",
                hook.name(),
                hook.name()
            );
            problems.push(("plugins.list".to_owned(), detail));
        }
    }
}

/// Plugins asked at a hook by calls without a chain for their trunk or account.
fn asked<'a>(config: &'a Config, plugins: &[PluginState], hook: Hook) -> Vec<&'a str> {
    let for_everyone =
        |chain: &&ChainConfig| chain.customer_trunk.is_none() && chain.account.is_none();
    let chain = config.plugins.chain.iter().filter(|chain| chain.hook == hook);
    if let Some(chain) = chain.rev().find(for_everyone) {
        return chain.plugins.iter().map(String::as_str).collect();
    }
    let answers = |name: &str| {
        let found = plugins.iter().find(|plugin| *plugin.stamp.name == *name);
        found.is_some_and(|plugin| plugin.hooks.contains(&hook))
    };
    let list = config.plugins.list.iter().filter(|plugin| plugin.by_default);
    list.map(|plugin| plugin.name.as_str()).filter(|name| answers(name)).collect()
}

/// Number lists named in plugin settings that the business lacks: a misspelt deny list would bar
/// nobody.
fn lists(
    config: &Config,
    host: &Host,
    (business, others): (&Business, &[String]),
    problems: &mut Vec<(String, String)>,
) {
    let own = || business.number_lists.iter().map(|filled| filled.list.name.as_str());
    let lists = || own().chain(others.iter().map(String::as_str));
    for named in host.named_lists() {
        if lists().any(|list| named.may_be(list)) {
            continue;
        }
        let plugins = &config.plugins.list;
        let Some(index) = plugins.iter().position(|plugin| *plugin.name == *named.plugin) else {
            continue;
        };
        let detail = format!("no number list `{}`; there are: {}", named.list, listed(lists()));
        problems.push((format!("plugins.list[{index}].config.{}", named.setting), detail));
    }
}

/// Rule sets refused by the plugins that read them.
fn rule_sets(host: &Host, business: &Business) -> Result<(), ReviewError> {
    let texts: Vec<&str> = business.rule_sets.iter().map(|set| set.text.as_str()).collect();
    let verdicts = host.check_rule_sets(&texts)?;
    let refused = business.rule_sets.iter().zip(verdicts);
    let errors =
        refused.filter_map(|(set, refusal)| Some((set, refusal?))).flat_map(|(set, refusal)| {
            let plugin = refusal.plugin;
            refusal.problems.into_iter().map(move |(line, reason)| {
                let line = usize::try_from(line).unwrap_or(usize::MAX);
                set.error(line, format!("plugin `{plugin}` refuses it: {reason}"))
            })
        });
    Ok(errors.collect::<business::ConfigErrors>().into_result()?)
}

fn settle(config: &Config, problems: Vec<(String, String)>) -> Result<(), ReviewError> {
    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.into_iter();
    let placed = problems.map(|(field, detail)| config.source.problem(&field, detail));
    Err(ConfigErrors(placed.collect()).into())
}

/// Some of the names in alphabetical order.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.len() {
        0 => "none".to_owned(),
        count if count <= LISTED => names.join(", "),
        count => format!("{} and {} more", names[..LISTED].join(", "), count - LISTED),
    }
}
