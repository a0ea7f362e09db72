use crate::chain::{Fold, Step, nobody_decided};
use crate::generation::{Generation, Live};
use crate::host::Inner;
use crate::plugin::LinePass;
use crate::verify::Said;
use crate::version::Version;
use policy::{Answer, Context, EarlierStep, Fault, Hook, PluginStamp, Question, Reply};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

/// What another build may take after the asked one failed, so that both together stay
/// below 10 ms with the default deadline.
const SECOND_DEADLINE_MS: u32 = 3;

/// The plugin instances of one signalling thread. It can be sent to that thread, and used
/// by it only.
pub struct ShardHost {
    host: Arc<Inner>,
    number: usize,
    _one_thread: PhantomData<Cell<()>>,
}

/// What one plugin said, and which of its builds.
struct LinkReply<'a> {
    said: Result<Said, Fault>,
    version: &'a Arc<Version>,
    by_other: bool,
    nanos: u64,
}

impl ShardHost {
    pub(crate) fn new(host: Arc<Inner>, number: usize) -> ShardHost {
        ShardHost { host, number, _one_thread: PhantomData }
    }

    /// Asks the plugins of the pinned generation. It never fails to reply: where no usable
    /// answer came, the reply says why, and the caller takes the hook's fallback.
    pub fn ask<'a>(&mut self, context: impl Into<Context<'a>>, question: &Question) -> Reply {
        let context = context.into();
        let begun = Instant::now();
        let chain = match context.pin.policy.downcast_ref() {
            Some(generation) => Generation::chain(generation, question.hook(), question.call()),
            None => &[],
        };
        match chain {
            [] => Reply {
                outcome: Err(Fault::Absent),
                plugin: None,
                nanos: nanos_since(begun),
                by_previous: false,
                earlier: Vec::new(),
            },
            [only] => {
                let reply = self.ask_link(only, context, question);
                let outcome = match reply.said {
                    Ok(Said::Answer(answer)) => Ok(answer),
                    Ok(Said::Pass) => nobody_decided(question).ok_or_else(undecided),
                    Err(fault) => Err(fault),
                };
                Reply {
                    outcome,
                    plugin: Some(Arc::clone(&reply.version.stamp)),
                    nanos: reply.nanos,
                    by_previous: reply.by_other,
                    earlier: Vec::new(),
                }
            }
            chain => self.ask_chain(chain, context, question, begun),
        }
    }

    /// Makes the instances of a generation before a call needs them; call it on this
    /// shard's thread after a swap, between two calls. A plugin that cannot be made is
    /// reported when a call asks it.
    pub fn warm(&mut self, generation: &Generation) {
        for live in generation.plugins().values() {
            let canary = live.canary.as_ref().map(|canary| &canary.version);
            for version in [&live.version].into_iter().chain(canary) {
                if let Err(fault) = version.warm(self.number) {
                    tracing::warn!(plugin = %version.stamp, %fault, "instance cannot be made ahead");
                }
            }
        }
    }

    /// [`ShardHost::warm`] for the generation that a call arriving now gets.
    pub fn warm_current(&mut self) {
        let generation = self.host.current.load_full();
        self.warm(&generation);
    }

    /// Asks several plugins in turn; `chain.rs` says what their answers make together. One
    /// that fails is left out of routing and events; elsewhere its fault is the answer.
    fn ask_chain(
        &self,
        chain: &[Arc<Live>],
        context: Context<'_>,
        question: &Question,
        begun: Instant,
    ) -> Reply {
        let mut fold = Fold::new();
        let mut steps: Vec<EarlierStep> = Vec::with_capacity(chain.len());
        let mut by_previous = false;
        let mut fatal = None;
        for live in chain {
            let reply = self.ask_link(live, context, fold.question(question));
            by_previous |= reply.by_other;
            let mut step = EarlierStep {
                plugin: Arc::clone(&reply.version.stamp),
                outcome: Ok(None),
                nanos: reply.nanos,
            };
            let mut done = false;
            match reply.said {
                Ok(Said::Pass) => {}
                Ok(Said::Answer(answer)) => {
                    step.outcome = Ok(Some(answer.clone()));
                    done = fold.add(question, answer) == Step::Done;
                }
                Err(fault) => {
                    step.outcome = Err(fault.clone());
                    done = !self.goes_on_without(live, question);
                    fatal = done.then_some(fault);
                }
            }
            steps.push(step);
            if done {
                break;
            }
        }
        let last = steps.pop();
        let last_fault = last.as_ref().and_then(|step| step.outcome.as_ref().err()).cloned();
        let outcome = match (fatal, fold.finish()) {
            (Some(fault), _) => Err(fault),
            (None, Some(answer)) => Ok(answer),
            (None, None) => match nobody_decided(question) {
                Some(answer) if last_fault.is_none() => Ok(answer),
                _ => Err(last_fault.unwrap_or_else(undecided)),
            },
        };
        Reply {
            outcome,
            plugin: last.map(|step| step.plugin),
            nanos: nanos_since(begun),
            by_previous,
            earlier: steps,
        }
    }

    /// Whether the chain goes on after this plugin's fault.
    fn goes_on_without(&self, live: &Live, question: &Question) -> bool {
        match question {
            Question::Screen(_) => {
                let fallback = live.version.plugin.settings.screening_fallback;
                fallback == crate::ScreeningFallback::Allow
            }
            Question::Route(_) | Question::Advance(_) | Question::Event(_) => true,
            Question::Number(_) | Question::Rate(_) | Question::Identity(_) => false,
        }
    }

    /// Asks one plugin: its canary if the call is chosen, else the live build; after a
    /// fault the build that stands in for it.
    fn ask_link<'a>(
        &self,
        live: &'a Live,
        context: Context<'_>,
        question: &Question,
    ) -> LinkReply<'a> {
        let begun = Instant::now();
        let hook = question.hook();
        let plugin = &live.version.plugin;
        let deadline_ms = plugin.settings.deadline_ms;
        let first_draw = context.pin.notes.draws();
        let canary = live.canary.as_ref().filter(|canary| {
            canary.version.hooks.contains(&hook)
                && canary.selection.takes(question.call(), &context.pin.notes)
        });
        let version = canary.map_or(&live.version, |canary| &canary.version);
        let said = version.ask(self.number, context, question, deadline_ms);
        let (said, version, by_other) = match said {
            Ok(said) => {
                plugin.stats(hook).note(None, false, nanos_since(begun));
                (Ok(said), version, false)
            }
            Err(fault) => {
                let other = match canary {
                    Some(_) => Some(&live.version),
                    None => live.previous.as_ref().filter(|_| stands_in(hook)),
                };
                let deadline_ms = deadline_ms.min(SECOND_DEADLINE_MS);
                let second = other.and_then(|other| {
                    Some((other.ask(self.number, context, question, deadline_ms).ok()?, other))
                });
                let by_other = second.is_some();
                plugin.stats(hook).note(Some(&fault), by_other, nanos_since(begun));
                self.report(&version.stamp, plugin, hook, &fault, by_other);
                match second {
                    Some((said, other)) => (Ok(said), other, true),
                    None => (Err(fault), version, false),
                }
            }
        };
        let nanos = nanos_since(begun);
        if let (Some(shadow), Ok(Said::Answer(answer))) = (&live.shadow, &said) {
            self.cast_shadow(shadow, context, first_draw, question, answer);
        }
        LinkReply { said, version, by_other, nanos }
    }

    fn cast_shadow(
        &self,
        shadow: &Arc<crate::shadow::Shadow>,
        context: Context<'_>,
        first_draw: u32,
        question: &Question,
        answer: &Answer,
    ) {
        let told = matches!(question, Question::Event(_));
        let hooks = &shadow.version().hooks;
        if !told
            && hooks.contains(&question.hook())
            && shadow.selection.takes(question.call(), &context.pin.notes)
        {
            self.host.shadows.compare(shadow, context, first_draw, question, answer);
        }
    }

    fn report(
        &self,
        stamp: &PluginStamp,
        plugin: &crate::plugin::Plugin,
        hook: Hook,
        fault: &Fault,
        by_other: bool,
    ) {
        if plugin.faults_logged.pass(plugin.services.now_ms()) != LinePass::No {
            tracing::warn!(plugin = %stamp, %hook, %fault, by_other, "no usable answer");
        }
    }
}

/// Hooks whose previous build answers when the live one fails.
fn stands_in(hook: Hook) -> bool {
    matches!(hook, Hook::Rating | Hook::Routing)
}

fn undecided() -> Fault {
    Fault::Refused("no plugin decides this".to_owned())
}

fn nanos_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
