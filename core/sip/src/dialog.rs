//! One leg's dialog (RFC 3261 section 12).

use crate::header_name::Known;
use crate::{Message, MessageBuilder, Method, NameAddrRef, UriRef};
use serde::{Deserialize, Serialize};

/// One side's view of a dialog, early or confirmed. Its texts share one allocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// All parts, concatenated.
    text: Box<str>,
    /// Where each part ends in `text`.
    ends: [u32; PARTS],
    /// CSeq number of our last request.
    local_cseq: u32,
    /// CSeq number of the peer's last request.
    remote_cseq: Option<u32>,
}

const PARTS: usize = 7;

/// The texts of a dialog, in the order in which they are kept.
#[derive(Clone, Copy)]
enum Part {
    CallId,
    /// From of our requests, including the tag.
    LocalParty,
    LocalTag,
    /// To of our requests, including the tag.
    RemoteParty,
    RemoteTag,
    RemoteTarget,
    /// Route values, nearest first, one per line.
    Routes,
}

impl Dialog {
    /// The called side (12.1.1): the dialog that an INVITE creates when we answer it with
    /// `local_tag`.
    #[must_use]
    pub fn uas(invite: &Message, local_tag: &str) -> Dialog {
        let to = invite.value(Known::To).unwrap_or_default();
        let local_party = match invite.to_tag() {
            Some(_) => to.to_owned(),
            None => [to, ";tag=", local_tag].concat(),
        };
        let routes: Vec<&str> = invite.values(Known::RecordRoute).collect();
        let (cseq, _) = invite.cseq();
        Dialog::assemble(
            [
                invite.call_id(),
                &local_party,
                local_tag,
                invite.value(Known::From).unwrap_or_default(),
                invite.from_tag().unwrap_or_default(),
                target(invite).unwrap_or(invite.from().uri()),
                &routes.join("\n"),
            ],
            0,
            Some(cseq),
        )
    }

    /// The calling side (12.1.2): the dialog that a 101-299 response creates for our INVITE. The
    /// response may stand in for `invite`: it repeats every header needed, and if the peer gives no
    /// Contact, its To is the URI that was called.
    #[must_use]
    pub fn uac(invite: &Message, response: &Message) -> Dialog {
        let mut routes: Vec<&str> = response.values(Known::RecordRoute).collect();
        routes.reverse();
        let (cseq, _) = invite.cseq();
        let to = response.to();
        let called = if invite.is_request() { invite.uri() } else { to.uri() };
        Dialog::assemble(
            [
                invite.call_id(),
                invite.value(Known::From).unwrap_or_default(),
                invite.from_tag().unwrap_or_default(),
                response.value(Known::To).unwrap_or_default(),
                response.to_tag().unwrap_or_default(),
                target(response).unwrap_or(called),
                &routes.join("\n"),
            ],
            cseq,
            None,
        )
    }

    /// Calling side: confirms an early dialog with its 2xx. Target and route set are replaced
    /// (RFC 3261 13.2.2.4); the CSeq numbers continue.
    pub fn confirm(&mut self, response: &Message) {
        let mut routes: Vec<&str> = response.values(Known::RecordRoute).collect();
        routes.reverse();
        let target = target(response).unwrap_or(self.remote_target());
        if target != self.remote_target() || !self.route_set().eq(routes.iter().copied()) {
            *self = self.with(target, &routes.join("\n"));
        }
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.part(Part::CallId)
    }

