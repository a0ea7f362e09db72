//! What calls and the shard do with the wire: Via, Contact, plain responses, the end of
//! answers that nobody wants.

use crate::authentication::{Login, PendingBye};
use crate::facts::Credentials;
use crate::io::Now;
use crate::reason::Causes;
use crate::sdp::Unusable;
use crate::shard::new_branch;
use crate::switch::Core;
use policy::{Hook, PluginStamp};
use sip::{Dialog, Flow, Link, Message, MessageBuilder, Method, TransactionId};
use std::sync::Arc;

/// Methods that we take (SIG-01), for Allow.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE";

/// What an INVITE may carry and ask for, as OPTIONS tells it (RFC 3261 section 11.2). An empty
/// Supported says that there is no extension (section 20.37).
const ABILITIES: [(&str, &str); 5] = [
    ("Allow", ALLOW),
    ("Accept", "application/sdp"),
    ("Accept-Encoding", "identity"),
    ("Accept-Language", "en"),
    ("Supported", ""),
];

impl Core {
    /// `host:port` that peers of this listener see (SIG-64).
    pub(crate) fn advertised(&self, listener: u16) -> Arc<str> {
        let listener = self.world.facts.listeners.get(usize::from(listener));
        listener.map_or_else(|| Arc::from("invalid"), |l| Arc::clone(&l.advertised))
    }

    /// A request of ours with its Via; everything else is the caller's.
    pub(crate) fn request_to(
        &mut self,
        method: &Method,
        uri: &str,
        listener: u16,
    ) -> MessageBuilder {
        self.with_via(MessageBuilder::request(method, uri), listener)
    }

    /// How bytes travel at a listener.
    pub(crate) fn link(&self, listener: u16) -> Link {
        let listener = self.world.facts.listeners.get(usize::from(listener));
        listener.map(|listener| listener.link).unwrap_or_default()
    }

    /// Adds our Via with a new branch.
    pub(crate) fn with_via(&mut self, builder: MessageBuilder, listener: u16) -> MessageBuilder {
        let branch = new_branch(&mut self.rng);
        let host = self.advertised(listener);
        let link = self.link(listener);
        builder.header_of("Via", &["SIP/2.0/", link.via(), " ", &host, ";rport;branch=", &branch])
    }

    /// Adds our Contact with this user (SIG-79), and Allow.
    pub(crate) fn with_contact(
        &self,
        builder: MessageBuilder,
        listener: u16,
        user: &str,
    ) -> MessageBuilder {
        let host = self.advertised(listener);
        let user = crate::number::uri_user(user);
        let at = if user.is_empty() { "" } else { "@" };
        let transport = self.link(listener).uri_parameter();
        builder
            .header_of("Contact", &["<sip:", &user, at, &host, transport, ">"])
            .header_of("Allow", &[ALLOW])
    }

    /// A response that carries nothing of a call. An empty `reason` is the usual phrase.
    pub(crate) fn respond_plain(
        &mut self,
        now: Now,
        id: TransactionId,
        request: &Message,
        status: u16,
        reason: &str,
        headers: &[(String, String)],
    ) {
        let reason = if reason.is_empty() { sip::reason_phrase(status) } else { reason };
        let mut builder = MessageBuilder::response_to(request, status, reason);
        if status > 100 && request.to_tag().is_none() {
            let tag: u64 = rand::Rng::random(&mut self.rng);
            builder = builder.to_tag(&crate::shard::tag_text(tag));
        }
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        self.transactions.respond(now.instant, id, status, builder.finish());
    }

    /// An offer that comes while another is open: 491, or 500 with the moment to try again, 0 to
    /// 10 s (RFC 3261 section 14.2).
    pub(crate) fn refuse_offer(
        &mut self,
        now: Now,
        id: TransactionId,
        request: &Message,
        status: u16,
    ) {
        let wait: u8 = rand::Rng::random_range(&mut self.rng, 0..=10);
        let later = ("Retry-After".to_owned(), wait.to_string());
        let headers = if status == 500 { std::slice::from_ref(&later) } else { &[] };
        self.respond_plain(now, id, request, status, "", headers);
    }

