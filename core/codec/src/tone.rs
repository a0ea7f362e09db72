//! Tones: the ringback tones of national networks (ITU-T E.180, MEDIA-13), and the tone of test
//! calls (ROUTE-83).

use crate::{NARROW_BAND, Sound};
use std::f64::consts::TAU;

/// Level of a tone: -10 dBm0 (E.180 requires -15 to -5), all its frequencies together.
const LEVEL_DBM0: f64 = -10.0;
/// Level of the largest sine of 16-bit samples: the overload point of A-law.
#[expect(clippy::approx_constant, reason = "the overload point of G.711, and no circle")]
const LARGEST_DBM0: f64 = 3.14;

/// Frequency of the test tone, Hz. Not 1000: a tone that divides the 8 kHz clock has so few
/// different samples that a fault in most codes of G.711 would go unheard.
pub const TEST_TONE_HZ: u16 = 1_004;

/// Samples of the shortest seamless piece of the test tone: 251 cycles.
const TEST_TONE_SAMPLES: u32 = 2_000;

/// The test tone, 1004 Hz at -10 dBm0, without a pause.
pub fn test_tone() -> Sound {
    let samples = (0..TEST_TONE_SAMPLES).map(|at| sample(&[TEST_TONE_HZ], at));
    Sound::new(samples.collect()).repeated()
}

/// Endless silence.
pub fn silence() -> Sound {
    Sound::new(vec![0; 160]).repeated()
}

/// The ringback tone of a country.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ringback {
    /// ISO 3166 code of the country in lower case, or `eu` for the tone that ETSI recommends.
    pub country: &'static str,
    /// Sounded together. Two close ones beat, like a tone that a network modulates with a low one.
    pub frequencies: &'static [u16],
    /// Alternating tone and silence, repeated.
    pub cadence: Cadence,
}

/// Milliseconds of tone, silence, tone, silence...
pub type Cadence = &'static [u16];

/// One second of tone in five: most of Europe.
const EUROPEAN: Cadence = &[1_000, 4_000];
/// Two short rings in three seconds, as in Britain.
const DOUBLE: Cadence = &[400, 200, 400, 2_000];

const fn of(country: &'static str, frequencies: &'static [u16], cadence: Cadence) -> Ringback {
    Ringback { country, frequencies, cadence }
}

/// The countries with a known tone.
pub const RINGBACK_COUNTRIES: &[Ringback] = &[
    of("au", &[400, 425], DOUBLE),
    of("br", &[425], EUROPEAN),
    of("cn", &[450], EUROPEAN),
    of("de", &[425], EUROPEAN),
    of("es", &[425], &[1_500, 3_000]),
    of("eu", &[425], EUROPEAN),
    of("fr", &[440], &[1_500, 3_500]),
    of("gb", &[400, 450], DOUBLE),
    of("it", &[425], EUROPEAN),
    // 400 Hz, modulated by 16 Hz.
    of("jp", &[384, 416], &[1_000, 2_000]),
    of("nl", &[425], EUROPEAN),
    of("us", &[440, 480], &[2_000, 4_000]),
];

/// The ringback tone of a country by its code in any case; Britain is also known as `uk`.
pub fn ringback(country: &str) -> Option<Ringback> {
    let country = if country.eq_ignore_ascii_case("uk") { "gb" } else { country };
    RINGBACK_COUNTRIES.iter().find(|tone| tone.country.eq_ignore_ascii_case(country)).copied()
}

impl Ringback {
    /// The tone, repeated.
    pub fn sound(&self) -> Sound {
        let mut samples = Vec::new();
        for (part, ms) in self.cadence.iter().enumerate() {
            let count = u32::from(*ms) * NARROW_BAND / 1_000;
            let sounds = part % 2 == 0;
            let tone = |at| if sounds { sample(self.frequencies, at) } else { 0 };
            samples.extend((0..count).map(tone));
        }
        Sound::new(samples).repeated()
    }
}

/// Sample at this position of a burst of these frequencies.
fn sample(frequencies: &[u16], at: u32) -> i16 {
    let count = frequencies.len().max(1) as f64;
    // The powers of the frequencies add up, not their amplitudes.
    let level = 10_f64.powf((LEVEL_DBM0 - LARGEST_DBM0) / 20.0) / count.sqrt();
    let phase = f64::from(at) / f64::from(NARROW_BAND) * TAU;
    let sum: f64 = frequencies.iter().map(|hz| (phase * f64::from(*hz)).sin()).sum();
    (sum * level * f64::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of one frequency in some samples (Goertzel), 1.0 for a pure tone.
    fn share(samples: &[i16], hz: f64) -> f64 {
        let step = TAU * hz / f64::from(NARROW_BAND);
        let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
        for (at, sample) in samples.iter().enumerate() {
            let (value, phase) = (f64::from(*sample), step * at as f64);
            re += value * phase.cos();
            im += value * phase.sin();
            power += value * value;
        }
        2.0 * (re * re + im * im) / (power * samples.len() as f64)
    }

    /// MEDIA-13: every country has its frequencies, rhythm and level.
    #[test]
    fn each_country_has_its_frequencies_rhythm_and_level() {
        for tone in RINGBACK_COUNTRIES {
            let sound = tone.sound();
            let mut rest = sound.samples();
            for (part, ms) in tone.cadence.iter().enumerate() {
                let (burst, after) = rest.split_at(usize::from(*ms) * 8);
                rest = after;
                if part % 2 == 1 {
                    assert!(burst.iter().all(|sample| *sample == 0), "{}", tone.country);
                    continue;
                }
                let shares: f64 =
                    tone.frequencies.iter().map(|hz| share(burst, f64::from(*hz))).sum();
                assert!(shares > 0.99, "{}: {shares}", tone.country);
                let mean = burst.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
                let largest = f64::from(i16::MAX).powi(2) / 2.0;
                let level = 10.0 * (mean / burst.len() as f64 / largest).log10() + LARGEST_DBM0;
                assert!((level - LEVEL_DBM0).abs() < 0.3, "{}: {level} dBm0", tone.country);
            }
            assert!(rest.is_empty() && tone.cadence.len().is_multiple_of(2), "{}", tone.country);
        }
    }

    /// ROUTE-83: one frequency at its level, without a step at the seam.
    #[test]
    fn the_test_tone_has_one_frequency_and_no_seam() {
        let mut sound = test_tone();
        let mut heard = vec![0; 12_000];
        assert_eq!(sound.next(&mut heard), heard.len());
        assert!(share(&heard, f64::from(TEST_TONE_HZ)) > 0.999);
        let largest = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
        let seam = (heard[2_000] - heard[1_999]).abs();
        assert!(largest.is_some_and(|largest| seam <= largest), "{seam} {largest:?}");
        assert_eq!(heard[..2_000], heard[2_000..4_000]);
        let mut quiet = [1; 400];
        assert_eq!((silence().next(&mut quiet), quiet), (400, [0; 400]));
    }

    #[test]
    fn countries_are_found_by_code_in_any_case() {
        assert_eq!(ringback("UK"), ringback("gb"));
        assert_eq!(ringback("us").map(|tone| tone.cadence), Some(&[2_000, 4_000][..]));
        assert!(ringback("xx").is_none());
        for needed in ["gb", "us", "eu", "de", "fr", "jp", "au", "cn"] {
            assert!(ringback(needed).is_some(), "{needed}");
        }
    }
}
