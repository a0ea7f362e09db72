//! The decision trail: which plugin answered what, and how long it took.

use super::{Call, Cx, Step};
use ledger::TrailEntry;
use policy::{Answer, Reply};

impl Call {
    /// Puts a reply on the decision trail.
    pub(super) fn note(&mut self, cx: &mut Cx<'_>, step: Step, reply: &Reply) {
        let hook = match step {
            Step::Screen => policy::Hook::Screening,
            Step::IngressNumber | Step::EgressNumber => policy::Hook::Numbering,
            Step::AdmissionRate | Step::Charge => policy::Hook::Rating,
            Step::Route | Step::Advance => policy::Hook::Routing,
            Step::Identity => policy::Hook::Identity,
        };
        let fault = match &reply.outcome {
            Ok(_) => String::new(),
            Err(fault) => {
                *cx.core.counters.fallbacks.entry(hook.name()).or_default() += 1;
                fault.to_string()
            }
        };
        let answer = match &reply.outcome {
            Ok(answer) => self.describe(answer),
            Err(_) => "fallback".to_owned(),
        };
        let attempt = match step {
            Step::EgressNumber | Step::Identity => self.attempts_sent + 1,
            Step::Advance => self.attempts_sent,
            _ => 0,
        };
        let at_ms = cx.now.instant.saturating_duration_since(self.began).as_millis();
        let at_ms = u32::try_from(at_ms).unwrap_or(u32::MAX);
        for step in &reply.earlier {
            let (answer, fault) = match &step.outcome {
                Ok(Some(answer)) => (self.describe(answer), String::new()),
                Ok(None) => ("pass".to_owned(), String::new()),
                Err(fault) => ("fallback".to_owned(), fault.to_string()),
            };
            self.trail.push(TrailEntry {
                at_ms,
                attempt,
                hook: cx.core.names.hook(hook),
                plugin: cx.core.names.plugin(Some(&step.plugin)),
                answer,
                fault,
                micros: u32::try_from(step.nanos.div_ceil(1000)).unwrap_or(u32::MAX),
            });
        }
        let earlier: u64 = reply.earlier.iter().map(|step| step.nanos).sum();
        let nanos = reply.nanos.saturating_sub(earlier);
        self.trail.push(TrailEntry {
            at_ms,
            attempt,
            hook: cx.core.names.hook(hook),
            plugin: cx.core.names.plugin(reply.plugin.as_ref()),
            answer,
            fault,
            micros: u32::try_from(nanos.div_ceil(1000)).unwrap_or(u32::MAX),
        });
    }

    /// An answer in a few words.
    fn describe(&self, answer: &Answer) -> String {
        let rejection = |r: &policy::Rejection| format!("reject {} {}", r.code, r.reason);
        match answer {
            Answer::Screen(policy::Verdict::Allow) => "allow".to_owned(),
            Answer::Screen(policy::Verdict::Challenge) => "challenge".to_owned(),
            Answer::Screen(policy::Verdict::Mark(words)) => format!("mark {}", words.join(" ")),
            Answer::Screen(policy::Verdict::Reject(r)) => rejection(r),
            Answer::Number(Ok(numbers)) => format!("{} -> {}", numbers.caller, numbers.callee),
            Answer::Number(Err(r)) | Answer::Route(Err(r)) | Answer::Identity(Err(r)) => {
                rejection(r)
            }
            Answer::Rate(charge) => format!(
                "{} for {} s",
                ledger::Money(i128::from(charge.amount)),
                charge.billed_seconds
            ),
            Answer::Route(Ok(trunks)) => {
                let name = |id: &u32| {
                    let trunk = self.world.vendors.get(id);
                    trunk.map_or_else(|| id.to_string(), |trunk| trunk.name.to_string())
                };
                trunks.iter().map(name).collect::<Vec<_>>().join(", ")
            }
            Answer::Advance(policy::Advance::Next) => "next".to_owned(),
            Answer::Advance(policy::Advance::Stop) => "stop".to_owned(),
            Answer::Advance(policy::Advance::StopWith(code)) => format!("stop with {code}"),
            Answer::Identity(Ok(identity)) => format!("{}@{}", identity.user, identity.host),
            Answer::Noted => String::new(),
        }
    }
}
