//! ICMP errors for undeliverable datagrams, which the kernel keeps in the error queue of the
//! sending socket (ip(7) and ipv6(7), `IP_RECVERR`).
//!
//! The kernel also returns each of them from the next call on the socket, whatever that call does:
//! see [`take`].

use nix::cmsg_space;
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

/// Errors taken from a queue at once, before datagrams get their turn.
const ERRORS_PER_TURN: usize = 256;

/// `SO_EE_ORIGIN_ICMP`: the error is an ICMP message.
const FROM_ICMP: u8 = 2;

/// `SO_EE_ORIGIN_ICMP6`.
const FROM_ICMP6: u8 = 3;

/// Destination unreachable, RFC 792.
const ICMP_UNREACHABLE: u8 = 3;

/// Destination unreachable, RFC 4443 section 3.1. All its codes mean that the peer is unreachable.
const ICMP6_UNREACHABLE: u8 = 1;

/// Makes the kernel keep the ICMP errors of an unconnected socket.
///
/// # Errors
/// The system's error.
pub(crate) fn watch(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        setsockopt(socket, Ipv6RecvErr, &true)?;
    } else {
        setsockopt(socket, Ipv4RecvErr, &true)?;
    }
    Ok(())
}

/// Empties the error queue of a socket; calls `unreachable` for each destination that a datagram
/// did not reach (SIG-24). Call it whenever a call on the socket fails: with an empty queue, no
/// earlier error can be returned by a later call.
///
/// `false` if the queue was empty: the call itself failed.
pub(crate) fn take(socket: &impl AsRawFd, mut unreachable: impl FnMut(SocketAddr)) -> bool {
    // The error itself (16 bytes) and who reported it (up to 28).
    let mut control = cmsg_space!([u64; 8]);
    for taken in 0..ERRORS_PER_TURN {
        let error = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut [],
            Some(&mut control),
            MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
        );
        // The queue is empty.
        let Ok(error) = error else { return taken > 0 };
        let gone = error.cmsgs().is_ok_and(|mut messages| messages.any(|m| says_unreachable(&m)));
        // The message's address is the datagram's destination.
        if let Some(destination) = error.address.filter(|_| gone).and_then(address) {
            unreachable(destination);
        }
    }
    true
}

fn says_unreachable(message: &ControlMessageOwned) -> bool {
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) =
        message
    else {
        return false;
    };
    nobody_there(error.ee_origin, error.ee_type, error.ee_code)
}

/// Whether an error means that network, host or port are unreachable. Not counted: a datagram too
/// long for the path, an exceeded hop limit, an error of our own system.
fn nobody_there(origin: u8, kind: u8, code: u8) -> bool {
    match (origin, kind) {
        // RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1: network 0, 6, 9, 11; host 1, 7, 8,
        // 10, 12; port 3; filtered 13. The others concern protocol, fragmentation and source
        // routes.
        (FROM_ICMP, ICMP_UNREACHABLE) => matches!(code, 0 | 1 | 3 | 6..=13),
        (FROM_ICMP6, ICMP6_UNREACHABLE) => true,
        _ => false,
    }
}

/// Converts an address; `None` for other families.
pub(crate) fn address(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv6Addr, UdpSocket};

    /// An address used by only this test of this process.
    fn local(test: u8) -> IpAddr {
        let [.., high, low] = std::process::id().to_be_bytes();
        IpAddr::from([127, test, high, low])
    }

    fn watched(address: IpAddr) -> UdpSocket {
        let socket = UdpSocket::bind((address, 0)).expect("bind");
        socket.set_nonblocking(true).expect("set");
        watch(&socket, address.is_ipv6()).expect("watched");
        socket
    }

    /// A closed port of `address`.
    fn closed(address: IpAddr) -> SocketAddr {
        UdpSocket::bind((address, 0)).and_then(|held| held.local_addr()).expect("bind")
    }

    fn errors(socket: &UdpSocket) -> Vec<SocketAddr> {
        let mut gone = Vec::new();
        take(socket, |destination| gone.push(destination));
        gone
    }

    /// SIG-24.
    #[test]
    fn a_closed_port_is_named_and_later_calls_are_not_spoilt() {
        a_closed_port_is_named(local(61));
    }

    /// SIG-24.
    #[test]
    fn a_closed_port_is_named_over_ipv6() {
        let localhost = IpAddr::V6(Ipv6Addr::LOCALHOST);
        if UdpSocket::bind((localhost, 0)).is_err() {
            return crate::skip::skipped("no IPv6 on this machine");
        }
        a_closed_port_is_named(localhost);
    }

    fn a_closed_port_is_named(address: IpAddr) {
        let (socket, gone) = (watched(address), closed(address));
        let heard = watched(address);
        let peer = heard.local_addr().expect("address");
        socket.send_to(b"into the void", gone).expect("sent");
        let error = socket.send_to(b"not sent", peer).expect_err("of the datagram before");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(errors(&socket), [gone]);
        socket.send_to(b"sent", peer).expect("no error is left");
        assert_eq!(heard.recv_from(&mut [0; 16]).expect("heard").0, 4);
        assert!(!take(&socket, |_| panic!("the queue is empty")));
    }

    #[test]
    fn an_error_before_a_datagram_does_not_hide_it() {
        let (socket, gone) = (watched(local(62)), closed(local(62)));
        let peer = watched(local(62));
        let own = socket.local_addr().expect("address");
        socket.send_to(b"into the void", gone).expect("sent");
        peer.send_to(b"hello", own).expect("sent");
        assert!(socket.recv_from(&mut [0; 16]).is_err());
        assert_eq!(errors(&socket), [gone]);
        assert_eq!(socket.recv_from(&mut [0; 16]).expect("heard").0, 5);
    }

    /// SIG-24: a datagram too long for the path, an exceeded hop limit and a local error do not
    /// mean that the peer is unreachable.
    #[test]
    fn only_unreachable_networks_hosts_and_ports_count() {
        for code in [0, 1, 3, 13] {
            assert!(nobody_there(FROM_ICMP, ICMP_UNREACHABLE, code), "code {code}");
        }
        assert!(nobody_there(FROM_ICMP6, ICMP6_UNREACHABLE, 4));
        let (too_long, too_long_for_ipv6, time_exceeded, own) =
            ((FROM_ICMP, 3, 4), (FROM_ICMP6, 2, 0), (FROM_ICMP, 11, 0), (1, 3, 3));
        for (origin, kind, code) in [too_long, too_long_for_ipv6, time_exceeded, own] {
            assert!(!nobody_there(origin, kind, code), "origin {origin}, type {kind}, {code}");
        }
    }
}
