//! Leaves a build out for a while after many faults in a row, so that no call waits for a plugin
//! that has no answer.

use crate::settings::BreakerSettings;
use policy::Fault;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Closed: the build is asked. Open: it is not, until the pause is over; then it gets one question.
/// With an answer the breaker closes, with a fault it stays open for another pause.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    in_a_row: AtomicU32,
    /// When the next question may be tried, milliseconds of the host's clock, from 1; 0: closed.
    until_ms: AtomicU64,
}

impl Breaker {
    /// Whether the build may be asked now; `now_ms` is read only while the breaker is open. If it
    /// may not, how many faults opened it.
    pub(crate) fn pass(
        &self,
        settings: BreakerSettings,
        now_ms: impl FnOnce() -> u64,
    ) -> Result<(), u32> {
        let until = self.until_ms.load(Relaxed);
        if until == 0 {
            return Ok(());
        }
        let now = now_ms();
        // One thread wins the question; the others wait for its result for another pause.
        let next = now + u64::from(settings.pause_ms).max(1);
        let wins = || self.until_ms.compare_exchange(until, next, Relaxed, Relaxed).is_ok();
        if now >= until && wins() { Ok(()) } else { Err(self.in_a_row.load(Relaxed)) }
    }

    /// Notes the result of a question.
    pub(crate) fn note(
        &self,
        fault: Option<&Fault>,
        settings: BreakerSettings,
        now_ms: impl FnOnce() -> u64,
    ) -> Change {
        let Some(fault) = fault.filter(|fault| !fault.is_deliberate()) else {
            // Reading costs less than writing, and mostly there is nothing to write.
            if self.in_a_row.load(Relaxed) > 0 {
                self.in_a_row.store(0, Relaxed);
            }
            let open = self.until_ms.load(Relaxed) > 0;
            let closed = open && self.until_ms.swap(0, Relaxed) > 0;
            return if closed { Change::Closed } else { Change::None };
        };
        // These say nothing about the next question.
        if matches!(fault, Fault::Busy(_) | Fault::Starting | Fault::LeftOut(_)) {
            return Change::None;
        }
        let in_a_row = self.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
        if settings.faults == 0 || in_a_row < settings.faults {
            return Change::None;
        }
        let until = now_ms() + u64::from(settings.pause_ms).max(1);
        let before = self.until_ms.swap(until, Relaxed);
        if before == 0 { Change::Opened(in_a_row) } else { Change::None }
    }

    /// How many faults in a row have opened it; none while it is closed.
    pub(crate) fn open_after(&self) -> Option<u32> {
        (self.until_ms.load(Relaxed) > 0).then(|| self.in_a_row.load(Relaxed))
    }
}

/// What a result did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// It opened after so many faults.
    Opened(u32),
    /// It closed.
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings { faults: 3, pause_ms: 100 };

    fn fault() -> Fault {
        Fault::Deadline(5, String::new())
    }

    #[test]
    fn faults_in_a_row_open_it_and_one_answer_closes_it() {
        let breaker = Breaker::default();
        let note = |fault: Option<Fault>, now| breaker.note(fault.as_ref(), SETTINGS, || now);
        let pass = |now| breaker.pass(SETTINGS, || now);
        // An answer in between starts the count anew, and so does an error said on purpose.
        for between in [None, Some(Fault::Refused("no plan".to_owned()))] {
            assert_eq!(note(Some(fault()), 1), Change::None);
            assert_eq!(note(Some(fault()), 2), Change::None);
            assert_eq!(note(between, 3), Change::None);
        }
        for _ in 0..2 {
            assert_eq!(note(Some(fault()), 10), Change::None);
            assert_eq!(note(Some(Fault::Busy(1)), 10), Change::None, "it says nothing");
        }
        assert_eq!(pass(10), Ok(()));
        assert_eq!(note(Some(fault()), 10), Change::Opened(3));
        assert_eq!((pass(11), pass(109)), (Err(3), Err(3)));
        // Half open: one question only.
        assert_eq!((pass(110), pass(110), pass(209)), (Ok(()), Err(3), Err(3)));
        assert_eq!(note(Some(fault()), 150), Change::None, "it stays open");
        assert_eq!((breaker.open_after(), pass(249), pass(250)), (Some(4), Err(4), Ok(())));
        assert_eq!(note(None, 251), Change::Closed);
        assert_eq!((breaker.open_after(), pass(251)), (None, Ok(())));
    }

    #[test]
    fn it_can_be_off() {
        let (breaker, off) = (Breaker::default(), BreakerSettings { faults: 0, pause_ms: 100 });
        for _ in 0..100 {
            assert_eq!(breaker.note(Some(&fault()), off, || 1), Change::None);
        }
        assert_eq!(breaker.pass(off, || 1), Ok(()));
    }
}
