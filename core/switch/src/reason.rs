//! End reasons (SIG-93), the code that is returned when all attempts failed (SIG-86), and Q.850
//! causes (RFC 3398, SIG-89).

use crate::facts::FailureReply;
use compact_str::format_compact;
use ledger::Text;
use policy::AttemptFailure;
use serde::{Deserialize, Serialize};
use sip::Message;

/// Names of SIG-93 that the core itself uses.
pub(crate) mod name {
    /// Defines a constant for each name, and the list of all names.
    macro_rules! names {
        ($($constant:ident = $name:literal),+ $(,)?) => {
            $(pub(crate) const $constant: &str = $name;)+
            pub(crate) const ALL: &[&str] = &[$($name),+];
        };
    }

    names! {
        CALLER_HANGUP = "caller_hangup",
        CALLEE_HANGUP = "callee_hangup",
        CALLER_CANCELLED = "caller_cancelled",
        CALLEE_BUSY = "callee_busy",
        RING_TIMEOUT = "ring_timeout",
        NO_RESPONSE = "no_response",
        PROGRESS_TIMEOUT = "progress_timeout",
        CONNECT_FAILED = "connect_failed",
        ACK_TIMEOUT = "ack_timeout",
        ANSWERED_ELSEWHERE = "answered_elsewhere",
        SESSION_TIMEOUT = "session_timeout",
        MEDIA_TIMEOUT = "media_timeout",
        SOURCE_UNKNOWN = "source_unknown",
        AUTH_FAILED = "auth_failed",
        BAD_REQUEST = "bad_request",
        LOOP_DETECTED = "loop_detected",
        TRUNK_LOCKED = "trunk_locked",
        ACCOUNT_LOCKED = "account_locked",
        ACCOUNT_EXPIRED = "account_expired",
        INSUFFICIENT_BALANCE = "insufficient_balance",
        NO_RATE = "no_rate",
        NUMBER_INVALID = "number_invalid",
        CONCURRENCY_LIMIT = "concurrency_limit",
        CPS_LIMIT = "cps_limit",
        NO_ROUTE = "no_route",
        NO_ROUTE_AVAILABLE = "no_route_available",
        ALL_ROUTES_BUSY = "all_routes_busy",
        ALL_ROUTES_FAILED = "all_routes_failed",
        ATTEMPT_LIMIT = "attempt_limit",
        SETUP_BUDGET = "setup_budget",
        CODEC_MISMATCH = "codec_mismatch",
        MEDIA_RESOURCES = "media_resources",
        MAX_DURATION = "max_duration",
        BALANCE_EXHAUSTED = "balance_exhausted",
        BLOCKED_MIDCALL = "blocked_midcall",
        OPERATOR_HANGUP = "operator_hangup",
        SERVICE_END = "service_end",
        VENDOR_AUTH_FAILED = "vendor_auth_failed",
        SYSTEM_OVERLOAD = "system_overload",
        NODE_LOST = "node_lost",
        INTERNAL_ERROR = "internal_error",
        REDIRECTED = "redirected",
        DEVICE_FORBIDDEN = "device_forbidden",
        NUMBER_UNKNOWN = "number_unknown",
        CALLEE_UNAVAILABLE = "callee_unavailable",
        NUMBER_INCOMPLETE = "number_incomplete",
        DEVICE_CODEC = "device_codec",
        CALLEE_REJECTED = "callee_rejected",
        DEVICE_CONGESTED = "device_congested",
        DEVICE_ERROR = "device_error",
        DEVICE_REFUSED = "device_refused",
    }
}

/// Names of SIG-93 that only plugins use, as in the SDK; plugins may use others.
const OF_PLUGINS: [&str; 5] =
    ["caller_barred", "destination_barred", "call_type_denied", "dynamic_block", "out_of_hours"];

/// Every predefined end reason (SIG-93). A plugin may end calls with its own reason, so a record
/// may have another one.
pub fn end_reasons() -> impl Iterator<Item = &'static str> {
    name::ALL.iter().chain(&OF_PLUGINS).copied()
}

/// Whether the answered part of a call with this end reason is billed (SIG-93).
pub(crate) fn is_billed(reason: &str) -> bool {
    matches!(
        reason,
        name::CALLER_HANGUP
            | name::CALLEE_HANGUP
            | name::SESSION_TIMEOUT
            | name::MEDIA_TIMEOUT
            | name::NODE_LOST
            | name::MAX_DURATION
            | name::BALANCE_EXHAUSTED
            | name::BLOCKED_MIDCALL
            | name::OPERATOR_HANGUP
            | name::SERVICE_END
    )
}

