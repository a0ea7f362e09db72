//! A shelf that is a plain folder: NAME/VERSION/NAME.wasm and NAME/VERSION/manifest.json.

use super::package::{Facts, Package, check_word, place, read_exact};
use super::version;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";

/// Adds a package. A published version is never changed.
pub(super) fn put(shelf: &Path, package: &Package) -> Result<PathBuf> {
    let facts = &package.facts;
    let folder = shelf.join(&facts.name).join(&facts.version);
    let file = folder.join(format!("{}.wasm", facts.name));
    if let Ok(known) = read(&folder)
        && known.digest != facts.digest
    {
        bail!("{facts} is published already, with other bytes: give it another version");
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    place(&file, &package.bytes)?;
    // Last: a package is published only once it has a manifest.
    place(&folder.join(MANIFEST), &serde_json::to_vec_pretty(facts)?)?;
    Ok(file)
}

pub(super) fn take(shelf: &Path, name: &str, wanted: Option<&str>) -> Result<Package> {
    let version = match wanted {
        Some(version) => version.to_owned(),
        None => newest(&shelf.join(name))
            .with_context(|| format!("{} has no plugin `{name}`", shelf.display()))?,
    };
    check_word("version", &version)?;
    let folder = shelf.join(name).join(&version);
    let facts = read(&folder)?;
    if (facts.name.as_str(), facts.version.as_str()) != (name, version.as_str()) {
        bail!("{} tells about {facts}", folder.join(MANIFEST).display());
    }
    let file = folder.join(format!("{name}.wasm"));
    let bytes = read_exact(&file, facts.size, &facts.digest)?;
    Ok(Package { facts, bytes })
}

fn read(folder: &Path) -> Result<Facts> {
    let file = folder.join(MANIFEST);
    let name = file.display();
    let text = std::fs::read(&file).with_context(|| format!("{name} cannot be read"))?;
    serde_json::from_slice(&text).with_context(|| format!("{name} is no manifest"))
}

/// The newest published version in a plugin's folder.
fn newest(folder: &Path) -> Option<String> {
    let published = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let version = entry.file_name().into_string().ok()?;
        entry.path().join(MANIFEST).exists().then_some(version)
    };
    let versions = std::fs::read_dir(folder).ok()?.filter_map(published);
    versions.max_by(|one, two| version::order(one, two))
}
