//! Writing our addresses into a peer's description.

use super::describe::Encoding;
use super::private;
use super::{PayloadType, SdpLine, SessionDescription, Stream, family, text};
use crate::ip_text;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Our identity in a description that we send on (SIG-04).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Session id of our leg: constant for the life of the dialog.
    pub session_id: u64,
    /// Increases by one with each changed description that we send (RFC 3264 8).
    pub version: u64,
    /// Our media address.
    pub address: IpAddr,
}

/// How to treat one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamPlan {
    /// The other side sends to the relay.
    Relay {
        /// Where the relay receives RTP.
        rtp: SocketAddr,
        /// Where it receives RTCP. `a=rtcp` is written unless this is RTP's port + 1 and
        /// the description had none.
        rtcp: SocketAddr,
    },
    /// Port 0.
    Refuse,
}

impl StreamPlan {
    /// RTCP on the next port, or on the same if the port is 65535.
    pub fn relay(rtp: SocketAddr) -> StreamPlan {
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
        StreamPlan::Relay { rtp, rtcp }
    }
}

impl SessionDescription {
    /// The description with our addresses. `plans` follows the order of the streams; streams beyond
    /// its end are refused.
    ///
    /// Rewritten: `o=`, `s=` (to `-`), `c=` unless it signals hold (`0.0.0.0`), the port of `m=`,
    /// `a=rtcp`. Dropped: ICE attributes, which would lead media around the relay, and lines that
    /// reveal who or where the describer is (SIG-04): `i=`, `u=`, `e=`, `p=`, unknown letters,
    /// attributes that name an address or a program. All other lines stay byte for byte.
    pub fn rewrite(&self, origin: &Origin, plans: &[StreamPlan]) -> Vec<u8> {
        self.rewrite_with(origin, plans, &[])
    }

    /// The description with our addresses; relayed streams also get the formats of `added` after
    /// their own.
    fn rewrite_with(
        &self,
        origin: &Origin,
        plans: &[StreamPlan],
        added: &[PayloadType],
    ) -> Vec<u8> {
        let first_media = self.media_lines.first().copied().unwrap_or(self.lines.len());
        let mut out = Vec::with_capacity(self.bytes.len() + 64);
        let mut start = 0;
        for line in &self.lines[..first_media] {
            let value = text(&self.bytes, line);
            match line.letter {
                b'o' => self.origin(&mut out, line, origin),
                b's' => self.replace(&mut out, line, &["s=-"]),
                b'c' => self.connection(&mut out, line, start, origin.address),
                letter if private::tells(letter, value) => {}
                _ => out.extend_from_slice(&self.bytes[start..line.end]),
            }
            start = line.end;
        }
        for (index, stream) in self.streams.iter().enumerate() {
            let end = self.media_lines.get(index + 1).copied().unwrap_or(self.lines.len());
            let plan = plans.get(index).copied().unwrap_or(StreamPlan::Refuse);
            let lines = self.media_lines[index]..end;
            self.rewrite_stream(&mut out, lines, stream, plan, (origin, added));
        }
        out
    }

    /// The description for media that bypass us: addresses and ports of its streams stay; its
    /// author is hidden as in [`SessionDescription::rewrite`].
    pub fn conceal(&self, origin: &Origin) -> Vec<u8> {
        let first_media = self.media_lines.first().copied().unwrap_or(self.lines.len());
        let mut out = Vec::with_capacity(self.bytes.len() + 64);
        let mut start = 0;
        for (index, line) in self.lines.iter().enumerate() {
            let value = text(&self.bytes, line);
            match line.letter {
                b'o' if index < first_media => self.origin(&mut out, line, origin),
                b's' if index < first_media => self.replace(&mut out, line, &["s=-"]),
                b'a' if value.starts_with("rtcp:") => {
                    out.extend_from_slice(&self.bytes[start..line.end]);
                }
                letter if private::tells(letter, value) => {}
                _ => out.extend_from_slice(&self.bytes[start..line.end]),
            }
            start = line.end;
        }
        out
    }

    /// The description with its first audio stream directed to `rtp` (RTCP on the next port) and
    /// all other streams refused.
    pub fn rewrite_first_audio(&self, origin: &Origin, rtp: SocketAddr) -> Vec<u8> {
        self.extend_first_audio(origin, rtp, &[])
    }

    /// As [`SessionDescription::rewrite_first_audio`], with the formats of `added` after those of
    /// the stream (MEDIA-23).
    pub fn extend_first_audio(
        &self,
        origin: &Origin,
        rtp: SocketAddr,
        added: &[PayloadType],
    ) -> Vec<u8> {
        let audio = self.first_audio().map(|(index, _)| index);
        let plan =
            |index| if Some(index) == audio { StreamPlan::relay(rtp) } else { StreamPlan::Refuse };
        let plans: Vec<StreamPlan> = (0..self.streams.len()).map(plan).collect();
        self.rewrite_with(origin, &plans, added)
    }

