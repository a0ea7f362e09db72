//! Counts by end reason, without a lock.

use policy::Text;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// End reasons that are counted by name. Plugins define their own, so there may be more: those
/// count as [`OTHER`].
const NAMED: usize = 24;

const OTHER: &str = "other";

#[derive(Debug, Default)]
pub(super) struct Reasons {
    named: [(OnceLock<Text>, AtomicU64); NAMED],
    other: AtomicU64,
}

impl Reasons {
    pub(super) fn count(&self, reason: &Text) {
        let place =
            self.named.iter().find(|(name, _)| name.get_or_init(|| reason.clone()) == reason);
        place.map_or(&self.other, |(_, count)| count).fetch_add(1, Relaxed);
    }

    /// Most frequent first.
    pub(super) fn read(&self) -> Vec<(String, u64)> {
        let named = self
            .named
            .iter()
            .filter_map(|(name, count)| Some((name.get()?.to_string(), count.load(Relaxed))));
        let mut all: Vec<(String, u64)> = named.collect();
        all.push((OTHER.to_owned(), self.other.load(Relaxed)));
        all.retain(|(_, count)| *count > 0);
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_beyond_the_table_count_together() {
        let reasons = Reasons::default();
        for number in 0..NAMED + 3 {
            (0..=number).for_each(|_| reasons.count(&format!("reason_{number}").into()));
        }
        let read = reasons.read();
        let beyond: usize = (NAMED..NAMED + 3).map(|number| number + 1).sum();
        assert_eq!(read[0], (OTHER.to_owned(), beyond as u64));
        assert_eq!(read[1], (format!("reason_{}", NAMED - 1), NAMED as u64));
        assert_eq!(read.len(), NAMED + 1);
    }
}
