//! The host's services in native tests: the same functions as the imports, answered from state of
//! the test's own thread.

pub(crate) mod host_accounts;
pub(crate) mod host_http;

pub use host_http::LeftRequest;

use crate::TrunkId;
use crate::host::http::{HttpError, Response};
use crate::host::{CallNumbers, PastAttempt, TrunkStatistics};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::new());
}

struct State {
    texts: HashMap<u64, String>,
    tables: HashMap<String, BTreeMap<String, String>>,
    /// Additions by key and window in seconds: time and amount.
    counters: HashMap<(String, u32), Vec<(u64, u32)>>,
    headers: Vec<(String, String)>,
    numbers: CallNumbers,
    attempts: Vec<PastAttempt>,
    account: HashMap<String, String>,
    customer: HashMap<String, String>,
    vendors: HashMap<(u32, String), String>,
    statistics: HashMap<u32, TrunkStatistics>,
    held: HashMap<String, u32>,
    metrics: BTreeMap<String, i64>,
    request_uri: Option<String>,
    http: host_http::Http,
    lines: Vec<String>,
    accounts: host_accounts::Accounts,
    origin: [String; 3],
    kept: HashMap<(String, String), String>,
    reason: Option<String>,
    now_ms: u64,
    random: u64,
}

impl State {
    fn new() -> Self {
        State {
            texts: HashMap::new(),
            tables: HashMap::new(),
            counters: HashMap::new(),
            headers: Vec::new(),
            numbers: CallNumbers::default(),
            attempts: Vec::new(),
            account: HashMap::new(),
            customer: HashMap::new(),
            vendors: HashMap::new(),
            statistics: HashMap::new(),
            held: HashMap::new(),
            metrics: BTreeMap::new(),
            request_uri: None,
            http: host_http::Http::default(),
            lines: Vec::new(),
            accounts: host_accounts::Accounts::default(),
            origin: ["192.0.2.1:5060", "udp", "main"].map(str::to_owned),
            kept: HashMap::new(),
            reason: None,
            now_ms: 1_767_225_600_000,
            random: 1,
        }
    }
}

