//! A shelf that is an OCI image layout, in the form that registry tools copy: `oci-layout`,
//! `index.json` and blobs named by their digests. Each plugin is an artefact with a configuration
//! `application/vnd.wasm.config.v0+json` and one layer `application/wasm`.

use super::package::{Facts, Package, digest, place, read_exact};
use super::version;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";
const REFERENCE: &str = "org.opencontainers.image.ref.name";
/// The content of a plain shelf's manifest.
const FACTS: &str = "strowger.plugin";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: Option<String>,
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Whether the folder is marked as an OCI layout.
pub(super) fn is_layout(shelf: &Path) -> bool {
    shelf.join("oci-layout").exists()
}

/// Adds a package. A published version is never changed.
pub(super) fn put(shelf: &Path, package: &Package) -> Result<PathBuf> {
    let facts = &package.facts;
    let mut index = if is_layout(shelf) { index(shelf)? } else { begin(shelf)? };
    let known = index.manifests.iter().find(|one| is(one, &facts.name, &facts.version));
    if let Some(known) = known {
        let layers = manifest(shelf, known)?.layers;
        if layers.first().is_none_or(|layer| layer.digest != facts.digest) {
            bail!("{facts} is published already, with other bytes: give it another version");
        }
    }
    let layer = blob(shelf, LAYER, &package.bytes, BTreeMap::new())?;
    if known.is_some() {
        return path(shelf, &layer);
    }
    let config = serde_json::to_vec(&config(package, &layer.digest))?;
    let named = BTreeMap::from([
        (TITLE.to_owned(), facts.name.clone()),
        (VERSION.to_owned(), facts.version.clone()),
    ]);
    let mut told = named.clone();
    told.insert(FACTS.to_owned(), serde_json::to_string(facts)?);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: blob(shelf, CONFIG, &config, BTreeMap::new())?,
        layers: vec![layer.clone()],
        annotations: told,
    };
    let mut named = named;
    // A registry tag cannot contain `+`.
    named.insert(REFERENCE.to_owned(), facts.version.replace('+', "_"));
    index.manifests.push(blob(shelf, MANIFEST, &serde_json::to_vec(&manifest)?, named)?);
    // Last: a package is published only once the index names it.
    place(&shelf.join("index.json"), &serde_json::to_vec_pretty(&index)?)?;
    path(shelf, &layer)
}

pub(super) fn take(shelf: &Path, name: &str, wanted: Option<&str>) -> Result<Package> {
    let index = index(shelf)?;
    let version_of = |one: &Descriptor| one.annotations.get(VERSION).cloned().unwrap_or_default();
    let fits = |one: &&Descriptor| match wanted {
        Some(version) => is(one, name, version),
        None => one.annotations.get(TITLE).is_some_and(|title| title == name),
    };
    let found = index.manifests.iter().filter(fits);
    let found = found.max_by(|one, two| version::order(&version_of(one), &version_of(two)));
    let found = found.with_context(|| {
        let wanted = wanted.map(|version| format!("@{version}")).unwrap_or_default();
        format!("{} has no plugin `{name}{wanted}`", shelf.display())
    })?;
    let manifest = manifest(shelf, found)?;
    let [layer] = manifest.layers.as_slice() else {
        bail!("{name} has {} layers, and a plugin has one", manifest.layers.len());
    };
    if layer.media_type != LAYER || manifest.config.media_type != CONFIG {
        bail!("{name} is {}, not {LAYER} with {CONFIG}", layer.media_type);
    }
    read(shelf, &manifest.config)?;
    let bytes = read(shelf, layer)?;
    let facts = facts(&manifest, layer, name, &version_of(found))?;
    Ok(Package { facts, bytes })
}

/// The published facts, compared with the layout itself. Artefacts of other tools have none.
fn facts(manifest: &Manifest, layer: &Descriptor, name: &str, version: &str) -> Result<Facts> {
    let Some(text) = manifest.annotations.get(FACTS) else {
        return Ok(Facts {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: String::new(),
            digest: layer.digest.clone(),
            size: layer.size,
            signer: String::new(),
            hooks: Vec::new(),
            grants: Vec::new(),
        });
    };
    let facts: Facts = serde_json::from_str(text).with_context(|| format!("{FACTS} of {name}"))?;
    if (facts.name.as_str(), facts.version.as_str(), &facts.digest)
        != (name, version, &layer.digest)
    {
        bail!("the index says {name}@{version}, its manifest tells about {facts}");
    }
    Ok(facts)
}

fn is(one: &Descriptor, name: &str, version: &str) -> bool {
    let says = |key, value| one.annotations.get(key).is_some_and(|said| said == value);
    says(TITLE, name) && says(VERSION, version)
}

/// The wasm configuration: what tools can read without opening the layer.
fn config(package: &Package, layer: &str) -> Value {
    let is_component = package.bytes.get(4..8) != Some(&[1, 0, 0, 0]);
    let interface = |name: &String| format!("strowger:policy/{name}@0.1.0");
    let import = |grant: &String| format!("strowger:policy/host-{grant}@0.1.0");
    json!({
        "architecture": "wasm",
        "os": if is_component { "wasip2" } else { "wasip1" },
        "layerDigests": [layer],
        "component": {
            "exports": package.facts.hooks.iter().map(interface).collect::<Vec<_>>(),
            "imports": package.facts.grants.iter().map(import).collect::<Vec<_>>(),
        },
    })
}

fn begin(shelf: &Path) -> Result<Index> {
    let blobs = shelf.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).with_context(|| blobs.display().to_string())?;
    let index = Index { schema_version: 2, media_type: Some(INDEX.to_owned()), manifests: vec![] };
    place(&shelf.join("index.json"), &serde_json::to_vec_pretty(&index)?)?;
    place(&shelf.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(index)
}

fn index(shelf: &Path) -> Result<Index> {
    let file = shelf.join("index.json");
    let name = file.display();
    let text = std::fs::read(&file).with_context(|| format!("{name} cannot be read"))?;
    serde_json::from_slice(&text).with_context(|| format!("{name} is no OCI index"))
}

fn manifest(shelf: &Path, descriptor: &Descriptor) -> Result<Manifest> {
    let bytes = read(shelf, descriptor)?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is no manifest", descriptor.digest))
}

fn blob(
    shelf: &Path,
    media_type: &str,
    bytes: &[u8],
    annotations: BTreeMap<String, String>,
) -> Result<Descriptor> {
    let descriptor = Descriptor {
        media_type: media_type.to_owned(),
        digest: digest(bytes),
        size: bytes.len() as u64,
        annotations,
    };
    place(&path(shelf, &descriptor)?, bytes)?;
    Ok(descriptor)
}

fn read(shelf: &Path, descriptor: &Descriptor) -> Result<Vec<u8>> {
    read_exact(&path(shelf, descriptor)?, descriptor.size, &descriptor.digest)
}

/// The path of a blob. The digest is checked, because it becomes part of the path.
fn path(shelf: &Path, descriptor: &Descriptor) -> Result<PathBuf> {
    let digits = descriptor.digest.strip_prefix("sha256:").filter(|digits| {
        digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    let digits = digits.with_context(|| format!("`{}` is no sha256 digest", descriptor.digest))?;
    Ok(shelf.join("blobs/sha256").join(digits))
}
