//! Queries for call records.

use crate::correction::Correction;
use crate::db::{Connection, Query, Statement, took_too_long, values};
use crate::document::decode;
use crate::error::{StoreError, Task};
use crate::store::{Store, column};
use ledger::{CallDocument, CallId};
use std::time::{Duration, Instant};

/// Most rows of one page (CDR-22).
pub const LARGEST_PAGE: u32 = 10_000;
/// Default rows per page (CDR-22).
const PAGE: u32 = 100;
/// A filter with fewer matches is followed through its index; with more, calls are scanned from the
/// newest, which soon fills the page.
const FEW: i64 = 20_000;
/// Longest run time of a query (CDR-21).
const LONGEST_QUERY: Duration = Duration::from_secs(30);

/// A filter for calls; all set fields must match. Objects are named by their current or former
/// name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// INVITE at this UTC ms or later.
    pub since_ms: Option<u64>,
    /// INVITE before this UTC ms.
    pub until_ms: Option<u64>,
    /// Customer trunk.
    pub customer_trunk: Option<String>,
    /// A vendor trunk that was attempted.
    pub vendor_trunk: Option<String>,
    /// Paying account.
    pub account: Option<String>,
    /// Prefix of the caller as received.
    pub caller: Option<String>,
    /// Prefix of the callee as routed.
    pub callee: Option<String>,
    /// Prefix of caller or callee.
    pub number: Option<String>,
    /// End reason, such as `no_route`.
    pub reason: Option<String>,
    /// Whether the call was answered.
    pub answered: Option<bool>,
    /// Only calls still to be re-rated.
    pub rerate: bool,
    /// Cursor: only calls with an id below this, the last of the previous page.
    pub before: Option<CallId>,
    /// Rows per page: at most 10,000; 0 is 100 (CDR-22).
    pub limit: u32,
}

/// A call as recorded, with later corrections.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedCall {
    /// Its sequence number.
    pub seq: i64,
    /// The call at its end (CDR-07).
    pub document: CallDocument,
    /// Charges re-rated since.
    pub corrections: Vec<Correction>,
}

pub(crate) static DOCUMENT: Statement =
    Statement::both("SELECT seq, document FROM call_record WHERE id = ?");
pub(crate) static COUNT_CALLS: Statement = Statement::both("SELECT COUNT(*) FROM call_record");

/// A filter with the ids of the objects that it names.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) filter: Option<&'a CallFilter>,
    pub(crate) customer_trunk: Option<i64>,
    pub(crate) vendor_trunk: Option<i64>,
    pub(crate) account: Option<i64>,
    /// Few calls match the vendor trunk.
    pub(crate) few_of_vendor: bool,
    /// Few calls match the number: caller, callee, either.
    pub(crate) few_numbers: [bool; 3],
}

impl Store {
    /// A page of calls, newest first (CDR-22, CDR-24).
    ///
    /// # Errors
    ///
    /// An object never existed, the query takes longer than 30 s (CDR-21), or the database fails.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Vec<RecordedCall>, StoreError> {
        let mut connection = self.reader().await?;
        let end = Instant::now() + LONGEST_QUERY;
        connection.give_up_after(LONGEST_QUERY).await.during("limiting a search")?;
        match find(&mut connection, filter).await {
            Err(StoreError::Database { source, .. })
                if Instant::now() >= end || took_too_long(&source) =>
            {
                Err(StoreError::Refused(format!(
                    "the search takes longer than {} s: choose a shorter period or more digits of the number",
                    LONGEST_QUERY.as_secs()
                )))
            }
            found => found,
        }
    }

    /// A call with its corrections.
    ///
    /// # Errors
    ///
    /// The database fails or the record is unreadable.
    pub async fn call(&self, id: CallId) -> Result<Option<RecordedCall>, StoreError> {
        let mut connection = self.reader().await?;
        let id = id.to_be_bytes();
        let row: Option<(i64, Vec<u8>)> =
            connection.row(&DOCUMENT, values![&id[..]]).await.during("reading a call")?;
        let rows = row.into_iter().collect();
        Ok(recorded(&mut connection, rows).await?.pop())
    }

    /// Number of recorded calls.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn count_calls(&self) -> Result<u64, StoreError> {
        let mut connection = self.reader().await?;
        let (count,): (i64,) = connection.one(&COUNT_CALLS, &[]).await.during("counting calls")?;
        Ok(count.unsigned_abs())
    }
}

