//! A message: its bytes, the index of its lines, and the values that the switch reads from it.

use crate::error::ParseError;
use crate::flow::Link;
use crate::framer::MAX_STREAM_MESSAGE;
use crate::header_name::{Known, Shape};
use crate::method::Method;
use crate::name_addr::NameAddrRef;
use crate::params::{Parts, split_once, trim};
use crate::scan::{self, Line, MAX_DATAGRAM, Scan, Span};
use crate::via::{ViaRef, ViaSpans};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::SocketAddr;

/// A SIP message that owns its bytes. Header lines are indexed in one pass; values are decoded on
/// demand.
#[derive(Clone, Debug)]
pub struct Message {
    /// Start line and header lines, including the empty line.
    head: String,
    start: StartLine,
    method: Method,
    cseq: u32,
    lines: Vec<Line>,
    body: Vec<u8>,
    /// The first Via value.
    via: ViaSpans,
    call_id: Span,
    from: NameAddrSpans,
    to: NameAddrSpans,
    source: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
enum StartLine {
    Request { uri: Span, version: Span },
    Response { status: u16, reason: Span },
}

/// Positions of the parts of From or To; an empty tag means no tag.
#[derive(Clone, Copy, Debug, Default)]
struct NameAddrSpans {
    display: Span,
    uri: Span,
    params: Span,
    tag: Span,
}

impl Message {
    /// Indexes one datagram.
    ///
    /// Bytes after the body that Content-Length announces are dropped; without
    /// Content-Length the body is the rest of the datagram (RFC 3261 18.3).
    ///
    /// # Errors
    /// The message is unusable: bad framing or start line, a missing or unreadable Via, From, To,
    /// Call-ID or CSeq, or a Content-Length beyond the datagram. [`Message::validate_request`]
    /// makes the finer checks of a request.
    pub fn parse(datagram: &[u8]) -> Result<Message, ParseError> {
        Message::parse_on(Link::Datagram, datagram)
    }

    /// [`Message::parse`] for a message from `link`: over a stream it may be longer (SIG-13).
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn parse_on(link: Link, message: &[u8]) -> Result<Message, ParseError> {
        let most = match link {
            Link::Datagram => MAX_DATAGRAM,
            Link::Stream => MAX_STREAM_MESSAGE,
        };
        let mut bytes = scan::trim_start(message, most)?.to_vec();
        let Scan { start_line, lines, body } = scan::scan(&mut bytes)?;
        let mut body = bytes.split_off(body);
        // The scan has replaced every byte that is not UTF-8.
        let head = String::from_utf8(bytes).map_err(|_| ParseError::Truncated)?;
        let (start, request_method) = parse_start_line(&head, start_line)?;
        let find = |known: Known| {
            let line = lines.iter().find(|line| line.known == known);
            line.map(|line| line.value).ok_or(ParseError::Missing { header: known.name() })
        };
        let via = find(Known::Via)?.text(&head);
        let top = Parts::new(via, b',').next().unwrap_or_default();
        let via = ViaRef::parse(top).map_err(|problem| bad(Known::Via, problem))?;
        let via = ViaSpans::of(&head, via);
        let from = name_addr_spans(&head, find(Known::From)?, Known::From)?;
        let to = name_addr_spans(&head, find(Known::To)?, Known::To)?;
        let call_id = find(Known::CallId)?;
        if call_id.range().is_empty() {
            return Err(bad(Known::CallId, "is empty"));
        }
        let (cseq, cseq_method) = parse_cseq(find(Known::CSeq)?.text(&head))?;
        let method = match request_method {
            Some(method) if method != cseq_method => {
                return Err(ParseError::MethodMismatch {
                    request: method.to_string(),
                    cseq: cseq_method.to_string(),
                });
            }
            _ => cseq_method,
        };
        if let Ok(announced) = find(Known::ContentLength) {
            let announced = parse_content_length(announced.text(&head))?;
            if announced > body.len() {
                return Err(ParseError::BodyTooShort { announced, present: body.len() });
            }
            body.truncate(announced);
        }
        let source = None;
        Ok(Message { head, start, method, cseq, lines, body, via, call_id, from, to, source })
    }

    /// The message as indexed: without leading line breaks and trailing bytes, unfolded.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }

    /// Request or response.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// Method of the request line; of a response, that of CSeq.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Request-URI as written; empty for a response.
    pub fn uri(&self) -> &str {
        match self.start {
            StartLine::Request { uri, .. } => uri.text(&self.head),
            StartLine::Response { .. } => "",
        }
    }

