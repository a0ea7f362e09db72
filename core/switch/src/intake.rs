//! Reasons for a shard to accept no new calls for a while (SIG-93 `system_overload`), from any
//! trunk; running calls go on.

use rand::Rng;

/// Whether new calls are accepted. Each shard has its own.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// The node stops or is being drained (OPS-65).
    pub(crate) draining: bool,
    /// Messages wait too long before they are handled.
    pub(crate) overloaded: bool,
    /// The maximum number of records waits for the disk (CDR-14).
    pub(crate) no_room_for_records: bool,
}

impl Intake {
    /// Why no call is accepted; none if calls are.
    pub(crate) fn closed(&self) -> Option<&'static str> {
        match self {
            Intake { draining: true, .. } => Some("the node is draining"),
            Intake { overloaded: true, .. } => Some("messages wait too long for this shard"),
            Intake { no_room_for_records: true, .. } => Some("records wait for the disk"),
            Intake { .. } => None,
        }
    }

    /// Seconds in Retry-After (SIG-91): the maximum while draining; under load random, so that the
    /// peers do not all come back together.
    pub(crate) fn retry_after(&self, rng: &mut impl Rng) -> u8 {
        if self.draining { 5 } else { rng.random_range(1..=5) }
    }
}
