//! The engine for kernels with io_uring: one system call carries many packets.
//!
//! Every socket has one receive operation that lasts (multishot) and takes a buffer of the
//! ring for each packet; the send of that packet reads the same buffer, and when it is done
//! the buffer is offered again. A socket gives at most 32 packets before the kernel turns to
//! the next one, and packets wait in their sockets while all buffers are in use: no flood
//! delays another call.

use super::calls::{Calls, Clocks, Outgoing};
use super::port::{Port, Token};
use super::relay_thread::Engine;
use super::ring::{BUFFERS, Buffer, Completion, Ring, SocketId};
use media::Kind;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A ring and the sockets that it receives from.
pub(super) struct UringEngine {
    ring: Ring,
    /// By token.
    ports: Vec<Option<Watched>>,
    /// Distinguishes the receive operations of one token.
    generation: u32,
    /// Packets being sent, by buffer.
    outgoing: Box<[Option<Sending>]>,
    /// Receive operations that ended for want of buffers or by an error.
    ended: Vec<(Token, u32)>,
}

/// A socket of a session.
struct Watched {
    socket: SocketId,
    generation: u32,
    /// Its receive operation is begun; its end has not been seen.
    receiving: bool,
    /// The connected socket of its side waits until all that is here was relayed.
    hand_over: bool,
}

/// A packet being sent.
#[derive(Clone, Copy)]
struct Sending {
    outgoing: Outgoing,
    /// It was refused once already.
    again: bool,
}

impl UringEngine {
    /// An engine that `waker`, an eventfd, wakes. For use by this thread only.
    ///
    /// # Errors
    /// What the kernel says: io_uring may be forbidden, absent or too old.
    pub(super) fn new(waker: &Arc<OwnedFd>) -> io::Result<UringEngine> {
        Ok(UringEngine {
            ring: Ring::new(waker.clone())?,
            ports: Vec::new(),
            generation: 0,
            outgoing: vec![None; BUFFERS.into()].into(),
            ended: Vec::with_capacity(BUFFERS.into()),
        })
    }

    fn port(&mut self, token: Token) -> Option<&mut Watched> {
        self.ports.get_mut(token.0 as usize)?.as_mut()
    }

    /// Begins to receive at a watched socket.
    fn receive(&mut self, token: Token) {
        let Some(Some(port)) = self.ports.get_mut(token.0 as usize) else {
            return;
        };
        if std::mem::replace(&mut port.receiving, true) {
            return;
        }
        let key = key(token, port.generation);
        match token.port() {
            Port::Connected(_) => self.ring.receive(port.socket, key),
            Port::Bound(..) => self.ring.receive_from(port.socket, key),
        }
    }

    /// A receive operation's completion.
    fn received(
        &mut self,
        clocks: Clocks,
        calls: &mut Calls,
        key: u64,
        packet: io::Result<Option<(Buffer, Option<SocketAddr>)>>,
        more: bool,
    ) {
        let (token, generation) = (Token(key as u32), (key >> 32) as u32);
        let current = self.port(token).filter(|port| port.generation == generation);
        let Some(port) = current else {
            // Of a socket that is closed; its packets are nobody's.
            if let Ok(Some((buffer, _))) = packet {
                self.ring.give_back(buffer);
            }
            return;
        };
        if !more {
            port.receiving = false;
            self.ended.push((token, generation));
        }
        match packet {
            Ok(Some((buffer, source))) => self.relay(clocks, calls, token, source, buffer),
            Ok(None) => drop(calls.receive(clocks, token, None, &[])),
            // No buffer, or the refusal of an earlier packet: it is received on.
            Err(_) => {}
        }
    }

    fn relay(
        &mut self,
        clocks: Clocks,
        calls: &mut Calls,
        token: Token,
        source: Option<SocketAddr>,
        buffer: Buffer,
    ) {
        match calls.receive(clocks, token, source, self.ring.bytes(&buffer)) {
            Some(outgoing) => self.send(calls, Sending { outgoing, again: false }, buffer),
            None => self.ring.give_back(buffer),
        }
        calls.follow_latch(token, self);
    }

