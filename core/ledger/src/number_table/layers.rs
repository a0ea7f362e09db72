//! Rows that were changed one by one since a table was built.

use super::NumberTable;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A change of one row of a number list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberChange {
    /// The number has this value from now on.
    Put {
        /// The number or prefix.
        number: String,
        /// Its value, may be empty.
        value: String,
    },
    /// The row of this number goes.
    Remove(String),
}

impl NumberChange {
    /// The number whose row changes.
    #[must_use]
    pub fn number(&self) -> &str {
        match self {
            NumberChange::Put { number, .. } | NumberChange::Remove(number) => number,
        }
    }
}

/// A [`NumberTable`] and the rows that were changed since it was built. A clone shares both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayeredNumbers {
    base: Arc<NumberTable>,
    /// The value of each changed row; none where the row was removed.
    changed: Arc<BTreeMap<Box<str>, Option<Box<str>>>>,
    /// Rows of both layers together.
    len: usize,
}

impl LayeredNumbers {
    /// Changed rows from which on a table should be built again: each look-up tries them first.
    const MANY: usize = 1000;

    /// A table without changes.
    #[must_use]
    pub fn new(base: impl Into<Arc<NumberTable>>) -> LayeredNumbers {
        let base = base.into();
        LayeredNumbers { len: base.len(), base, changed: Arc::default() }
    }

    /// The same with some rows changed, in their order.
    #[must_use]
    pub fn with<'a>(&self, changes: impl IntoIterator<Item = &'a NumberChange>) -> LayeredNumbers {
        let mut changed = BTreeMap::clone(&self.changed);
        let mut len = self.len;
        for change in changes {
            let number = change.number();
            let before = match changed.get(number) {
                Some(value) => value.is_some(),
                None => self.base.get(number).is_some(),
            };
            let value = match change {
                NumberChange::Put { value, .. } => Some(value.as_str().into()),
                NumberChange::Remove(_) => None,
            };
            len = len + usize::from(value.is_some()) - usize::from(before);
            changed.insert(number.into(), value);
        }
        LayeredNumbers { base: Arc::clone(&self.base), changed: Arc::new(changed), len }
    }

    /// The rows as they were when the table was built.
    #[must_use]
    pub fn base(&self) -> &NumberTable {
        &self.base
    }

    /// Whether so many rows have changed that the table should be built again.
    #[must_use]
    pub fn needs_fold(&self) -> bool {
        self.changed.len() >= Self::MANY
    }

    /// The longest entry that `number` begins with: its length in bytes and its value.
    #[must_use]
    pub fn longest(&self, number: &str) -> Option<(usize, &str)> {
        if self.changed.is_empty() {
            return self.base.longest(number);
        }
        let changed = (0..=number.len()).rev().filter(|length| number.is_char_boundary(*length));
        let mut changed = changed.filter_map(|length| {
            self.changed.get(&number[..length])?.as_deref().map(|value| (length, value))
        });
        let changed = changed.next();
        let mut unchanged = self.base.longest(number);
        while let Some((length, _)) = unchanged
            && self.changed.contains_key(&number[..length])
        {
            // It is not so any more; a shorter entry may be.
            let shorter = length.checked_sub(1).map(|end| number.floor_char_boundary(end));
            unchanged = shorter.and_then(|end| self.base.longest(&number[..end]));
        }
        match (changed, unchanged) {
            (Some(changed), Some(unchanged)) if unchanged.0 > changed.0 => Some(unchanged),
            (changed, unchanged) => changed.or(unchanged),
        }
    }

    /// The value of the entry that equals `number`.
    #[must_use]
    pub fn get(&self, number: &str) -> Option<&str> {
        match self.changed.get(number) {
            Some(value) => value.as_deref(),
            None => self.base.get(number),
        }
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that the table and the changed rows take, values included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = |value: &Option<Box<str>>| value.as_ref().map_or(0, |value| value.len());
        let row = size_of::<(Box<str>, Option<Box<str>>)>();
        let rows = self.changed.iter();
        self.base.bytes()
            + rows.map(|(number, value)| row + number.len() + text(value)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::NumberTableBuilder;
    use super::*;

    fn table(rows: &[(String, String)]) -> NumberTable {
        let mut builder = NumberTableBuilder::new();
        for (number, value) in rows {
            builder.push(number, value).expect("it takes the row");
        }
        builder.build().expect("it is small")
    }

    /// Against a table that is built from the rows as they are after each change.
    #[test]
    fn changed_rows_are_found_as_if_the_table_was_built_with_them() {
        let mut state = 11_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let number = |draw: &mut dyn FnMut(u64) -> u64| -> String {
            (0..draw(5)).map(|_| ['1', '2', 'x', 'é'][draw(4) as usize]).collect()
        };
        for round in 0..40 {
            let mut rows: BTreeMap<String, String> = BTreeMap::new();
            for n in 0..draw(20) {
                rows.insert(number(&mut draw), format!("base{n}"));
            }
            let of = |rows: &BTreeMap<String, String>| {
                let rows: Vec<(String, String)> = rows.clone().into_iter().collect();
                table(&rows)
            };
            let mut layered = LayeredNumbers::new(of(&rows));
            for n in 0..30 {
                let changed = number(&mut draw);
                let change = if draw(2) == 0 {
                    rows.remove(&changed);
                    NumberChange::Remove(changed)
                } else {
                    let value = format!("new{n}");
                    rows.insert(changed.clone(), value.clone());
                    NumberChange::Put { number: changed, value }
                };
                layered = layered.with([&change]);
                let built = of(&rows);
                assert_eq!(layered.len(), built.len(), "round {round}, {change:?}");
                assert_eq!(layered.is_empty(), built.is_empty());
                for _ in 0..20 {
                    let asked = number(&mut draw) + &number(&mut draw);
                    let at = format!("round {round}, {change:?}, asked for {asked}");
                    assert_eq!(layered.get(&asked), built.get(&asked), "{at}");
                    assert_eq!(layered.longest(&asked), built.longest(&asked), "{at}");
                }
            }
        }
    }

    #[test]
    fn many_changed_rows_ask_to_be_folded() {
        let change = |n: usize| NumberChange::Put { number: n.to_string(), value: String::new() };
        let changes: Vec<NumberChange> = (0..LayeredNumbers::MANY).map(change).collect();
        let empty = LayeredNumbers::new(NumberTable::default());
        assert!(!empty.with(&changes[1..]).needs_fold());
        let many = empty.with(&changes);
        assert!(many.needs_fold());
        assert!(many.bytes() > empty.bytes());
    }
}
