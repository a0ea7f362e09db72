//! Conversion and playback of the relay: codecs by number, sounds by name.

use codec::{Codec, Sound, ringback, silence, test_tone};
use media::{CodecId, Codecs, Convert, Format, Play};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use switch::AudioFormat;

const PCMA: CodecId = CodecId(1);
const PCMU: CodecId = CodecId(2);
/// Any codec of a call without conversion.
const OTHER: CodecId = CodecId(u8::MAX);

/// Samples of the longest packet: 20 ms are 160.
const SAMPLES: usize = 2_048;

/// The sounds for playback: those of the node file by name, national tones by country code.
#[derive(Debug, Default)]
pub struct Sounds {
    files: HashMap<String, Sound>,
    /// Generated on first use.
    tones: Mutex<HashMap<&'static str, Sound>>,
}

/// G.711 conversion.
#[derive(Debug)]
pub(super) struct G711;

/// A conversion through linear samples.
struct Through {
    from: Box<dyn Codec>,
    to: Box<dyn Codec>,
    samples: Box<[i16; SAMPLES]>,
}

/// A sound being played to a leg.
pub(super) struct Playing {
    sound: Sound,
    codec: Option<(CodecId, Box<dyn Codec>)>,
}

impl Sounds {
    /// Reads the sound files, keyed by name.
    ///
    /// # Errors
    /// The first file that cannot be read or played, and why.
    pub fn load(files: &BTreeMap<String, PathBuf>) -> Result<Sounds, String> {
        let read = |(name, path): (&String, &PathBuf)| {
            let sound = read(path)
                .map_err(|error| format!("sound `{name}`: {} {error}", path.display()))?;
            Ok((name.clone(), sound))
        };
        let files = files.iter().map(read).collect::<Result<_, String>>()?;
        Ok(Sounds { files, tones: Mutex::default() })
    }

    /// Whether a sound with this name exists.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name) || ringback(name).is_some()
    }

    /// The sound with this name, if it exists. Tones always repeat.
    pub(super) fn find(&self, name: &str, repeats: bool) -> Option<Sound> {
        if let Some(file) = self.files.get(name) {
            return Some(if repeats { file.clone().repeated() } else { file.clone() });
        }
        if name == switch::SILENCE {
            return Some(silence());
        }
        let mut tones = self.tones.lock().unwrap_or_else(PoisonError::into_inner);
        if name == switch::TEST_TONE {
            return Some(tones.entry(switch::TEST_TONE).or_insert_with(test_tone).clone());
        }
        let tone = ringback(name)?;
        Some(tones.entry(tone.country).or_insert_with(|| tone.sound()).clone())
    }
}

fn read(path: &Path) -> Result<Sound, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    Sound::of_wav(&bytes).map_err(|error| error.to_string())
}

impl Playing {
    pub(super) fn new(sound: Sound) -> Playing {
        Playing { sound, codec: None }
    }
}

impl Play for Playing {
    fn next(&mut self, codec: CodecId, payload: &mut [u8]) -> usize {
        if self.codec.as_ref().is_none_or(|(known, _)| *known != codec) {
            self.codec = codec_of(codec).map(|found| (codec, found));
        }
        let Some((_, codec)) = &mut self.codec else { return 0 };
        let mut samples = [0; 160];
        let count = self.sound.next(&mut samples);
        codec.encode(&samples[..count], payload)
    }
}

impl Codecs for G711 {
    fn converter(&self, from: CodecId, to: CodecId) -> Option<Box<dyn Convert>> {
        let (from, to) = (codec_of(from)?, codec_of(to)?);
        Some(Box::new(Through { from, to, samples: Box::new([0; SAMPLES]) }))
    }
}

impl Convert for Through {
    fn convert(&mut self, payload: &mut [u8], len: usize) -> usize {
        let came = payload.get(..len).unwrap_or_default();
        let count = self.from.decode(came, &mut self.samples[..]);
        self.to.encode(&self.samples[..count], payload)
    }
}

fn codec_of(codec: CodecId) -> Option<Box<dyn Codec>> {
    match codec {
        PCMA => codec::codec("PCMA"),
        PCMU => codec::codec("PCMU"),
        _ => None,
    }
}

/// Converts a format of the call machine to one of the relay.
pub(super) fn format_of(format: AudioFormat) -> Format {
    match format {
        AudioFormat::Pcma => Format::Speech(PCMA),
        AudioFormat::Pcmu => Format::Speech(PCMU),
        AudioFormat::Other => Format::Speech(OTHER),
        AudioFormat::Events => Format::Events,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Law;

    /// MEDIA-23: A-law is converted to µ-law in place, for any packet length.
    #[test]
    fn g711_is_converted_in_its_place() {
        let mut through = G711.converter(PCMA, PCMU).expect("known");
        let mut payload: Vec<u8> = (0..=255).cycle().take(2_000).collect();
        let expected: Vec<u8> =
            payload.iter().map(|code| Law::Mu.encode(Law::A.decode(*code))).collect();
        assert_eq!(through.convert(&mut payload, 1_000), 1_000);
        assert_eq!(payload[..1_000], expected[..1_000]);
        assert!(G711.converter(PCMA, OTHER).is_none());
    }

    /// MEDIA-13: a tone by country code, a file by name, in either law.
    #[test]
    fn sounds_are_found_by_name() {
        let folder = std::env::temp_dir().join(format!("strowger-sounds-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("hello.wav");
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x07\0\x01\0".to_vec();
        file.extend([0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0]);
        file.extend(b"data\x02\0\0\0\x1e\x0b");
        std::fs::write(&path, &file).expect("written");
        let names = BTreeMap::from([("hello".to_owned(), path.clone())]);
        let sounds = Sounds::load(&names).expect("playable");
        let mut hello = Playing::new(sounds.find("hello", true).expect("loaded"));
        let mut payload = [0; 160];
        assert_eq!(hello.next(PCMU, &mut payload), 160);
        assert_eq!(payload[..4], [0x1e, 0x0b, 0x1e, 0x0b], "again and again");
        assert_eq!(hello.next(OTHER, &mut payload), 0);
        let mut once = Playing::new(sounds.find("hello", false).expect("loaded"));
        assert_eq!((once.next(PCMA, &mut payload), once.next(PCMA, &mut payload)), (2, 0));
        assert!(sounds.find("GB", false).is_some() && sounds.has("gb"));
        assert!(sounds.find("nowhere", true).is_none() && !sounds.has("nowhere"));
        let mut quiet = Playing::new(sounds.find(switch::SILENCE, true).expect("known"));
        assert_eq!((quiet.next(PCMA, &mut payload), payload), (160, [0xd5; 160]));
        assert!(sounds.find(switch::TEST_TONE, false).is_some_and(|tone| !tone.is_empty()));

        std::fs::write(&path, b"MThd").expect("written");
        let refused = Sounds::load(&names).expect_err("no WAV");
        assert!(refused.contains("`hello`") && refused.contains("is no WAV file"), "{refused}");
        std::fs::remove_dir_all(&folder).expect("removed");
        let missing = Sounds::load(&names).expect_err("gone");
        assert!(missing.contains("cannot be read"), "{missing}");
    }
}
