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

/// Returns memory freed by this thread and by all threads together to the operating system. It
/// takes milliseconds after a busy hour, so it is for an idle thread.
pub(crate) fn give_back() {
    // SAFETY: it takes no pointer, any thread may call it at any time, and it touches only memory
    // that the allocator holds for this thread or for none.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
