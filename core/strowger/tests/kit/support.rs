//! The program and its paths.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The source tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An empty folder for one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the test's folder is writable");
    }
    std::fs::create_dir_all(&folder).expect("the test's folder is writable");
    folder
}

/// Runs `strowger plugin ...` with compilers in the target folder.
pub(crate) fn plugin(arguments: &[&str]) -> Output {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Command::new(env!("CARGO_BIN_EXE_strowger"))
        .arg("plugin")
        .args(arguments)
        // Outside the project, which `--path` names.
        .current_dir("/")
        .env("STROWGER_TOOLS", target.with_file_name("tools"))
        // Rust projects share crates: compile them once.
        .env("CARGO_TARGET_DIR", target.join("kit-rust"))
        .output()
        .expect("the program starts")
}

#[path = "../../../../tests/src/skip.rs"]
#[allow(unreachable_pub)]
mod skip;
pub(crate) use skip::skipped;

/// The command's output. Empty if its compiler is missing outside CI; the test is then reported as
/// skipped.
pub(crate) fn succeeds(arguments: &[&str]) -> Option<String> {
    let output = plugin(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && is_missing(&errors) {
        skipped(&errors);
        return None;
    }
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}\n{words}\n{errors}");
    Some(words)
}

/// Whether the error is a missing compiler; in CI it must be present.
pub(crate) fn is_missing(complaint: &str) -> bool {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    complaint.contains("is not on this machine") && !in_ci
}

/// The command's error output.
pub(crate) fn fails(arguments: &[&str]) -> String {
    let output = plugin(arguments);
    assert!(!output.status.success(), "{arguments:?} succeeds");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}
