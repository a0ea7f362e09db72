//! `strowger run` and `strowger check-config`.

use crate::running::RunningNode;
use crate::signals::Signals;
use anyhow::{Context, Result};
use config::{Config, ListenerConfig};
use engine::{Handover, Program, TAKES_OVER, Terms, log};
use platform::{ProcessorSet, keep_to};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Threads for the admin API and the recorder; calls have separate ones.
const SIDE_THREADS: usize = 2;

/// Runs a node until SIGTERM or SIGINT (docs/operations.md lists all signals).
///
/// # Errors
/// Why it does not start.
pub(crate) fn run(file: &Path) -> Result<()> {
    let program = Program { file: own_file()?, config: file.to_owned() };
    let config = Config::load(file)?;
    let _log = log::start(&config.log)?;
    let handover = Handover::take()?;
    let drain = config.calls.drain;
    let runtime = runtime(config.processors().housekeeping())?;
    let done = runtime.block_on(async {
        // First of all: an unhandled signal ends the process.
        let mut signals = Signals::handle()?;
        let names: Vec<String> = config.listeners.iter().map(described).collect();
        let (shards, node_name) = (config.shards(), config.name.clone());
        let token_file = config.admin_token_file();
        // A start may wait for a database; it can be aborted unless it takes over calls.
        let (fresh, handover) = (handover.is_none(), handover.unwrap_or_default());
        let running = tokio::select! {
            running = RunningNode::start_after(config, handover) => running?,
            () = signals.next(), if fresh => {
                tracing::info!("stopped before any call was taken");
                return Ok(());
            }
        };
        running.node.set_program(program);
        if running.made_token {
            tell_token(&token_file);
        }
        let generation = running.node.generation();
        tracing::info!(
            node = %node_name, listeners = %names.join(", "), admin = %running.admin, shards,
            generation, "strowger {} takes calls", env!("CARGO_PKG_VERSION")
        );
        let node = Arc::clone(&running.node);
        tokio::select! {
            () = signals.until_stop(Arc::clone(&running.node)) => {}
            Some(program) = node.until_upgrade() => {
                return replace(running, &program, &mut signals).await;
            }
        }
        tracing::info!(?drain, "stopping: no new calls; a second signal ends the running ones");
        let node = Arc::clone(&running.node);
        tokio::select! {
            () = running.stop(drain) => {}
            // Their records are written nevertheless: they are money.
            () = signals.hurry(&node) => {}
        }
        tracing::info!("stopped");
        Ok(())
    });
    // A folder still being read for a reload is not awaited.
    runtime.shutdown_background();
    done
}

/// A listener for the log.
fn described(listener: &ListenerConfig) -> String {
    let ListenerConfig { name, address, .. } = listener;
    format!("{name} on {address}/{}", engine::link(listener).name())
}

/// Executes the next program, which takes over the calls. Returns only if that fails.
async fn replace(running: RunningNode, program: &Program, signals: &mut Signals) -> Result<()> {
    let mut handing_over = std::pin::pin!(running.hand_over());
    let mut stop = false;
    let handover = loop {
        tokio::select! {
            handover = &mut handing_over => break handover.bound(),
            () = signals.next() => stop = true,
        }
    };
    let calls = handover.calls().len();
    tracing::info!(calls, program = %program.file.display(), "handed over");
    crate::signals::hold(stop);
    // This program can be started again, whatever happened to its file.
    let error = handover.execute(&program.file);
    tracing::error!(%error, "the next program does not start; this one restarts");
    Err(handover.execute(Path::new("/proc/self/exe")))
}

/// Checks whether this program can take over calls on `terms`, a JSON text: reads everything that
/// `run` would read. Returns the version.
///
/// # Errors
/// Why it cannot.
pub(crate) fn takes_over(file: &Path, terms: &str) -> Result<String> {
    let terms: Terms = serde_json::from_str(terms).context("the terms cannot be read")?;
    let config = Config::load(file)?;
    terms.meet(&Terms::of(&config)?)?;
    runtime(None)?.block_on(engine::rehearse(&config, &terms))?;
    if !terms.have(config.admin.address) {
        admin::try_address(config.admin.address)?;
    }
    Ok(format!("{TAKES_OVER}{}", env!("CARGO_PKG_VERSION")))
}

/// The path of this program, even if its file was replaced.
fn own_file() -> Result<PathBuf> {
    let file = std::env::current_exe().context("the file of the running program is unknown")?;
    let replaced = file.to_str().and_then(|name| name.strip_suffix(" (deleted)"));
    Ok(replaced.map_or_else(|| file.clone(), PathBuf::from))
}

/// Logs where the token of the admin API is; prints the token itself only on a terminal, since
/// others read logs.
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

/// The async runtime besides the switch's own threads, pinned to `housekeeping`.
pub(crate) fn runtime(housekeeping: Option<ProcessorSet>) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.on_thread_start(move || keep_to(housekeeping.as_ref()));
    let runtime = builder.worker_threads(SIDE_THREADS).thread_name("side").enable_all().build();
    runtime.context("the runtime does not start")
}

/// Reads everything that `run` would read, without changing anything.
///
/// # Errors
/// All errors, one per line.
pub(crate) fn check(file: &Path) -> Result<String> {
    let config = Config::load(file)?;
    let summary = engine::check(&config)?;
    Ok(format!("{}: good\n{summary}", file.display()))
}
