//! Payments: amounts that an operator books on an account (BILL-46).

use crate::amount::{join, split};
use crate::db::{Connection, Statement, is_duplicate, values};
use crate::error::{StoreError, Task};
use crate::records::book;
use crate::store::{Store, column, utc_ms};
use ledger::{Money, Posting, PostingKind};

/// The balance of an account, locked until the transaction ends.
pub(crate) static HELD_BALANCE: Statement = Statement::each(
    "SELECT balance_units, balance_fraction FROM account WHERE id = ?",
    "SELECT balance_units, balance_fraction FROM account WHERE id = ? FOR UPDATE",
);
pub(crate) static PAY: Statement = Statement::both(
    "INSERT INTO posting (account, units, fraction, kind, at_ms, note, key) \
     VALUES (?, ?, ?, ?, ?, ?, ?)",
);
pub(crate) static PAID: Statement = Statement::both(
    "SELECT account, units, fraction, note, name \
     FROM posting JOIN account ON account.id = posting.account WHERE key = ?",
);

/// A payment to book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Account id.
    pub account: u32,
    /// Added to the balance; negative for a refund.
    pub amount: Money,
    /// Note of the operator; may be empty.
    pub note: String,
    /// Idempotency key, unique among all payments: a payment requested again with its key is booked
    /// once.
    pub key: Option<String>,
}

/// The result of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Balance in the database now. It may lack calls that ended a moment ago.
    pub balance: Money,
    /// `false` if it was booked before with the same key.
    pub booked: bool,
}

impl Store {
    /// Books a payment, durable when this returns (BILL-46).
    ///
    /// # Errors
    ///
    /// There is no such account, the amount or the resulting balance is out of range, the key was
    /// used for another payment, or the database fails; nothing is booked then.
    pub async fn pay(&self, payment: &Payment) -> Result<Paid, StoreError> {
        let mut writer = self.writer().await?;
        writer.wait_for_disk(true).await.during("setting durability")?;
        let mut paid = transact(&mut writer, payment).await;
        if let Err(StoreError::Database { source, .. }) = &paid
            && is_duplicate(source)
        {
            // Another node has just booked it with this key: now it is visible.
            paid = transact(&mut writer, payment).await;
        }
        writer.wait_for_disk(false).await.during("setting durability")?;
        paid
    }
}

async fn transact(connection: &mut Connection, payment: &Payment) -> Result<Paid, StoreError> {
    connection.begin().await.during("beginning to write")?;
    let outcome = pay(connection, payment).await;
    connection.finish(outcome).await
}

async fn pay(connection: &mut Connection, payment: &Payment) -> Result<Paid, StoreError> {
    let Payment { account, amount, note, key } = payment;
    let before: Option<(i64, i64)> =
        connection.row(&HELD_BALANCE, values![*account]).await.during("reading a balance")?;
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
    let posting = Posting { account: *account, amount: *amount, kind: PostingKind::Payment };
    let (kind, at) = (posting.kind.name(), column(utc_ms()));
    connection
        .execute(&PAY, values![*account, units, fraction, kind, at, note, key])
        .await
        .during("writing a payment")?;
    book(connection, [&posting]).await?;
    Ok(Paid { balance: before + *amount, booked: true })
}

/// Refuses an amount or a balance out of range.
fn bounded(amount: Money, before: Money) -> Result<(), StoreError> {
    if !amount.is_within(Money::LARGEST_AMOUNT) {
        return Err(StoreError::Refused(format!(
            "amount = {amount} is refused: one payment moves at most {}",
            Money::LARGEST_AMOUNT
        )));
    }
    let after = before + amount;
    // A payment back towards the range is accepted.
    if !after.is_within(Money::LARGEST_BALANCE) && after.0.abs() > before.0.abs() {
        return Err(StoreError::Refused(format!(
            "amount = {amount} is refused: the balance would be {after}, and an account holds at \
             most {}",
            Money::LARGEST_BALANCE
        )));
    }
    Ok(())
}

/// Whether this very payment is booked with the key.
async fn was_paid(
    connection: &mut Connection,
    key: &str,
    payment: &Payment,
) -> Result<bool, StoreError> {
    let earlier: Option<(u32, i64, i64, String, String)> =
        connection.row(&PAID, values![key]).await.during("looking a payment up")?;
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
