//! Writing finished calls: record, attempts, postings and balances in one transaction.

use crate::amount::{small, split};
use crate::error::{StoreError, Task};
use crate::store::{Store, Writer, column};
use ledger::{AttemptRecord, CallDocument, CallId, Money, Posting, PostingKind};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{Sqlite, SqliteConnection};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

/// A finished call and its stored form.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) document: Box<CallDocument>,
    pub(crate) bytes: Vec<u8>,
}

/// Rows of one statement, largest first: each statement is a round trip to the
/// connection's thread, and each text is prepared once.
const CHUNKS: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// An INSERT, its text for each of [`CHUNKS`].
pub(crate) struct Insertion {
    texts: [Arc<str>; CHUNKS.len()],
}

impl Insertion {
    fn new(into: &str) -> Self {
        let columns = into.split(',').count();
        let row = format!("({})", vec!["?"; columns].join(", "));
        let text = |rows| {
            format!("INSERT INTO {into} VALUES {}", vec![row.as_str(); rows].join(", ")).into()
        };
        Insertion { texts: CHUNKS.map(text) }
    }

    /// Its texts, for the test that prepares every statement.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> [Arc<str>; CHUNKS.len()] {
        self.texts.clone()
    }
}

pub(crate) static CALLS: LazyLock<Insertion> = LazyLock::new(|| {
    Insertion::new(
        "call_record (seq, id, invite_ms, answer_ms, end_ms, trunk, account, caller, callee, \
         reason, code, duration_ms, billable_ms, charge, cost, rerate, document)",
    )
});

pub(crate) static ATTEMPTS: LazyLock<Insertion> = LazyLock::new(|| {
    Insertion::new(
        "attempt_record (call_seq, number, trunk, account, callee, sent_ms, answer_ms, \
         duration_ms, reason, code, cost)",
    )
});

pub(crate) static POSTINGS: LazyLock<Insertion> =
    LazyLock::new(|| Insertion::new("posting (account, units, fraction, kind, call_seq, at_ms)"));

pub(crate) const POST: &str = "INSERT INTO posting (account, units, fraction, kind, call_seq, at_ms) \
     VALUES (?, ?, ?, ?, ?, ?)";

/// Adds units and fraction (0 to 10^10 - 1) to a balance.
pub(crate) const BOOK: &str = "UPDATE account SET \
     balance_units = balance_units + ?1 + (balance_fraction + ?2) / 10000000000, \
     balance_fraction = (balance_fraction + ?2) % 10000000000 WHERE id = ?3";

pub(crate) const IS_RECORDED: &str = "SELECT 1 FROM call_record WHERE id = ?";

type Query = sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments>;

impl Store {
    /// Writes finished calls. Those already recorded are left as they are, postings and
    /// balances included, so that a replay changes nothing. Gives back how many were new.
    pub(crate) async fn record(&self, calls: &[Finished]) -> Result<u64, StoreError> {
        if calls.is_empty() {
            return Ok(0);
        }
        let mut writer = self.writer.lock().await;
        let all: Vec<&Finished> = calls.iter().collect();
        match writer.insert(&all).await {
            Err(StoreError::Database { source, .. }) if is_duplicate(&source) => {}
            result => return result,
        }
        let mut fresh = Vec::new();
        let mut seen = HashSet::new();
        for call in calls {
            let id = call.document.call.id;
            if seen.insert(id) && !writer.is_recorded(id).await? {
                fresh.push(call);
            }
        }
        writer.insert(&fresh).await
    }
}

fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

impl Writer {
    /// Whether the call has a record.
    pub(crate) async fn is_recorded(&mut self, id: CallId) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(IS_RECORDED)
            .bind(id.to_be_bytes().to_vec())
            .fetch_optional(&mut self.connection)
            .await
            .during("looking a call up")?;
        Ok(found.is_some())
    }

    async fn insert(&mut self, calls: &[&Finished]) -> Result<u64, StoreError> {
        begin(&mut self.connection).await?;
        let outcome = insert_all(&mut self.connection, calls, self.next_seq).await;
        finish(&mut self.connection, outcome).await?;
        self.next_seq += calls.len() as i64;
        Ok(calls.len() as u64)
    }
}

/// Begins a transaction that may write.
pub(crate) async fn begin(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await.during("beginning to write")?;
    Ok(())
}

/// Commits after success, rolls back after an error and gives that error.
pub(crate) async fn finish<T>(
    connection: &mut SqliteConnection,
    outcome: Result<T, StoreError>,
) -> Result<T, StoreError> {
    let value = match outcome {
        Ok(value) => value,
        Err(error) => {
            roll_back(connection).await;
            return Err(error);
        }
    };
    match sqlx::query("COMMIT").execute(&mut *connection).await.during("committing") {
        Ok(_) => Ok(value),
        Err(error) => {
            roll_back(connection).await;
            Err(error)
        }
    }
}

/// Ends a transaction without a trace. Some errors have ended it already; then there is
/// nothing to roll back and the refusal says nothing new.
pub(crate) async fn roll_back(connection: &mut SqliteConnection) {
    let _ = sqlx::query("ROLLBACK").execute(connection).await;
}

