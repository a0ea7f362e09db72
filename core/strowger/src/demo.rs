//! `strowger demo`: the real switch on loopback, a caller, two vendors, and a routing plugin
//! swapped during calls; then two calls that use more features.

mod scene;
mod stay;
mod text;

use crate::agents::{Behaviour, CallOutcome, CallPlan, Caller, Ladder, Manner, Vendor};
use crate::running::RunningNode;
use anyhow::{Context, Result, bail};
use api::RecordView;
use clap::Args;
use codec::Law;
use engine::Node;
use scene::{Addresses, Guests, Scene};
use sip::Link;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::CallFilter;

/// Ringing time of vendor-b.
const RING: Duration = Duration::from_millis(300);

/// Ringing time of vendor-d: long enough to hear a tone.
const LONG_RING: Duration = Duration::from_millis(1_500);

/// Talk time of the callers.
const TALK: Duration = Duration::from_millis(2_000);

/// When the plugin is swapped: during the first half's calls.
const SWAP_AT: Duration = Duration::from_millis(1_200);

/// Calls per half.
const CALLS: u32 = 3;

/// Arguments of the demo.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder of the compiled plugins; by default `plugins` beside the program's folder, where
    /// `make plugins` puts them.
    #[arg(long, value_name = "FOLDER")]
    plugins: Option<PathBuf>,
    /// The plugin that replaces `routing` halfway; by default the example `first-router`, which
    /// prefers the cheapest vendor.
    #[arg(long, value_name = "FILE")]
    swap_to: Option<PathBuf>,
    /// Keep calling until Ctrl-C, to try plugins on a switch with traffic. Its files, records and
    /// decisions remain in FOLDER.
    #[arg(long, value_name = "FOLDER", conflicts_with = "swap_to")]
    stay: Option<PathBuf>,
}

