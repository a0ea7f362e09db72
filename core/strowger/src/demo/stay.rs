//! `strowger demo --stay`: the demo's switch with continuous calls, for trying plugins.

use super::scene::{self, Addresses, Scene};
use super::{RING, TALK};
use crate::agents::{Behaviour, CallPlan, Caller, Vendor};
use crate::running::RunningNode;
use anyhow::Result;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pause between calls.
const PAUSE: Duration = Duration::from_millis(200);

/// Calls per progress line.
const ROUND: u32 = 25;

/// Places calls until the process is ended.
pub(super) fn stay(folder: PathBuf, plugins: &Path, out: &mut impl Write) -> Result<()> {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let refuse = Behaviour::Refuse(503);
    let vendor_a = Vendor::start("vendor-a", free, refuse, None)?;
    let vendor_b = Vendor::start("vendor-b", free, Behaviour::Answer { ring: RING }, None)?;
    let switch = scene::free_address()?;
    let mut caller = Caller::bind("caller", free, switch, None)?;
    let addresses = Addresses {
        switch,
        caller: caller.address(),
        vendor_a: vendor_a.address(),
        vendor_b: vendor_b.address(),
    };
    let scene = Scene::write_to_stay(folder, plugins, &addresses)?;
    let config = scene.config()?;
    let admin = config.admin.address;
    let runtime = crate::run::runtime(config.processors().housekeeping())?;
    let _running = runtime.block_on(RunningNode::start(config))?;
    writeln!(
        out,
        "The switch takes calls. Its node file is {}, its admin interface http://{admin}.\n\
         {} calls a second until Ctrl-C; vendor-a is preferred and refuses, vendor-b is cheaper\n\
         and answers.",
        scene.node_file().display(),
        1_000 / PAUSE.as_millis(),
    )?;
    let (mut calls, mut failed) = (0u64, 0u64);
    loop {
        let outcomes = caller.place(&round())?;
        calls += outcomes.len() as u64;
        failed += outcomes.iter().filter(|outcome| outcome.code != 200).count() as u64;
        writeln!(out, "{calls} calls, {failed} failed")?;
        out.flush()?;
    }
}

/// From many callers, because a caller with so many calls is blocked (SEC-18).
fn round() -> Vec<CallPlan> {
    (0..ROUND)
        .map(|number| CallPlan {
            caller: format!("03055501{number:02}"),
            callee: format!("004420755501{number:02}"),
            after: PAUSE * number,
            talk: TALK,
        })
        .collect()
}
