//! Prefix tables: digits to values, longest prefix first (ROUTE-16, BILL-02).
//!
//! A trie of 12-byte nodes in one vector. The children of a node lie side by side in the order of
//! their symbols, so that a bitmap and a population count find a child: a step costs one memory
//! access, and a million prefixes fit into the caches of a server. A key is split into 4-bit
//! symbols: one each for `0`-`9`, `*`, `#` and `+`; any other byte is an escape symbol followed by
//! its two halves.

use std::cmp::Ordering;
use std::fmt;

/// Maps prefixes to values; finds the entries that a number begins with.
///
/// Keys are compared byte by byte, case-sensitively. The empty prefix matches every number.
#[derive(Clone)]
pub struct PrefixTable<T> {
    nodes: Vec<Node>,
    values: Vec<T>,
    /// Starts of vacated runs of children, by the length of the run minus one.
    vacant: [Vec<u32>; SYMBOLS],
}

/// Symbols of the trie: as many as fit into the bitmap of a node.
const SYMBOLS: usize = 16;
/// First of the three symbols that encode a byte without its own symbol.
const ESCAPE: u8 = 15;

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Index of the first child.
    children: u32,
    /// Index into the values plus one; 0 means no value.
    value: u32,
    /// One bit per symbol that has a child.
    present: u16,
}

impl Node {
    fn child(self, symbol: u8) -> Option<usize> {
        let bit = 1_u16 << symbol;
        (self.present & bit != 0).then(|| self.children as usize + self.rank(symbol))
    }

    /// Number of children before `symbol`.
    fn rank(self, symbol: u8) -> usize {
        (self.present & ((1_u16 << symbol) - 1)).count_ones() as usize
    }
}

