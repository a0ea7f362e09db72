//! The call: one pure state machine that joins SIP, media, money and policy.
//!
//! [`Switch`] is the machine of one shard. It touches no socket, clock, random source or
//! task: the shell feeds it datagrams, answers and the time, and drains [`Output`]s.
//! `docs/architecture.md` tells the life of a call.
#![forbid(unsafe_code)]

mod authentication;
mod call;
mod classify;
mod core_ops;
mod destinations;
pub mod facts;
mod index;
mod ingress;
mod intake;
mod io;
mod media;
mod number;
mod quality;
mod reason;
mod refusal;
mod rescue;
mod rests;
mod sdp;
mod shard;
mod strangers;
mod switch;
mod written;

pub use call::placed::{NotPlaced, TestCall};
pub use call::record::{deck_row, rounding};
pub use classify::{Classifier, Foreign, Standing};
pub use io::{Ask, CallKey, CallView, Counters, Now, Output, World};
pub use media::{
    AudioFormat, AudioFormats, LegCounters, MediaControl, MediaEvent, MediaLeg, RemoteMedia,
    SILENCE, SilenceLimits, TEST_TONE,
};
pub use reason::end_reasons;
pub use rests::Rests;
pub use shard::shard_of;
pub use strangers::{Lockout, Report, Strangers};
pub use switch::{Switch, SwitchSettings};
pub use written::{FORM, ReadError, WriteError};
