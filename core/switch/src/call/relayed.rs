//! Requests inside the dialogs of an answered call: taken from one leg, passed to the other.

use super::{Call, Cx, Offer, Relayed, State};
use crate::media::MediaSide;
use crate::reason::{Causes, name};
use crate::sdp;
use crate::switch::{Owner, Role};
use ledger::{EndedBy, Text};
use policy::{AttemptFailure, EventKind};
use sip::{Flow, Message, Method, TransactionId};
use std::sync::Arc;

impl Call {
    /// A request inside one of the dialogs.
    pub(crate) fn on_request(
        &mut self,
        cx: &mut Cx<'_>,
        side: MediaSide,
        id: TransactionId,
        flow: Flow,
        request: Message,
    ) {
        let method = request.method().clone();
        if !matches!(self.state, State::Connected) {
            return self.on_early_request(cx, side, id, &method, &request);
        }
        let accepted = match self.leg_mut(side) {
            Some(leg) => leg.dialog.accept(&request),
            None => Err(481),
        };
        if let Err(status) = accepted {
            return cx.core.respond_plain(cx.now, id, &request, status, "", &[]);
        }
        match method {
            Method::Bye => {
                cx.core.respond_plain(cx.now, id, &request, 200, "OK", &[]);
                let (why, by) = match side {
                    MediaSide::Caller => (name::CALLER_HANGUP, EndedBy::Caller),
                    MediaSide::Vendor => (name::CALLEE_HANGUP, EndedBy::Callee),
                };
                self.heard = Causes::of(&request);
                self.end_connected(cx, why, by, Some(side), self.heard.or(16));
            }
            Method::Invite | Method::Update | Method::Info => {
                if let Some(status) = self.glare(side, &request) {
                    return cx.core.refuse_offer(cx.now, id, &request, status);
                }
                if method != Method::Info
                    && let Some(leg) = self.leg_mut(side)
                {
                    leg.dialog.refresh_target(&request);
                    leg.flow = flow;
                    leg.updates = allows_update(&request).or(leg.updates);
                    self.note_foreign(cx);
                }
                if method == Method::Update && sdp::body_of(&request).is_none() {
                    // It refreshes this leg and asks nothing of the other (RFC 4028 section 10).
                    return self.answer_update(cx, side, id, &request);
                }
                self.relay_request(cx, side, id, request);
            }
            Method::Options => cx.core.tell_abilities(cx.now, id, &request),
            _ => cx.core.refuse_method(cx.now, id, &request),
        }
    }

    fn on_early_request(
        &mut self,
        cx: &mut Cx<'_>,
        side: MediaSide,
        id: TransactionId,
        method: &Method,
        request: &Message,
    ) {
        let setting_up = matches!(self.state, State::Deciding(_) | State::Attempting);
        match method {
            // A caller may end an early dialog by BYE (RFC 3261 section 15).
            Method::Bye if setting_up && side == MediaSide::Caller => {
                cx.core.respond_plain(cx.now, id, request, 200, "OK", &[]);
                self.heard = Causes::of(request);
                self.give_up_attempt(cx, AttemptFailure::NotSent, name::CALLER_CANCELLED);
                let why = name::CALLER_CANCELLED.into();
                self.finish_setup(cx, 487, 487, why, EndedBy::Caller, Text::default(), 0);
            }
            Method::Bye if !setting_up => {
                cx.core.respond_plain(cx.now, id, request, 200, "OK", &[]);
                if side == MediaSide::Caller && self.caller_bye.take().is_some() {
                    self.try_close(cx);
                }
            }
            Method::Update if setting_up && sdp::body_of(request).is_none() => {
                self.answer_update(cx, side, id, request);
            }
            // The offer of the INVITE waits for its answer: who made it gets 500, the other side
            // 491 (RFC 3261 section 14.2, RFC 3311 section 5.2).
            Method::Invite | Method::Update if setting_up => {
                let status = if side == MediaSide::Caller { 500 } else { 491 };
                cx.core.refuse_offer(cx.now, id, request, status);
            }
            Method::Options if setting_up => cx.core.tell_abilities(cx.now, id, request),
            // Nobody is there yet who could take it.
            Method::Info if setting_up => {
                cx.core.respond_plain(cx.now, id, request, 491, "", &[]);
            }
            // Who is called does not end an early dialog by BYE (RFC 3261 section 15).
            Method::Bye if setting_up => cx.core.respond_plain(cx.now, id, request, 481, "", &[]),
            _ if setting_up => cx.core.refuse_method(cx.now, id, request),
            _ => cx.core.respond_plain(cx.now, id, request, 481, "", &[]),
        }
    }

