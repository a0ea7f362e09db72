//! What a crash left behind (CDR-06, BILL-13).

use crate::document::{decode, later_format};
use crate::error::StoreError;
use crate::journal::{Entry, Journal, JournalReader, Kind};
use crate::records::{Finished, is_recorded};
use crate::store::Store;
use ledger::{CallDocument, CallId, EndedBy, RecordState};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// End reason of calls that a dead node left up (SIG-93).
const NODE_LOST: &str = "node_lost";

/// What was found in the journal at the start.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Finished calls that were durable but not in the database; now they are.
    pub replayed: u64,
    /// Bytes at the ends of segments that a crash left half-written and that are dropped;
    /// nobody was told that they were recorded.
    pub torn_bytes: u64,
    /// Bytes of damaged parts; their segments are set aside.
    pub damaged_bytes: u64,
    /// Calls that were up, in the order of their ids, closed with the last evidence:
    /// `node_lost`, final, no postings. They have to be rated (the row and rounding are in
    /// `sell` and in each answered attempt's `buy`; what was not answered has none), booked
    /// and submitted.
    pub unfinished: Vec<CallDocument>,
}

/// Moves finished calls into the database and the unfinished ones into the new segment;
/// deletes the old segments.
pub(crate) async fn recover(store: &Store, journal: &mut Journal) -> Result<Recovery, StoreError> {
    let mut recovery = Recovery::default();
    let mut interims: BTreeMap<CallId, Vec<u8>> = BTreeMap::new();
    let earlier = journal.earlier()?;
    let reader = journal.reader();
    let taken = try_again(store, journal, &mut recovery.replayed).await?;
    for segment in &earlier {
        let what = format!("an entry of journal segment {segment}");
        let read = journal.read(*segment)?;
        recovery.torn_bytes += read.torn;
        recovery.damaged_bytes += read.damage.iter().map(|part| part.length).sum::<u64>();
        let mut finished = Vec::new();
        for entry in read.entries {
            if let Some(format) = later_format(&entry.payload) {
                return Err(StoreError::Refused(format!(
                    "{what} has format {format}, which a later version of strowger has written; \
                     start that version, which reads the journal to its end"
                )));
            }
            let document = match decode(&entry.payload, &what) {
                Ok(document) => Box::new(document),
                Err(error) => {
                    recovery.damaged_bytes += entry.payload.len() as u64;
                    reader.keep(*segment, &error.to_string());
                    continue;
                }
            };
            let id = document.call.id;
            if entry.kind == Kind::Interim {
                interims.insert(id, entry.payload);
            } else {
                interims.remove(&id);
                finished.push(Finished { document, bytes: entry.payload });
            }
        }
        recovery.replayed += store_calls(store, &reader, &finished).await?;
    }
    for (id, bytes) in interims {
        if is_recorded(&mut *store.patient_writer().await?, id).await? {
            continue;
        }
        // Kept until its final document comes.
        journal.append(Kind::Interim, &bytes);
        let mut document = decode(&bytes, &format!("call {id:032x}"))?;
        close(&mut document);
        recovery.unfinished.push(document);
    }
    journal.commit().map_err(StoreError::io("the journal"))?;
    if !earlier.is_empty() || !taken.is_empty() {
        store.settle().await?;
    }
    for path in taken {
        std::fs::remove_file(&path).map_err(StoreError::io(path))?;
    }
    for segment in earlier {
        journal.delete(segment).map_err(StoreError::io(format!("journal segment {segment}")))?;
    }
    Ok(recovery)
}

/// Tries the calls again that the database has refused before; those that it takes now lose their
/// files at the end of the recovery, which are given back.
async fn try_again(
    store: &Store,
    journal: &Journal,
    replayed: &mut u64,
) -> Result<Vec<PathBuf>, StoreError> {
    let mut done = Vec::new();
    for (path, entries) in journal.refused()? {
        let what = path.display().to_string();
        let (mut calls, mut unreadable) = (Vec::new(), entries.is_empty());
        for Entry { payload: bytes, .. } in entries {
            match decode(&bytes, &what) {
                Ok(document) => calls.push(Finished { document: Box::new(document), bytes }),
                Err(error) => {
                    tracing::error!(%error, "a call that was set aside is not read");
                    unreadable = true;
                }
            }
        }
        let recorded = store.record(&calls).await?;
        *replayed += recorded.new;
        if recorded.new > 0 {
            tracing::info!(file = %what, "the database takes a call that it refused before");
        }
        match recorded.refused.first() {
            Some((_, error)) => {
                tracing::error!(file = %what, %error, "the database still refuses this call");
            }
            None if unreadable => tracing::error!(file = %what, "this file holds no call"),
            None => done.push(path),
        }
    }
    Ok(done)
}

/// Writes finished calls to the database, and those that it refuses to files.
async fn store_calls(
    store: &Store,
    journal: &JournalReader,
    calls: &[Finished],
) -> Result<u64, StoreError> {
    let recorded = store.record(calls).await?;
    for (place, error) in &recorded.refused {
        if let Some(Finished { document, bytes }) = calls.get(*place) {
            journal.refuse(document.call.id, bytes, &error.to_string())?;
        }
    }
    Ok(recorded.new)
}

/// Ends a call that was up when its node died: billed to the last evidence of life, by the
/// durations of the copy and not by the clock of the day, which may have been set. What was
/// never answered has no charge.
fn close(document: &mut CallDocument) {
    let call = &mut document.call;
    let end = call.evidence_ms.max(call.answer_ms.unwrap_or(call.invite_ms));
    call.state = RecordState::Final;
    call.end_ms = Some(end);
    if call.answer_ms.is_none() {
        call.billable_ms = 0;
        call.sell = None;
    } else {
        call.code_chosen = 200;
        call.code_returned = 200;
    }
    call.duration_ms = call.billable_ms;
    call.end_reason = NODE_LOST.into();
    call.ended_by = EndedBy::Switch;
    call.detail = "the node was lost during the call; billed to the last evidence".into();
    for attempt in &mut document.attempts {
        if attempt.answer_ms.is_none() {
            attempt.buy = None;
            attempt.billable_ms = 0;
        }
        if attempt.end_ms.is_some() || attempt.skipped {
            continue;
        }
        attempt.end_ms = Some(end);
        attempt.duration_ms = attempt.billable_ms;
        attempt.end_reason = NODE_LOST.into();
        attempt.ended_by = EndedBy::Switch;
    }
    document.postings.clear();
}
