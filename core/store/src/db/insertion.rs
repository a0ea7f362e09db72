//! Many rows of one table at once.

use super::Statement;
use std::sync::OnceLock;

/// Rows of one statement, largest first: each statement is a round trip, to the connection's
/// thread or to the server, and each text is prepared once.
pub(super) const CHUNKS: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// A table and those of its columns that new rows fill.
#[derive(Debug)]
pub(crate) struct Insertion {
    pub(super) table: &'static str,
    pub(super) columns: &'static [&'static str],
    /// A statement for each of [`CHUNKS`], made at the first use.
    chunks: OnceLock<[Statement; CHUNKS.len()]>,
}

impl Insertion {
    pub(crate) const fn new(table: &'static str, columns: &'static [&'static str]) -> Insertion {
        Insertion { table, columns, chunks: OnceLock::new() }
    }

    /// The statements for several rows at once, and how many rows each takes.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (usize, &Statement)> {
        let made = self.chunks.get_or_init(|| {
            let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
            let into = format!("INSERT INTO {} ({}) VALUES ", self.table, self.columns.join(", "));
            CHUNKS.map(|rows| Statement::made(into.clone() + &vec![row.as_str(); rows].join(", ")))
        });
        CHUNKS.into_iter().zip(made)
    }

    /// The statement after which PostgreSQL takes rows.
    pub(super) fn copy(&self) -> String {
        format!("COPY {} ({}) FROM STDIN (FORMAT binary)", self.table, self.columns.join(", "))
    }
}
