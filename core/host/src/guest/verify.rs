//! Checks a plugin's answer before a call uses it: ranges, lengths, and that no text can break out
//! of a SIP header line, a URI, or the framing of a request.

use crate::wire;
use policy::{Answer, Fault};
use std::net::Ipv6Addr;

/// A plugin's response to a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// An answer.
    Answer(Answer),
    /// Ask the next one of the chain.
    Pass,
}

const NUMBER_LENGTH: usize = 128;
const HEADER_NAME_LENGTH: usize = 64;
const HEADER_VALUE_LENGTH: usize = 2048;
const HEADERS: usize = 64;
const ROUTES: usize = 1000;
const REASON_LENGTH: usize = 64;
const DETAIL_LENGTH: usize = 1024;
const HOST_LENGTH: usize = 255;
const VERSION_LENGTH: usize = 64;

/// Headers that a plugin cannot add, besides `Content-*`: the switch writes them, or they frame the
/// request, belong to the dialog, or promise a feature that only the switch can provide (SIG-80).
const OURS: [&str; 25] = [
    "Allow",
    "Authorization",
    "Call-ID",
    "Contact",
    "CSeq",
    "From",
    "Join",
    "Max-Forwards",
    "MIME-Version",
    "Min-SE",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "Record-Route",
    "Replaces",
    "Require",
    "Route",
    "RSeq",
    "Session-Expires",
    "Supported",
    "Target-Dialog",
    "To",
    "Via",
    "WWW-Authenticate",
];

/// The compact forms of these and of `Content-*` (RFC 3261 section 7.3.3, RFC 4028).
const OURS_COMPACT: &[u8] = b"cefiklmtvx";

type Checked<T> = Result<T, Fault>;

fn nonsense<T>(what: impl Into<String>) -> Checked<T> {
    Err(Fault::Nonsense(what.into()))
}

pub(crate) fn verdict(answer: wire::Verdict) -> Checked<Answer> {
    Ok(Answer::Screen(match answer {
        wire::Verdict::Allow => policy::Verdict::Allow,
        wire::Verdict::Challenge => policy::Verdict::Challenge,
        wire::Verdict::Reject(refusal) => policy::Verdict::Reject(rejection(refusal)?),
        wire::Verdict::Mark(words) => policy::Verdict::Mark(marks(words)?),
    }))
}

pub(crate) fn numbers(answer: Result<wire::Numbers, wire::Rejection>) -> Checked<Answer> {
    Ok(Answer::Number(match answer {
        Err(refusal) => Err(rejection(refusal)?),
        Ok(numbers) => {
            text("caller", &numbers.caller, NUMBER_LENGTH)?;
            text("callee", &numbers.callee, NUMBER_LENGTH)?;
            text("identity", &numbers.identity, NUMBER_LENGTH)?;
            text("route-as", &numbers.route_as, NUMBER_LENGTH)?;
            text("rate-as", &numbers.rate_as, NUMBER_LENGTH)?;
            uri_parameters(&numbers.uri_parameters)?;
            Ok(policy::NumberAnswer {
                caller: numbers.caller.into(),
                callee: numbers.callee.into(),
                identity: numbers.identity.into(),
                route_as: numbers.route_as.into(),
                rate_as: numbers.rate_as.into(),
                uri_parameters: numbers.uri_parameters.into(),
            })
        }
    }))
}

pub(crate) fn charge(answer: Result<wire::Charge, wire::NoCharge>) -> Checked<Said> {
    match answer {
        Err(wire::NoCharge::Pass) => Ok(Said::Pass),
        Err(wire::NoCharge::Failed(words)) => Err(Fault::Refused(shortened(words))),
        Ok(charge) if charge.amount < 0 => nonsense(format!("charge {} is below 0", charge.amount)),
        Ok(charge) => Ok(Said::Answer(Answer::Rate(policy::Charge {
            amount: charge.amount,
            billed_seconds: charge.billed_seconds,
        }))),
    }
}

