//! What the network says of datagrams that it could not deliver: ICMP errors, which the kernel
//! keeps in the error queue of the socket that sent them (ip(7) and ipv6(7), `IP_RECVERR`).
//!
//! The kernel also makes each of them the result of the next call on the socket, whatever that
//! call is about: see [`take`].

use nix::cmsg_space;
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

/// Errors taken from one queue in one go; after that datagrams get their turn.
const ERRORS_PER_TURN: usize = 256;

/// `SO_EE_ORIGIN_ICMP`: the error is an ICMP message.
const FROM_ICMP: u8 = 2;

/// `SO_EE_ORIGIN_ICMP6`.
const FROM_ICMP6: u8 = 3;

/// Destination unreachable, RFC 792.
const ICMP_UNREACHABLE: u8 = 3;

/// Destination unreachable, RFC 4443 section 3.1. All of its codes say that nobody is there.
const ICMP6_UNREACHABLE: u8 = 1;

/// Has the kernel keep the ICMP errors of a socket that is not connected.
///
/// # Errors
/// What the system says.
pub(crate) fn watch(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        setsockopt(socket, Ipv6RecvErr, &true)?;
    } else {
        setsockopt(socket, Ipv4RecvErr, &true)?;
    }
    Ok(())
}

/// Empties the error queue of a socket; `unreachable` hears of each destination that a
/// datagram did not reach (SIG-24). To be called whenever a call on the socket fails: once
/// the queue is empty, no earlier error is left to be the result of a later call.
///
/// False if there was nothing in the queue: what failed was the call itself.
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
        // The address of the message is where the datagram went.
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

/// Whether an error says that the network, the host or the port cannot be reached. Not: a
/// datagram too long for the path, one that went in circles, or an error of our own system.
fn nobody_there(origin: u8, kind: u8, code: u8) -> bool {
    match (origin, kind) {
        // RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1: network 0, 6, 9, 11;
        // host 1, 7, 8, 10, 12; port 3; forbidden by a filter 13. The others speak of the
        // protocol, of fragments and of source routes.
        (FROM_ICMP, ICMP_UNREACHABLE) => matches!(code, 0 | 1 | 3 | 6..=13),
        (FROM_ICMP6, ICMP6_UNREACHABLE) => true,
        _ => false,
    }
}

/// As the standard library writes it; none of another family.
pub(crate) fn address(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv6Addr, UdpSocket};

    /// An address that only this test of this process uses.
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

    /// A port of `address` that nobody holds any more.
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

    /// SIG-24: a path that wants shorter datagrams, a datagram that went in circles and an
    /// error of our own do not say that nobody is there.
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
