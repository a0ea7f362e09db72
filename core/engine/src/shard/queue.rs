//! Measures how long datagrams wait for their shard, and decides when that is too long for new
//! calls.
//!
//! An overloaded shard would serve each caller later than the one before, and callers retransmit
//! after half a second (RFC 3261, T1), which makes it worse. So a new call that has waited longer
//! than the node file allows is refused (SIG-91): that costs a fraction of a call and keeps the
//! queue as short as the limit.

use crate::seldom::Seldom;
use std::time::Duration;

/// A caller gives up after 64 times T1 (RFC 3261 section 17.1.1.2). A longer apparent wait, in
/// milliseconds, means that the wall clock, which the kernel's timestamp uses, was set.
const CLOCK_WAS_SET: u64 = 32_000;

/// The queue of one shard.
pub(super) struct Queue {
    /// Longest wait of a new call, milliseconds; `None` is unlimited.
    limit_ms: Option<u64>,
    too_long: bool,
    line: Seldom,
}

impl Queue {
    /// Zero is unlimited.
    pub(super) fn new(limit: Duration) -> Queue {
        let limit_ms = u64::try_from(limit.as_millis()).ok().filter(|limit| *limit > 0);
        Queue { limit_ms, too_long: false, line: Seldom::new() }
    }

    /// Records how long a datagram has waited; `Some` if this changes whether new calls are
    /// refused.
    pub(super) fn waited(&mut self, shard: u16, waited_ms: u64) -> Option<bool> {
        let in_earnest = waited_ms <= CLOCK_WAS_SET;
        let too_long = in_earnest && self.limit_ms.is_some_and(|limit| waited_ms > limit);
        if too_long == self.too_long {
            return None;
        }
        self.too_long = too_long;
        if too_long && let Some(held) = self.line.pass() {
            tracing::warn!(
                shard,
                waited_ms,
                held,
                "messages wait longer than calls.longest_wait: new calls are refused with 503"
            );
        }
        Some(too_long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_calls_are_refused_while_datagrams_have_waited_too_long() {
        let mut queue = Queue::new(Duration::from_millis(400));
        let told: Vec<_> =
            [0, 400, 401, 5_000, 401, 400, 0, 500].map(|ms| queue.waited(0, ms)).into();
        assert_eq!(told, [None, None, Some(true), None, None, Some(false), None, Some(true)],);
        let mut queue = Queue::new(Duration::from_millis(400));
        assert_eq!(queue.waited(0, 3_600_000), None, "the clock was set");
        let mut patient = Queue::new(Duration::ZERO);
        assert_eq!(patient.waited(0, 3_600_000), None);
    }
}
