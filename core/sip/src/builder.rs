//! Writing messages.

use crate::header_name::Known;
use crate::message::Message;
use crate::method::Method;
use crate::params::Parts;
use std::fmt::{Display, Write as _};

/// Writes one message, header by header, in the order of the calls.
///
/// Line breaks in the values become spaces, so that text from a peer cannot add a header line.
#[derive(Clone, Debug)]
pub struct MessageBuilder {
    head: String,
    /// End of the To value copied from a request, until its tag is added.
    to_end: Option<usize>,
    body: Vec<u8>,
}

impl MessageBuilder {
    /// Begins a request.
    pub fn request(method: &Method, uri: &str) -> MessageBuilder {
        let mut builder = MessageBuilder::empty();
        builder.line(&[method.as_str(), " ", uri, " SIP/2.0"]);
        builder
    }

    /// Begins the response to `request`: copies Via (with `received` and `rport`, if the
    /// source is known), From, To, Call-ID and CSeq, for a 100 also Timestamp
    /// (RFC 3261 8.2.6), and Record-Route where the response can create a dialog (12.1.1).
    pub fn response_to(request: &Message, status: u16, reason: &str) -> MessageBuilder {
        let mut builder = MessageBuilder::raw_response(status, reason);
        let creates_dialog = (101..300).contains(&status)
            && matches!(request.method(), Method::Invite | Method::Subscribe | Method::Refer)
            && request.to_tag().is_none();
        let mut top = true;
        let mut copied = [false; 4];
        let [from, to, call_id, cseq] = &mut copied;
        for (known, value) in request.known_lines() {
            let once = match known {
                Known::Via if top => {
                    top = false;
                    builder.top_via(request, value);
                    continue;
                }
                Known::Via => {
                    builder.indexed("Via", value);
                    continue;
                }
                Known::Timestamp if status == 100 => {
                    builder.indexed("Timestamp", value);
                    continue;
                }
                Known::RecordRoute if creates_dialog => {
                    builder.indexed("Record-Route", value);
                    continue;
                }
                Known::From => &mut *from,
                Known::To => &mut *to,
                Known::CallId => &mut *call_id,
                Known::CSeq => &mut *cseq,
                _ => continue,
            };
            // Copies only the first of repeated lines.
            if !std::mem::replace(once, true) {
                builder.indexed(known.name(), value);
                if known == Known::To && request.to_tag().is_none() {
                    builder.to_end = Some(builder.head.len() - 2);
                }
            }
        }
        builder
    }

    fn top_via(&mut self, request: &Message, line: &str) {
        let mut values = Parts::new(line, b',');
        let top = values.next().unwrap_or_default();
        match request.source() {
            Some(source) => {
                self.head.push_str("Via: ");
                request.top_via().write_stamped(&mut self.head, top, source);
                self.head.push_str("\r\n");
            }
            None => self.indexed("Via", top),
        }
        for value in values {
            self.indexed("Via", value);
        }
    }

    /// Adds a line with a value from an indexed message, which contains no line break.
    fn indexed(&mut self, name: &str, value: &str) {
        self.head.extend([name, ": ", value, "\r\n"]);
    }

    /// Begins a response of raw header lines, for requests that cannot be parsed.
    pub(crate) fn raw_response(status: u16, reason: &str) -> MessageBuilder {
        let mut builder = MessageBuilder::empty();
        builder.line(&["SIP/2.0 ", itoa::Buffer::new().format(status), " ", reason]);
        builder
    }

    fn empty() -> MessageBuilder {
        MessageBuilder { head: String::with_capacity(768), to_end: None, body: Vec::new() }
    }

    /// Adds a header line. Content-Length is added by [`MessageBuilder::finish`].
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Display) -> MessageBuilder {
        let start = self.head.len();
        // Writing into a String cannot fail.
        let _ = write!(self.head, "{name}: {value}");
        self.end_line(start);
        self
    }

    /// Adds a header line whose value is `parts` concatenated; faster than formatting them.
    #[must_use]
    pub fn header_of(mut self, name: &str, parts: &[&str]) -> MessageBuilder {
        let start = self.head.len();
        self.head.extend([name, ": "]);
        self.head.extend(parts.iter().copied());
        self.end_line(start);
        self
    }

    /// Adds our tag to the copied To. Does nothing on a request or if To already has a tag.
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> MessageBuilder {
        if let Some(at) = self.to_end.take() {
            self.head.insert_str(at, tag);
            self.head.insert_str(at, ";tag=");
        }
        self
    }

    /// Adds Content-Type and the body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> MessageBuilder {
        self.copy("Content-Type", content_type);
        self.body = body.to_vec();
        self
    }

    /// The finished message, with Content-Length.
    pub fn finish(mut self) -> Vec<u8> {
        self.line(&["Content-Length: ", itoa::Buffer::new().format(self.body.len())]);
        self.head.push_str("\r\n");
        let mut bytes = self.head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Adds a line with a value that needs no formatting.
    fn copy(&mut self, name: &str, value: &str) {
        self.line(&[name, ": ", value]);
    }

    fn line(&mut self, parts: &[&str]) {
        let start = self.head.len();
        self.head.extend(parts.iter().copied());
        self.end_line(start);
    }

    /// Ends the line that began at `start`; line breaks inside it become spaces.
    fn end_line(&mut self, start: usize) {
        if memchr::memchr2(b'\r', b'\n', &self.head.as_bytes()[start..]).is_some() {
            let line = self.head.split_off(start);
            self.head.extend(line.chars().map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c }));
        }
        self.head.push_str("\r\n");
    }
}
