use crate::generation::{Bound, Generation};
use crate::host::Inner;
use crate::plugin::LinePass;
use crate::verify::Said;
use policy::{Advance, Answer, Context, Fault, Hook, Question, Reply};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

/// What the previous version may take after the asked one failed, so that both together
/// stay below 10 ms with the default deadline.
const SECOND_DEADLINE_MS: u32 = 3;

/// The plugin instances of one signalling thread. It can be sent to that thread, and used
/// by it only.
pub struct ShardHost {
    host: Arc<Inner>,
    number: usize,
    _one_thread: PhantomData<Cell<()>>,
}

impl ShardHost {
    pub(crate) fn new(host: Arc<Inner>, number: usize) -> ShardHost {
        ShardHost { host, number, _one_thread: PhantomData }
    }

    /// Asks the plugin of the pinned generation. It never fails to reply: where no usable
    /// answer came, the reply says why, and the caller takes the hook's fallback.
    pub fn ask<'a>(&mut self, context: impl Into<Context<'a>>, question: &Question) -> Reply {
        let context = context.into();
        let begun = Instant::now();
        let hook = question.hook();
        let Some(bound) =
            context.pin.policy.downcast_ref().and_then(|it: &Generation| it.bound(hook))
        else {
            return Reply {
                outcome: Err(Fault::Absent),
                plugin: None,
                nanos: nanos_since(begun),
                by_previous: false,
            };
        };
        let plugin = &bound.version.plugin;
        let deadline_ms = plugin.settings.deadline_ms;
        let first =
            bound.version.ask(self.number, context, question, deadline_ms, &self.host.reaper);
        let fault = match first.and_then(|said| settled(said, question)) {
            Ok(answer) => {
                let nanos = nanos_since(begun);
                plugin.stats(hook).note(None, false, nanos);
                return reply(Ok(answer), bound, nanos, false);
            }
            Err(fault) => fault,
        };
        let second = self.ask_previous(bound, context, question);
        let nanos = nanos_since(begun);
        plugin.stats(hook).note(Some(&fault), second.is_some(), nanos);
        self.report(bound, hook, &fault, second.is_some());
        match second {
            Some(answer) => reply(Ok(answer), bound, nanos, true),
            None => reply(Err(fault), bound, nanos, false),
        }
    }

    /// Makes the instances of a generation before a call needs them; call it on this
    /// shard's thread after a swap, between two calls. A plugin that cannot be made is
    /// reported when a call asks it.
    pub fn warm(&mut self, generation: &Generation) {
        for version in generation.versions() {
            if let Err(fault) = version.warm(self.number) {
                tracing::warn!(plugin = %version.stamp, %fault, "instance cannot be made ahead");
            }
        }
    }

    /// [`ShardHost::warm`] for the generation that a call arriving now gets.
    pub fn warm_current(&mut self) {
        let generation = self.host.current.load_full();
        self.warm(&generation);
    }

    fn ask_previous(
        &self,
        bound: &Bound,
        context: Context<'_>,
        question: &Question,
    ) -> Option<Answer> {
        let previous = bound.previous.as_ref()?;
        let deadline_ms = previous.plugin.settings.deadline_ms.min(SECOND_DEADLINE_MS);
        let said = previous.ask(self.number, context, question, deadline_ms, &self.host.reaper);
        said.and_then(|said| settled(said, question)).ok()
    }

    fn report(&self, bound: &Bound, hook: Hook, fault: &Fault, by_previous: bool) {
        let plugin = &bound.version.plugin;
        if plugin.faults_logged.pass(plugin.services.now_ms()) != LinePass::No {
            tracing::warn!(plugin = %bound.version.stamp, %hook, %fault, by_previous, "no usable answer");
        }
    }
}

/// What it means that nobody in the chain wants to decide.
fn settled(said: Said, question: &Question) -> Result<Answer, Fault> {
    match (said, question) {
        (Said::Answer(answer), _) => Ok(answer),
        (Said::Pass, Question::Advance(_)) => Ok(Answer::Advance(Advance::Next)),
        (Said::Pass, _) => Err(Fault::Refused("no plugin decides this".to_owned())),
    }
}

fn reply(outcome: Result<Answer, Fault>, bound: &Bound, nanos: u64, by_previous: bool) -> Reply {
    let who = match &bound.previous {
        Some(previous) if by_previous => previous,
        _ => &bound.version,
    };
    Reply { outcome, plugin: Some(Arc::clone(&who.stamp)), nanos, by_previous }
}

fn nanos_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