impl<T> PrefixTable<T> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        PrefixTable {
            nodes: vec![Node::default()],
            values: Vec::new(),
            vacant: std::array::from_fn(|_| Vec::new()),
        }
    }

    /// Sets the value of `prefix` and returns the one it replaces.
    pub fn insert(&mut self, prefix: &str, value: T) -> Option<T> {
        let node = self.reach(prefix);
        if let Some(old) = self.slot(self.nodes[node]) {
            return Some(std::mem::replace(&mut self.values[old], value));
        }
        self.values.push(value);
        self.nodes[node].value = index(self.values.len());
        None
    }

    /// The value of `prefix`; inserts the default first if there is none.
    pub fn entry(&mut self, prefix: &str) -> &mut T
    where
        T: Default,
    {
        let node = self.reach(prefix);
        let slot = self.slot(self.nodes[node]).unwrap_or_else(|| {
            self.values.push(T::default());
            self.nodes[node].value = index(self.values.len());
            self.values.len() - 1
        });
        &mut self.values[slot]
    }

    /// The value of exactly this prefix.
    #[must_use]
    pub fn get(&self, prefix: &str) -> Option<&T> {
        let mut node = self.nodes[0];
        for byte in prefix.bytes() {
            node = self.step(node, byte)?;
        }
        self.value(node)
    }

    /// The longest prefix of `number` in the table: its length in bytes and its value.
    #[must_use]
    pub fn longest(&self, number: &str) -> Option<(usize, &T)> {
        let mut node = self.nodes[0];
        let mut found = (0, node.value);
        for (position, byte) in number.bytes().enumerate() {
            let Some(next) = self.step(node, byte) else { break };
            node = next;
            if node.value != 0 {
                found = (position + 1, node.value);
            }
        }
        Some((found.0, self.values.get((found.1 as usize).checked_sub(1)?)?))
    }

    /// Every prefix of `number` in the table, longest first: length in bytes and value.
    pub fn matches(&self, number: &str) -> impl Iterator<Item = (usize, &T)> + use<'_, T> {
        let mut found = Vec::new();
        let mut node = self.nodes[0];
        found.extend(self.slot(node).map(|slot| (0, slot)));
        for (position, byte) in number.bytes().enumerate() {
            let Some(next) = self.step(node, byte) else { break };
            node = next;
            found.extend(self.slot(node).map(|slot| (position + 1, slot)));
        }
        found.into_iter().rev().map(|(length, slot)| (length, &self.values[slot]))
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Every entry; shorter prefixes before longer ones that begin with them, digits in
    /// ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (String, &T)> {
        let mut open = vec![(0_usize, Vec::new())];
        std::iter::from_fn(move || {
            loop {
                let (node, symbols) = open.pop()?;
                let node = self.nodes[node];
                for symbol in (0..SYMBOLS as u8).rev() {
                    if let Some(child) = node.child(symbol) {
                        let mut longer = symbols.clone();
                        longer.push(symbol);
                        open.push((child, longer));
                    }
                }
                if let Some(value) = self.value(node) {
                    return Some((spell(&symbols), value));
                }
            }
        })
    }

    /// Bytes used by the trie itself, values not counted.
    #[must_use]
    pub fn trie_bytes(&self) -> usize {
        let vacant: usize = self.vacant.iter().map(Vec::capacity).sum();
        self.nodes.capacity() * size_of::<Node>() + vacant * size_of::<u32>()
    }

    /// Moves the nodes of each branch and their values side by side, in the order of
    /// [`PrefixTable::iter`], and frees the spare room: half of it after a million insertions. For
    /// tables that are only read from now on.
    pub fn compact(&mut self) {
        let vacant = self.vacant.iter().enumerate();
        let vacant: usize = vacant.map(|(more, starts)| (more + 1) * starts.len()).sum();
        let mut nodes = Vec::with_capacity(self.nodes.len() - vacant);
        let mut old: Vec<Option<T>> =
            std::mem::take(&mut self.values).into_iter().map(Some).collect();
        let mut values = Vec::with_capacity(old.len());
        nodes.push(self.nodes[0]);
        let mut open = vec![0_usize];
        while let Some(place) = open.pop() {
            let node = nodes[place];
            let (from, count) = (node.children as usize, node.present.count_ones() as usize);
            let to = nodes.len();
            nodes.extend_from_slice(&self.nodes[from..from + count]);
            nodes[place].children = index(to);
            if let Some(value) = self.slot(node).and_then(|slot| old[slot].take()) {
                values.push(value);
                nodes[place].value = index(values.len());
            }
            open.extend((to..to + count).rev());
        }
        *self = PrefixTable { nodes, values, vacant: std::array::from_fn(|_| Vec::new()) };
    }

    fn slot(&self, node: Node) -> Option<usize> {
        (node.value as usize).checked_sub(1)
    }

    fn value(&self, node: Node) -> Option<&T> {
        self.slot(node).map(|slot| &self.values[slot])
    }

    /// The node one byte down.
    fn step(&self, node: Node, byte: u8) -> Option<Node> {
        let symbol = symbol(byte);
        let next = self.nodes[node.child(symbol)?];
        if symbol != ESCAPE {
            return Some(next);
        }
        let half = self.nodes[next.child(byte >> 4)?];
        Some(self.nodes[half.child(byte & 15)?])
    }

    /// Walks to the node of `prefix` and creates missing ones.
    fn reach(&mut self, prefix: &str) -> usize {
        prefix.bytes().fold(0, |node, byte| match symbol(byte) {
            ESCAPE => {
                let node = self.child_of(node, ESCAPE);
                let node = self.child_of(node, byte >> 4);
                self.child_of(node, byte & 15)
            }
            symbol => self.child_of(node, symbol),
        })
    }

    /// The child of `parent` for `symbol`; creates a missing one by moving the run of children to a
    /// place that is one longer.
    fn child_of(&mut self, parent: usize, symbol: u8) -> usize {
        let node = self.nodes[parent];
        if let Some(child) = node.child(symbol) {
            return child;
        }
        let (count, rank) = (node.present.count_ones() as usize, node.rank(symbol));
        let from = node.children as usize;
        let to = match self.vacant[count].pop() {
            Some(start) => start as usize,
            None => {
                let end = self.nodes.len();
                self.nodes.resize(end + count + 1, Node::default());
                end
            }
        };
        self.nodes.copy_within(from..from + rank, to);
        self.nodes.copy_within(from + rank..from + count, to + rank + 1);
        self.nodes[to + rank] = Node::default();
        if count > 0 {
            self.vacant[count - 1].push(node.children);
        }
        let parent = &mut self.nodes[parent];
        parent.children = index(to);
        parent.present |= 1 << symbol;
        to + rank
    }
}

