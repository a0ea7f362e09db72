//! What the kernel reads and writes by itself while a ring is in use: packets and where
//! they go.

use io_uring::types::BufRingEntry;
use socket2::SockAddr;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::net::SocketAddr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers of a ring; a power of two. They go round, so few of them stay in the cache.
pub(in super::super) const BUFFERS: u16 = 1_024;
/// Bytes of a buffer: the receive header, a source address and more than the longest packet.
pub(super) const BUFFER_BYTES: usize = 2_112;
/// Room for a source address, as long as the longest: IPv6.
const NAME_BYTES: u32 = size_of::<libc::sockaddr_in6>() as u32;
/// A page of the usual size.
const PAGE: usize = 4_096;

/// A received packet. Whoever holds it may read it, send it or give it back.
#[derive(Debug)]
pub(in super::super) struct Buffer {
    pub(super) id: u16,
    pub(super) start: u16,
    pub(super) len: u16,
}

/// What the kernel writes and reads by itself.
pub(super) struct Memory {
    packets: Box<[UnsafeCell<[u8; BUFFER_BYTES]>]>,
    owner: Box<[Owner]>,
    /// Destinations of sends, by buffer.
    pub(super) destinations: Box<[SockAddr]>,
    /// Says how long an address may be; the same for all receive operations.
    pub(super) header: Box<libc::msghdr>,
    /// The buffer ring: [`BUFFERS`] entries at the start of a page.
    pub(super) entries: NonNull<BufRingEntry>,
    /// Its tail as written last.
    tail: u16,
}

/// In whose hands a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Kernel,
    Holder,
    /// With where its packet is.
    Send {
        start: u16,
        len: u16,
    },
}

impl Buffer {
    /// Its place among the [`BUFFERS`] of its ring.
    pub(in super::super) fn index(&self) -> usize {
        self.id.into()
    }
}

impl Memory {
    pub(super) fn new() -> Box<Memory> {
        // SAFETY: an msghdr is numbers and pointers, for all of which zero is a value: no
        // name, no parts, no control data.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = NAME_BYTES;
        let layout = Memory::layout();
        // SAFETY: the layout's size is not zero.
        let entries = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(entries.cast()) else {
            handle_alloc_error(layout);
        };
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Box::new(Memory {
            packets: (0..BUFFERS).map(|_| UnsafeCell::new([0; BUFFER_BYTES])).collect(),
            owner: vec![Owner::Kernel; BUFFERS.into()].into(),
            destinations: (0..BUFFERS).map(|_| nowhere.into()).collect(),
            header,
            entries,
            tail: 0,
        })
    }

    /// The kernel wants the buffer ring at the start of a page.
    fn layout() -> Layout {
        let entries = Layout::new::<[BufRingEntry; BUFFERS as usize]>();
        entries.align_to(PAGE).unwrap_or(entries)
    }

    pub(super) fn address(&self, id: u16) -> *const u8 {
        self.packets[usize::from(id)].get().cast_const().cast()
    }

    pub(super) fn hand_over(&mut self, id: u16, from: Owner, to: Owner) {
        let owner = &mut self.owner[usize::from(id)];
        assert_eq!(*owner, from, "packet buffer {id}");
        *owner = to;
    }

    /// The buffer of a send that ended.
    pub(super) fn take_back(&mut self, id: u16) -> Buffer {
        let owner = &mut self.owner[usize::from(id)];
        let Owner::Send { start, len } = *owner else {
            panic!("packet buffer {id} was not being sent: {owner:?}");
        };
        *owner = Owner::Holder;
        Buffer { id, start, len }
    }

    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        let id = usize::from(buffer.id);
        assert_eq!(self.owner[id], Owner::Holder, "packet buffer {id}");
        // SAFETY: the buffer is its holder's, so the kernel does not write to it, and it
        // stays so while the slice borrows `self`: handing it over needs `&mut self`.
        let whole: &[u8; BUFFER_BYTES] = unsafe { &*self.packets[id].get() };
        &whole[buffer.start.into()..][..buffer.len.into()]
    }

    /// Writes the buffer's entry behind the others. It is the kernel's already.
    pub(super) fn offer(&mut self, id: u16) {
        let place = usize::from(self.tail % BUFFERS);
        let address = self.address(id) as u64;
        // SAFETY: `place` is below BUFFERS, so the entry is within the allocation, which is
        // zeroed (a valid entry). There are as many entries as buffers and this buffer was
        // not in the ring, so the kernel has already read what this entry said before.
        let entry = unsafe { self.entries.add(place).as_mut() };
        entry.set_addr(address);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is a part of the first entry that the setters above leave alone,
        // aligned for 16 bits; only this thread writes it, and the kernel reads it.
        let tail = unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail)
        };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nothing points to it any more.
        unsafe { dealloc(self.entries.as_ptr().cast(), Memory::layout()) };
    }
}
