//! When a datagram reached the machine: the kernel notes it (`SO_TIMESTAMPNS`, socket(7)), so
//! that a shard knows how long what it takes from its socket has waited there.

use crate::transport::icmp;
use nix::cmsg_space;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

/// Has the kernel note when each datagram comes.
///
/// # Errors
/// What the system says; then every datagram counts as come just now.
pub(crate) fn watch(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

/// Room for what [`receive`] is told beside a datagram.
pub(crate) fn notes() -> Vec<u8> {
    cmsg_space!(TimeSpec)
}

/// A datagram as it was taken from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Bytes of it that are in the buffer.
    pub(crate) length: usize,
    /// Who sent it.
    pub(crate) remote: SocketAddr,
    /// UTC milliseconds when it reached the machine; none if the kernel did not note it.
    pub(crate) at_ms: Option<u64>,
}

/// Takes a datagram from a socket that does not block.
///
/// # Errors
/// What the system says: `WouldBlock` if there is none, or what became of an earlier datagram.
pub(crate) fn receive(
    socket: &impl AsRawFd,
    buffer: &mut [u8],
    notes: &mut [u8],
) -> io::Result<Arrival> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(notes),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let remote = message.address.and_then(icmp::address);
    let remote = remote.ok_or_else(|| io::Error::other("a datagram without source"))?;
    let at_ms = message.cmsgs().ok().and_then(|mut notes| notes.find_map(millis));
    Ok(Arrival { length: message.bytes, remote, at_ms })
}

fn millis(note: ControlMessageOwned) -> Option<u64> {
    let ControlMessageOwned::ScmTimestampns(at) = note else { return None };
    let seconds = u64::try_from(at.tv_sec()).ok()?;
    Some(seconds * 1000 + u64::try_from(at.tv_nsec()).ok()? / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::net::UdpSocket;

    #[test]
    fn the_time_that_a_datagram_has_waited_shows() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            socket.set_nonblocking(true).expect("set");
            watch(&socket).expect("watched");
            let peer = UdpSocket::bind(address).expect("bind");
            let before = clock::utc_ms();
            peer.send_to(b"hello", socket.local_addr().expect("address")).expect("sent");
            let sent = clock::utc_ms();
            let (mut buffer, mut notes) = ([0; 16], notes());
            let arrival = receive(&socket, &mut buffer, &mut notes).expect("a datagram");
            assert_eq!(&buffer[..arrival.length], b"hello");
            assert_eq!(arrival.remote, peer.local_addr().expect("address"));
            let at = arrival.at_ms.expect("noted");
            assert!((before..=sent).contains(&at), "{before} {at} {sent}");
            let none = receive(&socket, &mut buffer, &mut notes).expect_err("empty");
            assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        }
    }
}