    /// SIP version of a request line, `SIP/2.0` for a response.
    pub(crate) fn version(&self) -> &str {
        match self.start {
            StartLine::Request { version, .. } => version.text(&self.head),
            StartLine::Response { .. } => "SIP/2.0",
        }
    }

    /// Status code 100-699; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.start {
            StartLine::Request { .. } => 0,
            StartLine::Response { status, .. } => status,
        }
    }

    /// Reason phrase; may be empty, and is empty for a request.
    pub fn reason_phrase(&self) -> &str {
        match self.start {
            StartLine::Request { .. } => "",
            StartLine::Response { reason, .. } => reason.text(&self.head),
        }
    }

    /// Value of the first line called `name` (long form, any case), unfolded and trimmed.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.lines_of(Known::of(name.as_bytes()), name).next()
    }

    /// Every value of `name` in order: the values of comma lists one by one for the
    /// headers that are lists (Via, Contact, Route, Allow, Require...), else one per line.
    pub fn headers<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.values_of(Known::of(name.as_bytes()), name)
    }

    /// [`Message::header`] for a name that needs no lookup.
    pub(crate) fn value(&self, known: Known) -> Option<&str> {
        self.lines_of(known, "").next()
    }

    /// [`Message::headers`] for a name that needs no lookup.
    pub(crate) fn values(&self, known: Known) -> impl Iterator<Item = &str> {
        self.values_of(known, "")
    }

    fn values_of<'a, 'n>(
        &'a self,
        known: Known,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let separator = match known.shape() {
            Shape::List => b',',
            // No header value contains a line feed: the line is one part.
            Shape::Single | Shape::Lines => b'\n',
        };
        self.lines_of(known, name)
            .flat_map(move |value| Parts::new(value, separator))
            .filter(|value| !value.is_empty())
    }

    /// Values of the lines of one kind; `name` distinguishes unknown headers.
    fn lines_of<'a, 'n>(
        &'a self,
        known: Known,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let matches = move |line: &Line| {
            line.known == known
                && (known != Known::Other || line.name.text(&self.head).eq_ignore_ascii_case(name))
        };
        self.lines.iter().filter(move |line| matches(line)).map(|line| line.value.text(&self.head))
    }

    /// Every header line in order: name as sent, value unfolded.
    pub fn header_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|line| (line.name.text(&self.head), line.value.text(&self.head)))
    }

    /// Lines in order with their classified names.
    pub(crate) fn known_lines(&self) -> impl Iterator<Item = (Known, &str)> {
        self.lines.iter().map(|line| (line.known, line.value.text(&self.head)))
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        self.call_id.text(&self.head)
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> (u32, &Method) {
        (self.cseq, &self.method)
    }

    /// The first Via value.
    // Inlined, so that a caller that reads one part does not pay for the others.
    #[inline(always)]
    pub fn top_via(&self) -> ViaRef<'_> {
        self.via.via(&self.head)
    }

    /// From.
    pub fn from(&self) -> NameAddrRef<'_> {
        self.name_addr(self.from)
    }

    /// To.
    pub fn to(&self) -> NameAddrRef<'_> {
        self.name_addr(self.to)
    }

    fn name_addr(&self, spans: NameAddrSpans) -> NameAddrRef<'_> {
        NameAddrRef {
            display: spans.display.text(&self.head),
            uri: spans.uri.text(&self.head),
            params: spans.params.text(&self.head),
        }
    }

    /// Tag of From; absent only in requests of RFC 2543 elements.
    pub fn from_tag(&self) -> Option<&str> {
        Some(self.from.tag.text(&self.head)).filter(|tag| !tag.is_empty())
    }

    /// Tag of To; absent in requests outside a dialog.
    pub fn to_tag(&self) -> Option<&str> {
        Some(self.to.tag.text(&self.head)).filter(|tag| !tag.is_empty())
    }

    /// The first Contact value that can be read.
    pub fn contact(&self) -> Option<NameAddrRef<'_>> {
        self.values(Known::Contact).find_map(|value| NameAddrRef::parse(value).ok())
    }

    /// Max-Forwards, if present and a number.
    pub fn max_forwards(&self) -> Option<u32> {
        self.value(Known::MaxForwards)?.parse().ok()
    }

    /// Remembers where the datagram came from; [`crate::MessageBuilder::response_to`] then
    /// writes `received` and `rport` into the top Via (RFC 3261 18.2.1, RFC 3581).
    pub fn set_source(&mut self, source: SocketAddr) {
        self.source = Some(source);
    }

    /// The source, once [`Message::set_source`] was called.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// Where the response to this request goes (RFC 3261 18.2.2, RFC 3581 4). `None` only
    /// if the source is unknown and the top Via names a host instead of an address.
    pub fn response_address(&self) -> Option<SocketAddr> {
        let via = self.top_via();
        match self.source {
            Some(source) if via.wants_rport() => Some(source),
            Some(source) => Some(SocketAddr::new(source.ip(), via.port().unwrap_or(5060))),
            None => via.response_address(),
        }
    }
}