/// The switch as a plugin's native tests see it. Its state belongs to the test's thread, so tests
/// do not affect each other.
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
    /// Resets everything: no texts, tables, counters or lines; the clock at 2026-01-01; seed 1.
    #[must_use]
    pub fn install() -> FakeHost {
        STATE.with_borrow_mut(|state| *state = State::new());
        FakeHost {}
    }

    /// Sets the text of a handle.
    pub fn text(&self, handle: u64, text: &str) {
        STATE.with_borrow_mut(|state| state.texts.insert(handle, text.to_owned()));
    }

    /// Fills a table with entries and their values.
    pub fn table(&self, name: &str, entries: &[(&str, &str)]) {
        let table = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        STATE.with_borrow_mut(|state| state.tables.insert(name.to_owned(), table.collect()));
    }

    /// Adds a header line to the call's INVITE.
    pub fn header(&self, name: &str, value: &str) {
        STATE.with_borrow_mut(|state| state.headers.push((name.to_owned(), value.to_owned())));
    }

    /// Sets the Request-URI of the call's INVITE; by default it is built from `callee_in`.
    pub fn request_uri(&self, uri: &str) {
        STATE.with_borrow_mut(|state| state.request_uri = Some(uri.to_owned()));
    }

    /// Sets a server's answer to requests for a URL: a status and a body. Several answers for one
    /// URL are returned once each, in order, and the last one repeatedly. A URL without an answer
    /// cannot be connected to.
    pub fn http_answer(&self, url: &str, status: u16, body: &str) {
        let (headers, body) = (Vec::new(), body.as_bytes().to_vec());
        self.http_outcome(url, Ok(Response { status, headers, body, cached: false }));
    }

    /// Makes requests for a URL fail; otherwise as [`FakeHost::http_answer`].
    pub fn http_error(&self, url: &str, error: HttpError) {
        self.http_outcome(url, Err(error));
    }

    fn http_outcome(&self, url: &str, outcome: Result<Response, HttpError>) {
        STATE.with_borrow_mut(|state| {
            state.http.answers.entry(url.to_owned()).or_default().push_back(outcome);
        });
    }

    /// Requests that were sent, as `GET http://...`, without those answered from the cache.
    #[must_use]
    pub fn http_sent(&self) -> Vec<String> {
        STATE.with_borrow(|state| state.http.sent.clone())
    }

    /// Requests that the plugin left to the switch with `send_later`, in order. Nothing is sent.
    #[must_use]
    pub fn http_left(&self) -> Vec<LeftRequest> {
        STATE.with_borrow(|state| state.http.left.clone())
    }

    /// Makes the switch take no more such requests, as when too many wait
    /// ([`HttpError::Busy`]); `None`: it takes them again.
    pub fn http_left_error(&self, error: Option<HttpError>) {
        STATE.with_borrow_mut(|state| state.http.left_error = error);
    }

    /// Sets the call's numbers.
    pub fn numbers(&self, numbers: CallNumbers) {
        STATE.with_borrow_mut(|state| state.numbers = numbers);
    }

    /// Adds an attempt that has ended.
    pub fn attempt(&self, attempt: PastAttempt) {
        STATE.with_borrow_mut(|state| state.attempts.push(attempt));
    }

    /// Sets an attribute of the paying account.
    pub fn account_attribute(&self, name: &str, value: &str) {
        STATE.with_borrow_mut(|state| state.account.insert(name.to_owned(), value.to_owned()));
    }

    /// Sets an attribute of the customer trunk.
    pub fn customer_attribute(&self, name: &str, value: &str) {
        STATE.with_borrow_mut(|state| state.customer.insert(name.to_owned(), value.to_owned()));
    }

    /// Sets an attribute of a vendor trunk.
    pub fn vendor_attribute(&self, trunk: TrunkId, name: &str, value: &str) {
        let key = (trunk.0, name.to_owned());
        STATE.with_borrow_mut(|state| state.vendors.insert(key, value.to_owned()));
    }

    /// Sets a vendor trunk's live figures.
    pub fn trunk_statistics(&self, trunk: TrunkId, statistics: TrunkStatistics) {
        STATE.with_borrow_mut(|state| state.statistics.insert(trunk.0, statistics));
    }

    /// A figure that the plugin counted or set; 0 if it did neither.
    #[must_use]
    pub fn metric(&self, name: &str) -> i64 {
        STATE.with_borrow(|state| state.metrics.get(name).copied().unwrap_or(0))
    }

    /// Sets where the INVITE came from: source `address:port`, transport and listener; by default
    /// `192.0.2.1:5060`, `udp` and `main`.
    pub fn origin(&self, source: &str, transport: &str, listener: &str) {
        let origin = [source, transport, listener].map(str::to_owned);
        STATE.with_borrow_mut(|state| state.origin = origin);
    }

    /// Keeps a value for the call as another plugin does.
    pub fn keep_for(&self, plugin: &str, key: &str, value: &str) {
        let key = (plugin.to_owned(), key.to_owned());
        STATE.with_borrow_mut(|state| state.kept.insert(key, value.to_owned()));
    }

    /// The plugin's last explanation.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        STATE.with_borrow(|state| state.reason.clone())
    }

    /// Ends the call: the places that it held are free, the values that were kept for it are gone.
    pub fn end_call(&self) {
        STATE.with_borrow_mut(|state| {
            state.held.clear();
            state.kept.clear();
            state.reason = None;
        });
    }

    /// Advances the clock.
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

    /// The logged lines, as `level: line`.
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

pub(crate) mod host_call {
    use crate::bindings::host::strowger::policy::host_call as wire;
    pub(crate) use wire::{Attempt, Numbers};

    #[derive(Debug)]
    pub(crate) struct Facts;

    pub(crate) fn current() -> Facts {
        Facts
    }

    impl Facts {
        pub(crate) fn header(&self, name: &str) -> Vec<String> {
            super::STATE.with_borrow(|state| {
                let named =
                    state.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
                named.map(|(_, value)| value.clone()).collect()
            })
        }

