//! Writes finished calls: record, attempts, postings and balances in one transaction.

use crate::amount::{small, split};
use crate::db::{Connection, Insertion, Statement, Value, values};
use crate::error::{StoreError, Task};
use crate::store::{Store, column};
use ledger::{AttemptRecord, Book, CallDocument, CallId, Money, Posting};
use std::collections::{BTreeMap, HashSet};

/// Calls that the database may refuse, each by itself, before it counts as the database's fault.
const MOST_REFUSED: usize = 100;
/// Characters of a number that are searched. What is longer is no number, and the index of a
/// database may not take it; the document of the call has all of it.
const LONGEST_NUMBER: usize = 250;

/// A finished call and its stored form.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) document: Box<CallDocument>,
    pub(crate) bytes: Vec<u8>,
}

/// What has become of finished calls.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// How many the database has got.
    pub(crate) new: u64,
    /// Those that it refuses for what they are, by their places in what was given, and why.
    pub(crate) refused: Vec<(usize, StoreError)>,
}

pub(crate) static CALLS: Insertion = Insertion::new(
    "call_record",
    &[
        "seq",
        "id",
        "invite_ms",
        "answer_ms",
        "end_ms",
        "trunk",
        "account",
        "caller",
        "callee",
        "reason",
        "code",
        "duration_ms",
        "billable_ms",
        "charge",
        "cost",
        "rerate",
        "document",
    ],
);

pub(crate) static ATTEMPTS: Insertion = Insertion::new(
    "attempt_record",
    &[
        "call_seq",
        "number",
        "trunk",
        "account",
        "callee",
        "sent_ms",
        "answer_ms",
        "duration_ms",
        "reason",
        "code",
        "cost",
    ],
);

pub(crate) static POSTINGS: Insertion =
    Insertion::new("posting", &["account", "units", "fraction", "kind", "call_seq", "at_ms"]);

pub(crate) static POST: Statement = Statement::both(
    "INSERT INTO posting (account, units, fraction, kind, call_seq, at_ms) \
     VALUES (?, ?, ?, ?, ?, ?)",
);

/// Adds units and fraction (0 to 10^10 - 1) to the balance of a book.
pub(crate) static BOOK: Statement = Statement::both(
    "UPDATE book SET \
     balance_units = balance_units + ? + (balance_fraction + ?) / 10000000000, \
     balance_fraction = (balance_fraction + ?) % 10000000000 WHERE name = ?",
);

pub(crate) static IS_RECORDED: Statement =
    Statement::both("SELECT seq FROM call_record WHERE id = ?");