/// Plays the demo.
///
/// # Errors
/// The plugins are not built, or a resource of the machine is unavailable.
pub(crate) fn demo(args: &DemoArgs, out: &mut impl Write) -> Result<()> {
    let plugins = scene::plugin_folder(args.plugins.clone())?;
    if let Some(folder) = &args.stay {
        return stay::stay(folder.clone(), &plugins, out);
    }
    let swap_to = args.swap_to.clone().unwrap_or_else(|| plugins.join("first-router.wasm"));
    let replacement = std::fs::read(&swap_to)
        .with_context(|| format!("{} cannot be read; run `make plugins`", swap_to.display()))?;

    let ladder = Arc::new(Ladder::default());
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let refuse = Behaviour::Refuse(503);
    let vendor_a = Vendor::start("vendor-a", free, refuse, Some(ladder.clone()))?;
    let answer = Behaviour::Answer { ring: RING };
    let vendor_b = Vendor::start("vendor-b", free, answer, Some(ladder.clone()))?;
    let switch = scene::free_address()?;
    let mut caller = Caller::bind("caller", free, switch, Some(ladder.clone()))?;
    let mut hotline = Caller::bind("caller", free, switch, Some(ladder.clone()))?;
    let vendor_c = Vendor::start("vendor-c", free, Behaviour::Hang, Some(ladder.clone()))?;
    let rings = Behaviour::Answer { ring: LONG_RING };
    let over_tcp = Manner { link: Link::Stream, law: Law::Mu };
    let vendor_d = Vendor::start_as("vendor-d", free, rings, over_tcp, Some(ladder.clone()))?;
    let addresses = Addresses {
        switch,
        caller: caller.address(),
        vendor_a: vendor_a.address(),
        vendor_b: vendor_b.address(),
    };
    let guests = Guests {
        hotline: hotline.address(),
        vendor_c: vendor_c.address(),
        vendor_d: vendor_d.address(),
    };
    let scene = Scene::write(&plugins, &addresses, &guests)?;
    write!(out, "{}", text::cast(&addresses))?;

    writeln!(
        out,
        "The switch starts: five plugins are compiled to machine code, limited and tested."
    )?;
    out.flush()?;
    let begun = Instant::now();
    let config = scene.config()?;
    let runtime = crate::run::runtime(config.processors().housekeeping())?;
    let running = runtime.block_on(RunningNode::start(config))?;
    let node = running.node.clone();
    writeln!(out, "It takes calls after {} ms.\n", begun.elapsed().as_millis())?;
    write!(out, "{}", text::plugins(&node.plugins()))?;

    // From here on calls run on the threads of caller and switch, the swap on this one.
    writeln!(out, "\n--- {CALLS} calls at once, decided by generation {} ---", node.generation())?;
    out.flush()?;
    let begun = Instant::now();
    let first = std::thread::spawn(move || caller.place(&plans(0)).map(|done| (caller, done)));
    wait_until(begun + SWAP_AT);
    let up = runtime.block_on(node.calls());
    writeln!(out, "{:>5} ms  {} calls are up and talking", begun.elapsed().as_millis(), up.len())?;
    let swapped = node.swap("routing", replacement.into());
    let Ok(swapped) = swapped else {
        bail!("{} is refused: {swapped:?}", swap_to.display());
    };
    write!(out, "{}", text::swap(&swapped, begun.elapsed()))?;
    let still = runtime.block_on(node.calls());
    write!(out, "{}", text::calls_during_swap(&still, begun.elapsed()))?;
    out.flush()?;
    let (mut caller, mut outcomes) = match first.join() {
        Ok(done) => done?,
        Err(_) => bail!("the caller agent ended in a panic"),
    };
    writeln!(out, "\n--- {CALLS} more calls, decided by generation {} ---", node.generation())?;
    out.flush()?;
    outcomes.extend(caller.place(&plans(CALLS))?);
    write!(out, "{}", text::outcomes(&outcomes))?;

    let records = runtime.block_on(settled(&node, outcomes.len()))?;
    let shown = outcomes.first().map(|outcome| outcome.callee.clone()).unwrap_or_default();
    write!(out, "{}", text::ladder("The first call", &ladder, &shown))?;
    let first = records.iter().min_by_key(|record| record.invite_ms);
    if let Some(record) = first {
        write!(out, "{}", text::trail("that call", &whole(&runtime, &node, record)?))?;
    }
    write!(out, "{}", text::records(&records, &node.accounts()))?;
    write!(out, "{}", text::second_act(&guests))?;
    out.flush()?;
    for (title, callee) in
        [("Three vendors at once", "00331555010"), ("TCP, a tone, another codec", "00390655501")]
    {
        let plan = CallPlan {
            caller: "0305550199".to_owned(),
            callee: callee.to_owned(),
            after: Duration::ZERO,
            talk: TALK / 2,
        };
        let outcome = hotline.place(&[plan])?;
        write!(out, "{}", text::outcomes(&outcome))?;
        outcomes.extend(outcome);
        let records = runtime.block_on(settled(&node, outcomes.len()))?;
        write!(out, "{}", text::ladder(title, &ladder, callee))?;
        if let Some(record) = records.last() {
            let record = whole(&runtime, &node, record)?;
            write!(out, "{}", text::trail("it", &record))?;
            write!(out, "{}", text::attempts(&record))?;
        }
        out.flush()?;
    }
    runtime.block_on(running.stop(Duration::ZERO));
    drop((vendor_a, vendor_b, vendor_c, vendor_d));
    all_answered(&outcomes)
}

/// A record with attempts and trail.
fn whole(
    runtime: &tokio::runtime::Runtime,
    node: &Node,
    record: &RecordView,
) -> Result<RecordView> {
    let id = api::parse_call_id(&record.id).context("a record without an id")?;
    let found = runtime.block_on(node.record(id)).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    found.0.context("a record that is gone")
}

/// The calls of one half: each to another London number, a tenth of a second apart.
fn plans(first: u32) -> Vec<CallPlan> {
    (0..CALLS)
        .map(|number| CallPlan {
            caller: "0305550100".to_owned(),
            callee: format!("004420755501{:02}", first + number),
            after: Duration::from_millis(100) * number,
            talk: TALK,
        })
        .collect()
}

/// The records once they are in the database, oldest first.
async fn settled(node: &Node, calls: usize) -> Result<Vec<RecordView>> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let filter = CallFilter::default();
        let (mut records, _) =
            node.records(&filter).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        if records.len() >= calls || Instant::now() > until {
            records.sort_by_key(|record| record.invite_ms);
            return Ok(records);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn all_answered(outcomes: &[CallOutcome]) -> Result<()> {
    match outcomes.iter().find(|outcome| outcome.code != 200) {
        Some(outcome) => {
            bail!("the call to {} ended with {} {}", outcome.callee, outcome.code, outcome.reason)
        }
        None => Ok(()),
    }
}

fn wait_until(at: Instant) {
    let (never, waiting) = std::sync::mpsc::channel::<()>();
    let _ = waiting.recv_timeout(at.saturating_duration_since(Instant::now()));
    drop(never);
}
