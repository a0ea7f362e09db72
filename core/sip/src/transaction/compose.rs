//! The two requests that the transaction layer builds itself: CANCEL, and ACK for a
//! final response other than 2xx.

use crate::{Message, MessageBuilder, Method};

/// ACK for a 300-699 (RFC 3261 17.1.1.3): Request-URI, top Via, From, Call-ID, CSeq number
/// and Route of the INVITE, To of the response. None if `invite` is not a request.
pub(super) fn ack(invite: &[u8], response: &Message) -> Option<Vec<u8>> {
    let invite = Message::parse(invite).ok()?;
    let to = response.header("To")?;
    Some(sibling(&invite, &Method::Ack, to)?.finish())
}

/// CANCEL of an INVITE (RFC 3261 9.1), with the value of a Reason header if there is one
/// (RFC 3326). None if `invite` is not a request.
pub(super) fn cancel(invite: &[u8], reason: Option<&str>) -> Option<Vec<u8>> {
    let invite = Message::parse(invite).ok()?;
    let to = invite.header("To")?;
    let mut cancel = sibling(&invite, &Method::Cancel, to)?;
    if let Some(reason) = reason {
        cancel = cancel.header("Reason", reason);
    }
    Some(cancel.finish())
}

/// A request of the INVITE's own transaction.
fn sibling(invite: &Message, method: &Method, to: &str) -> Option<MessageBuilder> {
    let mut request = MessageBuilder::request(method, invite.uri())
        .header("Via", invite.headers("Via").next()?)
        .header("Max-Forwards", 70);
    for route in invite.headers("Route") {
        request = request.header("Route", route);
    }
    let (number, _) = invite.cseq();
    Some(
        request
            .header("From", invite.header("From")?)
            .header("To", to)
            .header("Call-ID", invite.call_id())
            .header("CSeq", format_args!("{number} {}", method.as_str())),
    )
}
