//! The currency of an account is fixed once money has moved (BILL-74).

use crate::db::{Connection, Statement, values};
use crate::error::{StoreError, Task};
use serde_json::{Map, Value};

pub(crate) static MOVED: Statement = Statement::both(
    "SELECT EXISTS (SELECT 1 FROM account WHERE id = ? \
     AND (balance_units <> 0 OR balance_fraction <> 0)) \
     OR EXISTS (SELECT 1 FROM posting WHERE account = ?)",
);

/// Refuses to change the currency of an account with a balance or postings: their amounts would be
/// read in the new one.
pub(crate) async fn refuse_change(
    connection: &mut Connection,
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
    let (moved,): (bool,) = connection
        .one(&MOVED, values![id, id])
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
