//! Whole-system tests: real sockets, real peers.
#![forbid(unsafe_code)]

pub mod both;
pub mod by_hand;
pub mod dns;
pub mod figures;
pub mod hole;
pub mod load;
pub mod net;
pub mod pm_qos;
pub mod process;
pub mod raw;
pub mod rtp;
pub mod sipp;
pub mod skip;
pub mod stage;
pub mod switch;
pub mod wait;
