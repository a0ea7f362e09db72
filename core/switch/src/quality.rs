//! How a vendor trunk did in the last minutes (ROUTE-31 to ROUTE-34, CDR-50, CDR-53).

use policy::TrunkStatistics;
use std::sync::{Mutex, PoisonError};

/// Length of a segment.
const SEGMENT_MS: u64 = 60_000;
/// Complete segments that count (ROUTE-31).
const SEGMENTS: usize = 10;
/// Weight of the prior in attempts (ROUTE-34); the prior is one half, until longer
/// statistics are kept.
const PRIOR_ATTEMPTS: u64 = 20;

/// Outcomes by minute. Touched a few times a call, so a lock is cheap enough.
#[derive(Debug, Default)]
pub(crate) struct Quality {
    segments: Mutex<[Segment; SEGMENTS + 1]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    /// Minute since 1970 that it counts.
    minute: u64,
    attempts: u64,
    answered: u64,
    delivered: u64,
    pdd_ms: u64,
    pdd_count: u64,
    ended: u64,
    talked_ms: u64,
}

/// What became of an attempt that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered.
    Answered,
    /// Not answered, but it reached the user: busy, no answer, declined (CDR-53).
    Delivered,
    /// It did not.
    Failed,
}

impl Quality {
    /// The outcome of an attempt became known.
    pub(crate) fn attempt(&self, utc_ms: u64, outcome: Outcome, pdd_ms: Option<u32>) {
        self.count(utc_ms, |segment| {
            segment.attempts += 1;
            segment.answered += u64::from(outcome == Outcome::Answered);
            segment.delivered += u64::from(outcome != Outcome::Failed);
            if let Some(pdd_ms) = pdd_ms {
                segment.pdd_ms += u64::from(pdd_ms);
                segment.pdd_count += 1;
            }
        });
    }

    /// An answered call ended.
    pub(crate) fn ended(&self, utc_ms: u64, talked_ms: u64) {
        self.count(utc_ms, |segment| {
            segment.ended += 1;
            segment.talked_ms += talked_ms;
        });
    }

    /// The pooled figures of the complete segments before `utc_ms`; `active` is not ours.
    pub(crate) fn read(&self, utc_ms: u64) -> TrunkStatistics {
        let now = utc_ms / SEGMENT_MS;
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Segment::default();
        let counts = |s: &&Segment| s.minute < now && s.minute + SEGMENTS as u64 >= now;
        for segment in segments.iter().filter(counts) {
            sum.attempts += segment.attempts;
            sum.answered += segment.answered;
            sum.delivered += segment.delivered;
            sum.pdd_ms += segment.pdd_ms;
            sum.pdd_count += segment.pdd_count;
            sum.ended += segment.ended;
            sum.talked_ms += segment.talked_ms;
        }
        drop(segments);
        let shrunk = |part: u64| {
            let share = (part * 1_000 + PRIOR_ATTEMPTS * 500) / (sum.attempts + PRIOR_ATTEMPTS);
            u16::try_from(share).unwrap_or(u16::MAX)
        };
        TrunkStatistics {
            active: 0,
            attempts: word(sum.attempts),
            answered: word(sum.answered),
            asr_permille: shrunk(sum.answered),
            ner_permille: shrunk(sum.delivered),
            acd_ms: word(sum.talked_ms.checked_div(sum.ended).unwrap_or(0)),
            pdd_ms: word(sum.pdd_ms.checked_div(sum.pdd_count).unwrap_or(0)),
        }
    }

    fn count(&self, utc_ms: u64, count: impl FnOnce(&mut Segment)) {
        let minute = utc_ms / SEGMENT_MS;
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let segment = &mut segments[(minute % (SEGMENTS as u64 + 1)) as usize];
        if segment.minute != minute {
            *segment = Segment { minute, ..Segment::default() };
        }
        count(segment);
    }
}

fn word(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = SEGMENT_MS;

    /// ROUTE-32: pooled over the window, not the mean of the segments.
    #[test]
    fn shares_are_pooled_over_complete_minutes() {
        let quality = Quality::default();
        for (minute, answered, attempts) in [(0, 25, 45), (1, 30, 50), (2, 22, 40)] {
            for attempt in 0..attempts {
                let outcome = if attempt < answered { Outcome::Answered } else { Outcome::Failed };
                quality.attempt(minute * MINUTE, outcome, None);
            }
        }
        let figures = quality.read(3 * MINUTE);
        assert_eq!((figures.attempts, figures.answered), (135, 77));
        // (77 + 20 * 0.5) / (135 + 20), ROUTE-34.
        assert_eq!(figures.asr_permille, 561);
        assert_eq!(quality.read(2 * MINUTE).attempts, 95, "the running minute does not count");
        assert_eq!(quality.read(11 * MINUTE).attempts, 90, "minute 0 has left the window");
        assert_eq!(quality.read(13 * MINUTE).attempts, 0);
    }

    /// ROUTE-33, CDR-53: durations of calls that ended; delivered includes busy.
    #[test]
    fn means_and_delivery() {
        let quality = Quality::default();
        quality.attempt(0, Outcome::Answered, Some(2_000));
        quality.attempt(0, Outcome::Delivered, Some(4_000));
        quality.attempt(0, Outcome::Failed, None);
        quality.ended(0, 90_000);
        quality.ended(0, 30_000);
        let figures = quality.read(MINUTE);
        assert_eq!((figures.pdd_ms, figures.acd_ms), (3_000, 60_000));
        // (2 + 10) / (3 + 20)
        assert_eq!(figures.ner_permille, 521);
        assert_eq!(quality.read(20 * MINUTE).asr_permille, 500, "no attempts: the prior");
    }
}
