//! Balances, and whether they are the sums of their postings (BILL-48).

use crate::amount::join;
use crate::error::{StoreError, Task};
use crate::store::Store;
use ledger::Money;
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use std::collections::BTreeMap;

/// An account whose balance is not the sum of its postings: never by our doing (BILL-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The account; its row may be missing.
    pub account: u32,
    /// What its row says; none if there is no row.
    pub balance: Option<Money>,
    /// Sum of its postings.
    pub postings: Money,
}

pub(crate) const BALANCE: &str = "SELECT balance_units, balance_fraction FROM account WHERE id = ?";
pub(crate) const ALL_BALANCES: &str =
    "SELECT id, balance_units, balance_fraction FROM account ORDER BY id";
/// Each column in a high and a low part: SQLite fails when a sum leaves 64 bits.
pub(crate) const ALL_SUMS: &str = "SELECT account, SUM(units / 1000000000), \
     SUM(units % 1000000000), SUM(fraction / 100000), SUM(fraction % 100000) \
     FROM posting GROUP BY account ORDER BY account";
pub(crate) const POSTINGS_SUM: &str = "SELECT account, SUM(units / 1000000000), \
     SUM(units % 1000000000), SUM(fraction / 100000), SUM(fraction % 100000) \
     FROM posting WHERE account = ? GROUP BY account";
/// Whether there are accounts, in columns that do not keep their type yet.
const ARE_LOOSE: &str = "SELECT EXISTS (SELECT 1 FROM pragma_table_list \
     WHERE schema = 'main' AND name = 'account' AND NOT strict)";
const LOOSE_BALANCES: &str = "SELECT id, name, typeof(balance_units) = 'integer' \
     AND typeof(balance_fraction) = 'integer', CAST(balance_units AS INTEGER), \
     CAST(balance_fraction AS INTEGER) FROM account ORDER BY id";
const MEND: &str = "UPDATE account SET balance_units = ?, balance_fraction = ? WHERE id = ?";

/// An account and the four sums of its postings.
type Sums = (u32, i64, i64, i64, i64);

fn sum((account, high, low, fraction_high, fraction_low): Sums) -> (u32, Money) {
    let units = i128::from(high) * 1_000_000_000 + i128::from(low);
    let fraction = i128::from(fraction_high) * 100_000 + i128::from(fraction_low);
    (account, Money(units * Money::ONE.0 + fraction))
}

impl Store {
    /// The balance of an account.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn balance(&self, account: u32) -> Result<Option<Money>, StoreError> {
        let row: Option<(i64, i64)> = sqlx::query_as(BALANCE)
            .bind(account)
            .fetch_optional(&self.readers)
            .await
            .during("reading a balance")?;
        Ok(row.map(|(units, fraction)| join(units, fraction)))
    }

    /// The sum of the postings of an account.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn postings_sum(&self, account: u32) -> Result<Money, StoreError> {
        let sums: Option<Sums> = sqlx::query_as(POSTINGS_SUM)
            .bind(account)
            .fetch_optional(&self.readers)
            .await
            .during("summing postings")?;
        Ok(sums.map(|sums| sum(sums).1).unwrap_or_default())
    }

    /// Compares every balance with the sum of its postings; empty when all agree.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn verify_balances(&self) -> Result<Vec<Mismatch>, StoreError> {
        // One transaction, so that both queries see the same moment.
        let mut moment = self.readers.begin().await.during("verifying balances")?;
        let balances: Vec<(u32, i64, i64)> = sqlx::query_as(ALL_BALANCES)
            .fetch_all(&mut *moment)
            .await
            .during("reading balances")?;
        let sums: Vec<Sums> =
            sqlx::query_as(ALL_SUMS).fetch_all(&mut *moment).await.during("summing postings")?;
        let mut sums: BTreeMap<u32, Money> = sums.into_iter().map(sum).collect();
        let mut mismatches = Vec::new();
        for (account, units, fraction) in balances {
            let (balance, postings) =
                (join(units, fraction), sums.remove(&account).unwrap_or_default());
            if balance != postings {
                mismatches.push(Mismatch { account, balance: Some(balance), postings });
            }
        }
        let orphans = sums.into_iter();
        mismatches.extend(orphans.map(|(account, postings)| Mismatch {
            account,
            balance: None,
            postings,
        }));
        Ok(mismatches)
    }
}

/// Puts balances right that an older version summed up in floating point, before the schema
/// would refuse them: a balance is the sum of its postings.
///
/// # Errors
///
/// When the postings of such an account come to more than a balance holds; it is named.
pub(crate) async fn mend_inexact(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let loose: bool = sqlx::query_scalar(ARE_LOOSE)
        .fetch_one(&mut *connection)
        .await
        .during("looking for accounts")?;
    if !loose {
        return Ok(());
    }
    let sums: Vec<Sums> =
        sqlx::query_as(ALL_SUMS).fetch_all(&mut *connection).await.during("summing postings")?;
    let sums: BTreeMap<u32, Money> = sums.into_iter().map(sum).collect();
    let balances: Vec<(u32, String, bool, i64, i64)> = sqlx::query_as(LOOSE_BALANCES)
        .fetch_all(&mut *connection)
        .await
        .during("reading balances")?;
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
        tracing::warn!(account = %name, %before, balance = %sum, "a wrong balance is summed up anew");
        sqlx::query(MEND)
            .bind(units)
            .bind(fraction)
            .bind(account)
            .execute(&mut *connection)
            .await
            .during("mending a balance")?;
    }
    Ok(())
}
