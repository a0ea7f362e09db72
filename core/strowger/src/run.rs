//! `strowger run` and `strowger check-config`.

use crate::node::RunningNode;
use anyhow::{Context, Result};
use config::{Config, LogConfig, LogFormat};
use host::{ProcessorSet, keep_to, text_to_huge_pages};
use std::io::IsTerminal;
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};

/// Threads for the admin interface and the writer of records; calls have their own.
const SIDE_THREADS: usize = 2;

/// Runs a node until SIGTERM or SIGINT.
///
/// # Errors
/// Why it does not start.
pub(crate) fn run(file: &Path) -> Result<()> {
    let config = Config::load(file)?;
    start_log(&config.log)?;
    if config.huge_pages {
        text_to_huge_pages();
    }
    let drain = config.calls.drain;
    let runtime = runtime(config.processors().housekeeping())?;
    let done = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let names: Vec<String> =
            config.listeners.iter().map(|l| format!("{} on {}/udp", l.name, l.address)).collect();
        let (shards, node_name) = (config.shards(), config.name.clone());
        let node = RunningNode::start(config).await?;
        let generation = node.node.generation();
        tracing::info!(
            node = %node_name, listeners = %names.join(", "), admin = %node.admin, shards, generation,
            "strowger {} takes calls", env!("CARGO_PKG_VERSION")
        );
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(?drain, "stopping: no new calls; a second signal ends the running ones");
        let running = node.node.clone();
        let mut stop = std::pin::pin!(node.stop(drain));
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Their records are written all the same: they are money.
            tracing::info!("stopping at once: the running calls are ended");
            running.hurry();
        }
        tracing::info!("stopped");
        Ok(())
    });
    // A folder that is still being read for a reload is not waited for.
    runtime.shutdown_background();
    done
}

/// The runtime beside the switch's own threads, which keep to `housekeeping`.
pub(crate) fn runtime(housekeeping: Option<ProcessorSet>) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.on_thread_start(move || keep_to(housekeeping.as_ref()));
    let runtime = builder.worker_threads(SIDE_THREADS).thread_name("side").enable_all().build();
    runtime.context("the runtime does not start")
}

/// Reads everything that `run` would read; changes nothing.
///
/// # Errors
/// Everything that is wrong, a line each.
pub(crate) fn check(file: &Path) -> Result<String> {
    let config = Config::load(file)?;
    let summary = crate::node::check(&config)?;
    Ok(format!("{}: good\n{summary}", file.display()))
}

fn start_log(log: &LogConfig) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&log.level).context("log.level")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("the log does not start: {error}"))
}
