//! A plugin in transit between machines: bytes, and facts about them.

use anyhow::{Context, Result, bail};
use host::Inspection;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The facts about a plugin on a shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) summary: String,
    /// `sha256:` and 64 hex digits, of the file.
    pub(super) digest: String,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Id of the key in its signature; empty: unsigned. A claim, not verified.
    pub(super) signer: String,
    /// Hooks that it answers.
    pub(super) hooks: Vec<String>,
    /// Grants that it needs to be loaded.
    pub(super) grants: Vec<String>,
}

/// Bytes that match their facts.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) facts: Facts,
    pub(super) bytes: Vec<u8>,
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl Package {
    /// The package of an inspected file.
    pub(super) fn of(inspection: &Inspection, bytes: Vec<u8>) -> Result<Package> {
        let facts = Facts {
            name: inspection.name.clone(),
            version: inspection.version.clone(),
            summary: inspection.summary.clone(),
            digest: digest(&bytes),
            size: bytes.len() as u64,
            signer: inspection.signer.key().unwrap_or_default().to_owned(),
            hooks: inspection.hooks.iter().map(|hook| hook.name().to_owned()).collect(),
            grants: inspection.grants.iter().map(|grant| grant.name().to_owned()).collect(),
        };
        check_word("plugin name", &facts.name)?;
        check_word("version", &facts.version)?;
        Ok(Package { facts, bytes })
    }
}

/// Checks names and versions, which become parts of paths.
pub(super) fn check_word(what: &str, word: &str) -> Result<()> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte);
    if word.is_empty() || word.len() > 64 || word.starts_with('.') || !word.bytes().all(letter) {
        bail!("`{word}` is no {what}: 1 to 64 of a-z, A-Z, 0-9, `-`, `+`, `_` and `.`");
    }
    Ok(())
}

/// `sha256:` and 64 hex digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads a file that must have this size and digest.
pub(super) fn read_exact(file: &Path, size: u64, expected: &str) -> Result<Vec<u8>> {
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
    if bytes.len() as u64 != size {
        bail!("{name} has {} bytes, and {size} were published", bytes.len());
    }
    let found = digest(&bytes);
    if found != expected {
        bail!("{name} is not what was published: its digest is {found}, wanted is {expected}");
    }
    Ok(bytes)
}

/// Writes a file in one step: a watcher of the folder sees the old one or the new one.
pub(super) fn place(file: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("{} cannot be written", file.display());
    let name = file.file_name().and_then(|name| name.to_str()).with_context(failed)?;
    let part: PathBuf = file.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut written = File::create(&part)?;
        written.write_all(bytes)?;
        written.sync_all()?;
        std::fs::rename(&part, file)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&part))).with_context(failed)
}
