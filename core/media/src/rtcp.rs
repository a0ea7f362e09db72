//! RTCP packets (RFC 3550 section 6), read without copying, and the rule that distinguishes them
//! from RTP on one port (RFC 5761 section 4).

use thiserror::Error;

/// Bytes of the head of every RTCP packet.
const HEAD: usize = 4;

/// True if a datagram from a muxed port is RTCP: version 2, its second byte in 192-223
/// (RFC 5761 section 4), and long enough for head and sender.
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() >= HEAD + 4 && packet[0] >> 6 == 2 && (192..=223).contains(&packet[1])
}

/// The packets of a compound datagram, checked as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpPacket<'a> {
    /// 200 SR, 201 RR, 202 SDES, 203 BYE, 204 APP, 205 RTPFB, 206 PSFB, 207 XR.
    pub packet_type: u8,
    /// Number of reports or sources, or the subtype, 0-31.
    pub count: u8,
    /// True if the body ends in padding.
    pub padding: bool,
    /// The bytes after the four-byte head, padding included.
    pub body: &'a [u8],
}

/// Why a datagram is not a valid RTCP compound; `offset` is the start of the bad packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RtcpError {
    /// The datagram is empty.
    #[error("empty RTCP datagram")]
    Empty,
    /// The packet is longer than the rest of the datagram.
    #[error("RTCP packet at byte {offset} needs {needed} bytes, {left} are left")]
    Truncated {
        /// Start of the packet.
        offset: usize,
        /// Its length.
        needed: usize,
        /// Bytes from `offset` to the end.
        left: usize,
    },
    /// Version other than 2.
    #[error("RTCP packet at byte {offset} has version {version}, expected 2")]
    Version {
        /// Start of the packet.
        offset: usize,
        /// Version found.
        version: u8,
    },
    /// Type outside 192-223.
    #[error("RTCP packet at byte {offset} has type {packet_type}, expected 192 to 223")]
    Type {
        /// Start of the packet.
        offset: usize,
        /// Type found.
        packet_type: u8,
    },
    /// Padding may only end the last packet (RFC 3550 section 6.4.1).
    #[error("RTCP packet at byte {offset} is padded but not the last")]
    Padding {
        /// Start of the packet.
        offset: usize,
    },
}

impl<'a> Compound<'a> {
    /// Checks all packets of a datagram (RFC 3550 appendix A.2). A datagram that does not
    /// begin with a report is accepted: reduced-size RTCP (RFC 5506).
    ///
    /// # Errors
    /// [`RtcpError`] with the position of the first fault.
    pub fn parse(bytes: &'a [u8]) -> Result<Compound<'a>, RtcpError> {
        if bytes.is_empty() {
            return Err(RtcpError::Empty);
        }
        let mut offset = 0;
        while offset < bytes.len() {
            let left = bytes.len() - offset;
            let Some(&[first, packet_type, high, low]) = bytes[offset..].first_chunk::<HEAD>()
            else {
                return Err(RtcpError::Truncated { offset, needed: HEAD, left });
            };
            if first >> 6 != 2 {
                return Err(RtcpError::Version { offset, version: first >> 6 });
            }
            if !(192..=223).contains(&packet_type) {
                return Err(RtcpError::Type { offset, packet_type });
            }
            let needed = HEAD + usize::from(u16::from_be_bytes([high, low])) * 4;
            if needed > left {
                return Err(RtcpError::Truncated { offset, needed, left });
            }
            if first & 0x20 != 0 && needed < left {
                return Err(RtcpError::Padding { offset });
            }
            offset += needed;
        }
        Ok(Compound { bytes })
    }

    /// The packets in order.
    pub fn packets(&self) -> impl Iterator<Item = RtcpPacket<'a>> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (&[first, packet_type, high, low], tail) = rest.split_first_chunk::<HEAD>()?;
            let words = usize::from(u16::from_be_bytes([high, low]));
            let (body, after) = tail.split_at_checked(words * 4)?;
            rest = after;
            Some(RtcpPacket { packet_type, count: first & 0x1f, padding: first & 0x20 != 0, body })
        })
    }
}

impl RtcpPacket<'_> {
    /// SSRC of the sender: the first word of every packet except an empty BYE or SDES.
    pub fn ssrc(&self) -> Option<u32> {
        self.body.first_chunk().map(|word| u32::from_be_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receiver report of SSRC 1 without blocks, then its BYE.
    const REPORT_AND_BYE: [u8; 16] = [0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1, 0, 0, 0, 1];

    /// RFC 3550 section 6.1.
    #[test]
    fn a_compound_shows_its_packets_in_order() {
        let compound = Compound::parse(&REPORT_AND_BYE).expect("valid");
        let seen: Vec<_> = compound.packets().map(|p| (p.packet_type, p.count, p.ssrc())).collect();
        assert_eq!(seen, [(201, 0, Some(1)), (203, 1, Some(1))]);
    }

    /// RFC 3550 appendix A.2.
    #[test]
    fn faults_are_named_with_their_place() {
        assert_eq!(Compound::parse(&[]), Err(RtcpError::Empty));
        let cut = Compound::parse(&REPORT_AND_BYE[..12]);
        assert_eq!(cut, Err(RtcpError::Truncated { offset: 8, needed: 8, left: 4 }));
        let mut bad = REPORT_AND_BYE;
        bad[8] = 0x41;
        assert_eq!(Compound::parse(&bad), Err(RtcpError::Version { offset: 8, version: 1 }));
        bad = REPORT_AND_BYE;
        bad[9] = 96;
        assert_eq!(Compound::parse(&bad), Err(RtcpError::Type { offset: 8, packet_type: 96 }));
        bad = REPORT_AND_BYE;
        bad[0] |= 0x20;
        assert_eq!(Compound::parse(&bad), Err(RtcpError::Padding { offset: 0 }));
    }

    /// RFC 5761 section 4: payload types 64-95 with the marker would look like RTCP.
    #[test]
    fn rtcp_is_told_from_rtp_on_one_port() {
        assert!(is_rtcp(&REPORT_AND_BYE));
        let audio = [0x80, 0x80 | 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        let event = [0x80, 0x80 | 101, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!(!is_rtcp(&audio) && !is_rtcp(&event));
        assert!(!is_rtcp(&REPORT_AND_BYE[..7]), "shorter than head and sender");
    }
}