/// End reason of an attempt that a vendor refused with `code`.
pub(crate) fn of_response(code: u16) -> &'static str {
    match code {
        300..=399 => name::REDIRECTED,
        401 | 407 => name::VENDOR_AUTH_FAILED,
        402 | 403 => name::DEVICE_FORBIDDEN,
        404 | 410 | 604 => name::NUMBER_UNKNOWN,
        480 => name::CALLEE_UNAVAILABLE,
        484 => name::NUMBER_INCOMPLETE,
        486 | 600 => name::CALLEE_BUSY,
        415 | 488 | 606 => name::DEVICE_CODEC,
        603 | 607 | 608 => name::CALLEE_REJECTED,
        503 => name::DEVICE_CONGESTED,
        500..=599 => name::DEVICE_ERROR,
        _ => name::DEVICE_REFUSED,
    }
}

/// End reason of an INVITE that is refused before admission, with `code`.
pub(crate) fn of_refusal(code: u16) -> &'static str {
    match code {
        482 | 483 => name::LOOP_DETECTED,
        500..=504 => name::INTERNAL_ERROR,
        _ => name::BAD_REQUEST,
    }
}

/// End reason of a failed attempt. Busy stays busy for every code that means it (ROUTE-50 row 6).
pub(crate) fn of_failure(failure: AttemptFailure, code: u16, cause: u8) -> &'static str {
    match failure {
        AttemptFailure::Response if cause == 17 => name::CALLEE_BUSY,
        AttemptFailure::Response => of_response(code),
        AttemptFailure::NoResponse => name::NO_RESPONSE,
        AttemptFailure::ProgressTimeout => name::PROGRESS_TIMEOUT,
        AttemptFailure::RingTimeout => name::RING_TIMEOUT,
        AttemptFailure::ConnectFailed => name::CONNECT_FAILED,
        AttemptFailure::NotSent => name::NO_ROUTE_AVAILABLE,
    }
}

/// The failure of an attempt, as far as the caller's code depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) failure: AttemptFailure,
    pub(crate) code: u16,
    pub(crate) cause: u8,
}

impl Failed {
    /// No INVITE was sent.
    pub(crate) const NOT_SENT: Failed =
        Failed { failure: AttemptFailure::NotSent, code: 0, cause: 0 };
    /// No INVITE was sent, because the caller's offer contains nothing that we can pass on.
    pub(crate) const NO_CODEC: Failed = Failed { code: 488, ..Failed::NOT_SENT };
    /// No INVITE was sent, because no media ports were free.
    pub(crate) const NO_PORTS: Failed = Failed { code: 503, ..Failed::NOT_SENT };

    /// The code that it contributes: local time-outs and 401/407/408 count as 503.
    fn code(self) -> u16 {
        match self.failure {
            AttemptFailure::NotSent if self.code > 0 => self.code,
            AttemptFailure::Response if matches!(self.code, 401 | 407 | 408) => 503,
            AttemptFailure::Response => self.code,
            AttemptFailure::RingTimeout => 480,
            _ => 503,
        }
    }

    /// Rank in SIG-86; the lowest rank is returned.
    fn rank(self) -> u8 {
        match self.code() {
            606 => 5,
            600..=699 => 0,
            486 => 1,
            404 if self.cause == 1 => 2,
            484 => 3,
            480 => 4,
            488 => 5,
            403 => 6,
            400..=499 => 7,
            500..=599 => 8,
            _ => 9,
        }
    }
}

/// The code for the caller after these attempts failed (SIG-86). A 3xx is never passed on: it would
/// reveal the vendor's address to the caller (SIG-04).
pub(crate) fn chosen_code(policy: FailureReply, attempts: &[Failed]) -> u16 {
    let visible = |code: u16| if (400..700).contains(&code) { code } else { 503 };
    match policy {
        FailureReply::Fixed(code) => code,
        FailureReply::Last => attempts.last().map_or(503, |last| visible(last.code())),
        FailureReply::Best => {
            attempts.iter().min_by_key(|a| a.rank()).map_or(503, |best| visible(best.code()))
        }
    }
}

/// Q.850 cause for a code that we return (RFC 3398 section 8.2.6.1, reversed); 0: none.
pub(crate) fn cause_of(code: u16) -> u8 {
    match code {
        403 | 401 | 407 | 603 => 21,
        404 | 604 => 1,
        408 | 504 => 102,
        410 => 22,
        480 => 18,
        482 | 483 => 25,
        484 => 28,
        486 | 600 => 17,
        488 | 606 => 31,
        500..=599 => 41,
        _ => 0,
    }
}

/// Why a call ends, as in Reason headers (RFC 3326): a cause for each protocol, 0 for none. Their
/// texts are dropped: neither side is shown text from the other (SIG-04).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Causes {
    /// ISDN cause, 1 to 127.
    pub(crate) q850: u8,
    /// SIP response code: 200 in a CANCEL means that the call was completed elsewhere.
    pub(crate) sip: u16,
}

impl Causes {
    /// A Q.850 cause of our own.
    pub(crate) fn ours(q850: u8) -> Causes {
        Causes { q850, sip: 0 }
    }

