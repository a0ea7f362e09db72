//! Handlers for call records.

use super::refusal::Refusal;
use super::routes::{Reply, call_id, query};
use api::{ApiError, INCOMPLETE, RecordView};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue};
use engine::Node;
use serde::Deserialize;
use std::sync::Arc;
use store::{CallFilter, LARGEST_PAGE};

/// Default rows of a page (CDR-22).
const PAGE: u32 = 100;

/// Parameters of `GET /v1/records`; all that are given must match (CDR-24).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordParameters {
    /// Most records.
    limit: Option<u32>,
    /// INVITE at this UTC ms or later.
    since: Option<u64>,
    /// INVITE before this UTC ms.
    until: Option<u64>,
    /// Prefix of the caller as received.
    caller: Option<String>,
    /// Prefix of the callee as routed.
    callee: Option<String>,
    /// Prefix of either.
    number: Option<String>,
    /// Name of the paying account.
    account: Option<String>,
    /// Name of the customer trunk.
    customer: Option<String>,
    /// Name of a vendor trunk that was attempted.
    vendor: Option<String>,
    /// End reason (SIG-93).
    reason: Option<String>,
    answered: Option<bool>,
    /// Only calls still to be re-rated.
    #[serde(default)]
    rerate: bool,
    /// Cursor: id of the last record of the previous page.
    before: Option<String>,
}

impl RecordParameters {
    fn filter(self) -> Result<CallFilter, ApiError> {
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            let detail = format!("{limit} is out of range: allowed are 1 to {LARGEST_PAGE}");
            return Err(ApiError::invalid("limit", detail));
        }
        let numbers =
            [("caller", &self.caller), ("callee", &self.callee), ("number", &self.number)];
        for (field, number) in numbers {
            if number.as_ref().is_some_and(String::is_empty) {
                return Err(ApiError::invalid(field, "expected at least one character"));
            }
        }
        let before = match &self.before {
            Some(id) => Some(
                call_id(id)
                    .map_err(|_| ApiError::invalid("before", format!("`{id}` is not a call id")))?,
            ),
            None => None,
        };
        Ok(CallFilter {
            since_ms: self.since,
            until_ms: self.until,
            customer_trunk: self.customer,
            vendor_trunk: self.vendor,
            account: self.account,
            caller: self.caller,
            callee: self.callee,
            number: self.number,
            reason: self.reason,
            answered: self.answered,
            rerate: self.rerate,
            before,
            limit,
        })
    }
}

pub(super) async fn records(
    State(node): State<Arc<Node>>,
    parameters: Result<Query<RecordParameters>, QueryRejection>,
) -> Result<(HeaderMap, Json<Vec<RecordView>>), Refusal> {
    let parameters = query(parameters)?;
    let (records, complete) = node.records(&parameters.filter()?).await?;
    let mut headers = HeaderMap::new();
    if !complete {
        headers.insert(INCOMPLETE, HeaderValue::from_static("true"));
    }
    Ok((headers, Json(records)))
}

pub(super) async fn record(
    State(node): State<Arc<Node>>,
    Path(id): Path<String>,
) -> Reply<RecordView> {
    let number = call_id(&id)?;
    match node.record(number).await? {
        (Some(record), _) => Ok(Json(record)),
        (None, true) => Err(ApiError::not_found(format!("no record of call {id}")).into()),
        (None, false) => {
            let detail = format!("no record of call {id}; the newest calls wait for the database");
            Err(ApiError::not_found(detail).into())
        }
    }
}
