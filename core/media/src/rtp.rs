//! The RTP header (RFC 3550 section 5.1), read without copying.

use thiserror::Error;

/// Bytes of the fixed part of the header.
pub const FIXED_HEADER: usize = 12;

/// The header of an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// Start of a talk spurt, or the profile's meaning of the bit.
    pub marker: bool,
    /// Payload type, 0-127.
    pub payload_type: u8,
    /// Sequence number; wraps.
    pub sequence: u16,
    /// Sampling instant in units of the codec's clock; wraps.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Contributing sources, 0-15.
    pub csrc_count: u8,
    /// Bytes of the header extension including its own four-byte head; 0 if none.
    pub extension_len: usize,
    /// Bytes of padding at the end of the packet; 0 if none.
    pub padding_len: usize,
    /// Offset of the payload.
    pub payload_offset: usize,
    /// Bytes of payload without padding.
    pub payload_len: usize,
}

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RtpError {
    /// The datagram ends inside the named part.
    #[error("RTP packet of {len} bytes ends inside its {part}, which needs {needed}")]
    Truncated {
        /// Part of the packet.
        part: &'static str,
        /// Length that this part would need.
        needed: usize,
        /// Length of the datagram.
        len: usize,
    },
    /// Version other than 2.
    #[error("RTP version {0}, expected 2")]
    Version(u8),
    /// The last byte claims more padding than there is payload, or none at all.
    #[error("RTP padding of {padding} bytes in {available} bytes of payload")]
    Padding {
        /// Padding claimed by the last byte.
        padding: usize,
        /// Bytes after the headers.
        available: usize,
    },
}

impl RtpHeader {
    /// Writes the fixed part of a header without CSRCs or extension.
    pub(crate) fn write(&self, head: &mut [u8; FIXED_HEADER]) {
        head[0] = 0x80;
        head[1] = u8::from(self.marker) << 7 | self.payload_type;
        head[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        head[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        head[8..].copy_from_slice(&self.ssrc.to_be_bytes());
    }

    /// Reads the header of `packet` and checks every length against the packet's.
    ///
    /// # Errors
    /// [`RtpError`] if the packet is too short, of another version, or wrongly padded.
    pub fn parse(packet: &[u8]) -> Result<RtpHeader, RtpError> {
        let len = packet.len();
        let truncated = |part, needed| RtpError::Truncated { part, needed, len };
        let fixed: &[u8; FIXED_HEADER] =
            packet.first_chunk().ok_or(truncated("fixed header", FIXED_HEADER))?;
        let version = fixed[0] >> 6;
        if version != 2 {
            return Err(RtpError::Version(version));
        }
        let csrc_count = fixed[0] & 0x0f;
        let mut offset = FIXED_HEADER + usize::from(csrc_count) * 4;
        if len < offset {
            return Err(truncated("CSRC list", offset));
        }
        let mut extension_len = 0;
        if fixed[0] & 0x10 != 0 {
            let head: &[u8; 4] =
                packet[offset..].first_chunk().ok_or(truncated("extension head", offset + 4))?;
            extension_len = 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            offset += extension_len;
            if len < offset {
                return Err(truncated("extension", offset));
            }
        }
        let available = len - offset;
        let mut padding_len = 0;
        if fixed[0] & 0x20 != 0 {
            padding_len = usize::from(packet[len - 1]);
            if padding_len == 0 || padding_len > available {
                return Err(RtpError::Padding { padding: padding_len, available });
            }
        }
        Ok(RtpHeader {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            csrc_count,
            extension_len,
            padding_len,
            payload_offset: offset,
            payload_len: available - padding_len,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] =
        [0x80, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 0x55, 0xaa];

    /// RFC 3550 section 5.1.
    #[test]
    fn every_field_of_a_plain_packet_is_read() {
        assert_eq!(
            RtpHeader::parse(&PLAIN),
            Ok(RtpHeader {
                marker: true,
                payload_type: 8,
                sequence: 0x1234,
                timestamp: 160,
                ssrc: 0xdead_beef,
                csrc_count: 0,
                extension_len: 0,
                padding_len: 0,
                payload_offset: 12,
                payload_len: 2,
            })
        );
        let mut head = [0; FIXED_HEADER];
        RtpHeader::parse(&PLAIN).expect("valid").write(&mut head);
        assert_eq!(head, PLAIN[..12]);
    }

    /// RFC 3550 sections 5.1 and 5.3.1.
    #[test]
    fn sources_extension_and_padding_are_stepped_over() {
        let mut packet = PLAIN[..12].to_vec();
        packet[0] = 0x80 | 0x20 | 0x10 | 2;
        packet.extend_from_slice(&[1; 8]);
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        packet.extend_from_slice(&[7, 7, 7, 0, 0, 3]);
        let header = RtpHeader::parse(&packet).expect("valid");
        assert_eq!((header.csrc_count, header.extension_len, header.padding_len), (2, 8, 3));
        assert_eq!((header.payload_offset, header.payload_len), (28, 3));
    }

    #[test]
    fn a_packet_cut_anywhere_in_its_headers_is_refused() {
        let mut packet = PLAIN[..12].to_vec();
        packet[0] = 0x80 | 0x10 | 1;
        packet.extend_from_slice(&[1; 4]);
        packet.extend_from_slice(&[0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(RtpHeader::parse(&packet).is_ok());
        for len in 0..packet.len() {
            let error = RtpHeader::parse(&packet[..len]).expect_err("cut");
            assert!(matches!(error, RtpError::Truncated { .. }), "{len}: {error}");
        }
    }

    #[test]
    fn other_versions_and_impossible_padding_are_refused() {
        let mut packet = PLAIN;
        packet[0] = 0x40;
        assert_eq!(RtpHeader::parse(&packet), Err(RtpError::Version(1)));
        packet[0] = 0xa0;
        for claimed in [0, 3] {
            packet[13] = claimed;
            let padding = usize::from(claimed);
            assert_eq!(RtpHeader::parse(&packet), Err(RtpError::Padding { padding, available: 2 }));
        }
    }
}
