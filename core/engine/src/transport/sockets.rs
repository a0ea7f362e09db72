//! The sockets of the listeners: for UDP one per shard, sharing the port; for TCP one.

use super::{arrival, icmp};
use config::{ListenerConfig, Transport};
use sip::Link;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{TcpListener, UdpSocket};
use thiserror::Error;

/// Requested buffer size per direction, bytes; the kernel may grant less.
const BUFFER_BYTES: usize = 8 << 20;

/// A listener that cannot be bound.
#[derive(Debug, Error)]
#[error("listener `{name}` cannot use {address}")]
pub struct BindError {
    name: String,
    address: std::net::SocketAddr,
    source: io::Error,
}

/// Binds `shards` sockets to the listener's address. With more than one, the kernel distributes
/// peers over them; datagrams at the wrong shard are passed on.
pub(crate) fn bind(listener: &ListenerConfig, shards: u16) -> Result<Vec<UdpSocket>, BindError> {
    let failed =
        |source| BindError { name: listener.name.clone(), address: listener.address, source };
    if shards > 1 {
        // A shared port could also be shared with another process: first make sure that it is free.
        UdpSocket::bind(listener.address).map_err(failed)?;
    }
    (0..shards).map(|_| bind_one(listener, shards > 1).map_err(failed)).collect()
}

/// Maximum number of connections waiting to be accepted.
const BACKLOG: i32 = 1024;

/// Transport of a listener.
pub fn link(listener: &ListenerConfig) -> Link {
    match listener.transport {
        Transport::Udp => Link::Datagram,
        Transport::Tcp => Link::Stream,
    }
}

/// Binds a TCP listener.
pub(crate) fn listen(listener: &ListenerConfig) -> Result<TcpListener, BindError> {
    let open = || {
        let domain = Domain::for_address(listener.address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // Old connections may still be in TIME_WAIT.
        socket.set_reuse_address(true)?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(listener.address))?;
        best_effort(listener, "DSCP", mark(&socket, listener, domain));
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|source| BindError {
        name: listener.name.clone(),
        address: listener.address,
        source,
    })
}

fn mark(socket: &Socket, listener: &ListenerConfig, domain: Domain) -> io::Result<()> {
    if domain == Domain::IPV6 {
        socket.set_tclass_v6(listener.dscp.tos())
    } else {
        socket.set_tos_v4(listener.dscp.tos())
    }
}

fn bind_one(listener: &ListenerConfig, shared: bool) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(listener.address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(listener.address))?;
    best_effort(listener, "buffers", socket.set_recv_buffer_size(BUFFER_BYTES));
    best_effort(listener, "buffers", socket.set_send_buffer_size(BUFFER_BYTES));
    best_effort(listener, "DSCP", mark(&socket, listener, domain));
    best_effort(listener, "time of arrival", arrival::watch(&socket));
    best_effort(listener, "ICMP errors", icmp::watch(&socket, domain == Domain::IPV6));
    Ok(socket.into())
}

fn best_effort(listener: &ListenerConfig, what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(listener = %listener.name, %error, "{what} not as wanted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    /// SIG-94: each listener's own DSCP is on the sockets of all shards, for IPv4 and IPv6.
    #[test]
    fn signalling_sockets_carry_the_mark_of_their_listener() {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = format!("127.9.{high}.{low}:5060");
        for (address, dscp, tos) in [
            (&*address, "CS5", 0xa0),
            (&*address, "AF31", 0x68),
            (&*address, "EF", 0xb8),
            ("[::1]:0", "CS3", 0x60),
        ] {
            let listener = ListenerConfig {
                name: "main".to_owned(),
                address: address.parse().expect("an address"),
                transport: Transport::Udp,
                advertised: None,
                domain: None,
                close_with_reset: false,
                dscp: dscp.parse().expect("a DSCP"),
                digest_algorithms: Vec::new(),
                digest_from_anywhere: true,
            };
            let ipv6 = listener.address.is_ipv6();
            let sockets = match bind(&listener, if ipv6 { 1 } else { 2 }) {
                Ok(sockets) => sockets,
                // The machine may lack IPv6.
                Err(_) if ipv6 => continue,
                Err(error) => panic!("{error}"),
            };
            for socket in &sockets {
                let socket = SockRef::from(socket);
                let mark = if ipv6 { socket.tclass_v6() } else { socket.tos_v4() };
                assert_eq!(mark.expect("a mark"), tos, "{address} with {dscp}");
            }
        }
    }
}
