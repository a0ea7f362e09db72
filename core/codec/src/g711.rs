//! G.711: eight bits per sample, on a scale of eight segments for each sign, each segment twice as
//! wide as the one below it.
//!
//! Samples are 16 bits wide; the scales of the recommendation (13 bits for A-law, 14 for µ-law)
//! are their upper bits. Negative samples are folded by the one's complement, so that the two
//! halves of a scale mirror each other.

use crate::Codec;

/// A-law inverts every second bit on the line.
const ALTERNATE_BITS: u8 = 0x55;
/// Sign bit of a code: set for positive samples.
const POSITIVE: u8 = 0x80;
/// The bias that µ-law adds to a magnitude so that its segments begin at powers of two.
const MU_BIAS: u16 = 33;
/// The largest biased magnitude of µ-law.
const MU_LARGEST: u16 = 0x1fff;

/// One of the two scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// A-law, RTP's `PCMA`: most of the world, and international circuits.
    A,
    /// µ-law, RTP's `PCMU`: North America and Japan.
    Mu,
}

/// G.711 in one of its laws. It has no state.
#[derive(Clone, Copy, Debug)]
pub struct G711 {
    law: Law,
    /// The sample of each code.
    samples: &'static [i16; 256],
}

impl Law {
    /// Both laws.
    pub const ALL: [Law; 2] = [Law::A, Law::Mu];

    /// Encoding name of RTP (RFC 3551).
    pub const fn name(self) -> &'static str {
        match self {
            Law::A => "PCMA",
            Law::Mu => "PCMU",
        }
    }

    /// The code of a sample.
    #[inline]
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Law::A => encode_a(sample),
            Law::Mu => encode_mu(sample),
        }
    }

    /// The sample of a code: the middle of the code's interval.
    pub const fn decode(self, code: u8) -> i16 {
        match self {
            Law::A => decode_a(code),
            Law::Mu => decode_mu(code),
        }
    }
}

impl G711 {
    /// A codec of this law.
    pub fn new(law: Law) -> G711 {
        let samples = match law {
            Law::A => &A_SAMPLES,
            Law::Mu => &MU_SAMPLES,
        };
        G711 { law, samples }
    }
}

impl Codec for G711 {
    fn name(&self) -> &'static str {
        self.law.name()
    }

    fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        for (code, sample) in payload.iter().zip(samples.iter_mut()) {
            *sample = self.samples[usize::from(*code)];
        }
        payload.len().min(samples.len())
    }

    fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        for (sample, code) in samples.iter().zip(payload.iter_mut()) {
            *code = self.law.encode(*sample);
        }
        payload.len().min(samples.len())
    }
}

static A_SAMPLES: [i16; 256] = samples_of(Law::A);
static MU_SAMPLES: [i16; 256] = samples_of(Law::Mu);

const fn samples_of(law: Law) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut code = 0_u8;
    loop {
        samples[code as usize] = law.decode(code);
        if code == u8::MAX {
            return samples;
        }
        code += 1;
    }
}

/// The magnitude of a sample and the sign bit of its code.
const fn fold(sample: i16) -> (u16, u8) {
    if sample < 0 { (!sample as u16, 0) } else { (sample as u16, POSITIVE) }
}

const fn encode_a(sample: i16) -> u8 {
    let (magnitude, sign) = fold(sample);
    // Twelve bits; the lowest one is below the smallest step.
    let magnitude = magnitude >> 4;
    let code = if magnitude < 32 {
        // The two lowest segments have the same step.
        magnitude as u8
    } else {
        // The highest bit gives the segment, the next four bits the step.
        let segment = 12 - magnitude.leading_zeros() as u16;
        (segment << 4 | magnitude >> (segment - 1) & 0x0f) as u8
    };
    (code | sign) ^ ALTERNATE_BITS
}

const fn decode_a(code: u8) -> i16 {
    let code = code ^ ALTERNATE_BITS;
    let (segment, step) = (code >> 4 & 7, (code & 0x0f) as i16);
    // Steps are 16 wide in the lowest segments; 8 is the middle of one.
    let magnitude = match segment {
        0 => step * 16 + 8,
        _ => (step * 16 + 8 + 256) << (segment - 1),
    };
    if code & POSITIVE == 0 { -magnitude } else { magnitude }
}

const fn encode_mu(sample: i16) -> u8 {
    let (magnitude, sign) = fold(sample);
    let biased = (magnitude >> 2) + MU_BIAS;
    let biased = if biased > MU_LARGEST { MU_LARGEST } else { biased };
    // The highest bit gives the segment: bit 5 the lowest one, bit 12 the highest.
    let segment = 10 - biased.leading_zeros() as u16;
    let step = biased >> (segment + 1) & 0x0f;
    !((segment << 4 | step) as u8 | sign ^ POSITIVE)
}

