//! One media stream: an `m=` line with the attributes that matter to a relay.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The medium of an `m=` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// `audio`.
    Audio,
    /// `video`.
    Video,
    /// `image`: T.38 fax.
    Image,
    /// `application`, `text`, `message` and anything else.
    Other(String),
}

/// The direction of a stream (RFC 8866 6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Both; the default.
    #[default]
    SendRecv,
    /// The describer only sends: it holds the other side.
    SendOnly,
    /// The describer only receives.
    RecvOnly,
    /// Neither side sends.
    Inactive,
}

impl Direction {
    /// The attribute's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The same stream seen from the other side: the widest direction that an answer may give.
    #[must_use]
    pub fn reversed(self) -> Direction {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            same => same,
        }
    }

    fn from_attribute(name: &str) -> Option<Direction> {
        let all =
            [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        all.into_iter().find(|direction| direction.as_str() == name)
    }
}

/// One RTP payload type (RFC 3551 6, `a=rtpmap`, `a=fmtp`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadType {
    /// 0-127.
    pub number: u8,
    /// Encoding name as written, `PCMA`; empty for a dynamic type without `a=rtpmap`.
    pub name: CompactString,
    /// RTP clock, Hz; 0 if unknown.
    pub clock_hz: u32,
    /// Audio channels.
    pub channels: u8,
    /// Parameters of `a=fmtp`.
    pub fmtp: Option<CompactString>,
}

/// A media stream as its side describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Audio, video...
    pub kind: MediaKind,
    /// Where the describer receives RTP; 0 refuses the stream (RFC 3264 6).
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, `udptl`...
    pub proto: CompactString,
    /// Formats in order of preference, as written.
    pub formats: Vec<CompactString>,
    /// The formats that are payload types, in order, with their names.
    pub payload_types: Vec<PayloadType>,
    /// Address of the stream's `c=` line, else the session's; `None` if there is neither, or if it
    /// is a host name.
    pub connection: Option<IpAddr>,
    /// Port of `a=rtcp` (RFC 3605).
    pub rtcp_port: Option<u16>,
    /// Address of `a=rtcp`, if it gives one.
    pub rtcp_connection: Option<IpAddr>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
    /// The stream's direction, else the session's.
    pub direction: Direction,
    /// `a=ptime`, ms.
    pub ptime_ms: Option<u32>,
    /// Whether the stream has its own `c=` line.
    pub(super) own_connection: bool,
}

impl Stream {
    /// The values that the lines before the first `m=` set for all streams.
    pub(super) fn session_level() -> Stream {
        Stream {
            kind: MediaKind::Other(String::new()),
            port: 0,
            proto: CompactString::default(),
            formats: Vec::new(),
            payload_types: Vec::new(),
            connection: None,
            rtcp_port: None,
            rtcp_connection: None,
            rtcp_mux: false,
            direction: Direction::SendRecv,
            ptime_ms: None,
            own_connection: false,
        }
    }