fn symbol(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'*' => 10,
        b'#' => 11,
        b'+' => 12,
        _ => ESCAPE,
    }
}

/// The order of [`PrefixTable::iter`].
pub(crate) fn order(one: &str, other: &str) -> Ordering {
    let key = |byte: u8| (symbol(byte), byte);
    one.bytes().map(key).cmp(other.bytes().map(key))
}

/// The key of a path of symbols.
fn spell(symbols: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(symbols.len());
    let mut rest = symbols.iter().copied();
    while let Some(symbol) = rest.next() {
        bytes.push(match symbol {
            0..=9 => b'0' + symbol,
            10 => b'*',
            11 => b'#',
            12 => b'+',
            _ => rest.next().unwrap_or(0) << 4 | rest.next().unwrap_or(0),
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Positions are 32 bits wide: a table of more than four billion nodes does not fit into memory
/// anyway.
fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        PrefixTable::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for PrefixTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<T, K: AsRef<str>> FromIterator<(K, T)> for PrefixTable<T> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(entries: I) -> Self {
        let mut table = PrefixTable::new();
        table.extend(entries);
        table
    }
}

impl<T, K: AsRef<str>> Extend<(K, T)> for PrefixTable<T> {
    fn extend<I: IntoIterator<Item = (K, T)>>(&mut self, entries: I) {
        for (prefix, value) in entries {
            self.insert(prefix.as_ref(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use std::collections::BTreeMap;

    #[test]
    fn agrees_with_a_naive_table_on_random_prefixes() {
        for (seed, alphabet) in [(1, "01"), (2, "0123456789"), (3, "12+*#aZ"), (4, "9 ~A")] {
            let alphabet = alphabet.as_bytes();
            let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed);
            let mut table = PrefixTable::new();
            let mut naive = BTreeMap::new();
            for value in 0..2000_u32 {
                let key = dice.text(alphabet, 0..=8);
                assert_eq!(table.insert(&key, value), naive.insert(key, value));
            }
            assert_eq!(table.len(), naive.len());
            if seed % 2 == 0 {
                table.compact();
                let spare = table.vacant.iter().any(|starts| !starts.is_empty());
                assert!(!spare && table.nodes.len() == table.nodes.capacity());
            }
            let keys: Vec<String> = table.iter().map(|(key, _)| key).collect();
            assert!(keys.is_sorted_by(|one, other| order(one, other).is_lt()));
            let listed: BTreeMap<String, u32> = table.iter().map(|(k, v)| (k, *v)).collect();
            assert_eq!(listed, naive);
            for _ in 0..2000 {
                let number = dice.text(alphabet, 0..=12);
                let expected: Vec<(usize, u32)> = (0..=number.len())
                    .rev()
                    .filter_map(|n| naive.get(&number[..n]).map(|value| (n, *value)))
                    .collect();
                let found: Vec<_> = table.matches(&number).map(|(n, v)| (n, *v)).collect();
                assert_eq!(found, expected, "seed {seed}, number {number}");
                assert_eq!(table.longest(&number).map(|(n, v)| (n, *v)), expected.first().copied());
                assert_eq!(table.get(&number), naive.get(&number));
            }
        }
    }

    #[test]
    fn route_16_longest_prefix_first_and_the_empty_prefix_matches_everything() {
        let table: PrefixTable<&str> =
            [("", "rest"), ("44", "uk"), ("447", "uk mobile")].into_iter().collect();
        assert_eq!(table.longest("447700900123"), Some((3, &"uk mobile")));
        assert_eq!(table.longest("4420"), Some((2, &"uk")));
        assert_eq!(table.longest("1"), Some((0, &"rest")));
        assert_eq!(table.longest(""), Some((0, &"rest")));
        let all: Vec<_> = table.matches("4477").map(|(_, value)| *value).collect();
        assert_eq!(all, ["uk mobile", "uk", "rest"]);
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        let table: PrefixTable<u8> = PrefixTable::default();
        assert_eq!(table.longest("44"), None);
        assert_eq!(table.matches("44").count(), 0);
        assert_eq!(format!("{table:?}"), "{}");
    }
}
