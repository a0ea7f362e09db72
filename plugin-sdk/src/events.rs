//! Notifications without an answer.

use crate::bindings::events::exports::strowger::policy::events as wire;
use crate::{Call, Plugin, TrunkId};

/// Receives each state change of a call.
pub trait Events: Plugin {
    /// Handles one state change.
    fn notify(&mut self, event: &Event);
}

/// What happened (CDR-15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventKind {
    /// The call was admitted to the checks.
    #[default]
    Incoming,
    /// Vendor trunks were chosen.
    Routed,
    /// An INVITE was sent to a vendor.
    Attempt,
    /// The vendor is alerting.
    Ringing,
    /// Answered.
    Answered,
    /// Put on hold by either side.
    Held,
    /// Taken back from hold.
    Resumed,
    /// An attempt failed.
    Failed,
    /// The call ended.
    Ended,
}

/// A state change of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The call.
    pub call: Call,
    /// What happened.
    pub kind: EventKind,
    /// When, milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The vendor trunk, if any.
    pub trunk: Option<TrunkId>,
    /// Response code, 0 if none.
    pub code: u16,
    /// Answered milliseconds, 0 before answer.
    pub duration_ms: u64,
    /// After the ingress rewrite; empty: none.
    pub caller: String,
    /// After the ingress rewrite.
    pub callee: String,
}

impl From<wire::Event> for Event {
    fn from(event: wire::Event) -> Self {
        Event {
            call: event.call.into(),
            kind: match event.kind {
                wire::Kind::Incoming => EventKind::Incoming,
                wire::Kind::Routed => EventKind::Routed,
                wire::Kind::Attempt => EventKind::Attempt,
                wire::Kind::Ringing => EventKind::Ringing,
                wire::Kind::Answered => EventKind::Answered,
                wire::Kind::Held => EventKind::Held,
                wire::Kind::Resumed => EventKind::Resumed,
                wire::Kind::Failed => EventKind::Failed,
                wire::Kind::Ended => EventKind::Ended,
            },
            at_ms: event.at_ms,
            trunk: (event.trunk != 0).then_some(TrunkId(event.trunk)),
            code: event.code,
            duration_ms: event.duration_ms,
            caller: event.caller,
            callee: event.callee,
        }
    }
}
