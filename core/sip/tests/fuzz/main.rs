//! Fuzz targets of all code that reads the text of peers. `cargo test` runs each for a moment,
//! `make fuzz` for as long as wanted, and `cargo bolero test` with a coverage-guided fuzzer
//! (docs/sip-wire.md).
#![allow(clippy::unwrap_used, missing_docs)]

mod digest;
mod framer;
mod message;
mod recipe;
mod sdp;
mod uri;

use std::time::Duration;

/// How long a target runs in an ordinary test run.
const MOMENT: Duration = Duration::from_secs(1);
