//! WAV files of narrow-band speech: linear samples of 16 bits, or G.711.

use crate::{Law, NARROW_BAND, Sound};
use thiserror::Error;

/// Format tags of the `fmt ` chunk.
const PCM: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The actual tag is in the first two bytes of the sub-format.
const EXTENSIBLE: u16 = 0xfffe;

/// Why a file cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WavError {
    /// Not a WAV file at all.
    #[error("is no WAV file: it does not begin with `RIFF`, a length and `WAVE`")]
    NotWav,
    /// The file ends inside a chunk.
    #[error("is cut short: its `{chunk}` chunk needs {needed} bytes, {left} are left")]
    CutShort {
        /// Name of the chunk.
        chunk: String,
        /// Bytes that it claims.
        needed: usize,
        /// Bytes to the end of the file.
        left: usize,
    },
    /// A chunk that every WAV file has is missing.
    #[error("has no `{0}` chunk")]
    Missing(&'static str),
    /// More than one channel.
    #[error("has {0} channels, expected 1 (mono)")]
    Channels(u16),
    /// Another rate.
    #[error("has {0} samples per second, expected 8000")]
    Rate(u32),
    /// Another encoding or width.
    #[error(
        "has format {format} with {bits} bits a sample; playable are PCM (1) with 16 bits, A-law (6) and mu-law (7) with 8"
    )]
    Format {
        /// Format tag.
        format: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// The file has no samples.
    #[error("has no samples")]
    Empty,
}

/// The encoding of the samples.
enum Encoding {
    Linear,
    G711(Law),
}

impl Sound {
    /// Reads a WAV file: 8 kHz, mono, linear samples of 16 bits or G.711.
    ///
    /// # Errors
    /// [`WavError`] with the file's value and the expected one.
    pub fn of_wav(file: &[u8]) -> Result<Sound, WavError> {
        let (Some(b"RIFF"), Some(b"WAVE")) = (file.get(..4), file.get(8..12)) else {
            return Err(WavError::NotWav);
        };
        let (mut encoding, mut rest) = (None, &file[12..]);
        while let Some((head, body)) = rest.split_first_chunk::<8>() {
            let [name @ .., a, b, c, d] = *head;
            let needed = u32::from_le_bytes([a, b, c, d]) as usize;
            let Some((content, after)) = body.split_at_checked(needed) else {
                let chunk = String::from_utf8_lossy(&name).into_owned();
                return Err(WavError::CutShort { chunk, needed, left: body.len() });
            };
            match &name {
                b"fmt " => encoding = Some(encoding_of(content)?),
                b"data" => {
                    let samples = match encoding.ok_or(WavError::Missing("fmt "))? {
                        Encoding::Linear => content
                            .chunks_exact(2)
                            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                            .collect(),
                        Encoding::G711(law) => {
                            content.iter().map(|code| law.decode(*code)).collect()
                        }
                    };
                    let sound = Sound::new(samples);
                    return if sound.is_empty() { Err(WavError::Empty) } else { Ok(sound) };
                }
                _ => {}
            }
            // Chunks begin at even offsets.
            rest = after.get(needed % 2..).unwrap_or_default();
        }
        Err(WavError::Missing(if encoding.is_none() { "fmt " } else { "data" }))
    }
}

fn encoding_of(format: &[u8]) -> Result<Encoding, WavError> {
    let word = |at: usize| {
        let pair = format.get(at..at + 2).ok_or(WavError::Missing("fmt "))?;
        Ok(u16::from_le_bytes([pair[0], pair[1]]))
    };
    let tag = match word(0)? {
        EXTENSIBLE => word(24)?,
        tag => tag,
    };
    let rate = u32::from(word(4)?) | u32::from(word(6)?) << 16;
    let (channels, bits) = (word(2)?, word(14)?);
    match (tag, bits) {
        _ if channels != 1 => Err(WavError::Channels(channels)),
        _ if rate != NARROW_BAND => Err(WavError::Rate(rate)),
        (PCM, 16) => Ok(Encoding::Linear),
        (A_LAW, 8) => Ok(Encoding::G711(Law::A)),
        (MU_LAW, 8) => Ok(Encoding::G711(Law::Mu)),
        (format, bits) => Err(WavError::Format { format, bits }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A WAV file; `tail` of the `fmt ` chunk is empty for plain formats.
    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, tail: &[u8], data: &[u8]) -> Vec<u8> {
        let mut format = Vec::new();
        format.extend(tag.to_le_bytes());
        format.extend(channels.to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend([0; 6]);
        format.extend(bits.to_le_bytes());
        format.extend(tail);
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        // An unknown chunk of odd length, with its padding.
        for (name, content) in [(b"LIST", &b"odd"[..]), (b"fmt ", &format), (b"data", data)] {
            file.extend(name);
            file.extend(u32::try_from(content.len()).expect("small").to_le_bytes());
            file.extend(content);
            file.extend(&[0][..content.len() % 2]);
        }
        file
    }

    /// MEDIA-13: the three encodings that are played.
    #[test]
    fn linear_and_g711_files_are_read() {
        let linear = wav(PCM, 1, 8_000, 16, &[], &[1, 0, 0xff, 0xff, 0, 0x80]);
        assert_eq!(Sound::of_wav(&linear).expect("playable").samples(), [1, -1, i16::MIN]);
        for (tag, law) in [(A_LAW, Law::A), (MU_LAW, Law::Mu)] {
            let file = wav(tag, 1, 8_000, 8, &[], &[0x34, 0x1e]);
            let expected = [law.decode(0x34), law.decode(0x1e)];
            assert_eq!(Sound::of_wav(&file).expect("playable").samples(), expected);
        }
        let mut tail = vec![22, 0, 16, 0, 4, 0, 0, 0];
        tail.extend(PCM.to_le_bytes());
        let extensible = wav(EXTENSIBLE, 1, 8_000, 16, &tail, &[2, 0]);
        assert_eq!(Sound::of_wav(&extensible).expect("playable").samples(), [2]);
    }

    #[test]
    fn other_files_are_refused_with_what_they_have() {
        let refused = |file: &[u8]| Sound::of_wav(file).expect_err("refused").to_string();
        let says = [
            (refused(b"ID3"), "is no WAV file"),
            (refused(&wav(PCM, 2, 8_000, 16, &[], &[0; 4])), "has 2 channels"),
            (refused(&wav(PCM, 1, 44_100, 16, &[], &[0; 4])), "has 44100 samples per second"),
            (refused(&wav(PCM, 1, 8_000, 8, &[], &[0; 4])), "format 1 with 8 bits"),
            (refused(&wav(3, 1, 8_000, 32, &[], &[0; 4])), "format 3 with 32 bits"),
            (refused(&wav(PCM, 1, 8_000, 16, &[], &[])), "has no samples"),
            (refused(b"RIFF\0\0\0\0WAVE"), "has no `fmt ` chunk"),
            (refused(b"RIFF\0\0\0\0WAVEdata\0\0\0\0"), "has no `fmt ` chunk"),
            (refused(b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0\x01\0\x01\0"), "has no `fmt ` chunk"),
            (refused(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0ab"), "needs 16 bytes, 2 are left"),
        ];
        for (said, expected) in says {
            assert!(said.contains(expected), "{said}");
        }
        let whole = wav(PCM, 1, 8_000, 16, &[], &[0; 40]);
        for end in 0..whole.len() {
            assert!(Sound::of_wav(&whole[..end]).is_err(), "cut at {end}");
        }
    }
}
