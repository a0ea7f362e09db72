//! External servers in native tests.

use super::STATE;
pub(crate) use crate::bindings::host::strowger::policy::host_http::{
    Error, Method, Request, Response,
};
use crate::bindings::host::strowger::policy::types::Header;
use crate::host::http::{HttpError, Response as Answer};
use std::collections::{HashMap, VecDeque};

#[derive(Default)]
pub(super) struct Http {
    /// Answers by URL; the last one of several is repeated.
    pub(super) answers: HashMap<String, VecDeque<Result<Answer, HttpError>>>,
    /// Requests sent, as `METHOD URL`.
    pub(super) sent: Vec<String>,
    /// Time and content of the cached answers.
    cached: HashMap<String, (u64, Answer)>,
    /// Requests left to the switch.
    pub(super) left: Vec<LeftRequest>,
    /// What the switch says to such requests; none: it takes them.
    pub(super) left_error: Option<HttpError>,
}

/// A request that a plugin left to the switch with `send_later`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftRequest {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The URL.
    pub url: String,
    /// Name and value of each header line.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The limit of one attempt, ms.
    pub timeout_ms: u32,
}

/// Limits of the switch for each request.
const URL_BYTES: usize = 2_048;
const BODY_BYTES: usize = 64 << 10;
const HEADERS: usize = 64;
const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 1..=5_000;

pub(crate) fn send(request: &Request) -> Result<(), Error> {
    let refused = |words: String| Err(Error::Refused(words));
    if !TIMEOUT_MS.contains(&request.timeout_ms) {
        return refused(format!("timeout-ms is {}, allowed is 1 to 5000", request.timeout_ms));
    }
    if request.url.len() > URL_BYTES {
        return refused(format!("the URL has {} bytes, at most {URL_BYTES}", request.url.len()));
    }
    if !request.url.starts_with("http://") && !request.url.starts_with("https://") {
        return refused("the URL does not begin with http:// or https://".to_owned());
    }
    if request.body.len() > BODY_BYTES {
        return refused(format!("the body has {} bytes, at most {BODY_BYTES}", request.body.len()));
    }
    if request.headers.len() > HEADERS {
        return refused(format!("{} headers, at most {HEADERS}", request.headers.len()));
    }
    STATE.with_borrow_mut(|state| {
        if let Some(error) = &state.http.left_error {
            return Err(wired_error(error.clone()));
        }
        let headers = request.headers.iter();
        state.http.left.push(LeftRequest {
            method: name(request.method),
            url: request.url.clone(),
            headers: headers.map(|line| (line.name.clone(), line.value.clone())).collect(),
            body: request.body.clone(),
            timeout_ms: request.timeout_ms,
        });
        Ok(())
    })
}

fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
    }
}

fn wired_error(error: HttpError) -> Error {
    match error {
        HttpError::Refused(why) => Error::Refused(why),
        HttpError::Failed(how) => Error::Failed(how),
        HttpError::Timeout => Error::Timeout,
        HttpError::Busy => Error::Busy,
    }
}

pub(crate) fn fetch(request: &Request) -> Result<Response, Error> {
    let line = format!("{} {}", name(request.method), request.url);
    let key = format!("{line} {:?} {:?}", request.headers, request.body);
    STATE.with_borrow_mut(|state| {
        let (now, http) = (state.now_ms, &mut state.http);
        let age = u64::from(request.cache_s) * 1000;
        if let Some((at, answer)) = http.cached.get(&key)
            && age > 0
            && now <= at + age
        {
            return Ok(wired(answer, true));
        }
        http.sent.push(line);
        let Some(answers) = http.answers.get_mut(&request.url) else {
            return Err(Error::Failed("cannot connect".to_owned()));
        };
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        match next {
            Some(Ok(answer)) => {
                if matches!(answer.status, 200..=299 | 404) {
                    http.cached.insert(key, (now, answer.clone()));
                }
                Ok(wired(&answer, false))
            }
            Some(Err(error)) => Err(wired_error(error)),
            None => Err(Error::Failed("cannot connect".to_owned())),
        }
    })
}

fn wired(answer: &Answer, cached: bool) -> Response {
    let lines = answer.headers.iter().cloned();
    Response {
        status: answer.status,
        headers: lines.map(|(name, value)| Header { name, value }).collect(),
        body: answer.body.clone(),
        cached,
    }
}

#[cfg(test)]
mod tests {
    use crate::FakeHost;
    use crate::host::http::{self, HttpError};

    #[test]
    fn requests_that_are_left_to_the_switch_are_kept_for_the_test() {
        let switch = FakeHost::install();
        let post = || http::post("http://hooks.example.com/", "{}").header("X-Key", "k");
        assert_eq!(post().timeout_ms(700).send_later(), Ok(()));
        let left = switch.http_left();
        assert_eq!((left.len(), left[0].method, left[0].timeout_ms), (1, "POST", 700));
        assert_eq!(left[0].headers, [("X-Key".to_owned(), "k".to_owned())]);
        assert_eq!(left[0].body, b"{}");
        switch.http_left_error(Some(HttpError::Busy));
        assert_eq!(post().send_later(), Err(HttpError::Busy));
        switch.http_left_error(None);
        for wrong in [
            http::get("ftp://hooks.example.com/"),
            http::post("http://hooks.example.com/", vec![0; (64 << 10) + 1]),
            post().timeout_ms(5_001),
        ] {
            assert!(matches!(wrong.send_later(), Err(HttpError::Refused(_))));
        }
        assert!(switch.http_sent().is_empty() && switch.http_left().len() == 1);
    }
}
