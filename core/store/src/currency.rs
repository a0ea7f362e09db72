//! The currency of an account: once money has moved it stays (BILL-74).

use crate::error::{StoreError, Task};
use serde_json::{Map, Value};
use sqlx::sqlite::SqliteConnection;

pub(crate) const MOVED: &str = "SELECT EXISTS (SELECT 1 FROM account WHERE id = ?1 \
     AND (balance_units <> 0 OR balance_fraction <> 0)) \
     OR EXISTS (SELECT 1 FROM posting WHERE account = ?1)";

/// Refuses another currency for an account that has a balance or postings: the amounts would
/// be taken for amounts of it.
pub(crate) async fn refuse_change(
    connection: &mut SqliteConnection,
    (id, name): (u32, &str),
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Result<(), StoreError> {
    let of = |body: &Map<String, Value>| {
        body.get("currency").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (old, new) = (of(before), of(after));
    if old == new {
        return Ok(());
    }
    let moved: bool = sqlx::query_scalar(MOVED)
        .bind(id)
        .fetch_one(connection)
        .await
        .during("looking for postings of an account")?;
    if moved {
        return Err(StoreError::Refused(format!(
            "account {name}: currency = \"{new}\" is refused, its balance and postings are in \
             {old}; make another account for {new} (BILL-74)"
        )));
    }
    Ok(())
}
