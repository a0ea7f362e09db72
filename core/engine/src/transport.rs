//! How messages travel: the sockets of UDP and what the kernel says of their datagrams, the
//! connections of TCP, and the names that become addresses.

pub(crate) mod arrival;
pub(crate) mod icmp;
pub(crate) mod resolve;
pub(crate) mod sockets;
pub(crate) mod streams;