async fn find(
    connection: &mut Connection,
    filter: &CallFilter,
) -> Result<Vec<RecordedCall>, StoreError> {
    let mut wanted = Wanted { filter: Some(filter), ..Wanted::default() };
    let named = [
        ("account", &filter.account, &mut wanted.account),
        ("customer_trunk", &filter.customer_trunk, &mut wanted.customer_trunk),
        ("vendor_trunk", &filter.vendor_trunk, &mut wanted.vendor_trunk),
    ];
    for (table, name, id) in named {
        if let Some(name) = name {
            *id = Some(id_of(connection, table, name).await?);
        }
    }
    if let Some(trunk) = wanted.vendor_trunk {
        let mut query = Query::new("SELECT CAST(1 AS BIGINT) FROM attempt_record WHERE trunk = ");
        query.bind(trunk);
        wanted.few_of_vendor = are_few(connection, query).await?;
    }
    for (few, (columns, number)) in wanted.few_numbers.iter_mut().zip(numbers(filter)) {
        let Some(number) = number else { continue };
        *few = true;
        for column in columns {
            let mut query = Query::new("SELECT CAST(1 AS BIGINT) FROM call_record WHERE TRUE");
            begins_with(&mut query, column, number);
            *few &= are_few(connection, query).await?;
        }
    }
    let (statement, values) = page(&wanted).finish();
    let rows: Vec<(i64, Vec<u8>)> =
        connection.rows(&statement, &values).await.during("listing calls")?;
    recorded(connection, rows).await
}

/// Columns and prefixes of the number filters.
fn numbers(filter: &CallFilter) -> [(&'static [&'static str], Option<&String>); 3] {
    [
        (&["caller"], filter.caller.as_ref()),
        (&["callee"], filter.callee.as_ref()),
        (&["caller", "callee"], filter.number.as_ref()),
    ]
}

async fn id_of(
    connection: &mut Connection,
    table: &'static str,
    name: &str,
) -> Result<i64, StoreError> {
    let mut query = Query::new("SELECT id FROM ");
    query.push(table).push(" WHERE name = ").bind(name.to_owned());
    let (statement, values) = query.finish();
    let id: Option<(i64,)> = connection.row(&statement, &values).await.during("finding a name")?;
    let kind = table.replace('_', " ");
    id.map(|row| row.0)
        .ok_or_else(|| StoreError::Refused(format!("no {kind} has or had the name `{name}`")))
}

async fn are_few(connection: &mut Connection, matches: Query) -> Result<bool, StoreError> {
    let mut query = matches;
    query.push(" LIMIT ").bind(FEW);
    let (statement, values) = query.finish();
    let found: Vec<(i64,)> =
        connection.rows(&statement, &values).await.during("estimating a search")?;
    Ok((found.len() as i64) < FEW)
}

/// A prefix condition that can use the column's index.
fn begins_with(query: &mut Query, column: &str, number: &str) {
    query.push(" AND ").push(column).push(" >= ").bind(number.to_owned());
    query.push(" AND ").push(column).push(" < ").bind(format!("{number}{}", char::MAX));
}

/// The statement for a page of calls. A plus before a column keeps its index out of the plan.
pub(crate) fn page(wanted: &Wanted<'_>) -> Query {
    let mut query = Query::new("SELECT seq, document FROM call_record WHERE TRUE");
    let Some(filter) = wanted.filter else { return query };
    // The id begins with the time of the INVITE, so that its index finds times too.
    let moment = |ms: u64| ((u128::from(ms) & 0xffff_ffff_ffff) << 80).to_be_bytes().to_vec();
    if let Some(since) = filter.since_ms {
        query.push(" AND id >= ").bind(moment(since));
    }
    if let Some(until) = filter.until_ms {
        query.push(" AND id < ").bind(moment(until));
    }
    if let Some(before) = filter.before {
        query.push(" AND id < ").bind(before.to_be_bytes().to_vec());
    }
    if let Some(trunk) = wanted.customer_trunk {
        query.push(" AND trunk = ").bind(trunk);
    }
    if let Some(account) = wanted.account {
        query.push(" AND account = ").bind(account);
    }
    if let Some(trunk) = wanted.vendor_trunk {
        if wanted.few_of_vendor {
            query.push(" AND seq IN (SELECT call_seq FROM attempt_record WHERE trunk = ");
        } else {
            query.push(" AND EXISTS (SELECT 1 FROM attempt_record a WHERE a.call_seq = seq");
            query.push(" AND a.trunk = ");
        }
        query.bind(trunk).push(")");
    }
    for (few, (columns, number)) in wanted.few_numbers.into_iter().zip(numbers(filter)) {
        let Some(number) = number else { continue };
        match (few, columns) {
            (true, columns) => {
                query.push(" AND seq IN (");
                for (n, column) in columns.iter().enumerate() {
                    query.push(if n > 0 { " UNION " } else { "" });
                    query.push("SELECT seq FROM call_record WHERE TRUE");
                    begins_with(&mut query, column, number);
                }
                query.push(")");
            }
            (false, columns) => {
                let length = column(number.chars().count() as u64);
                for (n, column) in columns.iter().enumerate() {
                    query.push(if n > 0 { " OR " } else { " AND (" });
                    query.push("substr(").push(column).push(", 1, CAST(").bind(length);
                    query.push(" AS INTEGER)) = ").bind(number.clone());
                }
                query.push(")");
            }
        }
    }
    if let Some(reason) = &filter.reason {
        query.push(" AND reason = ").bind(reason.clone());
    }
    if let Some(answered) = filter.answered {
        let state = if answered { " AND answer_ms IS NOT NULL" } else { " AND answer_ms IS NULL" };
        query.push(state);
    }
    if filter.rerate {
        query.push(" AND rerate AND NOT EXISTS ");
        query.push("(SELECT 1 FROM correction c WHERE c.call_seq = seq)");
    }
    let limit = if filter.limit == 0 { PAGE } else { filter.limit.min(LARGEST_PAGE) };
    query.push(" ORDER BY id DESC LIMIT ").bind(limit);
    query
}

