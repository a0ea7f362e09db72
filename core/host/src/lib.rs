//! The plugin host: loads, runs, limits and swaps WebAssembly policy.
//!
//! A [`Host`] holds the plugins of a node. A call pins the current [`Generation`] with
//! [`Host::pin`]; its signalling thread asks through its own [`ShardHost`]. A swap makes
//! the next generation and leaves pinned ones alone. `docs/plugin-host.md` tells how
//! isolation, deadlines and fallbacks work.
#![deny(unsafe_code)]

mod anatomy;
mod artifact;
mod chain;
mod compiler;
mod components;
mod counters;
pub mod decisions;
mod engine;
mod error;
mod exports;
mod generation;
mod holds;
mod host;
mod http;
mod huge_text;
mod imports;
mod inspect;
mod instance;
mod interface;
mod lane;
mod later;
mod lifecycle;
mod named_lists;
mod own_metrics;
mod plugin;
pub mod private;
mod processors;
mod reaper;
pub mod replay;
mod rule_sets;
mod sandbox;
mod settings;
mod shadow;
mod shard;
pub mod signature;
#[cfg(test)]
#[path = "../../../tests/src/skip.rs"]
#[allow(unreachable_pub)]
mod skip;
mod state;
mod stats;
mod tally;
mod ticker;
mod time_slice;
mod trial;
mod verify;
mod version;
mod wire;

pub use anatomy::Anatomy;
pub use artifact::{Source, component};
pub use chain::{ChainScope, ChainSettings};
pub use error::LoadError;
pub use generation::Generation;
pub use host::{Host, SwapReport};
pub use http::{HttpMetrics, HttpSettings};
pub use huge_text::text_to_huge_pages;
pub use inspect::Inspection;
pub use later::{Asked, Later};
pub use lifecycle::Retreat;
pub use named_lists::NamedList;
pub use own_metrics::OwnMetric;
pub use processors::{NoProcessors, ProcessorSet, keep_to};
pub use rule_sets::RuleSetRefusal;
pub use settings::{Fallback, Grant, HostSettings, Isolation, PluginSettings, RollbackSettings};
pub use shadow::{Difference, ShadowState};
pub use shard::ShardHost;
pub use signature::{PublicKey, Signer, SigningPolicy};
pub use state::{CanaryState, LiveBuild, PluginState};
pub use stats::{FaultCounts, Histogram, HookMetrics};
pub use tally::BuildTally;
pub use time_slice::{run_when_idle, shorten_time_slice};
pub use trial::{SelectBy, Selection};
