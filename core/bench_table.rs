//! The table of all benchmarks: one JSON object a line. Each benchmark of `core` includes this
//! file as a module.

use std::io::{self, Write as _};
use std::path::PathBuf;

/// A line without a peer. Names and units are ours and need no escaping.
#[allow(dead_code)]
pub(crate) fn line(name: &str, value: f64, unit: &str, goal: Option<f64>) -> String {
    let goal = goal.map_or("null".to_owned(), |goal| goal.to_string());
    format!(
        "{{\"name\":\"{name}\",\"value\":{value:.3},\"unit\":\"{unit}\",\"goal\":{goal},\
         \"peer\":null,\"ratio\":null}}"
    )
}

/// Appends lines to the file that `make bench` names, or to that of the target folder.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn append(lines: impl IntoIterator<Item = impl std::fmt::Display>) -> io::Result<()> {
    let path = std::env::var_os("STROWGER_BENCH_FILE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench.jsonl")),
        PathBuf::from,
    );
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut table = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    lines.into_iter().try_for_each(|line| writeln!(table, "{line}"))
}