/// Removes trunks that are not candidates, as a call would. With none left the call ends, so it
/// counts and compares as a rejection, not as an empty list.
pub(crate) fn routes(
    candidates: &[policy::Candidate],
    answer: Result<Vec<u32>, wire::Rejection>,
) -> Checked<Answer> {
    let mut trunks = match answer {
        Err(refusal) => return Ok(Answer::Route(Err(rejection(refusal)?))),
        Ok(trunks) => trunks,
    };
    if trunks.len() > ROUTES {
        return nonsense(format!("{} routes, at most {ROUTES} are tried", trunks.len()));
    }
    let chosen = trunks.len();
    trunks.retain(|trunk| candidates.iter().any(|candidate| candidate.trunk == *trunk));
    if !trunks.is_empty() {
        return Ok(Answer::Route(Ok(trunks)));
    }
    let detail = match chosen {
        0 => "it chose no trunk".to_owned(),
        chosen => format!("none of the {chosen} trunks that it chose is a candidate"),
    };
    Ok(Answer::Route(Err(policy::Rejection {
        code: 503,
        reason: "no_route_available".into(),
        detail: detail.into(),
    })))
}

pub(crate) fn decision(answer: wire::Decision) -> Checked<Said> {
    Ok(Said::Answer(Answer::Advance(match answer {
        wire::Decision::Pass => return Ok(Said::Pass),
        wire::Decision::Next => policy::Advance::Next,
        wire::Decision::Stop => policy::Advance::Stop,
        wire::Decision::StopWith(code) => {
            response_code(code)?;
            policy::Advance::StopWith(code)
        }
    })))
}

pub(crate) fn identity(answer: Result<wire::IdentityAnswer, wire::Rejection>) -> Checked<Answer> {
    let answer = match answer {
        Err(refusal) => return Ok(Answer::Identity(Err(rejection(refusal)?))),
        Ok(answer) => answer,
    };
    text("display", &answer.display, policy::DISPLAY_BYTES)?;
    uri_user(&answer.user)?;
    uri_host(&answer.host)?;
    if answer.headers.len() > HEADERS {
        return nonsense(format!("{} headers, at most {HEADERS} are sent", answer.headers.len()));
    }
    for header in &answer.headers {
        header_name(&header.name)?;
        text(&header.name, &header.value, HEADER_VALUE_LENGTH)?;
    }
    Ok(Answer::Identity(Ok(policy::IdentityAnswer {
        display: answer.display.into(),
        user: answer.user.into(),
        host: answer.host.into(),
        headers: answer.headers.into_iter().map(|header| (header.name, header.value)).collect(),
    })))
}

pub(crate) fn supervision(answer: wire::SupervisionAnswer) -> Checked<Answer> {
    let course = match answer.course {
        wire::Course::GoOn => policy::Course::GoOn,
        wire::Course::Limit(0) => {
            return nonsense("limit of 0 s, allowed is 1 or more; to end the call, say `end`");
        }
        wire::Course::Limit(seconds) => policy::Course::Limit(seconds),
        wire::Course::End(end) => policy::Course::End(ending(end)?),
    };
    Ok(Answer::Supervise(policy::SupervisionAnswer {
        course,
        marks: marks(answer.marks)?,
        ask_again_s: answer.ask_again_s,
    }))
}

fn ending(end: wire::Ending) -> Checked<policy::Ending> {
    reason(&end.reason)?;
    text("detail", &end.detail, DETAIL_LENGTH)?;
    match (end.cause, end.code) {
        (0, 0) => return nonsense("an end names a cause (1 to 127) or a code (400 to 699)"),
        (128.., _) => return nonsense(format!("cause {}, allowed is 1 to 127", end.cause)),
        (_, 0) => {}
        (_, code) => response_code(code)?,
    }
    Ok(policy::Ending {
        reason: end.reason.into(),
        cause: end.cause,
        code: end.code,
        detail: end.detail.into(),
    })
}

fn marks(words: Vec<String>) -> Checked<Vec<policy::Text>> {
    if words.len() > policy::MARKS {
        return nonsense(format!("{} marks, at most {} are kept", words.len(), policy::MARKS));
    }
    for word in &words {
        text("mark", word, NUMBER_LENGTH)?;
    }
    Ok(words.into_iter().map(Into::into).collect())
}

fn rejection(refusal: wire::Rejection) -> Checked<policy::Rejection> {
    response_code(refusal.code)?;
    reason(&refusal.reason)?;
    text("detail", &refusal.detail, DETAIL_LENGTH)?;
    Ok(policy::Rejection {
        code: refusal.code,
        reason: refusal.reason.into(),
        detail: refusal.detail.into(),
    })
}

