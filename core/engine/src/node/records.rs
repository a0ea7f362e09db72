//! Call records for the admin API.

use super::Node;
use crate::lines;
use api::{ApiError, RecordView};
use std::time::Duration;
use store::{CallFilter, StoreError};

/// How long a query waits for the recorder.
const LONGEST_CATCH_UP: Duration = Duration::from_secs(1);

impl Node {
    /// Makes ended calls visible at once: flushes records that wait to be written in a batch
    /// (docs/records.md). `false` if the database is in trouble and lacks records.
    pub(super) async fn store_catches_up(&self) -> bool {
        let caught_up = tokio::time::timeout(LONGEST_CATCH_UP, self.recorder.flush()).await;
        if caught_up.is_err() {
            tracing::warn!("the database lags; the newest calls are not listed yet");
        }
        caught_up.is_ok()
    }

    /// A page of records without their trails, newest first (CDR-22, CDR-24), and whether the
    /// database has all calls that have ended.
    pub async fn records(&self, filter: &CallFilter) -> Result<(Vec<RecordView>, bool), ApiError> {
        let complete = self.store_catches_up().await;
        let found = self.store.calls(filter).await.map_err(|error| match error {
            StoreError::Refused(why) => ApiError::invalid("query", why),
            error => ApiError::internal(error.to_string()),
        })?;
        let view = |call| RecordView { trail: Vec::new(), ..lines::record(call) };
        Ok((found.iter().map(view).collect(), complete))
    }

    /// The record of a call, if there is one, and whether the database has all ended calls.
    pub async fn record(&self, id: u128) -> Result<(Option<RecordView>, bool), ApiError> {
        let complete = self.store_catches_up().await;
        let found = self.store.call(id).await;
        let found = found.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok((found.as_ref().map(lines::record), complete))
    }
}
