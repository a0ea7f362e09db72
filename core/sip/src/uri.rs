//! URIs: `sip:`, `sips:` and `tel:` are parsed, all others kept opaque.

use crate::params;
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

/// A URI split into parts without decoding (RFC 3261 19.1, RFC 3966).
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
    /// Splits `text`: no angle brackets, no surrounding space.
    ///
    /// # Errors
    /// White space, control bytes or angle brackets inside, no scheme, or for `sip:` and
    /// `sips:` a bad host or port, for `tel:` no number.
    pub fn parse(text: &'a str) -> Result<UriRef<'a>, UriError> {
        let refuse = |problem| Err(UriError { uri: text.to_owned(), problem });
        let Some(marks) = Marks::of(text.as_bytes()) else {
            return refuse("contains a character that a URI cannot have");
        };
        let Some(colon) = marks.scheme else {
            return refuse("has no scheme");
        };
        let (scheme, opaque) = (&text[..colon], &text[colon + 1..]);
        let scheme_ok = scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !scheme_ok {
            return refuse("has a malformed scheme");
        }
        let mut uri = UriRef { scheme, text, ..UriRef::default() };
        match () {
            () if uri.is_sip() => match uri.split_sip(colon + 1, &marks) {
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

    /// Splits everything after the scheme; it begins at `start`.
    fn split_sip(&mut self, start: usize, marks: &Marks) -> Result<(), &'static str> {
        let text = self.text;
        let mut host = start;
        if let Some(at) = marks.at {
            // Devices that hide their number write nothing before the `@`.
            if at > start {
                let user_end = marks.colon.filter(|&colon| colon < at);
                self.user = Some(&text[start..user_end.unwrap_or(at)]);
                self.password = user_end.map(|end| &text[end + 1..at]);
            }
            host = at + 1;
        }
        let params_end = marks.question.unwrap_or(text.len());
        let host_end = marks.semicolon.unwrap_or(params_end);
        (self.host, self.port) = split_host_port(&text[host..host_end])?;
        self.params = marks.semicolon.map_or("", |at| &text[at + 1..params_end]);
        self.headers = marks.question.map_or("", |at| &text[at + 1..]);
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
    pub(crate) fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// `tel:`.
    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("tel")
    }

    /// User part, still escaped, with its own parameters (`1000;phone-context=x`); the number of a
    /// `tel:` URI. `None` if there is no user part.
    pub fn user(&self) -> Option<&'a str> {
        self.user
    }

    /// Password, still escaped.
    pub fn password(&self) -> Option<&'a str> {
        self.password
    }

    /// Host as written, IPv6 with its brackets. Empty for schemes other than SIP.
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

    /// Value of a URI parameter; `""` if the parameter has none.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params::param(self.params, name)
    }

    /// Headers as written, without the `?`.
    pub fn headers(&self) -> &'a str {
        self.headers
    }

    /// The text after the scheme's colon, for schemes that are not parsed.
    pub fn opaque(&self) -> &'a str {
        self.text.split_once(':').map_or("", |(_, opaque)| opaque)
    }

    /// The whole URI as given to [`UriRef::parse`].
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

/// `host[:port]` with a name, an IPv4 address or a bracketed IPv6 address.
pub(crate) fn split_host_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let bytes = text.as_bytes();
    let end = if bytes.first() == Some(&b'[') {
        bracketed_address(text)?
    } else {
        bytes.iter().position(|&byte| !HOST[usize::from(byte)]).unwrap_or(bytes.len())
    };
    let (host, rest) = text.split_at(end);
    match rest.as_bytes() {
        [] | [b':', ..] if host.is_empty() => Err("has no host"),
        [] => Ok((host, None)),
        [b':', digits @ ..] => Ok((host, Some(port(digits)?))),
        _ => Err("has a malformed host"),
    }
}

/// Length of the IPv6 address at the start of `text`, including both brackets.
fn bracketed_address(text: &str) -> Result<usize, &'static str> {
    let end = params::find(text.as_bytes(), b']').ok_or("has an IPv6 address without `]`")?;
    let address = &text[1..end];
    // A zone identifier has no meaning beyond the sender, but some peers write it.
    let address = address.split('%').next().unwrap_or(address);
    address.parse::<Ipv6Addr>().map_err(|_| "has a bad IPv6 address")?;
    Ok(end + 1)
}

fn port(digits: &[u8]) -> Result<u16, &'static str> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("has a malformed port");
    }
    let longer = |port: u16, digit: &u8| port.checked_mul(10)?.checked_add((digit - b'0').into());
    digits.iter().try_fold(0, longer).ok_or("has a port above 65535")
}

/// The boundaries of a URI's parts.
#[derive(Debug, Default)]
struct Marks {
    /// The colon after the scheme.
    scheme: Option<usize>,
    /// The next colon after that.
    colon: Option<usize>,
    /// The last `@`: the user part may contain `;`, `?` and `/`.
    at: Option<usize>,
    /// The first `?` after the last `@`.
    question: Option<usize>,
    /// The first `;` after the last `@`, if it comes before the `?`.
    semicolon: Option<usize>,
}

impl Marks {
    /// `None` if a byte is not allowed in a URI.
    fn of(text: &[u8]) -> Option<Marks> {
        let mut marks = Marks::default();
        for (at, &byte) in text.iter().enumerate() {
            if BYTES[usize::from(byte)] == Byte::Plain {
                continue;
            }
            match byte {
                b':' if marks.scheme.is_none() => marks.scheme = Some(at),
                b':' => marks.colon = marks.colon.or(Some(at)),
                b'@' => (marks.at, marks.question, marks.semicolon) = (Some(at), None, None),
                b'?' => marks.question = marks.question.or(Some(at)),
                b';' if marks.question.is_none() => {
                    marks.semicolon = marks.semicolon.or(Some(at));
                }
                b';' => {}
                _ => return None,
            }
        }
        Some(marks)
    }
}

/// The role of a byte in a URI.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Byte {
    Plain,
    /// A part may end or begin here.
    Mark,
    /// No URI contains it.
    Outside,
}

const BYTES: [Byte; 256] = {
    let mut table = [Byte::Plain; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = match byte {
            b':' | b'@' | b'?' | b';' => Byte::Mark,
            0..=b' ' | b'<' | b'>' | b'"' | 0x7f => Byte::Outside,
            _ => Byte::Plain,
        };
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// Bytes of a host name or an IPv4 address.
const HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// The address of a host as written, with or without brackets.
pub(crate) fn host_ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(inside) => inside.trim_end_matches(']').split('%').next()?.parse().ok(),
        None => host.parse().ok(),
    }
}

fn split_at_first(text: &str, separator: u8) -> (&str, &str) {
    params::split_once(text, separator).unwrap_or((text, ""))
}
