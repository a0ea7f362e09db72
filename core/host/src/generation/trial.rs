//! Canaries: builds that decide a share of the calls before they decide all.

use crate::build::tally::Figures;
use crate::build::version::Version;
use policy::{CallFacts, CallNotes};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Parts of a whole, in ten thousandths.
pub(crate) const WHOLE: u32 = 10_000;

/// The calls of a trial: a share of those of some trunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// In ten thousandths of the calls, 0 to 10,000; 500 is 5 %.
    pub share: u32,
    /// How the share is chosen.
    #[serde(default)]
    pub by: SelectBy,
    /// Ids of customer trunks; empty is all.
    #[serde(default)]
    pub trunks: Vec<u32>,
}

/// The basis for choosing a share of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectBy {
    /// Each call separately.
    #[default]
    Call,
    /// The called number: calls to one number all go the same way.
    Number,
}

/// A build and the calls that it decides.
#[derive(Clone)]
pub(crate) struct Canary {
    pub(crate) version: Arc<Version>,
    pub(crate) selection: Selection,
    /// Figures of the live build when the canary began.
    pub(crate) live_then: Arc<Figures>,
}

impl Selection {
    /// Every call.
    #[must_use]
    pub fn all() -> Selection {
        Selection { share: WHOLE, by: SelectBy::Call, trunks: Vec::new() }
    }

    /// Whether this call belongs to the trial; the same for all its questions.
    pub(crate) fn takes(&self, call: CallFacts, notes: &CallNotes) -> bool {
        if !self.trunks.is_empty() && !self.trunks.contains(&call.trunk) {
            return false;
        }
        let place = match self.by {
            // The lower half of a call id is random (CDR-05).
            SelectBy::Call => (call.id as u64 ^ (call.id as u64 >> 32)) as u32,
            SelectBy::Number => notes.number_hash(),
        };
        (u64::from(place) * u64::from(WHOLE)) >> 32 < u64::from(self.share)
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, rest) = (self.share / 100, self.share % 100);
        match rest {
            0 => write!(f, "{percent} %")?,
            rest => write!(f, "{percent}.{rest:02} %")?,
        }
        f.write_str(match self.by {
            SelectBy::Call => " of calls",
            SelectBy::Number => " of numbers",
        })?;
        if !self.trunks.is_empty() {
            write!(f, " of {} trunks", self.trunks.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u128, trunk: u32) -> CallFacts {
        CallFacts { id, received_ms: 0, trunk, account: 1 }
    }

    #[test]
    fn a_share_of_calls_is_taken_and_always_the_same_ones() {
        let selection = Selection { share: 500, by: SelectBy::Call, trunks: vec![] };
        let notes = CallNotes::default();
        let ids = (0..100_000u128).map(|n| n * 0x9e37_79b9_7f4a_7c15);
        let taken: Vec<bool> = ids.clone().map(|id| selection.takes(call(id, 1), &notes)).collect();
        let count = taken.iter().filter(|taken| **taken).count();
        assert!((4_500..5_500).contains(&count), "{count}");
        let again: Vec<bool> = ids.map(|id| selection.takes(call(id, 1), &notes)).collect();
        assert_eq!(taken, again);
        assert_eq!(selection.to_string(), "5 % of calls");
    }

    #[test]
    fn numbers_and_trunks_choose_too() {
        let notes = CallNotes::default();
        notes.set_number("4930123");
        let half = Selection { share: WHOLE / 2, by: SelectBy::Number, trunks: vec![7] };
        let first = half.takes(call(1, 7), &notes);
        assert!((0..100).all(|id| half.takes(call(id, 7), &notes) == first));
        assert!((0..100).all(|id| !half.takes(call(id, 8), &notes)));
        assert!(Selection::all().takes(call(1, 1), &notes));
        let none = Selection { share: 0, ..Selection::all() };
        assert!(!none.takes(call(0, 1), &notes));
    }
}
