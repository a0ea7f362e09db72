//! Files inherited from the previous program.
//!
//! `unsafe_code` is allowed here because an inherited file is known by its descriptor number only.
#![allow(unsafe_code)]

use anyhow::{Result, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The memory file with this name and descriptor; `None` if the descriptor is another file.
pub(super) fn memory(number: RawFd, name: &str) -> Option<OwnedFd> {
    let link = link_of(number)?;
    link.starts_with(&format!("/memfd:{name}")).then(|| own(number))
}

/// The socket with this descriptor.
pub(super) fn socket(number: RawFd) -> Result<OwnedFd> {
    let is_one = link_of(number).is_some_and(|link| link.starts_with("socket:"));
    ensure!(is_one, "file {number} is no socket");
    Ok(own(number))
}

/// The kernel's name of the file.
fn link_of(number: RawFd) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Takes ownership of an inherited file and sets close-on-exec.
fn own(number: RawFd) -> OwnedFd {
    // SAFETY: `link_of` has just found the file open. Nothing else owns it: the previous program
    // opened it and passed its number once, at this program's start; no other number gets here.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    if let Err(error) = fcntl_setfd(&file, FdFlags::CLOEXEC) {
        tracing::debug!(%error, "a file stays open for programs that are started");
    }
    file
}
