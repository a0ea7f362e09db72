//! Time slices: how soon a woken thread runs when other threads want its processor.
//!
//! Linux's scheduler lets the running thread finish its slice, 0.7 ms and more, unless the woken
//! thread has requested a shorter one (kernel 6.12 and newer, `sched-eevdf`). Shares stay the same;
//! only the turns are shorter. No privilege is needed.
//!
//! `unsafe_code` is allowed here for two system calls that no safe library offers.
#![allow(unsafe_code)]

use libc::{SCHED_OTHER, SYS_sched_getattr, SYS_sched_setattr, c_long, sched_attr};
use std::io;
use std::mem::size_of;
use std::time::Duration;

/// The shortest slice that the kernel grants.
const SHORTEST: Duration = Duration::from_micros(100);

/// Gives the calling thread the shortest slice: for a thread that wakes often, does little and must
/// do it soon. A thread under another policy than the ordinary one keeps its slice. If the system
/// refuses, a warning is logged.
pub fn shorten_time_slice() {
    if let Err(error) = set(SHORTEST) {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        tracing::warn!(%error, thread, "time slice not shortened: other threads delay calls longer");
    }
}

fn set(slice: Duration) -> io::Result<()> {
    let mut attributes = get()?;
    if i64::from(attributes.sched_policy) == i64::from(SCHED_OTHER) {
        attributes.sched_runtime = u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX);
        put(&mut attributes)?;
    }
    Ok(())
}

fn put(attributes: &mut sched_attr) -> io::Result<()> {
    // SAFETY: thread 0 is the calling thread; the kernel reads `size` bytes of a structure that
    // lives until the call returns, and writes to it only if it refuses that size.
    done(unsafe { libc::syscall(SYS_sched_setattr, 0, std::ptr::from_mut(attributes), 0) })
}

/// Policy, niceness and slice of the calling thread.
fn get() -> io::Result<sched_attr> {
    const SIZE: usize = size_of::<sched_attr>();
    let mut attributes = sched_attr {
        size: SIZE as u32,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: thread 0 is the calling thread; the kernel writes at most the given size, which is
    // the size of the structure.
    let status = unsafe { libc::syscall(SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
    done(status).map(|()| attributes)
}

fn done(status: c_long) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_is_shortened_and_nothing_else_changes() {
        std::thread::spawn(|| {
            let before = get().expect("known");
            set(SHORTEST).expect("set");
            let after = get().expect("known");
            assert_eq!(
                (before.sched_policy, before.sched_nice, before.sched_priority),
                (after.sched_policy, after.sched_nice, after.sched_priority)
            );
            // An older kernel has no slices per thread and returns 0.
            if before.sched_runtime != 0 {
                assert!(before.sched_runtime > after.sched_runtime);
                assert_eq!(u128::from(after.sched_runtime), SHORTEST.as_nanos());
            }
        })
        .join()
        .expect("no panic");
    }
}
