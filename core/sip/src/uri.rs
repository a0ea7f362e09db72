//! URIs: `sip:`, `sips:`, `tel:` taken apart, all others kept opaque.

use crate::params;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use thiserror::Error;

/// Why a text is not a URI.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("URI `{uri}`: {problem}")]
pub struct UriError {
    /// The text.
    pub uri: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// A URI taken apart without decoding (RFC 3261 19.1, RFC 3966).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UriRef<'a> {
    scheme: &'a str,
    user: Option<&'a str>,
    password: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
    headers: &'a str,
    text: &'a str,
}

impl<'a> UriRef<'a> {
    /// Takes `text` apart: no angle brackets, no surrounding space.
    ///
    /// # Errors
    /// White space, control bytes or angle brackets inside, no scheme, or for `sip:` and
    /// `sips:` a bad host or port, for `tel:` no number.
    pub fn parse(text: &'a str) -> Result<UriRef<'a>, UriError> {
        let refuse = |problem| Err(UriError { uri: text.to_owned(), problem });
        if text.bytes().any(|byte| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7f)) {
            return refuse("contains a character that a URI cannot have");
        }
        let Some((scheme, opaque)) = params::split_once(text, b':') else {
            return refuse("has no scheme");
        };
        let scheme_ok = scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !scheme_ok {
            return refuse("has a malformed scheme");
        }
        let mut uri = UriRef { scheme, text, ..UriRef::default() };
        match () {
            () if uri.is_sip() => match uri.split_sip(opaque) {
                Ok(()) => Ok(uri),
                Err(problem) => refuse(problem),
            },
            () if uri.is_tel() => {
                let (number, params) = split_at_first(opaque, b';');
                if number.is_empty() {
                    return refuse("has no number");
                }
                (uri.user, uri.params) = (Some(number), params);
                Ok(uri)
            }
            () => Ok(uri),
        }
    }

    fn split_sip(&mut self, opaque: &'a str) -> Result<(), &'static str> {
        // The user part may contain `;`, `?` and `/`: it ends at the last `@`.
        let rest = match opaque.rsplit_once('@') {
            // Written by devices that hide their number.
            Some(("", rest)) => rest,
            Some((info, rest)) => {
                let (user, password) = match params::split_once(info, b':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (info, None),
                };
                (self.user, self.password) = (Some(user), password);
                rest
            }
            None => opaque,
        };
        let (rest, headers) = split_at_first(rest, b'?');
        let (host_port, params) = split_at_first(rest, b';');
        (self.host, self.port) = split_host_port(host_port)?;
        (self.params, self.headers) = (params, headers);
        Ok(())
    }

    /// As written: `sip`, `SIPS`, `tel`...
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sip") || self.is_sips()
    }

    /// `sips:`.
    pub fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// `tel:`.
    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("tel")
    }

    /// User part, still escaped, with its own parameters (`1000;phone-context=x`); the
    /// number of a `tel:` URI. `None` if there is no `@`.
    pub fn user(&self) -> Option<&'a str> {
        self.user
    }

    /// User part with `%HH` resolved; what is then not UTF-8 is replaced by U+FFFD.
    pub fn user_decoded(&self) -> Option<Cow<'a, str>> {
        self.user.map(decode)
    }

    /// Password, still escaped.
    pub fn password(&self) -> Option<&'a str> {
        self.password
    }

    /// Host as written, IPv6 with its brackets. Empty for other schemes than SIP.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The host as an address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// Port, if given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// URI parameters as written, without the first `;`.
    pub fn params(&self) -> &'a str {
        self.params
    }

    /// Value of a URI parameter, `""` if it has none.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params::param(self.params, name)
    }

    /// Headers as written, without the `?`.
    pub fn headers(&self) -> &'a str {
        self.headers
    }

    /// What follows the scheme's colon, for schemes that are not taken apart.
    pub fn opaque(&self) -> &'a str {
        self.text.split_once(':').map_or("", |(_, opaque)| opaque)
    }

    /// The whole URI as it was given to [`UriRef::parse`].
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

/// `%HH` resolved; bytes that are then not UTF-8 become U+FFFD. A `%` without two
/// hexadecimal digits stays.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit =
            |offset: usize| bytes.get(at + offset).and_then(|&byte| char::from(byte).to_digit(16));
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// `host[:port]` with a name, an IPv4 address or a bracketed IPv6 address.
pub(crate) fn split_host_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let host_length = if text.starts_with('[') {
        text.find(']').ok_or("has an IPv6 address without `]`")? + 1
    } else {
        memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(host_length);
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.trim_end_matches(']');
        // A zone identifier has no meaning beyond the sender, but some write it.
        let address = address.split('%').next().unwrap_or(address);
        address.parse::<Ipv6Addr>().map_err(|_| "has a bad IPv6 address")?;
    } else if host.is_empty() {
        return Err("has no host");
    } else if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return Err("has a malformed host");
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return Err("has a malformed host"),
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| "has a port above 65535")?)
        }
        Some(_) => return Err("has a malformed port"),
    };
    Ok((host, port))
}

/// The address in a host as written, with or without brackets.
pub(crate) fn host_ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(inside) => inside.trim_end_matches(']').split('%').next()?.parse().ok(),
        None => host.parse().ok(),
    }
}

fn split_at_first(text: &str, separator: u8) -> (&str, &str) {
    params::split_once(text, separator).unwrap_or((text, ""))
}
