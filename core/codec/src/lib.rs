//! Speech as samples: codecs, national tones, sound files.
//!
//! A [`Codec`] converts the payload of a packet to linear samples and back. Nothing here knows RTP,
//! SDP or calls, and nothing allocates per packet.
#![forbid(unsafe_code)]

mod g711;
mod sound;
mod tone;
mod wav;

pub use g711::{G711, Law};
pub use sound::Sound;
pub use tone::{Cadence, RINGBACK_COUNTRIES, Ringback, TEST_TONE_HZ, ringback, silence, test_tone};
pub use wav::WavError;

/// Samples per second of narrow-band speech.
pub const NARROW_BAND: u32 = 8_000;

/// An encoding of speech. Both directions keep their state here, so each stream needs its own
/// codec.
pub trait Codec: Send {
    /// Encoding name of RTP (RFC 3551), such as `PCMA`.
    fn name(&self) -> &'static str;
    /// Decodes a payload to samples; returns their number. Samples beyond the end of `samples` are
    /// dropped.
    fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize;
    /// Encodes samples to a payload; returns its length. Samples that do not fit into `payload` are
    /// dropped.
    fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize;
}

/// The codec with this encoding name, in any case; `None` if it is not supported.
pub fn codec(name: &str) -> Option<Box<dyn Codec>> {
    let law = Law::ALL.into_iter().find(|law| law.name().eq_ignore_ascii_case(name))?;
    Some(Box::new(G711::new(law)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MEDIA-21: converted codecs are found by the name that SDP gives them.
    #[test]
    fn codecs_are_found_by_name_in_any_case() {
        for (name, found) in [("PCMA", Some("PCMA")), ("pcmu", Some("PCMU")), ("G729", None)] {
            assert_eq!(codec(name).map(|codec| codec.name()), found);
        }
    }
}
