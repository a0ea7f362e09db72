//! Which imports a plugin may have, and the host functions behind them.

use crate::error::LoadError;
use crate::guest::fault::HostRefusal;
use crate::guest::interface::{self, Interface};
use crate::guest::sandbox::Sandbox;
use crate::plugin::LinePass;
use crate::settings::{Grant, LogLevel, LogLine, PluginSettings};
use crate::wire::{self, CallNumbers, PastAttempt, Statistics, TableHit};
use policy::{CallDetails, Owner};
use std::collections::BTreeSet;
use std::sync::Arc;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Engine, Result, StoreContextMut};

/// Shared types; the interface has no functions, so it needs no grant.
const TYPES: &str = "types";

/// The guest's explanation of a trap, which can do nothing but make a fault clear: it needs no
/// grant.
const FAULT: &str = "host-fault";

const COUNTER_KEY: usize = 256;
/// Handles to call facts that an instance may hold.
const FACTS_HANDLES: usize = 64;
/// Trunks per request for statistics.
const STATISTICS: usize = 1_000;

/// `host-call.facts`; the value of the handle is the number of its question.
struct Facts;

type Context<'a> = StoreContextMut<'a, Sandbox>;

/// Refuses an import that no grant of this plugin opens; returns the grants that it uses.
pub(crate) fn check(
    settings: &PluginSettings,
    component: &Component,
) -> Result<BTreeSet<Grant>, LoadError> {
    let mut used = BTreeSet::new();
    let plugin = || settings.name.clone();
    for (import, _) in component.component_type().imports(component.engine()) {
        let import = import.to_owned();
        let ours = interface::split(&import).map(|(name, _)| name);
        if ours == Some(TYPES) || ours == Some(FAULT) {
            continue;
        }
        if import.starts_with("wasi:") {
            return Err(LoadError::Wasi { plugin: plugin(), import });
        }
        let opens = |grant: &Grant| ours == Some(grant.interface());
        match Grant::ALL.into_iter().find(opens) {
            None => return Err(LoadError::UnknownImport { plugin: plugin(), import }),
            Some(grant) if !settings.grants.contains(&grant) => {
                return Err(LoadError::MissingGrant { plugin: plugin(), import, grant });
            }
            Some(grant) => {
                used.insert(grant);
            }
        }
    }
    Ok(used)
}

/// Whether a component imports a function of the grant's interface.
pub(crate) fn uses(component: &Component, grant: Grant, function: &str) -> bool {
    let engine = component.engine();
    component.component_type().imports(engine).any(|(import, item)| match item.ty {
        ComponentItem::ComponentInstance(instance) => {
            let ours = interface::split(import).is_some_and(|(name, _)| name == grant.interface());
            ours && instance.exports(engine).any(|(name, _)| name == function)
        }
        _ => false,
    })
}

/// The linkers of all components; [`check`] has already decided what a plugin may import.
pub(crate) struct Linkers {
    /// Functions that never wait: their plugins are called synchronously.
    plain: Linker<Sandbox>,
    /// The same and `host-http.fetch`: their plugins run on a fibre.
    waiting: Linker<Sandbox>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> Result<Linkers> {
        let (mut plain, mut waiting) = (linker(engine)?, linker(engine)?);
        super::http::link(&mut plain, false)?;
        super::http::link(&mut waiting, true)?;
        Ok(Linkers { plain, waiting })
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.plain.engine()
    }

    /// The linker for a component that waits, or for one that never does.
    pub(crate) fn of(&self, waits: bool) -> &Linker<Sandbox> {
        if waits { &self.waiting } else { &self.plain }
    }
}

/// Every host function outside `host-http`, in every supported version.
fn linker(engine: &Engine) -> Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    for version in Interface::ANSWERED {
        link(&mut linker, *version)?;
    }
    Ok(linker)
}

