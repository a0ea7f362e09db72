//! Transports: UDP sockets and their ICMP errors, TCP connections, and the resolution of host
//! names.

pub(crate) mod arrival;
pub(crate) mod icmp;
pub(crate) mod resolve;
pub(crate) mod sockets;
pub(crate) mod streams;
