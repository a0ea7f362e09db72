//! Whole-system tests: real sockets, real peers.
#![forbid(unsafe_code)]

pub mod load;
pub mod net;
pub mod sipp;
pub mod wait;
