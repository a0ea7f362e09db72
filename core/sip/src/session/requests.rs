//! The common part of both sides' requests inside the dialog, and their end.

use super::{ALLOW, EXTENSIONS, Leg, Wire};
use crate::header_name::Known;
use crate::{Message, MessageBuilder, TransactionId, reason_phrase};

/// Media type of a session description.
pub(super) const SDP: &str = "application/sdp";

impl<U: Copy> Leg<U> {
    /// Ends the dialog: requests of ours are not resent, requests of the peer get 487.
    pub(super) fn stop(&mut self, wire: &mut Wire<'_, U>) {
        self.timer.stop();
        self.waiting.clear();
        for ours in std::mem::take(&mut self.ours) {
            let Some(id) = ours.client else { continue };
            if ours.ack_due {
                self.send_ack(wire, id, ours.cseq, None);
            } else {
                wire.transactions.abandon(wire.now, id);
            }
            wire.transactions.set_owner(id, None);
        }
        for theirs in std::mem::take(&mut self.theirs) {
            if !theirs.answered {
                self.respond(wire, theirs.id, &theirs.request, 487, &[]);
            }
            wire.transactions.set_owner(theirs.id, None);
        }
    }

    /// Sends a response without Contact, session timer or body.
    pub(super) fn respond(
        &self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        request: &Message,
        status: u16,
        headers: &[(&str, &str)],
    ) {
        let mut builder = MessageBuilder::response_to(request, status, reason_phrase(status));
        for (name, value) in headers {
            builder = builder.header_of(name, &[value]);
        }
        wire.transactions.respond(wire.now, id, status, builder.finish());
    }

    /// Sends 200 to OPTIONS inside the dialog (RFC 3261 section 11.2).
    pub(super) fn tell_abilities(
        &self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        request: &Message,
    ) {
        let supported = EXTENSIONS.join(", ");
        let headers = [
            ("Allow", ALLOW),
            ("Accept", SDP),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", &supported),
        ];
        self.respond(wire, id, request, 200, &headers);
    }
}

/// Whether the sender of a message accepts UPDATE; `None` if the message has no Allow.
pub(super) fn allows_update(message: &Message) -> Option<bool> {
    let mut methods = message.values(Known::Allow).peekable();
    methods.peek()?;
    Some(methods.any(|method| method.eq_ignore_ascii_case("UPDATE")))
}
