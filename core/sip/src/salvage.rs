//! A 400 for requests that cannot be parsed: it tells the peer's operator the reason.

use crate::builder::MessageBuilder;
use crate::error::ParseError;
use crate::flow::Flow;
use crate::framer::MAX_STREAM_MESSAGE;
use crate::header_name::Known;
use crate::message::Message;
use crate::params::{Parts, trim};
use crate::scan::trim_start;
use crate::via::ViaRef;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The 400 response to a request that [`Message::parse`] refuses, with the reason as its phrase.
/// Copies the readable parts of Via, From, To, Call-ID and CSeq, and writes the source into the top
/// Via; the To tag is derived from the request, so that a repeated request gets the same one.
///
/// `None` if there is nothing to answer: the datagram parses, is a response, an ACK or a
/// keep-alive, or has no readable Via.
pub fn salvage(flow: Flow, datagram: &[u8]) -> Option<Vec<u8>> {
    let source = flow.remote;
    let error = Message::parse_on(flow.link, datagram).err()?;
    let readable = match &error {
        ParseError::Empty | ParseError::KeepAlive => return None,
        // A prefix contains every header that the answer needs.
        ParseError::TooLarge { most, .. } => datagram.get(..*most)?,
        _ => datagram,
    };
    let text = String::from_utf8_lossy(trim_start(readable, MAX_STREAM_MESSAGE).ok()?);
    let mut lines = unfolded(&text);
    let start = lines.next()?;
    let method = start.split_ascii_whitespace().next()?;
    if method == "ACK" || method.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("SIP/")) {
        return None;
    }
    let headers: Vec<(Known, String)> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((Known::of(trim(name).as_bytes()), trim(value).to_owned()))
        })
        .collect();
    let mut response = MessageBuilder::raw_response(400, &error.to_string());
    let mut vias = headers.iter().filter(|(known, _)| *known == Known::Via);
    let (_, first) = vias.next()?;
    let mut values = Parts::new(first, b',');
    let top = values.next()?;
    let mut stamped = String::new();
    ViaRef::parse(top).ok()?.write_stamped(&mut stamped, top, source);
    response = response.header("Via", stamped);
    for value in values {
        response = response.header("Via", value);
    }
    for (_, value) in vias {
        response = response.header("Via", value);
    }
    for known in [Known::From, Known::To, Known::CallId, Known::CSeq] {
        let Some((_, value)) = headers.iter().find(|(found, _)| *found == known) else { continue };
        let untagged = known == Known::To && !value.to_ascii_lowercase().contains("tag=");
        response = if untagged {
            response.header("To", format_args!("{value};tag={}", tag(datagram)))
        } else {
            response.header(known.name(), value)
        };
    }
    Some(response.finish())
}

/// The lines of the head, with folded lines joined.
fn unfolded(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut lines = text.lines().take_while(|line| !line.is_empty()).peekable();
    std::iter::from_fn(move || {
        let mut line = lines.next()?.to_owned();
        while let Some(more) = lines.next_if(|next| next.starts_with([' ', '\t'])) {
            line.push(' ');
            line.push_str(trim(more));
        }
        Some(line)
    })
}

fn tag(datagram: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    datagram.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
