//! Deletes old records in small batches, so that nothing waits for long (CDR-26). Postings stay:
//! balances are their sums.

use crate::db::{Connection, Query, Statement, values};
use crate::error::{StoreError, Task};
use crate::store::Store;
use std::time::Duration;

/// Calls per transaction: a few milliseconds of the writer's time.
const BATCH: u32 = 500;

/// How long records are kept; `None` is forever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Call records, with everything that belongs to them.
    pub calls: Option<Duration>,
    /// Separate rows of attempts, by which calls are found by vendor trunk. The call's document
    /// still contains them.
    pub attempts: Option<Duration>,
}

/// What a purge deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Call records.
    pub calls: u64,
    /// Calls whose attempts were deleted.
    pub attempts: u64,
}

/// The newest record is never deleted: it carries the last sequence number.
pub(crate) static BOUNDARY: Statement = Statement::both(
    "SELECT COALESCE( \
     (SELECT seq FROM call_record WHERE id >= ? ORDER BY id LIMIT 1), \
     (SELECT MAX(seq) FROM call_record))",
);
pub(crate) static CALLS: Statement =
    Statement::both("SELECT seq FROM call_record WHERE seq < ? AND id < ? ORDER BY seq LIMIT ?");
pub(crate) static ATTEMPTS: Statement = Statement::both(
    "SELECT DISTINCT call_seq FROM attempt_record WHERE call_seq < ? ORDER BY call_seq LIMIT ?",
);

impl Store {
    /// Deletes records older than `kept` at `now_ms` (UTC ms).
    ///
    /// # Errors
    ///
    /// The database fails; earlier batches stay deleted.
    pub async fn purge(&self, now_ms: u64, kept: Kept) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        if let Some(age) = kept.calls {
            purged.calls = self.purge_each(now_ms, age, Kind::Calls).await?;
        }
        if let Some(age) = kept.attempts {
            purged.attempts = self.purge_each(now_ms, age, Kind::Attempts).await?;
        }
        Ok(purged)
    }

    async fn purge_each(&self, now_ms: u64, age: Duration, kind: Kind) -> Result<u64, StoreError> {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let moment = u128::from(now_ms.saturating_sub(age) & 0xffff_ffff_ffff) << 80;
        let moment = moment.to_be_bytes().to_vec();
        let mut total = 0;
        loop {
            // Released between batches, so that finished calls are written in between.
            let deleted = transact(&mut *self.writer().await?, &moment, kind).await?;
            total += deleted;
            if deleted < u64::from(BATCH) {
                return Ok(total);
            }
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Calls,
    Attempts,
}

async fn transact(
    connection: &mut Connection,
    moment: &[u8],
    kind: Kind,
) -> Result<u64, StoreError> {
    connection.begin().await.during("beginning to write")?;
    let outcome = purge(connection, moment, kind).await;
    connection.finish(outcome).await
}

async fn purge(connection: &mut Connection, moment: &[u8], kind: Kind) -> Result<u64, StoreError> {
    let task = "looking for old records";
    let (boundary,): (Option<i64>,) =
        connection.one(&BOUNDARY, values![moment]).await.during(task)?;
    let Some(boundary) = boundary else { return Ok(0) };
    let old: Vec<(i64,)> = match kind {
        Kind::Calls => connection.rows(&CALLS, values![boundary, moment, BATCH]).await,
        Kind::Attempts => connection.rows(&ATTEMPTS, values![boundary, BATCH]).await,
    }
    .during(task)?;
    if old.is_empty() {
        return Ok(0);
    }
    let tables: &[(&str, &str)] = match kind {
        Kind::Calls => {
            &[("attempt_record", "call_seq"), ("correction", "call_seq"), ("call_record", "seq")]
        }
        Kind::Attempts => &[("attempt_record", "call_seq")],
    };
    for (table, column) in tables {
        let mut delete = Query::new("DELETE FROM ");
        delete.push(table).push(" WHERE ").push(column).push(" IN (");
        for (n, (seq,)) in old.iter().enumerate() {
            delete.push(if n > 0 { ", " } else { "" }).bind(*seq);
        }
        delete.push(")");
        let (statement, values) = delete.finish();
        connection.execute(&statement, &values).await.during("deleting old records")?;
    }
    Ok(old.len() as u64)
}
