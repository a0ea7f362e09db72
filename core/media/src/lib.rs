//! RTP without policy: relay sessions, latching, RTCP, port pool.
//!
//! Nothing here touches a socket, a clock or a random source. [`RelaySession`] is given
//! `(now, source, packet)` and says where the packet goes; [`PortPool`] is given `now` and
//! a random generator and says which ports to bind. The shell owns the sockets.
#![forbid(unsafe_code)]

pub mod rtcp;
pub mod rtp;

mod counters;
mod latch;
mod port_pool;
mod session;

pub use counters::{SessionCounters, SideCounters};
pub use latch::{
    FORMER_REST, LATCH_PACKETS, LATCH_SILENCE, Latch, TAKEOVER_PACKETS, TAKEOVER_TIME,
};
pub use port_pool::{PORT_REST, PortPool, PortPoolError};
pub use session::{Forward, Kind, PayloadTypes, RelaySession, RemoteMedia, Side};
