use crate::{CallFacts, PolicyMoney, Text};
use serde::{Deserialize, Serialize};

/// One vendor trunk whose prefix matches, with the facts a choice may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Numeric id of the vendor trunk.
    pub trunk: u32,
    /// Length of its longest matching prefix.
    pub prefix_length: u8,
    /// Priority of that prefix, lower first.
    pub prefix_priority: u32,
    /// May shorter prefixes be tried after that one (ROUTE-18)?
    pub extend: bool,
    /// Priority of the trunk, lower first.
    pub priority: u32,
    /// Weight for weighted balance.
    pub weight: u32,
    /// Used only if nothing else is left (ROUTE-45).
    pub last_resort: bool,
    /// Calls up or being set up now.
    pub active: u32,
    /// Channel limit, 0 is unlimited.
    pub channels: u32,
    /// Attempts sent since midnight UTC.
    pub calls_today: u64,
    /// The vendor's price per minute after the initial block.
    pub buy_price: PolicyMoney,
}

/// Asked at admission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteQuestion {
    /// The call.
    pub call: CallFacts,
    /// After the ingress rewrite.
    pub caller: Text,
    /// After the ingress rewrite.
    pub callee: Text,
    /// The caller's price per minute after the initial block.
    pub sell_price: PolicyMoney,
    /// Trunks that may be used now.
    pub candidates: Vec<Candidate>,
}

/// How an attempt ended before answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptFailure {
    /// A final response.
    Response,
    /// Nothing received (SIG-15).
    NoResponse,
    /// Provisional response, then silence (SIG-16, SIG-17).
    ProgressTimeout,
    /// Alerting, no answer (SIG-18, SIG-19).
    RingTimeout,
    /// Transport failed (SIG-24).
    ConnectFailed,
    /// The attempt could not be made.
    NotSent,
}

/// Row 9 of ROUTE-50.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopAfterMedia {
    /// SDP of the attempt was sent to the caller.
    #[default]
    Sdp,
    /// A packet of RTP came from the vendor.
    Rtp,
    /// The row is skipped.
    Off,
}

/// Failover switches of a vendor trunk (ROUTE-50).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverSwitches {
    /// Row 6; default on.
    pub stop_after_busy: bool,
    /// Row 10; default off.
    pub stop_after_timeout: bool,
    /// Disables rows 8 and 9; default off.
    pub until_connect: bool,
    /// Row 9.
    pub stop_after_media: StopAfterMedia,
    /// Row 5: codes that stop (true) or switch (false).
    pub code_policy: Vec<(u16, bool)>,
}

impl Default for FailoverSwitches {
    fn default() -> Self {
        FailoverSwitches {
            stop_after_busy: true,
            stop_after_timeout: false,
            until_connect: false,
            stop_after_media: StopAfterMedia::Sdp,
            code_policy: Vec::new(),
        }
    }
}

/// Asked after each failed attempt, unless the core itself ends the call
/// (rows 1 to 4 and 12 of ROUTE-50).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvanceQuestion {
    /// The call.
    pub call: CallFacts,
    /// The vendor trunk that failed.
    pub trunk: u32,
    /// How it failed.
    pub failure: AttemptFailure,
    /// 300 to 699; 0 when no response was received.
    pub code: u16,
    /// Q.850 cause, 0 when absent.
    pub cause: u8,
    /// 180 was passed to the caller.
    pub alerted: bool,
    /// SDP of this attempt was sent to the caller.
    pub media_opened: bool,
    /// RTP came from the vendor.
    pub rtp_received: bool,
    /// The trunk's switches.
    pub switches: FailoverSwitches,
    /// Attempts sent so far, this one included.
    pub attempts: u32,
    /// Choices left.
    pub remaining: u32,
}

/// Answer to [`AdvanceQuestion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advance {
    /// Try the next choice.
    Next,
    /// End the call; the code is chosen by SIG-86.
    Stop,
    /// End the call with this code.
    StopWith(u16),
}
