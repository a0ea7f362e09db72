//! Storage of the transactions: a vector with reused places and ids that are never reused.

use super::TransactionId;
use serde::{Deserialize, Serialize};

/// Values by place and by [`TransactionId`], which is a place and its generation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// The generation of a new place.
    first_generation: u32,
    /// Ids given out without a place.
    placeless: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { places: Vec::new(), free: Vec::new(), first_generation: 0, placeless: 0 }
    }
}

impl<T> Slots<T> {
    /// All places in use.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(slot, place)| Some((slot as u32, place.value.as_ref()?)))
    }

    /// Values held.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Values that fit without another allocation.
    pub(super) fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// Frees all memory if no value is left.
    pub(super) fn shrink(&mut self) {
        if self.len() > 0 {
            return;
        }
        let newest = self.places.iter().map(|place| place.generation).max();
        self.first_generation = newest.unwrap_or(self.first_generation);
        (self.places, self.free) = (Vec::new(), Vec::new());
    }

    /// Adds a value; returns its place.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.places[slot as usize].value = Some(value);
            return slot;
        }
        self.places.push(Place { generation: self.first_generation, value: Some(value) });
        (self.places.len() - 1) as u32
    }

    /// Removes the value from a place; its id is invalid from now on.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let place = self.places.get_mut(slot as usize)?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
        Some(value)
    }

    /// The value in a place.
    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.places.get(slot as usize)?.value.as_ref()
    }

    /// The value in a place, mutable.
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.places.get_mut(slot as usize)?.value.as_mut()
    }

    /// The id of the value in a place.
    pub(super) fn id(&self, slot: u32) -> TransactionId {
        let generation = self.places.get(slot as usize).map_or(0, |place| place.generation);
        TransactionId(u64::from(generation) << 32 | u64::from(slot))
    }

    /// The place of a live id.
    pub(super) fn slot(&self, id: TransactionId) -> Option<u32> {
        let (slot, generation) = (id.0 as u32, (id.0 >> 32) as u32);
        let place = self.places.get(slot as usize)?;
        (place.value.is_some() && place.generation == generation).then_some(slot)
    }

    /// An id without a value, for a transaction that ended before it began.
    pub(super) fn dead_id(&mut self) -> TransactionId {
        self.placeless = self.placeless.wrapping_add(1);
        TransactionId(u64::from(self.placeless) << 32 | u64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused_and_ids_are_not() {
        let mut slots = Slots::default();
        let first = slots.insert("first");
        let id = slots.id(first);
        assert_eq!(slots.slot(id), Some(first));
        assert_eq!(slots.remove(first), Some("first"));
        assert_eq!(slots.remove(first), None);
        let second = slots.insert("second");
        assert_eq!((second, slots.len()), (first, 1));
        assert_eq!(slots.slot(id), None, "the old id does not find the new value");
        assert_eq!(slots.get_mut(second), Some(&mut "second"));
        assert_ne!(slots.dead_id(), slots.dead_id());
        let dead = slots.dead_id();
        assert_eq!(slots.slot(dead), None);

        let id = slots.id(second);
        slots.shrink();
        assert_eq!(slots.slot(id), Some(second), "it is in use");
        slots.remove(second);
        slots.shrink();
        assert_eq!((slots.capacity(), slots.slot(id)), (0, None));
        let third = slots.insert("third");
        assert_eq!((third, slots.slot(id)), (second, None), "old ids stay dead");
    }
}
