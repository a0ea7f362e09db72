//! The call: one pure state machine that joins SIP, media, money and policy.
//!
//! [`Switch`] is the machine of one shard. It uses no sockets, clocks, random sources or tasks: the
//! shell feeds it datagrams, answers and the time, and drains [`Output`]s. `docs/architecture.md`
//! describes the life of a call.
#![forbid(unsafe_code)]

mod call;
mod classify;
mod core;
mod destinations;
pub mod facts;
mod foreign;
mod id_map;
mod intake;
mod io;
mod media;
mod number;
mod reason;
mod rescue;
mod retry_after;
mod sdp;
mod shard;
mod shared_map;
mod strangers;
mod switch;
#[cfg(test)]
mod testing;
mod written;

pub use crate::core::SwitchSettings;
pub use call::placed::{NotPlaced, TestCall};
pub use call::record::charge_question;
pub use classify::{Classifier, Standing};
pub use foreign::Foreign;
pub use id_map::IdMap;
pub use io::{Ask, CallView, Counters, Now, Outcome, Output, World};
pub use media::{
    AudioFormat, AudioFormats, LegCounters, MediaControl, MediaEvent, MediaLeg, RemoteMedia,
    SILENCE, SilenceLimits, TEST_TONE,
};
pub use reason::end_reasons;
pub use shard::{CallKey, shard_of};
pub use shared_map::SharedMap;
pub use strangers::{Lockout, Report, Strangers};
pub use switch::Switch;
pub use written::{FORM, ReadError, WriteError};
