//! What a plugin may ask about a call beyond its question.

use crate::reason::name;
use ledger::AttemptRecord;
use policy::{AttemptFailure, Invite, PastAttempt};
use sip::Message;
use std::sync::Arc;

/// The caller's INVITE as plugins see it.
#[derive(Debug)]
pub(super) struct InviteFacts(pub(super) Arc<Message>);

impl Invite for InviteFacts {
    fn request_uri(&self) -> &str {
        self.0.uri()
    }

    fn header(&self, name: &str) -> Vec<String> {
        self.0.headers(name).map(str::to_owned).collect()
    }

    fn headers(&self) -> Vec<(String, String)> {
        let line = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.0.header_lines().map(line).collect()
    }

    fn each_header(&self, visit: &mut dyn FnMut(&str, &str)) {
        self.0.header_lines().for_each(|(name, value)| visit(name, value));
    }
}

/// An attempt that has ended, as plugins see it.
pub(super) fn past_attempt(record: &AttemptRecord) -> PastAttempt {
    let until = record.end_ms.unwrap_or(record.sent_ms);
    PastAttempt {
        trunk: record.trunk,
        failure: failure_of(record),
        code: record.code,
        cause: record.cause,
        duration_ms: u32::try_from(until.saturating_sub(record.sent_ms)).unwrap_or(u32::MAX),
    }
}

fn failure_of(record: &AttemptRecord) -> AttemptFailure {
    match record.end_reason.as_str() {
        _ if record.skipped => AttemptFailure::NotSent,
        name::NO_RESPONSE => AttemptFailure::NoResponse,
        name::PROGRESS_TIMEOUT => AttemptFailure::ProgressTimeout,
        name::RING_TIMEOUT => AttemptFailure::RingTimeout,
        name::CONNECT_FAILED => AttemptFailure::ConnectFailed,
        _ => AttemptFailure::Response,
    }
}

/// The number that chooses the rate: another one if there is one (ROUTE-62).
pub(super) fn rated_number<'a>(rate_as: &'a str, callee: &'a str) -> &'a str {
    if rate_as.is_empty() { callee } else { rate_as }
}
