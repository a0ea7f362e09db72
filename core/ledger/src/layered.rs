//! A prefix table whose entries change a few at a time while others read it.

use crate::PrefixTable;
use crate::prefix::order;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A [`PrefixTable`] that no longer changes, and a small table of the changes since.
///
/// A changed prefix hides the base's entry. [`LayeredTable::with`] makes a new value, which shares
/// the base with the previous one and copies only the changes. There are never more than two
/// layers: lookups stay as fast after a thousand changes as after one. After many changes,
/// [`LayeredTable::fold`] makes a new base of all entries; that takes time, so the caller chooses
/// when and on which thread.
#[derive(Clone)]
pub struct LayeredTable<V> {
    base: Arc<PrefixTable<V>>,
    /// The values of changed prefixes; `None` if the prefix was removed.
    changed: PrefixTable<Option<V>>,
    entries: usize,
}

impl<V> LayeredTable<V> {
    /// Number of changed prefixes that makes a fold worthwhile: with that many, a change costs
    /// about ten microseconds of copying.
    pub const CHANGES: usize = 1000;

    /// A table without changes.
    #[must_use]
    pub fn new(base: PrefixTable<V>) -> Self {
        let entries = base.len();
        LayeredTable { base: Arc::new(base), changed: PrefixTable::new(), entries }
    }

    /// The value of exactly this prefix.
    #[must_use]
    pub fn get(&self, prefix: &str) -> Option<&V> {
        match self.changed.get(prefix) {
            Some(changed) => changed.as_ref(),
            None => self.base.get(prefix),
        }
    }

    /// The longest prefix of `number` in the table: its length in bytes and its value.
    #[must_use]
    pub fn longest(&self, number: &str) -> Option<(usize, &V)> {
        let found = self.base.longest(number);
        if self.changed.is_empty() {
            return found;
        }
        let Some((length, changed)) = self.changed.longest(number) else { return found };
        if found.is_some_and(|(longer, _)| longer > length) {
            return found;
        }
        match changed {
            Some(value) => Some((length, value)),
            None => self.matches(number).next(),
        }
    }

    /// Every prefix of `number` in the table, longest first: length in bytes and value.
    pub fn matches(&self, number: &str) -> impl Iterator<Item = (usize, &V)> + use<'_, V> {
        let longer = |one: &usize, other: &usize| other.cmp(one);
        merge(self.base.matches(number), self.changed.matches(number), longer)
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Every entry, in the order of [`PrefixTable::iter`].
    pub fn iter(&self) -> impl Iterator<Item = (String, &V)> {
        merge(self.base.iter(), self.changed.iter(), |one, other| order(one, other))
    }

    /// Whether a new base is worthwhile after the changes so far.
    #[must_use]
    pub fn needs_fold(&self) -> bool {
        self.changed.len() >= Self::CHANGES
    }
}

impl<V: Clone> LayeredTable<V> {
    /// This table with other values for some prefixes; `None` removes a prefix.
    #[must_use]
    pub fn with<K: AsRef<str>>(&self, changes: impl IntoIterator<Item = (K, Option<V>)>) -> Self {
        let mut next = self.clone();
        for (prefix, value) in changes {
            next.set(prefix.as_ref(), value);
        }
        next
    }

    /// The same entries in one layer.
    #[must_use]
    pub fn fold(&self) -> Self {
        let mut base: PrefixTable<V> =
            self.iter().map(|(prefix, value)| (prefix, value.clone())).collect();
        base.compact();
        LayeredTable::new(base)
    }

    /// Changes one prefix in this value, which is not shared yet.
    pub fn set(&mut self, prefix: &str, value: Option<V>) {
        self.entries -= usize::from(self.get(prefix).is_some());
        self.entries += usize::from(value.is_some());
        self.changed.insert(prefix, value);
    }
}

