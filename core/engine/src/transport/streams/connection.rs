//! One connection: data in and out, and its time limits.

use super::{CONNECT, IDLE, MESSAGE};
use crate::handover::KeptConnection;
use mio::net::TcpStream;
use sip::{Flow, Frame, Framer};
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::time::Instant;

/// Maximum size of data queued for a slow peer: some hundreds of messages.
const WAITING: usize = 1 << 20;
/// Overhead counted per queued message: a pong has two bytes.
const EACH: usize = 64;
/// Reads per turn.
const READS: usize = 16;
/// Bytes per read.
const READ: usize = 16 * 1024;

/// The result of reading a connection.
pub(super) enum Heard {
    /// Everything was read.
    All,
    /// There may be more.
    Some,
    /// The connection has ended, with the reason.
    End(String),
}

pub(super) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) flow: Flow,
    /// The peer's address belongs to a trunk, or we opened the connection.
    pub(super) known: bool,
    /// A message was received or queued: a response may be awaited.
    pub(super) used: bool,
    /// The peer opened it.
    pub(super) accepted: bool,
    /// It is not established yet.
    connecting: bool,
    framer: Framer,
    out: VecDeque<Box<[u8]>>,
    /// Bytes of the first of `out` that are sent.
    written: usize,
    waiting: usize,
    since: Instant,
    /// Last byte sent or received.
    last: Instant,
    /// When the incomplete message began.
    begun: Option<Instant>,
    broken: bool,
}

impl Connection {
    /// A connection opened by a peer.
    pub(super) fn accepted(socket: TcpStream, flow: Flow, known: bool) -> Connection {
        let now = Instant::now();
        Connection {
            socket,
            flow,
            known,
            used: false,
            accepted: true,
            connecting: false,
            framer: Framer::default(),
            out: VecDeque::new(),
            written: 0,
            waiting: 0,
            since: now,
            last: now,
            begun: None,
            broken: false,
        }
    }

    /// A connection being opened.
    pub(super) fn begun(socket: TcpStream, flow: Flow, known: bool) -> Connection {
        let accepted = Connection::accepted(socket, flow, known);
        Connection { connecting: true, used: true, accepted: false, ..accepted }
    }

    /// A connection of the previous program.
    pub(super) fn resumed(kept: KeptConnection) -> io::Result<Connection> {
        let KeptConnection { flow, known, used, unread, unsent, socket } = kept;
        let socket = std::net::TcpStream::from(socket);
        socket.set_nonblocking(true)?;
        let mut connection = Connection::accepted(TcpStream::from_std(socket), flow, known);
        connection.used = used;
        connection.framer.push(&unread);
        connection.begun = connection.framer.is_waiting().then_some(connection.since);
        if !unsent.is_empty() {
            connection.queue(unsent.into_boxed_slice());
        }
        Ok(connection)
    }

    /// The state for the next program; `None` if it is not established yet.
    pub(super) fn leave(self) -> Option<KeptConnection> {
        if self.connecting {
            return None;
        }
        let mut unsent: Vec<u8> = Vec::new();
        for message in self.out {
            unsent.extend_from_slice(&message);
        }
        unsent.drain(..self.written.min(unsent.len()));
        Some(KeptConnection {
            flow: self.flow,
            known: self.known,
            used: self.used,
            unread: self.framer.into_rest(),
            unsent,
            socket: self.socket.into(),
        })
    }

    /// Queues a message or pong; `false` if too much is queued.
    pub(super) fn queue(&mut self, message: Box<[u8]>) -> bool {
        self.waiting += message.len() + EACH;
        self.out.push_back(message);
        self.broken |= self.waiting > WAITING;
        !self.broken
    }