impl Store {
    /// Writes finished calls. Recorded ones are skipped, including their postings and balances, so
    /// that a replay changes nothing. A call that the database refuses delays no other.
    ///
    /// # Errors
    ///
    /// The database fails, or refuses too many calls for their contents to be the cause. Some calls
    /// may be recorded then.
    pub(crate) async fn record(&self, calls: &[Finished]) -> Result<Recorded, StoreError> {
        let mut recorded = Recorded::default();
        if calls.is_empty() {
            return Ok(recorded);
        }
        let mut writer = self.patient_writer().await?;
        let all: Vec<&Finished> = calls.iter().collect();
        match insert(&mut writer, &all).await {
            Err(error) if error.is_about_rows() => {}
            result => return result.map(|new| Recorded { new, ..recorded }),
        }
        let mut fresh = Vec::new();
        let mut seen = HashSet::new();
        for (place, call) in calls.iter().enumerate() {
            let id = call.document.call.id;
            if seen.insert(id) && !is_recorded(&mut writer, id).await? {
                fresh.push((place, call));
            }
        }
        // Halves of what is refused, the first half on top: calls keep their order.
        let mut parts = vec![&fresh[..]];
        while let Some(part) = parts.pop() {
            let calls: Vec<&Finished> = part.iter().map(|(_, call)| *call).collect();
            match (insert(&mut writer, &calls).await, part) {
                (Ok(new), _) => recorded.new += new,
                (Err(error), _) if !error.is_about_rows() => return Err(error),
                (Err(error), [(place, call)]) => {
                    // A server that was away may have committed it at last.
                    if is_recorded(&mut writer, call.document.call.id).await? {
                        continue;
                    }
                    if recorded.refused.len() >= MOST_REFUSED {
                        return Err(error);
                    }
                    recorded.refused.push((*place, error));
                }
                (Err(_), part) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        Ok(recorded)
    }
}

/// Whether the call has a record.
pub(crate) async fn is_recorded(
    connection: &mut Connection,
    id: CallId,
) -> Result<bool, StoreError> {
    let id = id.to_be_bytes();
    let found: Option<(i64,)> =
        connection.row(&IS_RECORDED, values![&id[..]]).await.during("looking a call up")?;
    Ok(found.is_some())
}

async fn insert(connection: &mut Connection, calls: &[&Finished]) -> Result<u64, StoreError> {
    if calls.is_empty() {
        return Ok(0);
    }
    connection.begin().await.during("beginning to write")?;
    let outcome = insert_all(connection, calls).await;
    connection.finish(outcome).await?;
    Ok(calls.len() as u64)
}

async fn insert_all(connection: &mut Connection, calls: &[&Finished]) -> Result<(), StoreError> {
    let seqs = connection.next_seqs(calls.len()).await.during("numbering call records")?;
    let calls: Vec<(i64, &Finished)> = seqs.into_iter().zip(calls.iter().copied()).collect();
    let ids: Vec<_> = calls.iter().map(|(_, call)| call.document.call.id.to_be_bytes()).collect();
    let rows: Vec<_> = calls.iter().zip(&ids).map(|((seq, call), id)| (*seq, id, *call)).collect();
    connection
        .insert_rows(&CALLS, &rows, |(seq, id, call)| call_row(*seq, *id, call))
        .await
        .during("writing call records")?;
    let attempts: Vec<_> = calls
        .iter()
        .flat_map(|(seq, call)| call.document.attempts.iter().map(move |attempt| (*seq, attempt)))
        .collect();
    connection
        .insert_rows(&ATTEMPTS, &attempts, |(seq, attempt)| attempt_row(*seq, attempt))
        .await
        .during("writing attempt records")?;
    let postings: Vec<_> = calls
        .iter()
        .flat_map(|(seq, call)| {
            let at = call.document.call.end_ms.unwrap_or(call.document.call.evidence_ms);
            call.document.postings.iter().map(move |posting| (*seq, at, posting))
        })
        .collect();
    connection
        .insert_rows(&POSTINGS, &postings, |(seq, at, posting)| {
            let (units, fraction) = split(posting.amount);
            let (account, kind) = (posting.account.into(), posting.kind.name().into());
            [account, units.into(), fraction.into(), kind, (*seq).into(), column(*at).into()]
        })
        .await
        .during("writing postings")?;
    book(connection, postings.iter().map(|(_, _, posting)| *posting)).await
}

/// Writes a posting and books it.
pub(crate) async fn book_posting(
    connection: &mut Connection,
    posting: &Posting,
    call_seq: Option<i64>,
    at_ms: u64,
) -> Result<(), StoreError> {
    let (units, fraction) = split(posting.amount);
    let (kind, at) = (posting.kind.name(), column(at_ms));
    connection
        .execute(&POST, values![posting.account, units, fraction, kind, call_seq, at])
        .await
        .during("writing a posting")?;
    book(connection, [posting]).await
}

/// Adds postings to the balances of their accounts and subtracts them from their books.
pub(crate) async fn book(
    connection: &mut Connection,
    postings: impl IntoIterator<Item = &Posting>,
) -> Result<(), StoreError> {
    let (mut accounts, mut books) = (BTreeMap::<u32, Money>::new(), BTreeMap::<Book, Money>::new());
    for Posting { account, amount, kind } in postings {
        *accounts.entry(*account).or_default() += *amount;
        *books.entry(kind.book()).or_default() -= *amount;
    }
    let columns: Vec<_> = accounts
        .iter()
        .map(|(account, amount)| {
            let (units, fraction) = split(*amount);
            (*account, units, fraction)
        })
        .collect();
    for account in connection.book(&columns).await.during("booking a balance")? {
        let amount = accounts.get(&account).copied().unwrap_or_default();
        // The posting stays: `strowger ledger verify` reports it until the account exists.
        tracing::error!(account, %amount, "postings for an account that does not exist");
    }
    // Always after the accounts and in one order, to avoid deadlocks between nodes.
    for (book, amount) in books {
        let (units, fraction) = split(amount);
        connection
            .execute(&BOOK, values![units, fraction, fraction, book.name()])
            .await
            .during("booking the other side")?;
    }
    Ok(())
}

fn call_row<'r>(seq: i64, id: &'r [u8], call: &'r Finished) -> [Value<'r>; 17] {
    let record = &call.document.call;
    let charge = record.sell.as_ref().and_then(|charge| small(charge.amount));
    [
        seq.into(),
        id.into(),
        column(record.invite_ms).into(),
        record.answer_ms.map(column).into(),
        record.end_ms.map(column).into(),
        record.trunk.into(),
        record.account.into(),
        searched(&record.caller_in).into(),
        searched(&record.callee_route).into(),
        (&*record.end_reason).into(),
        record.code_returned.into(),
        column(record.duration_ms).into(),
        column(record.billable_ms).into(),
        charge.into(),
        small(record.cost).into(),
        record.rerate.into(),
        call.bytes.as_slice().into(),
    ]
}

/// As much of a number as is searched.
fn searched(number: &str) -> &str {
    match number.char_indices().nth(LONGEST_NUMBER) {
        Some((end, _)) => &number[..end],
        None => number,
    }
}

fn attempt_row(seq: i64, attempt: &AttemptRecord) -> [Value<'_>; 11] {
    [
        seq.into(),
        attempt.number.into(),
        attempt.trunk.into(),
        attempt.vendor_account.into(),
        searched(&attempt.callee_out).into(),
        column(attempt.sent_ms).into(),
        attempt.answer_ms.map(column).into(),
        column(attempt.duration_ms).into(),
        (&*attempt.end_reason).into(),
        attempt.code.into(),
        attempt.buy.as_ref().and_then(|charge| small(charge.amount)).into(),
    ]
}
