//! Parsed rule sets, by content handle.

use crate::ruleset::RuleSet;
use plugin_sdk::{Reason, Rejection, RuleSetId, host};
use std::collections::BTreeMap;

/// Rule sets kept by one instance. A switch with more of them parses some repeatedly.
const CAPACITY: usize = 4_096;

/// Equal handles mean equal texts, so an entry never becomes stale.
#[derive(Debug, Default)]
pub(crate) struct RuleSets {
    parsed: BTreeMap<RuleSetId, Entry>,
    /// Increases with every use; orders entries by their last use.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    last_use: u64,
    /// A text that is not a rule set is cached with its error.
    rules: Result<RuleSet, String>,
}

impl RuleSets {
    /// The rules of a handle; `None` for [`RuleSetId::NONE`].
    ///
    /// # Errors
    /// 500 with the wrong rule, or with the handle that has no text.
    pub(crate) fn get(&mut self, id: RuleSetId) -> Result<Option<&RuleSet>, Rejection> {
        if id == RuleSetId::NONE {
            return Ok(None);
        }
        self.uses += 1;
        if !self.parsed.contains_key(&id) {
            self.make_room();
        }
        let entry = self.parsed.entry(id).or_insert_with(|| Entry {
            last_use: 0,
            rules: host::text(id.0)
                .ok_or_else(|| "has no text in this configuration".to_owned())
                .and_then(|text| RuleSet::parse(&text).map_err(|error| error.to_string())),
        });
        entry.last_use = self.uses;
        match &entry.rules {
            Ok(rules) => Ok(Some(rules)),
            Err(error) => {
                let detail = format!("rule set {:016x} {error}", id.0);
                Err(Rejection::new(500, Reason::InternalError, detail))
            }
        }
    }

    /// When full, forgets the older half, so that this happens rarely.
    fn make_room(&mut self) {
        if self.parsed.len() >= CAPACITY {
            let mut uses: Vec<u64> = self.parsed.values().map(|entry| entry.last_use).collect();
            let (_, middle, _) = uses.select_nth_unstable(CAPACITY / 2);
            let oldest_kept = *middle;
            self.parsed.retain(|_, entry| entry.last_use >= oldest_kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::FakeHost;

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let switch = FakeHost::install();
        let mut cache = RuleSets::default();
        for handle in 1..=3 * CAPACITY as u64 {
            switch.text(handle, "0 -> 1");
            assert!(cache.get(RuleSetId(handle)).expect("legal").is_some());
            assert!(cache.get(RuleSetId(1)).expect("legal").is_some());
            assert!(cache.parsed.len() <= CAPACITY);
        }
        assert!(cache.parsed.contains_key(&RuleSetId(1)));
    }

    #[test]
    fn a_text_is_fetched_once() {
        let switch = FakeHost::install();
        let mut cache = RuleSets::default();
        switch.text(9, "0 -> 1");
        assert_eq!(cache.get(RuleSetId(9)).expect("legal").map(RuleSet::len), Some(1));
        switch.text(9, "");
        assert_eq!(cache.get(RuleSetId(9)).expect("legal").map(RuleSet::len), Some(1));
    }
}
