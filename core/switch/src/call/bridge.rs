//! Requests from one side to the other: received on one leg, sent on the other, and answered with
//! the response of that one.

use super::{CALLER, Call, Cx, State};
use crate::reason::{Causes, name};
use crate::sdp;
use ledger::EndedBy;
use policy::EventKind;
use serde::{Deserialize, Serialize};
use sip::session::{ALLOW, RequestId};
use sip::{Message, Method, TransactionId};

/// A request that was received on one leg and sent on another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Passed {
    from: u16,
    theirs: TransactionId,
    to: u16,
    ours: RequestId,
    method: Method,
    /// INVITE without SDP: the ACK will contain the answer.
    delayed: bool,
    /// Its offer, which counts once the other side has accepted it.
    offer: Option<Offer>,
    /// A final response was returned; waiting for the ACK.
    answered: bool,
}

/// The change that a re-INVITE or UPDATE offers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Offer {
    /// Where its sender will receive.
    pub(super) remote: Option<sdp::Remote>,
    pub(super) held: bool,
}

impl Call {
    /// Passes a request that concerns the other side.
    pub(super) fn pass_request(&mut self, cx: &mut Cx<'_>, from: u16, theirs: TransactionId) {
        if self.placed.is_some() {
            return self.answer_request(cx, from, theirs);
        }
        let Some(request) = self.leg(from).and_then(|leg| leg.request(theirs)) else { return };
        let (method, kind) = (request.method().clone(), request.header("Content-Type"));
        let kind = kind.unwrap_or("application/octet-stream").to_owned();
        let content = request.body().to_vec();
        let offered = sdp::body_of(request).map(<[u8]>::to_vec);
        let Some(to) = self.partner(from, &method) else {
            // A PRACK needs a definite answer; other requests with an offer may be retried.
            let status = if method == Method::Prack { 488 } else { 500 };
            return self.reply(cx, from, theirs, status, None, &[("Retry-After", "2")]);
        };
        let mut offer = None;
        let mut body = None;
        if method != Method::Info
            && let Some(offered) = &offered
        {
            let (rewritten, remote) = match self.pass_offer(from, to, offered) {
                Ok(rewritten) => rewritten,
                Err(unusable) => {
                    let listener = self.leg(from).map_or(0, |leg| leg.flow().listener);
                    let warning = unusable.warning(&cx.core.advertised(listener));
                    return self.reply(cx, from, theirs, 488, None, &[("Warning", &warning)]);
                }
            };
            body = Some(rewritten);
            offer = Some(Offer { remote, held: sdp::is_hold(offered) });
        }
        let sent_as = if method == Method::Prack { Method::Update } else { method.clone() };
        let content = match (&body, method == Method::Info && !content.is_empty()) {
            (Some(body), _) => Some(("application/sdp", &body[..])),
            (None, true) => Some((kind.as_str(), &content[..])),
            (None, false) => None,
        };
        let ours = self.leg_mut(to).and_then(|leg| leg.send(&mut cx.wire(), sent_as, content));
        let Some(ours) = ours else {
            let status = if method == Method::Prack { 488 } else { 481 };
            return self.reply(cx, from, theirs, status, None, &[]);
        };
        if let Some(leg) = self.leg(from) {
            leg.trying(&mut cx.wire(), theirs);
        }
        cx.core.transactions.set_owner(theirs, self.leg(from).map(|leg| leg.owner()));
        let delayed = method == Method::Invite && offer.is_none();
        self.passed.push(Passed {
            from,
            theirs,
            to,
            ours,
            method,
            delayed,
            offer,
            answered: false,
        });
    }

    /// The leg that a request from `from` is passed to. Before the answer that is only a leg that
    /// can take an offer in an UPDATE now (RFC 3311 section 5.1).
    fn partner(&self, from: u16, method: &Method) -> Option<u16> {
        if matches!(self.state, State::Connected(_)) {
            return self.opposite(from);
        }
        if *method == Method::Info {
            return None;
        }
        let takes = |number: u16| {
            let leg =
                self.leg(number).filter(|leg| leg.may_offer() && leg.takes_update() != Some(false));
            leg.map(|_| number)
        };
        match from {
            CALLER => {
                let live = self.attempts.iter().filter(|attempt| attempt.is_out());
                live.map(|attempt| attempt.record.number).find_map(takes)
            }
            _ => takes(CALLER),
        }
    }

    pub(super) fn reply(
        &mut self,
        cx: &mut Cx<'_>,
        leg: u16,
        theirs: TransactionId,
        status: u16,
        sdp: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) {
        if let Some(leg) = self.leg_mut(leg) {
            leg.reply(&mut cx.wire(), theirs, status, sdp, headers);
        }
    }

