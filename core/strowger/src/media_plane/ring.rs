//! An io_uring with buffers of its own, safe to use: the only unsafe code of the program.
//!
//! What the kernel may touch after a call returns, and why it is still there:
//! - *Packets' memory, destinations, the receive header and the buffer ring* live in
//!   [`Memory`], which never moves and is freed only after the last operation ended (or
//!   never, if that cannot be had: see [`Ring`]'s drop).
//! - *Buffers*: each is the kernel's (offered for receiving), a [`Buffer`]'s holder's, or a
//!   send's. `Memory::owner` keeps which, and every change of hands is checked against it.
//! - *Sockets*: the ring shares those that it was given. A queued operation names a
//!   descriptor, so a removed socket is let go only once the kernel has taken all that was
//!   queued before; from then on the kernel holds the socket by itself.

mod memory;

use io_uring::types::{CancelBuilder, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use memory::{BUFFER_BYTES, Memory, Owner};
pub(super) use memory::{BUFFERS, Buffer};
use std::io;
use std::mem::ManuallyDrop;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Submission queue entries; more are handed over as they come.
const SUBMISSIONS: u32 = 1_024;
/// Completion queue entries: every buffer received and sent, and as many endings.
const COMPLETIONS: u32 = 4_096;
/// The only buffer group.
const GROUP: u16 = 0;
/// How long a dropped ring waits for its operations to end, and how often.
const DRAIN_STEP: Duration = Duration::from_millis(50);
const DRAIN_STEPS: u32 = 100;

/// An io_uring for datagram sockets. All its operations end when it is dropped.
pub(super) struct Ring {
    io: ManuallyDrop<IoUring>,
    memory: ManuallyDrop<Box<Memory>>,
    sockets: Vec<Option<Arc<UdpSocket>>>,
    free: Vec<u32>,
    /// Removed, but perhaps named in the submission queue.
    retired: Vec<u32>,
    /// None once the ring is to end.
    waker: Option<Arc<OwnedFd>>,
    /// Operations whose last completion has not come.
    in_flight: usize,
    /// Of those, sends.
    sending: usize,
}

/// A socket that a ring was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SocketId(u32);

/// What an operation came to.
#[derive(Debug)]
pub(super) enum Completion {
    /// A receive operation's packet or end.
    Received {
        /// As given to [`Ring::receive`].
        key: u64,
        /// The packet and, if asked for, its source; none is one without content. Else why
        /// the operation ended.
        packet: io::Result<Option<(Buffer, Option<SocketAddr>)>>,
        /// False: it was the operation's last completion.
        more: bool,
    },
    /// A send ended. The packet is the caller's again.
    Sent(Buffer, io::Result<()>),
}

/// Kinds of operations, in the upper bits of what the kernel hands back.
const KIND_SHIFT: u32 = 61;
/// The part of it that is the caller's.
const KEY_MASK: u64 = (1 << KIND_SHIFT) - 1;
const RECEIVE: u64 = 0;
const RECEIVE_FROM: u64 = 1;
const SEND: u64 = 2;
const WAKE: u64 = 3;
const CANCEL: u64 = 4;

impl Ring {
    /// A ring with all its buffers offered, which reports writes to `waker`, an eventfd. Only the thread that makes it may use it.
    ///
    /// # Errors
    /// What the kernel says: io_uring may be forbidden, absent or too old (Linux 6.1 is the
    /// first that has all that is needed).
    pub(super) fn new(waker: Arc<OwnedFd>) -> io::Result<Ring> {
        let io = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_submit_all()
            .setup_single_issuer()
            // Completions are made while this thread waits for them, in one go.
            .setup_defer_taskrun()
            .build(SUBMISSIONS)?;
        let mut ring = Ring {
            io: ManuallyDrop::new(io),
            memory: ManuallyDrop::new(Memory::new()),
            sockets: Vec::new(),
            free: Vec::new(),
            retired: Vec::new(),
            waker: Some(waker),
            in_flight: 0,
            sending: 0,
        };
        let entries = ring.memory.entries.as_ptr() as u64;
        // SAFETY: `entries` points to BUFFERS entries that live as long as `memory`, which is
        // freed only after the kernel has let go of the buffer ring.
        unsafe { ring.io.submitter().register_buf_ring_with_flags(entries, BUFFERS, GROUP, 0)? };
        for id in 0..BUFFERS {
            ring.memory.offer(id);
        }
        ring.watch_waker();
        // A kernel that gives a ring may yet forbid its use.
        ring.submit()?;
        Ok(ring)
    }

    /// Takes a share of a socket.
    pub(super) fn add(&mut self, socket: Arc<UdpSocket>) -> SocketId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(None);
            (self.sockets.len() - 1) as u32
        });
        self.sockets[id as usize] = Some(socket);
        SocketId(id)
    }

    /// Gives up the share, after all that was queued for the socket was handed over.
    /// Receiving is to be cancelled by the caller.
    pub(super) fn remove(&mut self, socket: SocketId) {
        self.retired.push(socket.0);
    }

    /// Has every packet that arrives at a connected socket completed under `key`, which is
    /// below 2^61.
    pub(super) fn receive(&mut self, socket: SocketId, key: u64) {
        let entry = opcode::RecvMulti::new(self.fd(socket), GROUP).build();
        self.queue(entry, RECEIVE, key);
    }

    /// The same for any socket, with the source of each packet.
    pub(super) fn receive_from(&mut self, socket: SocketId, key: u64) {
        let header = &raw const *self.memory.header;
        let entry = opcode::RecvMsgMulti::new(self.fd(socket), header, GROUP).build();
        self.queue(entry, RECEIVE_FROM, key);
    }

    /// Ends the receive operations under `key`; their last completions follow.
    pub(super) fn cancel(&mut self, key: u64) {
        for kind in [RECEIVE, RECEIVE_FROM] {
            let builder = CancelBuilder::user_data(kind << KIND_SHIFT | key);
            self.queue(opcode::AsyncCancel2::new(builder).build(), CANCEL, 0);
        }
    }

    fn watch_waker(&mut self) {
        if let Some(waker) = &self.waker {
            let entry = opcode::PollAdd::new(Fd(waker.as_raw_fd()), libc::POLLIN as u32);
            self.queue(entry.multi(true).build(), WAKE, 0);
        }
    }

    /// Sends a packet, without waiting for room in the socket, to an address or to the
    /// socket's peer.
    pub(super) fn send(&mut self, buffer: Buffer, socket: SocketId, to: Option<SocketAddr>) {
        let Buffer { id, start, len } = buffer;
        self.memory.hand_over(id, Owner::Holder, Owner::Send { start, len });
        let packet = self.memory.address(id).wrapping_add(start.into());
        let mut entry = opcode::Send::new(self.fd(socket), packet, len.into())
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        if let Some(to) = to {
            let destination = &mut self.memory.destinations[usize::from(id)];
            *destination = to.into();
            entry = entry
                .dest_addr(destination.as_ptr().cast::<libc::sockaddr>())
                .dest_addr_len(destination.len());
        }
        if self.queue(entry.build(), SEND, id.into()) {
            self.sending += 1;
        } else {
            let buffer = self.memory.take_back(id);
            self.give_back(buffer);
        }
    }

    /// The packet in a buffer.
    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        self.memory.bytes(buffer)
    }

    /// Offers a buffer to the kernel again.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        self.memory.hand_over(buffer.id, Owner::Holder, Owner::Kernel);
        self.memory.offer(buffer.id);
    }

    /// Sends that have not completed.
    pub(super) fn sending(&self) -> usize {
        self.sending
    }

    /// Hands over what is queued, without waiting for anything.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        let submitted = self.io.submit();
        self.entered(submitted)
    }

    /// Hands over what is queued and waits for `want` completions, or until `limit` passed.
    ///
    /// # Errors
    /// What the kernel says, if the ring cannot go on.
    pub(super) fn wait(&mut self, want: usize, limit: Option<Duration>) -> io::Result<()> {
        let waited = match limit {
            None => self.io.submit_and_wait(want),
            Some(limit) => {
                let limit = Timespec::from(limit);
                self.io.submitter().submit_with_args(want, &SubmitArgs::new().timespec(&limit))
            }
        };
        self.entered(waited)
    }

    /// The next completion of those that have come.
    pub(super) fn next(&mut self) -> Option<Completion> {
        loop {
            let entry = self.io.completion().next()?;
            let more = cqueue::more(entry.flags());
            if !more {
                self.in_flight -= 1;
            }
            let (kind, key) = (entry.user_data() >> KIND_SHIFT, entry.user_data() & KEY_MASK);
            match kind {
                RECEIVE | RECEIVE_FROM => {
                    let packet = self.received(&entry, kind == RECEIVE_FROM);
                    return Some(Completion::Received { key, packet, more });
                }
                SEND => {
                    self.sending -= 1;
                    let buffer = self.memory.take_back(key as u16);
                    return Some(Completion::Sent(buffer, result(&entry).map(drop)));
                }
                WAKE if !more => self.watch_waker(),
                _ => {}
            }
        }
    }

    /// The packet of a receive completion.
    fn received(
        &mut self,
        entry: &cqueue::Entry,
        with_source: bool,
    ) -> io::Result<Option<(Buffer, Option<SocketAddr>)>> {
        let Some(id) = cqueue::buffer_select(entry.flags()) else {
            return result(entry).map(|_| None);
        };
        self.memory.hand_over(id, Owner::Kernel, Owner::Holder);
        let len = match result(entry) {
            Ok(len) => len.min(BUFFER_BYTES) as u16,
            Err(error) => {
                self.give_back(Buffer { id, start: 0, len: 0 });
                return Err(error);
            }
        };
        let whole = Buffer { id, start: 0, len };
        if !with_source {
            return Ok(Some((whole, None)));
        }
        let parsed =
            RecvMsgOut::parse(self.bytes(&whole), &self.memory.header).ok().and_then(|message| {
                let source = address(message.name_data())?;
                Some((source, message.payload_data().len() as u16))
            });
        match parsed {
            Some((source, payload)) => {
                let start = len - payload;
                Ok(Some((Buffer { id, start, len: payload }, Some(source))))
            }
            None => {
                self.give_back(whole);
                Err(io::ErrorKind::InvalidData.into())
            }
        }
    }

    fn fd(&self, socket: SocketId) -> Fd {
        Fd(self.sockets[socket.0 as usize].as_ref().map_or(-1, |socket| socket.as_raw_fd()))
    }

    /// Queues an operation; false if the kernel takes none, which ends the ring's use: the
    /// next wait says why.
    fn queue(&mut self, entry: squeue::Entry, kind: u64, key: u64) -> bool {
        let entry = entry.user_data(kind << KIND_SHIFT | key);
        for _ in 0..2 {
            // SAFETY: what the entry points to is in `memory` and stays there until the
            // operation's last completion; the descriptor stays open until the entry was
            // handed over: a socket is in `sockets`, the waker is the ring's.
            if unsafe { self.io.submission().push(&entry) }.is_ok() {
                self.in_flight += 1;
                return true;
            }
            // Full: the kernel takes what is there.
            if let Err(error) = self.submit() {
                tracing::warn!(%error, "io_uring takes no operations");
            }
        }
        false
    }

    /// After the kernel was entered.
    fn entered(&mut self, entered: io::Result<usize>) -> io::Result<()> {
        if self.io.submission().is_empty() {
            for id in self.retired.drain(..) {
                self.sockets[id as usize] = None;
                self.free.push(id);
            }
        }
        match entered {
            Ok(_) => Ok(()),
            // Time is over, a signal came, completions wait to be taken, memory is short:
            // what was not done is done at the next entry.
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }
}