fn link(linker: &mut Linker<Sandbox>, version: Interface) -> Result<()> {
    let name = |grant: Grant| version.name(grant.interface());
    linker.instance(&version.name(TYPES))?;
    linker.instance(&version.name(FAULT))?.func_wrap("explain", explain)?;
    linker.instance(&name(Grant::Log))?.func_wrap("log", log)?;
    linker.instance(&name(Grant::Config))?.func_wrap("text", text)?;
    let mut tables = linker.instance(&name(Grant::Tables))?;
    tables.func_wrap("longest-prefix", longest_prefix)?;
    tables.func_wrap("exact", exact)?;
    tables.func_wrap("contains", contains)?;
    call_facts(&mut linker.instance(&name(Grant::Call))?)?;
    super::accounts::link(&mut linker.instance(&name(Grant::Accounts))?)?;
    super::notes::link(&mut linker.instance(&name(Grant::Notes))?)?;
    let mut counters = linker.instance(&name(Grant::Counters))?;
    counters.func_wrap("add-within", counter_add_within)?;
    counters.func_wrap("hold", hold)?;
    counters.func_wrap("release", release)?;
    counters.func_wrap("held", held)?;
    counters.func_wrap("add", counter_add)?;
    counters.func_wrap("sum", counter_sum)?;
    counters.func_wrap("clear", counter_clear)?;
    linker.instance(&name(Grant::Trunks))?.func_wrap("read", statistics)?;
    let mut metrics = linker.instance(&name(Grant::Metrics))?;
    metrics.func_wrap("add", metric_add)?;
    metrics.func_wrap("set", metric_set)?;
    let mut clock = linker.instance(&name(Grant::Clock))?;
    match version {
        Interface::V0_1 => clock.func_wrap("now-ms", now_ms)?,
        #[cfg(test)]
        Interface::V0_2 => clock.func_wrap("now-us", |context: Context<'_>, (): ()| {
            now_ms(context, ()).map(|(ms,)| (ms * 1000,))
        })?,
    }
    linker.instance(&name(Grant::Random))?.func_wrap("next", random)?;
    Ok(())
}

fn explain(mut context: Context<'_>, (text,): (String,)) -> Result<()> {
    context.data_mut().last_words.add(&text);
    Ok(())
}

fn log(context: Context<'_>, (level, line): (wire::LogLevel, String)) -> Result<()> {
    let sandbox = context.data();
    let level = match level {
        wire::LogLevel::Debug => LogLevel::Debug,
        wire::LogLevel::Info => LogLevel::Info,
        wire::LogLevel::Warn => LogLevel::Warn,
        wire::LogLevel::Error => LogLevel::Error,
    };
    let line = LogLine::new(level, &line);
    if let Some(kept) = &sandbox.plugin.settings.kept_log {
        kept.add(line);
        return Ok(());
    }
    let plugin = &*sandbox.plugin.name;
    match sandbox.plugin.log.pass(sandbox.plugin.services.now_ms()) {
        LinePass::No => return Ok(()),
        LinePass::Yes => {}
        LinePass::YesAfter(held) => {
            tracing::warn!(plugin, held, "log lines of the plugin were held back");
        }
    }
    let call = sandbox.asking.as_ref().map_or(0, |asking| asking.call.id);
    let call = format_args!("{call:032x}");
    let text = &line.text;
    match line.level {
        LogLevel::Debug => tracing::debug!(plugin, %call, "{text}"),
        LogLevel::Info => tracing::info!(plugin, %call, "{text}"),
        LogLevel::Warn => tracing::warn!(plugin, %call, "{text}"),
        LogLevel::Error => tracing::error!(plugin, %call, "{text}"),
    }
    Ok(())
}

fn text(context: Context<'_>, (handle,): (u64,)) -> Result<(Option<Arc<str>>,)> {
    let lookup = context.data().lookup();
    Ok((lookup.filter(|_| handle != 0).and_then(|lookup| lookup.text(handle)),))
}

fn longest_prefix(
    context: Context<'_>,
    (table, number): (String, String),
) -> Result<(Option<TableHit>,)> {
    let lookup = context.data().lookup();
    let hit = lookup.and_then(|lookup| lookup.longest_prefix(&table, &number));
    Ok((hit.map(|hit| TableHit { length: hit.length, value: hit.value }),))
}

fn exact(context: Context<'_>, (table, number): (String, String)) -> Result<(Option<Arc<str>>,)> {
    let lookup = context.data().lookup();
    Ok((lookup.and_then(|lookup| lookup.exact(&table, &number)),))
}

fn counter_add(
    context: Context<'_>,
    (key, amount, window_s): (String, u32, u32),
) -> Result<(u64,)> {
    let plugin = &context.data().plugin;
    counter_key(&key)?;
    let services = &plugin.services;
    Ok((services.counters.add(plugin.number, &key, amount, window_s, services.now_ms()),))
}

