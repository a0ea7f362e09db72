//! Session descriptions (RFC 8866) for a relay: read where the peers receive, write our own
//! addresses, and keep every other line byte for byte. Between sides that share no codec, we
//! describe the audio ourselves.

mod describe;
mod negotiate;
mod private;
mod rewrite;
mod stream;

pub use describe::Audio;
pub use negotiate::{Agreement, Settled, Side, settle};
pub use rewrite::{Origin, StreamPlan};
pub use stream::{Direction, MediaKind, PayloadType, Stream};

use crate::header_name::Known;
use crate::message::Message;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::Range;
use thiserror::Error;

/// Why a body is not a session description.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SdpError {
    /// The first line is not `v=0`.
    #[error("session description does not begin with `v=0`")]
    Version,
    /// There is no `o=` line.
    #[error("session description has no `o=` line")]
    Origin,
    /// A line is not `letter=value`, or an `m=` line cannot be read.
    #[error("session description, line {number}: `{text}` {problem}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// The line.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A session description with the lines it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct SessionDescription {
    bytes: Vec<u8>,
    lines: Vec<SdpLine>,
    streams: Vec<Stream>,
    /// Position in `lines` of each stream's `m=` line.
    media_lines: Vec<usize>,
}

/// One line: its letter and where its value and its line break lie.
#[derive(Clone, Debug)]
struct SdpLine {
    letter: u8,
    value: Range<usize>,
    /// End of the line break.
    end: usize,
}

impl From<SessionDescription> for Vec<u8> {
    fn from(description: SessionDescription) -> Vec<u8> {
        description.bytes
    }
}

impl TryFrom<Vec<u8>> for SessionDescription {
    type Error = SdpError;

    fn try_from(body: Vec<u8>) -> Result<SessionDescription, SdpError> {
        SessionDescription::parse(&body)
    }
}

impl SessionDescription {
    /// Reads a body. Line ends may be CR LF or LF; empty lines are kept and ignored.
    ///
    /// # Errors
    /// No `v=0` or `o=`, a line that is not `letter=value`, an `m=` line without a port.
    pub fn parse(body: &[u8]) -> Result<SessionDescription, SdpError> {
        let lines = split_lines(body)?;
        let mut settings = lines.iter().filter(|line| line.letter != 0);
        match settings.next() {
            Some(line) if line.letter == b'v' && text(body, line).trim() == "0" => {}
            _ => return Err(SdpError::Version),
        }
        let mut session = Stream::session_level();
        let (mut streams, mut media_lines) = (Vec::new(), Vec::new());
        let mut origin = false;
        for (index, line) in lines.iter().enumerate() {
            let value = text(body, line);
            if line.letter == b'm' {
                let stream = session.media(value).map_err(|problem| SdpError::Line {
                    number: index + 1,
                    text: format!("m={value}"),
                    problem,
                })?;
                streams.push(stream);
                media_lines.push(index);
            }
            origin |= line.letter == b'o' && streams.is_empty();
            streams.last_mut().unwrap_or(&mut session).absorb(line.letter, value);
        }
        if !origin {
            return Err(SdpError::Origin);
        }
        streams.iter_mut().for_each(Stream::add_static_names);
        Ok(SessionDescription { bytes: body.to_vec(), lines, streams, media_lines })
    }

    /// The streams in the order of their `m=` lines.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Index and stream of the first audio stream that is not refused (port 0).
    pub fn first_audio(&self) -> Option<(usize, &Stream)> {
        let usable = |stream: &Stream| stream.kind == MediaKind::Audio && stream.port != 0;
        self.streams.iter().enumerate().find(|(_, stream)| usable(stream))
    }

    /// Session id and version of the `o=` line: a peer that changes its description
    /// raises the version (RFC 3264 8). `None` if they are not numbers.
    pub fn origin_version(&self) -> Option<(u64, u64)> {
        let line = self.lines.iter().find(|line| line.letter == b'o')?;
        let mut fields = text(&self.bytes, line).split_ascii_whitespace().skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    }

    /// The description as received.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The session description that a message carries: its body, or the `application/sdp`
/// part of a multipart body (RFC 2046 5.1).
pub fn body_of(message: &Message) -> Option<&[u8]> {
    let body = message.body();
    if body.is_empty() {
        return None;
    }
    let content_type = message.value(Known::ContentType)?;
    // The usual spelling.
    if content_type == "application/sdp" {
        return Some(body);
    }
    let (media_type, params) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media_type = media_type.trim();
    if media_type.eq_ignore_ascii_case("application/sdp") {
        return Some(body);
    }
    let (kind, _) = media_type.split_once('/')?;
    if !kind.eq_ignore_ascii_case("multipart") {
        return None;
    }
    sdp_part(body, crate::params::param(params, "boundary")?)
}

fn sdp_part<'a>(body: &'a [u8], boundary: &str) -> Option<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let mut starts = positions(body, delimiter.as_bytes());
    let mut start = starts.next()?;
    for next in starts {
        let part = &body[start + delimiter.len()..next];
        start = next;
        let (head, content) = split_head(part)?;
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let is_sdp = head.lines().filter_map(|line| line.split_once(':')).any(|(name, value)| {
            matches!(name.trim(), "content-type" | "c")
                && value.trim().starts_with("application/sdp")
        });
        if is_sdp {
            // The line break before a delimiter belongs to the delimiter.
            let content = content.strip_suffix(b"\n").unwrap_or(content);
            return Some(content.strip_suffix(b"\r").unwrap_or(content));
        }
    }
    None
}

fn positions<'a>(body: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let starts_line = |at: usize| at == 0 || body[at - 1] == b'\n';
    body.windows(wanted.len().max(1))
        .enumerate()
        .filter(move |(at, window)| *window == wanted && starts_line(*at))
        .map(|(at, _)| at)
}

fn split_head(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let cut = |gap: &[u8]| {
        let at = part.windows(gap.len()).position(|window| window == gap)?;
        Some((at, at + gap.len()))
    };
    let (end, start) = match (cut(b"\r\n\r\n"), cut(b"\n\n")) {
        (Some(crlf), Some(lf)) => crlf.min(lf),
        (gap, None) | (None, gap) => gap?,
    };
    Some((&part[..end], &part[start..]))
}

fn split_lines(body: &[u8]) -> Result<Vec<SdpLine>, SdpError> {
    let mut lines = Vec::with_capacity(16);
    let mut start = 0;
    while start < body.len() {
        let feed = body[start..].iter().position(|&byte| byte == b'\n').map(|at| start + at);
        let end = feed.map_or(body.len(), |at| at + 1);
        let mut stop = feed.unwrap_or(body.len());
        if stop > start && body[stop - 1] == b'\r' {
            stop -= 1;
        }
        let line = &body[start..stop];
        let (letter, value) = match line {
            [] | [0] => (0, stop..stop),
            [letter, b'=', ..] if letter.is_ascii_lowercase() => (*letter, start + 2..stop),
            _ => {
                return Err(SdpError::Line {
                    number: lines.len() + 1,
                    text: String::from_utf8_lossy(line).into_owned(),
                    problem: "is not `letter=value`",
                });
            }
        };
        lines.push(SdpLine { letter, value, end });
        start = end;
    }
    Ok(lines)
}

/// The value as text; empty where it is not UTF-8 (free text in another character set).
fn text<'a>(body: &'a [u8], line: &SdpLine) -> &'a str {
    std::str::from_utf8(&body[line.value.clone()]).unwrap_or_default()
}

/// `IP4` or `IP6`.
fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}
