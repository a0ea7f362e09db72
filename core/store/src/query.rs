//! Questions about records, balances and postings.

use crate::amount::join;
use crate::document::decode;
use crate::error::{StoreError, Task};
use crate::store::{Store, column};
use ledger::{CallDocument, CallId, Money};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite};

/// Most rows of one page (CDR-22).
const LARGEST_PAGE: u32 = 10_000;

/// Which calls are wanted; every part that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// INVITE at this UTC ms or later.
    pub since_ms: Option<u64>,
    /// INVITE before this UTC ms.
    pub until_ms: Option<u64>,
    /// Customer trunk.
    pub customer_trunk: Option<u32>,
    /// A vendor trunk that was tried.
    pub vendor_trunk: Option<u32>,
    /// Paying account.
    pub account: Option<u32>,
    /// First characters of caller or callee.
    pub number: Option<String>,
    /// End reason, such as `no_route`.
    pub reason: Option<String>,
    /// Answered calls only, or the others only.
    pub answered: Option<bool>,
    /// Cursor: only calls with a lower id, the last one of the page before.
    pub before: Option<CallId>,
    /// Rows of the page: at most 10,000; 0 is 100 (CDR-22).
    pub limit: u32,
}

/// A line of a list of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallSummary {
    /// Call id, 32 hexadecimal digits when serialised.
    #[serde(serialize_with = "hexadecimal")]
    pub id: CallId,
    /// UTC ms of the INVITE.
    pub invite_ms: u64,
    /// UTC ms of our 200 to the caller.
    pub answer_ms: Option<u64>,
    /// UTC ms of the end.
    pub end_ms: Option<u64>,
    /// Customer trunk id.
    pub trunk: u32,
    /// Account id.
    pub account: u32,
    /// Caller as received.
    pub caller: String,
    /// Callee as routed.
    pub callee: String,
    /// End reason.
    pub reason: String,
    /// Code returned to the caller.
    pub code: u16,
    /// Answered ms.
    pub duration_ms: u64,
    /// Sell charge; none if not rated.
    #[serde(serialize_with = "amount")]
    pub charge: Option<Money>,
    /// Vendor cost.
    #[serde(serialize_with = "amount")]
    pub cost: Option<Money>,
    /// Attempts made or skipped.
    pub attempts: u32,
    /// To be rated again.
    pub rerate: bool,
}

fn hexadecimal<S: serde::Serializer>(id: &CallId, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{id:032x}"))
}

fn amount<S: serde::Serializer>(money: &Option<Money>, to: S) -> Result<S::Ok, S::Error> {
    match money {
        Some(money) => to.collect_str(money),
        None => to.serialize_none(),
    }
}

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

pub(crate) const DOCUMENT: &str = "SELECT document FROM call_record WHERE id = ?";
pub(crate) const BALANCE: &str = "SELECT balance_units, balance_fraction FROM account WHERE id = ?";
pub(crate) const POSTINGS_SUM: &str =
    "SELECT COALESCE(SUM(units), 0), COALESCE(SUM(fraction), 0) FROM posting WHERE account = ?";
pub(crate) const ALL_BALANCES: &str =
    "SELECT id, balance_units, balance_fraction FROM account ORDER BY id";
pub(crate) const ALL_SUMS: &str =
    "SELECT account, SUM(units), SUM(fraction) FROM posting GROUP BY account ORDER BY account";
pub(crate) const COUNT_CALLS: &str = "SELECT COUNT(*) FROM call_record";

type SummaryColumns = (
    Vec<u8>,
    i64,
    Option<i64>,
    Option<i64>,
    u32,
    u32,
    String,
    String,
    String,
    u16,
    i64,
    Option<i64>,
    Option<i64>,
    u32,
    bool,
);

impl Store {
    /// A page of calls, newest first (CDR-22, CDR-24).
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Vec<CallSummary>, StoreError> {
        let rows: Vec<SummaryColumns> =
            page(filter).build_query_as().fetch_all(&self.readers).await.during("listing calls")?;
        rows.into_iter().map(summary).collect()
    }

