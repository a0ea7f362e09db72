//! The types of `wit/v0.1/policy.wit` as the engine lowers and lifts them.
//!
//! Questions borrow from [`policy`] types, so that a string is copied only once: from the call into
//! the guest. Answers are owned. Names follow the WIT file.
//!
//! `unsafe_code` is allowed only in this folder, because the engine's derives expand to
//! `unsafe impl`. They check each type against the component's own when a function is looked up,
//! and no unsafe code here is written by hand.
#![allow(unsafe_code)]

mod accounts;
mod answer;
mod convert;
mod host;
mod http;
#[cfg(test)]
pub(crate) mod next;
mod question;

pub(crate) use accounts::{Owner, Price, Standing};
pub(crate) use answer::{
    Charge, Course, Decision, Description, Ending, Header, IdentityAnswer, NoCharge, Numbers,
    Rejection, RuleProblem, SupervisionAnswer, Verdict,
};
pub(crate) use host::{CallNumbers, LogLevel, PastAttempt, Statistics, TableHit};
pub(crate) use http::{HttpError, HttpMethod, HttpRequest, HttpResponse};
pub(crate) use question::{
    Call, Candidate, DeckRow, Event, IdentityQuestion, NumberQuestion, Outcome, Rounding,
    RouteQuestion, ScreenQuestion, Subject, SupervisionQuestion,
};
