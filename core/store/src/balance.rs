//! Balances: each is the sum of its postings (BILL-48).

use crate::amount::join;
use crate::db::{Connection, Dialect, Statement, values};
use crate::error::{StoreError, Task};
use crate::store::Store;
use ledger::Money;
use std::collections::BTreeMap;

pub(crate) static BALANCE: Statement =
    Statement::both("SELECT balance_units, balance_fraction FROM account WHERE id = ?");
pub(crate) static ALL_BALANCES: Statement =
    Statement::both("SELECT id, balance_units, balance_fraction FROM account ORDER BY id");
/// Sums the columns in high and low parts: SQLite fails when a sum exceeds 64 bits.
pub(crate) static ALL_SUMS: Statement = Statement::both(
    "SELECT account, CAST(SUM(units / 1000000000) AS BIGINT), \
     CAST(SUM(units % 1000000000) AS BIGINT), CAST(SUM(fraction / 100000) AS BIGINT), \
     CAST(SUM(fraction % 100000) AS BIGINT) FROM posting GROUP BY account ORDER BY account",
);
pub(crate) static POSTINGS_SUM: Statement = Statement::both(
    "SELECT account, CAST(SUM(units / 1000000000) AS BIGINT), \
     CAST(SUM(units % 1000000000) AS BIGINT), CAST(SUM(fraction / 100000) AS BIGINT), \
     CAST(SUM(fraction % 100000) AS BIGINT) FROM posting WHERE account = ? GROUP BY account",
);
/// Whether the table of accounts exists with untyped columns: SQLite before migration 4.
static ARE_LOOSE: Statement = Statement::both(
    "SELECT EXISTS (SELECT 1 FROM pragma_table_list \
     WHERE schema = 'main' AND name = 'account' AND NOT strict)",
);
static LOOSE_BALANCES: Statement = Statement::both(
    "SELECT id, name, typeof(balance_units) = 'integer' \
     AND typeof(balance_fraction) = 'integer', CAST(balance_units AS INTEGER), \
     CAST(balance_fraction AS INTEGER) FROM account ORDER BY id",
);
static MEND: Statement =
    Statement::both("UPDATE account SET balance_units = ?, balance_fraction = ? WHERE id = ?");

/// A key, and the four sums of its postings.
pub(crate) type Sums<T> = (T, i64, i64, i64, i64);

pub(crate) fn sum<T>((of, high, low, fraction_high, fraction_low): Sums<T>) -> (T, Money) {
    let units = i128::from(high) * 1_000_000_000 + i128::from(low);
    let fraction = i128::from(fraction_high) * 100_000 + i128::from(fraction_low);
    (of, Money(units * Money::ONE.0 + fraction))
}

impl Store {
    /// The balance of an account.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn balance(&self, account: u32) -> Result<Option<Money>, StoreError> {
        let mut reader = self.reader().await?;
        let row: Option<(i64, i64)> =
            reader.row(&BALANCE, values![account]).await.during("reading a balance")?;
        Ok(row.map(|(units, fraction)| join(units, fraction)))
    }

    /// The balance of every account, by its id.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn balances(&self) -> Result<Vec<(u32, Money)>, StoreError> {
        let mut reader = self.reader().await?;
        let rows: Vec<(u32, i64, i64)> =
            reader.rows(&ALL_BALANCES, &[]).await.during("reading balances")?;
        let balance = |(account, units, fraction)| (account, join(units, fraction));
        Ok(rows.into_iter().map(balance).collect())
    }

    /// The sum of the postings of an account.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn postings_sum(&self, account: u32) -> Result<Money, StoreError> {
        let mut reader = self.reader().await?;
        let sums: Option<Sums<u32>> =
            reader.row(&POSTINGS_SUM, values![account]).await.during("summing postings")?;
        Ok(sums.map(|sums| sum(sums).1).unwrap_or_default())
    }
}

/// Corrects balances that an older version summed in floating point, before the schema would refuse
/// them.
///
/// # Errors
///
/// The postings of such an account, which is named, exceed a balance.
pub(crate) async fn mend_inexact(connection: &mut Connection) -> Result<(), StoreError> {
    if connection.dialect() != Dialect::Sqlite {
        return Ok(());
    }
    let (loose,): (bool,) = connection.one(&ARE_LOOSE, &[]).await.during("looking for accounts")?;
    if !loose {
        return Ok(());
    }
    let sums: Vec<Sums<u32>> = connection.rows(&ALL_SUMS, &[]).await.during("summing postings")?;
    let sums: BTreeMap<u32, Money> = sums.into_iter().map(sum).collect();
    let balances: Vec<(u32, String, bool, i64, i64)> =
        connection.rows(&LOOSE_BALANCES, &[]).await.during("reading balances")?;
    for (account, name, exact, units, fraction) in balances {
        let (before, sum) =
            (join(units, fraction), sums.get(&account).copied().unwrap_or_default());
        if exact && before == sum {
            continue;
        }
        let (units, fraction) = (sum.0.div_euclid(Money::ONE.0), sum.0.rem_euclid(Money::ONE.0));
        let (Ok(units), Ok(fraction)) = (i64::try_from(units), i64::try_from(fraction)) else {
            return Err(StoreError::Refused(format!(
                "account {name} (id {account}) has postings of {sum} in sum, more than a balance \
                 holds: take wrong payments out of the table `posting` with sqlite3, then start \
                 again; the balance is then summed up anew"
            )));
        };
        tracing::warn!(account = %name, %before, balance = %sum, "a wrong balance is replaced by the sum of its postings");
        connection
            .execute(&MEND, values![units, fraction, account])
            .await
            .during("mending a balance")?;
    }
    Ok(())
}