/// The entries of both layers in their common order; for equal keys the changed one.
fn merge<'a, K, V: 'a>(
    base: impl Iterator<Item = (K, &'a V)>,
    changed: impl Iterator<Item = (K, &'a Option<V>)>,
    order: impl Fn(&K, &K) -> Ordering,
) -> impl Iterator<Item = (K, &'a V)> {
    let (mut base, mut changed) = (base.peekable(), changed.peekable());
    std::iter::from_fn(move || {
        loop {
            let first = match (base.peek(), changed.peek()) {
                (_, None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => order(one, other),
            };
            if first == Ordering::Less {
                return base.next();
            }
            if first == Ordering::Equal {
                base.next();
            }
            if let (key, Some(value)) = changed.next()? {
                return Some((key, value));
            }
        }
    })
}

impl<V> Default for LayeredTable<V> {
    fn default() -> Self {
        LayeredTable::new(PrefixTable::new())
    }
}

impl<V: fmt::Debug> fmt::Debug for LayeredTable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<V, K: AsRef<str>> FromIterator<(K, V)> for LayeredTable<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        LayeredTable::new(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use std::collections::BTreeMap;

    /// Few symbols make deep nesting; `a` and `+` sort differently from their bytes.
    #[test]
    fn agrees_with_a_naive_table_while_it_changes() {
        for (seed, alphabet) in [(1, "01"), (2, "0123456789"), (3, "12+*#aZ")] {
            let alphabet = alphabet.as_bytes();
            let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed);
            let mut naive: BTreeMap<String, u64> =
                (0..500).map(|n| (dice.text(alphabet, 0..=6), n)).collect();
            let mut table: LayeredTable<u64> = naive.iter().map(|(k, v)| (k, *v)).collect();
            for round in 0..120 {
                let known = naive.keys().nth(dice.roll(naive.len() as u64) as usize).cloned();
                let mut changes = vec![(dice.text(alphabet, 0..=6), Some(1000 + round))];
                changes.extend(known.map(|key| (key, (round % 3 == 0).then_some(round))));
                let before = table.clone();
                let untouched: Vec<(String, u64)> = before.iter().map(|(k, v)| (k, *v)).collect();
                table = table.with(changes.clone());
                assert!(untouched.iter().map(|(k, v)| (k.clone(), v)).eq(before.iter()));
                assert!(Arc::ptr_eq(&before.base, &table.base), "the base is shared");
                for (key, value) in changes {
                    match value {
                        Some(value) => naive.insert(key, value),
                        None => naive.remove(&key),
                    };
                }
                if round % 40 == 39 {
                    table = table.fold();
                    assert!(table.changed.is_empty());
                }
                agrees(&table, &naive, &mut dice, alphabet);
            }
        }
    }

    fn agrees(
        table: &LayeredTable<u64>,
        naive: &BTreeMap<String, u64>,
        dice: &mut Dice,
        alphabet: &[u8],
    ) {
        assert_eq!((table.len(), table.is_empty()), (naive.len(), naive.is_empty()));
        let listed: Vec<(String, u64)> = table.iter().map(|(key, value)| (key, *value)).collect();
        assert!(listed.is_sorted_by(|(one, _), (other, _)| order(one, other).is_lt()));
        assert_eq!(listed.into_iter().collect::<BTreeMap<_, _>>(), *naive);
        for _ in 0..20 {
            let number = dice.text(alphabet, 0..=9);
            let expected: Vec<(usize, u64)> = (0..=number.len())
                .rev()
                .filter_map(|n| naive.get(&number[..n]).map(|value| (n, *value)))
                .collect();
            let found: Vec<_> = table.matches(&number).map(|(n, v)| (n, *v)).collect();
            assert_eq!(found, expected, "{number}");
            assert_eq!(table.longest(&number).map(|(n, v)| (n, *v)), expected.first().copied());
            assert_eq!(table.get(&number), naive.get(&number));
        }
    }

    #[test]
    fn a_fold_pays_after_many_changed_prefixes() {
        let mut table: LayeredTable<u32> = LayeredTable::default();
        for n in 0..LayeredTable::<u32>::CHANGES as u32 {
            assert!(!table.needs_fold());
            table = table.with([("44", Some(n))]).with([(n.to_string(), Some(n))]);
        }
        assert!(table.needs_fold());
        assert!(!table.fold().needs_fold());
    }
}
