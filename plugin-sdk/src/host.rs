//! The switch's services for plugins. Each service is a separate import, needed only by plugins
//! that call it, and granted by the operator.
//!
//! Outside WebAssembly the answers come from [`FakeHost`](crate::FakeHost).

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::strowger::policy as import;
#[cfg(not(target_arch = "wasm32"))]
use crate::fake as import;
use crate::{Failure, TrunkId};

pub mod accounts;
pub mod http;

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is wrong.
    Warn,
    /// A decision could not be made.
    Error,
}

/// Writes a line to the switch's log, marked with plugin and call. Import `host-log`.
pub fn log(level: Level, line: &str) {
    let level = match level {
        Level::Debug => import::host_log::Level::Debug,
        Level::Info => import::host_log::Level::Info,
        Level::Warn => import::host_log::Level::Warn,
        Level::Error => import::host_log::Level::Error,
    };
    import::host_log::log(level, line);
}

/// Formats and logs a line: `host::log!(Warn, "no rule matches {number}")`.
#[doc(inline)]
pub use crate::__log as log;

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($format:tt)+) => {
        $crate::host::log($crate::host::Level::$level, &::std::format!($($format)+))
    };
}

/// The text of a content handle, such as a rule set, in the configuration that the call was
/// admitted with; `None` for 0 or an unknown handle. Import `host-config`.
#[must_use]
pub fn text(handle: u64) -> Option<String> {
    import::host_config::text(handle)
}

/// Facts about the current call beyond the question itself. Import `host-call`.
#[must_use]
pub fn call() -> CallFacts {
    CallFacts { facts: import::host_call::current() }
}

/// See [`call`]. It belongs to one question: request it again for the next one.
#[derive(Debug)]
pub struct CallFacts {
    facts: import::host_call::Facts,
}

/// Numbers of a call at every stage so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallNumbers {
    /// As received, after clean-up (NUM-02); empty: none.
    pub caller_in: String,
    /// As received, after clean-up (NUM-02).
    pub callee_in: String,
    /// After the ingress rewrite; empty before it.
    pub caller: String,
    /// After the ingress rewrite; empty before it.
    pub callee: String,
    /// Number that chose the route, if different (ROUTE-62).
    pub route_as: String,
    /// Tech prefix that was removed (NUM-07).
    pub tech_prefix_in: String,
}

/// An attempt of the call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// Vendor trunk.
    pub trunk: TrunkId,
    /// How it ended.
    pub failure: Failure,
    /// 300 to 699; 0 if no response was received.
    pub code: u16,
    /// Q.850 cause; 0 if absent.
    pub cause: u8,
    /// From its INVITE to its end.
    pub duration_ms: u32,
}

impl CallFacts {
    /// Values of a header of the INVITE as received, one per line; the name in any case, long form.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<String> {
        self.facts.header(name)
    }

    /// Request-URI as received.
    #[must_use]
    pub fn request_uri(&self) -> String {
        self.facts.request_uri()
    }

    /// Where the INVITE came from: `address:port`.
    #[must_use]
    pub fn source(&self) -> String {
        self.facts.source()
    }

    /// The transport that the INVITE came by: `udp` or `tcp`.
    #[must_use]
    pub fn transport(&self) -> String {
        self.facts.transport()
    }

    /// The name of the listener that received the INVITE.
    #[must_use]
    pub fn listener(&self) -> String {
        self.facts.listener()
    }

    /// Numbers at every stage so far.
    #[must_use]
    pub fn numbers(&self) -> CallNumbers {
        let numbers = self.facts.numbers();
        CallNumbers {
            caller_in: numbers.caller_in,
            callee_in: numbers.callee_in,
            caller: numbers.caller,
            callee: numbers.callee,
            route_as: numbers.route_as,
            tech_prefix_in: numbers.tech_prefix_in,
        }
    }

    /// Attempts that have ended, oldest first.
    #[must_use]
    pub fn attempts(&self) -> Vec<PastAttempt> {
        let past = |attempt: import::host_call::Attempt| PastAttempt {
            trunk: TrunkId(attempt.trunk),
            failure: attempt.failure.into(),
            code: attempt.code,
            cause: attempt.cause,
            duration_ms: attempt.duration_ms,
        };
        self.facts.attempts().into_iter().map(past).collect()
    }

    /// An attribute that the operator set on the paying account.
    #[must_use]
    pub fn account_attribute(&self, name: &str) -> Option<String> {
        self.facts.account_attribute(name)
    }

    /// An attribute that the operator set on the customer trunk of the call.
    #[must_use]
    pub fn customer_attribute(&self, name: &str) -> Option<String> {
        self.facts.customer_attribute(name)
    }

    /// An attribute that the operator set on a vendor trunk.
    #[must_use]
    pub fn vendor_attribute(&self, trunk: TrunkId, name: &str) -> Option<String> {
        self.facts.vendor_attribute(trunk.0, name)
    }
}

/// A prefix table kept by the switch and shared by all instances. Import `host-tables`. A table
/// that does not exist is empty.
#[must_use]
pub fn table(name: &str) -> Table<'_> {
    Table { name }
}

/// See [`table`].
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    name: &'a str,
}

/// An entry of a [`Table`] that is a prefix of the given number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Characters of the entry.
    pub length: u32,
    /// The value of the entry.
    pub value: String,
}

