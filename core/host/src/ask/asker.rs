//! Puts questions to the plugins of a chain, one after the other.

use super::events::EventQueue;
use super::fold::{Fold, Step, nobody_decided};
use super::later::is_event;
use super::link::{Link, LinkReply, must_answer, undecided};
use crate::build::version::Version;
use crate::generation::Generation;
use crate::generation::live::Live;
use crate::generation::shadow::{Shadow, ShadowThread};
use crate::guest::verify::Said;
use crate::plugin::{LinePass, Plugin, Services};
use crate::services::loss::Loss;
use crate::services::ticker::{Deadline, Ticker, Watched};
use arc_swap::ArcSwap;
use policy::{Answer, Context, EarlierStep, FailedBuild, Fault, Hook, NotesMark, Question, Reply};
use std::sync::Arc;
use std::time::Instant;

/// State that all askers share: the plugins of new calls and the services.
pub(crate) struct Shared {
    pub(crate) services: Arc<Services>,
    pub(crate) current: ArcSwap<Generation>,
    pub(crate) shadows: ShadowThread,
    pub(crate) events: EventQueue,
    /// Number of signalling threads.
    pub(crate) shards: usize,
    /// Keeps the epoch thread, and so every deadline, running as long as plugins can be asked.
    pub(crate) _ticker: Ticker,
}

/// Puts questions to plugins: for a shard, or for the threads of questions that wait.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(super) shared: Arc<Shared>,
    /// The shard whose instances are asked, of plugins that never wait.
    pub(super) number: usize,
}

