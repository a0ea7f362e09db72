//! Which segments of the journal are still needed.

use ledger::CallId;
use std::collections::{BTreeMap, HashMap};

/// Which segments of the journal are still needed.
pub(super) struct Segments {
    /// For each segment: latest interim copies in it, and finals up to its end.
    open: BTreeMap<u64, (u64, u64)>,
    /// Bytes of the segments before the current one.
    closed: BTreeMap<u64, u64>,
    /// Segment with the latest interim copy of each call that is up.
    calls: HashMap<CallId, u64>,
}

impl Segments {
    pub(super) fn new(first: u64) -> Self {
        Segments {
            open: BTreeMap::from([(first, (0, 0))]),
            closed: BTreeMap::new(),
            calls: HashMap::new(),
        }
    }

    /// A new segment; the one before it has so many bytes.
    pub(super) fn begin(&mut self, segment: u64, bytes: u64) {
        if let Some((before, _)) = self.open.last_key_value() {
            self.closed.insert(*before, bytes);
        }
        let finals = self.open.last_key_value().map_or(0, |(_, (_, finals))| *finals);
        self.open.insert(segment, (0, finals));
    }

    pub(super) fn interim(&mut self, id: CallId, segment: u64) {
        self.finished(id);
        self.calls.insert(id, segment);
        if let Some((interims, _)) = self.open.get_mut(&segment) {
            *interims += 1;
        }
    }

    pub(super) fn finished(&mut self, id: CallId) {
        if let Some(segment) = self.calls.remove(&id)
            && let Some((interims, _)) = self.open.get_mut(&segment)
        {
            *interims -= 1;
        }
    }

    pub(super) fn last_final(&mut self, count: u64) {
        if let Some(mut last) = self.open.last_entry() {
            last.get_mut().1 = count;
        }
    }

    /// The oldest segment, if it is not the current one and nothing needs it: finals may
    /// not go before older interim copies of the same calls.
    pub(super) fn pop_done(&mut self, settled: u64) -> Option<u64> {
        let (segment, (interims, finals)) = self.open.first_key_value()?;
        if self.open.len() < 2 || *interims > 0 || *finals > settled {
            return None;
        }
        let segment = *segment;
        self.open.remove(&segment);
        self.closed.remove(&segment);
        Some(segment)
    }

    /// Bytes of the segments before the current one.
    pub(super) fn closed_bytes(&self) -> u64 {
        self.closed.values().sum()
    }
}
