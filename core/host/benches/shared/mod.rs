//! Code that the benchmarks of the host share.

pub(crate) mod questions;
#[path = "../../../bench_table.rs"]
mod table;

use policy::{Lookup, PrefixHit};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// As in the switch; compiling allocates much.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) const PLUGINS: [&str; 5] = ["screening", "numbering", "rating", "routing", "identity"];

/// Content handle of the rule set below.
pub(crate) const RULES: u64 = 7;

/// The rule set of every question.
pub(crate) const RULE_TEXT: &str = "00 ->\n0 -> 49\n* -> *\n";

/// Processor time of this thread.
pub(crate) fn processor_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// One rule set and no lists.
pub(crate) struct Snapshot;

impl Lookup for Snapshot {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        (handle == RULES).then(|| Arc::from(RULE_TEXT))
    }

    fn longest_prefix(&self, _table: &str, _number: &str) -> Option<PrefixHit> {
        None
    }

    fn exact(&self, _table: &str, _number: &str) -> Option<Arc<str>> {
        None
    }
}

/// Builds the plugins from source and returns their folder.
pub(crate) fn build() -> Result<PathBuf, Box<dyn Error>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target folder")?;
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown"])
        .args(PLUGINS.map(|name| format!("--package=strowger-{name}")))
        .args(["--package=strowger-guest-plain", "--package=strowger-guest-hostile"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !status.success() {
        return Err("the default plugins do not build".into());
    }
    Ok(target.join("wasm32-unknown-unknown/release"))
}

/// One line of the table; the peer with our share of its figure.
pub(crate) fn line(
    name: &str,
    value: f64,
    unit: &str,
    goal: Option<f64>,
    peer: Option<(&str, f64)>,
) -> serde_json::Value {
    let value = (value * 1_000.0).round() / 1_000.0;
    let (peer, ratio) = peer.unzip();
    json!({ "name": name, "value": value, "unit": unit, "goal": goal, "peer": peer, "ratio": ratio })
}

/// Adds the lines to the table of all benchmarks.
pub(crate) fn write(lines: &[serde_json::Value]) -> Result<(), Box<dyn Error>> {
    Ok(table::append(lines)?)
}
