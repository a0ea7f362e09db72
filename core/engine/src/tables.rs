//! The number tables of a node: read from files or the database, shared by all shards and plugins,
//! replaced as a whole.

use business::ConfigErrors;
use business::{FileStamp, FilledList, NumberList};
use ledger::{LayeredNumbers, NumberChange, NumberTable};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use store::{LoadedList, Store, StoreError};
use thiserror::Error;

/// A table in use.
#[derive(Debug)]
pub(crate) struct Table {
    /// The list as configured.
    pub(crate) list: NumberList,
    /// The rows.
    pub(crate) numbers: LayeredNumbers,
    /// The state of its file; `None` if the rows are in the database.
    pub(crate) stamp: Option<FileStamp>,
    /// When it was read or changed, UTC ms.
    pub(crate) loaded_ms: u64,
}

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum TableError {
    /// Errors in its file.
    #[error(transparent)]
    File(#[from] ConfigErrors),
    /// The database, which has its rows or the list of tables.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All tables, by name. A clone shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables(BTreeMap<String, Arc<Table>>);

impl Table {
    fn new(filled: FilledList) -> Arc<Table> {
        let FilledList { list, numbers, stamp } = filled;
        Table::of(list, LayeredNumbers::new(numbers), Some(stamp))
    }

    fn of(list: NumberList, numbers: LayeredNumbers, stamp: Option<FileStamp>) -> Arc<Table> {
        Arc::new(Table { list, numbers, stamp, loaded_ms: crate::clock::utc_ms() })
    }

    /// Reads the file of a list.
    ///
    /// # Errors
    /// The errors in it, with their places; the list has no file.
    pub(crate) fn of_file(list: NumberList) -> Result<Arc<Table>, ConfigErrors> {
        list.fill().map(Table::new)
    }

    /// A table of rows kept in the database.
    pub(crate) fn kept(list: NumberList, numbers: NumberTable) -> Arc<Table> {
        Table::of(list, LayeredNumbers::new(numbers), None)
    }

    /// Reads the rows of a list from its file or the database. A file of millions of rows takes
    /// seconds.
    ///
    /// # Errors
    /// The errors in the file, or the database fails.
    pub(crate) async fn read(store: &Store, list: &LoadedList) -> Result<Arc<Table>, TableError> {
        let LoadedList { id, list } = list.clone();
        if list.file.is_some() {
            return Ok(Table::of_file(list)?);
        }
        Ok(Table::kept(list, store.list_table(id).await?))
    }

    /// The same table with some rows changed.
    pub(crate) fn with(&self, changes: &[NumberChange]) -> Arc<Table> {
        Table::of(self.list.clone(), self.numbers.with(changes), self.stamp)
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// The errors in it, with their places; the list has no file.
    pub(crate) fn read_again(&self) -> Result<Arc<Table>, ConfigErrors> {
        Table::of_file(self.list.clone())
    }

    /// Whether the file has changed since it was read.
    pub(crate) fn is_outdated(&self) -> bool {
        let Some(file) = &self.list.file else { return false };
        FileStamp::of(file).is_ok_and(|stamp| Some(stamp) != self.stamp)
    }

    /// A table without a file.
    #[cfg(test)]
    pub(crate) fn for_test(
        name: &str,
        kind: business::ListKind,
        rows: &[(&str, &str)],
    ) -> Arc<Table> {
        let mut builder = ledger::NumberTableBuilder::new();
        for (number, value) in rows {
            builder.push(number, value).unwrap();
        }
        let file = std::path::PathBuf::from("/dev/null");
        let stamp = FileStamp::of(&file).unwrap();
        let list = NumberList { name: name.to_owned(), kind, file: Some(file) };
        Table::new(FilledList { list, numbers: Arc::new(builder.build().unwrap()), stamp })
    }
}

impl Tables {
    /// Tables read with the business; those unchanged since `live` are shared.
    pub(crate) fn of(lists: &[FilledList], live: &Tables) -> Tables {
        let table = |filled: &FilledList| {
            let numbers = LayeredNumbers::new(Arc::clone(&filled.numbers));
            let same = live
                .get(&filled.list.name)
                .filter(|table| table.list == filled.list && table.numbers == numbers);
            same.cloned().unwrap_or_else(|| Table::new(filled.clone()))
        };
        Tables(lists.iter().map(|filled| (filled.list.name.clone(), table(filled))).collect())
    }

    /// The tables of all lists in use: those already `read`, the others from their files or the
    /// database.
    ///
    /// # Errors
    /// The error of the first table that cannot be read.
    pub(crate) async fn read(
        store: &Store,
        lists: &[LoadedList],
        read: &Tables,
    ) -> Result<Tables, TableError> {
        let mut tables = Tables::default();
        for list in lists {
            let known = read.get(&list.list.name).filter(|table| table.list == list.list);
            let table = match known {
                Some(table) => Arc::clone(table),
                None => Table::read(store, list).await?,
            };
            tables.replace(vec![table]);
        }
        Ok(tables)
    }

    /// These tables, and those of `others` with other names.
    pub(crate) fn and(&self, others: &Tables) -> Tables {
        let mut both = others.0.clone();
        both.extend(self.0.clone());
        Tables(both)
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Table>> {
        self.0.get(name)
    }

    /// The tables in name order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.0.values()
    }

    /// Replaces tables.
    pub(crate) fn replace(&mut self, tables: Vec<Arc<Table>>) {
        self.0.extend(tables.into_iter().map(|table| (table.list.name.clone(), table)));
    }

    /// Folders of the files.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.iter().filter_map(|table| table.list.file.as_deref()?.parent())
    }

    /// Whether they are exactly the tables of `live`.
    pub(crate) fn are(&self, live: &Tables) -> bool {
        let same = |table: &Arc<Table>| {
            live.get(&table.list.name).is_some_and(|other| Arc::ptr_eq(table, other))
        };
        self.0.len() == live.0.len() && self.iter().all(same)
    }

    /// One line per table whose rows differ from those of `live`.
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
    use business::ListKind;

    #[test]
    fn a_table_that_did_not_change_is_not_replaced() {
        let live = Table::for_test("t", ListKind::Exact, &[("44", "a")]);
        let mut tables = Tables::default();
        tables.replace(vec![live.clone()]);
        let filled = |table: &Arc<Table>| FilledList {
            list: table.list.clone(),
            numbers: Arc::new(table.numbers.base().clone()),
            stamp: table.stamp.unwrap(),
        };
        let same = Tables::of(&[filled(&live)], &tables);
        assert!(Arc::ptr_eq(same.get("t").unwrap(), &live));
        assert_eq!(same.differences(&tables), Vec::<String>::new());
        let more = Table::for_test("t", ListKind::Exact, &[("44", "a"), ("45", "")]);
        let other = Tables::of(&[filled(&more)], &tables);
        assert_eq!(other.differences(&tables), ["~ table t: 1 -> 2 rows"]);
    }
}
