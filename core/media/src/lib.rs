//! RTP without policy: legs and the audio between them, latching, RTCP, port pool.
//!
//! Nothing here touches a socket, a clock or a random source. A [`Bridge`] holds the legs of one
//! call: it receives the call's instructions and each packet with `(now, source)`, and returns
//! where the packet goes; [`PortPool`] receives `now` and a random generator and returns the ports
//! to bind. The shell owns the sockets.
#![forbid(unsafe_code)]

pub mod rtcp;
pub mod rtp;

mod bridge;
mod counters;
mod latch;
mod leg;
mod outgoing;
mod path;
mod play;
mod port_pool;
mod watch;

pub use bridge::{Bridge, Forward, Input, LegId};
pub use counters::{LegCounters, LegReading};
pub use latch::{
    FORMER_REST, LATCH_PACKETS, LATCH_SILENCE, Latch, TAKEOVER_PACKETS, TAKEOVER_TIME,
};
pub use leg::{Kind, Now, PayloadTypes, RemoteMedia};
pub use path::{CodecId, Codecs, Convert, Format, Formats};
pub use play::{PLAY_INTERVAL, Play};
pub use port_pool::{PORT_REST, PortPool, PortPoolError};
pub use watch::{Event, Limits};
