//! The program, built plugins, and temporary folders.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An empty folder for one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the test's folder is writable");
    folder
}

/// A plugin built by `make plugins`, copied into the folder.
pub(crate) fn plugin_in(folder: &Path, name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target");
    let built = std::env::var_os("STROWGER_PLUGINS")
        .map_or_else(|| target.join("plugins"), PathBuf::from)
        .join(format!("{name}.wasm"));
    let file = folder.join(format!("{name}.wasm"));
    std::fs::copy(&built, &file)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make plugins`", built.display()));
    file
}

/// Runs `strowger plugin ...`: success, standard output, standard error.
pub(crate) fn plugin(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_strowger"))
        .arg("plugin")
        .args(arguments)
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

pub(crate) fn succeeds(arguments: &[&str]) -> String {
    let (good, said, complaint) = plugin(arguments);
    assert!(good, "{arguments:?}\n{said}\n{complaint}");
    said
}

pub(crate) fn fails(arguments: &[&str]) -> String {
    let (good, said, complaint) = plugin(arguments);
    assert!(!good, "{arguments:?} succeeds: {said}");
    complaint
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A key in the folder: its secret file, public key and id.
pub(crate) fn key(folder: &Path, name: &str) -> (PathBuf, String, String) {
    let file = folder.join(name);
    let said = succeeds(&["keygen", text(&file)]);
    let mut lines = said.lines();
    let id = lines.next().and_then(|line| line.strip_prefix("key ")).expect("the id").to_owned();
    let public = lines.next().expect("the public key").to_owned();
    (file, public, id)
}

/// Flips one bit in the middle of a file.
pub(crate) fn tamper(file: &Path) {
    let mut bytes = std::fs::read(file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("writable");
}

/// Replaces text by text of equal length: another build of the same plugin.
pub(crate) fn patched(file: &Path, from: &str, to: &str) {
    let mut bytes = std::fs::read(file).expect("readable");
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|at| bytes[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty() && from.len() == to.len(), "{from} is in {}", file.display());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    std::fs::write(file, bytes).expect("writable");
}
