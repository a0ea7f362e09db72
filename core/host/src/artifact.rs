//! From the bytes of a file to a component, and to the digest that names the build.

use crate::plugin::Services;
use crate::{Anatomy, LoadError, Signer};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use wit_component::ComponentEncoder;

/// Most bytes of a plugin's file, as many as an upload may have.
const LARGEST: u64 = 64 << 20;

/// Where a plugin's bytes come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file.
    Path(PathBuf),
    /// Bytes that were handed over, such as an upload.
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

/// A component and what it was made from.
pub(crate) struct Artifact {
    pub(crate) component: Vec<u8>,
    /// SHA-256 of the bytes as they came, 64 hex digits.
    pub(crate) digest: String,
    /// The file; none for an upload.
    pub(crate) path: Option<PathBuf>,
    /// Who signed it: nothing is read that the node's keys forbid.
    pub(crate) signer: Signer,
    /// What it is made of.
    pub(crate) anatomy: Anatomy,
    /// Somebody said which plugin's place it takes, so it may call itself something else.
    pub(crate) any_name: bool,
}

impl Artifact {
    /// A build for the place of a plugin that the operator named.
    pub(crate) fn named(
        plugin: &str,
        source: Source,
        services: &Services,
    ) -> Result<Artifact, LoadError> {
        Ok(Artifact { any_name: true, ..Artifact::read(plugin, source, services)? })
    }

    /// The signature is looked at before anything else of the file is.
    pub(crate) fn read(
        plugin: &str,
        source: Source,
        services: &Services,
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
        // A file that is half copied has no signature yet: say that, not that it has none.
        let kind = examine(&bytes, &origin)?;
        let signer = services.signing.judge(&bytes, &format!("plugin `{plugin}`: {origin}"))?;
        let digest = hex(&Sha256::digest(&bytes));
        let anatomy = Anatomy::of(&bytes);
        let component = match kind {
            Kind::Component => bytes,
            Kind::CoreModule => match services.components.get(&digest) {
                Some(component) => component,
                None => {
                    let component = componentize(plugin, &bytes)?;
                    services.components.keep(&digest, &component);
                    component
                }
            },
        };
        Ok(Artifact { component, digest, path, signer, anatomy, any_name: false })
    }
}

/// A plain file of a plugin's size: a device or a pipe would never end.
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

/// The component of a plugin: a core module that carries its component type, as compilers
/// leave it, is made one; a component stays as it is.
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

/// Checks the preamble and that the last section ends where the file ends, which tells a
/// file that is being copied from a broken one.
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
    // Every real plugin has sections; a file of eight bytes is one being written.
    if bytes.len() == 8 { Err(half_written()) } else { Ok(kind) }
}

/// The sections behind the preamble, each with its header; `None` where one is cut off.
pub(crate) fn sections(bytes: &[u8]) -> impl Iterator<Item = Option<Section<'_>>> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let [id, tail @ ..] = rest else { return None };
        let read = || {
            let (length, tail) = leb128(tail)?;
            let body = tail.get(..length)?;
            Some((body, rest.len() - tail.len() + length))
        };
        let Some((body, whole)) = read() else {
            rest = &[];
            return Some(None);
        };
        let section = Section { id: *id, body, whole: &rest[..whole] };
        rest = &rest[whole..];
        Some(Some(section))
    })
}

pub(crate) struct Section<'a> {
    pub(crate) id: u8,
    pub(crate) body: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl Section<'_> {
    /// A custom section of DWARF: nine tenths of a file from `cargo build`, of no use here.
    fn is_debug_info(&self) -> bool {
        self.custom().is_some_and(|(name, _)| name.starts_with(b".debug_"))
    }

    /// Name and contents, if it is a custom section.
    pub(crate) fn custom(&self) -> Option<(&[u8], &[u8])> {
        let (length, tail) = leb128(self.body).filter(|_| self.id == 0)?;
        tail.split_at_checked(length)
    }
}

pub(crate) fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
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
        // The engine validates what it compiles, so once is enough.
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

/// The encoder reports a preview-1 import in words; find its name there.
fn wasi_import(cause: &str) -> Option<String> {
    let start = cause.find("wasi_snapshot").or_else(|| cause.find("wasi:"))?;
    let name = cause[start..].split(['`', '"', '\'', ' ']).next()?;
    Some(name.to_owned())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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
