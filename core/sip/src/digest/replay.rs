//! Used nonce counts (RFC 7616 3.4, SIG-54).

use super::NONCE_LIFE_MS;
use super::server::{Denial, NonceUse};
use std::collections::{HashMap, VecDeque};

/// Remembers the used nonce counts of a bounded number of nonces.
///
/// If a nonce must be forgotten before it expires, every nonce at least as old counts as stale from
/// then on: memory is bounded and no replay slips through.
#[derive(Clone, Debug)]
pub struct ReplayGuard {
    capacity: usize,
    seen: HashMap<String, Counts>,
    /// In order of first use.
    order: VecDeque<(u64, String)>,
    /// Nonces not in `seen` made up to this time are stale.
    forgotten_ms: u64,
}

/// The highest count, and which of the 63 below it were used: requests may overtake each other.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    highest: u32,
    window: u64,
}

impl ReplayGuard {
    /// Remembers at most `capacity` nonces (at least one) made after `since_ms`. Older nonces are
    /// stale, because their earlier use is unknown.
    pub fn new(capacity: usize, since_ms: u64) -> ReplayGuard {
        ReplayGuard {
            capacity: capacity.max(1),
            seen: HashMap::new(),
            order: VecDeque::new(),
            forgotten_ms: since_ms,
        }
    }

    /// Nonces remembered now.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no nonce is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Uses up one count of a nonce. Called only after the password was verified, so that nobody
    /// without it can grow the table or wait for its lock.
    ///
    /// # Errors
    /// [`Denial::Replayed`] for a count already used, [`Denial::Stale`] for a nonce that had to be
    /// forgotten.
    pub fn admit(&mut self, used: &NonceUse<'_>, utc_ms: u64) -> Result<(), Denial> {
        let NonceUse { nonce, made_ms, count } = *used;
        let counted = |fresh: bool| if fresh { Ok(()) } else { Err(Denial::Replayed) };
        if let Some(counts) = self.seen.get_mut(nonce) {
            return counted(counts.use_up(count));
        }
        if made_ms <= self.forgotten_ms {
            return Err(Denial::Stale);
        }
        self.make_room(utc_ms);
        let mut counts = Counts::default();
        let fresh = counts.use_up(count);
        self.seen.insert(nonce.to_owned(), counts);
        self.order.push_back((made_ms, nonce.to_owned()));
        counted(fresh)
    }

    fn make_room(&mut self, utc_ms: u64) {
        while let Some((made_ms, _)) = self.order.front() {
            let expired = *made_ms + NONCE_LIFE_MS < utc_ms;
            if !expired && self.seen.len() < self.capacity {
                return;
            }
            if let Some((made_ms, nonce)) = self.order.pop_front() {
                self.seen.remove(&nonce);
                if !expired {
                    self.forgotten_ms = self.forgotten_ms.max(made_ms);
                }
            }
        }
    }
}

impl Counts {
    /// Marks `count` as used; returns whether it was new.
    fn use_up(&mut self, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        if count > self.highest {
            let ahead = count - self.highest;
            self.window = self.window.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let bit = 1_u64.checked_shl(behind).unwrap_or(0);
        let fresh = bit != 0 && self.window & bit == 0;
        self.window |= bit;
        fresh
    }
}