fn counter_add_within(
    context: Context<'_>,
    (key, amount, window_s, limit): (String, u32, u32, u64),
) -> Result<(std::result::Result<u64, u64>,)> {
    let plugin = &context.data().plugin;
    counter_key(&key)?;
    let services = &plugin.services;
    let key = (plugin.number, key.as_str());
    Ok((services.counters.add_within(key, amount, window_s, limit, services.now_ms()),))
}

fn hold(context: Context<'_>, (key, limit): (String, u32)) -> Result<(bool,)> {
    let sandbox = context.data();
    counter_key(&key)?;
    let Some(asking) = &sandbox.asking else { return Ok((false,)) };
    let holds = &sandbox.plugin.services.holds;
    let taken = |notes: Arc<_>| holds.take(&notes, sandbox.plugin.number, &key, limit);
    Ok((asking.notes.of_call().is_some_and(taken),))
}

fn release(context: Context<'_>, (key,): (String,)) -> Result<(bool,)> {
    let sandbox = context.data();
    let Some(asking) = &sandbox.asking else { return Ok((false,)) };
    let holds = &sandbox.plugin.services.holds;
    let released = |notes: Arc<_>| holds.release(&notes, sandbox.plugin.number, &key);
    Ok((asking.notes.of_call().is_some_and(released),))
}

fn held(context: Context<'_>, (key,): (String,)) -> Result<(u32,)> {
    let plugin = &context.data().plugin;
    Ok((plugin.services.holds.held(plugin.number, &key),))
}

fn counter_sum(context: Context<'_>, (key, window_s): (String, u32)) -> Result<(u64,)> {
    let plugin = &context.data().plugin;
    counter_key(&key)?;
    let services = &plugin.services;
    Ok((services.counters.sum(plugin.number, &key, window_s, services.now_ms()),))
}

fn counter_clear(context: Context<'_>, (key,): (String,)) -> Result<()> {
    let plugin = &context.data().plugin;
    counter_key(&key)?;
    plugin.services.counters.clear(plugin.number, &key);
    Ok(())
}

fn counter_key(key: &str) -> Result<()> {
    if key.len() > COUNTER_KEY {
        let words = format!("counter key of {} bytes, at most {COUNTER_KEY}", key.len());
        return Err(HostRefusal(words).into());
    }
    Ok(())
}

fn now_ms(context: Context<'_>, (): ()) -> Result<(u64,)> {
    Ok((context.data().plugin.services.utc_ms(),))
}

/// The same draws for the same seed, call and position, so that a decision can be replayed.
fn random(mut context: Context<'_>, (): ()) -> Result<(u64,)> {
    let sandbox = context.data_mut();
    let (call, draw) = match &sandbox.asking {
        Some(asking) => (asking.call.id, asking.notes.next_draw()),
        None => {
            sandbox.draws = sandbox.draws.wrapping_add(1);
            (0, sandbox.draws)
        }
    };
    let seed = sandbox.plugin.services.seed();
    let words = [(call >> 64) as u64, call as u64, u64::from(draw)];
    Ok((words.into_iter().fold(mixed(seed), |state, word| mixed(state ^ word)),))
}

/// The output function of SplitMix64: every bit of the input reaches every bit of the output.
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn contains(context: Context<'_>, (table, number): (String, String)) -> Result<(bool,)> {
    let lookup = context.data().lookup();
    Ok((lookup.is_some_and(|lookup| lookup.longest_prefix(&table, &number).is_some()),))
}

fn statistics(context: Context<'_>, (trunks,): (Vec<u32>,)) -> Result<(Vec<Option<Statistics>>,)> {
    if trunks.len() > STATISTICS {
        let words = format!("statistics of {} trunks, at most {STATISTICS}", trunks.len());
        return Err(HostRefusal(words).into());
    }
    let lookup = context.data().lookup();
    let of = |trunk| lookup.and_then(|lookup| lookup.trunk_statistics(trunk)).map(Into::into);
    Ok((trunks.into_iter().map(of).collect(),))
}

fn metric_add(context: Context<'_>, (name, amount): (String, u64)) -> Result<()> {
    context.data().plugin.own_metrics.add(&name, amount);
    Ok(())
}

