//! Numbers and addresses as text. A message holds a dozen of them, and formatting one with
//! `std::fmt` takes longer than writing the rest of its line.

use compact_str::{CompactString, ToCompactString as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Longest `address:port` of IPv4.
const LONGEST: usize = "255.255.255.255:65535".len();

/// `192.0.2.1:5060` or `[2001:db8::1]:5060`, as the `Display` of [`SocketAddr`] writes it.
#[must_use]
pub fn address_text(address: SocketAddr) -> CompactString {
    match address {
        SocketAddr::V4(v4) => short(*v4.ip(), Some(v4.port())),
        SocketAddr::V6(_) => address.to_compact_string(),
    }
}

/// `192.0.2.1` or `2001:db8::1`, as the `Display` of [`IpAddr`] writes it.
#[must_use]
pub fn ip_text(ip: IpAddr) -> CompactString {
    match ip {
        IpAddr::V4(ip) => short(ip, None),
        IpAddr::V6(_) => ip.to_compact_string(),
    }
}

fn short(ip: Ipv4Addr, port: Option<u16>) -> CompactString {
    let mut bytes = [0; LONGEST];
    let mut end = 0;
    let mut put = |separator: &str, number: u16| {
        for part in [separator, itoa::Buffer::new().format(number)] {
            bytes[end..end + part.len()].copy_from_slice(part.as_bytes());
            end += part.len();
        }
    };
    let [a, b, c, d] = ip.octets();
    put("", a.into());
    put(".", b.into());
    put(".", c.into());
    put(".", d.into());
    if let Some(port) = port {
        put(":", port);
    }
    // Digits, dots and colons are UTF-8.
    CompactString::from_utf8(&bytes[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_display_writes_them() {
        for text in [
            "0.0.0.0:0",
            "192.0.2.1:5060",
            "255.255.255.255:65535",
            "[2001:db8::1]:5060",
            "[::ffff:192.0.2.1]:9",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(address_text(address), text);
            assert_eq!(ip_text(address.ip()), address.ip().to_string());
        }
    }
}
