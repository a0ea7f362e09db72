//! Rows of number lists kept in the database: read whole, read page by page, changed one by one.

use crate::apply::json;
use crate::change::Action;
use crate::db::{Connection, Insertion, Statement, values};
use crate::edit::{Edit, Edited, absent, current, done};
use crate::error::{StoreError, Task};
use crate::objects::{NUMBER_LISTS, ObjectKind, Ownership, find};
use crate::store::Store;
use ledger::{NumberChange, NumberTable, NumberTableBuilder};

/// Rows read at once.
const PAGE: u32 = 5000;
/// Most rows listed in the history of a change; the other rows are counted.
const TOLD: usize = 100;

pub(crate) static LIST_ROWS: Insertion = Insertion::new("list_row", &["list", "number", "value"]);
pub(crate) static LIST_PAGE: Statement = Statement::both(
    "SELECT number, value FROM list_row WHERE list = ? AND number > ? ORDER BY number LIMIT ?",
);
/// The empty number sorts before all others.
pub(crate) static FIRST_LIST_PAGE: Statement =
    Statement::both("SELECT number, value FROM list_row WHERE list = ? ORDER BY number LIMIT ?");
pub(crate) static FIND_LIST_ROW: Statement =
    Statement::both("SELECT value FROM list_row WHERE list = ? AND number = ?");
pub(crate) static REMOVE_LIST_ROW: Statement =
    Statement::both("DELETE FROM list_row WHERE list = ? AND number = ?");

impl Store {
    /// All rows of a list kept in the database, ready for lookups.
    ///
    /// # Errors
    ///
    /// The database fails or the list has more rows than a table holds.
    pub async fn list_table(&self, list: u32) -> Result<NumberTable, StoreError> {
        let mut reader = self.reader().await?;
        let mut builder = NumberTableBuilder::new();
        let mut after: Option<String> = None;
        let unreadable = |error| StoreError::unreadable(format!("number list {list}"), error);
        loop {
            let rows = page(&mut reader, list, after.as_deref(), PAGE).await?;
            for (number, value) in &rows {
                builder.push(number, value).map_err(unreadable)?;
            }
            match rows.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => return builder.build().map_err(unreadable),
            }
        }
    }

    /// Rows of a list in number order, `limit` at most, starting after number `after`: number and
    /// value.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn list_page(
        &self,
        list: u32,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        page(&mut self.reader().await?, list, after, limit).await
    }

    /// Changes rows of a list kept in the database.
    ///
    /// # Errors
    ///
    /// As [`Store::edit`]; or the rows of the list are in a file.
    pub async fn edit_list(
        &self,
        name: &str,
        revision: u64,
        who: &str,
        changes: &[NumberChange],
    ) -> Result<Edited, StoreError> {
        self.change_one(async |connection| write(connection, name, revision, who, changes).await)
            .await
    }
}

async fn page(
    connection: &mut Connection,
    list: u32,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = match after {
        Some(after) => connection.rows(&LIST_PAGE, values![list, after, limit]).await,
        None => connection.rows(&FIRST_LIST_PAGE, values![list, limit]).await,
    };
    rows.during("reading a number list")
}

async fn write(
    connection: &mut Connection,
    name: &str,
    revision: u64,
    who: &str,
    changes: &[NumberChange],
) -> Result<Edited, StoreError> {
    let kind = ObjectKind::NumberList;
    let present = find(connection, &NUMBER_LISTS, name).await?.filter(|list| !list.removed);
    let Some(list) = present else { return Err(absent(kind, name)) };
    current(kind, name, Some(&list), Some(revision))?;
    if let Some(file) = list.body.get("file") {
        return Err(StoreError::Refused(format!(
            "the rows of {kind} {name} are those of {file}; change the file"
        )));
    }
    let mut details = Vec::new();
    for change in changes {
        details.extend(write_row(connection, list.id, change).await?);
    }
    if details.is_empty() {
        return Ok(Edited { id: list.id, revision, change: None, body: Some(list.body) });
    }
    if let Some(more) = details.len().checked_sub(TOLD).filter(|more| *more > 0) {
        details.truncate(TOLD);
        details.push(format!("and {more} more rows"));
    }
    connection
        .execute(&NUMBER_LISTS.update, values![json(&list.body), Ownership::Api.name(), list.id])
        .await
        .during("changing a number list")?;
    let edit = Edit::of_rows(kind, name, who);
    let done = done(connection, &edit, list.id, revision + 1, Action::Changed, details).await?;
    Ok(Edited { body: Some(list.body), ..done })
}

/// Writes one row; returns the history line if anything differs.
async fn write_row(
    connection: &mut Connection,
    list: u32,
    change: &NumberChange,
) -> Result<Option<String>, StoreError> {
    let number = change.number();
    let before: Option<(String,)> = connection
        .row(&FIND_LIST_ROW, values![list, number])
        .await
        .during("looking for a row of a number list")?;
    let before = before.map(|(value,)| value);
    let after = match change {
        NumberChange::Put { value, .. } => Some(value),
        NumberChange::Remove(_) => None,
    };
    if before.as_ref() == after {
        return Ok(None);
    }
    if before.is_some() {
        connection
            .execute(&REMOVE_LIST_ROW, values![list, number])
            .await
            .during("removing a row of a number list")?;
    }
    if let Some(value) = after {
        connection
            .insert_rows(&LIST_ROWS, &[(number, value)], |(number, value)| {
                [list.into(), (*number).into(), value.as_str().into()]
            })
            .await
            .during("writing a row of a number list")?;
    }
    let text = |value: &str| if value.is_empty() { String::new() } else { format!(" = {value}") };
    Ok(Some(match (before.as_deref(), after) {
        (None, Some(after)) => format!("+ {number}{}", text(after)),
        (Some(before), None) => format!("- {number}{}", text(before)),
        (before, after) => {
            let shown = |value: Option<&str>| value.unwrap_or_default().to_owned();
            format!("~ {number}: {} -> {}", shown(before), shown(after.map(String::as_str)))
        }
    }))
}
