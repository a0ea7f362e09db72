//! The engine that every kernel has: a level-triggered epoll, one receive and one send per
//! packet.
//!
//! A ready socket gives one packet per round and is reported again while it has more. So no
//! flood on one socket delays another call, and no packet costs a second receive that only
//! says "empty" (an edge-triggered poll needs one).

use super::calls::{Calls, Clocks};
use super::port::Token;
use super::relay_thread::Engine;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Sockets served in one round.
const ROUND: usize = 256;
/// Data of the waker; no token reaches it.
const WAKE: u64 = u64::MAX;

/// A poll and what it reported last.
pub(super) struct EpollEngine {
    poll: OwnedFd,
    waker: Arc<OwnedFd>,
    ready: Vec<Event>,
}

impl EpollEngine {
    /// An engine that `waker`, an eventfd, wakes.
    ///
    /// # Errors
    /// If the system refuses a poll instance.
    pub(super) fn new(waker: Arc<OwnedFd>) -> io::Result<EpollEngine> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        add(&poll, &waker, WAKE)?;
        Ok(EpollEngine { poll, waker, ready: Vec::with_capacity(ROUND) })
    }
}

impl Engine for EpollEngine {
    fn watch(&mut self, token: Token, socket: &Arc<UdpSocket>) -> io::Result<()> {
        add(&self.poll, socket, token.0.into())
    }

    /// Closing a socket takes it out of the poll as well.
    fn forget(&mut self, _: Token) {}

    fn wait(&mut self) -> io::Result<()> {
        match epoll::wait(&self.poll, spare_capacity(&mut self.ready), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if self.ready.iter().any(|event| event.data.u64() == WAKE) {
            // Before the commands are taken: one that comes later wakes again.
            let _ = rustix::io::read(&self.waker, &mut [0; 8]);
        }
        Ok(())
    }

    fn serve(&mut self, clocks: Clocks, calls: &mut Calls) {
        let mut ready = std::mem::take(&mut self.ready);
        for event in ready.drain(..) {
            // The waker's data is no token.
            let Ok(token) = u32::try_from(event.data.u64()).map(Token) else {
                continue;
            };
            calls.relay_waiting(clocks, token);
            if calls.follow_latch(token, self) {
                calls.hand_over(clocks, token);
            }
        }
        self.ready = ready;
    }
}

/// Has the poll report a descriptor whenever it is readable. Closing it ends that.
fn add(poll: &OwnedFd, readable: &impl AsFd, data: u64) -> io::Result<()> {
    Ok(epoll::add(poll, readable, EventData::new_u64(data), EventFlags::IN)?)
}