impl Ring {
    /// Ends all operations and waits for that; false if they do not end.
    fn drain(&mut self) -> bool {
        let waker = self.waker.take();
        for _ in 0..DRAIN_STEPS {
            let all = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
            if !self.queue(all, CANCEL, 0) || self.wait(1, Some(DRAIN_STEP)).is_err() {
                break;
            }
            while self.next().is_some() {}
            if self.in_flight == 0 {
                break;
            }
        }
        // Named by queued operations until now.
        drop(waker);
        self.in_flight == 0
    }
}

impl Drop for Ring {
    /// Ends all operations, then frees what they used. If they do not end, it is kept.
    fn drop(&mut self) {
        if !self.drain() {
            tracing::error!(
                operations = self.in_flight,
                "io_uring does not end, its memory is kept"
            );
            return;
        }
        if let Err(error) = self.io.submitter().unregister_buf_ring(GROUP) {
            tracing::debug!(%error, "io_uring buffers were not offered");
        }
        // SAFETY: neither is used after this. The ring goes first; no operation is in flight
        // and no buffer is offered any more, so the kernel touches nothing of the memory.
        unsafe {
            ManuallyDrop::drop(&mut self.io);
            ManuallyDrop::drop(&mut self.memory);
        }
    }
}

/// What a completion says: a count, or the system's error.
fn result(entry: &cqueue::Entry) -> io::Result<usize> {
    usize::try_from(entry.result()).map_err(|_| io::Error::from_raw_os_error(-entry.result()))
}

/// The source address that the kernel wrote before a packet.
fn address(name: &[u8]) -> Option<SocketAddr> {
    let at = |place: usize, len: usize| name.get(place..place + len);
    let port = u16::from_be_bytes(at(2, 2)?.try_into().ok()?);
    match i32::from(u16::from_ne_bytes(at(0, 2)?.try_into().ok()?)) {
        libc::AF_INET => {
            let ip: [u8; 4] = at(4, 4)?.try_into().ok()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(ip), port).into())
        }
        libc::AF_INET6 => {
            let flow = u32::from_ne_bytes(at(4, 4)?.try_into().ok()?);
            let ip: [u8; 16] = at(8, 16)?.try_into().ok()?;
            let scope = u32::from_ne_bytes(at(24, 4)?.try_into().ok()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
