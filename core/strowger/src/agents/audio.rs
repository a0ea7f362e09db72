//! Audio of one leg: sends a G.711 tone, counts received packets.

use codec::Law;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Packets are 20 ms long: 160 samples of 8 kHz.
const PACKET: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
const HEADER: usize = 12;

/// Static payload type (RFC 3551).
fn payload_type(law: Law) -> u8 {
    match law {
        Law::A => 8,
        Law::Mu => 0,
    }
}

/// Packets that one leg sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AudioCounts {
    /// RTP packets sent.
    pub(crate) sent: u64,
    /// RTP packets received.
    pub(crate) received: u64,
    /// Missing sequence numbers.
    pub(crate) lost: u64,
}

/// A leg's RTP socket and its clock.
#[derive(Debug)]
pub(super) struct Audio {
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    next_at: Instant,
    sequence: u16,
    timestamp: u32,
    source: u32,
    law: Law,
    tone: [u8; SAMPLES],
    last_heard: Option<u16>,
    counts: AudioCounts,
}

impl Audio {
    /// Binds a port; silent until [`Audio::talk_to`].
    pub(super) fn new(address: IpAddr, source: u32, law: Law, now: Instant) -> io::Result<Audio> {
        let socket = UdpSocket::bind(SocketAddr::new(address, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Audio {
            socket,
            remote: None,
            next_at: now,
            sequence: 0,
            timestamp: 0,
            source,
            law,
            tone: tone(law),
            last_heard: None,
            counts: AudioCounts::default(),
        })
    }

    /// The SDP of this socket, for an offer or an answer.
    pub(super) fn description(&self) -> io::Result<Vec<u8>> {
        let local = self.socket.local_addr()?;
        let family = if local.is_ipv6() { "IP6" } else { "IP4" };
        let (address, port, id) = (local.ip(), local.port(), self.source);
        let (number, name) = (payload_type(self.law), self.law.name());
        Ok(format!(
            "v=0\r\no=- {id} 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {number}\r\na=rtpmap:{number} {name}/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        )
        .into_bytes())
    }

    /// Starts sending to the first audio stream of the peer's SDP.
    pub(super) fn talk_to(&mut self, description: &[u8], now: Instant) {
        let parsed = sip::SessionDescription::parse(description).ok();
        let remote = parsed.as_ref().and_then(|sdp| sdp.first_audio()?.1.rtp_address());
        if remote.is_some() && self.remote != remote {
            self.remote = remote;
            self.next_at = now;
        }
    }

    /// Sends packets that are due and counts received ones.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(remote) = self.remote.filter(|_| self.next_at <= now) {
            self.next_at += PACKET;
            let packet = self.packet();
            if self.socket.send_to(&packet, remote).is_ok() {
                self.counts.sent += 1;
            }
        }
        self.take_in();
    }

    /// The counts so far, including packets still in the socket.
    pub(super) fn counts(&mut self) -> AudioCounts {
        self.take_in();
        self.counts
    }

    /// When [`Audio::tick`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.remote.map(|_| self.next_at)
    }

    fn packet(&mut self) -> [u8; HEADER + SAMPLES] {
        let mut packet = [0; HEADER + SAMPLES];
        packet[0] = 0x80;
        // The marker bit says where talk begins (RFC 3551 section 4.1).
        let number = payload_type(self.law);
        packet[1] = if self.sequence == 0 { 0x80 | number } else { number };
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.source.to_be_bytes());
        packet[HEADER..].copy_from_slice(&self.tone);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
        packet
    }

    fn take_in(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            let is_rtp = length >= HEADER && buffer[0] >> 6 == 2;
            if !is_rtp {
                continue;
            }
            self.counts.received += 1;
            let sequence = u16::from_be_bytes([buffer[2], buffer[3]]);
            if let Some(last) = self.last_heard {
                let step = sequence.wrapping_sub(last);
                if (1..1000).contains(&step) {
                    self.counts.lost += u64::from(step) - 1;
                }
            }
            self.last_heard = Some(sequence);
        }
    }
}

/// 20 ms of 400 Hz: eight whole periods, so that packets join without a click.
fn tone(law: Law) -> [u8; SAMPLES] {
    std::array::from_fn(|index| {
        let angle = std::f64::consts::TAU * 400.0 * index as f64 / 8000.0;
        law.encode((angle.sin() * 8000.0) as i16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_legs_hear_each_other() {
        let start = Instant::now();
        let here = IpAddr::from([127, 0, 0, 1]);
        let (mut a, mut b) = (
            Audio::new(here, 1, Law::A, start).unwrap(),
            Audio::new(here, 2, Law::A, start).unwrap(),
        );
        a.talk_to(&b.description().unwrap(), start);
        b.talk_to(&a.description().unwrap(), start);
        for step in 0..10 {
            let now = start + PACKET * step;
            a.tick(now);
            b.tick(now);
        }
        assert_eq!(a.counts(), AudioCounts { sent: 10, received: 10, lost: 0 });
        assert_eq!(b.counts(), AudioCounts { sent: 10, received: 10, lost: 0 });
    }
}