    fn send(&mut self, calls: &mut Calls, sending: Sending, buffer: Buffer) {
        let way = calls.way(sending.outgoing);
        let port = way.and_then(|(token, to)| Some((self.port(token)?.socket, to)));
        if let Some((socket, to)) = port {
            self.outgoing[buffer.index()] = Some(sending);
            self.ring.send(buffer, socket, to);
        } else {
            calls.not_sent(sending.outgoing, self.ring.bytes(&buffer));
            self.ring.give_back(buffer);
        }
    }

    fn sent(&mut self, calls: &mut Calls, buffer: Buffer, result: io::Result<()>) {
        let sending = self.outgoing[buffer.index()].take();
        match (result, sending) {
            (Ok(()), _) => calls.sent(),
            // The refusal of an earlier packet does not cost this one.
            (Err(error), Some(Sending { outgoing, again: false }))
                if error.kind() == io::ErrorKind::ConnectionRefused =>
            {
                return self.send(calls, Sending { outgoing, again: true }, buffer);
            }
            (Err(_), Some(sending)) => calls.not_sent(sending.outgoing, self.ring.bytes(&buffer)),
            (Err(_), None) => {}
        }
        self.ring.give_back(buffer);
    }

    /// Has sockets whose receive operations ended receive on.
    fn receive_on(&mut self, clocks: Clocks, calls: &mut Calls) {
        let mut ended = std::mem::take(&mut self.ended);
        for (token, generation) in ended.drain(..) {
            let Some(port) = self.port(token).filter(|port| port.generation == generation) else {
                continue;
            };
            if std::mem::take(&mut port.hand_over) {
                // What is queued was received before what waits.
                if let Err(error) = self.ring.submit() {
                    tracing::warn!(%error, "io_uring takes no operations");
                }
                calls.hand_over(clocks, token);
                self.receive(token.sibling(Port::Connected(token.port().side())));
            }
            self.receive(token);
        }
        self.ended = ended;
    }
}

impl Engine for UringEngine {
    fn watch(&mut self, token: Token, socket: &Arc<UdpSocket>) -> io::Result<()> {
        let place = token.0 as usize;
        if self.ports.len() <= place {
            self.ports.resize_with(place + 1, || None);
        }
        // Below 2^29, so that it fits a key.
        self.generation = self.generation.wrapping_add(1) % (1 << 29);
        self.ports[place] = Some(Watched {
            socket: self.ring.add(socket.clone()),
            generation: self.generation,
            receiving: false,
            hand_over: false,
        });
        let Port::Connected(side) = token.port() else {
            self.receive(token);
            return Ok(());
        };
        let first = token.sibling(Port::Bound(side, Kind::Rtp));
        match self.port(first) {
            // Its packets go ahead: when its operation has ended, they are all known.
            Some(port) => {
                port.hand_over = true;
                if port.receiving {
                    let key = key(first, port.generation);
                    self.ring.cancel(key);
                }
            }
            None => self.receive(token),
        }
        Ok(())
    }

    fn forget(&mut self, token: Token) {
        let watched = self.ports.get_mut(token.0 as usize).and_then(Option::take);
        if let Some(port) = watched {
            if port.receiving {
                self.ring.cancel(key(token, port.generation));
            }
            self.ring.remove(port.socket);
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        // Sends end at once: with what came meanwhile they are the next round.
        if self.ring.sending() > 0 {
            return self.ring.wait(self.ring.sending(), None);
        }
        self.ring.wait(1, None)
    }

    fn serve(&mut self, clocks: Clocks, calls: &mut Calls) {
        while let Some(completion) = self.ring.next() {
            match completion {
                Completion::Received { key, packet, more } => {
                    self.received(clocks, calls, key, packet, more);
                }
                Completion::Sent(buffer, result) => self.sent(calls, buffer, result),
            }
        }
        // With all buffers being sent it would end at once.
        if self.ring.sending() < BUFFERS.into() {
            self.receive_on(clocks, calls);
        }
    }
}

/// Whether the kernel gives what the engine needs.
///
/// # Errors
/// What it says.
pub(super) fn available() -> io::Result<()> {
    let waker = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
    // In a thread of its own: the kernel ends a ring later and then interrupts whatever
    // system call the thread that made it is in.
    let tried = std::thread::Builder::new().spawn(|| Ring::new(waker).map(drop))?;
    tried.join().map_err(|_| io::Error::other("io_uring could not be tried"))?
}

fn key(token: Token, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(token.0)
}
