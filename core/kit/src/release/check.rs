//! Checks whether a switch would load a plugin, its needs, and its speed.

use super::measure::{self, HookTimes};
use super::{FileArgs, Subject};
use crate::{fault_lines, test};
use anyhow::{Result, bail};
use host::{Inspection, KeptLog, LogLines, PluginSettings};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// Log lines of a hook that are shown.
const LINES: usize = 5;

/// Questions per hook.
const QUESTIONS: u32 = 2_000;

#[derive(Debug, Serialize)]
struct Report {
    name: String,
    version: String,
    summary: String,
    digest: String,
    /// Key id in its signature, unchecked; empty: unsigned.
    signer: String,
    /// Grants that it needs to be loaded.
    grants: Vec<&'static str>,
    hooks: Vec<&'static str>,
    total_bytes: u64,
    code_bytes: u64,
    data_bytes: u64,
    custom_bytes: u64,
    memory_bytes: u64,
    compile_ms: f64,
    instantiate_us: f64,
    self_test_cases: u32,
    /// Questions with known answers, all answered correctly.
    vectors: usize,
    deadline_ms: u32,
    /// JSON Schema of its configuration, if it ships one.
    schema: Option<serde_json::Value>,
    times: Vec<HookTimes>,
}

/// `plugin check`: fails if the plugin would be refused, answers a vector wrongly, or gives no
/// usable answer.
pub(super) fn run(args: &FileArgs, vectors: Option<PathBuf>, out: &mut impl Write) -> Result<()> {
    let subject = args.open()?;
    let Subject { inspection, settings, .. } = &subject;
    if !args.json {
        facts(inspection, out)?;
    }
    let log = KeptLog::default();
    let host = subject.host(&log);
    // A refused plugin has logged what led to it.
    let logged = log.take_load();
    if args.json {
        test::show(&logged, "at load", &mut io::stderr())?;
    } else {
        test::show(&logged, "at load", out)?;
    }
    let host = host?;
    let cases = host.list().first().map_or(0, |state| state.self_test_cases);
    if !args.json {
        writeln!(out, "self-test   {cases} passed")?;
    }
    let vectors = match vectors.as_ref().or(subject.vectors.as_ref()) {
        // With JSON on standard output, failures go to standard error.
        Some(file) if args.json => test::ask(settings.clone(), None, file, &mut io::stderr())?,
        Some(file) => test::ask(settings.clone(), None, file, out)?,
        None => 0,
    };
    let times = measure::ask(&host, &log, &inspection.hooks, QUESTIONS);
    if args.json {
        let report = report(&subject, cases, vectors, times);
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
        return verdict(settings, &report.times);
    }
    writeln!(out, "deadline    {} µs for each question", u64::from(settings.deadline_ms) * 1000)?;
    write!(out, "\n{}", measure::table(&times))?;
    for times in &times {
        log_of(times, out)?;
    }
    verdict(settings, &times)?;
    writeln!(out, "\na switch would load it")?;
    Ok(())
}

fn facts(inspection: &Inspection, out: &mut impl Write) -> Result<()> {
    let Inspection { name, version, summary, digest, anatomy, .. } = inspection;
    writeln!(out, "plugin      {name} {version}\nsummary     {summary}\ndigest      {digest}")?;
    let signer = inspection.signer.key();
    let signer = signer.map_or_else(|| "no".to_owned(), |key| format!("by key {key}, unchecked"));
    writeln!(out, "signed      {signer}")?;
    writeln!(
        out,
        "size        {} bytes: code {}, data {}, names and debug {}",
        anatomy.total, anatomy.code, anatomy.data, anatomy.custom
    )?;
    writeln!(out, "memory      {} bytes at its start", anatomy.memory)?;
    writeln!(out, "interface   strowger:policy {}", inspection.interface)?;
    let grants: Vec<&str> = inspection.grants.iter().map(|grant| grant.name()).collect();
    writeln!(
        out,
        "grants      {}",
        if grants.is_empty() { "none".into() } else { grants.join(", ") }
    )?;
    for grant in &inspection.grants {
        writeln!(out, "            {} for {}", grant.name(), grant.interface())?;
    }
    let hooks: Vec<&str> = inspection.hooks.iter().map(|hook| hook.name()).collect();
    writeln!(out, "hooks       {}", hooks.join(", "))?;
    let schema = if inspection.schema.is_empty() { "none" } else { inspection.schema.as_str() };
    writeln!(out, "schema      {schema}")?;
    writeln!(
        out,
        "compiled    in {} ms, an instance in {:.1} µs",
        inspection.compile.as_millis(),
        inspection.instantiate.as_secs_f64() * 1e6
    )?;
    Ok(())
}

fn report(
    subject: &Subject,
    self_test_cases: u32,
    vectors: usize,
    times: Vec<HookTimes>,
) -> Report {
    let inspection = subject.inspection.clone();
    let anatomy = inspection.anatomy;
    Report {
        grants: inspection.grants.iter().map(|grant| grant.name()).collect(),
        hooks: inspection.hooks.iter().map(|hook| hook.name()).collect(),
        signer: inspection.signer.key().unwrap_or_default().to_owned(),
        name: inspection.name,
        version: inspection.version,
        summary: inspection.summary,
        digest: inspection.digest,
        total_bytes: anatomy.total,
        code_bytes: anatomy.code,
        data_bytes: anatomy.data,
        custom_bytes: anatomy.custom,
        memory_bytes: anatomy.memory,
        compile_ms: inspection.compile.as_secs_f64() * 1e3,
        instantiate_us: inspection.instantiate.as_secs_f64() * 1e6,
        self_test_cases,
        vectors,
        deadline_ms: subject.settings.deadline_ms,
        schema: serde_json::from_str(&inspection.schema).ok(),
        times,
    }
}

/// The first lines that a hook logged.
fn log_of(times: &HookTimes, out: &mut impl Write) -> Result<()> {
    let LogLines { lines, more } = &times.log;
    if lines.is_empty() {
        return Ok(());
    }
    let shown = lines.len().min(LINES);
    let all = lines.len() as u64 + more;
    writeln!(out, "\n{} logged {all} lines; the first {shown}:", times.hook)?;
    test::show(&LogLines { lines: lines[..shown].to_vec(), more: 0 }, "log", out)
}

/// Finds a trap, a deadline or nonsense here rather than in a call.
fn verdict(settings: &PluginSettings, times: &[HookTimes]) -> Result<()> {
    let worst = times.iter().flat_map(|hook| hook.faults.iter().map(move |fault| (hook, fault)));
    if let Some((hook, (fault, _))) = worst.max_by_key(|(_, (_, count))| **count) {
        let HookTimes { hook, questions, faults, .. } = hook;
        let count: u64 = faults.values().sum();
        let often = if faults.len() > 1 { "most often: " } else { "" };
        let (file, fault) = (settings.path.display(), fault_lines(fault, 2));
        bail!("{file}: {hook} fails {count} of {questions} questions: {often}{fault}");
    }
    Ok(())
}
