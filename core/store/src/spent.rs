//! Recent cost of calls, for accounts with a cap (BILL-51).

use crate::amount::join;
use crate::db::{Connection, Statement, values};
use crate::error::{StoreError, Task};
use crate::load::LoadedAccount;
use crate::store::{column, utc_ms};
use ledger::Money;

/// Call charges, as negative amounts.
pub(crate) static SPENT: Statement = Statement::both(
    "SELECT CAST(COALESCE(SUM(units), 0) AS BIGINT), CAST(COALESCE(SUM(fraction), 0) AS BIGINT) \
     FROM posting WHERE account = ? AND kind IN ('call_charge', 'resale') AND at_ms >= ?",
);

/// Sets the cost of the calls of today and this month for accounts with a cap.
pub(crate) async fn fill_spent(
    connection: &mut Connection,
    accounts: &mut [LoadedAccount],
) -> Result<(), StoreError> {
    let (day_ms, month_ms) = ledger::began(utc_ms());
    let capped = |loaded: &&mut LoadedAccount| {
        loaded.account.daily_cap.is_some() || loaded.account.monthly_cap.is_some()
    };
    for loaded in accounts.iter_mut().filter(capped) {
        loaded.spent.today = spent(connection, loaded.id, day_ms).await?;
        loaded.spent.this_month = spent(connection, loaded.id, month_ms).await?;
    }
    Ok(())
}

async fn spent(
    connection: &mut Connection,
    account: u32,
    since_ms: u64,
) -> Result<Money, StoreError> {
    let row: Option<(i64, i64)> = connection
        .row(&SPENT, values![account, column(since_ms)])
        .await
        .during("summing what calls have cost")?;
    let (units, fraction) = row.unwrap_or_default();
    Ok(-join(units, fraction))
}