    /// Whether a request comes while another waits for its answer, so that two offers would be
    /// open in one dialog: the status to refuse it with. One that crosses a request of the other
    /// side gets 491, a second one of the same side 500 (RFC 3261 section 14.2, RFC 3311 section
    /// 5.2).
    fn glare(&self, side: MediaSide, request: &Message) -> Option<u16> {
        let update = *request.method() == Method::Update;
        let offers = sdp::body_of(request).is_some();
        if *request.method() == Method::Info || update && !offers {
            return None;
        }
        let open = |relayed: &&Relayed| match relayed.request.method() {
            // After its 200 the sender knows the answer, unless its ACK is to carry it.
            Method::Invite => !relayed.answered || relayed.delayed || relayed.from != side,
            _ => relayed.offer.is_some(),
        };
        let other = self.relayed.iter().find(open)?;
        Some(if other.from == side { 500 } else { 491 })
    }

    /// 200 to an UPDATE without offer: the other side has no part in it.
    fn answer_update(
        &mut self,
        cx: &mut Cx<'_>,
        side: MediaSide,
        id: TransactionId,
        request: &Message,
    ) {
        let user = self.contact_user(side);
        let listener = match (side, &self.vendor, &self.current) {
            (MediaSide::Caller, _, _) => self.caller.flow.listener,
            (MediaSide::Vendor, Some(leg), _) => leg.flow.listener,
            (MediaSide::Vendor, None, Some(attempt)) => attempt.vendor.listener,
            (MediaSide::Vendor, None, None) => 0,
        };
        let builder = sip::MessageBuilder::response_to(request, 200, "OK");
        let bytes = cx.core.with_contact(builder, listener, &user).finish();
        cx.core.transactions.respond(cx.now.instant, id, 200, bytes);
    }

    /// User of our Contact towards a side.
    fn contact_user(&self, side: MediaSide) -> Text {
        match side {
            MediaSide::Caller => self.callee_in.clone(),
            MediaSide::Vendor => self.vendor_contact_user(),
        }
    }

    /// Passes a request to the other side, SDP rewritten.
    fn relay_request(
        &mut self,
        cx: &mut Cx<'_>,
        from: MediaSide,
        server: TransactionId,
        request: Message,
    ) {
        let (mut body, mut offer) = (None, None);
        if let Some(sdp) = sdp::body_of(&request) {
            let (rewritten, remote) = match self.rewrite_sdp(from, sdp) {
                Ok(rewritten) => rewritten,
                Err(unusable) => {
                    let Some(flow) = self.leg(from).map(|leg| leg.flow) else { return };
                    return cx.core.refuse_sdp(cx.now, server, flow, &request, unusable);
                }
            };
            body = Some(rewritten);
            offer = Some(Offer { remote, held: sdp::is_hold(sdp) });
        }
        let knows_no_update = self.leg(from.other()).is_some_and(|leg| leg.updates == Some(false));
        let sent_as = match request.method() {
            Method::Update if knows_no_update => Method::Invite,
            method => method.clone(),
        };
        let sent = self.send_relayed(cx, from, &sent_as, &request, body.as_deref());
        let Some((client, cseq)) = sent else {
            return cx.core.respond_plain(cx.now, server, &request, 481, "", &[]);
        };
        let invite = *request.method() == Method::Invite;
        if invite {
            cx.core.respond_plain(cx.now, server, &request, 100, "Trying", &[]);
        }
        cx.core.owners.insert(server, Owner { call: self.key, role: Role::Relayed });
        let delayed = invite && offer.is_none();
        self.relayed.push(Relayed {
            from,
            server,
            client,
            request,
            sent_as,
            body,
            cseq,
            delayed,
            offer,
            answered: false,
        });
    }

