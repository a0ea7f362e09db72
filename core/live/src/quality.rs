//! The figures of a vendor trunk over the last minutes (ROUTE-31 to ROUTE-34, CDR-50, CDR-53),
//! today, and since the start.

use crate::table::Table;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

/// Length of a segment.
const SEGMENT_MS: u64 = 60_000;
/// Complete segments that count (ROUTE-31).
const SEGMENTS: usize = 10;
/// Weight of the prior in attempts (ROUTE-34); the prior is one half, as long as no longer
/// statistics are kept.
const PRIOR_ATTEMPTS: u64 = 20;
const DAY_MS: u64 = 86_400_000;

/// The outcome of an attempt that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Answered,
    /// Not answered, but it reached the user: busy, no answer, declined (CDR-53).
    Delivered,
    /// Not answered, and it did not reach the user.
    Failed,
}

/// The pooled figures of the last ten complete minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Attempts whose outcome became known.
    pub attempts: u32,
    /// Of these, answered.
    pub answered: u32,
    /// Share of answered attempts in thousandths, weighted towards one half (ROUTE-34).
    pub asr_permille: u16,
    /// Share of delivered attempts, likewise (CDR-53).
    pub ner_permille: u16,
    /// Mean length of the calls that ended, milliseconds (ROUTE-33).
    pub acd_ms: u32,
    /// Mean post-dial delay, milliseconds.
    pub pdd_ms: u32,
}

/// Refusals of a vendor trunk that an operator must know about (ROUTE-51), since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// With 401 or 407: it wants credentials that were missing or wrong (SIG-53).
    pub unauthorized: u64,
    /// With 482 or 483: the calls may go in circles.
    pub looped: u64,
}

/// Figures of vendor trunks by their ids.
pub trait Quality: Debug + Send + Sync {
    /// An attempt was sent (K9 of ROUTE-23).
    fn sent(&self, trunk: u32, utc_ms: u64);

    /// Attempts sent on the UTC day of `utc_ms`.
    fn sent_today(&self, trunk: u32, utc_ms: u64) -> u64;

    /// Counts the known outcome of an attempt, and its post-dial delay if it rang.
    fn attempt(&self, trunk: u32, utc_ms: u64, outcome: Outcome, pdd_ms: Option<u32>);

    /// Counts the end of an answered call.
    fn ended(&self, trunk: u32, utc_ms: u64, talked_ms: u64);

    /// Counts a final code, if an operator must know about it.
    fn refused(&self, trunk: u32, code: u16);

    /// The refusals counted.
    fn refusals(&self, trunk: u32) -> Refusals;

    /// The figures of the complete minutes before `utc_ms`.
    fn figures(&self, trunk: u32, utc_ms: u64) -> Figures;
}

/// Figures of one process.
#[derive(Debug, Default)]
pub(crate) struct InProcess {
    trunks: Table<u32, Mutex<Trunk>>,
}

/// Accessed a few times per call, so a lock is cheap enough.
#[derive(Debug, Default)]
struct Trunk {
    segments: [Segment; SEGMENTS + 1],
    /// Day number that `today` refers to.
    day: u64,
    today: u64,
    refusals: Refusals,
}

#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    /// Minute since 1970 that it covers.
    minute: u64,
    attempts: u64,
    answered: u64,
    delivered: u64,
    pdd_ms: u64,
    pdd_count: u64,
    ended: u64,
    talked_ms: u64,
}

impl Trunk {
    fn segment(&mut self, utc_ms: u64) -> &mut Segment {
        let minute = utc_ms / SEGMENT_MS;
        let segment = &mut self.segments[(minute % (SEGMENTS as u64 + 1)) as usize];
        if segment.minute != minute {
            *segment = Segment { minute, ..Segment::default() };
        }
        segment
    }
}

