//! Decisions without plugins: everyone may call, numbers stay unchanged, a second costs a cent.

use policy::{
    Advance, Answer, AttemptFailure, CallDetails, Charge, FailedBuild, Fault, IdentityAnswer,
    NumberAnswer, Pin, PluginStamp, PrefixHit, Question, Reply, Verdict,
};
use std::sync::Arc;
use std::time::Duration;

/// None: the answer never comes.
type Delay = Box<dyn FnMut(&Question) -> Option<Duration>>;
type Override = Box<dyn FnMut(&Question) -> Option<Result<Answer, Fault>>>;

#[derive(Default)]
pub(crate) struct Policy {
    /// Asked first; none leaves the decision to the default.
    pub(crate) instead: Option<Override>,
    pub(crate) asked: Vec<&'static str>,
    /// The details of the call with each question.
    pub(crate) details: Vec<(&'static str, Arc<CallDetails>)>,
    /// A failure at screening or supervision refuses or ends the call.
    pub(crate) must_screen: bool,
    /// The fault of a build that another one stood in for.
    pub(crate) failed: Option<fn(&Question) -> Option<Fault>>,
    /// Delay of an answer; by default none.
    pub(crate) delay: Option<Delay>,
}

struct NoLookup;

impl policy::Lookup for NoLookup {
    fn text(&self, _: u64) -> Option<Arc<str>> {
        None
    }
    fn longest_prefix(&self, _: &str, _: &str) -> Option<PrefixHit> {
        None
    }
    fn exact(&self, _: &str, _: &str) -> Option<Arc<str>> {
        None
    }
}

/// An empty generation.
pub(crate) fn pin(generation: u64) -> Pin {
    Pin {
        generation,
        policy: Arc::new(()),
        lookup: Arc::new(NoLookup),
        hears_events: true,
        supervised: policy::Supervised::default(),
        wants_details: policy::Hook::ALL.into_iter().collect(),
        notes: Arc::default(),
    }
}

impl Policy {
    pub(crate) fn answer(
        &mut self,
        question: &Question,
        details: Option<Arc<CallDetails>>,
    ) -> Reply {
        if let Some(details) = details.filter(|_| self.details.len() < 1000) {
            self.details.push((question.hook().name(), details));
        }
        if self.asked.len() < 1000 {
            self.asked.push(question.hook().name());
        }
        let outcome = self
            .instead
            .as_mut()
            .and_then(|instead| instead(question))
            .unwrap_or_else(|| Ok(default_answer(question)));
        let failed = self.failed.and_then(|failed| failed(question));
        let instead_of = failed.map(|fault| Box::new(failed_build(fault)));
        Reply {
            rejects: self.must_screen && outcome.is_err(),
            outcome,
            plugin: None,
            nanos: 1000,
            by_previous: instead_of.is_some(),
            instead_of,
            earlier: Vec::new(),
        }
    }
}

fn failed_build(fault: Fault) -> FailedBuild {
    let plugin = Arc::new(PluginStamp {
        name: "routing".into(),
        version: "2.0.0".into(),
        digest: "abcd0123".into(),
    });
    FailedBuild { plugin, fault, nanos: 600 }
}

fn default_answer(question: &Question) -> Answer {
    match question {
        Question::Screen(_) => Answer::Screen(Verdict::Allow),
        Question::Number(q) => Answer::Number(Ok(NumberAnswer {
            caller: q.caller.clone(),
            callee: format!("{}{}", q.tech_prefix, q.callee).into(),
            identity: q.caller.clone(),
            ..NumberAnswer::default()
        })),
        Question::Rate(q) => {
            let seconds = u32::try_from(q.duration_ms.div_ceil(1000)).expect("a short call");
            Answer::Rate(Charge {
                amount: i64::from(seconds) * q.row.price_first / 60,
                billed_seconds: seconds,
            })
        }
        Question::Route(q) => {
            let mut trunks: Vec<_> = q.candidates.iter().map(|c| (c.priority, c.trunk)).collect();
            trunks.sort_unstable();
            Answer::Route(Ok(trunks.into_iter().map(|(_, trunk)| trunk).collect()))
        }
        Question::Advance(q) => Answer::Advance(match (q.failure, q.code) {
            (AttemptFailure::RingTimeout, _) | (_, 486 | 600..=699) => Advance::Stop,
            _ => Advance::Next,
        }),
        Question::Identity(q) => Answer::Identity(Ok(IdentityAnswer {
            display: q.display.clone(),
            user: q.caller_out.clone(),
            host: q.host.clone(),
            headers: vec![(
                "P-Asserted-Identity".to_owned(),
                format!("<sip:{}@{}>", q.identity_out, q.host),
            )],
        })),
        Question::Supervise(_) => Answer::Supervise(policy::SupervisionAnswer::default()),
        Question::Event(_) => Answer::Noted,
    }
}
