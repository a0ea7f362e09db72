//! What the switch offers to a plugin. Each service is an import of its own, needed
//! only by plugins that call it, and granted by the operator.
//!
//! Outside WebAssembly the answers come from [`FakeHost`](crate::FakeHost).

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::strowger::policy as import;
#[cfg(not(target_arch = "wasm32"))]
use crate::fake as import;

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is not as it should be.
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

/// Text behind a content handle, such as a rule set, in the configuration that the
/// call was admitted with; none for 0 or an unknown handle. Import `host-config`.
#[must_use]
pub fn text(handle: u64) -> Option<String> {
    import::host_config::text(handle)
}

/// A prefix table kept by the switch and shared by all instances. Import `host-tables`.
/// A table that does not exist is empty.
#[must_use]
pub fn table(name: &str) -> Table<'_> {
    Table { name }
}

/// See [`table`].
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    name: &'a str,
}

/// An entry of a [`Table`] that is a prefix of the number asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Characters of the entry.
    pub length: u32,
    /// What the table says about it.
    pub value: String,
}

impl Table<'_> {
    /// The longest entry that is a prefix of `number`.
    #[must_use]
    pub fn longest_prefix(&self, number: &str) -> Option<Hit> {
        import::host_tables::longest_prefix(self.name, number)
            .map(|hit| Hit { length: hit.length, value: hit.value })
    }

    /// The entry equal to `number`.
    #[must_use]
    pub fn exact(&self, number: &str) -> Option<String> {
        import::host_tables::exact(self.name, number)
    }
}

/// A counter over the last `window_s` seconds (1 to 86,400; resolution a sixtieth of
/// it), shared by all instances on the node. Import `host-counters`.
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

    /// The sum over the window.
    #[must_use]
    pub fn sum(&self) -> u64 {
        import::host_counters::sum(self.key, self.window_s)
    }

    /// Forgets the counter, whatever its window.
    pub fn clear(&self) {
        import::host_counters::clear(self.key);
    }
}

/// Milliseconds since 1970-01-01 UTC. Import `host-clock`.
#[must_use]
pub fn now() -> u64 {
    import::host_clock::now_ms()
}

/// 64 random bits; from a seed in tests and in replay. Import `host-random`.
#[must_use]
pub fn random() -> u64 {
    import::host_random::next()
}
