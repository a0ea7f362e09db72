//! `strowger run` and `strowger check-config`.

use crate::log;
use crate::node::RunningNode;
use crate::signals::Signals;
use anyhow::{Context, Result};
use config::Config;
use host::{ProcessorSet, keep_to, text_to_huge_pages};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// Threads for the admin interface and the writer of records; calls have their own.
const SIDE_THREADS: usize = 2;

/// Runs a node until SIGTERM or SIGINT (docs/operations.md has all signals).
///
/// # Errors
/// Why it does not start.
pub(crate) fn run(file: &Path) -> Result<()> {
    let config = Config::load(file)?;
    let _log = log::start(&config.log)?;
    if config.huge_pages {
        text_to_huge_pages();
    }
    let drain = config.calls.drain;
    let runtime = runtime(config.processors().housekeeping())?;
    let done = runtime.block_on(async {
        // Before anything else: a signal that nobody handles ends the process.
        let mut signals = Signals::handle()?;
        let names: Vec<String> =
            config.listeners.iter().map(|l| format!("{} on {}/udp", l.name, l.address)).collect();
        let (shards, node_name) = (config.shards(), config.name.clone());
        let token_file = config.admin_token_file();
        let running = RunningNode::start(config).await?;
        if running.made_token {
            tell_token(&token_file);
        }
        let generation = running.node.generation();
        tracing::info!(
            node = %node_name, listeners = %names.join(", "), admin = %running.admin, shards,
            generation, "strowger {} takes calls", env!("CARGO_PKG_VERSION")
        );
        signals.until_stop(Arc::clone(&running.node)).await;
        tracing::info!(?drain, "stopping: no new calls; a second signal ends the running ones");
        let node = Arc::clone(&running.node);
        tokio::select! {
            () = running.stop(drain) => {}
            // Their records are written all the same: they are money.
            () = signals.hurry(&node) => {}
        }
        tracing::info!("stopped");
        Ok(())
    });
    // A folder that is still being read for a reload is not waited for.
    runtime.shutdown_background();
    done
}

/// Says where the token of the admin interface is: on a terminal the token, too, and in a log,
/// which others read, the file alone.
fn tell_token(file: &Path) {
    tracing::info!(
        file = %file.display(),
        "a token for the admin interface was made; the command line finds it there"
    );
    if std::io::stderr().is_terminal()
        && let Ok(token) = std::fs::read_to_string(file)
    {
        eprintln!("Token of the admin interface: {}", token.trim());
    }
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