    /// Sends a passed request to the other side: its transaction there and our CSeq number.
    fn send_relayed(
        &mut self,
        cx: &mut Cx<'_>,
        from: MediaSide,
        method: &Method,
        request: &Message,
        body: Option<&[u8]>,
    ) -> Option<(TransactionId, u32)> {
        let user = self.contact_user(from.other());
        let schedule = match from {
            MediaSide::Caller => self.current.as_ref().map(|a| Arc::clone(&a.vendor.schedule)),
            MediaSide::Vendor => None,
        };
        let schedule = schedule.unwrap_or_default();
        let credentials = self.current.as_ref().and_then(|a| a.credentials());
        let leg = self.leg_mut(from.other())?;
        let flow = leg.next_hop();
        let builder = leg.dialog.request(method);
        let cseq = leg.dialog.local_cseq();
        let mut builder = cx.core.with_via(builder, flow.listener);
        if let (Some(login), Some(credentials)) = (&mut leg.login, &credentials) {
            let uri = leg.dialog.remote_target();
            for (name, value) in login.lines(credentials, method, uri, &mut cx.core.rng) {
                builder = builder.header(name, value);
            }
        }
        if *method != Method::Info {
            builder = cx.core.with_contact(builder, flow.listener, &user);
        }
        if let Some(body) = body {
            builder = builder.body("application/sdp", body);
        } else if !request.body().is_empty() {
            let kind = request.header("Content-Type").unwrap_or("application/octet-stream");
            builder = builder.body(kind, request.body());
        }
        let client =
            cx.core.transactions.request(cx.now.instant, flow, builder.finish(), &schedule);
        cx.core.owners.insert(client, Owner { call: self.key, role: Role::Relayed });
        Some((client, cseq))
    }

    /// Sends a passed request again with credentials (SIG-53). False: it cannot be done.
    fn prove_relayed(
        &mut self,
        cx: &mut Cx<'_>,
        relayed: &mut Relayed,
        challenge: &Message,
    ) -> bool {
        let credentials = self.current.as_ref().and_then(|attempt| attempt.credentials());
        let credentials = credentials.filter(|_| relayed.from == MediaSide::Caller);
        let (Some(leg), Some(credentials)) = (self.vendor.as_mut(), credentials) else {
            return false;
        };
        if !leg.login.get_or_insert_default().take(challenge, &credentials) {
            return false;
        }
        self.send_again(cx, relayed)
    }

    /// The other side does not know UPDATE, whatever it said: the offer goes there in a
    /// re-INVITE, now and from now on (SIG-28). False: it was none, or cannot be sent.
    fn send_as_invite(
        &mut self,
        cx: &mut Cx<'_>,
        relayed: &mut Relayed,
        response: &Message,
    ) -> bool {
        if relayed.sent_as != Method::Update || !matches!(response.status(), 405 | 501) {
            return false;
        }
        if let Some(leg) = self.leg_mut(relayed.from.other()) {
            leg.updates = Some(false);
        }
        relayed.sent_as = Method::Invite;
        self.send_again(cx, relayed)
    }

    fn send_again(&mut self, cx: &mut Cx<'_>, relayed: &mut Relayed) -> bool {
        let (method, body) = (&relayed.sent_as, relayed.body.as_deref());
        let Some(sent) = self.send_relayed(cx, relayed.from, method, &relayed.request, body) else {
            return false;
        };
        cx.core.owners.remove(&relayed.client);
        (relayed.client, relayed.cseq) = sent;
        true
    }

    /// An offer counts from its answer on; refused, nothing has changed (RFC 3261 section
    /// 14.1).
    fn take_offer(&mut self, cx: &mut Cx<'_>, from: MediaSide, offer: Offer) {
        if let Some(remote) = offer.remote {
            self.tell_relay(cx, from, remote);
        }
        let held = offer.held;
        if held != self.held {
            self.held = held;
            let kind = if held { EventKind::Held } else { EventKind::Resumed };
            let trunk = self.current.as_ref().map_or(0, |attempt| attempt.vendor.id);
            self.tell(cx, kind, trunk, 0);
        }
    }

