//! Files that no other user of the machine may read or change: compiled plugins, which run exactly
//! as stored, secrets, and records.

use rustix::process::{getegid, geteuid};
use std::fs::{self, DirBuilder, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Permissions of the group and of others.
const OF_OTHERS: u32 = 0o077;

/// Their write permissions.
const WRITE_OF_OTHERS: u32 = 0o022;

/// In a folder with this bit only the owner of a file can remove it (`/tmp`).
const STICKY: u32 = 0o1000;

/// A path that other users can change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} {why}", path.display())]
pub struct UnsafePath {
    /// The path.
    pub path: PathBuf,
    /// The reason, such as `can be written by its group`.
    pub why: &'static str,
}

/// Creates a folder and its missing parents, accessible only to its user.
///
/// # Errors
/// The error of the system.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Checks that only this user and root can change the content of the folder, and that nobody else
/// can replace the folder.
///
/// # Errors
/// The first path that others can change, or that cannot be inspected.
pub fn check_place(folder: &Path) -> Result<(), UnsafePath> {
    let (whole, metadata) = look(folder)?;
    match changed_by(&metadata, false) {
        Some(why) => Err(UnsafePath { path: whole, why }),
        None => Ok(()),
    }
}

/// As [`check_place`], for everything in the folder too.
///
/// # Errors
/// As [`check_place`].
pub fn check_folder(folder: &Path) -> Result<(), UnsafePath> {
    let (whole, _) = look(folder)?;
    check_tree(&whole)
}

/// The folder without links, after checking that its parents are safe.
fn look(folder: &Path) -> Result<(PathBuf, Metadata), UnsafePath> {
    let refused = |path: &Path, why| UnsafePath { path: path.to_owned(), why };
    let whole = folder.canonicalize().map_err(|_| refused(folder, "cannot be looked at"))?;
    for above in whole.ancestors().skip(1) {
        let metadata = fs::metadata(above).map_err(|_| refused(above, "cannot be looked at"))?;
        let shared = metadata.mode() & STICKY != 0;
        if let Some(why) = changed_by(&metadata, true).filter(|_| !shared) {
            return Err(refused(above, why));
        }
    }
    let metadata = fs::metadata(&whole).map_err(|_| refused(&whole, "cannot be looked at"))?;
    Ok((whole, metadata))
}

fn check_tree(path: &Path) -> Result<(), UnsafePath> {
    let refused = |why| UnsafePath { path: path.to_owned(), why };
    let metadata = fs::symlink_metadata(path).map_err(|_| refused("cannot be looked at"))?;
    if metadata.is_symlink() {
        return Err(refused("is a link"));
    }
    if let Some(why) = changed_by(&metadata, false) {
        return Err(refused(why));
    }
    if metadata.is_dir() {
        let entries = fs::read_dir(path).map_err(|_| refused("cannot be looked at"))?;
        for entry in entries {
            let entry = entry.map_err(|_| refused("cannot be looked at"))?;
            match check_tree(&entry.path()) {
                // Another user of the folder has removed it in the meantime.
                Err(_) if !entry.path().exists() => {}
                checked => checked?,
            }
        }
    }
    Ok(())
}

/// Why others can change it. With `private_group`, the user's own group, which many systems create
/// for each user, does not count as others.
fn changed_by(metadata: &Metadata, private_group: bool) -> Option<&'static str> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if metadata.uid() != user && metadata.uid() != 0 {
        return Some("belongs to another user");
    }
    let own_group = metadata.gid() == 0 || metadata.gid() == group && group == user;
    let written = match metadata.mode() & WRITE_OF_OTHERS {
        0 => return None,
        0o020 if private_group && own_group => return None,
        0o020 => "can be written by its group",
        _ => "can be written by everybody",
    };
    Some(written)
}

/// Removes all permissions of the group and of others from a file, or from a folder and everything
/// in it; files of other users and links are left alone. A missing path is not an error.
///
/// # Errors
/// The error of the system.
pub fn keep_to_user(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if metadata.is_symlink() || metadata.uid() != geteuid().as_raw() {
        return Ok(());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & OF_OTHERS != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode & !OF_OTHERS))?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            keep_to_user(&entry?.path())?;
        }
    }
    Ok(())
}

/// Whether the file is a secret that only this user could read. A file that others could read or
/// write is no longer secret: it is removed, so that a new one is created.
///
/// # Errors
/// The error of the system.
pub fn is_secret(file: &Path) -> io::Result<bool> {
    let metadata = match fs::symlink_metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let foreign = metadata.uid() != geteuid().as_raw();
    if metadata.is_file() && !foreign && metadata.mode() & OF_OTHERS == 0 {
        return Ok(true);
    }
    tracing::warn!(
        file = %file.display(),
        "others could read or change this secret: it is replaced by a new one"
    );
    fs::remove_file(file)?;
    Ok(false)
}

/// Writes a file that only its user can read, in one step.
///
/// # Errors
/// The error of the system.
pub fn write_secret(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = file.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&part);
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    fs::rename(part, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("strowger-private-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        make_folder(&folder).expect("the temporary folder is writable");
        folder
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o7777
    }

    #[test]
    fn a_folder_that_others_can_change_anywhere_is_not_safe() {
        let top = folder("check");
        let inner = top.join("a/b");
        make_folder(&inner).expect("the temporary folder is writable");
        fs::write(inner.join("file"), "x").expect("the temporary folder is writable");
        set(&inner.join("file"), 0o644);
        assert_eq!(check_folder(&top.join("a")), Ok(()));
        for (path, mode, back, why) in [
            (inner.join("file"), 0o664, 0o600, "can be written by its group"),
            (inner.clone(), 0o777, 0o700, "can be written by everybody"),
            (top.clone(), 0o707, 0o700, "can be written by everybody"),
        ] {
            set(&path, mode);
            let path = path.canonicalize().expect("it is there");
            assert_eq!(check_folder(&top.join("a")), Err(UnsafePath { path: path.clone(), why }));
            set(&path, back);
        }
        std::os::unix::fs::symlink("/etc/passwd", inner.join("link")).expect("writable");
        assert_eq!(check_folder(&top.join("a")).map_err(|error| error.why), Err("is a link"));
        assert!(check_folder(&top.join("absent")).is_err());
        fs::remove_dir_all(top).expect("removable");
    }

    #[test]
    fn everything_is_kept_to_its_user() {
        let top = folder("keep");
        fs::write(top.join("file"), "x").expect("writable");
        set(&top.join("file"), 0o666);
        set(&top, 0o755);
        std::os::unix::fs::symlink("/etc/passwd", top.join("link")).expect("writable");
        keep_to_user(&top).expect("it is ours");
        assert_eq!((mode(&top), mode(&top.join("file"))), (0o700, 0o600));
        keep_to_user(&top.join("absent")).expect("nothing to do");
        fs::remove_dir_all(top).expect("removable");
    }

    #[test]
    fn a_secret_that_others_could_read_is_none() {
        let top = folder("secret");
        let file = top.join("secret");
        assert!(!is_secret(&file).expect("readable"));
        write_secret(&file, b"one").expect("writable");
        assert_eq!(mode(&file), 0o600);
        assert!(is_secret(&file).expect("readable"));
        set(&file, 0o640);
        assert!(!is_secret(&file).expect("readable"));
        assert!(!file.exists());
        fs::remove_dir_all(top).expect("removable");
    }
}
