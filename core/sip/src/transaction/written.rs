//! The saved form of the transactions: places and keys are kept, so that owners find their
//! transactions; timers and lists by flow are rebuilt.

use super::Transactions;
use super::key::{KeyMap, Keys};
use super::machine::Entry;
use super::slots::Slots;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The saved form, for writing.
#[derive(Serialize)]
struct Written<'a, U> {
    secret: [u8; 16],
    slots: &'a Slots<Entry<U>>,
}

/// The saved form, for reading.
#[derive(Deserialize)]
struct Read<U> {
    secret: [u8; 16],
    slots: Slots<Entry<U>>,
}

/// Events and datagrams that were not polled are not saved: poll them first.
impl<U: Serialize> Serialize for Transactions<U> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Written { secret: self.keys.secret(), slots: &self.slots }.serialize(to)
    }
}

impl<'de, U: Copy + Deserialize<'de>> Deserialize<'de> for Transactions<U> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Read { secret, slots } = Read::deserialize(from)?;
        let mut index = KeyMap::default();
        for (slot, entry) in slots.iter() {
            let keys = [Some(entry.key), entry.ack_key];
            index.extend(keys.into_iter().flatten().map(|key| (key, slot)));
        }
        let used: Vec<u32> = slots.iter().map(|(slot, _)| slot).collect();
        let keys = Keys::from_secret(secret);
        let mut transactions = Transactions { slots, index, ..Transactions::with_keys(keys) };
        for slot in used {
            transactions.arm(slot);
        }
        Ok(transactions)
    }
}
