//! Payments: amounts that an operator books to an account (BILL-46).

use crate::amount::{join, split};
use crate::balance::BALANCE;
use crate::error::{StoreError, Task};
use crate::records::{begin, book, finish, kind_name};
use crate::store::{Store, Writer, column, utc_ms};
use ledger::{Money, PostingKind};
use sqlx::sqlite::SqliteConnection;

pub(crate) const PAY: &str = "INSERT INTO posting (account, units, fraction, kind, at_ms, note, key) \
     VALUES (?, ?, ?, ?, ?, ?, ?)";
pub(crate) const PAID: &str = "SELECT account, units, fraction, note, name \
     FROM posting JOIN account ON account.id = posting.account WHERE key = ?";

/// A payment to book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Account id.
    pub account: u32,
    /// Added to the balance; below zero takes back.
    pub amount: Money,
    /// What the operator says of it; may be empty.
    pub note: String,
    /// A word of the caller's own, unique among all payments: a payment that is asked for
    /// again under it is booked once.
    pub key: Option<String>,
}

/// What became of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Balance in the database now. Calls that ended a moment ago may not be in it yet.
    pub balance: Money,
    /// False when it had been booked before, under the same key.
    pub booked: bool,
}

impl Store {
    /// Books a payment, on disk when this returns (BILL-46).
    ///
    /// # Errors
    ///
    /// When there is no such account, when the amount or the balance that it would lead to is
    /// beyond its bounds, when the key was used for another payment, or when the database
    /// fails; nothing is booked then.
    pub async fn pay(&self, payment: &Payment) -> Result<Paid, StoreError> {
        let mut writer = self.writer.lock().await;
        writer.wait_for_disk(true).await?;
        let paid = writer.pay(payment).await;
        writer.wait_for_disk(false).await?;
        paid
    }
}

impl Writer {
    async fn pay(&mut self, payment: &Payment) -> Result<Paid, StoreError> {
        begin(&mut self.connection).await?;
        let outcome = pay(&mut self.connection, payment).await;
        finish(&mut self.connection, outcome).await
    }
}

async fn pay(connection: &mut SqliteConnection, payment: &Payment) -> Result<Paid, StoreError> {
    let Payment { account, amount, note, key } = payment;
    let before: Option<(i64, i64)> = sqlx::query_as(BALANCE)
        .bind(account)
        .fetch_optional(&mut *connection)
        .await
        .during("reading a balance")?;
    let Some((units, fraction)) = before else {
        return Err(StoreError::Refused(format!("there is no account with id {account}")));
    };
    let before = join(units, fraction);
    if let Some(key) = key
        && was_paid(connection, key, payment).await?
    {
        return Ok(Paid { balance: before, booked: false });
    }
    bounded(*amount, before)?;
    let (units, fraction) = split(*amount);
    sqlx::query(PAY)
        .bind(i64::from(*account))
        .bind(units)
        .bind(fraction)
        .bind(kind_name(PostingKind::Payment))
        .bind(column(utc_ms()))
        .bind(note)
        .bind(key)
        .execute(&mut *connection)
        .await
        .during("writing a payment")?;
    book(connection, *account, *amount).await?;
    Ok(Paid { balance: before + *amount, booked: true })
}

/// Refuses what an account does not hold.
fn bounded(amount: Money, before: Money) -> Result<(), StoreError> {
    if !amount.is_within(Money::LARGEST_AMOUNT) {
        return Err(StoreError::Refused(format!(
            "amount = {amount} is refused: one payment moves at most {}",
            Money::LARGEST_AMOUNT
        )));
    }
    let after = before + amount;
    // One that leads back to what is allowed is welcome.
    if !after.is_within(Money::LARGEST_BALANCE) && after.0.abs() > before.0.abs() {
        return Err(StoreError::Refused(format!(
            "amount = {amount} is refused: the balance would be {after}, and an account holds at \
             most {}",
            Money::LARGEST_BALANCE
        )));
    }
    Ok(())
}

/// Whether this very payment is booked under the key.
async fn was_paid(
    connection: &mut SqliteConnection,
    key: &str,
    payment: &Payment,
) -> Result<bool, StoreError> {
    let earlier: Option<(u32, i64, i64, String, String)> = sqlx::query_as(PAID)
        .bind(key)
        .fetch_optional(connection)
        .await
        .during("looking a payment up")?;
    let Some((account, units, fraction, note, name)) = earlier else { return Ok(false) };
    let amount = join(units, fraction);
    if (account, amount, &note) == (payment.account, payment.amount, &payment.note) {
        return Ok(true);
    }
    Err(StoreError::Refused(format!(
        "the key `{key}` was used for another payment: {amount} to account `{name}`, note \
         `{note}`; a key belongs to one payment"
    )))
}
