//! The SDK for Strowger plugins: a trait for each decision of a call, types in the terms of the
//! field, the host's services, and one macro that exports the plugin.
//!
//! A plugin is a type that implements [`Plugin`] and one or more of the hook traits
//! ([`Screening`], [`Numbering`], [`Rating`], [`Routing`], [`Identity`], [`Supervision`],
//! [`Events`]):
//!
//! ```
//! use plugin_sdk::{NoConfig, Plugin, RouteQuestion, Routing, Rejection, TrunkId, export_plugin};
//!
//! /// Cheapest vendor first.
//! struct Cheapest;
//!
//! impl Plugin for Cheapest {
//!     const NAME: &'static str = "cheapest";
//!     const SUMMARY: &'static str = "Cheapest vendor first.";
//!     type Config = NoConfig;
//!     fn new(_: NoConfig) -> Result<Self, String> {
//!         Ok(Cheapest)
//!     }
//! }
//!
//! impl Routing for Cheapest {
//!     fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
//!         let mut candidates: Vec<_> = question.candidates.iter().collect();
//!         candidates.sort_by_key(|candidate| (candidate.buy_price, candidate.trunk));
//!         Ok(candidates.into_iter().map(|candidate| candidate.trunk).collect())
//!     }
//! }
//!
//! export_plugin!(Cheapest: routing);
//! # fn main() {}
//! ```
//!
//! Outside WebAssembly, [`FakeHost`] provides the host's services, so that a plugin's tests are
//! ordinary Rust tests.
#![deny(unsafe_code)]

#[doc(hidden)]
pub mod bindings;
mod call;
mod events;
#[doc(hidden)]
pub mod export;
#[cfg(not(target_arch = "wasm32"))]
mod fake;
pub mod host;
mod identity;
mod money;
mod numbering;
#[cfg(target_arch = "wasm32")]
mod panics;
mod plugin;
mod rating;
mod routing;
mod screening;
mod supervision;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use call::{AccountId, Call, Reason, Rejection, TrunkId};
pub use events::{Event, EventKind, Events};
#[cfg(not(target_arch = "wasm32"))]
pub use fake::{FakeHost, LeftRequest};
pub use identity::{
    DisplayMode, Header, HeaderMode, Identity, IdentityQuestion, PresentedIdentity, PrivacyMode,
};
pub use money::{BadMoney, Money};
pub use numbering::{NumberQuestion, Numbering, Numbers, RuleProblem, RuleSetId, RuleSets, Stage};
pub use plugin::{NoConfig, Plugin, configured};
pub use rating::{Charge, DeckRow, NoCharge, RateSubject, Rating, Rounding, RoundingMode, Side};
pub use routing::{Candidate, Decision, Failure, Outcome, RouteQuestion, Routing, StopAfterMedia};
pub use screening::{ScreenQuestion, Screening, Verdict};
pub use supervision::{Course, Ending, Supervision, SupervisionAnswer, SupervisionQuestion};

/// Tests the examples of the README with the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
