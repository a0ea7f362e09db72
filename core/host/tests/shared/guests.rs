//! Builds guests from source; shared by the tests of this folder and of `src`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds these crates of `tests/guests` into a target folder; returns the folder of their files.
pub(crate) fn build(names: &[&str], target: &Path) -> PathBuf {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown"])
        .args(names.iter().map(|name| format!("-pstrowger-guest-{name}")))
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the guests do not build");
    target.join("wasm32-unknown-unknown/release")
}
