//! Measures how long a plugin takes for the questions of a switch.

use super::FileArgs;
use super::questions::{Questions, Snapshot, details};
use crate::Table;
use anyhow::Result;
use host::{Host, KeptLog, LogLines};
use policy::{Context, Fault, Hook};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// Uncounted questions: the first ones run with cold caches.
const WARM_UP: u32 = 50;

/// The figures of one hook of one plugin.
#[derive(Debug, Serialize)]
pub(super) struct HookTimes {
    pub(super) hook: Hook,
    pub(super) questions: u64,
    /// Answers that a call can use.
    pub(super) answered: u64,
    /// Left to other plugins, or answered with an error.
    pub(super) declined: u64,
    /// Any other fault, by its text.
    pub(super) faults: BTreeMap<String, u64>,
    /// Lines that it logged.
    #[serde(skip)]
    pub(super) log: LogLines,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) worst_us: f64,
    /// On one thread.
    pub(super) per_second: f64,
}

/// Different texts of faults that are counted one by one.
const TEXTS: usize = 20;

/// Asks each hook of the only plugin of a host.
pub(super) fn ask(host: &Host, log: &KeptLog, hooks: &[Hook], questions: u32) -> Vec<HookTimes> {
    hooks.iter().map(|hook| ask_hook(host, log, *hook, questions)).collect()
}

fn ask_hook(host: &Host, log: &KeptLog, hook: Hook, count: u32) -> HookTimes {
    let mut shard = host.shard();
    shard.warm_current();
    let node = host.pin(Arc::new(Snapshot));
    let details = details();
    let mut questions = Questions::new(hook as u64);
    // Without the lines of new instances.
    drop(log.take());
    let mut nanos: Vec<u64> = Vec::with_capacity(count as usize);
    let (mut answered, mut declined, mut faults) = (0, 0, BTreeMap::new());
    for number in 0..WARM_UP + count {
        let pin = node.for_call();
        let reply =
            shard.ask(Context { pin: &pin, details: Some(&details) }, &questions.draw(hook));
        if number < WARM_UP {
            continue;
        }
        nanos.push(reply.nanos);
        match reply.outcome {
            Ok(_) => answered += 1,
            Err(Fault::Refused(_)) => declined += 1,
            Err(fault) => {
                let text = fault.to_string();
                let known = faults.len() < TEXTS || faults.contains_key(&text);
                let text = if known { text } else { "other faults".to_owned() };
                *faults.entry(text).or_insert(0) += 1;
            }
        }
    }
    nanos.sort_unstable();
    let at = |share: f64| {
        let last = nanos.len().saturating_sub(1);
        let place = (last as f64 * share).round() as usize;
        nanos.get(place).map_or(0.0, |nanos| *nanos as f64 / 1e3)
    };
    let sum: u64 = nanos.iter().sum();
    HookTimes {
        hook,
        questions: nanos.len() as u64,
        answered,
        declined,
        faults,
        log: log.take(),
        p50_us: at(0.5),
        p99_us: at(0.99),
        worst_us: at(1.0),
        per_second: nanos.len() as f64 * 1e9 / (sum.max(1) as f64),
    }
}

#[derive(Debug, Serialize)]
struct Bench {
    plugin: String,
    compile_ms: f64,
    instantiate_us: f64,
    hooks: Vec<HookTimes>,
}

/// `plugin bench`.
pub(super) fn run(args: &FileArgs, questions: u32, out: &mut impl Write) -> Result<()> {
    let subject = args.open()?;
    let log = KeptLog::default();
    let host = subject.host(&log)?;
    let inspection = &subject.inspection;
    let bench = Bench {
        plugin: format!("{} {}", inspection.name, inspection.version),
        compile_ms: inspection.compile.as_secs_f64() * 1e3,
        instantiate_us: inspection.instantiate.as_secs_f64() * 1e6,
        hooks: ask(&host, &log, &inspection.hooks, questions),
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &bench)?;
        writeln!(out)?;
        return Ok(());
    }
    let Bench { plugin, compile_ms, instantiate_us, .. } = &bench;
    writeln!(
        out,
        "{plugin}: compiled in {compile_ms:.0} ms, an instance in {instantiate_us:.1} µs"
    )?;
    write!(out, "{}", table(&bench.hooks))?;
    Ok(())
}

/// Figures of each hook, as a table for people.
pub(super) fn table(hooks: &[HookTimes]) -> Table {
    let mut table = Table::new(&[
        "HOOK",
        ">QUESTIONS",
        ">ANSWERED",
        ">DECLINED",
        ">FAULTS",
        ">P50 µs",
        ">P99 µs",
        ">WORST µs",
        ">A SECOND",
    ]);
    for times in hooks {
        table.row([
            times.hook.to_string(),
            times.questions.to_string(),
            times.answered.to_string(),
            times.declined.to_string(),
            times.faults.values().sum::<u64>().to_string(),
            format!("{:.1}", times.p50_us),
            format!("{:.1}", times.p99_us),
            format!("{:.1}", times.worst_us),
            format!("{:.0}", times.per_second),
        ]);
    }
    table
}
