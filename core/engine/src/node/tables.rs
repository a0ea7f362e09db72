//! Number tables of a running node: listed, and replaced when their files change.

use super::Node;
use crate::alarms::AlarmKind;
use crate::tables::{Table, Tables};
use api::ApiError;
use api::TableLine;
use business::ConfigErrors;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

impl Node {
    /// All tables, in name order.
    pub fn tables(&self) -> Vec<TableLine> {
        self.live_tables().iter().map(|table| self.table_line(table)).collect()
    }

    /// Reads the file of a table again and publishes it to new calls. Blocks for the file, so not
    /// for an async thread.
    pub fn read_table(&self, name: &str) -> Result<TableLine, ApiError> {
        let _turn = self.reloading.blocking_lock();
        let live = self.live_tables();
        let Some(table) = live.get(name) else {
            let names: Vec<&str> = live.iter().map(|table| table.list.name.as_str()).collect();
            let detail = format!("no table `{name}`; there are: {}", names.join(", "));
            return Err(ApiError::not_found(detail));
        };
        if table.list.file.is_none() {
            let detail =
                format!("the database keeps the rows of `{name}`: there is no file to read");
            return Err(ApiError::refused("table_refused", detail));
        }
        self.replace_table(table)
            .map(|table| self.table_line(&table))
            .map_err(|errors| ApiError::refused("table_refused", errors.to_string()))
    }

    /// Reads every changed file again, except those `being_written`. Errors are logged, and the
    /// table stays as it was. Blocks for the files.
    pub(crate) fn read_outdated_tables(&self, being_written: &BTreeSet<PathBuf>) {
        let _turn = self.reloading.blocking_lock();
        let live = self.live_tables();
        let complete = |table: &&Arc<Table>| {
            table.list.file.as_ref().is_some_and(|file| !being_written.contains(file))
        };
        for table in live.iter().filter(complete).filter(|table| table.is_outdated()) {
            let name = &table.list.name;
            match self.replace_table(table) {
                Ok(table) => {
                    let rows = table.numbers.len();
                    tracing::info!(table = %name, rows, "number file read again for new calls");
                }
                Err(errors) => {
                    let detail = format!("the number file is not taken: {errors}");
                    self.alarms.raise(AlarmKind::TableRefused, name, detail);
                }
            }
        }
    }

    /// Watches the folders of all tables, if enabled in the node file.
    pub(super) fn watch_tables(&self) -> notify::Result<()> {
        let mut watch = self.table_watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = watch.as_mut() {
            for folder in self.live_tables().folders() {
                watch.add(folder)?;
            }
        }
        Ok(())
    }

    /// The tables for new calls.
    pub(super) fn live_tables(&self) -> Tables {
        self.desk.snapshot().lookup.tables().clone()
    }

    /// Replaces a table under the lock of reloads, so that no snapshot is lost.
    fn replace_table(&self, table: &Arc<Table>) -> Result<Arc<Table>, ConfigErrors> {
        let read = table.read_again();
        let mut refusals = self.refused_tables.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(table) => {
                refusals.remove(&table.list.name);
                self.alarms.clear(AlarmKind::TableRefused, &table.list.name);
                let snapshot = self.desk.snapshot().with(vec![table.clone()]);
                self.desk.replace_snapshot(Arc::new(snapshot));
                Ok(table)
            }
            Err(errors) => {
                refusals.insert(table.list.name.clone(), errors.to_string());
                Err(errors)
            }
        }
    }

    fn table_line(&self, table: &Table) -> TableLine {
        let refusals = self.refused_tables.lock().unwrap_or_else(PoisonError::into_inner);
        TableLine {
            name: table.list.name.clone(),
            kind: table.list.kind.name().to_owned(),
            rows: table.numbers.len() as u64,
            bytes: table.numbers.bytes() as u64,
            loaded_ms: table.loaded_ms,
            file: table
                .list
                .file
                .as_ref()
                .map(|file| file.display().to_string())
                .unwrap_or_default(),
            error: refusals.get(&table.list.name).cloned().unwrap_or_default(),
        }
    }
}
