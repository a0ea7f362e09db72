//! The semantic checks of a parsed message (RFC 3261 8.1.3 and 8.2, RFC 4475).

use crate::builder::MessageBuilder;
use crate::header_name::Known;
use crate::message::Message;
use crate::method::Method;
use crate::name_addr::NameAddrRef;
use crate::params::{self, Parts};
use crate::uri::UriRef;
use crate::via::ViaRef;
use thiserror::Error;

/// Why a request is refused, and the response to send.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{status} {reason}")]
pub struct Refusal {
    /// 400, 406, 415, 416, 420, 483 or 505.
    pub status: u16,
    /// Reason phrase that names the fault.
    pub reason: String,
    /// Header that the response must carry: Unsupported of a 420, Accept of a 415.
    pub header: Option<(&'static str, String)>,
}

impl Refusal {
    /// Begins the response; the caller must add the To tag.
    pub fn response_to(&self, request: &Message) -> MessageBuilder {
        let response = MessageBuilder::response_to(request, self.status, &self.reason);
        match &self.header {
            Some((name, value)) => response.header(name, value),
            None => response,
        }
    }
}

/// Why a response is dropped unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResponseFault {
    /// Not for us: a proxy would have to forward it to the second Via (RFC 3261 8.1.3.3).
    #[error("response has {0} Via values, not one")]
    Vias(usize),
    /// A header that may occur once occurs twice.
    #[error("response has more than one {0} header")]
    Repeated(&'static str),
}

/// Headers that the switch acts on and that may occur once. Others that the standard allows once
/// (User-Agent, Subject...) do no harm when repeated.
const ONCE: &[Known] = &[
    Known::CallId,
    Known::CSeq,
    Known::ContentLength,
    Known::ContentType,
    Known::Event,
    Known::Expires,
    Known::From,
    Known::MaxForwards,
    Known::MinSe,
    Known::RAck,
    Known::RSeq,
    Known::ReferTo,
    Known::Replaces,
    Known::SessionExpires,
    Known::To,
];

impl Message {
    /// Checks a request as a user agent server that supports no extension.
    ///
    /// # Errors
    /// See [`Message::validate_request_for`].
    pub fn validate_request(&self) -> Result<(), Refusal> {
        self.validate_request_for(&[])
    }

    /// Checks a request before anything acts on it; `supported` lists the option tags that Require
    /// may name. A response always passes.
    ///
    /// # Errors
    /// The response to send: 505 for another SIP version; 400 for repeated headers, a CSeq beyond
    /// 2^31-1, a bad Max-Forwards, URI, Contact or Date; 416 for a scheme other than `sip`, `sips`,
    /// `tel`; 483 at Max-Forwards 0 if the request must be forwarded; 420 for unsupported
    /// extensions; 415 and 406 for a session description that cannot be read or answered. An ACK is
    /// checked like any other request but must not be answered.
    pub fn validate_request_for(&self, supported: &[&str]) -> Result<(), Refusal> {
        if !self.is_request() {
            return Ok(());
        }
        if !self.version().eq_ignore_ascii_case("SIP/2.0") {
            let reason = format!("{} is not supported", self.version());
            return refuse(505, reason);
        }
        if let Some(name) = self.repeated() {
            return refuse(400, format!("more than one {name} header"));
        }
        if self.cseq().0 > i32::MAX as u32 {
            return refuse(400, "bad CSeq header: number is not below 2^31");
        }
        self.check_request_uri()?;
        self.check_addresses()?;
        self.check_max_forwards()?;
        self.check_date()?;
        self.check_extensions(supported)?;
        self.check_body()
    }

    /// Checks a response before a client transaction receives it.
    ///
    /// # Errors
    /// Why it must be dropped silently.
    pub fn validate_response(&self) -> Result<(), ResponseFault> {
        if let Some(name) = self.repeated() {
            return Err(ResponseFault::Repeated(name));
        }
        match self.values(Known::Via).count() {
            1 => Ok(()),
            vias => Err(ResponseFault::Vias(vias)),
        }
    }

    fn repeated(&self) -> Option<&'static str> {
        let mut seen = 0_u32;
        for (known, _) in self.known_lines() {
            let Some(index) = ONCE.iter().position(|&once| once == known) else { continue };
            if seen & (1 << index) != 0 {
                return Some(known.name());
            }
            seen |= 1 << index;
        }
        None
    }

