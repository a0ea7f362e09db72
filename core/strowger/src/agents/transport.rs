//! Transport of an agent's messages: a UDP socket, or TCP connections from peers.

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use sip::{Flow, Frame, Framer, Link};
use std::io::{self, Read, Write};
use std::net::SocketAddr;

/// The sockets of one agent.
pub(super) enum Transport {
    Datagrams(UdpSocket),
    Streams { listener: TcpListener, connections: Vec<Connection> },
}

pub(super) struct Connection {
    flow: Flow,
    socket: TcpStream,
    framer: Framer,
}

impl Transport {
    /// A UDP socket and its address.
    pub(super) fn bind(
        address: SocketAddr,
        registry: &Registry,
    ) -> io::Result<(Transport, SocketAddr)> {
        let mut socket = UdpSocket::bind(address)?;
        registry.register(&mut socket, Token(0), Interest::READABLE)?;
        let local = socket.local_addr()?;
        Ok((Transport::Datagrams(socket), local))
    }

    /// A TCP listener and its address.
    pub(super) fn listen(
        address: SocketAddr,
        registry: &Registry,
    ) -> io::Result<(Transport, SocketAddr)> {
        let mut listener = TcpListener::bind(address)?;
        registry.register(&mut listener, Token(0), Interest::READABLE)?;
        let local = listener.local_addr()?;
        Ok((Transport::Streams { listener, connections: Vec::new() }, local))
    }

    pub(super) fn link(&self) -> Link {
        match self {
            Transport::Datagrams(_) => Link::Datagram,
            Transport::Streams { .. } => Link::Stream,
        }
    }

    /// All messages received, with their flows.
    pub(super) fn receive(&mut self, registry: &Registry) -> Vec<(Flow, Vec<u8>)> {
        match self {
            Transport::Datagrams(socket) => datagrams(socket),
            Transport::Streams { listener, connections } => {
                while let Ok((socket, remote)) = listener.accept() {
                    let flow = Flow { listener: 0, remote, link: Link::Stream };
                    let mut connection = Connection { flow, socket, framer: Framer::default() };
                    let token = Token(connections.len() + 1);
                    let socket = &mut connection.socket;
                    if registry.register(socket, token, Interest::READABLE).is_ok() {
                        connections.push(connection);
                    }
                }
                connections.iter_mut().flat_map(Connection::receive).collect()
            }
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The socket fails, or there is no connection to the peer.
    pub(super) fn send(&mut self, flow: Flow, message: &[u8]) -> io::Result<()> {
        match self {
            Transport::Datagrams(socket) => socket.send_to(message, flow.remote).map(drop),
            Transport::Streams { connections, .. } => {
                let connection = connections.iter_mut().find(|known| known.flow == flow);
                let connection = connection.ok_or(io::ErrorKind::NotConnected)?;
                connection.socket.write_all(message)
            }
        }
    }
}

fn datagrams(socket: &UdpSocket) -> Vec<(Flow, Vec<u8>)> {
    let mut heard = Vec::new();
    let mut buffer = [0; 65_536];
    // A read also returns errors of earlier sends; the next read continues.
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, remote)) => {
                heard.push((Flow::datagram(0, remote), buffer[..length].to_vec()));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return heard,
            Err(_) => {}
        }
    }
}

impl Connection {
    fn receive(&mut self) -> Vec<(Flow, Vec<u8>)> {
        let mut buffer = [0; 16_384];
        while let Ok(length @ 1..) = self.socket.read(&mut buffer) {
            self.framer.push(&buffer[..length]);
        }
        let mut heard = Vec::new();
        while let Ok(Some(frame)) = self.framer.frame() {
            if let Frame::Message(message) = frame {
                heard.push((self.flow, message.into_vec()));
            }
        }
        heard
    }
}