        pub(crate) fn source(&self) -> String {
            super::STATE.with_borrow(|state| state.origin[0].clone())
        }

        pub(crate) fn transport(&self) -> String {
            super::STATE.with_borrow(|state| state.origin[1].clone())
        }

        pub(crate) fn listener(&self) -> String {
            super::STATE.with_borrow(|state| state.origin[2].clone())
        }

        pub(crate) fn request_uri(&self) -> String {
            super::STATE.with_borrow(|state| {
                let made = || format!("sip:{}@switch.example", state.numbers.callee_in);
                state.request_uri.clone().unwrap_or_else(made)
            })
        }

        pub(crate) fn numbers(&self) -> Numbers {
            super::STATE.with_borrow(|state| {
                let numbers = state.numbers.clone();
                Numbers {
                    caller_in: numbers.caller_in,
                    callee_in: numbers.callee_in,
                    caller: numbers.caller,
                    callee: numbers.callee,
                    route_as: numbers.route_as,
                    tech_prefix_in: numbers.tech_prefix_in,
                }
            })
        }

        pub(crate) fn attempts(&self) -> Vec<Attempt> {
            super::STATE.with_borrow(|state| {
                let wired = |attempt: &crate::host::PastAttempt| Attempt {
                    trunk: attempt.trunk.0,
                    failure: attempt.failure.into(),
                    code: attempt.code,
                    cause: attempt.cause,
                    duration_ms: attempt.duration_ms,
                };
                state.attempts.iter().map(wired).collect()
            })
        }

        pub(crate) fn account_attribute(&self, name: &str) -> Option<String> {
            super::STATE.with_borrow(|state| state.account.get(name).cloned())
        }

        pub(crate) fn customer_attribute(&self, name: &str) -> Option<String> {
            super::STATE.with_borrow(|state| state.customer.get(name).cloned())
        }

        pub(crate) fn vendor_attribute(&self, trunk: u32, name: &str) -> Option<String> {
            super::STATE.with_borrow(|state| state.vendors.get(&(trunk, name.to_owned())).cloned())
        }
    }
}

pub(crate) mod host_trunks {
    pub(crate) use crate::bindings::host::strowger::policy::host_trunks::Statistics;

    pub(crate) fn read(trunks: &[u32]) -> Vec<Option<Statistics>> {
        super::STATE.with_borrow(|state| {
            let wired = |from: &super::TrunkStatistics| Statistics {
                active: from.active,
                attempts: from.attempts,
                answered: from.answered,
                asr_permille: from.asr_permille,
                ner_permille: from.ner_permille,
                acd_ms: from.acd_ms,
                pdd_ms: from.pdd_ms,
            };
            trunks.iter().map(|trunk| state.statistics.get(trunk).map(wired)).collect()
        })
    }
}

pub(crate) mod host_metrics {
    pub(crate) fn add(name: &str, amount: u64) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        super::STATE.with_borrow_mut(|state| {
            *state.metrics.entry(name.to_owned()).or_default() += amount;
        });
    }

    pub(crate) fn set(name: &str, value: i64) {
        super::STATE.with_borrow_mut(|state| state.metrics.insert(name.to_owned(), value));
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

    pub(crate) fn contains(table: &str, number: &str) -> bool {
        longest_prefix(table, number).is_some()
    }

    pub(crate) fn exact(table: &str, number: &str) -> Option<String> {
        super::STATE.with_borrow(|state| state.tables.get(table)?.get(number).cloned())
    }
}

pub(crate) mod host_counters {
    /// As in the switch, a window consists of this many whole slots and the current one.
    const SLOTS: u64 = 60;

    /// The same key with another window is another counter.
    fn counter(key: &str, window_s: u32) -> (String, u32) {
        (key.to_owned(), window_s.clamp(1, 86_400))
    }

    pub(crate) fn add(key: &str, amount: u32, window_s: u32) -> u64 {
        super::STATE.with_borrow_mut(|state| {
            let now = state.now_ms;
            state.counters.entry(counter(key, window_s)).or_default().push((now, amount));
        });
        sum(key, window_s)
    }

