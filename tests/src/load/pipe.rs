//! Transports of the load generator: datagrams or persistent connections.

use super::wire;
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

/// Transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// One message per datagram.
    #[default]
    Udp,
    /// The caller uses one persistent connection; the vendor accepts any number.
    Tcp,
}

impl Transport {
    /// Its name in a Via.
    pub(super) fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

/// The socket or connections of one side.
#[derive(Debug)]
pub(super) enum Pipe {
    Datagrams(UdpSocket),
    Streams { listener: Option<TcpListener>, peers: Vec<Peer> },
}

/// A connection and the bytes received on it.
#[derive(Debug)]
pub(super) struct Peer {
    stream: TcpStream,
    remote: SocketAddr,
    bytes: Vec<u8>,
}

impl Pipe {
    /// The caller's side, connected to `target`.
    pub(super) fn of_caller(
        transport: Transport,
        local: SocketAddr,
        target: SocketAddr,
    ) -> Result<Pipe> {
        if transport == Transport::Udp {
            return bind(local).map(Pipe::Datagrams);
        }
        // Any port: the previous run's may still be in TIME_WAIT.
        let kind = socket2::Type::STREAM;
        let socket = socket2::Socket::new(socket2::Domain::for_address(local), kind, None)?;
        socket.bind(&SocketAddr::new(local.ip(), 0).into())?;
        socket.connect(&target.into())?;
        let peers = vec![Peer::new(socket.into(), target)?];
        Ok(Pipe::Streams { listener: None, peers })
    }

    /// The vendor's side.
    pub(super) fn of_vendor(transport: Transport, local: SocketAddr) -> Result<Pipe> {
        if transport == Transport::Udp {
            return bind(local).map(Pipe::Datagrams);
        }
        let listener = TcpListener::bind(local)?;
        listener.set_nonblocking(true)?;
        Ok(Pipe::Streams { listener: Some(listener), peers: Vec::new() })
    }

    /// Receives the next message into `buffer`; returns its length and sender.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<(usize, SocketAddr)>> {
        match self {
            Pipe::Datagrams(socket) => match socket.recv_from(buffer) {
                Ok(received) => Ok(Some(received)),
                Err(error) if is_nothing(error.kind()) => Ok(None),
                Err(error) => Err(error),
            },
            Pipe::Streams { listener, peers } => {
                if let Some(listener) = listener {
                    match listener.accept() {
                        Ok((stream, remote)) => peers.push(Peer::new(stream, remote)?),
                        Err(error) if is_nothing(error.kind()) => {}
                        Err(error) => return Err(error),
                    }
                }
                for peer in peers {
                    if let Some(length) = peer.receive(buffer)? {
                        return Ok(Some((length, peer.remote)));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Sends a message. Waits while the buffer is full: the generator itself loses nothing.
    pub(super) fn send(&mut self, bytes: &[u8], to: SocketAddr) -> Result<()> {
        match self {
            Pipe::Datagrams(socket) => loop {
                match socket.send_to(bytes, to) {
                    Ok(_) => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        std::thread::yield_now();
                    }
                    // A vanished peer shows as lost calls.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
                    Err(error) => return Err(error),
                }
            },
            Pipe::Streams { peers, .. } => match peers.iter_mut().find(|peer| peer.remote == to) {
                Some(peer) => peer.send(bytes),
                None => Ok(()),
            },
        }
    }
}

impl Peer {
    fn new(stream: TcpStream, remote: SocketAddr) -> Result<Peer> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Peer { stream, remote, bytes: Vec::new() })
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        if let Some(length) = self.take(buffer) {
            return Ok(Some(length));
        }
        match self.stream.read(buffer) {
            Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
            Err(error) if is_nothing(error.kind()) => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(self.take(buffer))
    }

    /// Moves the first complete message into `buffer`.
    fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let head = self.bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&self.bytes[..head]).ok()?;
        let body: usize = wire::header(text, "Content-Length")?.parse().ok()?;
        let length = head + body;
        let message = self.bytes.get(..length)?;
        buffer.get_mut(..length)?.copy_from_slice(message);
        self.bytes.drain(..length);
        Some(length)
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                // A vanished peer shows as lost calls.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}

fn is_nothing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::ConnectionRefused)
}

/// A socket with a buffer for what arrives while this process waits for its CPU.
fn bind(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
