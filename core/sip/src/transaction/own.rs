//! Reads the few lines that this layer needs from messages that we wrote ourselves, without
//! indexing the whole message.

use super::key::{Key, Keys};
use crate::header_name::Known;
use crate::name_addr::NameAddrRef;
use crate::params::{Parts, find};
use crate::{Method, ViaRef};

/// Method and top Via of a request.
pub(super) fn outgoing(bytes: &[u8]) -> Option<(Method, ViaRef<'_>)> {
    let (start, _) = split(bytes, b'\n')?;
    let (method, rest) = split(start, b' ')?;
    let method = Method::parse(method).filter(|_| rest.ends_with(b" SIP/2.0\r"))?;
    let value = text(value(bytes, Known::Via)?)?;
    Some((method, ViaRef::parse(Parts::new(value, b',').next()?).ok()?))
}

/// The To tag.
pub(super) fn to_tag(bytes: &[u8]) -> Option<&str> {
    tag(value(bytes, Known::To)?)
}

/// [`Keys::acknowledgement`] of a response.
pub(super) fn acknowledgement(keys: &Keys, response: &[u8]) -> Option<Key> {
    let (mut call_id, mut number, mut from, mut to) = (None, None, None, None);
    for (known, value) in lines(response) {
        match known {
            Known::CallId => call_id = text(value),
            Known::CSeq => number = text(value)?.split(' ').next()?.parse().ok(),
            Known::From => from = tag(value),
            Known::To => to = tag(value),
            _ => {}
        }
        // All four fields stand before the other headers of the call, so the rest need not be read.
        if call_id.is_some() && number.is_some() && from.is_some() && to.is_some() {
            break;
        }
    }
    Some(keys.acknowledgement_of(call_id?, number?, from, to))
}

fn tag(value: &[u8]) -> Option<&str> {
    NameAddrRef::parse(text(value)?).ok()?.tag()
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// The first value of a header.
fn value(bytes: &[u8], wanted: Known) -> Option<&[u8]> {
    lines(bytes).find(|(known, _)| *known == wanted).map(|(_, value)| value)
}

/// The header lines with their values.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (Known, &[u8])> {
    let mut rest = split(bytes, b'\n').map_or(bytes, |(_, rest)| rest);
    std::iter::from_fn(move || {
        let (line, after) = split(rest, b'\n')?;
        rest = after;
        let (name, value) = split(line, b':')?;
        Some((Known::of(name), value.trim_ascii()))
    })
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = match at {
        b'\n' => memchr::memchr(at, bytes)?,
        _ => find(bytes, at)?,
    };
    Some((&bytes[..end], &bytes[end + 1..]))
}
