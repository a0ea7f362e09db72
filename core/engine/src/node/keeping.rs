//! Maintenance of records and balances: purges old records once an hour (CDR-26), verifies the
//! books soon after the start and once a day (BILL-48), and raises the recorder's alarms (CDR-14).

use super::Node;
use crate::alarms::AlarmKind;
use crate::clock;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{Alarm, Kept};

/// Interval between purges.
const HOUR: Duration = Duration::from_secs(3600);
/// Delay after the start, which is busy enough.
const FIRST: Duration = Duration::from_secs(60);
/// Purges between two verifications of the books.
const A_DAY: u64 = 24;

/// Runs until its task is aborted.
pub(super) async fn keep_house(node: Arc<Node>) {
    tokio::time::sleep(FIRST).await;
    for hour in 0_u64.. {
        node.purge_records().await;
        if hour % A_DAY == 0 {
            node.prove_books().await;
        }
        tokio::time::sleep(HOUR).await;
    }
}

impl Node {
    /// Raises and clears the alarms of the recorder.
    pub(super) fn look_at_recorder(&self) {
        let (now, gauges) = (self.recorder.alarms(), self.recorder.gauges());
        let (waiting, in_memory, in_journal) = (gauges.depth, gauges.in_memory, gauges.in_journal);
        let rows = [
            (
                Alarm::JournalFails,
                AlarmKind::DiskCritical,
                "journal",
                format!("the journal cannot be written: {in_memory} records are in memory only"),
            ),
            (
                Alarm::Full,
                AlarmKind::SystemOverload,
                "records",
                format!(
                    "records have no room: {waiting} wait, the journal takes {} bytes",
                    gauges.journal_bytes
                ),
            ),
            (
                Alarm::DatabaseFails,
                AlarmKind::DatabaseSlow,
                "database",
                format!(
                    "the database {} takes no records: {}; {in_journal} wait in the journal",
                    self.store.database(),
                    self.recorder.database_trouble().unwrap_or_default()
                ),
            ),
            (
                Alarm::DatabaseBehind,
                AlarmKind::CdrLag,
                "database",
                format!("{waiting} records wait for the database"),
            ),
        ];
        for (alarm, kind, object, detail) in rows {
            self.alarms.set(kind, object, now.contains(&alarm).then_some(detail));
        }
        self.alarms.set(AlarmKind::RecordsSetAside, "journal", self.recorder.set_aside());
        let lost = gauges.refused;
        if lost > self.records_lost.swap(lost, Ordering::Relaxed) {
            let detail = format!("{lost} calls that were not answered have no record");
            self.alarms.notice(AlarmKind::RecordsLost, "records", detail);
        }
    }

    async fn purge_records(&self) {
        let records = &self.config.records;
        let age = |age: Duration| Some(age).filter(|age| !age.is_zero());
        let kept = Kept { calls: age(records.keep), attempts: age(records.keep_attempts) };
        match self.store.purge(clock::utc_ms(), kept).await {
            Ok(purged) if purged.calls + purged.attempts > 0 => {
                tracing::info!(
                    calls = purged.calls,
                    attempts_of_calls = purged.attempts,
                    "old records were deleted"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "old records are not deleted"),
        }
    }

    async fn prove_books(&self) {
        match self.store.prove().await {
            Ok(proof) => {
                let count = proof.faults.len() as u64;
                self.wrong_balances.store(count, Ordering::Relaxed);
                let found = (count > 0)
                    .then(|| format!("the books contradict themselves in {count} places"));
                self.alarms.set(AlarmKind::BalanceWrong, "accounts", found);
                for fault in proof.faults.iter().take(20) {
                    tracing::error!(?fault, "the books contradict themselves");
                }
            }
            Err(error) => tracing::error!(%error, "the books are not proven"),
        }
    }
}
