//! The figures of a build in the last minutes: what it did months ago does not compare with what
//! another build does today.

use super::tally::Figures;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Time between two readings that are kept, ms.
const APART_MS: u64 = 60_000;

/// Readings that are kept: ten minutes.
const KEPT: usize = 10;

/// Readings of a build's figures, oldest first, with the host's clock. Only the thread that judges
/// builds uses it.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<VecDeque<(u64, Figures)>>);

impl History {
    /// Keeps a reading, at most one a minute.
    pub(crate) fn keep(&self, now_ms: u64, figures: &Figures) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.back().is_some_and(|(at, _)| now_ms < at + APART_MS) {
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((now_ms, figures.clone()));
    }

    /// The part of `now` since the oldest reading that is kept; all of it, if that part has fewer
    /// than `least` questions.
    pub(crate) fn recent(&self, now: Figures, least: u64) -> Figures {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = kept.front().map(|(_, then)| now.since(then));
        recent.filter(|recent| recent.tally.asked >= least).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::tally::BuildTally;

    #[test]
    fn the_last_ten_minutes_count_if_they_hold_enough() {
        let of = |asked| Figures {
            tally: BuildTally { asked, ..BuildTally::default() },
            ..Figures::default()
        };
        let history = History::default();
        assert_eq!(history.recent(of(5), 1).tally.asked, 5, "there is no earlier reading");
        for second in 0..1_200 {
            history.keep(second * 1_000, &of(second));
        }
        let asked = |now, least| history.recent(of(now), least).tally.asked;
        assert_eq!(asked(1_200, 100), 1_200 - 600);
        assert_eq!(asked(1_200, 601), 1_200, "too few of late");
    }
}