    pub(super) fn has_more(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether it ended because of received data or a timeout.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Sends as much as the peer takes.
    ///
    /// # Errors
    /// The connection is not established, or has ended.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.connecting {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            match self.socket.peer_addr() {
                Ok(_) => self.connecting = false,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        while let Some(first) = self.out.front() {
            match self.socket.write(&first[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    self.last = Instant::now();
                    self.written += bytes;
                    if self.written == first.len() {
                        self.waiting -= first.len() + EACH;
                        self.written = 0;
                        self.out.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads as much as one turn allows; returns the complete messages and what is left.
    pub(super) fn read(&mut self) -> (Vec<Frame>, Heard) {
        let mut frames = Vec::new();
        let mut buffer = [0; READ];
        for _ in 0..READS {
            match self.socket.read(&mut buffer) {
                Ok(0) => return (frames, Heard::End("the peer has closed it".to_owned())),
                Ok(bytes) => {
                    self.last = Instant::now();
                    self.framer.push(&buffer[..bytes]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return (frames, Heard::All);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Not established yet.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    return (frames, Heard::All);
                }
                Err(error) => return (frames, Heard::End(error.to_string())),
            }
            loop {
                match self.framer.frame() {
                    Ok(Some(frame)) => {
                        self.used |= matches!(frame, Frame::Message(_));
                        frames.push(frame);
                        self.begun = None;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.broken = true;
                        return (frames, Heard::End(error.to_string()));
                    }
                }
            }
            match self.framer.is_waiting() {
                true => {
                    self.begun.get_or_insert(self.last);
                }
                false => self.begun = None,
            }
        }
        (frames, Heard::Some)
    }

    /// The time limit that it exceeds.
    pub(super) fn late(&self, now: Instant) -> Option<&'static str> {
        if self.connecting {
            return (now >= self.since + CONNECT).then_some("it is not made in time");
        }
        if self.begun.is_some_and(|begun| now >= begun + MESSAGE) {
            return Some("a message is not whole in time");
        }
        if !self.known && !self.used && now >= self.since + MESSAGE {
            return Some("a stranger says nothing");
        }
        (now >= self.last + IDLE).then_some("nothing is said on it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Link;
    use std::net::TcpListener;
    use std::time::Duration;

    /// An established outgoing connection, and the peer's end of it.
    fn pair(begun: bool) -> (Connection, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let remote = listener.local_addr().expect("an address");
        let ours = std::net::TcpStream::connect(remote).expect("it listens");
        let (peer, _) = listener.accept().expect("a connection");
        ours.set_nonblocking(true).expect("it does not block");
        let flow = Flow { listener: 0, remote, link: Link::Stream };
        let socket = TcpStream::from_std(ours);
        let connection = match begun {
            true => Connection::begun(socket, flow, true),
            false => Connection::accepted(socket, flow, true),
        };
        (connection, peer)
    }

    /// SIG-03: a connection is closed after ten minutes without a byte in or out.
    #[test]
    fn a_silent_connection_is_closed_after_ten_minutes() {
        let (mut connection, mut peer) = pair(false);
        let (start, second) = (connection.last, Duration::from_secs(1));
        let silence = Duration::from_secs(600);
        assert_eq!(connection.late(start + silence - second), None);
        assert_eq!(connection.late(start + silence), Some("nothing is said on it"));
        peer.write_all(b"\r\n\r\n").expect("sent");
        std::thread::sleep(Duration::from_millis(20));
        let (frames, _) = connection.read();
        assert_eq!(frames, [Frame::Ping]);
        assert!(connection.last > start, "a byte in counts");
        assert_eq!(connection.late(start + silence), None);
        let heard = connection.last;
        std::thread::sleep(Duration::from_millis(2));
        assert!(connection.queue(Box::from(*b"\r\n")));
        connection.write().expect("it is made");
        assert!(connection.last > heard, "a byte out counts");
        assert_eq!(connection.late(connection.last + silence), Some("nothing is said on it"));
    }

    /// SIG-24: three seconds to connect; after that only the idle time limits it.
    #[test]
    fn a_connection_has_three_seconds_to_be_made() {
        let (mut connection, _peer) = pair(true);
        let (start, limit) = (connection.since, Duration::from_secs(3));
        assert_eq!(connection.late(start + limit - Duration::from_millis(1)), None);
        assert_eq!(connection.late(start + limit), Some("it is not made in time"));
        connection.write().expect("it is made");
        assert_eq!(connection.late(start + limit), None);
    }
}