    /// Everything about one call.
    ///
    /// # Errors
    ///
    /// When the database fails or the record does not read back.
    pub async fn call(&self, id: CallId) -> Result<Option<CallDocument>, StoreError> {
        let bytes: Option<Vec<u8>> = sqlx::query_scalar(DOCUMENT)
            .bind(id.to_be_bytes().to_vec())
            .fetch_optional(&self.readers)
            .await
            .during("reading a call")?;
        bytes.map(|bytes| decode(&bytes, &format!("call {id:032x}"))).transpose()
    }

    /// Calls recorded.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn count_calls(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(COUNT_CALLS)
            .fetch_one(&self.readers)
            .await
            .during("counting calls")?;
        Ok(count.unsigned_abs())
    }

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
        let (units, fraction): (i64, i64) = sqlx::query_as(POSTINGS_SUM)
            .bind(account)
            .fetch_one(&self.readers)
            .await
            .during("summing postings")?;
        Ok(join(units, fraction))
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
        let sums: Vec<(u32, i64, i64)> =
            sqlx::query_as(ALL_SUMS).fetch_all(&mut *moment).await.during("summing postings")?;
        let mut sums: std::collections::BTreeMap<u32, Money> =
            sums.into_iter().map(|(account, u, f)| (account, join(u, f))).collect();
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

/// The statement for a page of calls.
pub(crate) fn page(filter: &CallFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT id, invite_ms, answer_ms, end_ms, trunk, account, caller, callee, reason, code, \
         duration_ms, charge, cost, \
         (SELECT COUNT(*) FROM attempt_record WHERE call_seq = seq), rerate \
         FROM call_record WHERE TRUE",
    );
    // The id begins with the time of the INVITE, so its index finds times too.
    let moment = |ms: u64| ((u128::from(ms) & 0xffff_ffff_ffff) << 80).to_be_bytes().to_vec();
    if let Some(since) = filter.since_ms {
        query.push(" AND id >= ").push_bind(moment(since));
    }
    if let Some(until) = filter.until_ms {
        query.push(" AND id < ").push_bind(moment(until));
    }
    if let Some(before) = filter.before {
        query.push(" AND id < ").push_bind(before.to_be_bytes().to_vec());
    }
    if let Some(trunk) = filter.customer_trunk {
        query.push(" AND trunk = ").push_bind(trunk);
    }
    if let Some(trunk) = filter.vendor_trunk {
        query
            .push(" AND EXISTS (SELECT 1 FROM attempt_record a WHERE a.call_seq = seq AND ")
            .push("a.trunk = ")
            .push_bind(trunk)
            .push(")");
    }
    if let Some(account) = filter.account {
        query.push(" AND account = ").push_bind(account);
    }
    if let Some(number) = &filter.number {
        let length = column(number.chars().count() as u64);
        for (clause, field) in [(" AND (", "caller"), (" OR ", "callee")] {
            query.push(format!("{clause}substr({field}, 1, ")).push_bind(length);
            query.push(") = ").push_bind(number.clone());
        }
        query.push(")");
    }
    if let Some(reason) = &filter.reason {
        query.push(" AND reason = ").push_bind(reason.clone());
    }
    if let Some(answered) = filter.answered {
        let state = if answered { " AND answer_ms IS NOT NULL" } else { " AND answer_ms IS NULL" };
        query.push(state);
    }
    let limit = if filter.limit == 0 { 100 } else { filter.limit.min(LARGEST_PAGE) };
    query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
    query
}

fn summary(row: SummaryColumns) -> Result<CallSummary, StoreError> {
    let (id, invite, answer, end, trunk, account, caller, callee, reason, code, ..) = &row;
    let (duration, charge, cost, attempts, rerate) = (row.10, row.11, row.12, row.13, row.14);
    let id = <[u8; 16]>::try_from(id.as_slice())
        .map_err(|_| StoreError::unreadable("a call id", format!("{} bytes", id.len())))?;
    let time = |ms: i64| u64::try_from(ms).unwrap_or(0);
    Ok(CallSummary {
        id: CallId::from_be_bytes(id),
        invite_ms: time(*invite),
        answer_ms: answer.map(time),
        end_ms: end.map(time),
        trunk: *trunk,
        account: *account,
        caller: caller.clone(),
        callee: callee.clone(),
        reason: reason.clone(),
        code: *code,
        duration_ms: time(duration),
        charge: charge.map(Money::from),
        cost: cost.map(Money::from),
        attempts,
        rerate,
    })
}
