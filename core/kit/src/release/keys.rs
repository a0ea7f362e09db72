//! Keys and signatures of plugin files.

use super::package;
use anyhow::{Context, Result, bail};
use host::PublicKey;
use host::signature::{self, Seal, SecretKey};
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Writes FILE, readable only by its owner, and FILE.pub.
pub(super) fn generate(file: &Path, out: &mut impl Write) -> Result<()> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).context("no random bytes")?;
    let key = SecretKey::from_bytes(&bytes)?;
    let public = key.public();
    let mut options = OpenOptions::new();
    let mut written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{} cannot be made", file.display()))?;
    writeln!(written, "{}", key.to_text())?;
    let beside = PathBuf::from(format!("{}.pub", file.display()));
    std::fs::write(&beside, format!("{public}\n")).with_context(|| beside.display().to_string())?;
    writeln!(out, "key {}\n{public}", public.id())?;
    Ok(())
}

/// Reads a secret key; refuses one that others can read.
fn secret(file: &Path) -> Result<SecretKey> {
    let name = file.display();
    let facts = std::fs::metadata(file).with_context(|| format!("{name} cannot be read"))?;
    let mode = facts.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("{name} can be read by others (mode {mode:o}); chmod 600 {name}");
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    text.parse().with_context(|| name.to_string())
}

/// Signs a file; replaces another signature at its end.
pub(super) fn sign(file: &Path, key: &Path, to: &Path, out: &mut impl Write) -> Result<()> {
    let key = secret(key)?;
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
    if !bytes.starts_with(b"\0asm") {
        bail!("{name} is not WebAssembly");
    }
    if Seal::of(signature::unsigned(&bytes)) != Seal::None {
        bail!("{name} has a signature in the middle; build it anew");
    }
    let signed = signature::sign(&bytes, &key)?;
    let public = key.public();
    signature::verify(&signed, std::slice::from_ref(&public), &name.to_string())?;
    package::place(to, &signed)?;
    writeln!(out, "{} is signed by key {}", to.display(), public.id())?;
    Ok(())
}

/// Fails if none of the keys signed the file.
pub(super) fn verify(file: &Path, keys: &[String], out: &mut impl Write) -> Result<()> {
    let keys = read_all(keys)?;
    let name = file.display().to_string();
    let bytes = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
    let key = signature::verify(&bytes, &keys, &name)?;
    writeln!(out, "{name} is signed by key {}", key.id())?;
    Ok(())
}

/// Reads keys; each is a key itself, or a file with one.
pub(super) fn read_all(keys: &[String]) -> Result<Vec<PublicKey>> {
    let read = |key: &String| {
        if let Ok(key) = key.parse() {
            return Ok(key);
        }
        let text = std::fs::read_to_string(key)
            .with_context(|| format!("{key} is neither a public key nor a file with one"))?;
        text.parse().with_context(|| key.clone())
    };
    keys.iter().map(read).collect()
}