    /// A stream of this session from the value of its `m=` line.
    pub(super) fn media(&self, value: &str) -> Result<Stream, &'static str> {
        let mut fields = value.split_ascii_whitespace();
        let kind = match fields.next().ok_or("names no medium")? {
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            "image" => MediaKind::Image,
            other => MediaKind::Other(other.to_owned()),
        };
        let port = fields.next().ok_or("has no port")?;
        let port = port.split('/').next().unwrap_or(port);
        let port = port.parse().map_err(|_| "has a port outside 0-65535")?;
        let proto = CompactString::new(fields.next().ok_or("has no transport")?);
        let formats: Vec<CompactString> = fields.map(CompactString::new).collect();
        let payload_types = if proto.contains("RTP/") {
            let numbers = formats.iter().filter_map(|format| format.parse().ok());
            numbers.filter(|&number| number < 128).map(PayloadType::unnamed).collect()
        } else {
            Vec::new()
        };
        Ok(Stream {
            kind,
            port,
            proto,
            formats,
            payload_types,
            own_connection: false,
            ..self.clone()
        })
    }

    /// Applies a line of the stream (or, before the first stream, of the session).
    pub(super) fn absorb(&mut self, letter: u8, value: &str) {
        match letter {
            b'c' => {
                self.connection = connection(value);
                self.own_connection = true;
            }
            b'a' => self.absorb_attribute(value.trim_end()),
            _ => {}
        }
    }

    fn absorb_attribute(&mut self, value: &str) {
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        match name {
            "rtcp" => {
                let (port, address) = value.split_once(' ').unwrap_or((value, ""));
                self.rtcp_port = port.parse().ok();
                self.rtcp_connection = connection(address);
            }
            "rtcp-mux" => self.rtcp_mux = true,
            "ptime" => self.ptime_ms = value.trim().parse().ok(),
            "rtpmap" => self.absorb_rtpmap(value),
            "fmtp" => {
                if let Some((number, parameters)) = value.split_once(' ') {
                    self.with_payload_type(number, |payload_type| {
                        payload_type.fmtp = Some(parameters.into());
                    });
                }
            }
            _ => {
                if let Some(direction) = Direction::from_attribute(name) {
                    self.direction = direction;
                }
            }
        }
    }

    /// `96 opus/48000/2`.
    fn absorb_rtpmap(&mut self, value: &str) {
        let Some((number, encoding)) = value.split_once(' ') else { return };
        let mut fields = encoding.trim().split('/');
        let name = fields.next().unwrap_or_default().into();
        let clock_hz = fields.next().and_then(|clock| clock.parse().ok()).unwrap_or(0);
        let channels = fields.next().and_then(|count| count.parse().ok()).unwrap_or(1);
        self.with_payload_type(number, |payload_type| {
            payload_type.name = name;
            (payload_type.clock_hz, payload_type.channels) = (clock_hz, channels);
        });
    }

    fn with_payload_type(&mut self, number: &str, change: impl FnOnce(&mut PayloadType)) {
        let number: Option<u8> = number.trim().parse().ok();
        let found = self.payload_types.iter_mut().find(|found| Some(found.number) == number);
        if let Some(payload_type) = found {
            change(payload_type);
        }
    }

    /// Names the static payload types that have no `a=rtpmap`.
    pub(super) fn add_static_names(&mut self) {
        for payload_type in self.payload_types.iter_mut().filter(|found| found.name.is_empty()) {
            let known = STATIC_TYPES.iter().find(|known| known.0 == payload_type.number);
            if let Some(&(_, name, clock_hz, channels)) = known {
                payload_type.name = name.into();
                (payload_type.clock_hz, payload_type.channels) = (clock_hz, channels);
            }
        }
    }

    /// Where the describer receives RTP; `None` if the stream is refused or has no
    /// address. On hold by `c=0.0.0.0` the address is unspecified.
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        (self.port != 0).then_some(())?;
        Some(SocketAddr::new(self.connection?, self.port))
    }

    /// Where it receives RTCP: the RTP address if muxed, else `a=rtcp`, else port + 1.
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_address()?;
        if self.rtcp_mux {
            return Some(rtp);
        }
        let port = self.rtcp_port.unwrap_or(rtp.port().checked_add(1)?);
        Some(SocketAddr::new(self.rtcp_connection.unwrap_or(rtp.ip()), port))
    }

    /// The describer does not want to hear us: `sendonly`, `inactive`, or the old
    /// `c=0.0.0.0` (RFC 3264 8.4).
    pub fn is_held(&self) -> bool {
        matches!(self.direction, Direction::SendOnly | Direction::Inactive)
            || self.connection.is_some_and(|address| address.is_unspecified())
    }
}

impl PayloadType {
    fn unnamed(number: u8) -> PayloadType {
        PayloadType { number, name: CompactString::default(), clock_hz: 0, channels: 1, fmtp: None }
    }
}

/// Address of `IN IP4 192.0.2.1[/ttl]`; `None` for a host name. Brackets around an IPv6 address
/// belong in URIs, but are accepted here too.
fn connection(value: &str) -> Option<IpAddr> {
    let address = value.split_ascii_whitespace().nth(2)?;
    let address = address.split('/').next()?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.map_or_else(|| address.parse(), |v6| v6.parse().map(IpAddr::V6)).ok()
}

/// RFC 3551 tables 4 and 5: number, name, clock, channels.
const STATIC_TYPES: &[(u8, &str, u32, u8)] = &[
    (0, "PCMU", 8000, 1),
    (3, "GSM", 8000, 1),
    (4, "G723", 8000, 1),
    (5, "DVI4", 8000, 1),
    (6, "DVI4", 16000, 1),
    (7, "LPC", 8000, 1),
    (8, "PCMA", 8000, 1),
    (9, "G722", 8000, 1),
    (10, "L16", 44100, 2),
    (11, "L16", 44100, 1),
    (12, "QCELP", 8000, 1),
    (13, "CN", 8000, 1),
    (14, "MPA", 90000, 1),
    (15, "G728", 8000, 1),
    (16, "DVI4", 11025, 1),
    (17, "DVI4", 22050, 1),
    (18, "G729", 8000, 1),
    (25, "CelB", 90000, 1),
    (26, "JPEG", 90000, 1),
    (28, "nv", 90000, 1),
    (31, "H261", 90000, 1),
    (32, "MPV", 90000, 1),
    (33, "MP2T", 90000, 1),
    (34, "H263", 90000, 1),
];