    fn check_request_uri(&self) -> Result<(), Refusal> {
        let uri = match UriRef::parse(self.uri()) {
            Ok(uri) => uri,
            Err(error) => return refuse(400, format!("bad Request-URI: {}", error.problem)),
        };
        if !uri.is_sip() && !uri.is_tel() {
            return refuse(416, format!("unsupported URI scheme {}", uri.scheme()));
        }
        if !uri.headers().is_empty() {
            return refuse(400, "bad Request-URI: headers are not allowed in it");
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), Refusal> {
        // The first Via was checked during indexing.
        let further = self.values(Known::Via).skip(1);
        if let Some(problem) = further.map(ViaRef::parse).find_map(Result::err) {
            return refuse(400, format!("bad Via header: {problem}"));
        }
        for (name, address) in [("From", self.from()), ("To", self.to())] {
            let uri = match address.parse_uri() {
                Ok(uri) => uri,
                Err(error) => return refuse(400, format!("bad {name} header: {}", error.problem)),
            };
            if name == "To" && *self.method() == Method::Register && !uri.is_sip() {
                return refuse(400, "To of a REGISTER is not a SIP URI");
            }
        }
        let mut contacts = self.values(Known::Contact);
        let fault = contacts.find_map(|contact| match NameAddrRef::parse(contact) {
            Err(problem) => Some(problem),
            Ok(contact) if contact.uri() == "*" => {
                (*self.method() != Method::Register).then_some("`*` outside REGISTER")
            }
            Ok(contact) => contact.parse_uri().err().map(|error| error.problem),
        });
        match fault {
            Some(problem) => refuse(400, format!("bad Contact header: {problem}")),
            None => Ok(()),
        }
    }

    /// A missing header is allowed: RFC 2543 elements do not send it. At 0 a request is not
    /// forwarded; requests that this end answers itself have arrived (RFC 3261 16.3, RFC 4475
    /// 3.3.11).
    fn check_max_forwards(&self) -> Result<(), Refusal> {
        let Some(value) = self.value(Known::MaxForwards) else { return Ok(()) };
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse::<u32>() {
            Ok(0) if digits && self.ends_here() => Ok(()),
            Ok(0) if digits => refuse(483, "Too Many Hops"),
            Ok(1..=255) if digits => Ok(()),
            _ => refuse(400, "bad Max-Forwards header: not a number in 0-255"),
        }
    }

    /// Whether no part of the request must be forwarded to another leg.
    fn ends_here(&self) -> bool {
        matches!(self.method(), Method::Options | Method::Bye | Method::Ack | Method::Cancel)
    }

    /// SIP dates are in GMT (RFC 3261 20.17).
    fn check_date(&self) -> Result<(), Refusal> {
        match self.value(Known::Date) {
            Some(date) if !date.ends_with("GMT") => refuse(400, "bad Date header: not in GMT"),
            _ => Ok(()),
        }
    }

    /// Proxy-Require is ignored: the switch is the far end of its caller's dialog.
    fn check_extensions(&self, supported: &[&str]) -> Result<(), Refusal> {
        if matches!(self.method(), Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let known = |tag: &str| supported.iter().any(|one| one.eq_ignore_ascii_case(tag));
        let missing: Vec<&str> = self.values(Known::Require).filter(|tag| !known(tag)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(", ");
        Err(Refusal {
            status: 420,
            reason: "Bad Extension".to_owned(),
            header: Some(("Unsupported", missing)),
        })
    }

    /// An INVITE or UPDATE must offer in a format that we read, and accept our answer.
    fn check_body(&self) -> Result<(), Refusal> {
        if !matches!(self.method(), Method::Invite | Method::Update) {
            return Ok(());
        }
        if !self.body().is_empty() {
            match self.value(Known::ContentType).map(media_type) {
                None => return refuse(400, "missing Content-Type header"),
                Some(kind) if is_sdp_carrier(kind) || self.body_is_optional() => {}
                Some(kind) => {
                    return Err(Refusal {
                        status: 415,
                        reason: format!("unsupported media type {kind}"),
                        header: Some(("Accept", "application/sdp".to_owned())),
                    });
                }
            }
        }
        let accepts_sdp = |value: &str| {
            let kind = media_type(value);
            ["application/sdp", "application/*", "*/*"]
                .iter()
                .any(|range| kind.eq_ignore_ascii_case(range))
        };
        if self.value(Known::Accept).is_some() && !self.values(Known::Accept).any(accepts_sdp) {
            return refuse(406, "Accept excludes application/sdp");
        }
        Ok(())
    }

    /// `Content-Disposition: ...;handling=optional` (RFC 3261 20.11).
    fn body_is_optional(&self) -> bool {
        let handling = self.value(Known::ContentDisposition).and_then(|value| {
            let (_, params) = value.split_once(';')?;
            params::param(params, "handling")
        });
        handling.is_some_and(|handling| handling.eq_ignore_ascii_case("optional"))
    }
}

fn refuse(status: u16, reason: impl Into<String>) -> Result<(), Refusal> {
    Err(Refusal { status, reason: reason.into(), header: None })
}

fn media_type(value: &str) -> &str {
    Parts::new(value, b';').next().unwrap_or_default()
}

fn is_sdp_carrier(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("application/sdp")
        || kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}
