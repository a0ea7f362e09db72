//! What is left to do for a shard whose machine has failed, and for calls whose relay has.

use crate::call::Call;
use crate::io::{CallKey, Now};
use crate::media::MediaControl;
use crate::switch::{Switch, SwitchSettings};
use rand::Rng;
use std::sync::Arc;

impl Switch {
    /// The calls that there are, in the order of their beginning.
    #[must_use]
    pub fn call_keys(&self) -> Vec<CallKey> {
        let mut keys: Vec<CallKey> = self.calls.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// Ends a call that the node cannot keep: an answered one with a BYE to both sides
    /// (`node_lost`), another one with 500 (`internal_error`). Its charges are asked for.
    pub fn fail_call(&mut self, now: Now, call: CallKey, media: &mut dyn MediaControl) {
        self.with_call(call, now, media, Call::close_failed);
        self.drain_transactions(now, media);
    }

    /// Writes the record of one call as it stands; false if there is none. The call has left
    /// the table before, so that a second fault in it does not come back.
    pub fn close_one_unrated(&mut self, now: Now, media: &mut dyn MediaControl) -> bool {
        let Some(key) = self.calls.keys().next().copied() else { return false };
        if let Some(mut call) = self.calls.remove(&key) {
            call.close_unrated(&mut crate::call::Cx { core: &mut self.core, now, media });
        }
        true
    }

    /// Forgets all calls and transactions; counters, settings and what new calls see stay.
    pub fn start_anew(&mut self) {
        let settings =
            SwitchSettings { seed: self.core.rng.random(), ..self.core.settings.clone() };
        let mut anew = Switch::new(settings, Arc::clone(&self.core.world));
        anew.core.counters = self.counters();
        anew.core.intake = std::mem::take(&mut self.core.intake);
        // Keys of calls are never used twice.
        anew.core.next_key = self.core.next_key;
        *self = anew;
    }
}
