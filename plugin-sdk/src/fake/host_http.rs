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
}

pub(crate) fn fetch(request: &Request) -> Result<Response, Error> {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let line = format!("{method} {}", request.url);
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
            Some(Err(HttpError::Refused(why))) => Err(Error::Refused(why)),
            Some(Err(HttpError::Failed(how))) => Err(Error::Failed(how)),
            Some(Err(HttpError::Timeout)) => Err(Error::Timeout),
            Some(Err(HttpError::Busy)) => Err(Error::Busy),
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
