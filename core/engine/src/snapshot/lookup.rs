//! Lookups of plugins in a snapshot: texts by content handle, number lists by name, names, money and
//! prices of accounts and trunks.

use crate::tables::{Table, Tables};
use business::ListKind;
use ledger::Money;
use live::{Figures, Holder, Live};
use policy::{Lookup, Owner, PrefixHit, Price, Standing, TrunkStatistics};
use std::collections::BTreeMap;
use std::sync::Arc;
use switch::SharedMap;
use switch::facts::{Account, Facts};

/// Texts and tables of one snapshot. A clone shares both.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotLookup {
    business: Arc<Words>,
    tables: Tables,
    live: Live,
}

/// A snapshot's lookups without its tables. A clone shares them.
#[derive(Clone, Debug, Default)]
struct Words {
    texts: SharedMap<u64, Text>,
    attributes: SharedMap<Owner, Attributes>,
    vendors: SharedMap<u32, ()>,
}

/// Attributes of an owner by name.
type Attributes = Arc<BTreeMap<String, Arc<str>>>;

/// A text, and the number of rule sets that use it.
#[derive(Clone, Debug)]
struct Text {
    text: Arc<str>,
    sets: u32,
}

impl SnapshotLookup {
    /// Stores a text for another rule set and returns its handle. The same text has the same handle
    /// in every snapshot and after every restart, so that plugins can keep what they compiled.
    pub(crate) fn keep(&mut self, text: &str) -> u64 {
        let texts = &mut Arc::make_mut(&mut self.business).texts;
        let mut handle = text_handle(text);
        // A hash collision is practically impossible, but must not mix up rules.
        while texts.get(&handle).is_some_and(|known| *known.text != *text) || handle == 0 {
            handle = handle.wrapping_add(1);
        }
        let kept = match texts.get(&handle) {
            Some(known) => Text { text: Arc::clone(&known.text), sets: known.sets + 1 },
            None => Text { text: text.into(), sets: 1 },
        };
        texts.insert(handle, kept);
        handle
    }

    /// Releases the text with this handle for one rule set.
    pub(super) fn release(&mut self, handle: u64) {
        let texts = &mut Arc::make_mut(&mut self.business).texts;
        match texts.get(&handle).cloned() {
            Some(Text { text, sets: sets @ 2.. }) => {
                texts.insert(handle, Text { text, sets: sets - 1 });
            }
            Some(_) => drop(texts.remove(&handle)),
            None => {}
        }
    }

    /// Replaces the attributes of an account or trunk.
    pub(super) fn set_attributes(&mut self, owner: Owner, words: &BTreeMap<String, String>) {
        let attributes = &mut Arc::make_mut(&mut self.business).attributes;
        if words.is_empty() {
            attributes.remove(&owner);
        } else {
            let words = words.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
            attributes.insert(owner, Arc::new(words.collect()));
        }
    }

    /// Allows queries for the statistics of a vendor trunk.
    pub(super) fn add_vendor(&mut self, trunk: u32) {
        Arc::make_mut(&mut self.business).vendors.insert(trunk, ());
    }

    /// Forgets a vendor trunk.
    pub(super) fn remove_vendor(&mut self, trunk: u32) {
        Arc::make_mut(&mut self.business).vendors.remove(&trunk);
    }

    /// Lookups without texts.
    pub(super) fn of(tables: Tables, live: &Live) -> SnapshotLookup {
        SnapshotLookup { tables, live: live.clone(), business: Arc::default() }
    }

    /// These lookups with some tables replaced.
    pub(crate) fn with(&self, tables: Vec<Arc<Table>>) -> SnapshotLookup {
        let mut lookup = self.clone();
        lookup.tables.replace(tables);
        lookup
    }

    /// These lookups without a table.
    pub(crate) fn without(&self, table: &str) -> SnapshotLookup {
        let mut lookup = self.clone();
        lookup.tables.remove(table);
        lookup
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }
}

impl Lookup for SnapshotLookup {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        self.business.texts.get(&handle).map(|kept| Arc::clone(&kept.text))
    }

    /// A list of whole numbers matches only whole numbers.
    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit> {
        let table = self.tables.get(table)?;
        let (length, value) = match table.list.kind {
            ListKind::Prefix => table.numbers.longest(number)?,
            ListKind::Exact => (number.len(), table.numbers.get(number)?),
        };
        // A copy per hit: a reference count shared by all shards would cost more.
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
        self.business.vendors.get(&trunk)?;
        let Figures { attempts, answered, asr_permille, ner_permille, acd_ms, pdd_ms } =
            self.live.quality.figures(trunk, crate::clock::now().utc_ms);
        let active = self.live.channels.active(Holder::Vendor(trunk));
        Some(TrunkStatistics {
            active,
            attempts,
            answered,
            asr_permille,
            ner_permille,
            acd_ms,
            pdd_ms,
        })
    }
}

/// The lookups of calls: those of a snapshot, and its facts.
#[derive(Clone)]
pub(crate) struct CallLookup {
    words: Arc<SnapshotLookup>,
    facts: Arc<Facts>,
}

impl CallLookup {
    /// The lookups of a snapshot.
    pub(crate) fn of(snapshot: &super::Snapshot) -> CallLookup {
        CallLookup { words: Arc::clone(&snapshot.lookup), facts: Arc::clone(&snapshot.facts) }
    }

    /// The account itself, or that of a trunk.
    fn account(&self, owner: Owner) -> Option<&Arc<Account>> {
        let account = match owner {
            Owner::Account(id) => id,
            Owner::Customer(id) => self.facts.customers().get(&id)?.account,
            Owner::Vendor(id) => self.facts.vendors().get(&id)?.account,
        };
        self.facts.accounts().get(&account)
    }
}

impl Lookup for CallLookup {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        self.words.text(handle)
    }

    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit> {
        self.words.longest_prefix(table, number)
    }

    fn exact(&self, table: &str, number: &str) -> Option<Arc<str>> {
        self.words.exact(table, number)
    }

    fn attribute(&self, owner: Owner, name: &str) -> Option<Arc<str>> {
        self.words.attribute(owner, name)
    }

    fn name(&self, owner: Owner) -> Option<Arc<str>> {
        match owner {
            Owner::Account(id) => self.facts.accounts().get(&id).map(|a| Arc::clone(&a.name)),
            Owner::Customer(id) => self.facts.customers().get(&id).map(|t| Arc::clone(&t.name)),
            Owner::Vendor(id) => self.facts.vendors().get(&id).map(|t| Arc::clone(&t.name)),
        }
    }

    fn standing(&self, owner: Owner) -> Option<Standing> {
        let account = self.account(owner)?;
        let utc_ms = crate::clock::now().utc_ms;
        let live::Standing { balance, reserved, available, .. } =
            self.words.live.purses.standing(account.id, utc_ms)?;
        let amount = |money: Money| i64::try_from(money.0).ok();
        let available = match available {
            Some(available) => Some(amount(available)?),
            None => None,
        };
        let currency = self.facts.deck_of(account).map(|deck| Arc::clone(&deck.currency));
        Some(Standing {
            currency: currency.unwrap_or_default(),
            balance: amount(balance)?,
            reserved: amount(reserved)?,
            available,
        })
    }

    fn price(&self, owner: Owner, number: &str, at_ms: u64) -> Option<Price> {
        self.facts.price(self.account(owner)?, number, at_ms)
    }

    fn trunk_statistics(&self, trunk: u32) -> Option<TrunkStatistics> {
        self.words.trunk_statistics(trunk)
    }
}

fn text_handle(text: &str) -> u64 {
    sip::stable_hash(text.as_bytes())
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
