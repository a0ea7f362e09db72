//! Which imports a plugin may have, and the host functions behind them.

use crate::plugin::LinePass;
use crate::sandbox::{HostRefusal, Sandbox};
use crate::wire::{LogLevel, TableHit};
use crate::{Grant, LoadError, PluginSettings};
use rand::RngCore;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Result, StoreContextMut};

/// Shared words; it has no functions, so it needs no grant.
const TYPES: &str = "strowger:policy/types@0.1.0";

const LOG_LINE: usize = 1024;
const COUNTER_KEY: usize = 256;

type Context<'a> = StoreContextMut<'a, Sandbox>;

/// Refuses an import that no grant of this plugin opens.
pub(crate) fn check(settings: &PluginSettings, component: &Component) -> Result<(), LoadError> {
    let plugin = || settings.name.clone();
    for (import, _) in component.component_type().imports(component.engine()) {
        let import = import.to_owned();
        if import == TYPES {
            continue;
        }
        if import.starts_with("wasi:") {
            return Err(LoadError::Wasi { plugin: plugin(), import });
        }
        match Grant::ALL.into_iter().find(|grant| grant.interface() == import) {
            None => return Err(LoadError::UnknownImport { plugin: plugin(), import }),
            Some(grant) if !settings.grants.contains(&grant) => {
                return Err(LoadError::MissingGrant { plugin: plugin(), import, grant });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Every host function; [`check`] has decided before which of them a plugin reaches.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    linker.instance(TYPES)?;
    linker.instance(Grant::Log.interface())?.func_wrap("log", log)?;
    linker.instance(Grant::Config.interface())?.func_wrap("text", text)?;
    let mut tables = linker.instance(Grant::Tables.interface())?;
    tables.func_wrap("longest-prefix", longest_prefix)?;
    tables.func_wrap("exact", exact)?;
    let mut counters = linker.instance(Grant::Counters.interface())?;
    counters.func_wrap("add", counter_add)?;
    counters.func_wrap("sum", counter_sum)?;
    counters.func_wrap("clear", counter_clear)?;
    linker.instance(Grant::Clock.interface())?.func_wrap("now-ms", now_ms)?;
    linker.instance(Grant::Random.interface())?.func_wrap("next", random)?;
    Ok(linker)
}

fn log(context: Context<'_>, (level, mut line): (LogLevel, String)) -> Result<()> {
    let sandbox = context.data();
    let plugin = &*sandbox.plugin.name;
    match sandbox.plugin.log.pass(sandbox.plugin.services.now_ms()) {
        LinePass::No => return Ok(()),
        LinePass::Yes => {}
        LinePass::YesAfter(held) => {
            tracing::warn!(plugin, held, "log lines of the plugin were held back");
        }
    }
    if line.len() > LOG_LINE {
        let end = (0..=LOG_LINE).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(end);
    }
    line.retain(|character| !character.is_control());
    let call = format_args!("{:032x}", sandbox.call);
    match level {
        LogLevel::Debug => tracing::debug!(plugin, %call, "{line}"),
        LogLevel::Info => tracing::info!(plugin, %call, "{line}"),
        LogLevel::Warn => tracing::warn!(plugin, %call, "{line}"),
        LogLevel::Error => tracing::error!(plugin, %call, "{line}"),
    }
    Ok(())
}

fn text(context: Context<'_>, (handle,): (u64,)) -> Result<(Option<Arc<str>>,)> {
    let lookup = context.data().lookup.as_ref();
    Ok((lookup.filter(|_| handle != 0).and_then(|lookup| lookup.text(handle)),))
}

fn longest_prefix(
    context: Context<'_>,
    (table, number): (String, String),
) -> Result<(Option<TableHit>,)> {
    let lookup = context.data().lookup.as_ref();
    let hit = lookup.and_then(|lookup| lookup.longest_prefix(&table, &number));
    Ok((hit.map(|hit| TableHit { length: hit.length, value: hit.value }),))
}

fn exact(context: Context<'_>, (table, number): (String, String)) -> Result<(Option<Arc<str>>,)> {
    let lookup = context.data().lookup.as_ref();
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

fn now_ms(_: Context<'_>, (): ()) -> Result<(u64,)> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((u64::try_from(since.as_millis()).unwrap_or(u64::MAX),))
}

fn random(mut context: Context<'_>, (): ()) -> Result<(u64,)> {
    Ok((context.data_mut().random.next_u64(),))
}
