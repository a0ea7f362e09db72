//! Rust: the plugin SDK, by cargo for wasm32-unknown-unknown.

use super::{complaint, output};
use crate::manifest::Project;
use crate::toolchain;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::PathBuf;

/// Errors of the compiler that are shown in full.
const ERRORS: usize = 3;

pub(super) fn compile(project: &Project) -> Result<PathBuf> {
    let mut command = toolchain::cargo(project)?;
    command.args([
        "build",
        "--release",
        "--quiet",
        "--lib",
        "--target",
        toolchain::RUST_TARGET,
        "--message-format=json",
    ]);
    let output = output(&mut command)?;
    let messages = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        // Without a message of the compiler it was cargo that failed.
        let said = errors(&messages);
        let said = said.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned());
        bail!(complaint(&command, output.status, &said));
    }
    // The crate's own file comes last.
    parsed(&messages)
        .filter(|message| message["reason"] == "compiler-artifact")
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .rfind(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .context("cargo made no .wasm file; Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]")
}

/// One JSON object per line.
fn parsed(messages: &str) -> impl DoubleEndedIterator<Item = Value> {
    messages.lines().filter_map(|line| serde_json::from_str(line).ok())
}

/// The compiler's errors as it shows them; its warnings and its count of errors are left out.
fn errors(messages: &str) -> Option<String> {
    let mut errors = parsed(messages)
        .filter(|message| message["reason"] == "compiler-message")
        .map(|message| message["message"].clone())
        .filter(|message| message["level"] == "error")
        .filter(|message| {
            let text = message["message"].as_str().unwrap_or_default();
            !text.starts_with("aborting due to")
        })
        .filter_map(|message| Some(message["rendered"].as_str()?.trim().to_owned()));
    let mut shown: Vec<String> = errors.by_ref().take(ERRORS).collect();
    if shown.is_empty() {
        return None;
    }
    match errors.count() {
        0 => {}
        1 => shown.push("and 1 more error".to_owned()),
        more => shown.push(format!("and {more} more errors")),
    }
    Some(shown.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_errors_are_shown_and_only_the_first() {
        let message = |level: &str, text: &str| {
            let rendered = format!("{level}: {text}\n --> src/lib.rs\n\n");
            let inner = json!({ "level": level, "message": text, "rendered": rendered });
            format!("{}\n", json!({ "reason": "compiler-message", "message": inner }))
        };
        let warned = message("warning", "unused") + "not JSON\n";
        assert_eq!(errors(&warned), None);
        let end = message("error", "aborting due to 1 previous error");
        let one = warned + &message("error", "misspelt") + &end;
        assert_eq!(errors(&one).as_deref(), Some("error: misspelt\n --> src/lib.rs"));
        let many = errors(&message("error", "again").repeat(5)).expect("there are some");
        assert_eq!(many.matches("error: again").count(), 3);
        assert!(many.ends_with("\n\nand 2 more errors"), "{many}");
    }
}
