//! Targets of vendor trunks, as an operator writes them (SIG-65, SIG-66).

use serde::de::value::MapAccessDeserializer;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Default SIP port (RFC 3261 section 19.1.2).
const PORT: u16 = 5060;

/// A target of a vendor trunk: `192.0.2.9:5080`, `gw.vendor.example`,
/// `sip:gw.vendor.example;transport=tcp`, or a table of these with priority and weight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Address or host name.
    pub host: TargetHost,
    /// Port of an address; of a host name only if written: otherwise its SRV records give it.
    pub port: Option<u16>,
    /// If omitted, an address is reached over the listener's transport, a host name as its DNS
    /// records say (RFC 3263).
    pub transport: Option<Transport>,
    /// Lower first; if omitted, targets are tried in the order listed.
    pub priority: Option<u32>,
    /// Share of the calls among targets of equal priority.
    pub weight: Option<u32>,
}

/// The host of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetHost {
    /// An IP address.
    Address(IpAddr),
    /// A host name, in lower case.
    Name(String),
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One message per datagram.
    Udp,
    /// Messages in a byte stream.
    Tcp,
}

impl Transport {
    /// Its name in a URI.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

impl Target {
    /// The socket address, if the host is an address.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self.host {
            TargetHost::Address(address) => {
                Some(SocketAddr::new(address, self.port.unwrap_or(PORT)))
            }
            TargetHost::Name(_) => None,
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = |why: &str| {
            format!(
                "`{text}` is not a target: {why}; expected an address or a host name, with a port \
                 of 1 to 65535 if it is not the usual one, such as \"192.0.2.9:5080\", \
                 \"gw.vendor.example\" or \"sip:gw.vendor.example;transport=tcp\""
            )
        };
        if text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:")) {
            return Err(problem("TLS is not spoken"));
        }
        let is_uri = text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"));
        let rest = if is_uri { &text[4..] } else { text };
        if rest.contains('@') {
            return Err(problem("it names a user; the user is the number that is called"));
        }
        let (place, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        let transport = transport(parameters, is_uri).map_err(|why| problem(&why))?;
        let (host, port) = host_and_port(place).map_err(problem)?;
        let port = match host {
            TargetHost::Address(_) => port.or(Some(PORT)),
            TargetHost::Name(_) => port,
        };
        Ok(Target { host, port, transport, priority: None, weight: None })
    }
}

fn transport(parameters: &str, is_uri: bool) -> Result<Option<Transport>, String> {
    if parameters.is_empty() {
        return Ok(None);
    }
    if !is_uri {
        return Err("parameters need the scheme `sip:`".to_owned());
    }
    let (name, value) = parameters.split_once('=').unwrap_or((parameters, ""));
    match (&*name.to_ascii_lowercase(), &*value.to_ascii_lowercase()) {
        ("transport", "udp") => Ok(Some(Transport::Udp)),
        ("transport", "tcp") => Ok(Some(Transport::Tcp)),
        ("transport", _) => Err("its transport is neither udp nor tcp".to_owned()),
        _ => Err(format!("it has the parameter `{parameters}`, and `transport` is the only one")),
    }
}

fn host_and_port(text: &str) -> Result<(TargetHost, Option<u16>), &'static str> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((TargetHost::Address(address), None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or("an IPv6 address lacks its `]`")?;
        let address: std::net::Ipv6Addr =
            inside.parse().map_err(|_| "in brackets stands no IPv6 address")?;
        return Ok((TargetHost::Address(address.into()), port(after)?));
    }
    let (host, after) = match text.find(':') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let port = port(after)?;
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((TargetHost::Address(address), port));
    }
    if !is_name(host) {
        return Err("that is neither an address nor a host name");
    }
    Ok((TargetHost::Name(host.to_ascii_lowercase()), port))
}

/// Parses nothing, or a colon and a port.
fn port(text: &str) -> Result<Option<u16>, &'static str> {
    let Some(digits) = text.strip_prefix(':') else {
        return if text.is_empty() { Ok(None) } else { Err("something follows the address") };
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if plain && port != 0 => Ok(Some(port)),
        _ => Err("its port is not a number of 1 to 65535"),
    }
}