    /// The causes in a message; the first value of a protocol counts.
    pub(crate) fn of(message: &Message) -> Causes {
        let mut causes = Causes::default();
        for reason in message.reasons() {
            match reason.cause {
                Some(cause @ 1..=127) if reason.protocol.eq_ignore_ascii_case("Q.850") => {
                    let cause = u8::try_from(cause).unwrap_or(0);
                    causes.q850 = if causes.q850 == 0 { cause } else { causes.q850 };
                }
                Some(cause @ 100..=699) if reason.protocol.eq_ignore_ascii_case("SIP") => {
                    causes.sip = if causes.sip == 0 { cause } else { causes.sip };
                }
                _ => {}
            }
        }
        causes
    }

    /// These causes, with `q850` if they have no Q.850 cause.
    pub(crate) fn or(self, q850: u8) -> Causes {
        Causes { q850: if self.q850 == 0 { q850 } else { self.q850 }, ..self }
    }

    /// The value of our Reason header (SIG-89).
    pub(crate) fn text(self) -> Text {
        match self.sip {
            0 => format_compact!("Q.850;cause={}", self.q850),
            sip => format_compact!("Q.850;cause={}, SIP;cause={sip}", self.q850),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(code: u16) -> Failed {
        Failed { failure: AttemptFailure::Response, code, cause: 0 }
    }

    /// SIG-86
    #[test]
    fn the_most_telling_code_of_all_attempts_is_returned() {
        let best = |codes: &[u16]| {
            chosen_code(FailureReply::Best, &codes.iter().map(|c| response(*c)).collect::<Vec<_>>())
        };
        assert_eq!(best(&[503, 486, 404]), 486);
        assert_eq!(best(&[486, 603]), 603);
        assert_eq!(best(&[606, 486]), 486, "606 speaks of the media offer");
        assert_eq!(best(&[606, 480, 403]), 480);
        assert_eq!(best(&[403, 606]), 606);
        assert_eq!(best(&[503, 403, 480]), 480);
        assert_eq!(best(&[404, 403]), 403, "404 without cause 1 is like any 4xx");
        assert_eq!(best(&[503, 413]), 413);
        for ours in [401, 407, 408] {
            assert_eq!(best(&[ours]), 503);
        }
        assert_eq!(best(&[302]), 503);
        assert_eq!(best(&[]), 503);
        let unallocated = Failed { cause: 1, ..response(404) };
        let order = [response(603), response(486), unallocated, response(484), response(480)];
        let order =
            [&order[..], &[response(488), response(403), response(404), response(500)]].concat();
        for pair in order.windows(2) {
            let code = chosen_code(FailureReply::Best, &[pair[1], pair[0]]);
            assert_eq!(code, pair[0].code, "before {}", pair[1].code);
        }
        let silent = Failed { failure: AttemptFailure::NoResponse, code: 0, cause: 0 };
        assert_eq!(chosen_code(FailureReply::Last, &[response(486), silent]), 503);
        assert_eq!(chosen_code(FailureReply::Fixed(480), &[response(486)]), 480);
    }

    fn bye(reasons: &str) -> Message {
        let text = format!(
            "BYE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\n\
             From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:a@192.0.2.1>;tag=2\r\nCall-ID: c\r\n\
             CSeq: 1 BYE\r\n{reasons}\r\n"
        );
        Message::parse(text.as_bytes()).expect("a request")
    }

    /// SIG-89, RFC 3326: all lines and all values count, the first of each protocol is taken.
    #[test]
    fn causes_are_read_from_reason_headers() {
        let read = |reasons: &str| {
            let causes = Causes::of(&bye(reasons));
            (causes.q850, causes.sip)
        };
        assert_eq!(read("Reason: Q.850;cause=17;text=\"User busy\"\r\n"), (17, 0));
        assert_eq!(read("Reason: q.850 ; cause = 1\r\n"), (1, 0));
        let lines = "Reason: SIP;cause=404;text=\"a, b\"\r\nReason: Q.850;cause=1\r\n";
        assert_eq!(read(lines), (1, 404));
        assert_eq!(read("Reason: SIP;cause=200, Q.850;cause=26, Q.850;cause=3\r\n"), (26, 200));
        assert_eq!(read("Reason: Q.850;cause=999, SIP;cause=7\r\n"), (0, 0));
        assert_eq!(read("Reason: X.25;cause=17\r\nReason: \r\n"), (0, 0));
        assert_eq!(read(""), (0, 0));
    }

    /// SIG-04, SIG-89: only numbers are passed on.
    #[test]
    fn a_cause_is_passed_on_without_its_text() {
        let heard = Causes::of(&bye("Reason: SIP;cause=200;text=\"carrier.example\"\r\n"));
        assert_eq!(heard.or(16).text(), "Q.850;cause=16, SIP;cause=200");
        assert_eq!(Causes::ours(102).text(), "Q.850;cause=102");
        assert_eq!(Causes { q850: 26, sip: 0 }.or(16).text(), "Q.850;cause=26");
    }
}
