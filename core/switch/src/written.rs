//! A shard in serialised form, so that another machine (a newer build of the program, or the same
//! one with other settings) continues its calls and no peer notices.

use crate::call::{Call, Objects, against};
use crate::core::{Owner, SwitchSettings};
use crate::facts::{Facts, Listener};
use crate::io::{Now, World};
use crate::media::MediaControl;
use crate::shard::CallKey;
use crate::switch::Switch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sip::session::Farewell;
use sip::{TransactionId, Transactions};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The version of the format. Fields have names: a new field needs `#[serde(default)]` and no new
/// version; every other change needs one.
pub const FORM: u16 = 1;

/// Why a shard cannot be serialised.
#[derive(Debug, thiserror::Error)]
#[error("the calls cannot be written down: {0}")]
pub struct WriteError(String);

/// Why a machine cannot continue a serialised shard.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Another build wrote it.
    #[error("the calls are written in form {found}, this build reads form {FORM}")]
    Form {
        /// Its format version.
        found: u16,
    },
    /// A call finds its shard by its Call-ID, so the number of shards may not change.
    #[error("the calls are of shard {found_shard} of {found}, this is shard {shard} of {shards}")]
    Shards {
        /// The writing shard, from 0.
        found_shard: u16,
        /// Its number of shards.
        found: u16,
        /// The reading shard.
        shard: u16,
        /// Its number of shards.
        shards: u16,
    },
    /// A listener that calls may use is missing, or has another place in the list.
    #[error("the calls came by the listener `{name}` on {local}, which is not configured any more")]
    Listener {
        /// Its name.
        name: String,
        /// Its address.
        local: SocketAddr,
    },
    /// The data is damaged.
    #[error("the calls cannot be read: {0}")]
    Damaged(String),
}

/// The header before the calls.
#[derive(Serialize, Deserialize)]
struct Head {
    form: u16,
    shard: u16,
    shards: u16,
    listeners: Vec<(String, SocketAddr)>,
}

impl Head {
    fn of(settings: &SwitchSettings, facts: &Facts) -> Head {
        let place = |listener: &Listener| (listener.name.to_string(), listener.local);
        Head {
            form: FORM,
            shard: settings.shard,
            shards: settings.shards,
            listeners: facts.listeners.iter().map(place).collect(),
        }
    }

    fn check(&self, own: &Head) -> Result<(), ReadError> {
        if self.form != own.form {
            return Err(ReadError::Form { found: self.form });
        }
        if (self.shard, self.shards) != (own.shard, own.shards) {
            return Err(ReadError::Shards {
                found_shard: self.shard,
                found: self.shards,
                shard: own.shard,
                shards: own.shards,
            });
        }
        let mut own = own.listeners.iter();
        for listener in &self.listeners {
            if own.next() != Some(listener) {
                let (name, local) = listener.clone();
                return Err(ReadError::Listener { name, local });
            }
        }
        Ok(())
    }
}

/// A shard, for writing.
#[derive(Serialize)]
struct Written<'a> {
    transactions: &'a Transactions<Owner>,
    farewells: BTreeMap<TransactionId, &'a Farewell>,
    #[serde(with = "sip::written::moment_if_any")]
    foreign_until: Option<Instant>,
    next_key: u64,
    calls: Vec<&'a Call>,
}

/// The same, for reading.
#[derive(Deserialize)]
struct Read {
    transactions: Transactions<Owner>,
    farewells: BTreeMap<TransactionId, Farewell>,
    #[serde(with = "sip::written::moment_if_any")]
    foreign_until: Option<Instant>,
    next_key: u64,
    calls: Vec<Call>,
}

impl Switch {
    /// Serialises the shard and leaves it without calls; peers notice nothing. Times are written
    /// relative to `now`. Take every output first: datagrams, questions and records that were not
    /// polled are not written. The reading machine asks open questions again.
    ///
    /// The data contains passwords of vendors: keep it in memory, never on a disk.
    ///
    /// # Errors
    /// A time is centuries away; then the shard does not change.
    pub fn write_down(
        &mut self,
        now: Now,
        media: &mut dyn MediaControl,
    ) -> Result<Vec<u8>, WriteError> {
        let keys = self.call_keys();
        for key in &keys {
            self.with_call(*key, now, media, |call, cx| call.read_media(cx));
        }
        let core = &self.core;
        let head = Head::of(&core.settings, &core.world.facts);
        let farewells = core.farewells.iter().map(|(id, farewell)| (*id, &**farewell));
        let written = Written {
            transactions: &core.transactions,
            farewells: farewells.collect(),
            foreign_until: core.settings.foreign.until(),
            next_key: core.next_key,
            calls: keys.iter().filter_map(|key| self.calls.get(key)).map(Box::as_ref).collect(),
        };
        let (facts, pin) = (&core.world.facts, &core.world.pin);
        let (body, objects) = against(facts, pin, Objects::default(), || {
            sip::written::relative_to(now.instant, || rmp_serde::to_vec_named(&written))
        });
        let head = rmp_serde::to_vec_named(&head);
        let parts = [head, rmp_serde::to_vec_named(&objects), body];
        let parts: Result<Vec<_>, _> = parts.into_iter().collect();
        let bytes = parts.map_err(|error| WriteError(error.to_string()))?.concat();
        let live = &self.core.settings.live;
        self.calls.values().for_each(|call| call.hand_over(live));
        *self = Switch::new(self.core.settings.clone(), Arc::clone(&self.core.world));
        Ok(bytes)
    }

    /// Continues a shard that another machine has serialised. `written_at` is its `now` on the
    /// clock of this machine.
    ///
    /// # Errors
    /// Another build, other shards or listeners: then no call is taken.
    pub fn read(
        settings: SwitchSettings,
        world: Arc<World>,
        written: &[u8],
        written_at: Instant,
        now: Now,
        media: &mut dyn MediaControl,
    ) -> Result<Switch, ReadError> {
        let mut bytes = written;
        next::<Head>(&mut bytes)?.check(&Head::of(&settings, &world.facts))?;
        let objects: Objects = next(&mut bytes)?;
        let (read, _) = against(&world.facts, &world.pin, objects, || {
            sip::written::relative_to(written_at, || next::<Read>(&mut bytes))
        });
        let read = read?;
        let mut switch = Switch::new(settings, world);
        let core = &mut switch.core;
        core.transactions = read.transactions;
        core.farewells =
            read.farewells.into_iter().map(|(id, farewell)| (id, Box::new(farewell))).collect();
        if let Some(until) = read.foreign_until {
            core.settings.foreign.hear_until(until);
        }
        core.next_key = read.next_key;
        let keys: Vec<CallKey> = read.calls.iter().map(Call::key).collect();
        switch.calls = read.calls.into_iter().map(|call| (call.key(), Box::new(call))).collect();
        for key in keys {
            switch.with_call(key, now, media, |call, cx| call.take_over(cx));
        }
        switch.drain_transactions(now, media);
        Ok(switch)
    }
}

/// Takes the next part off the bytes: head, objects, shard.
fn next<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, ReadError> {
    rmp_serde::from_read(bytes).map_err(|error| ReadError::Damaged(error.to_string()))
}
