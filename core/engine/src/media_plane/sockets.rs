//! The sockets of a media address, bound in pairs, with DSCP.

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The sockets of one side: RTP on the even port, RTCP on the next.
#[derive(Debug)]
pub(super) struct SocketPair {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
}

impl SocketPair {
    /// Binds `port` and `port + 1` of `address`, non-blocking, with `dscp` (MEDIA-08, MEDIA-46).
    ///
    /// # Errors
    /// The system's error; `AddrInUse` if another program holds one of the ports.
    pub(super) fn bind(address: IpAddr, port: u16, dscp: u8) -> io::Result<SocketPair> {
        Ok(SocketPair {
            rtp: bind(SocketAddr::new(address, port), dscp)?,
            rtcp: bind(SocketAddr::new(address, port + 1), dscp)?,
        })
    }
}

/// A second socket on an RTP port, connected to the locked source of the side.
///
/// The kernel delivers only that source's packets to it and sends without a route lookup, which
/// saves about a sixth of a packet's cost. Packets of other sources still reach the bound socket,
/// where they are counted and may be learned.
#[derive(Debug)]
pub(super) struct LatchedSocket {
    pub(super) socket: UdpSocket,
    pub(super) peer: SocketAddr,
    /// Packets whose source is still read.
    unproven: Cell<u16>,
    _place: Place,
}

/// How many packets a new [`LatchedSocket`] may contain from before it was connected: more than
/// the system's default buffer holds.
const BEFORE_CONNECT: u16 = 1_024;

/// Budget of connected sockets: they only increase speed and must not take descriptors that a call
/// needs to have audio at all.
#[derive(Debug)]
pub(super) struct ConnectedBudget {
    left: AtomicUsize,
}

/// One descriptor of the budget, returned on drop.
#[derive(Debug)]
struct Place(Arc<ConnectedBudget>);

impl ConnectedBudget {
    pub(super) fn new(files: usize) -> Arc<ConnectedBudget> {
        Arc::new(ConnectedBudget { left: AtomicUsize::new(files) })
    }

    fn take(self: &Arc<Self>) -> io::Result<Place> {
        let taken = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        match taken {
            Ok(_) => Ok(Place(Arc::clone(self))),
            Err(_) => Err(io::Error::other("no open file to spare")),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Relaxed);
    }
}

impl LatchedSocket {
    /// Binds the port of `first` again and connects to `peer`. The port is shareable only during
    /// this call, so that no other program can take it.
    ///
    /// # Errors
    /// The system's error, or the budget is exhausted; `first` is unaffected.
    pub(super) fn connect(
        first: &UdpSocket,
        peer: SocketAddr,
        dscp: u8,
        budget: &Arc<ConnectedBudget>,
    ) -> io::Result<LatchedSocket> {
        let place = budget.take()?;
        let shared = SockRef::from(first);
        shared.set_reuse_address(true)?;
        let bound = bind_beside(first.local_addr()?, dscp);
        shared.set_reuse_address(false)?;
        LatchedSocket::of(bound?, peer, place)
    }

    fn of(bound: Socket, peer: SocketAddr, place: Place) -> io::Result<LatchedSocket> {
        bound.connect(&peer.into())?;
        let unproven = Cell::new(BEFORE_CONNECT);
        Ok(LatchedSocket { socket: bound.into(), peer, unproven, _place: place })
    }

    /// Receives a packet and returns its length and source. Between bind and connect, the socket
    /// takes packets of any source, which stay in its queue: the source of the first packets is
    /// read until the queue is empty once. After that it is the peer.
    ///
    /// This and [`LatchedSocket::send`] make system calls without the C library, whose wrappers
    /// (thread cancellation points) are a twentieth of a packet's cost.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let unproven = self.unproven.get();
        if unproven > 0 {
            let received = self.socket.recv_from(buffer);
            let empty = received.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
            self.unproven.set(if empty { 0 } else { unproven - 1 });
            return received;
        }
        let (len, _) = recv(&self.socket, buffer, RecvFlags::empty())?;
        Ok((len, self.peer))
    }

    /// Sends to the peer. An error pending from an earlier packet, which is lost anyway, does not
    /// affect this one.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<usize> {
        let sent = match send(&self.socket, packet, SendFlags::empty()) {
            Err(Errno::CONNREFUSED) => send(&self.socket, packet, SendFlags::empty()),
            sent => sent,
        };
        Ok(sent?)
    }
}

fn bind_beside(local: SocketAddr, dscp: u8) -> io::Result<Socket> {
    let socket = marked(local, dscp)?;
    socket.set_reuse_address(true)?;
    socket.bind(&local.into())?;
    socket.set_reuse_address(false)?;
    Ok(socket)
}

