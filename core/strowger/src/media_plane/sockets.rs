//! The sockets of a media address: bound in pairs, marked for the network.

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The sockets of one side: RTP on the even port, RTCP on the next.
#[derive(Debug)]
pub(super) struct SocketPair {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
}

impl SocketPair {
    /// Binds `port` and `port + 1` of `address`, non-blocking, marked with `dscp`
    /// (MEDIA-08, MEDIA-46).
    ///
    /// # Errors
    /// What the system says; `AddrInUse` if another program holds one of the two.
    pub(super) fn bind(address: IpAddr, port: u16, dscp: u8) -> io::Result<SocketPair> {
        Ok(SocketPair {
            rtp: bind(SocketAddr::new(address, port), dscp)?,
            rtcp: bind(SocketAddr::new(address, port + 1), dscp)?,
        })
    }
}

fn bind(address: SocketAddr, dscp: u8) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The DSCP is the upper six bits of the byte that the system calls TOS or traffic class.
    let class = u32::from(dscp) << 2;
    if address.is_ipv6() {
        // Else IPv4 sources would show as mapped addresses and match no SDP.
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(class)?;
    } else {
        socket.set_tos_v4(class)?;
    }
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    /// An address that only this test of this process uses.
    fn address(test: u8) -> IpAddr {
        let [.., high, low] = std::process::id().to_be_bytes();
        IpAddr::from([127, test, high, low])
    }

    /// MEDIA-46, SIG-94: EF is DSCP 46, which is 0xb8 on the wire.
    #[test]
    fn both_sockets_carry_the_mark() {
        let pair = SocketPair::bind(address(1), 21_000, 46).expect("bind");
        for (socket, port) in [(&pair.rtp, 21_000), (&pair.rtcp, 21_001)] {
            assert_eq!(SockRef::from(socket).tos_v4().expect("tos"), 0xb8);
            assert_eq!(socket.local_addr().expect("address").port(), port);
        }
        let localhost = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]);
        if let Ok(pair) = SocketPair::bind(localhost, 21_000, 46) {
            assert_eq!(SockRef::from(&pair.rtp).tclass_v6().expect("class"), 0xb8);
        }
    }

    #[test]
    fn a_pair_with_one_busy_port_is_not_bound() {
        let held = std::net::UdpSocket::bind((address(2), 21_011)).expect("bind");
        let error = SocketPair::bind(address(2), 21_010, 0).expect_err("busy");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(held);
    }
}
