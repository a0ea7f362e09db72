//! Details of a call that a plugin may query beyond its question.

use crate::reason::name;
use ledger::AttemptRecord;
use policy::{AttemptFailure, Invite, PastAttempt};
use sip::Message;
use std::sync::Arc;

/// The caller's INVITE as plugins see it and the decision log keeps it, without the answers to our
/// challenges (SEC-51): they decide nothing and would let a reader guess passwords.
#[derive(Debug)]
pub(super) struct InviteFacts(pub(super) Arc<Message>);

impl Invite for InviteFacts {
    fn request_uri(&self) -> &str {
        self.0.uri()
    }

    fn header(&self, name: &str) -> Vec<String> {
        if is_secret(name) {
            return Vec::new();
        }
        self.0.headers(name).map(str::to_owned).collect()
    }

    fn headers(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        self.each_header(&mut |name, value| lines.push((name.to_owned(), value.to_owned())));
        lines
    }

    fn each_header(&self, visit: &mut dyn FnMut(&str, &str)) {
        let shown = self.0.header_lines().filter(|(name, _)| !is_secret(name));
        shown.for_each(|(name, value)| visit(name, value));
    }
}

/// Credentials of RFC 3261 sections 20.7 and 20.28; neither has a compact form.
fn is_secret(name: &str) -> bool {
    ["Authorization", "Proxy-Authorization"].iter().any(|it| name.eq_ignore_ascii_case(it))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-51
    #[test]
    fn credentials_are_not_shown() {
        let invite = "INVITE sip:1@192.0.2.1 SIP/2.0\r\n\
            Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\n\
            From: <sip:2@192.0.2.2>;tag=1\r\n\
            To: <sip:1@192.0.2.1>\r\n\
            Call-ID: 1\r\n\
            CSeq: 1 INVITE\r\n\
            Authorization: Digest username=\"a\", response=\"secret\"\r\n\
            PROXY-AUTHORIZATION: Digest username=\"b\", response=\"secret\"\r\n\
            X-Class: gold\r\n\r\n";
        let message = Message::parse(invite.as_bytes()).expect("a request");
        let facts = InviteFacts(Arc::new(message));
        assert_eq!(facts.header("x-class"), ["gold"]);
        for name in ["Authorization", "authorization", "Proxy-Authorization"] {
            assert!(facts.header(name).is_empty(), "{name}");
        }
        let lines = facts.headers();
        assert_eq!(lines.len(), 6, "{lines:?}");
        assert!(lines.iter().all(|(_, value)| !value.contains("secret")), "{lines:?}");
        let mut visited = 0;
        facts.each_header(&mut |_, _| visited += 1);
        assert_eq!(visited, 6);
    }
}