fn bind(address: SocketAddr, dscp: u8) -> io::Result<UdpSocket> {
    let socket = marked(address, dscp)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A non-blocking socket for the IP version of `address`, with `dscp`.
fn marked(address: SocketAddr, dscp: u8) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The DSCP is the upper six bits of the TOS or traffic class byte.
    let class = u32::from(dscp) << 2;
    if address.is_ipv6() {
        // Otherwise IPv4 sources would appear as mapped addresses and match no SDP.
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(class)?;
    } else {
        socket.set_tos_v4(class)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address used by only this test of this process.
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
    }

    /// MEDIA-46: the traffic class of IPv6 (RFC 8200 section 7).
    #[test]
    fn both_sockets_carry_the_mark_over_ipv6() {
        let localhost = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]);
        if std::net::UdpSocket::bind((localhost, 0)).is_err() {
            return crate::skip::skipped("no IPv6 on this machine");
        }
        let pair = SocketPair::bind(localhost, 21_000, 46).expect("bind");
        for socket in [&pair.rtp, &pair.rtcp] {
            assert_eq!(SockRef::from(socket).tclass_v6().expect("class"), 0xb8);
        }
    }

    #[test]
    fn a_pair_with_one_busy_port_is_not_bound() {
        let held = std::net::UdpSocket::bind((address(2), 21_011)).expect("bind");
        let error = SocketPair::bind(address(2), 21_010, 0).expect_err("busy");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(held);
    }

    /// Only the two sockets of a side share the port.
    #[test]
    fn a_latched_socket_hears_its_peer_only_and_the_port_stays_ours() {
        let local = SocketAddr::new(address(3), 21_020);
        let first = bind(local, 46).expect("bind");
        let party = |port| std::net::UdpSocket::bind((address(3), port)).expect("bind");
        let (peer, other) = (party(21_030), party(21_040));
        let peer_address = peer.local_addr().expect("address");
        let latched = LatchedSocket::connect(&first, peer_address, 46, &ConnectedBudget::new(1))
            .expect("connected");
        assert_eq!(SockRef::from(&latched.socket).tos_v4().expect("tos"), 0xb8);
        other.send_to(b"other", local).expect("sent");
        peer.send_to(b"peer", local).expect("sent");
        let mut buffer = [0; 16];
        assert_eq!(first.recv_from(&mut buffer).expect("heard").0, 5);
        assert_eq!(latched.socket.recv_from(&mut buffer).expect("heard").0, 4);
        let thief = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("socket");
        thief.set_reuse_address(true).expect("set");
        assert!(thief.bind(&local.into()).is_err());
    }

    /// MEDIA-11: a packet of a stranger that arrives between bind and connect is not the peer's.
    #[test]
    fn a_packet_from_before_the_connect_keeps_its_source() {
        let local = SocketAddr::new(address(6), 21_020);
        let first = bind(local, 0).expect("bind");
        let party = |port| std::net::UdpSocket::bind((address(6), port)).expect("bind");
        let (peer, stranger) = (party(21_030), party(21_040));
        let [peer_address, stranger_address] =
            [&peer, &stranger].map(|party| party.local_addr().expect("address"));
        SockRef::from(&first).set_reuse_address(true).expect("set");
        let bound = bind_beside(local, 0).expect("bind");
        stranger.send_to(b"stranger", local).expect("sent");
        let place = ConnectedBudget::new(1).take().expect("a place");
        let latched = LatchedSocket::of(bound, peer_address, place).expect("connected");
        peer.send_to(b"peer", local).expect("sent");
        let mut buffer = [0; 16];
        assert_eq!(latched.receive(&mut buffer).expect("heard"), (8, stranger_address));
        assert_eq!(latched.receive(&mut buffer).expect("heard"), (4, peer_address));
        assert!(latched.receive(&mut buffer).is_err(), "empty");
        peer.send_to(b"peer", local).expect("sent");
        assert_eq!(latched.receive(&mut buffer).expect("heard"), (4, peer_address));
    }

    #[test]
    fn a_refused_packet_does_not_cost_the_next() {
        let first = bind(SocketAddr::new(address(4), 21_020), 0).expect("bind");
        let gone = SocketAddr::new(address(4), 21_030);
        let budget = ConnectedBudget::new(1);
        let latched = LatchedSocket::connect(&first, gone, 0, &budget).expect("connected");
        for _ in 0..4 {
            latched.send(b"into the void").expect("taken");
        }
    }

    /// MEDIA-09: sockets for speed take no descriptors from sockets that calls need.
    #[test]
    fn connected_sockets_keep_to_their_budget() {
        let budget = ConnectedBudget::new(1);
        let [one, two] =
            [21_020, 21_022].map(|port| bind(SocketAddr::new(address(5), port), 0).expect("bind"));
        let peer = SocketAddr::new(address(5), 21_030);
        let latched = LatchedSocket::connect(&one, peer, 0, &budget).expect("connected");
        assert!(LatchedSocket::connect(&two, peer, 0, &budget).is_err());
        drop(latched);
        LatchedSocket::connect(&two, peer, 0, &budget).expect("a file is free again");
    }
}
