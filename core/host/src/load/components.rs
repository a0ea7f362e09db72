//! Components made from core modules, kept beside the compiled code: making one takes a third of
//! the time until a known build is live.

use platform::files;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

/// Number of components that are kept; beyond that the oldest are deleted.
const KEPT: usize = 100;

/// Bytes of the digest before the component in a file.
const DIGEST: usize = 32;

/// Creates the folder of the cache, and returns whether its contents may be run. They are machine
/// code and components that were checked, signature included, when they were made, so no other user
/// may have been able to write there. Without a safe cache, plugins are compiled at each start.
pub(crate) fn is_safe_cache(cache: &Path) -> bool {
    if let Err(error) = files::make_folder(cache) {
        tracing::warn!(folder = %cache.display(), %error, "compiled plugins are not kept");
        return false;
    }
    match files::check_folder(cache) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(
                "compiled plugins are not kept and the kept ones not used: {error}; whoever \
                 writes there decides what this program runs"
            );
            false
        }
    }
}

/// A folder of components, by the digest of the module.
#[derive(Debug, Default)]
pub(crate) struct Components {
    folder: Option<PathBuf>,
}

impl Components {
    /// Keeps none without a cache.
    pub(crate) fn in_cache(cache: Option<&Path>) -> Components {
        Components { folder: cache.map(|cache| cache.join("components")) }
    }

    /// The component of the module with this digest, if it is kept and intact.
    pub(crate) fn get(&self, module: &str) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.folder.as_ref()?.join(module)).ok()?;
        let (digest, component) = bytes.split_at_checked(DIGEST)?;
        if Sha256::digest(component)[..] != *digest {
            return None;
        }
        bytes.drain(..DIGEST);
        Some(bytes)
    }

    /// Keeps a component. It can be made again, so a full disk is not an error.
    pub(crate) fn keep(&self, module: &str, component: &[u8]) {
        let Some(folder) = &self.folder else { return };
        if let Err(error) = put(folder, module, component).and_then(|()| thin_out(folder)) {
            tracing::debug!(folder = %folder.display(), %error, "component not kept");
        }
    }
}

/// In one step, because another process may read the same cache.
fn put(folder: &Path, module: &str, component: &[u8]) -> io::Result<()> {
    files::make_folder(folder)?;
    let part = folder.join(format!("{module}.{}", std::process::id()));
    let bytes = [&Sha256::digest(component)[..], component].concat();
    fs::write(&part, bytes)?;
    fs::rename(&part, folder.join(module))
}

fn thin_out(folder: &Path) -> io::Result<()> {
    let files: Vec<fs::DirEntry> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    let too_many = files.len().saturating_sub(KEPT);
    if too_many == 0 {
        return Ok(());
    }
    let age = |file: &fs::DirEntry| -> io::Result<SystemTime> { file.metadata()?.modified() };
    let mut dated: Vec<_> =
        files.iter().filter_map(|file| Some((age(file).ok()?, file.path()))).collect();
    dated.sort_unstable();
    for (_, path) in dated.into_iter().take(too_many) {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let name = format!("strowger-components-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_component_is_kept_and_a_damaged_one_is_not_taken() {
        let cache = folder("kept");
        let components = Components::in_cache(Some(&cache));
        assert_eq!(components.get("module"), None);
        components.keep("module", b"component");
        assert_eq!(components.get("module").as_deref(), Some(&b"component"[..]));
        for damaged in [&b"short"[..], &[0; 60]] {
            fs::write(cache.join("components/module"), damaged).expect("writable");
            assert_eq!(components.get("module"), None);
        }
        fs::remove_dir_all(cache).expect("removable");
        let nowhere = Components::in_cache(None);
        nowhere.keep("module", b"component");
        assert_eq!(nowhere.get("module"), None);
    }

    #[test]
    fn the_oldest_go() {
        let cache = folder("oldest");
        let components = Components::in_cache(Some(&cache));
        let count = || fs::read_dir(cache.join("components")).expect("a folder").count();
        components.keep("first", b"1");
        let long_ago = SystemTime::UNIX_EPOCH;
        let first = fs::File::options().write(true).open(cache.join("components/first"));
        first.and_then(|file| file.set_modified(long_ago)).expect("writable");
        for number in 1..KEPT {
            components.keep(&number.to_string(), b"1");
        }
        assert_eq!((count(), components.get("first").is_some()), (KEPT, true));
        components.keep("last", b"1");
        assert_eq!((count(), components.get("first").is_some()), (KEPT, false));
        assert!(components.get("last").is_some());
        fs::remove_dir_all(cache).expect("removable");
    }
}
