//! The machine below the program: its processors and how threads share them, its clock, and private
//! files. Nothing in this crate depends on the program's purpose.
#![deny(unsafe_code)]

mod clock;
pub mod files;
mod latency;
mod processors;
mod time_slice;

pub use clock::{utc_ms, utc_ms_of};
pub use latency::LatencyLimit;
pub use processors::{NoProcessors, ProcessorSet, keep_to};
pub use time_slice::shorten_time_slice;
