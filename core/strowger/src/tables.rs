//! The number tables of a node: read from their files, shared by all shards and plugins,
//! replaced whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use store::ConfigErrors;
use store::business::{FileStamp, FilledList, NumberList};

/// A table in service.
#[derive(Debug)]
pub(crate) struct Table {
    /// What is configured.
    pub(crate) list: NumberList,
    /// The rows.
    pub(crate) numbers: Arc<ledger::NumberTable>,
    /// The file that they came from.
    pub(crate) stamp: FileStamp,
    /// When they were read, UTC milliseconds.
    pub(crate) loaded_ms: u64,
}

/// All tables, by name. A clone shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables(BTreeMap<String, Arc<Table>>);

impl Table {
    fn new(filled: FilledList) -> Arc<Table> {
        let FilledList { list, numbers, stamp } = filled;
        Arc::new(Table { list, numbers, stamp, loaded_ms: crate::clock::utc_ms() })
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// What is wrong in it, with the place.
    pub(crate) fn read_again(&self) -> Result<Arc<Table>, ConfigErrors> {
        self.list.clone().fill().map(Table::new)
    }

    /// Whether the file is another one than was read.
    pub(crate) fn is_outdated(&self) -> bool {
        FileStamp::of(&self.list.file).is_ok_and(|stamp| stamp != self.stamp)
    }

    /// Rows without a file.
    #[cfg(test)]
    pub(crate) fn for_test(
        name: &str,
        kind: store::business::ListKind,
        rows: &[(&str, &str)],
    ) -> Arc<Table> {
        let mut builder = ledger::NumberTableBuilder::new();
        for (number, value) in rows {
            builder.push(number, value).unwrap();
        }
        let list = NumberList { name: name.to_owned(), kind, file: "/dev/null".into() };
        let stamp = FileStamp::of(&list.file).unwrap();
        Table::new(FilledList { list, numbers: Arc::new(builder.build().unwrap()), stamp })
    }
}

impl Tables {
    /// Tables that were read with the business; those that are as they were in `live` stay.
    pub(crate) fn of(lists: &[FilledList], live: &Tables) -> Tables {
        let table = |filled: &FilledList| {
            let same = live
                .get(&filled.list.name)
                .filter(|table| table.list == filled.list && table.numbers == filled.numbers);
            same.cloned().unwrap_or_else(|| Table::new(filled.clone()))
        };
        Tables(lists.iter().map(|filled| (filled.list.name.clone(), table(filled))).collect())
    }

    /// Reads the files of lists that the database names.
    ///
    /// # Errors
    /// What is wrong in the first file that cannot be taken.
    pub(crate) fn read(lists: &[NumberList]) -> Result<Tables, ConfigErrors> {
        let table = |list: &NumberList| Ok((list.name.clone(), Table::new(list.clone().fill()?)));
        lists.iter().map(table).collect::<Result<_, _>>().map(Tables)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Table>> {
        self.0.get(name)
    }

    /// By name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.0.values()
    }

    /// Puts other states in the place of tables.
    pub(crate) fn replace(&mut self, tables: Vec<Arc<Table>>) {
        self.0.extend(tables.into_iter().map(|table| (table.list.name.clone(), table)));
    }

    /// Folders of the files.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.iter().filter_map(|table| table.list.file.parent())
    }

    /// Whether they are the tables of `live`, neither more nor fewer.
    pub(crate) fn are(&self, live: &Tables) -> bool {
        let same = |table: &Arc<Table>| {
            live.get(&table.list.name).is_some_and(|other| Arc::ptr_eq(table, other))
        };
        self.0.len() == live.0.len() && self.iter().all(same)
    }

    /// A line for each table whose rows differ from those of `live`.
    pub(crate) fn differences(&self, live: &Tables) -> Vec<String> {
        let line = |table: &Arc<Table>| {
            let before = live.get(&table.list.name)?;
            let (name, rows) = (&table.list.name, table.numbers.len());
            (before.numbers != table.numbers)
                .then(|| format!("~ table {name}: {} -> {rows} rows", before.numbers.len()))
        };
        self.iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::business::ListKind;

    #[test]
    fn a_table_that_did_not_change_is_not_replaced() {
        let live = Table::for_test("t", ListKind::Exact, &[("44", "a")]);
        let mut tables = Tables::default();
        tables.replace(vec![live.clone()]);
        let filled = |table: &Arc<Table>| FilledList {
            list: table.list.clone(),
            numbers: table.numbers.clone(),
            stamp: table.stamp,
        };
        let same = Tables::of(&[filled(&live)], &tables);
        assert!(Arc::ptr_eq(same.get("t").unwrap(), &live));
        assert_eq!(same.differences(&tables), Vec::<String>::new());
        let more = Table::for_test("t", ListKind::Exact, &[("44", "a"), ("45", "")]);
        let other = Tables::of(&[filled(&more)], &tables);
        assert_eq!(other.differences(&tables), ["~ table t: 1 -> 2 rows"]);
    }
}
