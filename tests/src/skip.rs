//! Tests that cannot run on this machine.

use std::io::Write as _;

/// Reports that the running test is skipped, and why. The line goes to standard error directly,
/// past the test runner's capture: `make test` counts such lines.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {}\n", thread.name().unwrap_or("a test"), why.trim());
    let _ = std::io::stderr().write_all(line.as_bytes());
}