fn metric_set(context: Context<'_>, (name, value): (String, i64)) -> Result<()> {
    context.data().plugin.own_metrics.set(&name, value);
    Ok(())
}

fn call_facts(call: &mut LinkerInstance<'_, Sandbox>) -> Result<()> {
    call.resource("facts", ResourceType::host::<Facts>(), |mut context, _| {
        let handles = &mut context.data_mut().handles;
        *handles = handles.saturating_sub(1);
        Ok(())
    })?;
    call.func_wrap("current", current)?;
    call.func_wrap("[method]facts.header", |context, (facts, name): (Resource<Facts>, String)| {
        let of = |details: &CallDetails| {
            details.invite.as_ref().map(|invite| invite.header(&name)).unwrap_or_default()
        };
        Ok((details(&context, &facts).map(of).unwrap_or_default(),))
    })?;
    call.func_wrap("[method]facts.request-uri", |context, (facts,): (Resource<Facts>,)| {
        let of = |details: &CallDetails| {
            details.invite.as_ref().map(|invite| invite.request_uri().to_owned())
        };
        Ok((details(&context, &facts).and_then(of).unwrap_or_default(),))
    })?;
    type Word = fn(&policy::CallOrigin) -> &str;
    let words: [(&str, Word); 3] = [
        ("[method]facts.source", |origin| &origin.source),
        ("[method]facts.transport", |origin| &origin.transport),
        ("[method]facts.listener", |origin| &origin.listener),
    ];
    for (name, word) in words {
        call.func_wrap(name, move |context: Context<'_>, (facts,): (Resource<Facts>,)| {
            let of = |details: &CallDetails| word(&details.origin).to_owned();
            Ok((details(&context, &facts).map(of).unwrap_or_default(),))
        })?;
    }
    call.func_wrap("[method]facts.numbers", |context, (facts,): (Resource<Facts>,)| {
        let numbers = details(&context, &facts).map(|details| details.numbers.clone());
        Ok((CallNumbers::from(numbers.unwrap_or_default()),))
    })?;
    call.func_wrap("[method]facts.attempts", |context, (facts,): (Resource<Facts>,)| {
        let attempts = details(&context, &facts).map(|details| details.attempts.as_slice());
        let past = attempts.unwrap_or_default().iter().copied().map(PastAttempt::from);
        Ok((past.collect::<Vec<_>>(),))
    })?;
    call.func_wrap(
        "[method]facts.account-attribute",
        |context, (facts, name): (Resource<Facts>, String)| {
            let account = |call: policy::CallFacts| Owner::Account(call.account);
            Ok((attribute(&context, &facts, account, &name),))
        },
    )?;
    call.func_wrap(
        "[method]facts.customer-attribute",
        |context, (facts, name): (Resource<Facts>, String)| {
            let customer = |call: policy::CallFacts| Owner::Customer(call.trunk);
            Ok((attribute(&context, &facts, customer, &name),))
        },
    )?;
    call.func_wrap(
        "[method]facts.vendor-attribute",
        |context, (facts, trunk, name): (Resource<Facts>, u32, String)| {
            Ok((attribute(&context, &facts, |_| Owner::Vendor(trunk), &name),))
        },
    )
}

fn current(mut context: Context<'_>, (): ()) -> Result<(Resource<Facts>,)> {
    let sandbox = context.data_mut();
    sandbox.handles += 1;
    if sandbox.handles > FACTS_HANDLES {
        let words = format!("{FACTS_HANDLES} handles to call facts are not dropped");
        return Err(HostRefusal(words).into());
    }
    Ok((Resource::new_own(sandbox.questions),))
}

/// Details of the handle's question; none if the handle belongs to an earlier question.
fn details<'a>(context: &'a Context<'_>, facts: &Resource<Facts>) -> Option<&'a CallDetails> {
    let sandbox = context.data();
    let asking = sandbox.asking.as_ref().filter(|_| facts.rep() == sandbox.questions)?;
    asking.details.as_deref()
}

fn attribute(
    context: &Context<'_>,
    facts: &Resource<Facts>,
    owner: impl FnOnce(policy::CallFacts) -> Owner,
    name: &str,
) -> Option<Arc<str>> {
    let sandbox = context.data();
    let asking = sandbox.asking.as_ref().filter(|_| facts.rep() == sandbox.questions)?;
    asking.lookup.attribute(owner(asking.call), name)
}