impl Asker {
    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.shared.services
    }

    pub(crate) async fn ask(
        &self,
        watched: Watched<'_>,
        context: Context<'_>,
        question: &Question,
    ) -> Reply {
        self.ask_all(watched, chain(context, question), context, question).await
    }

    pub(super) async fn ask_all(
        &self,
        watched: Watched<'_>,
        chain: &[Arc<Live>],
        context: Context<'_>,
        question: &Question,
    ) -> Reply {
        match chain {
            [] => nobody(Fault::Absent, Instant::now()),
            [only] => self.ask_link(watched, only, context, question).await.reply(question),
            chain => self.ask_chain(watched, chain, context, question).await,
        }
    }

    /// Asks several plugins in turn; `fold.rs` combines their answers. A plugin that fails is
    /// skipped for screening, routing, supervision and events; for other hooks its fault is the
    /// answer.
    async fn ask_chain(
        &self,
        watched: Watched<'_>,
        chain: &[Arc<Live>],
        context: Context<'_>,
        question: &Question,
    ) -> Reply {
        let begun = Instant::now();
        let mut fold = Fold::new();
        let mut steps: Vec<EarlierStep> = Vec::with_capacity(chain.len());
        let (mut by_previous, mut rejects) = (false, false);
        let mut fatal = None;
        for live in chain {
            let reply = self.ask_link(watched, live, context, fold.question(question)).await;
            by_previous |= reply.instead_of.is_some();
            let mut step = EarlierStep {
                plugin: Arc::clone(&reply.version.stamp),
                outcome: Ok(None),
                nanos: reply.nanos,
                instead_of: reply.instead_of,
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
                    rejects = must_answer(&live.version.plugin, question);
                    done = rejects || !goes_on_without(question);
                    fatal = done.then_some(fault);
                }
            }
            steps.push(step);
            if done {
                break;
            }
        }
        let mut last = steps.pop();
        let last_fault = last.as_ref().and_then(|step| step.outcome.as_ref().err()).cloned();
        let instead_of = last.as_mut().and_then(|step| step.instead_of.take());
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
            instead_of,
            rejects,
            earlier: steps,
        }
    }

    /// Asks one plugin: its canary if the call is selected, else the live build; after a fault, the
    /// build that stands in for it.
    async fn ask_link<'a>(
        &self,
        watched: Watched<'_>,
        live: &'a Live,
        context: Context<'_>,
        question: &Question,
    ) -> LinkReply<'a> {
        // Nobody waits for an event, so it may wait for its place.
        let outside = live.version.plugin.outside.as_ref().filter(|_| live.may_wait());
        let _place = match outside {
            Some(outside) if is_event(question) => outside.enter_later(Hook::Events).await,
            _ => None,
        };
        let link = Link::new(live, context, question);
        let first = self.put(link.version, context, question, link.deadline(watched)).await;
        let second = match link.stand_in(&first) {
            Some(other) => {
                let nanos = nanos_since(link.begun);
                let deadline = link.second_deadline(watched);
                Some((self.put(other, context, question, deadline).await, nanos))
            }
            None => None,
        };
        self.settle(link, context, question, first, second)
    }

    /// [`Asker::ask_link`] of a plugin that never waits, without the size of a future.
    pub(super) fn ask_link_at_once<'a>(
        &self,
        watched: Watched<'_>,
        live: &'a Live,
        context: Context<'_>,
        question: &Question,
    ) -> LinkReply<'a> {
        let link = Link::new(live, context, question);
        let deadline = link.deadline(watched);
        let first = link.version.ask(self.number, context, question, deadline);
        let second = link.stand_in(&first).map(|other| {
            let nanos = nanos_since(link.begun);
            (other.ask(self.number, context, question, link.second_deadline(watched)), nanos)
        });
        self.settle(link, context, question, first, second)
    }

    /// Counts, logs and compares the answer of a plugin, and that of its other build after a fault,
    /// with the time that the first one took.
    fn settle<'a>(
        &self,
        link: Link<'a>,
        context: Context<'_>,
        question: &Question,
        first: Result<Said, Fault>,
        second: Option<(Result<Said, Fault>, u64)>,
    ) -> LinkReply<'a> {
        let Link { live, version, other, .. } = link;
        let plugin = &live.version.plugin;
        let hook = question.hook();
        let nanos = nanos_since(link.begun);
        let by_other = matches!(second, Some((Ok(_), _)));
        let stats = plugin.stats(hook);
        stats.note(first.as_ref().err(), by_other, nanos);
        if let Ok(Said::Answer(answer)) = &first
            && let Some(loss) = Loss::of(answer)
        {
            stats.note_loss(loss);
        }
        if !is_event(question) {
            version.tally.note_time(nanos);
            if sets_up(question) && context.pin.notes.first_asks(plugin.number) {
                version.tally.begin_call();
            }
        }
        // A plugin that is left out was reported when that began.
        if let Err(fault) = &first
            && !matches!(fault, Fault::LeftOut(_))
        {
            self.report(version, plugin, hook, fault, by_other);
        }
        let (said, version, instead_of) = match (first, second, other) {
            (Err(fault), Some((Ok(said), nanos)), Some(other)) => {
                let failed = FailedBuild { plugin: Arc::clone(&version.stamp), fault, nanos };
                (Ok(said), other, Some(Box::new(failed)))
            }
            (first, ..) => (first, version, None),
        };
        if let (Some(shadow), Ok(Said::Answer(answer))) = (&live.shadow, &said) {
            self.cast_shadow(shadow, context, link.mark, question, answer);
        }
        LinkReply { said, version, instead_of, nanos }
    }

    /// Asks a build, on a fibre or directly.
    async fn put(
        &self,
        version: &Arc<Version>,
        context: Context<'_>,
        question: &Question,
        deadline: Deadline<'_>,
    ) -> Result<Said, Fault> {
        if version.on_fibre() {
            // On the heap: the future of a question that never waits stays small.
            Box::pin(version.ask_on_fibre(context, question, deadline)).await
        } else {
            version.ask(self.number, context, question, deadline)
        }
    }

    fn cast_shadow(
        &self,
        shadow: &Arc<Shadow>,
        context: Context<'_>,
        mark: NotesMark,
        question: &Question,
        answer: &Answer,
    ) {
        let told = is_event(question);
        let hooks = &shadow.version().hooks;
        if !told
            && hooks.contains(&question.hook())
            && shadow.selection.takes(question.call(), &context.pin.notes)
        {
            self.shared.shadows.compare(shadow, context, mark, question, answer);
        }
    }

    fn report(
        &self,
        version: &Version,
        plugin: &Plugin,
        hook: Hook,
        fault: &Fault,
        by_other: bool,
    ) {
        plugin.note_fault(&version.stamp, hook, fault);
        let held = match plugin.faults_logged.pass(plugin.services.now_ms()) {
            LinePass::No => return,
            LinePass::Yes => 0,
            LinePass::YesAfter(held) => held,
        };
        tracing::warn!(plugin = %version.stamp, %hook, %fault, by_other, held, "no usable answer");
    }
}

/// The chain of the call, in the generation that it pinned.
pub(super) fn chain<'a>(context: Context<'a>, question: &Question) -> &'a [Arc<Live>] {
    match context.pin.policy.downcast_ref() {
        Some(generation) => Generation::chain(generation, question.hook(), question.call()),
        None => &[],
    }
}

pub(super) fn nobody(fault: Fault, begun: Instant) -> Reply {
    Reply {
        outcome: Err(fault),
        plugin: None,
        nanos: nanos_since(begun),
        by_previous: false,
        instead_of: None,
        rejects: false,
        earlier: Vec::new(),
    }
}

/// Whether a chain continues after a plugin's fault, unless that plugin must answer.
fn goes_on_without(question: &Question) -> bool {
    match question {
        Question::Screen(_)
        | Question::Route(_)
        | Question::Advance(_)
        | Question::Supervise(_)
        | Question::Event(_) => true,
        Question::Number(_) | Question::Rate(_) | Question::Identity(_) => false,
    }
}

/// Whether a caller's call asks this before it is answered. Calls that the switch places itself have
/// no customer trunk.
fn sets_up(question: &Question) -> bool {
    match question {
        Question::Screen(_)
        | Question::Number(_)
        | Question::Route(_)
        | Question::Advance(_)
        | Question::Identity(_) => question.call().trunk > 0,
        Question::Rate(rate) => !rate.subject.is_final && rate.call.trunk > 0,
        Question::Supervise(_) | Question::Event(_) => false,
    }
}

fn nanos_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
