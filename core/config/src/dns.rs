//! The `[dns]` table.

use super::values;
use serde::{Deserialize, Deserializer, de};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How the host names of vendors are resolved (SIG-66).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsConfig {
    /// Name servers, `address` or `address:port`; if empty, those of the operating system.
    pub servers: Vec<NameServer>,
    /// Shortest time until a name is resolved again; otherwise that happens when its answer
    /// expires. 1 s to 10 min, default 30 s.
    #[serde(deserialize_with = "values::duration")]
    pub shortest: Duration,
    /// Longest time until then, at most 24 h, default 10 min.
    #[serde(deserialize_with = "values::duration")]
    pub longest: Duration,
    /// How long the last answer is used if no name server responds, at most 30 days, default 24 h.
    #[serde(deserialize_with = "values::duration")]
    pub keep: Duration,
}

impl Default for DnsConfig {
    fn default() -> Self {
        DnsConfig {
            servers: Vec::new(),
            shortest: Duration::from_secs(30),
            longest: Duration::from_secs(600),
            keep: Duration::from_secs(24 * 3600),
        }
    }
}

/// The address of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let with_port = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
        match text.parse::<SocketAddr>().or_else(|_| with_port()) {
            Ok(address) if address.port() != 0 => Ok(NameServer(address)),
            _ => Err(de::Error::custom(format!(
                "`{text}` is not a name server: expected its IP address, with a port if it is not \
                 53, such as \"192.0.2.53\""
            ))),
        }
    }
}
