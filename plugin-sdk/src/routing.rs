//! Which vendor trunks, in which order, and what happens after a failure?

use crate::bindings::host::strowger::policy::types;
use crate::bindings::routing::exports::strowger::policy::routing as wire;
use crate::{Call, Money, Plugin, Rejection, TrunkId};

/// Asked when a call is admitted and after each failed attempt.
pub trait Routing: Plugin {
    /// The trunks to try, first to last. An empty list ends the call with
    /// `no_route_available`; trunks that are not candidates are ignored.
    ///
    /// # Errors
    /// A rejection ends the call.
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection>;

    /// What happens after a failed attempt? By default the next trunk is tried, except after the
    /// two answers that come from the callee itself, busy (486) and 6xx.
    fn after_failure(&mut self, call: &Call, outcome: &Outcome) -> Decision {
        let _ = call;
        match outcome.code {
            486 | 600.. => Decision::Stop,
            _ => Decision::Next,
        }
    }
}

/// One vendor trunk whose prefix matches, with the facts that a choice may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The vendor trunk.
    pub trunk: TrunkId,
    /// Length of its longest matching prefix.
    pub prefix_length: u8,
    /// Priority of that prefix, lower first.
    pub prefix_priority: u32,
    /// Whether shorter prefixes may be tried after that prefix (ROUTE-18).
    pub extend: bool,
    /// Priority of the trunk, lower first.
    pub priority: u32,
    /// Weight for weighted balance.
    pub weight: u32,
    /// Used only if nothing else is left (ROUTE-45).
    pub last_resort: bool,
    /// Calls up or being set up on the trunk now, on this node.
    pub active: u32,
    /// Channel limit; 0 is unlimited.
    pub channels: u32,
    /// Attempts sent to it since midnight UTC.
    pub calls_today: u64,
    /// The vendor's price per minute after the initial block.
    pub buy_price: Money,
}

impl Default for Candidate {
    /// A fresh trunk: default priorities (100), no limits, no calls.
    fn default() -> Self {
        Candidate {
            trunk: TrunkId(0),
            prefix_length: 0,
            prefix_priority: 100,
            extend: true,
            priority: 100,
            weight: 0,
            last_resort: false,
            active: 0,
            channels: 0,
            calls_today: 0,
            buy_price: Money::ZERO,
        }
    }
}

/// A call that needs vendor trunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteQuestion {
    /// The call.
    pub call: Call,
    /// After the ingress rewrite; empty: none.
    pub caller: String,
    /// After the ingress rewrite.
    pub callee: String,
    /// The caller's price per minute after the initial block.
    pub sell_price: Money,
    /// Only trunks that may be used now; at most 1,000.
    pub candidates: Vec<Candidate>,
}

/// How an attempt ended before answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failure {
    /// A final response, given in [`Outcome::code`].
    #[default]
    Response,
    /// Nothing was received (SIG-15).
    NoResponse,
    /// A provisional response, then silence (SIG-16, SIG-17).
    ProgressTimeout,
    /// Alerting, but no answer (SIG-18, SIG-19).
    RingTimeout,
    /// Transport or name resolution failed (SIG-24).
    ConnectFailed,
    /// The attempt could not be made: numbers, identity, ports, limit.
    NotSent,
}

/// When media opened by a vendor ends the search for another one (ROUTE-50 row 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopAfterMedia {
    /// SDP of the attempt was sent to the caller.
    #[default]
    Sdp,
    /// A packet of RTP came from the vendor.
    Rtp,
    /// Never.
    Off,
}

/// An attempt that failed, with its vendor trunk's switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The vendor trunk.
    pub trunk: TrunkId,
    /// How it failed.
    pub failure: Failure,
    /// Response code, 300 to 699; 0 if no response was received.
    pub code: u16,
    /// Q.850 cause of the Reason header; 0 if absent.
    pub cause: u8,
    /// 180 was passed to the caller.
    pub alerted: bool,
    /// SDP of this attempt was sent to the caller.
    pub media_opened: bool,
    /// A packet of RTP came from the vendor.
    pub rtp_received: bool,
    /// Busy ends the call.
    pub stop_after_busy: bool,
    /// No response at all ends the call.
    pub stop_after_timeout: bool,
    /// Alerting and media do not end the search.
    pub until_connect: bool,
    /// Row 9 of ROUTE-50.
    pub stop_after_media: StopAfterMedia,
    /// Codes (or, up to 127, Q.850 causes) that always stop (true) or always switch (false) on this
    /// trunk.
    pub code_policy: Vec<(u16, bool)>,
    /// Attempts sent so far, this one included.
    pub attempts: u32,
    /// Choices left.
    pub remaining: u32,
}

