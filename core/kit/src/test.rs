//! `plugin test`: asks the project's vectors in the real host.

use super::build::Component;
use super::fault_lines;
use super::manifest::Project;
use super::toolchain;
use super::vectors::{Case, Vectors};
use anyhow::{Context, Result, bail};
use host::{Host, HostSettings, KeptLog, LogLines, PluginSettings};
use policy::Reply;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Asks the component the project's questions.
pub(super) fn vectors(
    project: &Project,
    component: &Component,
    out: &mut impl Write,
) -> Result<()> {
    let plugin = PluginSettings { path: component.path.clone(), ..project.settings.clone() };
    ask(plugin, Some(project.build_folder().join("cache")), &project.vectors, out).map(drop)
}

/// Asks a plugin the questions of a file; returns their number if all are answered correctly.
pub(super) fn ask(
    mut plugin: PluginSettings,
    cache_dir: Option<PathBuf>,
    file: &Path,
    out: &mut impl Write,
) -> Result<usize> {
    let vectors = Vectors::read(file)?;
    let cases = vectors.cases().with_context(|| format!("{}", file.display()))?;
    if cases.is_empty() {
        bail!("{} has no cases", file.display());
    }
    let log = KeptLog::default();
    plugin.kept_log = Some(log.clone());
    let host = Host::new(HostSettings {
        plugins: vec![plugin],
        cache_dir,
        shards: 1,
        random_seed: Some(vectors.random_seed),
        housekeeping: None,
    });
    // A refused plugin has logged what led to it.
    show(&log.take_load(), "at load", out)?;
    let host = host?;
    let mut shard = host.shard();
    shard.warm_current();
    // Instances of one build log the same when they are made.
    drop(log.take());
    let pin = host.pin(vectors.lookup());
    let mut failed = 0;
    let mut nanos = Vec::with_capacity(cases.len());
    for case in &cases {
        let pin = pin.for_call();
        let reply = shard.ask(policy::Context { pin: &pin, details: None }, &case.question);
        nanos.push(reply.nanos);
        let right = matches!(&reply.outcome, Ok(answer) if *answer == case.answer);
        writeln!(out, "{}{}", if right { "ok      " } else { "FAILED  " }, case.name)?;
        show(&log.take(), "log", out)?;
        if !right {
            complain(case, &reply, out)?;
            failed += 1;
        }
        if reply.outcome.is_err() {
            // No call waits: the next question need not fail because of this one.
            shard.warm_current();
            drop(log.take());
        }
    }
    nanos.sort_unstable();
    let median = nanos[nanos.len() / 2] / 1000;
    writeln!(out, "{} passed, {failed} failed; {median} us a question", cases.len() - failed)?;
    if failed > 0 { bail!("{failed} of {} vectors fail", cases.len()) } else { Ok(cases.len()) }
}

/// Writes lines that the plugin logged.
pub(crate) fn show(log: &LogLines, what: &str, out: &mut impl Write) -> Result<()> {
    for line in &log.lines {
        writeln!(out, "        {what}  {line}")?;
    }
    if log.more > 0 {
        writeln!(out, "        {what}  and {} more lines", log.more)?;
    }
    Ok(())
}

/// The right answer and the one that came instead.
fn complain(case: &Case, reply: &Reply, out: &mut impl Write) -> Result<()> {
    let answered = match &reply.outcome {
        Ok(answer) => json!(answer).to_string(),
        Err(fault) => format!("nothing: {}", fault_lines(&fault.to_string(), 10)),
    };
    writeln!(out, "        expected {}\n        answered {answered}", json!(case.answer))?;
    Ok(())
}

/// Runs the native tests of a Rust project.
pub(super) fn cargo(project: &Project) -> Result<()> {
    let output = toolchain::cargo(project)?
        .args(["test", "--quiet"])
        .output()
        .context("`cargo` cannot be started")?;
    if !output.status.success() {
        bail!(
            "`cargo test` fails:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