    /// Our tag.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        self.part(Part::LocalTag)
    }

    /// The peer's tag; empty if it has none (RFC 2543).
    #[must_use]
    pub fn remote_tag(&self) -> &str {
        self.part(Part::RemoteTag)
    }

    /// The peer's Contact URI, or the URI that was called if the peer gave none.
    #[must_use]
    pub fn remote_target(&self) -> &str {
        self.part(Part::RemoteTarget)
    }

    /// Route values of our requests, nearest first.
    pub fn route_set(&self) -> impl Iterator<Item = &str> {
        self.part(Part::Routes).split('\n').filter(|route| !route.is_empty())
    }

    /// CSeq number of our last request.
    #[must_use]
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Whether a received message belongs to this dialog: same Call-ID and both tags (12.2.2; for a
    /// response 12.1.2).
    #[must_use]
    pub fn matches(&self, message: &Message) -> bool {
        let (from, to) = match message.is_request() {
            true => (self.remote_tag(), self.local_tag()),
            false => (self.local_tag(), self.remote_tag()),
        };
        message.call_id() == self.call_id()
            && message.from_tag().unwrap_or_default() == from
            && message.to_tag().unwrap_or_default() == to
    }

    /// Begins our next request (12.2.1.1) with Request-URI, Route, Max-Forwards 70,
    /// From, To, Call-ID and the next CSeq number. The caller adds Via, Contact and body.
    pub fn request(&mut self, method: &Method) -> MessageBuilder {
        self.local_cseq = self.local_cseq.wrapping_add(1);
        self.begin(method, self.local_cseq)
    }

    /// Begins the ACK for a 2xx; its CSeq number is the INVITE's (13.2.2.4).
    #[must_use]
    pub fn ack(&self, invite_cseq: u32) -> MessageBuilder {
        self.begin(&Method::Ack, invite_cseq)
    }

    /// Records a request that we received.
    ///
    /// # Errors
    /// The status to answer it with: 500 if its CSeq number is lower than an earlier one
    /// (12.2.2).
    pub fn accept(&mut self, request: &Message) -> Result<(), u16> {
        let (number, method) = request.cseq();
        if matches!(method, Method::Ack | Method::Cancel) {
            return Ok(());
        }
        if self.remote_cseq.is_some_and(|last| number < last) {
            return Err(500);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// Takes the peer's new Contact from a re-INVITE, an UPDATE or a 2xx to one (12.2).
    /// Without a Contact nothing changes.
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = target(message)
            && target != self.remote_target()
        {
            *self = self.with(target, self.part(Part::Routes));
        }
    }

    fn begin(&self, method: &Method, cseq: u32) -> MessageBuilder {
        let target = self.remote_target();
        let mut routes: Vec<&str> = self.route_set().collect();
        // A first hop without `lr` is a strict router (12.2.1.1): it expects its own URI as the
        // Request-URI and the target as the last Route value.
        let strict = routes.first().copied().and_then(strict_router);
        let last;
        let uri = match strict {
            Some(router) => {
                last = format!("<{target}>");
                routes.remove(0);
                routes.push(&last);
                router
            }
            None => target,
        };
        let mut request = MessageBuilder::request(method, uri);
        for route in routes {
            request = request.header_of("Route", &[route]);
        }
        request
            .header_of("Max-Forwards", &["70"])
            .header_of("From", &[self.part(Part::LocalParty)])
            .header_of("To", &[self.part(Part::RemoteParty)])
            .header_of("Call-ID", &[self.call_id()])
            .header_of("CSeq", &[itoa::Buffer::new().format(cseq), " ", method.as_str()])
    }

    fn with(&self, target: &str, routes: &str) -> Dialog {
        Dialog::assemble(
            [
                self.call_id(),
                self.part(Part::LocalParty),
                self.local_tag(),
                self.part(Part::RemoteParty),
                self.remote_tag(),
                target,
                routes,
            ],
            self.local_cseq,
            self.remote_cseq,
        )
    }

    fn assemble(parts: [&str; PARTS], local_cseq: u32, remote_cseq: Option<u32>) -> Dialog {
        let mut end = 0;
        let ends = parts.map(|part| {
            // A message is at most 64 KB.
            end += part.len() as u32;
            end
        });
        Dialog { text: parts.concat().into(), ends, local_cseq, remote_cseq }
    }

    fn part(&self, part: Part) -> &str {
        let index = part as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start as usize..self.ends[index] as usize]
    }
}

/// The Contact URI of a message.
fn target(message: &Message) -> Option<&str> {
    message.contact().map(|contact| contact.uri()).filter(|uri| *uri != "*")
}

/// The URI of a route value without `lr`.
fn strict_router(route: &str) -> Option<&str> {
    let uri = NameAddrRef::parse(route).ok()?.uri();
    UriRef::parse(uri).ok()?.param("lr").is_none().then_some(uri)
}
