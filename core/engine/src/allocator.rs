//! The program's allocator, and how it gives memory back.
//!
//! mimalloc keeps what was freed for the next call and hands it back to the operating system
//! while it works, never while the program rests: a busy hour would be seen in its size until
//! the next one.
//!
//! `unsafe_code` is allowed here for the one function of the allocator that no safe library
//! offers.
#![allow(unsafe_code)]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Hands memory that nothing uses back to the operating system: what this thread and what all
/// threads together have given up. It takes milliseconds after a busy hour, so it is for a
/// thread that has nothing to do.
pub(crate) fn give_back() {
    // SAFETY: no argument is a pointer. It may be called by any thread at any time and touches
    // only what the allocator holds for this thread or for none.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
