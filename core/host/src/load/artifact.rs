//! From the bytes of a file to a component, and to the digest that names the build.

use super::anatomy::Anatomy;
use super::components::Components;
use super::sections::sections;
use super::signature::{Signer, SigningPolicy, hex};
use crate::error::LoadError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use wit_component::ComponentEncoder;

/// Largest plugin file, the same as for an upload.
const LARGEST: u64 = 64 << 20;

/// Origin of a plugin's bytes.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file.
    Path(PathBuf),
    /// Bytes from memory, such as an upload.
    Bytes(Vec<u8>),
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Source {
        Source::Path(path.to_owned())
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Source {
        Source::Path(path)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Source {
        Source::Bytes(bytes)
    }
}

/// The checks and the cache between a file and its use.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Which signatures a plugin needs.
    pub(crate) signing: SigningPolicy,
    /// Components that were made before.
    pub(crate) components: Components,
}

/// A component and what it was made from.
pub(crate) struct Artifact {
    pub(crate) component: Vec<u8>,
    /// SHA-256 of the original bytes, 64 hex digits.
    pub(crate) digest: String,
    /// The file; none for an upload.
    pub(crate) path: Option<PathBuf>,
    /// The signer: files that the node's keys forbid are not read.
    pub(crate) signer: Signer,
    /// Sizes of its parts.
    pub(crate) anatomy: Anatomy,
    /// The operator named the plugin that it replaces, so it may have any name.
    pub(crate) any_name: bool,
}

impl Artifact {
    /// A build that replaces a plugin named by the operator.
    pub(crate) fn named(
        plugin: &str,
        source: Source,
        intake: &Intake,
    ) -> Result<Artifact, LoadError> {
        Ok(Artifact { any_name: true, ..Artifact::read(plugin, source, intake)? })
    }

    /// Checks the signature before anything else in the file.
    pub(crate) fn read(
        plugin: &str,
        source: Source,
        intake: &Intake,
    ) -> Result<Artifact, LoadError> {
        let (bytes, path) = match source {
            Source::Bytes(bytes) => (bytes, None),
            Source::Path(path) => match read(&path) {
                Ok(bytes) => (bytes, Some(path)),
                Err(source) => return Err(LoadError::Read { path, source }),
            },
        };
        let origin = path
            .as_ref()
            .map_or_else(|| "the upload".to_owned(), |path| path.display().to_string());
        // A half-copied file has no signature yet: report the copy, not the missing signature.
        let kind = examine(&bytes, &origin)?;
        let signer = intake.signing.judge(&bytes, &format!("plugin `{plugin}`: {origin}"))?;
        let digest = hex(&Sha256::digest(&bytes));
        let anatomy = Anatomy::of(&bytes);
        let component = match kind {
            Kind::Component => bytes,
            Kind::CoreModule => match intake.components.get(&digest) {
                Some(component) => component,
                None => {
                    let component = componentize(plugin, &bytes)?;
                    intake.components.keep(&digest, &component);
                    component
                }
            },
        };
        Ok(Artifact { component, digest, path, signer, anatomy, any_name: false })
    }
}

/// A regular file of at most the size limit: a device or a pipe would never end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it has more than the {LARGEST} bytes of a plugin")));
    }
    Ok(bytes)
}

/// The component of a plugin: a core module that contains its component type, as compilers write
/// it, is turned into one; a component is returned unchanged.
///
/// # Errors
/// What is wrong with the bytes.
pub fn component(plugin: &str, bytes: Vec<u8>) -> Result<Vec<u8>, LoadError> {
    match examine(&bytes, plugin)? {
        Kind::Component => Ok(bytes),
        Kind::CoreModule => componentize(plugin, &bytes),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    CoreModule,
    Component,
}

/// Checks the preamble and that the last section ends where the file ends, to distinguish a file
/// that is still being copied from a broken one.
fn examine(bytes: &[u8], origin: &str) -> Result<Kind, LoadError> {
    let half_written = || LoadError::HalfWritten { origin: origin.to_owned(), bytes: bytes.len() };
    let not_wasm = || LoadError::NotWasm { origin: origin.to_owned() };
    if !b"\0asm".starts_with(&bytes[..bytes.len().min(4)]) {
        return Err(not_wasm());
    }
    let kind = match bytes.get(4..8) {
        None => return Err(half_written()),
        Some([1, 0, 0, 0]) => Kind::CoreModule,
        Some([_, 0, 1, 0]) => Kind::Component,
        Some(_) => return Err(not_wasm()),
    };
    let whole = sections(bytes).all(|section| section.is_some());
    if !whole {
        return Err(half_written());
    }
    // Every real plugin has sections; a file of eight bytes is still being written.
    if bytes.len() == 8 { Err(half_written()) } else { Ok(kind) }
}

fn without_debug_info(module: &[u8]) -> Vec<u8> {
    let mut slim = module[..8].to_vec();
    for section in sections(module).flatten().filter(|section| !section.is_debug_info()) {
        slim.extend_from_slice(section.whole);
    }
    slim
}

fn componentize(plugin: &str, module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let encode = || {
        // The engine validates the code that it compiles; once is enough.
        let slim = without_debug_info(module);
        let mut encoder = ComponentEncoder::default().validate(false).module(&slim)?;
        encoder.encode()
    };
    encode().map_err(|cause| {
        let cause = format!("{cause:#}");
        match wasi_import(&cause) {
            Some(import) => LoadError::Wasi { plugin: plugin.to_owned(), import },
            None => LoadError::Componentize { plugin: plugin.to_owned(), cause },
        }
    })
}

/// The encoder reports a preview-1 import as text; extracts its name.
fn wasi_import(cause: &str) -> Option<String> {
    let start = cause.find("wasi_snapshot").or_else(|| cause.find("wasi:"))?;
    let name = cause[start..].split(['`', '"', '\'', ' ']).next()?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_CUSTOM_SECTION: &[u8] = b"\0asm\x01\0\0\0\x00\x02\x01a";

    #[test]
    fn a_file_that_is_still_being_copied_is_told_from_a_wrong_one() {
        for end in 0..EMPTY_CUSTOM_SECTION.len() {
            let error = examine(&EMPTY_CUSTOM_SECTION[..end], "x.wasm").unwrap_err();
            assert!(matches!(error, LoadError::HalfWritten { .. }), "{end}: {error}");
        }
        assert_eq!(examine(EMPTY_CUSTOM_SECTION, "x.wasm").unwrap(), Kind::CoreModule);
        let error = examine(b"\x7fELF....", "x.wasm").unwrap_err();
        assert_eq!(error.to_string(), "x.wasm is not WebAssembly: it does not begin with `\\0asm`");
    }

    #[test]
    fn debug_information_is_left_behind() {
        let mut module = EMPTY_CUSTOM_SECTION.to_vec();
        module.extend_from_slice(b"\x00\x0c\x0b.debug_line");
        assert_eq!(examine(&module, "x.wasm").unwrap(), Kind::CoreModule);
        assert_eq!(without_debug_info(&module), EMPTY_CUSTOM_SECTION);
    }
}