impl Table<'_> {
    /// The longest entry that is a prefix of `number`.
    #[must_use]
    pub fn longest_prefix(&self, number: &str) -> Option<Hit> {
        import::host_tables::longest_prefix(self.name, number)
            .map(|hit| Hit { length: hit.length, value: hit.value })
    }

    /// Whether an entry equals `number` or, in a prefix table, is a prefix of it.
    #[must_use]
    pub fn contains(&self, number: &str) -> bool {
        import::host_tables::contains(self.name, number)
    }

    /// The entry equal to `number`.
    #[must_use]
    pub fn exact(&self, number: &str) -> Option<String> {
        import::host_tables::exact(self.name, number)
    }
}

/// A counter over the last `window_s` seconds (1 to 86,400), shared by all instances on the node.
/// It slides by sixtieths: an addition counts for the whole window, and at most a sixtieth of it
/// longer. The same key with another window is another counter. Import `host-counters`.
#[must_use]
pub fn counter(key: &str, window_s: u32) -> Counter<'_> {
    Counter { key, window_s }
}

/// See [`counter`].
#[derive(Clone, Copy, Debug)]
pub struct Counter<'a> {
    key: &'a str,
    window_s: u32,
}

impl Counter<'_> {
    /// Adds and returns the sum over the window.
    pub fn add(&self, amount: u32) -> u64 {
        import::host_counters::add(self.key, amount, self.window_s)
    }

    /// Adds only if the sum stays at or below `limit`, atomically for all shards.
    ///
    /// # Errors
    /// The current sum, which leaves no room.
    pub fn add_within(&self, amount: u32, limit: u64) -> Result<u64, u64> {
        import::host_counters::add_within(self.key, amount, self.window_s, limit)
    }

    /// The sum over the window.
    #[must_use]
    pub fn sum(&self) -> u64 {
        import::host_counters::sum(self.key, self.window_s)
    }

    /// Deletes the counter, whatever its window.
    pub fn clear(&self) {
        import::host_counters::clear(self.key);
    }
}

/// Places that calls hold while they last, such as uses of a caller number (NUM-21). Import
/// `host-counters`.
#[must_use]
pub fn places(key: &str) -> Places<'_> {
    Places { key }
}

/// See [`places`].
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    key: &'a str,
}

impl Places<'_> {
    /// Takes one of `limit` places until the call ends or releases it; false if all are taken.
    #[must_use]
    pub fn hold(&self, limit: u32) -> bool {
        import::host_counters::hold(self.key, limit)
    }

    /// Releases one place that this call holds; false if it holds none.
    pub fn release(&self) -> bool {
        import::host_counters::release(self.key)
    }

    /// Places taken now, by all calls.
    #[must_use]
    pub fn held(&self) -> u32 {
        import::host_counters::held(self.key)
    }
}

/// Live figures of a vendor trunk over the complete minutes of the last ten (ROUTE-31),
/// except `active`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrunkStatistics {
    /// Calls up or being set up now, on this node.
    pub active: u32,
    /// Attempts whose outcome became known.
    pub attempts: u32,
    /// Answered attempts.
    pub answered: u32,
    /// Answered share in thousandths, shrunk towards a half while attempts are few.
    pub asr_permille: u16,
    /// Share that reached a user, in thousandths (CDR-53).
    pub ner_permille: u16,
    /// Mean answered duration of calls that ended.
    pub acd_ms: u32,
    /// Mean post-dial delay of attempts that were answered or alerted.
    pub pdd_ms: u32,
}

/// Figures of each given trunk, in the same order; `None` for an unknown one. At most 1,000 trunks.
/// Import `host-trunks`.
#[must_use]
pub fn trunk_statistics(trunks: &[TrunkId]) -> Vec<Option<TrunkStatistics>> {
    let ids: Vec<u32> = trunks.iter().map(|trunk| trunk.0).collect();
    let figures = |from: import::host_trunks::Statistics| TrunkStatistics {
        active: from.active,
        attempts: from.attempts,
        answered: from.answered,
        asr_permille: from.asr_permille,
        ner_permille: from.ner_permille,
        acd_ms: from.acd_ms,
        pdd_ms: from.pdd_ms,
    };
    import::host_trunks::read(&ids).into_iter().map(|one| one.map(figures)).collect()
}

/// Adds to one of the plugin's own counters in the switch's metrics: `name` of a-z, 0-9 and `_`.
/// Import `host-metrics`.
pub fn count(name: &str, amount: u64) {
    import::host_metrics::add(name, amount);
}

/// Sets one of the plugin's own gauges in the switch's metrics. Import `host-metrics`.
pub fn gauge(name: &str, value: i64) {
    import::host_metrics::set(name, value);
}

/// Keeps a value for the later questions of this call and for its record; false if there is no call
/// or no room: 64 values and 8,192 bytes in all, keys of at most 64 bytes, values of at most 1,024.
/// Import `host-notes`.
pub fn keep(key: &str, value: &str) -> bool {
    import::host_notes::keep(key, value)
}

/// The last value that this plugin kept for the call. Import `host-notes`.
#[must_use]
pub fn kept(key: &str) -> Option<String> {
    import::host_notes::kept("", key)
}

/// The last value that another plugin kept for the call. Import `host-notes`.
#[must_use]
pub fn kept_by(plugin: &str, key: &str) -> Option<String> {
    import::host_notes::kept(plugin, key)
}

/// Why the question is answered as it is, for the record: one line of at most 1,024 bytes. Import
/// `host-notes`.
pub fn explain(reason: &str) {
    import::host_notes::explain(reason);
}

/// Milliseconds since 1970-01-01 UTC. Import `host-clock`.
#[must_use]
pub fn now() -> u64 {
    import::host_clock::now_ms()
}

/// 64 random bits; from a seed in tests, and the same ones again in replay. Import `host-random`.
#[must_use]
pub fn random() -> u64 {
    import::host_random::next()
}
