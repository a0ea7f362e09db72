//! Operations of calls and shard on the wire: plain responses, and BYE for unwanted answers.

use super::{Core, Owner};
use crate::facts::Facts;
use crate::io::Now;
use crate::reason::Causes;
use policy::{Hook, PluginStamp};
use sip::session::{ALLOW, EXTENSIONS, Farewell, Leg, Listeners, Wire, decline_answer};
use sip::{Flow, Link, Message, MessageBuilder, TransactionId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl Listeners for Facts {
    fn advertised(&self, listener: u16) -> Arc<str> {
        let listener = self.listeners.get(usize::from(listener));
        listener.map_or_else(|| Arc::from("invalid"), |l| Arc::clone(&l.advertised))
    }

    fn link(&self, listener: u16) -> Link {
        let listener = self.listeners.get(usize::from(listener));
        listener.map(|listener| listener.link).unwrap_or_default()
    }

    fn for_large(&self, now: Instant, flow: Flow) -> Option<Flow> {
        let listener = self.listeners.get(usize::from(flow.listener))?.twin?;
        let refused = self.directory.takes_no_connection(now, flow.remote);
        (!refused).then_some(Flow { listener, link: Link::Stream, ..flow })
    }

    fn address_of(&self, host: &str, port: Option<u16>, flow: Flow) -> Option<SocketAddr> {
        self.directory.address_of(host, port, flow)
    }
}

impl Core {
    /// The `Wire` for a leg.
    pub(crate) fn wire(&mut self, now: Now) -> Wire<'_, Owner> {
        Wire {
            transactions: &mut self.transactions,
            rng: &mut self.rng,
            now: now.instant,
            listeners: &*self.world.facts,
        }
    }

    /// The `host:port` of this listener in Via and Contact (SIG-64).
    pub(crate) fn advertised(&self, listener: u16) -> Arc<str> {
        self.world.facts.advertised(listener)
    }

    /// A response without call data. An empty `reason` means the usual phrase.
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

    /// The answer to OPTIONS outside any dialog: the status that an INVITE would get now (SIG-57,
    /// RFC 3261 section 11.2).
    pub(crate) fn tell_abilities(&mut self, now: Now, id: TransactionId, request: &Message) {
        if self.intake.closed().is_some() {
            let seconds = self.intake.retry_after(&mut self.rng);
            let later = [("Retry-After".to_owned(), seconds.to_string())];
            return self.respond_plain(now, id, request, 503, "", &later);
        }
        let supported = EXTENSIONS.join(", ");
        let abilities = [
            ("Allow", ALLOW),
            ("Accept", "application/sdp"),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", &supported),
        ];
        let abilities = abilities.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.respond_plain(now, id, request, 200, "OK", &abilities);
    }

    /// 405 with the allowed methods (SIG-01).
    pub(crate) fn refuse_method(&mut self, now: Now, id: TransactionId, request: &Message) {
        let allowed = [("Allow".to_owned(), ALLOW.to_owned())];
        self.respond_plain(now, id, request, 405, "", &allowed);
    }

    /// ACK and BYE for a 2xx that belongs to no call (SIG-07, SIG-08).
    pub(crate) fn decline(&mut self, now: Now, id: TransactionId, flow: Flow, response: &Message) {
        let answers = (200..300).contains(&response.status());
        if *response.method() == sip::Method::Invite && answers {
            self.decline_for(now, id, flow, response, Causes::ours(16), None);
        }
    }

    /// The same for an answer to the INVITE of an existing leg.
    pub(crate) fn decline_for(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        response: &Message,
        causes: Causes,
        leg: Option<&Leg<Owner>>,
    ) {
        let reason = causes.text();
        let (hop, bye) = decline_answer(&mut self.wire(now), id, flow, response, &reason, leg);
        self.farewells.extend(bye);
        self.hear_for_a_window(now, hop);
    }

    /// For one window, hears the peer of a session that we have just ended, even from an address
    /// that no trunk names.
    pub(crate) fn hear_for_a_window(&mut self, now: Now, hop: Flow) {
        if !self.world.facts.knows(hop.remote) {
            self.settings.foreign.hear_until(now.instant + super::WINDOW);
        }
    }

    /// The response to a BYE that may be challenged: sends the BYE again with credentials if the
    /// peer demands them. False: it answers no BYE of ours.
    pub(crate) fn on_farewell_response(
        &mut self,
        now: Now,
        id: TransactionId,
        response: &Message,
    ) -> bool {
        if response.status() < 200 {
            return self.farewells.contains_key(&id);
        }
        let Some(mut bye) = self.farewells.remove(&id) else { return false };
        if let Some(id) = bye.on_response(&mut self.wire(now), response) {
            self.farewells.insert(id, bye);
        }
        true
    }
}

/// BYEs whose response may be a challenge, by their transaction.
pub(crate) type Farewells = foldhash::HashMap<TransactionId, Box<Farewell>>;

/// Names that occur on every trail, shared instead of copied.
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

    /// `name version (digest)`; `core` if no plugin answered.
    pub(crate) fn plugin(&mut self, stamp: Option<&Arc<PluginStamp>>) -> Arc<str> {
        let Some(stamp) = stamp else { return Arc::clone(&self.core) };
        if let Some((_, text)) = self.plugins.iter().find(|(known, _)| Arc::ptr_eq(known, stamp)) {
            return Arc::clone(text);
        }
        // Swapped plugins leave their stamps behind; it is enough to remember a few.
        if self.plugins.len() >= 64 {
            self.plugins.clear();
        }
        let text: Arc<str> = Arc::from(stamp.to_string());
        self.plugins.push((Arc::clone(stamp), Arc::clone(&text)));
        text
    }
}
