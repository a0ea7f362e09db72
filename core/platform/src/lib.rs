//! The machine below the program: its processors and how threads share them, its clock, private
//! files, and text that a terminal and a log can take. Nothing in this crate depends on the program's purpose.
#![deny(unsafe_code)]

mod clock;
pub mod files;
mod latency;
mod plain;
mod processors;
mod time_slice;

pub use clock::{utc_ms, utc_ms_of};
pub use latency::LatencyLimit;
pub use plain::{plain, plain_lines};
pub use processors::{NoProcessors, ProcessorSet, keep_to};
pub use time_slice::shorten_time_slice;
