//! The plugin host: loads, runs, limits and swaps WebAssembly policy.
//!
//! A [`Host`] holds the plugins of a node. A call pins the current [`Generation`] with
//! [`Host::pin`]; its signalling thread asks through its own [`ShardHost`]. A swap makes the next
//! generation and leaves pinned ones unchanged. `docs/plugin-host.md` explains isolation, deadlines
//! and fallbacks.
#![deny(unsafe_code)]

mod ask;
mod build;
pub mod decisions;
mod error;
mod generation;
mod guest;
mod life;
mod load;
mod outside;
mod plugin;
pub mod replay;
mod services;
mod settings;
mod wire;

pub use ask::events::EventMetrics;
pub use ask::later::{Asked, Later};
pub use ask::shard::ShardHost;
pub use build::tally::{BuildTally, CallTally};
pub use error::LoadError;
pub use generation::Generation;
pub use generation::chain::{ChainScope, ChainSettings};
pub use generation::shadow::{Difference, ShadowState};
pub use generation::trial::{SelectBy, Selection};
pub use life::configure::Configured;
pub use life::finish::Unfinished;
pub use life::host::{Host, SwapReport};
pub use life::inspect::Inspection;
pub use life::named_lists::NamedList;
pub use life::rule_sets::RuleSetRefusal;
pub use life::state::{CanaryState, LiveBuild, PluginState};
pub use life::watch::{Condition, Retreat};
pub use load::anatomy::Anatomy;
pub use load::artifact::{Source, component};
pub use load::signature::{self, PublicKey, Signer, SigningPolicy};
pub use outside::{HttpMetrics, SendMetrics};
pub use plugin::{LastFault, TakenBack};
pub use services::own_metrics::OwnMetric;
pub use services::stats::{FaultCounts, Histogram, HookMetrics, LossCounts};
pub use settings::{
    BreakerSettings, Fallback, Grant, HostSettings, HttpSettings, Isolation, KeptLog, LogLevel,
    LogLine, LogLines, PluginSettings, RollbackSettings,
};