    /// The answer to OPTIONS: what an INVITE would get now (SIG-57, RFC 3261 section 11.2);
    /// inside a dialog the call goes on whatever happens to new ones.
    pub(crate) fn tell_abilities(&mut self, now: Now, id: TransactionId, request: &Message) {
        if request.to_tag().is_none() && self.intake.closed().is_some() {
            let seconds = self.intake.retry_after(&mut self.rng);
            let later = [("Retry-After".to_owned(), seconds.to_string())];
            return self.respond_plain(now, id, request, 503, "", &later);
        }
        let abilities = ABILITIES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.respond_plain(now, id, request, 200, "OK", &abilities);
    }

    /// 488 for a session description that cannot be relayed, with the reason.
    pub(crate) fn refuse_sdp(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        request: &Message,
        unusable: Unusable,
    ) {
        let warning = unusable.warning(&self.advertised(flow.listener));
        self.respond_plain(now, id, request, 488, "", &[("Warning".to_owned(), warning)]);
    }

    /// 405 with what would be allowed (SIG-01).
    pub(crate) fn refuse_method(&mut self, now: Now, id: TransactionId, request: &Message) {
        let allowed = [("Allow".to_owned(), ALLOW.to_owned())];
        self.respond_plain(now, id, request, 405, "", &allowed);
    }

    /// ACK and BYE for a 2xx that no call wants (SIG-07, SIG-08), with what the vendor knows us
    /// by.
    pub(crate) fn acknowledge_and_end(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        response: &Message,
        causes: Causes,
        known_by: Option<(Box<Login>, Credentials)>,
    ) {
        // The response repeats all that is needed of our INVITE.
        let mut dialog = Dialog::uac(response, response);
        let (cseq, _) = response.cseq();
        // Not where the response came from: it may have come by way of a proxy (RFC 3261 section
        // 13.2.2.4).
        let flow = self.last_hop(now, &dialog, flow);
        let mut ack = self.with_via(dialog.ack(cseq), flow.listener);
        for (name, value) in known_by.iter().flat_map(|(login, _)| login.of_invite()) {
            ack = ack.header(name, value);
        }
        self.transactions.ack(now.instant, id, flow, ack.finish());
        if let Some((login, credentials)) = known_by {
            return self.send_bye(now, PendingBye { dialog, flow, login, credentials, causes });
        }
        let bye = dialog.request(&Method::Bye);
        let bye = self.with_via(bye, flow.listener).header_of("Reason", &[&causes.text()]).finish();
        self.transactions.request(now.instant, flow, bye, &Arc::default());
    }
}

/// Names that are written on every trail, shared instead of copied.
pub(crate) struct Names {
    hooks: [Arc<str>; Hook::ALL.len()],
    plugins: Vec<(Arc<PluginStamp>, Arc<str>)>,
    core: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Names {
            hooks: Hook::ALL.map(|hook| Arc::from(hook.name())),
            plugins: Vec::new(),
            core: Arc::from("core"),
        }
    }
}

impl Names {
    pub(crate) fn hook(&self, hook: Hook) -> Arc<str> {
        let at = Hook::ALL.iter().position(|known| *known == hook).unwrap_or(0);
        Arc::clone(&self.hooks[at])
    }

    /// `name version (digest)`; `core` where no plugin answered.
    pub(crate) fn plugin(&mut self, stamp: Option<&Arc<PluginStamp>>) -> Arc<str> {
        let Some(stamp) = stamp else { return Arc::clone(&self.core) };
        if let Some((_, text)) = self.plugins.iter().find(|(known, _)| Arc::ptr_eq(known, stamp)) {
            return Arc::clone(text);
        }
        // Swapped plugins leave their stamps behind; a handful is enough to remember.
        if self.plugins.len() >= 64 {
            self.plugins.clear();
        }
        let text: Arc<str> = Arc::from(stamp.to_string());
        self.plugins.push((Arc::clone(stamp), Arc::clone(&text)));
        text
    }
}
