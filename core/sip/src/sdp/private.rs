//! Lines of a description that reveal who or where its describer is (SIG-04).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether a line reveals private details of its describer to the other side.
pub(super) fn tells(letter: u8, value: &str) -> bool {
    match letter {
        b'a' => attribute_tells(value),
        // RFC 8866 section 5 defines these; 0 is an empty line.
        b'v' | b'o' | b's' | b'c' | b'b' | b't' | b'r' | b'z' | b'k' | b'm' | 0 => false,
        // Information, URI, e-mail address, telephone number, and letters that no RFC defines.
        _ => true,
    }
}

fn attribute_tells(attribute: &str) -> bool {
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    let name = name.trim_end();
    let ice = name.starts_with("ice-")
        || matches!(name, "candidate" | "remote-candidates" | "end-of-candidates");
    ice || name == "tool" || names_address(value)
}

/// Whether `value` contains an IP address, with any text around it.
fn names_address(value: &str) -> bool {
    let count = |wanted: u8| value.bytes().filter(|byte| *byte == wanted).take(3).count();
    let (dots, colons) = (count(b'.'), count(b':'));
    let v4 = |c: char| c.is_ascii_digit() || c == '.';
    let v6 = |c: char| c.is_ascii_hexdigit() || c == ':';
    dots == 3
        && value.split(|c| !v4(c)).any(|run| run.trim_matches('.').parse::<Ipv4Addr>().is_ok())
        || colons >= 2
            && value.split(|c| !v6(c)).any(|run| {
                let is_address = |run: &str| run.parse::<Ipv6Addr>().is_ok();
                // A colon directly before or after an address is not part of it.
                let (head, tail) = (run.strip_prefix(':'), run.strip_suffix(':'));
                is_address(run) || head.is_some_and(is_address) || tail.is_some_and(is_address)
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_name_an_address_tell() {
        for attribute in [
            "candidate:1 1 UDP 2130706431 host.example 49170 typ host",
            "ice-ufrag:abcd",
            "end-of-candidates",
            "tool:PBX 18.2",
            "alt:1 1 : 8F2E7D12 4C3B2A19 10.1.2.3 5060",
            "source-filter: incl IN IP4 * 192.0.2.7",
            "x-relay:10.1.2.3:5004",
            "x-host:2001:db8::7",
            "x-peer: \"[2001:db8::7]\";port=1",
            "ssrc:314159 cname:alice@10.1.2.3",
            "x-odd:ip_10.1.2.3.",
            "x-odd:[2001:db8::7]:5060",
            "x-odd:via 2001:db8:0:0:0:0:0:7:",
        ] {
            assert!(tells(b'a', attribute), "{attribute}");
        }
        for letter in [b'i', b'u', b'e', b'p', b'x'] {
            assert!(tells(letter, "anything"), "{}", char::from(letter));
        }
    }

    #[test]
    fn attributes_of_the_media_do_not() {
        for attribute in [
            "rtpmap:101 telephone-event/8000",
            "fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAH5WoFAFuQA==,aM4G4g==",
            "fmtp:101 0-15",
            "fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B",
            "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
            "ssrc:314159 cname:{5b6f2a}",
            "x-version:1.2.3",
            "x-time:12:34:56",
            "x-param-1: vvvv",
            "T38FaxVersion:0",
            "ptime:20",
            "sendrecv",
            "",
        ] {
            assert!(!tells(b'a', attribute), "{attribute}");
        }
        for letter in [b'v', b'o', b's', b'c', b'b', b't', b'r', b'z', b'k', b'm', 0] {
            assert!(!tells(letter, "anything"), "{}", char::from(letter));
        }
    }
}
