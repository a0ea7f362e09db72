//! The decision trail: each plugin's answer, and how long it took.

use super::pipeline::Step;
use super::{Call, Cx};
use crate::media::LegCounters;
use compact_str::{ToCompactString as _, format_compact};
use ledger::{Text, TrailEntry};
use policy::{Answer, FailedBuild, Fault, KeptValue, Reply};
use std::sync::Arc;
use std::time::Instant;

/// Most supervision answers that a trail keeps.
const MOST_SUPERVISED: usize = 64;
/// Number of entries after which a trail no longer notes slices of talk.
const MOST_ENTRIES: usize = 256;
/// Bytes of faults that a trail keeps in full; after that it keeps their beginnings.
const MOST_FAULTS: usize = 8 << 10;
/// Most bytes of a fault that the trail has in full already, or has no room for.
const FAULT_BEGINS: usize = 128;

impl Call {
    /// Adds a reply to the decision trail. Supervision questions may be many: the first answer is
    /// noted, and each that differs from the one before. For slices of talk, only questions that a
    /// build failed to answer are noted.
    pub(super) fn note(&mut self, cx: &mut Cx<'_>, step: Step, attempt: u16, reply: &Reply) {
        let hook = match step {
            Step::Screen => policy::Hook::Screening,
            Step::IngressNumber | Step::EgressNumber => policy::Hook::Numbering,
            Step::AdmissionRate | Step::Slice | Step::Charge => policy::Hook::Rating,
            Step::Route | Step::Advance => policy::Hook::Routing,
            Step::Identity => policy::Hook::Identity,
            Step::Supervise => policy::Hook::Supervision,
        };
        let fault = match &reply.outcome {
            Ok(_) => Text::default(),
            Err(fault) => {
                *cx.core.counters.fallbacks.entry(hook.name()).or_default() += 1;
                self.fault_text(fault)
            }
        };
        let mut answer = match &reply.outcome {
            Ok(answer) => self.describe(answer),
            Err(_) => "fallback".into(),
        };
        if reply.outcome.is_ok()
            && let Some(stamp) = &reply.plugin
        {
            self.explain(&stamp.name, &mut answer);
        }
        let answered = fault.is_empty() && reply.instead_of.is_none();
        if step == Step::Slice && (answered || self.trail.len() >= MOST_ENTRIES) {
            return;
        }
        if step == Step::Supervise {
            let own = self.trail.iter().filter(|entry| *entry.hook == *hook.name());
            let same = own
                .clone()
                .next_back()
                .is_some_and(|last| last.answer == answer && same_fault(&last.fault, &fault));
            if (same && reply.instead_of.is_none()) || own.count() >= MOST_SUPERVISED {
                return;
            }
        }
        let at_ms = cx.now.instant.saturating_duration_since(self.began).as_millis();
        let at_ms = u32::try_from(at_ms).unwrap_or(u32::MAX);
        for step in &reply.earlier {
            let failed = step.instead_of.as_deref();
            self.note_failed(cx, (at_ms, attempt, hook), failed);
            let (mut answer, fault) = match &step.outcome {
                Ok(Some(answer)) => (self.describe(answer), Text::default()),
                Ok(None) => ("pass".into(), Text::default()),
                Err(fault) => ("fallback".into(), self.fault_text(fault)),
            };
            self.explain(&step.plugin.name, &mut answer);
            let nanos = step.nanos.saturating_sub(failed.map_or(0, |failed| failed.nanos));
            self.trail.push(TrailEntry {
                at_ms,
                attempt,
                hook: cx.core.names.hook(hook),
                plugin: cx.core.names.plugin(Some(&step.plugin)),
                answer,
                fault,
                micros: micros(nanos),
            });
        }
        let failed = reply.instead_of.as_deref();
        self.note_failed(cx, (at_ms, attempt, hook), failed);
        let earlier: u64 = reply.earlier.iter().map(|step| step.nanos).sum();
        let nanos = reply.nanos.saturating_sub(earlier + failed.map_or(0, |failed| failed.nanos));
        self.trail.push(TrailEntry {
            at_ms,
            attempt,
            hook: cx.core.names.hook(hook),
            plugin: cx.core.names.plugin(reply.plugin.as_ref()),
            answer,
            fault,
            micros: micros(nanos),
        });
    }

    /// Appends the plugin's own explanation to the short form of its answer.
    fn explain(&self, plugin: &str, answer: &mut Text) {
        if let Some(reason) = self.pin.notes.take_reason(plugin) {
            answer.push_str(if answer.is_empty() { "" } else { ": " });
            answer.push_str(&reason);
        }
    }

