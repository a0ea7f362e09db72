//! `strowger run` and `strowger check-config`.

use crate::handover::{Handover, TAKES_OVER, Terms};
use crate::node::{Program, RunningNode};
use crate::signals::Signals;
use crate::{database, log};
use anyhow::{Context, Result};
use config::{Config, ListenerConfig};
use platform::{ProcessorSet, keep_to};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Threads for the admin interface and the writer of records; calls have their own.
const SIDE_THREADS: usize = 2;

/// Runs a node until SIGTERM or SIGINT (docs/operations.md has all signals).
///
/// # Errors
/// Why it does not start.
pub(crate) fn run(file: &Path) -> Result<()> {
    let program = Program { file: own_file()?, config: file.to_owned() };
    let config = Config::load(file)?;
    let _log = log::start(&config.log)?;
    let handover = Handover::take()?.unwrap_or_default();
    let drain = config.calls.drain;
    let runtime = runtime(config.processors().housekeeping())?;
    let done = runtime.block_on(async {
        // Before anything else: a signal that nobody handles ends the process.
        let mut signals = Signals::handle()?;
        let names: Vec<String> = config.listeners.iter().map(described).collect();
        let (shards, node_name) = (config.shards(), config.name.clone());
        let token_file = config.admin_token_file();
        // A start may wait for a database. One that goes on with calls is not given up.
        let fresh = handover.listeners.is_empty();
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

/// A listener as the log names it.
fn described(listener: &ListenerConfig) -> String {
    let ListenerConfig { name, address, .. } = listener;
    format!("{name} on {address}/{}", crate::transport::sockets::link(listener).name())
}

/// Runs the next program in place of this one, which goes on with the calls. Returns only if it
/// cannot.
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
    // This very program is there whatever has become of its file.
    let error = handover.execute(&program.file);
    tracing::error!(%error, "the next program does not start; this one starts anew");
    Err(handover.execute(Path::new("/proc/self/exe")))
}

/// Whether this program would go on with calls on these terms, a JSON text: everything that `run`
/// would read is read. Gives the version.
///
/// # Errors
/// Why it would not.
pub(crate) fn takes_over(file: &Path, terms: &str) -> Result<String> {
    let terms: Terms = serde_json::from_str(terms).context("the terms cannot be read")?;
    let config = Config::load(file)?;
    terms.meet(&Terms::of(&config)?)?;
    crate::node::check(&config)?;
    crate::node::try_addresses(&config, |address| terms.have(address))?;
    runtime(None)?.block_on(database::try_to_read(&database::of(&config)?))?;
    Ok(format!("{TAKES_OVER}{}", env!("CARGO_PKG_VERSION")))
}

/// The file of this program; of one that was replaced meanwhile, its place.
fn own_file() -> Result<PathBuf> {
    let file = std::env::current_exe().context("the program does not know its file")?;
    let replaced = file.to_str().and_then(|name| name.strip_suffix(" (deleted)"));
    Ok(replaced.map_or_else(|| file.clone(), PathBuf::from))
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