impl InProcess {
    fn act<R>(&self, trunk: u32, act: impl FnOnce(&mut Trunk) -> R) -> R {
        // Counters, each valid by itself after a panic elsewhere.
        self.trunks
            .with(trunk, |entry| act(&mut entry.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn read<R: Default>(&self, trunk: u32, read: impl FnOnce(&Trunk) -> R) -> R {
        let read =
            |entry: &Mutex<Trunk>| read(&entry.lock().unwrap_or_else(PoisonError::into_inner));
        self.trunks.with_known(trunk, read).unwrap_or_default()
    }
}

impl Quality for InProcess {
    fn sent(&self, trunk: u32, utc_ms: u64) {
        self.act(trunk, |trunk| {
            let day = utc_ms / DAY_MS;
            if std::mem::replace(&mut trunk.day, day) != day {
                trunk.today = 0;
            }
            trunk.today += 1;
        });
    }

    fn sent_today(&self, trunk: u32, utc_ms: u64) -> u64 {
        self.read(trunk, |trunk| if trunk.day == utc_ms / DAY_MS { trunk.today } else { 0 })
    }

    fn attempt(&self, trunk: u32, utc_ms: u64, outcome: Outcome, pdd_ms: Option<u32>) {
        self.act(trunk, |trunk| {
            let segment = trunk.segment(utc_ms);
            segment.attempts += 1;
            segment.answered += u64::from(outcome == Outcome::Answered);
            segment.delivered += u64::from(outcome != Outcome::Failed);
            if let Some(pdd_ms) = pdd_ms {
                segment.pdd_ms += u64::from(pdd_ms);
                segment.pdd_count += 1;
            }
        });
    }

    fn ended(&self, trunk: u32, utc_ms: u64, talked_ms: u64) {
        self.act(trunk, |trunk| {
            let segment = trunk.segment(utc_ms);
            segment.ended += 1;
            segment.talked_ms += talked_ms;
        });
    }

    fn refused(&self, trunk: u32, code: u16) {
        let count = |act: fn(&mut Refusals) -> &mut u64| {
            self.act(trunk, |trunk| *act(&mut trunk.refusals) += 1);
        };
        match code {
            401 | 407 => count(|refusals| &mut refusals.unauthorized),
            482 | 483 => count(|refusals| &mut refusals.looped),
            _ => {}
        }
    }

    fn refusals(&self, trunk: u32) -> Refusals {
        self.read(trunk, |trunk| trunk.refusals)
    }

    fn figures(&self, trunk: u32, utc_ms: u64) -> Figures {
        let now = utc_ms / SEGMENT_MS;
        let counts = |s: &&Segment| s.minute < now && s.minute + SEGMENTS as u64 >= now;
        let sum = self.read(trunk, |trunk| {
            trunk.segments.iter().filter(counts).fold(Segment::default(), |sum, one| Segment {
                minute: 0,
                attempts: sum.attempts + one.attempts,
                answered: sum.answered + one.answered,
                delivered: sum.delivered + one.delivered,
                pdd_ms: sum.pdd_ms + one.pdd_ms,
                pdd_count: sum.pdd_count + one.pdd_count,
                ended: sum.ended + one.ended,
                talked_ms: sum.talked_ms + one.talked_ms,
            })
        });
        let shrunk = |part: u64| {
            let share = (part * 1_000 + PRIOR_ATTEMPTS * 500) / (sum.attempts + PRIOR_ATTEMPTS);
            u16::try_from(share).unwrap_or(u16::MAX)
        };
        Figures {
            attempts: word(sum.attempts),
            answered: word(sum.answered),
            asr_permille: shrunk(sum.answered),
            ner_permille: shrunk(sum.delivered),
            acd_ms: word(sum.talked_ms.checked_div(sum.ended).unwrap_or(0)),
            pdd_ms: word(sum.pdd_ms.checked_div(sum.pdd_count).unwrap_or(0)),
        }
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
        let quality = InProcess::default();
        for (minute, answered, attempts) in [(0, 25, 45), (1, 30, 50), (2, 22, 40)] {
            for attempt in 0..attempts {
                let outcome = if attempt < answered { Outcome::Answered } else { Outcome::Failed };
                quality.attempt(11, minute * MINUTE, outcome, None);
            }
        }
        let figures = quality.figures(11, 3 * MINUTE);
        assert_eq!((figures.attempts, figures.answered), (135, 77));
        // (77 + 20 * 0.5) / (135 + 20), ROUTE-34.
        assert_eq!(figures.asr_permille, 561);
        let attempts = |utc_ms| quality.figures(11, utc_ms).attempts;
        assert_eq!(attempts(2 * MINUTE), 95, "the running minute does not count");
        assert_eq!(attempts(11 * MINUTE), 90, "minute 0 has left the window");
        assert_eq!(attempts(13 * MINUTE), 0);
    }

    /// ROUTE-33, CDR-53: durations of calls that ended; delivered includes busy.
    #[test]
    fn means_and_delivery() {
        let quality = InProcess::default();
        quality.attempt(11, 0, Outcome::Answered, Some(2_000));
        quality.attempt(11, 0, Outcome::Delivered, Some(4_000));
        quality.attempt(11, 0, Outcome::Failed, None);
        quality.ended(11, 0, 90_000);
        quality.ended(11, 0, 30_000);
        let figures = quality.figures(11, MINUTE);
        assert_eq!((figures.pdd_ms, figures.acd_ms), (3_000, 60_000));
        // (2 + 10) / (3 + 20)
        assert_eq!(figures.ner_permille, 521);
        assert_eq!(quality.figures(11, 20 * MINUTE).asr_permille, 500, "no attempts: the prior");
        assert_eq!(quality.figures(12, MINUTE).asr_permille, 500, "an unknown trunk: the prior");
    }

    #[test]
    fn attempts_are_counted_by_day_and_refusals_since_the_start() {
        let quality = InProcess::default();
        quality.sent(11, DAY_MS - 1);
        quality.sent(11, DAY_MS);
        quality.sent(11, DAY_MS);
        assert_eq!((quality.sent_today(11, DAY_MS), quality.sent_today(11, 0)), (2, 0));
        [401, 407, 482, 503].iter().for_each(|code| quality.refused(11, *code));
        assert_eq!(quality.refusals(11), Refusals { unauthorized: 2, looped: 1 });
    }
}