    /// Notes on the trail the values that plugins kept for the call.
    pub(super) fn note_kept(&mut self, now: Instant) {
        for KeptValue { plugin, key, value } in self.pin.notes.kept_at_last() {
            let at_ms = now.saturating_duration_since(self.began).as_millis();
            let mut answer = format_compact!("{key} = {value}");
            answer.retain(|character| !character.is_control());
            self.trail.push(TrailEntry {
                at_ms: u32::try_from(at_ms).unwrap_or(u32::MAX),
                attempt: 0,
                hook: Arc::from("kept"),
                plugin,
                answer,
                fault: Text::default(),
                micros: 0,
            });
        }
    }

    /// Notes a build that failed, before the entry of the build that answered in its place.
    fn note_failed(
        &mut self,
        cx: &mut Cx<'_>,
        (at_ms, attempt, hook): (u32, u16, policy::Hook),
        failed: Option<&FailedBuild>,
    ) {
        let Some(FailedBuild { plugin, fault, nanos }) = failed else { return };
        self.trail.push(TrailEntry {
            at_ms,
            attempt,
            hook: cx.core.names.hook(hook),
            plugin: cx.core.names.plugin(Some(plugin)),
            answer: "other build asked".into(),
            fault: self.fault_text(fault),
            micros: micros(*nanos),
        });
    }

    /// A fault for the trail: in full the first time, while there is room.
    fn fault_text(&self, fault: &Fault) -> Text {
        let mut text = fault.to_compact_string();
        let kept: usize = self.trail.iter().map(|entry| entry.fault.len()).sum();
        if kept + text.len() > MOST_FAULTS || self.trail.iter().any(|entry| entry.fault == text) {
            text.truncate(text.floor_char_boundary(FAULT_BEGINS));
        }
        text
    }

    /// Notes on the trail that a side of the relay was taken over (MEDIA-11): the source heard
    /// after that may not be the party of the call.
    pub(super) fn note_takeovers(&mut self, cx: &mut Cx<'_>, side: &str, counters: &LegCounters) {
        if counters.takeovers == 0 {
            return;
        }
        let at_ms = cx.now.instant.saturating_duration_since(self.began).as_millis();
        self.trail.push(TrailEntry {
            at_ms: u32::try_from(at_ms).unwrap_or(u32::MAX),
            attempt: self.attempts_sent,
            hook: Arc::from("media"),
            plugin: cx.core.names.plugin(None),
            answer: format_compact!("{side} taken over {} times", counters.takeovers),
            fault: Text::default(),
            micros: 0,
        });
    }

    /// A short form of an answer.
    fn describe(&self, answer: &Answer) -> Text {
        let rejection = |r: &policy::Rejection| format_compact!("reject {} {}", r.code, r.reason);
        match answer {
            Answer::Screen(policy::Verdict::Allow) => "allow".into(),
            Answer::Screen(policy::Verdict::Challenge) => "challenge".into(),
            Answer::Screen(policy::Verdict::Mark(words)) => {
                format_compact!("mark {}", words.join(" "))
            }
            Answer::Screen(policy::Verdict::Reject(r)) => rejection(r),
            Answer::Number(Ok(numbers)) => concat(&[&numbers.caller, " -> ", &numbers.callee]),
            Answer::Number(Err(r)) | Answer::Route(Err(r)) | Answer::Identity(Err(r)) => {
                rejection(r)
            }
            Answer::Rate(charge) => {
                let amount = ledger::Money(i128::from(charge.amount)).text();
                let mut seconds = itoa::Buffer::new();
                concat(&[&amount, " for ", seconds.format(charge.billed_seconds), " s"])
            }
            Answer::Route(Ok(trunks)) => {
                let mut names = Text::default();
                for id in trunks {
                    names.push_str(if names.is_empty() { "" } else { ", " });
                    match self.world.vendors.get(id) {
                        Some(trunk) => names.push_str(&trunk.name),
                        None => names.push_str(&id.to_compact_string()),
                    }
                }
                names
            }
            Answer::Advance(policy::Advance::Next) => "next".into(),
            Answer::Advance(policy::Advance::Stop) => "stop".into(),
            Answer::Advance(policy::Advance::StopWith(code)) => format_compact!("stop with {code}"),
            Answer::Identity(Ok(identity)) => concat(&[&identity.user, "@", &identity.host]),
            Answer::Supervise(answer) => answer.to_compact_string(),
            Answer::Noted => Text::default(),
        }
    }
}

/// Whether one is the other, or its beginning.
fn same_fault(one: &Text, other: &Text) -> bool {
    one == other || (!other.is_empty() && one.starts_with(other.as_str()))
}

fn micros(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1000)).unwrap_or(u32::MAX)
}

fn concat(parts: &[&str]) -> Text {
    let mut text = Text::with_capacity(parts.iter().map(|part| part.len()).sum());
    text.extend(parts.iter().copied());
    text
}
