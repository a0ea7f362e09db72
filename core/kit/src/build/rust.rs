//! Rust: the plugin SDK, by cargo for wasm32-unknown-unknown.

use super::run;
use crate::manifest::Project;
use crate::toolchain;
use anyhow::{Context, Result};
use std::path::PathBuf;

pub(super) fn compile(project: &Project) -> Result<PathBuf> {
    let mut command = toolchain::cargo(project)?;
    command.args([
        "build",
        "--release",
        "--lib",
        "--target",
        toolchain::RUST_TARGET,
        "--message-format=json-render-diagnostics",
    ]);
    let messages = run(command)?;
    let messages = String::from_utf8_lossy(&messages);
    // One JSON object per line; the crate's own file comes last.
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .rfind(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .context("cargo made no .wasm file; Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]")
}
