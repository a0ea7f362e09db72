//! What plugins look up in a snapshot: texts by content handle, number lists by name.

use crate::tables::{Table, Tables};
use policy::{Lookup, Owner, PrefixHit, TrunkStatistics};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::business::ListKind;
use switch::facts::TrunkUsage;

/// Texts and tables of one snapshot. A clone shares both.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotLookup {
    business: Arc<Words>,
    tables: Tables,
}

/// What a snapshot says beside its tables.
#[derive(Clone, Debug, Default)]
struct Words {
    texts: HashMap<u64, Arc<str>>,
    attributes: HashMap<Owner, BTreeMap<String, Arc<str>>>,
    usage: HashMap<u32, Arc<TrunkUsage>>,
}

impl SnapshotLookup {
    /// Keeps a text and gives its handle: the same text has the same handle in every
    /// snapshot and after every restart, so that plugins can keep what they compiled.
    pub(crate) fn keep(&mut self, text: &str) -> u64 {
        let texts = &mut Arc::make_mut(&mut self.business).texts;
        let mut handle = text_handle(text);
        // Two texts on one handle are as good as impossible, but must not mix rules.
        while texts.get(&handle).is_some_and(|known| **known != *text) || handle == 0 {
            handle = handle.wrapping_add(1);
        }
        texts.insert(handle, text.into());
        handle
    }

    /// Keeps the words that an operator gave to an account or trunk.
    pub(super) fn add_attributes(&mut self, owner: Owner, words: &BTreeMap<String, String>) {
        if !words.is_empty() {
            let words = words.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
            Arc::make_mut(&mut self.business).attributes.insert(owner, words.collect());
        }
    }

    /// Keeps the live counters of a vendor trunk.
    pub(super) fn add_usage(&mut self, trunk: u32, usage: &Arc<TrunkUsage>) {
        Arc::make_mut(&mut self.business).usage.insert(trunk, usage.clone());
    }

    /// Without texts.
    pub(super) fn of(tables: Tables) -> SnapshotLookup {
        SnapshotLookup { tables, ..SnapshotLookup::default() }
    }

    /// The same with another state of some tables.
    pub(crate) fn with(&self, tables: Vec<Arc<Table>>) -> SnapshotLookup {
        let mut lookup = self.clone();
        lookup.tables.replace(tables);
        lookup
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }
}

impl Lookup for SnapshotLookup {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        self.business.texts.get(&handle).cloned()
    }

    /// A list of whole numbers only matches a whole number.
    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit> {
        let table = self.tables.get(table)?;
        let (length, value) = match table.list.kind {
            ListKind::Prefix => table.numbers.longest(number)?,
            ListKind::Exact => (number.len(), table.numbers.get(number)?),
        };
        // A text of its own for each hit: a count that all shards write to would cost more.
        let value = Arc::from(value);
        Some(PrefixHit { length: u32::try_from(length).unwrap_or(u32::MAX), value })
    }

    fn exact(&self, table: &str, number: &str) -> Option<Arc<str>> {
        self.tables.get(table)?.numbers.get(number).map(Arc::from)
    }

    fn attribute(&self, owner: Owner, name: &str) -> Option<Arc<str>> {
        self.business.attributes.get(&owner)?.get(name).cloned()
    }

    fn trunk_statistics(&self, trunk: u32) -> Option<TrunkStatistics> {
        Some(self.business.usage.get(&trunk)?.statistics(crate::clock::now().utc_ms))
    }
}

/// FNV-1a, 64 bits.
fn text_handle(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_handle_from_snapshot_to_snapshot() {
        let (mut one, mut two) = (SnapshotLookup::default(), SnapshotLookup::default());
        two.keep("another");
        assert_eq!(one.keep("0* -> +49*"), two.keep("0* -> +49*"));
        let handle = one.keep("0* -> +49*");
        assert_ne!(handle, 0);
        assert_eq!(one.text(handle).as_deref(), Some("0* -> +49*"));
        assert_eq!(one.text(0), None);
    }

    /// SEC-17: lists by prefix and by whole number.
    #[test]
    fn lists_answer_by_prefix_or_by_whole_number() {
        let table = |name, kind| Table::for_test(name, kind, &[("44", "uk"), ("4470", "m")]);
        let lookup = SnapshotLookup::default()
            .with(vec![table("prefixes", ListKind::Prefix), table("numbers", ListKind::Exact)]);
        let hit = |table, number| lookup.longest_prefix(table, number).map(|hit| hit.length);
        assert_eq!(hit("prefixes", "447011"), Some(4));
        assert_eq!(hit("prefixes", "4411"), Some(2));
        assert_eq!(hit("numbers", "4411"), None);
        assert_eq!(hit("numbers", "44"), Some(2));
        assert_eq!(hit("absent", "44"), None);
        assert_eq!(lookup.exact("prefixes", "4470").as_deref(), Some("m"));
    }
}
