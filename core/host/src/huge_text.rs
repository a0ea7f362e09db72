//! The program's own instructions on huge pages (Linux on x86-64).
//!
//! A call runs through some 260 pages of instructions. Where a page lies has to be looked up
//! anew after something else had the processor, in a virtual machine through two sets of tables,
//! one behind the other. On huge pages the same instructions are a dozen pages. Most kernels
//! put only anonymous memory on huge pages, so a copy takes the place of what was mapped from the
//! file.
//!
//! `unsafe_code` is allowed here for the system calls that move memory; no safe library can
//! offer them.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::ops::Range;

/// Size of a huge page, bytes, and whether programs may have some.
const PAGE_SIZE: &str = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
const POLICY: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Puts the instructions of this program on huge pages, as far as they fill such pages, and the
/// log says how many bytes; where the system has no huge pages to give, everything stays as it
/// is. Call it early: it copies tens of megabytes.
pub fn text_to_huge_pages() {
    match remap() {
        Ok(bytes) => tracing::info!(bytes, "the program's instructions lie on huge pages"),
        Err(error) => tracing::info!(%error, "the program's instructions stay on small pages"),
    }
}

fn remap() -> io::Result<usize> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if fs::read_to_string(POLICY)?.contains("[never]") {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "transparent huge pages are off"));
    }
    let page = fs::read_to_string(PAGE_SIZE)?.trim().parse().map_err(io::Error::other)?;
    let here = text_to_huge_pages as *const () as usize;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let text = maps.lines().filter_map(executable).find(|range| range.contains(&here));
    let text = whole_pages(text.ok_or(io::ErrorKind::NotFound)?, page);
    if text.is_empty() {
        return Err(io::Error::other("they do not fill a huge page"));
    }
    replace(&text, page)?;
    Ok(text.len())
}

/// Addresses of a line of `/proc/self/maps`, if it is of instructions.
fn executable(line: &str) -> Option<Range<usize>> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    rest.starts_with("r-xp").then_some(address(start)?..address(end)?)
}

/// The pages of that size which lie in the range as a whole.
fn whole_pages(range: Range<usize>, page: usize) -> Range<usize> {
    let start = range.start.next_multiple_of(page);
    start..(range.end - range.end % page).max(start)
}

/// Copies what is at `text` to huge pages, and puts these in its place.
fn replace(text: &Range<usize>, page: usize) -> io::Result<()> {
    let copy = Aligned::new(text.len(), page)?;
    copy.advise(libc::MADV_HUGEPAGE)?;
    // SAFETY: `text` is mapped and readable, as is every executable mapping of a program, and
    // nothing writes to it; the target is as long, writable, and no part of the source.
    unsafe {
        std::ptr::copy_nonoverlapping(text.start as *const u8, copy.start.cast(), copy.length)
    };
    match copy.advise(libc::MADV_COLLAPSE) {
        // Kernels before 6.1 do not know it; what the copy got at once is what it has.
        Err(error) if error.raw_os_error() != Some(libc::EINVAL) => Err(error),
        _ => copy.take_the_place_of(text),
    }
}

/// Anonymous memory that begins at a multiple of a page size.
struct Aligned {
    start: *mut libc::c_void,
    length: usize,
}

impl Aligned {
    fn new(length: usize, page: usize) -> io::Result<Aligned> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let size = length + page;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other.
        let whole = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
        if whole == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let before = whole.align_offset(page);
        let start = whole.wrapping_byte_add(before);
        for (rest, length) in
            [(whole, before), (start.wrapping_byte_add(length), size - before - length)]
        {
            if length > 0 {
                // SAFETY: a part of the new mapping that nobody has an address of. Should it
                // fail, that part stays mapped and unused.
                unsafe { libc::munmap(rest, length) };
            }
        }
        Ok(Aligned { start, length })
    }

    fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: the mapping is ours; both pieces of advice change where it lies, not what
        // it holds.
        done(unsafe { libc::madvise(self.start, self.length, advice) })
    }

    /// Replaces what is mapped at `text`, which has the same bytes.
    fn take_the_place_of(self, text: &Range<usize>) -> io::Result<()> {
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: the mapping is ours, and nobody writes to it any more.
        done(unsafe { libc::mprotect(self.start, self.length, protection) })?;
        let (flags, target) =
            (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, text.start as *mut libc::c_void);
        // SAFETY: the target is replaced by the same bytes, to be read and executed as
        // before, and as one step: a thread that needs one of its pages meanwhile waits in the
        // kernel until the new ones are there. A kernel without memory for its own tables may
        // have taken the old pages away when it refuses: the program then ends by a signal, at
        // start, and never runs other instructions than its own.
        let moved = unsafe { libc::mremap(self.start, self.length, self.length, flags, target) };
        if moved == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody has an address in it.
        unsafe { libc::munmap(self.start, self.length) };
    }
}

fn done(status: libc::c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_instructions_are_told_from_others() {
        let line = "55f0f248d000-55f0f2600000 r-xp 00877000 fe:00 10010635   /usr/bin/strowger";
        assert_eq!(executable(line), Some(0x55f0_f248_d000..0x55f0_f260_0000));
        assert_eq!(executable(&line.replace("r-xp", "r--p")), None);
        assert_eq!(executable("no line"), None);
    }

    #[test]
    fn only_whole_huge_pages_are_taken() {
        assert_eq!(whole_pages(0x1f_f000..0x65_0000, 0x20_0000), 0x20_0000..0x60_0000);
        assert_eq!(whole_pages(0x20_0000..0x40_0000, 0x20_0000), 0x20_0000..0x40_0000);
        assert!(whole_pages(0x21_0000..0x3f_0000, 0x20_0000).is_empty());
    }

    #[test]
    fn this_program_runs_on_from_huge_pages() {
        let bytes = match remap() {
            Ok(bytes) => bytes,
            Err(error) => return crate::skip::skipped(&error.to_string()),
        };
        let maps = fs::read_to_string("/proc/self/maps").expect("maps");
        let here = text_to_huge_pages as *const () as usize;
        let mut texts = maps.lines().filter_map(executable);
        let text = texts.find(|range| range.contains(&here)).expect("instructions");
        // Either this function lies in what was moved, or in what is left at an end of it.
        assert!(bytes > 0 && !text.is_empty());
        // Backtraces find their way through moved instructions.
        assert!(std::panic::catch_unwind(|| panic!("on huge pages")).is_err());
    }
}