/// Decodes rows and adds their corrections.
async fn recorded(
    connection: &mut Connection,
    rows: Vec<(i64, Vec<u8>)>,
) -> Result<Vec<RecordedCall>, StoreError> {
    let mut calls = Vec::with_capacity(rows.len());
    for (seq, bytes) in rows {
        let document = decode(&bytes, &format!("record {seq}"))?;
        let corrections = match document.call.rerate {
            true => Correction::of(connection, seq).await?,
            false => Vec::new(),
        };
        calls.push(RecordedCall { seq, document, corrections });
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Dialect;

    /// CDR-24: rare matches are found through their column's index, common ones by a scan from the
    /// newest call; neither sorts.
    #[tokio::test]
    async fn each_filter_has_its_index() {
        let folder = std::env::temp_dir().join(format!("strowger-plan-{}", std::process::id()));
        let store = Store::open(folder.join("strowger.db")).await.expect("a store");
        let number = Some("4477".to_owned());
        let by_caller = CallFilter { caller: number.clone(), ..CallFilter::default() };
        let by_either = CallFilter { number, ..CallFilter::default() };
        let any = CallFilter::default();
        let of = |filter| Wanted { filter: Some(filter), ..Wanted::default() };
        let few = |filter| Wanted { few_numbers: [true; 3], ..of(filter) };
        let rows: [(Wanted<'_>, &[&str], bool); 7] = [
            (few(&by_caller), &["call_caller (caller>? AND caller<?)"], true),
            (of(&by_caller), &["sqlite_autoindex_call_record_1"], false),
            (few(&by_either), &["call_caller (caller>?", "call_callee (callee>?"], true),
            (Wanted { account: Some(1), ..of(&any) }, &["call_account (account=?)"], false),
            (Wanted { customer_trunk: Some(1), ..of(&any) }, &["call_trunk (trunk=?)"], false),
            (
                Wanted { vendor_trunk: Some(1), few_of_vendor: true, ..of(&any) },
                &["attempt_trunk (trunk=?)"],
                true,
            ),
            (
                Wanted { vendor_trunk: Some(1), ..of(&any) },
                &["sqlite_autoindex_call_record_1", "attempt_trunk (trunk=? AND call_seq=?)"],
                false,
            ),
        ];
        for (wanted, indexes, sorts) in rows {
            let mut explained = Query::new("EXPLAIN QUERY PLAN ");
            let (statement, values) = page(&wanted).finish();
            explained.push(statement.text(Dialect::Sqlite).as_str());
            let (explained, _) = explained.finish();
            let mut writer = store.writer().await.expect("a connection");
            let steps: Vec<(i64, i64, i64, String)> =
                writer.rows(&explained, &values).await.expect("a plan");
            let plan: Vec<String> = steps.into_iter().map(|step| step.3).collect();
            for index in indexes {
                assert!(plan.iter().any(|step| step.contains(index)), "{index}: {plan:#?}");
            }
            let sorted = plan.iter().any(|step| step.contains("ORDER BY"));
            assert!(sorts || !sorted, "{plan:#?}");
        }
        let _ = std::fs::remove_dir_all(folder);
    }
}
