//! What the tests of the media plane share: a plane on loopback, parties, packets.

use super::super::*;
use std::net::{IpAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A media plane on one address with these ports.
pub(super) struct House {
    pub(super) plane: MediaPlane,
    pub(super) address: IpAddr,
}

/// A phone or gateway with RTP on an even port and RTCP on the next.
pub(super) struct Party {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
}

/// 127.x.p.p, x naming the test and its engine and p.p the process: tests of one machine
/// never meet.
pub(super) fn loopback(engine: MediaEngine, test: u8) -> IpAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    IpAddr::from([127, test + if engine == MediaEngine::IoUring { 100 } else { 0 }, high, low])
}

/// False, with the reason said, where the kernel gives no io_uring.
pub(super) fn has_io_uring() -> bool {
    uring::available().inspect_err(|error| eprintln!("skipped, no io_uring: {error}")).is_ok()
}

pub(super) fn settings(
    engine: MediaEngine,
    address: IpAddr,
    ports: RangeInclusive<u16>,
) -> MediaSettings {
    let name = "test".to_owned();
    MediaSettings {
        addresses: vec![MediaAddress { name, bind: address, advertised: address, ports }],
        threads: 1,
        engine,
        dscp: 46,
        seed: [7; 32],
    }
}

pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting for: {what}");
        std::thread::yield_now();
    }
}

pub(super) fn rtp(sequence: u16, payload: usize) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let mut packet = vec![0x80, 8, high, low, 0, 0, high, low, 1, 2, 3, 4];
    packet.extend((0..payload).map(|byte| (byte as u8) ^ low));
    packet
}

impl House {
    pub(super) fn on(engine: MediaEngine, test: u8, ports: RangeInclusive<u16>) -> House {
        let address = loopback(engine, test);
        House {
            plane: MediaPlane::start(settings(engine, address, ports)).expect("plane"),
            address,
        }
    }

    pub(super) fn party(&self) -> Party {
        Party::at(self.address)
    }

    pub(super) fn in_use_and_resting(&self) -> (usize, usize) {
        let stats = self.plane.stats();
        (stats.ports_in_use, stats.ports_resting)
    }
}

impl Party {
    pub(super) fn at(address: IpAddr) -> Party {
        let bind = |port| {
            let socket = UdpSocket::bind((address, port))?;
            socket.set_read_timeout(Some(PATIENCE)).map(|()| socket)
        };
        loop {
            let rtp = bind(0).expect("a free port");
            let port = rtp.local_addr().expect("address").port();
            if let Some(next) = port.checked_add(1)
                && let Ok(rtcp) = bind(next)
            {
                return Party { rtp, rtcp };
            }
        }
    }

    pub(super) fn sdp(&self) -> switch::RemoteMedia {
        switch::RemoteMedia {
            rtp: self.rtp.local_addr().expect("address"),
            rtcp: self.rtcp.local_addr().expect("address"),
            payload_types: vec![8, 101],
            strict: false,
        }
    }

    pub(super) fn says(&self, to: SocketAddr, packet: &[u8]) {
        assert_eq!(self.rtp.send_to(packet, to).expect("sent"), packet.len());
    }

    pub(super) fn hears(&self) -> Vec<u8> {
        hears(&self.rtp).0
    }
}

pub(super) fn hears(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 4_096];
    let (len, source) = socket.recv_from(&mut buffer).expect("a packet in time");
    (buffer[..len].to_vec(), source)
}

/// A call between two parties: its control, its addresses in both SDPs, the parties.
pub(super) fn call(house: &House) -> (PlaneControl, [SocketAddr; 2], [Party; 2]) {
    let mut control = house.plane.control();
    let ports = control.open(CallKey(1), 0, 0).expect("ports");
    let parties = [house.party(), house.party()];
    control.update(CallKey(1), MediaSide::Caller, parties[0].sdp());
    control.update(CallKey(1), MediaSide::Vendor, parties[1].sdp());
    (control, ports, parties)
}

/// Runs each test on each engine.
macro_rules! on_each_engine {
    ($($test:ident,)*) => {
        mod epoll {
            $(#[test]
            fn $test() {
                super::$test(super::MediaEngine::Epoll);
            })*
        }
        mod io_uring {
            $(#[test]
            fn $test() {
                if super::house::has_io_uring() {
                    super::$test(super::MediaEngine::IoUring);
                }
            })*
        }
    };
}
pub(super) use on_each_engine;
