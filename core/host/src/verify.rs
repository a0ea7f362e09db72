//! What a plugin answers is checked before a call uses it: ranges, lengths, and that
//! nothing can break out of a SIP header line.

use crate::wire;
use policy::{Answer, Fault};

/// What a plugin said to a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// This.
    Answer(Answer),
    /// Ask the next one of the chain.
    Pass,
}

const NUMBER_LENGTH: usize = 128;
const HEADER_NAME_LENGTH: usize = 64;
const HEADER_VALUE_LENGTH: usize = 2048;
const HEADERS: usize = 64;
const ROUTES: usize = 1000;
const MARKS: usize = 64;
const REASON_LENGTH: usize = 64;
const DETAIL_LENGTH: usize = 1024;
const DISPLAY_LENGTH: usize = 256;

type Checked<T> = Result<T, Fault>;

fn nonsense<T>(what: impl Into<String>) -> Checked<T> {
    Err(Fault::Nonsense(what.into()))
}

pub(crate) fn verdict(answer: wire::Verdict) -> Checked<Answer> {
    Ok(Answer::Screen(match answer {
        wire::Verdict::Allow => policy::Verdict::Allow,
        wire::Verdict::Challenge => policy::Verdict::Challenge,
        wire::Verdict::Reject(refusal) => policy::Verdict::Reject(rejection(refusal)?),
        wire::Verdict::Mark(words) => {
            if words.len() > MARKS {
                return nonsense(format!("{} marks, at most {MARKS} are kept", words.len()));
            }
            for word in &words {
                text("mark", word, NUMBER_LENGTH)?;
            }
            policy::Verdict::Mark(words.into_iter().map(Into::into).collect())
        }
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

pub(crate) fn routes(answer: Result<Vec<u32>, wire::Rejection>) -> Checked<Answer> {
    match answer {
        Err(refusal) => Ok(Answer::Route(Err(rejection(refusal)?))),
        Ok(trunks) if trunks.len() > ROUTES => {
            nonsense(format!("{} routes, at most {ROUTES} are tried", trunks.len()))
        }
        Ok(trunks) => Ok(Answer::Route(Ok(trunks))),
    }
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
    text("display", &answer.display, DISPLAY_LENGTH)?;
    text("user", &answer.user, NUMBER_LENGTH)?;
    text("host", &answer.host, DISPLAY_LENGTH)?;
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

fn rejection(refusal: wire::Rejection) -> Checked<policy::Rejection> {
    response_code(refusal.code)?;
    text("reason", &refusal.reason, REASON_LENGTH)?;
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

/// Parameters of a number inside a Request-URI: nothing that ends its user part (RFC 3261
/// section 25.1).
fn uri_parameters(value: &str) -> Checked<()> {
    text("uri-parameters", value, HEADER_VALUE_LENGTH)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%".contains(&byte);
    match value.bytes().position(|byte| !allowed(byte)) {
        Some(at) => nonsense(format!("uri-parameters has a forbidden character at byte {at}")),
        None => Ok(()),
    }
}

/// A token of RFC 3261 section 25.1.
fn header_name(name: &str) -> Checked<()> {
    if name.is_empty() || name.len() > HEADER_NAME_LENGTH {
        return nonsense(format!(
            "a header name has {} bytes, allowed is 1 to {HEADER_NAME_LENGTH}",
            name.len()
        ));
    }
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    match name.bytes().position(|byte| !token(byte)) {
        Some(at) => nonsense(format!("header name {name:?} is not a token at byte {at}")),
        None => Ok(()),
    }
}

/// A plugin's own words, cut to what a record keeps.
pub(crate) fn shortened(mut words: String) -> String {
    if words.len() > DETAIL_LENGTH {
        let end = (0..=DETAIL_LENGTH).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
        words.truncate(end);
    }
    words.retain(|character| !character.is_control());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why<T: std::fmt::Debug>(result: Checked<T>) -> String {
        match result {
            Err(Fault::Nonsense(words)) => words,
            other => panic!("should be nonsense, is {other:?}"),
        }
    }

    fn refusal(code: u16) -> wire::Rejection {
        wire::Rejection { code, reason: "caller_barred".into(), detail: String::new() }
    }

    #[test]
    fn a_rejection_carries_a_final_failure_code() {
        assert!(verdict(wire::Verdict::Reject(refusal(403))).is_ok());
        assert_eq!(
            why(verdict(wire::Verdict::Reject(refusal(200)))),
            "response code 200, allowed is 400 to 699"
        );
        assert_eq!(
            why(decision(wire::Decision::StopWith(700))),
            "response code 700, allowed is 400 to 699"
        );
    }

    #[test]
    fn a_line_break_cannot_reach_the_wire() {
        let numbers_with = |callee: &str| wire::Numbers {
            caller: String::new(),
            callee: callee.into(),
            identity: String::new(),
            route_as: String::new(),
            rate_as: String::new(),
            uri_parameters: String::new(),
        };
        assert!(numbers(Ok(numbers_with("4930123"))).is_ok());
        assert_eq!(
            why(numbers(Ok(numbers_with("49\r\nVia: evil")))),
            "callee has a control character at byte 2"
        );
        assert_eq!(
            why(numbers(Ok(numbers_with(&"1".repeat(129))))),
            "callee has 129 bytes, at most 128 are used"
        );
    }

    #[test]
    fn parameters_cannot_end_the_number() {
        assert!(uri_parameters("rn=+12025550100;npdi").is_ok());
        assert!(uri_parameters("rn=1@evil.example").is_err());
        assert!(uri_parameters("rn=1>").is_err());
    }

    #[test]
    fn a_header_name_is_a_token() {
        assert!(header_name("P-Asserted-Identity").is_ok());
        assert!(header_name("").is_err());
        assert!(header_name("X-A:").is_err());
        assert!(header_name("X A").is_err());
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let cut = shortened("é".repeat(1000));
        assert_eq!(cut.len(), 1024);
        assert_eq!(shortened("a\nb".into()), "ab");
    }
}
