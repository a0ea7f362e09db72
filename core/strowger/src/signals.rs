//! Signal handling of the node. An unhandled signal would end the process and all its calls, so
//! every usual one is handled.

use engine::Node;
use nix::sys::signal::{SigSet, Signal as Hold};
use std::io;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

/// A name and the signal.
type Ignored = (&'static str, fn() -> SignalKind);

/// Signals without effect. SIGXFSZ comes when a file reaches the limit of `ulimit -f`; the write
/// then fails, which the recorder handles. Every Rust program ignores SIGPIPE.
const IGNORED: [Ignored; 5] = [
    ("SIGUSR1", SignalKind::user_defined1),
    ("SIGUSR2", SignalKind::user_defined2),
    ("SIGALRM", SignalKind::alarm),
    ("SIGVTALRM", || SignalKind::from_raw(rustix::process::Signal::VTALARM.as_raw())),
    ("SIGXFSZ", || SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())),
];

/// Signals that end or change a node; handled by the next program.
const HELD: [Hold; 8] = [
    Hold::SIGTERM,
    Hold::SIGINT,
    Hold::SIGHUP,
    Hold::SIGUSR1,
    Hold::SIGUSR2,
    Hold::SIGALRM,
    Hold::SIGVTALRM,
    Hold::SIGXFSZ,
];

/// Blocks signals from now on, across the start of another program, until [`Signals::handle`]. With
/// `stop`, sends one that ends the node again, for the next program.
pub(crate) fn hold(stop: bool) {
    let held: SigSet = HELD.into_iter().collect();
    let done = held.thread_block().and_then(|()| match stop {
        true => nix::sys::signal::raise(Hold::SIGTERM),
        false => Ok(()),
    });
    if let Err(error) = done {
        tracing::warn!(%error, "signals may get lost");
    }
}

/// The signals of this process.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// `None` once there is a node to reload.
    hangup: Option<Signal>,
    ignored: Vec<JoinHandle<()>>,
}

impl Signals {
    /// Handles signals from now on.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn handle() -> io::Result<Signals> {
        let mut ignored = Vec::new();
        for (name, kind) in IGNORED {
            let mut signal = signal(kind())?;
            ignored.push(tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    tracing::info!(
                        signal = name,
                        "ignored; SIGHUP reloads, SIGTERM and SIGINT stop"
                    );
                }
            }));
        }
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: Some(signal(SignalKind::hangup())?),
            ignored,
        };
        // Deliver the signals that were blocked for this program.
        HELD.into_iter().collect::<SigSet>().thread_unblock()?;
        Ok(signals)
    }

    /// Waits for the first SIGTERM or SIGINT; reloads the node at each SIGHUP.
    pub(crate) async fn until_stop(&mut self, node: Arc<Node>) {
        let reloads = self.hangup.take().map(|hangup| tokio::spawn(reload(hangup, node)));
        self.next().await;
        if let Some(reloads) = reloads {
            reloads.abort();
        }
    }

    /// Hurries the stopping node at each further SIGTERM or SIGINT; never returns.
    pub(crate) async fn hurry(&mut self, node: &Node) {
        loop {
            self.next().await;
            tracing::info!("stopping at once: the running calls are ended");
            node.hurry();
        }
    }

    /// Waits for the next SIGTERM or SIGINT.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.ignored.iter().for_each(JoinHandle::abort);
    }
}

/// Reloads the business folder as `strowger apply` does. Signals that arrive meanwhile count as
/// one.
async fn reload(mut hangup: Signal, node: Arc<Node>) {
    while hangup.recv().await.is_some() {
        tracing::info!("SIGHUP: the business folder is read again");
        // In a separate task: a stop must not leave half a change.
        let node = Arc::clone(&node);
        if let Err(error) = tokio::spawn(async move { node.reload_unattended().await }).await {
            tracing::error!(%error, "reload");
        }
    }
}
