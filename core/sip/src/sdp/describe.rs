//! Descriptions that we write ourselves: an offer and an answer (RFC 3264).

use super::{Direction, MediaKind, Origin, PayloadType, SessionDescription, Stream, family};
use crate::ip_text;
use std::fmt::{self, Display, Write};
use std::net::SocketAddr;

/// An audio stream in our own description.
#[derive(Clone, Debug)]
pub struct Audio<'a> {
    /// Where we receive RTP.
    pub rtp: SocketAddr,
    /// Its formats, the preferred one first.
    pub formats: &'a [PayloadType],
    /// Its direction from our side.
    pub direction: Direction,
    /// Milliseconds of speech that we want per packet; `None` means the usual 20.
    pub ptime_ms: Option<u32>,
}

impl Audio<'_> {
    /// An offer of this stream alone.
    pub fn offer(&self, origin: &Origin) -> Vec<u8> {
        let mut out = head(origin);
        self.write(&mut out, "RTP/AVP", origin);
        out.into_bytes()
    }

    /// The answer to an offer: accepts its first audio stream and refuses all others.
    pub fn answer(&self, offer: &SessionDescription, origin: &Origin) -> Vec<u8> {
        let mut out = head(origin);
        let accepted = offer.first_audio().map(|(index, _)| index);
        for (index, stream) in offer.streams().iter().enumerate() {
            if Some(index) == accepted {
                self.write(&mut out, &stream.proto, origin);
            } else {
                refuse(&mut out, stream);
            }
        }
        out.into_bytes()
    }

    fn write(&self, out: &mut String, proto: &str, origin: &Origin) {
        line(out, format_args!("m=audio {} {proto}{}", self.rtp.port(), Numbers(self.formats)));
        if self.rtp.ip() != origin.address {
            line(out, format_args!("c=IN {} {}", family(self.rtp.ip()), ip_text(self.rtp.ip())));
        }
        for format in self.formats.iter().filter(|format| !format.name.is_empty()) {
            let PayloadType { number, .. } = format;
            line(out, format_args!("a=rtpmap:{number} {}", Encoding(format)));
            if let Some(parameters) = &format.fmtp {
                line(out, format_args!("a=fmtp:{number} {parameters}"));
            }
        }
        if let Some(ms) = self.ptime_ms {
            line(out, format_args!("a=ptime:{ms}"));
        }
        line(out, format_args!("a={}", self.direction.as_str()));
    }
}

/// The lines before the streams.
fn head(origin: &Origin) -> String {
    let Origin { session_id, version, address } = origin;
    let (family, address) = (family(*address), ip_text(*address));
    format!(
        "v=0\r\no=switch {session_id} {version} IN {family} {address}\r\ns=-\r\n\
         c=IN {family} {address}\r\nt=0 0\r\n"
    )
}

/// A refused stream: port 0, the rest as offered (RFC 3264 section 6).
fn refuse(out: &mut String, stream: &Stream) {
    let kind = match &stream.kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::Image => "image",
        MediaKind::Other(kind) => kind,
    };
    line(out, format_args!("m={kind} 0 {} {}", stream.proto, stream.formats.join(" ")));
}

fn line(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = write!(out, "{text}\r\n");
}

/// The payload type numbers at the end of an `m=` line.
struct Numbers<'a>(&'a [PayloadType]);

impl Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|format| write!(f, " {}", format.number))
    }
}

/// `PCMA/8000`, as in `a=rtpmap`; with the channels only if there is more than one.
pub(super) struct Encoding<'a>(pub(super) &'a PayloadType);

impl Display for Encoding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PayloadType { name, clock_hz, channels, .. } = self.0;
        write!(f, "{name}/{clock_hz}")?;
        if *channels > 1 { write!(f, "/{channels}") } else { Ok(()) }
    }
}
