//! Via: the path of a request, and the destination of its response.

use crate::ip_text;
use crate::params::{self, Parts, trim};
use crate::scan::Span;
use crate::uri::{host_ip, split_host_port};
use std::net::{IpAddr, SocketAddr};

/// Start of every branch made by RFC 3261 elements (8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One Via value (RFC 3261 20.42).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViaRef<'a> {
    version: &'a str,
    transport: &'a str,
    host: &'a str,
    port: Option<u16>,
    sent_by: &'a str,
    params: &'a str,
    /// Empty if there is no branch.
    branch: &'a str,
}

/// Positions of a Via value's parts, for a message whose parts are read repeatedly.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ViaSpans {
    version: Span,
    transport: Span,
    host: Span,
    port: Option<u16>,
    sent_by: Span,
    params: Span,
    branch: Span,
}

impl ViaSpans {
    /// The positions of the parts of `via` in the head of its message.
    pub(crate) fn of(head: &str, via: ViaRef<'_>) -> ViaSpans {
        let part = |part: &str| Span::of(head, part);
        ViaSpans {
            version: part(via.version),
            transport: part(via.transport),
            host: part(via.host),
            port: via.port,
            sent_by: part(via.sent_by),
            params: part(via.params),
            branch: part(via.branch),
        }
    }

    #[inline(always)]
    pub(crate) fn via(self, head: &str) -> ViaRef<'_> {
        ViaRef {
            version: self.version.text(head),
            transport: self.transport.text(head),
            host: self.host.text(head),
            port: self.port,
            sent_by: self.sent_by.text(head),
            params: self.params.text(head),
            branch: self.branch.text(head),
        }
    }
}

impl<'a> ViaRef<'a> {
    /// Parses one Via value; space around `/`, `;` and `=` is allowed.
    ///
    /// # Errors
    /// The value is not `SIP/version/transport host[:port]`.
    pub fn parse(value: &'a str) -> Result<ViaRef<'a>, &'static str> {
        let (head, params) = match params::top_level(value, b';') {
            Some(at) => (trim(&value[..at]), &value[at + 1..]),
            None => (trim(value), ""),
        };
        let form = "not of the form SIP/2.0/transport";
        let (protocol, rest) = params::split_once(head, b'/').ok_or(form)?;
        let (version, rest) = params::split_once(rest, b'/').ok_or(form)?;
        let (version, rest) = (trim(version), trim(rest));
        if !trim(protocol).eq_ignore_ascii_case("SIP") {
            return Err("protocol is not SIP");
        }
        let blank = |&byte: &u8| matches!(byte, b' ' | b'\t');
        let gap = rest.as_bytes().iter().position(blank).ok_or("no sent-by host")?;
        let (transport, sent_by) = (&rest[..gap], trim(&rest[gap + 1..]));
        if transport.is_empty() {
            return Err("no transport");
        }
        let (host, port) = split_sent_by(sent_by)?;
        let branch = params::param(params, "branch").unwrap_or_default();
        Ok(ViaRef { version, transport, host, port, sent_by, params, branch })
    }