fn response_code(code: u16) -> Checked<()> {
    if (400..=699).contains(&code) {
        Ok(())
    } else {
        nonsense(format!("response code {code}, allowed is 400 to 699"))
    }
}

/// The version that a build declares; it becomes part of records, metrics and paths.
pub(crate) fn is_version(version: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
    version.len() <= VERSION_LENGTH
        && version.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && version.bytes().all(allowed)
}

/// An end reason in the form of SIG-93: records are counted by it.
fn reason(word: &str) -> Checked<()> {
    bounded("reason", word, REASON_LENGTH)?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    match word.bytes().position(|byte| !allowed(byte)) {
        Some(at) => nonsense(format!("reason has a forbidden character at byte {at}")),
        None => Ok(()),
    }
}

/// `user` of RFC 3261 section 25.1; empty if there is no caller number.
fn uri_user(user: &str) -> Checked<()> {
    if user.is_empty() {
        return Ok(());
    }
    bounded("user", user, NUMBER_LENGTH)?;
    let bytes = user.as_bytes();
    let escape = |at: usize| {
        bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    let allowed = |at: usize, byte: u8| {
        byte.is_ascii_alphanumeric()
            || b"-_.!~*'()&=+$,;?/".contains(&byte)
            || byte == b'%' && escape(at)
    };
    match bytes.iter().enumerate().position(|(at, byte)| !allowed(at, *byte)) {
        Some(at) => nonsense(format!("user has a character that must be escaped at byte {at}")),
        None => Ok(()),
    }
}

/// A host name (some contain `_`), an IPv4 address, or an IPv6 address in brackets.
fn uri_host(host: &str) -> Checked<()> {
    bounded("host", host, HOST_LENGTH)?;
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => nonsense("host is no IPv6 address between its brackets"),
        };
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match host.bytes().position(|byte| !allowed(byte)) {
        Some(at) => nonsense(format!("host has a forbidden character at byte {at}")),
        None => Ok(()),
    }
}

fn bounded(what: &str, value: &str, limit: usize) -> Checked<()> {
    if (1..=limit).contains(&value.len()) {
        Ok(())
    } else {
        nonsense(format!("{what} has {} bytes, allowed is 1 to {limit}", value.len()))
    }
}

/// At most `limit` bytes, without CR, LF or another control character.
fn text(what: &str, value: &str, limit: usize) -> Checked<()> {
    if value.len() > limit {
        return nonsense(format!("{what} has {} bytes, at most {limit} are used", value.len()));
    }
    match value.bytes().position(|byte| byte.is_ascii_control() && byte != b'\t') {
        Some(at) => nonsense(format!("{what} has a control character at byte {at}")),
        None => Ok(()),
    }
}

/// Parameters of a number inside a Request-URI: no character that would end its user part (RFC 3261
/// section 25.1).
fn uri_parameters(value: &str) -> Checked<()> {
    text("uri-parameters", value, HEADER_VALUE_LENGTH)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%".contains(&byte);
    match value.bytes().position(|byte| !allowed(byte)) {
        Some(at) => nonsense(format!("uri-parameters has a forbidden character at byte {at}")),
        None => Ok(()),
    }
}

/// A token of RFC 3261 section 25.1 that is not a header of the switch.
fn header_name(name: &str) -> Checked<()> {
    bounded("a header name", name, HEADER_NAME_LENGTH)?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    if let Some(at) = name.bytes().position(|byte| !token(byte)) {
        return nonsense(format!("header name {name:?} is not a token at byte {at}"));
    }
    if is_ours(name) {
        return nonsense(format!("header {name} is written by the switch alone (SIG-80)"));
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    if let [letter] = name.as_bytes() {
        return OURS_COMPACT.contains(&letter.to_ascii_lowercase());
    }
    let content = |start: &str| start.eq_ignore_ascii_case("Content-");
    name.get(..8).is_some_and(content) || OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// A plugin's own words, cut to the length that a record keeps.
pub(crate) fn shortened(mut words: String) -> String {
    if words.len() > DETAIL_LENGTH {
        let end = (0..=DETAIL_LENGTH).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
        words.truncate(end);
    }
    words.retain(|character| !character.is_control());
    words
}

#[cfg(test)]
mod tests;
