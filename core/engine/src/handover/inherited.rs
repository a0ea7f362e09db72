//! Files that are open when the program starts.
//!
//! `unsafe_code` is allowed here because a number is all that a program learns of a file that was
//! left open for it.
#![allow(unsafe_code)]

use anyhow::{Result, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The memory of this name that was left under this number; none if something else is there.
pub(super) fn memory(number: RawFd, name: &str) -> Option<OwnedFd> {
    let link = link_of(number)?;
    link.starts_with(&format!("/memfd:{name}")).then(|| own(number))
}

/// The socket that was left under this number.
pub(super) fn socket(number: RawFd) -> Result<OwnedFd> {
    let is_one = link_of(number).is_some_and(|link| link.starts_with("socket:"));
    ensure!(is_one, "file {number} is no socket");
    Ok(own(number))
}

/// What the kernel calls the file.
fn link_of(number: RawFd) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Takes a file that nobody else in this program has; programs that this one starts do not get it.
fn own(number: RawFd) -> OwnedFd {
    // SAFETY: the file is open, as `link_of` has just found it. Nobody else owns it: it was opened
    // by the program before, this one is told its number once, at its start, by that program, and
    // what is named by no such number is never passed here.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    if let Err(error) = fcntl_setfd(&file, FdFlags::CLOEXEC) {
        tracing::debug!(%error, "a file stays open for programs that are started");
    }
    file
}