    /// The other side's final response to a passed request.
    pub(super) fn on_passed_response(
        &mut self,
        cx: &mut Cx<'_>,
        to: u16,
        ours: RequestId,
        response: &Message,
    ) {
        let status = response.status();
        let known = |passed: &Passed| (passed.to, passed.ours) == (to, ours) && !passed.answered;
        let Some(at) = self.passed.iter().position(known) else { return };
        let mut passed = self.passed.remove(at);
        if status >= 300 {
            self.refuse_passed(cx, &passed, response);
            if status == 481 && self.connected().is_some() {
                // RFC 3261 section 12.2.1.2: the dialog is gone.
                let (why, causes) = (name::SESSION_TIMEOUT, Causes::ours(41));
                self.end_connected(cx, why, EndedBy::Switch, Some(to), causes);
            }
            return;
        }
        if let Some(offer) = passed.offer.take() {
            self.take_offer(cx, passed.from, offer);
        }
        let body = sdp::body_of(response).filter(|_| passed.method != Method::Info);
        let body = body.and_then(|sdp| self.pass_sdp(cx, to, sdp).ok());
        self.reply(cx, passed.from, passed.theirs, status, body.as_deref(), &[]);
        if passed.method == Method::Invite {
            passed.answered = true;
            self.passed.push(passed);
        }
    }

    /// An offer counts from its answer on; a refused one changes nothing (RFC 3261 section 14.1).
    pub(super) fn take_offer(&mut self, cx: &mut Cx<'_>, from: u16, offer: Offer) {
        if let Some(remote) = offer.remote {
            self.tell_relay(cx, from, remote);
        }
        let trunk = self.winner().map_or(0, |attempt| attempt.vendor.id);
        let State::Connected(connected) = &mut self.state else { return };
        if connected.held != offer.held {
            connected.held = offer.held;
            let kind = if offer.held { EventKind::Held } else { EventKind::Resumed };
            self.tell(cx, kind, trunk, 0);
        }
    }

    /// The other side refused a passed request: returns its code and its cause, without its words.
    fn refuse_passed(&mut self, cx: &mut Cx<'_>, passed: &Passed, response: &Message) {
        // A challenge is addressed to us, not to the other side; and a PRACK's offer cannot be made
        // again.
        let status = match response.status() {
            401 | 407 => 488,
            _ if passed.method == Method::Prack => 488,
            status => status,
        };
        let causes = Causes::of(response);
        let allow: Vec<&str> =
            ALLOW.split(", ").filter(|known| *known != passed.method.as_str()).collect();
        let allow = allow.join(", ");
        let retry =
            crate::retry_after::retry_after(response).map(|after| after.as_secs().to_string());
        let reason = Causes::ours(causes.q850).text();
        let mut headers = Vec::new();
        if status == 405 {
            // Our Allow must not list a method that the other side lacks.
            headers.push(("Allow", allow.as_str()));
        }
        headers.extend(retry.as_deref().filter(|_| status == 500).map(|s| ("Retry-After", s)));
        if causes.q850 > 0 {
            headers.push(("Reason", reason.as_str()));
        }
        self.reply(cx, passed.from, passed.theirs, status, None, &headers);
    }

    /// A passed request got no answer.
    pub(super) fn on_passed_over(&mut self, cx: &mut Cx<'_>, to: u16, ours: RequestId) {
        let known = |passed: &Passed| (passed.to, passed.ours) == (to, ours) && !passed.answered;
        let Some(at) = self.passed.iter().position(known) else { return };
        let passed = self.passed.remove(at);
        self.reply(cx, passed.from, passed.theirs, 408, None, &[]);
    }

    /// A leg is given up: answers the requests that were passed to it.
    pub(super) fn drop_passed(&mut self, cx: &mut Cx<'_>, leg: u16) {
        let (lost, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.passed)
            .into_iter()
            .partition(|passed| passed.to == leg || passed.from == leg);
        self.passed = kept;
        for passed in lost.into_iter().filter(|passed| passed.to == leg && !passed.answered) {
            let status = if passed.method == Method::Prack { 488 } else { 500 };
            self.reply(cx, passed.from, passed.theirs, status, None, &[("Retry-After", "2")]);
        }
    }

    /// The ACK for our 2xx to a re-INVITE came, or will not come any more: passes an answer in it
    /// on.
    pub(super) fn on_passed_ack(
        &mut self,
        cx: &mut Cx<'_>,
        from: u16,
        theirs: TransactionId,
        ack: Option<&Message>,
    ) {
        if self.placed.is_some() && ack.and_then(sdp::body_of).is_some() {
            return self.take_agreed(cx, from);
        }
        let known = |passed: &Passed| (passed.from, passed.theirs) == (from, theirs);
        let Some(at) = self.passed.iter().position(known) else { return };
        let passed = self.passed.remove(at);
        if passed.delayed {
            let body = ack.and_then(sdp::body_of);
            let body = body.and_then(|sdp| self.pass_sdp(cx, from, sdp).ok());
            if let Some(leg) = self.leg_mut(passed.to) {
                leg.acknowledge_request(&mut cx.wire(), passed.ours, body.as_deref());
            }
        }
    }

    /// Cancels a passed re-INVITE.
    pub(super) fn cancel_passed(
        &mut self,
        cx: &mut Cx<'_>,
        from: u16,
        theirs: TransactionId,
        cancel: &Message,
    ) {
        let known = |passed: &&Passed| (passed.from, passed.theirs) == (from, theirs);
        let Some(passed) = self.passed.iter().find(known).filter(|passed| !passed.answered) else {
            return;
        };
        let causes = Causes::of(cancel);
        let reason = (causes != Causes::default()).then(|| causes.or(16).text());
        if let Some(leg) = self.leg(passed.to) {
            leg.cancel_request(&mut cx.wire(), passed.ours, reason.as_deref());
        }
    }
}