impl Default for Outcome {
    /// A 503 from a trunk with default switches, one choice left.
    fn default() -> Self {
        Outcome {
            trunk: TrunkId(0),
            failure: Failure::Response,
            code: 503,
            cause: 0,
            alerted: false,
            media_opened: false,
            rtp_received: false,
            stop_after_busy: true,
            stop_after_timeout: false,
            until_connect: false,
            stop_after_media: StopAfterMedia::Sdp,
            code_policy: Vec::new(),
            attempts: 1,
            remaining: 1,
        }
    }
}

/// Answer to a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try the next choice.
    Next,
    /// End the call; the switch chooses the code (SIG-86).
    Stop,
    /// End the call with this code, 400 to 699.
    StopWith(u16),
    /// Leave the decision to the next plugin of the chain; after the last one the next choice is
    /// tried.
    Pass,
}

impl From<wire::Candidate> for Candidate {
    fn from(candidate: wire::Candidate) -> Self {
        Candidate {
            trunk: TrunkId(candidate.trunk),
            prefix_length: candidate.prefix_length,
            prefix_priority: candidate.prefix_priority,
            extend: candidate.extend,
            priority: candidate.priority,
            weight: candidate.weight,
            last_resort: candidate.last_resort,
            active: candidate.active,
            channels: candidate.channels,
            calls_today: candidate.calls_today,
            buy_price: Money(candidate.buy_price),
        }
    }
}

impl From<wire::Question> for RouteQuestion {
    fn from(question: wire::Question) -> Self {
        RouteQuestion {
            call: question.call.into(),
            caller: question.caller,
            callee: question.callee,
            sell_price: Money(question.sell_price),
            candidates: question.candidates.into_iter().map(Candidate::from).collect(),
        }
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        match failure {
            types::Failure::Response => Failure::Response,
            types::Failure::NoResponse => Failure::NoResponse,
            types::Failure::ProgressTimeout => Failure::ProgressTimeout,
            types::Failure::RingTimeout => Failure::RingTimeout,
            types::Failure::ConnectFailed => Failure::ConnectFailed,
            types::Failure::NotSent => Failure::NotSent,
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Response => types::Failure::Response,
            Failure::NoResponse => types::Failure::NoResponse,
            Failure::ProgressTimeout => types::Failure::ProgressTimeout,
            Failure::RingTimeout => types::Failure::RingTimeout,
            Failure::ConnectFailed => types::Failure::ConnectFailed,
            Failure::NotSent => types::Failure::NotSent,
        }
    }
}

impl From<wire::Outcome> for Outcome {
    fn from(outcome: wire::Outcome) -> Self {
        Outcome {
            trunk: TrunkId(outcome.trunk),
            failure: outcome.failure.into(),
            code: outcome.code,
            cause: outcome.cause,
            alerted: outcome.alerted,
            media_opened: outcome.media_opened,
            rtp_received: outcome.rtp_received,
            stop_after_busy: outcome.stop_after_busy,
            stop_after_timeout: outcome.stop_after_timeout,
            until_connect: outcome.until_connect,
            stop_after_media: match outcome.stop_after_media {
                wire::StopAfterMedia::Sdp => StopAfterMedia::Sdp,
                wire::StopAfterMedia::Rtp => StopAfterMedia::Rtp,
                wire::StopAfterMedia::Off => StopAfterMedia::Off,
            },
            code_policy: outcome.code_policy,
            attempts: outcome.attempts,
            remaining: outcome.remaining,
        }
    }
}

impl From<Decision> for wire::Decision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Next => wire::Decision::Next,
            Decision::Stop => wire::Decision::Stop,
            Decision::StopWith(code) => wire::Decision::StopWith(code),
            Decision::Pass => wire::Decision::Pass,
        }
    }
}
