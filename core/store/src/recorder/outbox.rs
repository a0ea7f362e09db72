//! Finished calls on their way from the journal to the database: in memory, or, when too many
//! wait already, only as the place where the journal has them.

use super::keeper::Job;
use crate::journal::Stretch;
use crate::records::Finished;
use std::time::Instant;

/// Finished calls of one segment that wait for company.
#[derive(Default)]
pub(super) struct Outbox {
    /// Empty once one of them is kept in the journal only.
    calls: Vec<Finished>,
    /// How many there are, in memory or not.
    count: usize,
    /// Where the journal has them; none while there are none.
    stretch: Option<Stretch>,
    /// They are to be read back.
    read_back: bool,
    /// When the first of them came.
    since: Option<Instant>,
}

impl Outbox {
    /// Adds the finished calls of a commit; `stretch` is the whole commit. Without `keep`
    /// they are dropped from memory, and with them those before.
    pub(super) fn add(&mut self, calls: Vec<Finished>, stretch: Stretch, keep: bool) {
        self.since.get_or_insert_with(Instant::now);
        self.count += calls.len();
        let from = self.stretch.map_or(stretch.from, |before| before.from);
        self.stretch = Some(Stretch { from, ..stretch });
        self.read_back |= !keep;
        if self.read_back {
            self.calls = Vec::new();
        } else {
            self.calls.extend(calls);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// When the first of its calls came.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// What the database thread has to do; none if there is nothing.
    pub(super) fn into_job(self) -> Option<Job> {
        let stretch = self.stretch?;
        Some(if self.read_back {
            Job::ReadBack(stretch, self.count as u64)
        } else {
            Job::Store(self.calls)
        })
    }
}
