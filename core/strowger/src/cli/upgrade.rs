//! `strowger upgrade`.

use super::{NodeArgs, print};
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::time::{Duration, Instant};

/// How long the next program may take to serve the admin API.
const PATIENCE: Duration = Duration::from_secs(120);

/// Polling interval.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    #[command(flatten)]
    node: NodeArgs,
}

/// The result of an upgrade.
#[derive(Debug, Serialize)]
struct Done {
    from: String,
    to: String,
    /// Calls taken over.
    calls: usize,
    /// Milliseconds from the command to the first response of the next program.
    took_ms: u64,
}

impl UpgradeArgs {
    pub(super) fn run(self, out: &mut impl Write) -> Result<()> {
        let client = self.node.client()?;
        let before = client.health()?.started_ms;
        let begun = client.upgrade()?;
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let health = client.health().ok();
            if let Some(health) = health.filter(|health| health.started_ms != before) {
                let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                let (from, to, calls) = (begun.from, begun.to, health.calls);
                let done = Done { from, to, calls, took_ms };
                return print(out, self.node.json, &done, told);
            }
            std::thread::sleep(LOOK);
        }
        bail!("the next program does not answer; see the log of the node")
    }
}

fn told(done: &Done) -> String {
    let Done { from, to, calls, took_ms } = done;
    format!("{from} has handed over to {to} in {took_ms} ms; {calls} calls go on\n")
}