    fn rewrite_stream(
        &self,
        out: &mut Vec<u8>,
        lines: Range<usize>,
        stream: &Stream,
        plan: StreamPlan,
        (origin, added): (&Origin, &[PayloadType]),
    ) {
        // A stream that is already refused stays refused.
        let relay = match plan {
            StreamPlan::Relay { rtp, rtcp } if stream.port != 0 => Some((rtp, rtcp)),
            _ => None,
        };
        let address = relay.map_or(origin.address, |(rtp, _)| rtp.ip());
        let held = stream.connection.is_some_and(|address| address.is_unspecified());
        let mut needs_connection = relay.is_some()
            && !stream.own_connection
            && !held
            && (address != origin.address || stream.connection.is_none() && !self.has_connection());
        let mut needs_rtcp = relay
            .filter(|_| stream.rtcp_port.is_none() && !stream.rtcp_mux)
            .filter(|(rtp, rtcp)| {
                rtp.ip() != rtcp.ip() || rtp.port().checked_add(1) != Some(rtcp.port())
            });
        let mut start = self.lines[lines.start].value.start - 2;
        for line in &self.lines[lines] {
            let value = text(&self.bytes, line);
            // The order of lines is m, i, c, b, k, a (RFC 8866 5).
            if needs_connection && !matches!(line.letter, b'm' | b'i') {
                needs_connection = false;
                self.add(out, &["c=IN ", family(address), " ", &ip_text(address)]);
            }
            match line.letter {
                b'm' => {
                    let port = relay.map_or(0, |(rtp, _)| rtp.port());
                    let mut digits = itoa::Buffer::new();
                    let (before, after) = around_port(value);
                    let added = added.iter().filter(|_| relay.is_some());
                    let numbers: String = added.map(|added| format!(" {}", added.number)).collect();
                    let after = if numbers.is_empty() { after } else { after.trim_end() };
                    self.replace(out, line, &["m=", before, digits.format(port), after, &numbers]);
                }
                b'c' => self.connection(out, line, start, address),
                b'a' if value.starts_with("rtcp:") => {
                    if let Some((_, rtcp)) = relay {
                        self.replace(out, line, &["a=", &rtcp_attribute(rtcp)]);
                    }
                }
                letter if private::tells(letter, value) => {}
                _ => out.extend_from_slice(&self.bytes[start..line.end]),
            }
            start = line.end;
        }
        if needs_connection {
            self.add(out, &["c=IN ", family(address), " ", &ip_text(address)]);
        }
        for format in added.iter().filter(|_| relay.is_some()) {
            self.add(out, &["a=", &format!("rtpmap:{} {}", format.number, Encoding(format))]);
        }
        if let Some((_, rtcp)) = needs_rtcp.take() {
            self.add(out, &["a=", &rtcp_attribute(rtcp)]);
        }
    }

    fn origin(&self, out: &mut Vec<u8>, line: &SdpLine, origin: &Origin) {
        let Origin { session_id, version, address } = origin;
        let (mut id, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (id, count) = (id.format(*session_id), count.format(*version));
        let (family, address) = (family(*address), ip_text(*address));
        // `-` is also a valid user name (RFC 8866 section 5.2), but some clients look for letters.
        self.replace(out, line, &["o=switch ", id, " ", count, " IN ", family, " ", &address]);
    }

    fn has_connection(&self) -> bool {
        let first_media = self.media_lines.first().copied().unwrap_or(self.lines.len());
        self.lines[..first_media].iter().any(|line| line.letter == b'c')
    }

    /// A `c=` line with our address; a line that signals hold is kept, or the hold would end.
    fn connection(&self, out: &mut Vec<u8>, line: &SdpLine, start: usize, address: IpAddr) {
        let value = text(&self.bytes, line);
        let held = value.split_ascii_whitespace().nth(2).is_some_and(|host| {
            host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
        });
        if held {
            out.extend_from_slice(&self.bytes[start..line.end]);
        } else {
            self.replace(out, line, &["c=IN ", family(address), " ", &ip_text(address)]);
        }
    }

    /// Writes another `letter=value`, given in parts, with the line break of `line`.
    fn replace(&self, out: &mut Vec<u8>, line: &SdpLine, parts: &[&str]) {
        self.add_open(out, parts);
        out.extend_from_slice(&self.bytes[line.value.end..line.end]);
    }

    fn add(&self, out: &mut Vec<u8>, parts: &[&str]) {
        self.add_open(out, parts);
        out.extend_from_slice(b"\r\n");
    }

    /// Begins a line; first ends the previous one if it came without its line break.
    fn add_open(&self, out: &mut Vec<u8>, parts: &[&str]) {
        if out.last().is_some_and(|&last| last != b'\n') {
            out.extend_from_slice(b"\r\n");
        }
        parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    }
}

fn rtcp_attribute(rtcp: SocketAddr) -> String {
    format!("rtcp:{} IN {} {}", rtcp.port(), family(rtcp.ip()), rtcp.ip())
}

/// `audio ` and ` RTP/AVP 0` of `audio 49170/2 RTP/AVP 0`.
fn around_port(value: &str) -> (&str, &str) {
    let old = value.split_ascii_whitespace().nth(1).unwrap_or_default();
    let start = (old.as_ptr() as usize).saturating_sub(value.as_ptr() as usize);
    let (before, rest) = value.split_at_checked(start).unwrap_or((value, ""));
    (before, rest.get(old.len()..).unwrap_or_default())
}