    pub(crate) fn add_within(
        key: &str,
        amount: u32,
        window_s: u32,
        limit: u64,
    ) -> Result<u64, u64> {
        match sum(key, window_s) {
            sum if sum + u64::from(amount) > limit => Err(sum),
            _ => Ok(add(key, amount, window_s)),
        }
    }

    pub(crate) fn hold(key: &str, limit: u32) -> bool {
        super::STATE.with_borrow_mut(|state| {
            let held = state.held.entry(key.to_owned()).or_default();
            let room = *held < limit;
            *held += u32::from(room);
            room
        })
    }

    pub(crate) fn release(key: &str) -> bool {
        super::STATE.with_borrow_mut(|state| match state.held.get_mut(key) {
            Some(held) if *held > 0 => {
                *held -= 1;
                true
            }
            _ => false,
        })
    }

    pub(crate) fn held(key: &str) -> u32 {
        super::STATE.with_borrow(|state| state.held.get(key).copied().unwrap_or(0))
    }

    pub(crate) fn sum(key: &str, window_s: u32) -> u64 {
        super::STATE.with_borrow(|state| {
            let counter = counter(key, window_s);
            let slot = |at_ms: u64| at_ms * SLOTS / (u64::from(counter.1) * 1000);
            let now = slot(state.now_ms);
            let added = state.counters.get(&counter).into_iter().flatten();
            let recent = added.filter(|(at, _)| now.saturating_sub(slot(*at)) <= SLOTS);
            recent.map(|(_, amount)| u64::from(*amount)).sum()
        })
    }

    pub(crate) fn clear(key: &str) {
        super::STATE.with_borrow_mut(|state| state.counters.retain(|(of, _), _| of != key));
    }
}

pub(crate) mod host_clock {
    pub(crate) fn now_ms() -> u64 {
        super::STATE.with_borrow(|state| state.now_ms)
    }
}

pub(crate) mod host_notes {
    const VALUES: usize = 64;
    const BYTES: usize = 8_192;

    pub(crate) fn keep(key: &str, value: &str) -> bool {
        assert!(key.len() <= 64, "a key has at most 64 bytes");
        assert!(value.len() <= 1_024, "a value has at most 1,024 bytes");
        super::STATE.with_borrow_mut(|state| {
            let bytes: usize =
                state.kept.iter().map(|((_, key), value)| key.len() + value.len()).sum();
            if state.kept.len() >= VALUES || bytes + key.len() + value.len() > BYTES {
                return false;
            }
            state.kept.insert((String::new(), key.to_owned()), value.to_owned());
            true
        })
    }

    pub(crate) fn kept(plugin: &str, key: &str) -> Option<String> {
        let key = (plugin.to_owned(), key.to_owned());
        super::STATE.with_borrow(|state| state.kept.get(&key).cloned())
    }

    pub(crate) fn explain(reason: &str) {
        super::STATE.with_borrow_mut(|state| state.reason = Some(reason.to_owned()));
    }
}

pub(crate) mod host_random {
    /// SplitMix64: short, and works with every seed.
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

#[cfg(test)]
mod tests {
    use crate::{FakeHost, host};

    /// Must match the switch's own counters, `core/host/src/services/counters.rs`.
    #[test]
    fn a_window_is_never_shorter_than_asked_and_slides_by_sixtieths() {
        let switch = FakeHost::install();
        let calls = host::counter("4930", 60);
        assert_eq!(calls.add(1), 1);
        switch.advance(60_999);
        assert_eq!(calls.add_within(1, 1), Err(1));
        switch.advance(1);
        assert_eq!(calls.add_within(1, 1), Ok(1));
        assert_eq!(host::counter("4930", 3600).sum(), 0, "another window is another counter");
        host::counter("4930", 3600).add(5);
        calls.clear();
        assert_eq!((calls.sum(), host::counter("4930", 3600).sum()), (0, 0));
    }
}
