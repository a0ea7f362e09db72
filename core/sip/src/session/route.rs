//! The next hop of requests inside a dialog (RFC 3261 section 12.2.1.1).

use crate::{Dialog, Flow, Link, Message, UriRef};
use std::net::{IpAddr, SocketAddr};

/// The first route of the dialog, else its remote target, if that is a numeric address or a name
/// whose address `known` returns; otherwise `flow`, the source of the peer's messages: no dialog
/// waits for a name server. Over a stream it is always `flow`: the existing connection is reused
/// (RFC 5923).
pub(super) fn next_hop(
    dialog: &Dialog,
    flow: Flow,
    known: impl FnOnce(&str, Option<u16>) -> Option<SocketAddr>,
) -> Flow {
    if flow.link == Link::Stream {
        return flow;
    }
    let target = dialog.route_set().next().unwrap_or(dialog.remote_target());
    let named = || uri_of(target).and_then(|uri| known(uri.host(), uri.port()));
    Flow { remote: numeric_address(target).or_else(named).unwrap_or(flow.remote), ..flow }
}

/// Whether the sender of an INVITE is behind a NAT, so that its Contact is unreachable (SIG-12):
/// its Via names another address than the source of its packets. If Via has a host name, a private
/// Contact behind a public source decides.
pub(super) fn is_natted(invite: &Message, source: SocketAddr) -> bool {
    let source = source.ip().to_canonical();
    let contact = || numeric_address(invite.contact()?.uri());
    match invite.top_via().ip() {
        Some(named) => named != source,
        None => !is_private(source) && contact().is_some_and(|at| is_private(at.ip())),
    }
}

/// Whether an address is meaningful only inside its own network (RFC 1918, RFC 6598, RFC 4193,
/// RFC 3927, RFC 4291).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_loopback() || address.is_link_local() || shared
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            address.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}

/// The socket address in a URI whose host is an IP address.
fn numeric_address(uri: &str) -> Option<SocketAddr> {
    let uri = uri_of(uri)?;
    let host = uri.host().trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(host.parse().ok()?, uri.port().unwrap_or(5060)))
}

/// Parses a URI with or without angle brackets.
fn uri_of(text: &str) -> Option<UriRef<'_>> {
    let uri = text.trim().trim_start_matches('<');
    UriRef::parse(uri.split('>').next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(via: &str, contact: &str) -> Message {
        let text = format!(
            "INVITE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKa\r\n\
             From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:a@192.0.2.1>\r\nCall-ID: c\r\n\
             CSeq: 1 INVITE\r\nContact: <{contact}>\r\n\r\n"
        );
        Message::parse(text.as_bytes()).expect("a request")
    }

    /// A name with a known address is as good as an address; an unknown one changes nothing.
    #[test]
    fn requests_go_to_a_known_name_and_else_where_the_peer_is() {
        let flow = Flow::datagram(0, "192.0.2.9:1024".parse().expect("an address"));
        let known = |host: &str, port: Option<u16>| {
            let address = "192.0.2.77:5062".parse().expect("an address");
            (host == "gw.example" && port.is_none()).then_some(address)
        };
        for (contact, expected) in [
            ("sip:a@192.0.2.5:5070", "192.0.2.5:5070"),
            ("sip:a@gw.example;transport=udp", "192.0.2.77:5062"),
            ("sip:a@gw.example:5070", "192.0.2.9:1024"),
            ("sip:a@other.example", "192.0.2.9:1024"),
        ] {
            let dialog = Dialog::uas(&invite("192.0.2.9", contact), "tag");
            let hop = next_hop(&dialog, flow, known);
            assert_eq!(hop.remote.to_string(), expected, "{contact}");
            let stream = Flow { link: Link::Stream, ..flow };
            assert_eq!(next_hop(&dialog, stream, known), stream, "a connection is used again");
        }
    }

    /// SIG-12
    #[test]
    fn a_nat_is_told_by_addresses_and_not_by_names() {
        for (via, contact, source, natted) in [
            ("10.0.0.5:5060", "sip:a@10.0.0.5", "203.0.113.9:1024", true),
            ("203.0.113.9:5060", "sip:a@10.0.0.5", "203.0.113.9:1024", false),
            ("gw1.example.net", "sip:a@203.0.113.9:5070", "203.0.113.9:1024", false),
            ("gw1.example.net", "sip:a@203.0.113.77:5070", "203.0.113.9:1024", false),
            ("pc.local", "sip:a@192.168.1.5", "203.0.113.9:1024", true),
            ("pc.local", "sip:a@100.64.1.5", "[2001:db8::1]:1024", true),
            ("pc.local", "sip:a@[fd00::5]", "[2001:db8::1]:1024", true),
            ("pc.local", "sip:a@192.168.1.5", "192.168.1.5:1024", false),
            ("pc.local", "sip:a@pc.local", "203.0.113.9:1024", false),
        ] {
            let source = source.parse().expect("an address");
            assert_eq!(is_natted(&invite(via, contact), source), natted, "{via} {contact}");
        }
    }
}
