//! How long datagrams wait for their shard, and when that is too long for new calls.
//!
//! A shard that gets more than it can do would serve each caller later than the one before.
//! Callers repeat themselves after half a second (RFC 3261, T1) and make it worse. So a new
//! call that has waited longer than the node file allows is refused (SIG-91): that costs a
//! small part of a call, and the queue stays as short as the limit.

use crate::seldom::Seldom;
use std::time::Duration;

/// The queue of one shard.
pub(super) struct Queue {
    /// Longest wait of a new call, milliseconds; none: it may wait for ever.
    limit_ms: Option<u64>,
    too_long: bool,
    line: Seldom,
}

impl Queue {
    /// Zero is no limit.
    pub(super) fn new(limit: Duration) -> Queue {
        let limit_ms = u64::try_from(limit.as_millis()).ok().filter(|limit| *limit > 0);
        Queue { limit_ms, too_long: false, line: Seldom::new() }
    }

    /// Takes note of a datagram that has waited this long: whether new calls are refused from
    /// now on, if that has changed.
    pub(super) fn waited(&mut self, shard: u16, waited_ms: u64) -> Option<bool> {
        let too_long = self.limit_ms.is_some_and(|limit| waited_ms > limit);
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
        let mut patient = Queue::new(Duration::ZERO);
        assert_eq!(patient.waited(0, 3_600_000), None);
    }
}
