//! Ladder diagrams: the messages as the agents saw them.

use sip::Message;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Longest label with codecs that fits on an arrow beside ` + SDP`, in characters.
const LONGEST: usize = 18;

/// Direction of a message, seen from the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The agent sent it.
    Sent,
    /// The agent received it.
    Received,
}

#[derive(Debug)]
struct Rung {
    at: Instant,
    agent: String,
    side: Side,
    call_id: String,
    callee: String,
    label: String,
}

/// A recording shared by the agents of a scene.
#[derive(Debug)]
pub(crate) struct Ladder {
    start: Instant,
    rungs: Mutex<Vec<Rung>>,
}

impl Default for Ladder {
    fn default() -> Self {
        Ladder { start: Instant::now(), rungs: Mutex::default() }
    }
}

impl Ladder {
    pub(super) fn note(&self, agent: &str, side: Side, message: &Message) {
        let uri = if message.is_request() { message.uri() } else { message.to().uri() };
        let callee = sip::UriRef::parse(uri).ok().and_then(|uri| uri.user()).unwrap_or_default();
        let label = if message.is_request() {
            message.method().as_str().to_owned()
        } else {
            format!("{} {}", message.status(), message.reason_phrase())
        };
        let (_, method) = message.cseq();
        // A response to a method other than INVITE names the method.
        let label = match (message.is_request(), method.as_str()) {
            (false, method) if method != "INVITE" => format!("{label} ({method})"),
            _ => label,
        };
        let label = match described(message) {
            Some(codecs) if label.len() + codecs.len() > LONGEST => {
                format!("{} + SDP{codecs}", message.status())
            }
            Some(codecs) => format!("{label} + SDP{codecs}"),
            None => label,
        };
        self.push(agent, side, message.call_id(), callee, label);
    }

    /// A line without a message, such as the amount of audio.
    pub(super) fn remark(&self, agent: &str, call_id: &str, text: String) {
        self.push(agent, Side::Sent, call_id, "", format!("[{text}]"));
    }

    fn push(&self, agent: &str, side: Side, call_id: &str, callee: &str, label: String) {
        let rung = Rung {
            at: Instant::now(),
            agent: agent.to_owned(),
            side,
            call_id: call_id.to_owned(),
            callee: callee.to_owned(),
            label,
        };
        self.rungs.lock().unwrap_or_else(PoisonError::into_inner).push(rung);
    }

    /// Draws all legs whose INVITE was for a number ending in `callee`: the caller on the left, the
    /// switch in the middle, each leg's vendor on the right.
    #[must_use]
    pub(crate) fn draw(&self, caller: &str, switch: &str, callee: &str) -> String {
        let rungs = self.rungs.lock().unwrap_or_else(PoisonError::into_inner);
        let legs: Vec<&str> = rungs
            .iter()
            .filter(|rung| rung.label.starts_with("INVITE") && rung.callee.ends_with(callee))
            .map(|rung| rung.call_id.as_str())
            .collect();
        let mut shown: Vec<&Rung> =
            rungs.iter().filter(|rung| legs.contains(&rung.call_id.as_str())).collect();
        shown.sort_by_key(|rung| rung.at);
        let origin = shown.first().map_or(self.start, |rung| rung.at);
        let mut out = String::new();
        let _ = writeln!(out, "{:>9}  {caller:<29}{switch:<29}vendor", "ms");
        for rung in shown {
            let ms = rung.at.saturating_duration_since(origin).as_secs_f64() * 1000.0;
            if rung.agent == caller {
                let arrow = arrow(&rung.label, rung.side == Side::Sent);
                let _ = writeln!(out, "{ms:>9.1}  |{arrow}|{:28}|", "");
            } else {
                let arrow = arrow(&rung.label, rung.side == Side::Received);
                let _ = writeln!(out, "{ms:>9.1}  |{:28}|{arrow}| {}", "", rung.agent);
            }
        }
        out
    }
}

/// The codecs of an SDP, each after a space; `None` without SDP.
fn described(message: &Message) -> Option<String> {
    let description = sip::SessionDescription::parse(message.body()).ok()?;
    let (_, audio) = description.first_audio()?;
    let codecs = audio.payload_types.iter().map(|codec| format!(" {}", codec.name));
    Some(codecs.collect())
}

/// `----- INVITE + SDP ------->`, 28 characters wide.
fn arrow(label: &str, to_the_right: bool) -> String {
    if label.starts_with('[') {
        return format!("{label:^28}");
    }
    let line = format!("{:-^26}", format!(" {label} "));
    if to_the_right { format!("-{line}>") } else { format!("<{line}-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_shows_both_legs_of_one_call_only() {
        let ladder = Ladder::default();
        let invite = |call_id: &str, user: &str| {
            let text = format!(
                "INVITE sip:{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa\r\n\
                 From: <sip:1@127.0.0.1>;tag=a\r\nTo: <sip:{user}@127.0.0.1>\r\nCall-ID: {call_id}\r\n\
                 CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            );
            Message::parse(text.as_bytes()).unwrap()
        };
        ladder.note("caller", Side::Sent, &invite("one", "4930123"));
        ladder.note("vendor-a", Side::Received, &invite("two", "0123"));
        ladder.note("vendor-a", Side::Received, &invite("three", "0999"));
        let drawn = ladder.draw("caller", "strowger", "123");
        assert_eq!(drawn.matches("INVITE").count(), 2, "{drawn}");
        assert!(drawn.contains("> vendor-a") || drawn.contains("| vendor-a"), "{drawn}");
    }
}