fn bad(header: Known, problem: impl Into<String>) -> ParseError {
    ParseError::Header { header: header.name(), problem: problem.into() }
}

fn parse_start_line(head: &str, line: Span) -> Result<(StartLine, Option<Method>), ParseError> {
    let refuse = |problem| Err(ParseError::StartLine { problem });
    let text = line.text(head);
    let is_status_line = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
    if is_status_line {
        let (version, rest) = split_once(text, b' ').unwrap_or((text, ""));
        if !version.eq_ignore_ascii_case("SIP/2.0") {
            return refuse("SIP version of the response is not 2.0");
        }
        let (code, reason) = split_once(rest, b' ').unwrap_or((rest, ""));
        let digits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        return match code.parse() {
            Ok(status @ 100..=699) if digits => {
                Ok((StartLine::Response { status, reason: Span::of(head, reason) }, None))
            }
            _ => refuse("status code is not in 100-699"),
        };
    }
    let (Some((method, _)), Some((_, version))) = (split_once(text, b' '), text.rsplit_once(' '))
    else {
        return refuse("not `method URI SIP/2.0`");
    };
    let Some(method) = Method::parse(method.as_bytes()) else {
        return refuse("malformed method");
    };
    if version.is_empty() {
        return refuse("space after the SIP version");
    }
    let version_ok = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
        && version.len() > 4
        && version.bytes().skip(4).all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !version_ok {
        return refuse("no SIP version at its end");
    }
    let between = method.as_str().len() + 1..text.len() - version.len() - 1;
    let uri = match text.get(between) {
        Some(uri) if !uri.is_empty() => uri,
        _ => return refuse("no Request-URI"),
    };
    if uri.starts_with([' ', '\t']) || uri.ends_with([' ', '\t']) {
        return refuse("more than one space around the Request-URI");
    }
    if uri.bytes().any(|byte| matches!(byte, b' ' | b'\t')) {
        return refuse("white space inside the Request-URI");
    }
    if uri.starts_with('<') {
        return refuse("Request-URI in angle brackets");
    }
    let (uri, version) = (Span::of(head, uri), Span::of(head, version));
    Ok((StartLine::Request { uri, version }, Some(method)))
}

fn name_addr_spans(head: &str, value: Span, header: Known) -> Result<NameAddrSpans, ParseError> {
    let text = value.text(head);
    let parsed = NameAddrRef::parse(text).map_err(|problem| bad(header, problem))?;
    // An empty tag is no tag, yet occupies its place (RFC 3261 25.1).
    if parsed.param("tag").is_some_and(str::is_empty) {
        return Err(bad(header, "has an empty tag"));
    }
    let part = |part: &str| Span::of(head, part);
    Ok(NameAddrSpans {
        display: part(parsed.display),
        uri: part(parsed.uri),
        params: part(parsed.params),
        tag: part(parsed.tag().unwrap_or_default()),
    })
}

fn parse_cseq(value: &str) -> Result<(u32, Method), ParseError> {
    let malformed = || bad(Known::CSeq, "is not `number method`");
    let gap = value.bytes().position(|byte| matches!(byte, b' ' | b'\t')).ok_or_else(malformed)?;
    let (number, method) = (&value[..gap], &value[gap + 1..]);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let number = number.parse().map_err(|_| bad(Known::CSeq, "number is not below 2^31"))?;
    let method = Method::parse(trim(method).as_bytes()).ok_or_else(malformed)?;
    Ok((number, method))
}

fn parse_content_length(value: &str) -> Result<usize, ParseError> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad(Known::ContentLength, "is not a number"));
    }
    value.parse().map_err(|_| bad(Known::ContentLength, "is out of range"))
}

/// Written as its bytes and its source; indexed again when read.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.to_bytes(), self.source).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Message, D::Error> {
        let (bytes, source) = <(Vec<u8>, Option<SocketAddr>)>::deserialize(from)?;
        let message = Message::parse_on(Link::Stream, &bytes).map_err(D::Error::custom)?;
        Ok(Message { source, ..message })
    }
}