    /// The other side's response to a passed request.
    pub(super) fn on_relayed_response(
        &mut self,
        cx: &mut Cx<'_>,
        id: TransactionId,
        response: &Message,
    ) {
        let status = response.status();
        let Some(at) = self.relayed.iter().position(|r| r.client == id && !r.answered) else {
            return;
        };
        if status < 200 {
            return;
        }
        let mut relayed = self.relayed.remove(at);
        let invite = *relayed.request.method() == Method::Invite;
        if matches!(status, 401 | 407) && self.prove_relayed(cx, &mut relayed, response)
            || self.send_as_invite(cx, &mut relayed, response)
        {
            self.relayed.push(relayed);
            return;
        }
        if status >= 300 {
            cx.core.owners.remove(&relayed.server);
            cx.core.owners.remove(&relayed.client);
            self.refuse_relayed(cx, &relayed, response);
            if status == 481 && matches!(self.state, State::Connected) {
                // RFC 3261 section 12.2.1.2: the dialog is gone.
                let gone = Some(relayed.from.other());
                let causes = Causes::ours(41);
                self.end_connected(cx, name::SESSION_TIMEOUT, EndedBy::Switch, gone, causes);
            }
            return;
        }
        if *relayed.request.method() != Method::Info
            && let Some(leg) = self.leg_mut(relayed.from.other())
        {
            leg.dialog.refresh_target(response);
            leg.updates = allows_update(response).or(leg.updates);
            self.note_foreign(cx);
        }
        if let Some(offer) = relayed.offer.take() {
            self.take_offer(cx, relayed.from, offer);
        }
        let body = sdp::body_of(response)
            .and_then(|sdp| self.pass_sdp(cx, relayed.from.other(), sdp).ok());
        if relayed.sent_as == Method::Invite && !relayed.delayed {
            self.ack_other(cx, &relayed, None);
        }
        let Some(flow) = self.leg(relayed.from).map(|leg| leg.flow) else { return };
        let user = self.contact_user(relayed.from);
        let phrase = sip::reason_phrase(status);
        let builder = sip::MessageBuilder::response_to(&relayed.request, status, phrase);
        let mut builder = cx.core.with_contact(builder, flow.listener, &user);
        if let Some(body) = &body {
            builder = builder.body("application/sdp", body);
        }
        let bytes = builder.finish();
        cx.core.transactions.respond(cx.now.instant, relayed.server, status, bytes);
        if invite {
            relayed.answered = true;
            self.relayed.push(relayed);
        } else {
            cx.core.owners.remove(&relayed.server);
            cx.core.owners.remove(&relayed.client);
        }
    }

    /// The other side refused a passed request: its code goes back, and its cause, in our words.
    fn refuse_relayed(&self, cx: &mut Cx<'_>, relayed: &Relayed, response: &Message) {
        // A challenge was meant for us, not for the other side.
        let status = match response.status() {
            401 | 407 => 488,
            status => status,
        };
        let causes = Causes::of(response);
        let mut headers = Vec::new();
        let method = relayed.request.method();
        if status == 405 {
            // What the other side does not know is not allowed here.
            let known =
                crate::core_ops::ALLOW.split(", ").filter(|known| *known != method.as_str());
            headers.push(("Allow".to_owned(), known.collect::<Vec<_>>().join(", ")));
        }
        if status == 500
            && let Some(seconds) = crate::rests::retry_after(response)
        {
            headers.push(("Retry-After".to_owned(), seconds.as_secs().to_string()));
        }
        if causes.q850 > 0 {
            headers.push(("Reason".to_owned(), Causes::ours(causes.q850).text().into()));
        }
        cx.core.respond_plain(cx.now, relayed.server, &relayed.request, status, "", &headers);
    }

    /// A passed request got no answer, or its 2xx no ACK.
    pub(super) fn on_relayed_over(&mut self, cx: &mut Cx<'_>, id: TransactionId) {
        let at = self.relayed.iter().position(|r| r.client == id || r.server == id);
        let Some(at) = at else { return };
        let relayed = self.relayed.remove(at);
        cx.core.owners.remove(&relayed.server);
        cx.core.owners.remove(&relayed.client);
        if relayed.client == id && !relayed.answered {
            let reason = "Request Timeout";
            cx.core.respond_plain(cx.now, relayed.server, &relayed.request, 408, reason, &[]);
        }
    }
}

/// Whether the sender of a message takes UPDATE; none where its Allow does not say.
pub(super) fn allows_update(message: &Message) -> Option<bool> {
    let mut methods = message.headers("Allow").peekable();
    methods.peek()?;
    Some(methods.any(|method| method.eq_ignore_ascii_case("UPDATE")))
}
