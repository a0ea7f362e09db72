//! Samples to be played: a file, or one cycle of a tone.

use std::sync::Arc;

/// Narrow-band speech at 8,000 samples a second. A copy shares the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    samples: Arc<[i16]>,
    /// The position of the next sample.
    at: usize,
    /// It starts over at its end.
    repeats: bool,
}

impl Sound {
    /// A sound of these samples, from its beginning.
    pub fn new(samples: Vec<i16>) -> Sound {
        Sound { samples: samples.into(), at: 0, repeats: false }
    }

    /// The same sound, played again and again.
    #[must_use]
    pub fn repeated(self) -> Sound {
        Sound { repeats: true, ..self }
    }

    /// Whether there is nothing to hear.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// All samples, once.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Fills `samples` with the next samples; returns their number, which is smaller only at the
    /// end of a sound that does not repeat.
    pub fn next(&mut self, samples: &mut [i16]) -> usize {
        let mut filled = 0;
        while filled < samples.len() {
            if self.at == self.samples.len() {
                if !self.repeats || self.is_empty() {
                    break;
                }
                self.at = 0;
            }
            let count = (samples.len() - filled).min(self.samples.len() - self.at);
            let next = &self.samples[self.at..self.at + count];
            samples[filled..filled + count].copy_from_slice(next);
            filled += count;
            self.at += count;
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_ends_unless_it_repeats() {
        let mut once = Sound::new((0..5).collect());
        let mut heard = [0; 3];
        assert_eq!((once.next(&mut heard), heard), (3, [0, 1, 2]));
        assert_eq!((once.next(&mut heard), heard), (2, [3, 4, 2]));
        assert_eq!(once.next(&mut heard), 0);

        let mut again = Sound::new((0..5).collect()).repeated();
        let mut heard = [0; 12];
        assert_eq!((again.next(&mut heard), heard), (12, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]));
        assert_eq!(Sound::new(Vec::new()).repeated().next(&mut heard), 0);
    }
}
