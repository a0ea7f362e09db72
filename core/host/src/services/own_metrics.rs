//! A plugin's own counters and gauges behind `host-metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names that one plugin may use.
const NAMES: usize = 64;
const NAME_LENGTH: usize = 48;

/// The value of a plugin's own figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnMetric {
    /// Only grows.
    Counter(u64),
    /// As last set.
    Gauge(i64),
}

/// The figures of one plugin; they outlive its versions.
#[derive(Debug, Default)]
pub(crate) struct OwnMetrics {
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    by_name: BTreeMap<Box<str>, OwnMetric>,
    /// Updates that were dropped: the name is invalid, exceeds the limit, or is of the other kind.
    dropped: u64,
}

impl OwnMetrics {
    pub(crate) fn add(&self, name: &str, amount: u64) {
        self.change(name, OwnMetric::Counter(0), |metric| match metric {
            OwnMetric::Counter(sum) => {
                *sum = sum.saturating_add(amount);
                true
            }
            OwnMetric::Gauge(_) => false,
        });
    }

    pub(crate) fn set(&self, name: &str, value: i64) {
        self.change(name, OwnMetric::Gauge(0), |metric| match metric {
            OwnMetric::Gauge(last) => {
                *last = value;
                true
            }
            OwnMetric::Counter(_) => false,
        });
    }

    /// Every figure by name, and how many updates were dropped.
    pub(crate) fn read(&self) -> (Vec<(String, OwnMetric)>, u64) {
        let figures = self.lock();
        let all = figures.by_name.iter().map(|(name, metric)| (name.to_string(), *metric));
        (all.collect(), figures.dropped)
    }

    fn change(&self, name: &str, new: OwnMetric, change: impl FnOnce(&mut OwnMetric) -> bool) {
        let mut figures = self.lock();
        let known = figures.by_name.contains_key(name);
        if !known && is_name(name) && figures.by_name.len() < NAMES {
            figures.by_name.insert(name.into(), new);
        }
        let changed = figures.by_name.get_mut(name).is_some_and(change);
        figures.dropped += u64::from(!changed);
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=NAME_LENGTH).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_too_many_names_and_mixed_kinds_are_dropped_and_counted() {
        let metrics = OwnMetrics::default();
        metrics.add("dips", 2);
        metrics.add("dips", 3);
        metrics.set("dips", 9);
        metrics.add("Bad Name", 1);
        for number in 0..100 {
            metrics.set(&format!("gauge_{number}"), -1);
        }
        let (figures, dropped) = metrics.read();
        assert_eq!(figures.len(), 64);
        assert_eq!(figures[0], ("dips".to_owned(), OwnMetric::Counter(5)));
        assert_eq!(dropped, 2 + 100 - 63);
    }
}
