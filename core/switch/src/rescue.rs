//! Clean-up for a shard whose machine has failed, and for calls whose relay has.

use crate::call::Call;
use crate::core::SwitchSettings;
use crate::io::Now;
use crate::media::MediaControl;
use crate::shard::CallKey;
use crate::switch::Switch;
use rand::Rng;
use std::sync::Arc;

impl Switch {
    /// All calls, oldest first.
    #[must_use]
    pub fn call_keys(&self) -> Vec<CallKey> {
        let mut keys: Vec<CallKey> = self.calls.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// Ends a call that the node cannot keep: an answered one with a BYE to both sides
    /// (`node_lost`), any other with 500 (`internal_error`). Then asks for its charges.
    pub fn fail_call(&mut self, now: Now, call: CallKey, media: &mut dyn MediaControl) {
        self.with_call(call, now, media, Call::close_failed);
        self.drain_transactions(now, media);
    }

    /// Writes the record of one call in its current state; false if there is none. The call is
    /// removed from the table first, so that a second fault in it cannot recur.
    pub fn close_one_unrated(&mut self, now: Now, media: &mut dyn MediaControl) -> bool {
        let Some(key) = self.calls.keys().next().copied() else { return false };
        if let Some(mut call) = self.calls.remove(&key) {
            call.close_unrated(&mut crate::call::Cx { core: &mut self.core, now, media });
        }
        true
    }

    /// Drops all calls and transactions; keeps counters, settings and the world of new calls.
    pub fn start_anew(&mut self) {
        let settings =
            SwitchSettings { seed: self.core.rng.random(), ..self.core.settings.clone() };
        let mut anew = Switch::new(settings, Arc::clone(&self.core.world));
        anew.core.counters = self.counters();
        anew.core.intake = std::mem::take(&mut self.core.intake);
        // Keys of calls are never reused.
        anew.core.next_key = self.core.next_key;
        *self = anew;
    }
}
