//! Media peers: send numbered RTP packets and keep all received ones.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// One side's RTP socket.
#[derive(Debug)]
pub struct MediaPeer {
    socket: UdpSocket,
    ssrc: u32,
}

/// A received packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its source.
    pub source: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl MediaPeer {
    /// Binds a peer; `ssrc` identifies its packets.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn bind(local: SocketAddr, ssrc: u32) -> MediaPeer {
        let socket = UdpSocket::bind(local).unwrap_or_else(|error| panic!("{local}: {error}"));
        MediaPeer { socket, ssrc }
    }

    /// Packet `number` of this peer: 20 ms of payload type 8 with a pattern that differs per
    /// packet.
    #[must_use]
    pub fn packet(&self, number: u16) -> Vec<u8> {
        let mut bytes = vec![0x80, 8];
        bytes.extend(number.to_be_bytes());
        bytes.extend((u32::from(number) * 160).to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend((0..160u16).map(|at| (at ^ number).to_le_bytes()[0]));
        bytes
    }

    /// Sends one packet.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn send(&self, number: u16, to: SocketAddr) {
        self.socket.send_to(&self.packet(number), to).expect("loopback takes packets");
    }

    /// Receives packets until there are `wanted` or none arrives for half a second.
    ///
    /// # Panics
    /// When the socket fails.
    #[must_use]
    pub fn take(&self, wanted: usize) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let mut buffer = [0u8; 2048];
        self.socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time is set");
        while arrivals.len() < wanted {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    arrivals.push(Arrival { source, bytes: buffer[..length].to_vec() });
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    break;
                }
                Err(error) => panic!("media socket: {error}"),
            }
        }
        arrivals
    }
}

/// Both peers send at once, one packet every `interval`; returns the packets received by the
/// caller's side and by the vendor's side.
#[must_use]
pub fn talk(
    caller: (&MediaPeer, SocketAddr),
    vendor: (&MediaPeer, SocketAddr),
    packets: u16,
    interval: Duration,
) -> [Vec<Arrival>; 2] {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let at_caller = scope.spawn(|| caller.0.take(usize::from(packets)));
        let at_vendor = scope.spawn(|| vendor.0.take(usize::from(packets)));
        for number in 0..packets {
            caller.0.send(number, caller.1);
            vendor.0.send(number, vendor.1);
            let next = start + interval * u32::from(number + 1);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        [at_caller.join().expect("no panic"), at_vendor.join().expect("no panic")]
    })
}