async fn insert_all(
    connection: &mut SqliteConnection,
    calls: &[&Finished],
    first_seq: i64,
) -> Result<(), StoreError> {
    let numbered = || (first_seq..).zip(calls.iter().copied());
    let calls: Vec<_> = numbered().collect();
    insert(connection, &CALLS, &calls, "writing call records", |query, (seq, call)| {
        bind_call(query, *seq, call)
    })
    .await?;
    let attempts: Vec<_> = numbered()
        .flat_map(|(seq, call)| call.document.attempts.iter().map(move |attempt| (seq, attempt)))
        .collect();
    insert(connection, &ATTEMPTS, &attempts, "writing attempt records", |query, (seq, attempt)| {
        bind_attempt(query, *seq, attempt)
    })
    .await?;
    let postings: Vec<_> = numbered()
        .flat_map(|(seq, call)| {
            let at = call.document.call.end_ms.unwrap_or(call.document.call.evidence_ms);
            call.document.postings.iter().map(move |posting| (seq, at, posting))
        })
        .collect();
    insert(connection, &POSTINGS, &postings, "writing postings", |query, (seq, at, posting)| {
        let (units, fraction) = split(posting.amount);
        query
            .bind(i64::from(posting.account))
            .bind(units)
            .bind(fraction)
            .bind(kind_name(posting.kind))
            .bind(*seq)
            .bind(column(*at))
    })
    .await?;
    let mut sums: BTreeMap<u32, Money> = BTreeMap::new();
    for (_, _, posting) in &postings {
        *sums.entry(posting.account).or_default() += posting.amount;
    }
    for (account, sum) in sums {
        book(connection, account, sum).await?;
    }
    Ok(())
}

/// Writes a posting and books it.
pub(crate) async fn book_posting(
    connection: &mut SqliteConnection,
    posting: &Posting,
    call_seq: Option<i64>,
    at_ms: u64,
) -> Result<(), StoreError> {
    let (units, fraction) = split(posting.amount);
    sqlx::query(POST)
        .bind(i64::from(posting.account))
        .bind(units)
        .bind(fraction)
        .bind(kind_name(posting.kind))
        .bind(call_seq)
        .bind(column(at_ms))
        .execute(&mut *connection)
        .await
        .during("writing a posting")?;
    book(connection, posting.account, posting.amount).await
}

/// Adds to the balance of an account.
pub(crate) async fn book(
    connection: &mut SqliteConnection,
    account: u32,
    amount: Money,
) -> Result<(), StoreError> {
    let (units, fraction) = split(amount);
    let booked = sqlx::query(BOOK)
        .bind(units)
        .bind(fraction)
        .bind(i64::from(account))
        .execute(connection)
        .await
        .during("booking a balance")?;
    if booked.rows_affected() == 0 {
        // The posting stays: `verify_balances` shows it until someone makes the account.
        tracing::error!(account, %amount, "postings for an account that does not exist");
    }
    Ok(())
}

async fn insert<T>(
    connection: &mut SqliteConnection,
    insertion: &Insertion,
    rows: &[T],
    task: &'static str,
    bind: impl Fn(Query, &T) -> Query,
) -> Result<(), StoreError> {
    let mut rows = rows;
    for (text, size) in insertion.texts.iter().zip(CHUNKS) {
        let chunks = rows.chunks_exact(size);
        rows = chunks.remainder();
        for chunk in chunks {
            let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(text.clone())), &bind);
            query.execute(&mut *connection).await.during(task)?;
        }
    }
    Ok(())
}

fn bind_call(query: Query, seq: i64, call: &Finished) -> Query {
    let record = &call.document.call;
    let charge = record.sell.as_ref().and_then(|charge| small(charge.amount));
    query
        .bind(seq)
        .bind(record.id.to_be_bytes().to_vec())
        .bind(column(record.invite_ms))
        .bind(record.answer_ms.map(column))
        .bind(record.end_ms.map(column))
        .bind(i64::from(record.trunk))
        .bind(i64::from(record.account))
        .bind(String::from(&*record.caller_in))
        .bind(String::from(&*record.callee_route))
        .bind(String::from(&*record.end_reason))
        .bind(i64::from(record.code_returned))
        .bind(column(record.duration_ms))
        .bind(column(record.billable_ms))
        .bind(charge)
        .bind(small(record.cost))
        .bind(record.rerate)
        .bind(call.bytes.clone())
}

fn bind_attempt(query: Query, seq: i64, attempt: &AttemptRecord) -> Query {
    query
        .bind(seq)
        .bind(i64::from(attempt.number))
        .bind(i64::from(attempt.trunk))
        .bind(i64::from(attempt.vendor_account))
        .bind(String::from(&*attempt.callee_out))
        .bind(column(attempt.sent_ms))
        .bind(attempt.answer_ms.map(column))
        .bind(column(attempt.duration_ms))
        .bind(String::from(&*attempt.end_reason))
        .bind(i64::from(attempt.code))
        .bind(attempt.buy.as_ref().and_then(|charge| small(charge.amount)))
}

/// The word for a kind of posting in the database.
pub(crate) fn kind_name(kind: PostingKind) -> &'static str {
    match kind {
        PostingKind::CallCharge => "call_charge",
        PostingKind::VendorCost => "vendor_cost",
        PostingKind::Opening => "opening",
        PostingKind::Payment => "payment",
        PostingKind::Correction => "correction",
    }
}
