//! The host's services in native tests: same functions as the imports, answered from
//! state of the test's own thread.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::new());
}

struct State {
    texts: HashMap<u64, String>,
    tables: HashMap<String, BTreeMap<String, String>>,
    counters: HashMap<String, VecDeque<(u64, u32)>>,
    lines: Vec<String>,
    now_ms: u64,
    random: u64,
}

impl State {
    fn new() -> Self {
        State {
            texts: HashMap::new(),
            tables: HashMap::new(),
            counters: HashMap::new(),
            lines: Vec::new(),
            now_ms: 1_767_225_600_000,
            random: 1,
        }
    }
}

/// The switch as a plugin's native tests see it. Its state belongs to the test's
/// thread, so tests do not disturb each other.
///
/// ```
/// use plugin_sdk::{FakeHost, host};
/// let switch = FakeHost::install();
/// switch.table("barred", &[("4490", "premium")]);
/// assert_eq!(host::table("barred").longest_prefix("449012").unwrap().length, 4);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct FakeHost {}

impl FakeHost {
    /// Starts anew: no texts, tables, counters or lines; the clock at 2026-01-01; seed 1.
    #[must_use]
    pub fn install() -> FakeHost {
        STATE.with_borrow_mut(|state| *state = State::new());
        FakeHost {}
    }

    /// Puts a text behind a handle.
    pub fn text(&self, handle: u64, text: &str) {
        STATE.with_borrow_mut(|state| state.texts.insert(handle, text.to_owned()));
    }

    /// Fills a table with entries and their values.
    pub fn table(&self, name: &str, entries: &[(&str, &str)]) {
        let table = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        STATE.with_borrow_mut(|state| state.tables.insert(name.to_owned(), table.collect()));
    }

    /// Moves the clock forwards.
    pub fn advance(&self, milliseconds: u64) {
        STATE.with_borrow_mut(|state| state.now_ms += milliseconds);
    }

    /// Sets the clock, milliseconds since 1970-01-01 UTC.
    pub fn set_now(&self, now_ms: u64) {
        STATE.with_borrow_mut(|state| state.now_ms = now_ms);
    }

    /// Sets the seed of the random source.
    pub fn seed(&self, seed: u64) {
        STATE.with_borrow_mut(|state| state.random = seed);
    }

    /// What was logged, as `level: line`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        STATE.with_borrow(|state| state.lines.clone())
    }
}

pub(crate) mod host_log {
    pub(crate) enum Level {
        Debug,
        Info,
        Warn,
        Error,
    }

    pub(crate) fn log(level: Level, line: &str) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        super::STATE.with_borrow_mut(|state| state.lines.push(format!("{level}: {line}")));
    }
}

pub(crate) mod host_config {
    pub(crate) fn text(handle: u64) -> Option<String> {
        super::STATE.with_borrow(|state| state.texts.get(&handle).cloned())
    }
}

pub(crate) mod host_tables {
    pub(crate) struct Hit {
        pub(crate) length: u32,
        pub(crate) value: String,
    }

    pub(crate) fn longest_prefix(table: &str, number: &str) -> Option<Hit> {
        super::STATE.with_borrow(|state| {
            let table = state.tables.get(table)?;
            let longest = (0..=number.len()).rev().filter_map(|end| number.get(..end));
            longest
                .filter_map(|prefix| table.get_key_value(prefix))
                .map(|(prefix, value)| Hit {
                    length: u32::try_from(prefix.chars().count()).unwrap_or(u32::MAX),
                    value: value.clone(),
                })
                .next()
        })
    }

    pub(crate) fn exact(table: &str, number: &str) -> Option<String> {
        super::STATE.with_borrow(|state| state.tables.get(table)?.get(number).cloned())
    }
}

pub(crate) mod host_counters {
    pub(crate) fn add(key: &str, amount: u32, window_s: u32) -> u64 {
        super::STATE.with_borrow_mut(|state| {
            let now = state.now_ms;
            state.counters.entry(key.to_owned()).or_default().push_back((now, amount));
        });
        sum(key, window_s)
    }

    pub(crate) fn sum(key: &str, window_s: u32) -> u64 {
        super::STATE.with_borrow(|state| {
            let since = state.now_ms.saturating_sub(u64::from(window_s) * 1000);
            let counter = state.counters.get(key);
            let recent = counter.into_iter().flatten().filter(|(at, _)| *at > since);
            recent.map(|(_, amount)| u64::from(*amount)).sum()
        })
    }

    pub(crate) fn clear(key: &str) {
        super::STATE.with_borrow_mut(|state| state.counters.remove(key));
    }
}

pub(crate) mod host_clock {
    pub(crate) fn now_ms() -> u64 {
        super::STATE.with_borrow(|state| state.now_ms)
    }
}

pub(crate) mod host_random {
    /// SplitMix64: short, and every seed is a good one.
    pub(crate) fn next() -> u64 {
        super::STATE.with_borrow_mut(|state| {
            state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state.random;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^ (bits >> 31)
        })
    }
}
