//! Arrival times of datagrams: the kernel timestamps them (`SO_TIMESTAMPNS`, socket(7)), so that a
//! shard knows how long a datagram has waited in the socket.

use crate::transport::icmp;
use nix::cmsg_space;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

/// Enables timestamps on a socket.
///
/// # Errors
/// The system's error; every datagram then counts as just arrived.
pub(crate) fn watch(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

/// A buffer for the ancillary data of [`receive`].
pub(crate) fn notes() -> Vec<u8> {
    cmsg_space!(TimeSpec)
}

/// A received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its length in the buffer, bytes.
    pub(crate) length: usize,
    /// Its sender.
    pub(crate) remote: SocketAddr,
    /// When it reached the machine, UTC ms; `None` without a timestamp.
    pub(crate) at_ms: Option<u64>,
}

/// Receives a datagram from a non-blocking socket.
///
/// # Errors
/// The system's error: `WouldBlock` if there is none, or an error of an earlier datagram.
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