    /// `2.0` in all current messages.
    pub fn version(&self) -> &'a str {
        self.version
    }

    /// `UDP`, `TCP`, `TLS`, `SCTP`... as written.
    pub fn transport(&self) -> &'a str {
        self.transport
    }

    /// Host of sent-by, IPv6 with its brackets.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The host of sent-by as an address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// Port of sent-by, if given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// `host[:port]` as written; part of the transaction key (RFC 3261 17.2.3).
    pub fn sent_by(&self) -> &'a str {
        self.sent_by
    }

    /// The branch, if there is one.
    pub fn branch(&self) -> Option<&'a str> {
        Some(self.branch).filter(|branch| !branch.is_empty())
    }

    /// Whether the branch is unique to the transaction: it begins with the magic cookie
    /// and has something after it. If not, RFC 2543 matching applies.
    pub fn has_unique_branch(&self) -> bool {
        self.branch().is_some_and(|branch| {
            branch.len() > MAGIC_COOKIE.len()
                && branch.as_bytes()[..MAGIC_COOKIE.len()]
                    .eq_ignore_ascii_case(MAGIC_COOKIE.as_bytes())
        })
    }

    /// The `received` address, if it is a valid address.
    pub fn received(&self) -> Option<IpAddr> {
        self.param("received").and_then(host_ip)
    }

    /// Value of `rport` (RFC 3581); `None` if it is absent or has no value.
    pub fn rport(&self) -> Option<u16> {
        self.param("rport").and_then(|port| port.parse().ok())
    }

    /// Whether the sender wants the response on the port it sent from (RFC 3581).
    pub(crate) fn wants_rport(&self) -> bool {
        self.param("rport").is_some()
    }

    /// All parameters as written, without the first `;`.
    pub fn params(&self) -> &'a str {
        self.params
    }

    /// Value of a parameter without quotes; `""` if the parameter has none.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params::param(self.params, name)
    }

    /// The destination of a response with this Via (RFC 3261 18.2.2, RFC 3581 4): `received` or the
    /// sent-by address, `rport` or the sent-by port or 5060. `maddr` is ignored: it would let a
    /// stranger aim our responses. `None` if sent-by is a host name.
    pub fn response_address(&self) -> Option<SocketAddr> {
        let ip = self.received().or_else(|| host_ip(self.host))?;
        Some(SocketAddr::new(ip, self.rport().or(self.port).unwrap_or(5060)))
    }

    /// Writes this value with the source of the datagram in it: `received` if it differs from
    /// sent-by or `rport` was requested, and the port if `rport` was requested. A `value` that
    /// needs neither is written unchanged.
    pub(crate) fn write_stamped(&self, message: &mut String, value: &str, source: SocketAddr) {
        let start = message.len();
        message.extend(["SIP/", self.version, "/", self.transport, " ", self.sent_by]);
        let (mut wants_rport, mut has_received) = (false, false);
        for part in Parts::new(self.params, b';').filter(|part| !part.is_empty()) {
            let name = params::split_once(part, b'=').map_or(part, |(name, _)| trim(name));
            if name.eq_ignore_ascii_case("rport") {
                wants_rport = true;
            } else if name.eq_ignore_ascii_case("received") {
                has_received = true;
            } else {
                message.extend([";", part]);
            }
        }
        if !wants_rport && !has_received && host_ip(self.host) == Some(source.ip()) {
            message.truncate(start);
            message.push_str(value);
            return;
        }
        message.extend([";received=", &ip_text(source.ip())]);
        if wants_rport {
            message.extend([";rport=", itoa::Buffer::new().format(source.port())]);
        }
    }
}

/// Splits sent-by, which may have spaces around its colon: `host : 5060`.
fn split_sent_by(sent_by: &str) -> Result<(&str, Option<u16>), &'static str> {
    let blank = |byte: u8| matches!(byte, b' ' | b'\t');
    if !sent_by.bytes().any(blank) {
        return split_host_port(sent_by);
    }
    let host_end = if sent_by.starts_with('[') {
        params::find(sent_by.as_bytes(), b']').map_or(sent_by.len(), |at| at + 1)
    } else {
        sent_by.bytes().position(|byte| blank(byte) || byte == b':').unwrap_or(sent_by.len())
    };
    let (host, rest) = sent_by.split_at(host_end);
    let (host, _) = split_host_port(host)?;
    let port = match trim(rest).strip_prefix(':').map(trim) {
        Some(digits) => Some(digits.parse().map_err(|_| "has a malformed port")?),
        None if trim(rest).is_empty() => None,
        None => return Err("text after the sent-by host"),
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(value: &str, source: &str) -> String {
        let mut message = String::new();
        let via = ViaRef::parse(value).unwrap();
        via.write_stamped(&mut message, value, source.parse().unwrap());
        message
    }

    #[test]
    fn a_via_of_its_source_stays_as_it_is() {
        let value = "SIP/2.0/UDP  192.0.2.1:5060 ;branch=z9hG4bKa";
        assert_eq!(stamped(value, "192.0.2.1:5060"), value);
    }

    #[test]
    fn a_sender_cannot_say_where_it_is() {
        for claim in [";received=203.0.113.9", ";received=nonsense", ""] {
            let value = format!("SIP/2.0/UDP 192.0.2.1{claim};rport=9;branch=z9hG4bKa");
            assert_eq!(
                stamped(&value, "198.51.100.7:1024"),
                "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;received=198.51.100.7;rport=1024"
            );
        }
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.1;received=nonsense", "192.0.2.1:5060"),
            "SIP/2.0/UDP 192.0.2.1;received=192.0.2.1"
        );
    }

    #[test]
    fn the_host_is_an_address_or_a_name() {
        let ip = |value| ViaRef::parse(value).unwrap().ip();
        assert_eq!(ip("SIP/2.0/UDP [2001:db8::1]:5060"), "2001:db8::1".parse().ok());
        assert_eq!(ip("SIP/2.0/UDP 192.0.2.1 : 5060"), "192.0.2.1".parse().ok());
        assert_eq!(ip("SIP/2.0/UDP host.example"), None);
    }
}
