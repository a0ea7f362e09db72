//! The end of a session: BYE, also for unwanted answers.

use super::login::Login;
use super::{Leg, Phase, Wire};
use crate::{Dialog, Flow, Message, Method, ResendSchedule, TransactionId};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A BYE whose response may be a challenge (SIG-53); its leg and its call may already be over.
#[derive(Debug, Serialize, Deserialize)]
pub struct Farewell {
    dialog: Dialog,
    flow: Flow,
    login: Box<Login>,
    reason: CompactString,
    schedule: Arc<ResendSchedule>,
}

impl Farewell {
    fn send<U: Copy>(&mut self, wire: &mut Wire<'_, U>) -> TransactionId {
        let uri = self.dialog.remote_target().to_owned();
        let request = self.dialog.request(&Method::Bye);
        let mut bye =
            wire.with_via(request, self.flow.listener).header_of("Reason", &[&self.reason]);
        bye = self.login.sign(bye, &Method::Bye, &uri, wire.rng);
        wire.transactions.request(wire.now, self.flow, bye.finish(), &self.schedule)
    }

    /// Handles the response to the BYE: if it is a challenge, sends the BYE again and returns the
    /// new transaction.
    pub fn on_response<U: Copy>(
        &mut self,
        wire: &mut Wire<'_, U>,
        response: &Message,
    ) -> Option<TransactionId> {
        let again = matches!(response.status(), 401 | 407) && self.login.take(response);
        again.then(|| self.send(wire))
    }
}

/// Sends ACK and BYE for an unwanted 2xx to our INVITE (SIG-07, SIG-08); `leg` is the leg that sent
/// the INVITE, if it still exists. Returns where the BYE went, and the BYE itself if its response
/// may be a challenge.
pub fn decline_answer<U: Copy>(
    wire: &mut Wire<'_, U>,
    id: TransactionId,
    flow: Flow,
    response: &Message,
    reason: &str,
    leg: Option<&Leg<U>>,
) -> (Flow, Option<(TransactionId, Box<Farewell>)>) {
    // The response repeats everything that we need of our INVITE.
    let mut dialog = Dialog::uac(response, response);
    let (cseq, _) = response.cseq();
    // Not the source of the response, which may have come through a proxy (RFC 3261
    // section 13.2.2.4).
    let flow = wire.hop(&dialog, flow);
    let mut ack = wire.with_via(dialog.ack(cseq), flow.listener);
    let login = leg.and_then(|leg| leg.login.clone());
    if let Some(login) = &login {
        ack = login.sign_ack(ack);
    }
    wire.transactions.ack(wire.now, id, flow, ack.finish());
    let schedule = wire.transactions.standard_schedule();
    if let Some(login) = login {
        let mut bye = Farewell { dialog, flow, login, reason: reason.into(), schedule };
        let id = bye.send(wire);
        return (flow, Some((id, Box::new(bye))));
    }
    let builder = dialog.request(&Method::Bye);
    let bye = wire.with_via(builder, flow.listener).header_of("Reason", &[reason]).finish();
    wire.transactions.request(wire.now, flow, bye, &schedule);
    (flow, None)
}

impl<U: Copy> Leg<U> {
    /// Ends the session with BYE; `reason` is the value of its Reason header (RFC 3326). If the
    /// peer's ACK is still missing, the BYE waits for it. Returns the BYE if its response may be a
    /// challenge.
    pub fn hang_up(
        &mut self,
        wire: &mut Wire<'_, U>,
        reason: &str,
    ) -> Option<(TransactionId, Box<Farewell>)> {
        let Phase::Up(up) = &mut self.phase else { return None };
        if up.unacknowledged && !up.we_called {
            up.bye = Some(reason.into());
            self.stop(wire);
            return None;
        }
        if up.unacknowledged {
            self.acknowledge(wire, None);
        }
        self.send_bye(wire, reason)
    }

    /// Ends the session without a message: the peer has ended it, or is gone.
    pub fn end(&mut self, wire: &mut Wire<'_, U>) {
        self.stop(wire);
        self.phase = Phase::Over;
    }

    pub(super) fn send_bye(
        &mut self,
        wire: &mut Wire<'_, U>,
        reason: &str,
    ) -> Option<(TransactionId, Box<Farewell>)> {
        self.stop(wire);
        let flow = self.hop(wire);
        let Phase::Up(mut up) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return None;
        };
        let schedule = wire.transactions.standard_schedule();
        if let Some(login) = self.login.take() {
            let dialog = up.dialog;
            let mut bye = Farewell { dialog, flow, login, reason: reason.into(), schedule };
            let id = bye.send(wire);
            return Some((id, Box::new(bye)));
        }
        let builder = up.dialog.request(&Method::Bye);
        let bye = wire.with_via(builder, flow.listener).header_of("Reason", &[reason]).finish();
        wire.transactions.request(wire.now, flow, bye, &schedule);
        None
    }
}