const fn decode_mu(code: u8) -> i16 {
    let inverted = !code;
    let (segment, step) = (inverted >> 4 & 7, (inverted & 0x0f) as i16);
    let magnitude = ((step * 2 + 33) << segment) - MU_BIAS as i16;
    let magnitude = magnitude * 4;
    if code & POSITIVE == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The positive half of a scale: the upper decision value and the step of each run of
    /// intervals, from the lowest interval on, and the unit of the scale in 16-bit samples.
    struct Scale {
        law: Law,
        runs: &'static [(i32, i32)],
        unit: i32,
    }

    /// Tables 1a and 2a of G.711: where the segments end and how wide their steps are.
    const SCALES: [Scale; 2] = [
        Scale {
            law: Law::A,
            runs: &[(64, 2), (128, 4), (256, 8), (512, 16), (1024, 32), (2048, 64), (4096, 128)],
            unit: 8,
        },
        Scale {
            law: Law::Mu,
            runs: &[
                (1, 1),
                (31, 2),
                (95, 4),
                (223, 8),
                (479, 16),
                (991, 32),
                (2015, 64),
                (4063, 128),
                (8159, 256),
            ],
            unit: 4,
        },
    ];

    impl Scale {
        /// Lower and upper decision value of each interval, in 16-bit samples.
        fn intervals(&self) -> Vec<(i32, i32)> {
            let (mut intervals, mut low) = (Vec::new(), 0);
            for (end, step) in self.runs {
                while low < *end {
                    intervals.push((low * self.unit, (low + step) * self.unit));
                    low += step;
                }
            }
            intervals
        }

        /// Code of the positive interval with this number, as sent on the line.
        fn code(&self, interval: usize) -> u8 {
            let number = u8::try_from(interval).expect("128 intervals");
            match self.law {
                Law::A => (0x80 | number) ^ 0x55,
                Law::Mu => 0xff - number,
            }
        }
    }

    /// Tables 1 and 2 of G.711: each of the 256 codes is the middle of its interval; in µ-law the
    /// first interval is zero.
    #[test]
    fn every_code_is_the_middle_of_its_interval() {
        for scale in &SCALES {
            let intervals = scale.intervals();
            assert_eq!(intervals.len(), 128);
            for (number, (low, high)) in intervals.into_iter().enumerate() {
                let middle = match (scale.law, number) {
                    (Law::Mu, 0) => 0,
                    _ => (low + high) / 2,
                };
                let (code, law) = (scale.code(number), scale.law);
                assert_eq!(i32::from(law.decode(code)), middle, "{law:?} {code:#04x}");
                assert_eq!(i32::from(law.decode(code ^ 0x80)), -middle, "{law:?} {code:#04x}");
            }
        }
    }

    /// Every 16-bit sample gets the code of its interval; samples beyond the scale get the last
    /// code.
    #[test]
    fn every_sample_gets_the_code_of_its_interval() {
        for scale in &SCALES {
            let intervals = scale.intervals();
            let mut number = 0;
            for sample in 0..=i16::MAX {
                let value = i32::from(sample);
                while value >= intervals[number].1 && number < 127 {
                    number += 1;
                }
                let (code, law) = (scale.code(number), scale.law);
                assert_eq!(law.encode(sample), code, "{law:?} {sample}");
                assert_eq!(law.encode(!sample), code ^ 0x80, "{law:?} {}", !sample);
            }
        }
    }

    /// Decoding and encoding again changes nothing: a second conversion costs no quality.
    #[test]
    fn every_code_survives() {
        for law in Law::ALL {
            for code in 0..=u8::MAX {
                let again = law.encode(law.decode(code));
                // µ-law has two codes for zero.
                let expected = if (law, code) == (Law::Mu, 0x7f) { 0xff } else { code };
                assert_eq!(again, expected, "{law:?} {code:#04x}");
            }
        }
    }

    /// Tables 5 and 6 of G.711: these codes, repeated, are a tone of 1 kHz at 0 dBm0, which is
    /// 3.14 dB below the largest sine of A-law and 3.17 dB below that of µ-law.
    #[test]
    #[expect(clippy::approx_constant, reason = "the overload point of G.711, and no circle")]
    fn the_digital_milliwatt_has_its_level() {
        let tones = [
            (Law::A, [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4], 4096.0 * 8.0, 3.14),
            (Law::Mu, [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e], 8159.0 * 4.0, 3.17),
        ];
        for (law, codes, largest, below) in tones {
            let samples = codes.map(|code| f64::from(law.decode(code)));
            let power = samples.iter().map(|sample| sample * sample).sum::<f64>() / 8.0;
            let largest: f64 = largest;
            let level = 10.0 * (largest * largest / 2.0 / power).log10();
            assert!((level - below).abs() < 0.01, "{law:?}: {level}");
        }
    }

    /// MEDIA-21: a payload and its samples, cut to the available room.
    #[test]
    fn payloads_become_samples_and_payloads_again() {
        for law in Law::ALL {
            let mut codec = G711::new(law);
            let payload: Vec<u8> = (0..=255).collect();
            let mut samples = [0; 300];
            assert_eq!(codec.decode(&payload, &mut samples), 256);
            let mut again = [0; 200];
            assert_eq!(codec.encode(&samples[..256], &mut again), 200);
            assert_eq!(again[..127], payload[..127]);
            assert_eq!(codec.decode(&payload, &mut samples[..10]), 10);
        }
    }

    /// Speech converted from one law to the other differs by at most a step of the coarser scale.
    #[test]
    fn conversion_between_the_laws_stays_within_a_step() {
        for (from, to) in [(Law::A, Law::Mu), (Law::Mu, Law::A)] {
            for code in 0..=u8::MAX {
                let sample = i32::from(from.decode(code));
                let converted = i32::from(to.decode(to.encode(from.decode(code))));
                let step = (sample.abs() / 16).max(16);
                assert!((sample - converted).abs() <= step, "{from:?} {code:#04x}");
            }
        }
    }
}