/// A host name (RFC 1123 section 2.1; underscores are accepted). Its last label is not a number:
/// `192.0.2.256` is a mistake, not a name.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let mut labels = text.split('.');
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && labels.all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Without priority and weight.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transport.is_some() {
            f.write_str("sip:")?;
        }
        match (&self.host, self.port) {
            (TargetHost::Address(address), port) => {
                write!(f, "{}", SocketAddr::new(*address, port.unwrap_or(PORT)))?;
            }
            (TargetHost::Name(name), Some(port)) => write!(f, "{name}:{port}")?,
            (TargetHost::Name(name), None) => f.write_str(name)?,
        }
        match self.transport {
            Some(transport) => write!(f, ";transport={}", transport.name()),
            None => Ok(()),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.priority.is_none() && self.weight.is_none() {
            return to.collect_str(self);
        }
        let mut table = to.serialize_map(None)?;
        table.serialize_entry("target", &self.to_string())?;
        for (name, value) in [("priority", self.priority), ("weight", self.weight)] {
            if let Some(value) = value {
                table.serialize_entry(name, &value)?;
            }
        }
        table.end()
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            target: String,
            priority: Option<u32>,
            weight: Option<u32>,
        }

        struct Entry;

        impl<'de> de::Visitor<'de> for Entry {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a target such as \"192.0.2.9:5080\" or { target = \"gw.vendor.example\", \
                     priority = 10 }",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Target, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
                let Table { target, priority, weight } =
                    Table::deserialize(MapAccessDeserializer::new(map))?;
                let target: Target = target.parse().map_err(de::Error::custom)?;
                Ok(Target { priority, weight, ..target })
            }
        }

        from.deserialize_any(Entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Target, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// SIG-65, SIG-66
    #[test]
    fn targets_round_trip_in_the_forms_that_operators_write() {
        for (text, written) in [
            ("192.0.2.1:5080", "192.0.2.1:5080"),
            ("192.0.2.1", "192.0.2.1:5060"),
            ("2001:db8::1", "[2001:db8::1]:5060"),
            ("[2001:db8::1]:5080", "[2001:db8::1]:5080"),
            ("gw.vendor.example", "gw.vendor.example"),
            ("GW.Vendor.example:5070", "gw.vendor.example:5070"),
            ("sip:gw.vendor.example", "gw.vendor.example"),
            ("sip:gw.vendor.example;transport=TCP", "sip:gw.vendor.example;transport=tcp"),
            ("sip:192.0.2.1;transport=udp", "sip:192.0.2.1:5060;transport=udp"),
            ("gateway", "gateway"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), written);
            let json = serde_json::to_string(&target).unwrap();
            assert_eq!(read(&json).unwrap(), target, "{json}");
            assert_eq!(json, format!("\"{written}\""));
        }
        let json = r#"{"target":"gw.vendor.example","priority":10,"weight":60}"#;
        let target = read(json).unwrap();
        assert_eq!((target.priority, target.weight), (Some(10), Some(60)));
        assert_eq!(serde_json::to_string(&target).unwrap(), json);
    }

    /// Each row: a text, and a part of its error.
    #[test]
    fn what_is_no_target_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "neither an address nor a host name"),
            ("192.0.2.256", "neither an address nor a host name"),
            ("gw vendor", "neither an address nor a host name"),
            ("-gw.example", "neither an address nor a host name"),
            ("gw..example", "neither an address nor a host name"),
            ("192.0.2.1:0", "port is not a number of 1 to 65535"),
            ("gw.example:70000", "port is not a number of 1 to 65535"),
            ("gw.example:+5", "port is not a number of 1 to 65535"),
            ("[2001:db8::1", "lacks its `]`"),
            ("[192.0.2.1]", "no IPv6 address"),
            ("sips:gw.example", "TLS is not spoken"),
            ("sip:44@gw.example", "names a user"),
            ("gw.example;transport=tcp", "need the scheme `sip:`"),
            ("sip:gw.example;transport=sctp", "neither udp nor tcp"),
            ("sip:gw.example;lr", "`transport` is the only one"),
        ] {
            let told = text.parse::<Target>().unwrap_err();
            assert!(told.contains(why) && told.contains("192.0.2.9:5080"), "{text}: {told}");
        }
        let told = read(r#"{"target":"gw.example","prio":1}"#).unwrap_err();
        assert!(told.contains("unknown field `prio`"), "{told}");
    }
}
