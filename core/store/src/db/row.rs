//! What comes back from a statement.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

/// A row of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Row<'r> {
    Sqlite(&'r SqliteRow),
    Postgres(&'r PgRow),
}

/// A column of an answer as a type of ours.
pub(crate) trait Column: Sized {
    fn of(row: Row<'_>, column: usize) -> Result<Self, sqlx::Error>;
}

/// What both drivers read as it is.
macro_rules! as_it_is {
    ($($type:ty),*) => {
        $(impl Column for $type {
            fn of(row: Row<'_>, column: usize) -> Result<Self, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(column),
                    Row::Postgres(row) => row.try_get(column),
                }
            }
        })*
    };
}

as_it_is!(i64, bool, String, Vec<u8>, Option<i64>, Option<String>);

/// Integers that the database keeps in 64 bits.
macro_rules! narrower {
    ($($type:ty),*) => {
        $(impl Column for $type {
            fn of(row: Row<'_>, column: usize) -> Result<Self, sqlx::Error> {
                <$type>::try_from(i64::of(row, column)?).map_err(|error| {
                    sqlx::Error::ColumnDecode { index: column.to_string(), source: error.into() }
                })
            }
        })*
    };
}

narrower!(u16, u32);

/// A row as a tuple of its columns.
pub(crate) trait FromRow: Sized + Send + Unpin {
    fn of(row: Row<'_>) -> Result<Self, sqlx::Error>;
}

macro_rules! tuples {
    ($(($($name:ident $at:literal),*)),* $(,)?) => {
        $(impl<$($name: Column + Send + Unpin),*> FromRow for ($($name,)*) {
            fn of(row: Row<'_>) -> Result<Self, sqlx::Error> {
                Ok(($($name::of(row, $at)?,)*))
            }
        })*
    };
}

tuples! {
    (A 0),
    (A 0, B 1),
    (A 0, B 1, C 2),
    (A 0, B 1, C 2, D 3),
    (A 0, B 1, C 2, D 3, E 4),
    (A 0, B 1, C 2, D 3, E 4, F 5),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6),
}
