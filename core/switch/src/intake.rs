//! When a shard takes no new calls for a while (SIG-93 `system_overload`), whatever their
//! trunk: calls that run go on.

use rand::Rng;

/// Whether new calls are taken. Each shard has its own.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// The node stops or is being emptied (OPS-65).
    pub(crate) draining: bool,
    /// Messages wait too long before they are looked at.
    pub(crate) overloaded: bool,
    /// Records wait for the disk, as many as may (CDR-14).
    pub(crate) no_room_for_records: bool,
}

impl Intake {
    /// Why no call is taken; none while calls are.
    pub(crate) fn closed(&self) -> Option<&'static str> {
        match self {
            Intake { draining: true, .. } => Some("the node is draining"),
            Intake { overloaded: true, .. } => Some("messages wait too long for this shard"),
            Intake { no_room_for_records: true, .. } => Some("records wait for the disk"),
            Intake { .. } => None,
        }
    }

    /// Seconds that a peer is told to wait (SIG-91): while draining the longest, under load
    /// at random, so that the peers do not come back together.
    pub(crate) fn retry_after(&self, rng: &mut impl Rng) -> u8 {
        if self.draining { 5 } else { rng.random_range(1..=5) }
    }
}
