//! Re-rates charges that were left open when their call ended (BILL-73). The record stays as it was
//! (CDR-07): a correction and a posting of the difference are added.

use crate::db::{Connection, Statement, values};
use crate::error::{StoreError, Task};
use crate::records::book_posting;
use crate::store::{Store, column, utc_ms};
use ledger::{CallId, Money, Posting};

/// The corrected charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// 0 for the sell charge, otherwise the number of the attempt.
    pub number: u16,
    /// The charge.
    pub amount: Money,
    /// Seconds billed.
    pub billed_s: u32,
    /// When it was booked, UTC ms.
    pub at_ms: u64,
}

/// The corrections of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerating {
    /// The call.
    pub id: CallId,
    /// Its sequence number.
    pub seq: i64,
    /// Each open charge: its number as in [`Correction`], the charge, the seconds billed.
    pub charges: Vec<(u16, Money, u32)>,
    /// The postings that the balances lack.
    pub postings: Vec<Posting>,
}

pub(crate) static CORRECTIONS: Statement = Statement::both(
    "SELECT number, amount, billed_s, at_ms FROM correction WHERE call_seq = ? ORDER BY number",
);
pub(crate) static CORRECT: Statement = Statement::both(
    "INSERT INTO correction (call_seq, number, amount, billed_s, at_ms) \
     SELECT seq, ?, ?, ?, ? FROM call_record WHERE seq = ? AND id = ? AND rerate \
     ON CONFLICT DO NOTHING",
);

impl Correction {
    pub(crate) async fn of(
        connection: &mut Connection,
        seq: i64,
    ) -> Result<Vec<Correction>, StoreError> {
        let rows: Vec<(u16, i64, u32, i64)> =
            connection.rows(&CORRECTIONS, values![seq]).await.during("reading corrections")?;
        let correction = |(number, amount, billed_s, at_ms): (u16, i64, u32, i64)| Correction {
            number,
            amount: Money::from(amount),
            billed_s,
            at_ms: u64::try_from(at_ms).unwrap_or(0),
        };
        Ok(rows.into_iter().map(correction).collect())
    }
}

impl Store {
    /// Books the missing charges of calls, all durable when this returns, or none. A call is
    /// corrected once: `false`, with nothing booked, if it was corrected before or has no open
    /// charges.
    ///
    /// # Errors
    ///
    /// An amount is out of range or the database fails; nothing is booked then.
    pub async fn correct(&self, calls: &[Rerating]) -> Result<Vec<bool>, StoreError> {
        let mut writer = self.writer().await?;
        writer.wait_for_disk(true).await.during("setting durability")?;
        let corrected = transact(&mut writer, calls).await;
        writer.wait_for_disk(false).await.during("setting durability")?;
        corrected
    }
}

async fn transact(
    connection: &mut Connection,
    calls: &[Rerating],
) -> Result<Vec<bool>, StoreError> {
    connection.begin().await.during("beginning to write")?;
    let outcome = correct_all(connection, calls).await;
    connection.finish(outcome).await
}

async fn correct_all(
    connection: &mut Connection,
    calls: &[Rerating],
) -> Result<Vec<bool>, StoreError> {
    let mut booked = Vec::with_capacity(calls.len());
    for call in calls {
        booked.push(correct(connection, call).await?);
    }
    Ok(booked)
}

async fn correct(connection: &mut Connection, rerating: &Rerating) -> Result<bool, StoreError> {
    let Rerating { id, seq, charges, postings } = rerating;
    let at_ms = utc_ms();
    let mut booked = 0;
    for (number, amount, billed_s) in charges {
        let amount = i64::try_from(*amount)
            .map_err(|_| StoreError::Refused(format!("a charge of {amount} is not booked")))?;
        let id = id.to_be_bytes();
        let values = values![*number, amount, *billed_s, column(at_ms), *seq, &id[..]];
        booked += connection.execute(&CORRECT, values).await.during("writing a correction")?;
    }
    if booked == 0 {
        return Ok(false);
    }
    for posting in postings {
        book_posting(connection, posting, Some(*seq), at_ms).await?;
    }
    Ok(true)
}
