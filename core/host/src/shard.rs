use crate::Fallback;
use crate::chain::{Fold, Step, nobody_decided};
use crate::generation::{Generation, Live};
use crate::host::Inner;
use crate::lane::{at_once, waited};
use crate::later::{Asked, Later};
use crate::plugin::{LinePass, Plugin, Services};
use crate::ticker::{Deadline, ShardWatch, Watched};
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
    asker: Asker,
    watch: ShardWatch,
    _one_thread: PhantomData<Cell<()>>,
}

/// Who puts questions to plugins: a shard, or threads for questions that wait.
#[derive(Clone)]
pub(crate) struct Asker {
    host: Arc<Inner>,
    /// Whose instances are asked, of plugins that never wait.
    number: usize,
}

/// Whom a question to one plugin goes to.
struct Link<'a> {
    live: &'a Live,
    /// The build that is asked.
    version: &'a Arc<Version>,
    /// The one that is asked after its fault.
    other: Option<&'a Arc<Version>>,
    begun: Instant,
    /// Random draws of the call before.
    first_draw: u32,
}

impl<'a> Link<'a> {
    fn new(live: &'a Live, context: Context<'_>, question: &Question) -> Link<'a> {
        let begun = Instant::now();
        let hook = question.hook();
        let canary = live.canary.as_ref().filter(|canary| {
            canary.version.hooks.contains(&hook)
                && canary.selection.takes(question.call(), &context.pin.notes)
        });
        let (version, other) = match canary {
            Some(canary) => (&canary.version, Some(&live.version)),
            None => (&live.version, live.previous.as_ref().filter(|_| stands_in(hook))),
        };
        Link { live, version, other, begun, first_draw: context.pin.notes.draws() }
    }

    /// Whom to ask after what the first build said. That it should decide and cannot is a
    /// decision of its own, which no other build overrules.
    fn stand_in(&self, first: &Result<Said, Fault>) -> Option<&'a Arc<Version>> {
        self.other.filter(|_| matches!(first, Err(fault) if !fault.is_deliberate()))
    }

    /// The clock is read once for all who want to know: reading it is a tenth of what a
    /// short question takes.
    fn deadline<'w>(&self, watched: Watched<'w>) -> Deadline<'w> {
        watched.deadline_from(self.live.version.plugin.settings.deadline_ms, self.begun)
    }

    fn second_deadline<'w>(&self, watched: Watched<'w>) -> Deadline<'w> {
        watched.deadline(self.live.version.plugin.settings.deadline_ms.min(SECOND_DEADLINE_MS))
    }
}

/// What one plugin said, and which of its builds.
struct LinkReply<'a> {
    said: Result<Said, Fault>,
    version: &'a Arc<Version>,
    by_other: bool,
    nanos: u64,
}

impl LinkReply<'_> {
    /// As the reply of a chain of one.
    fn reply(self, question: &Question) -> Reply {
        let rejects = self.said.is_err() && must_answer(&self.version.plugin, question);
        let outcome = match self.said {
            Ok(Said::Answer(answer)) => Ok(answer),
            Ok(Said::Pass) => nobody_decided(question).ok_or_else(undecided),
            Err(fault) => Err(fault),
        };
        Reply {
            outcome,
            plugin: Some(Arc::clone(&self.version.stamp)),
            nanos: self.nanos,
            by_previous: self.by_other,
            rejects,
            earlier: Vec::new(),
        }
    }
}

impl ShardHost {
    pub(crate) fn new(host: Arc<Inner>, number: usize) -> ShardHost {
        let watch = host.services.pace.shard_watch();
        ShardHost { asker: Asker { host, number }, watch, _one_thread: PhantomData }
    }

    /// Asks the plugins of the pinned generation, and waits where one of them waits for a
    /// server outside. It never fails to reply: where no usable answer came, the reply says
    /// why, and the caller takes the hook's fallback.
    pub fn ask<'a>(&mut self, context: impl Into<Context<'a>>, question: &Question) -> Reply {
        self.begin(context, question).wait()
    }

    /// [`ShardHost::ask`] for a thread that must not wait: replies at once, unless a plugin
    /// that is to be asked may wait for a server outside.
    pub fn begin<'a>(&mut self, context: impl Into<Context<'a>>, question: &Question) -> Asked {
        let context = context.into();
        let chain = chain(context, question);
        if chain.iter().any(|live| live.may_wait()) {
            let number = self.asker.host.shards();
            let asker = Asker { host: Arc::clone(&self.asker.host), number };
            return Asked::Later(Later::new(asker, context, question));
        }
        let watched = self.watch.arm();
        if let [only] = chain {
            let link = self.asker.ask_link_at_once(watched, only, context, question);
            return Asked::Now(link.reply(question));
        }
        let reply = at_once(self.asker.ask_all(watched, chain, context, question));
        Asked::Now(reply.unwrap_or_else(|| Reply {
            rejects: chain.iter().any(|live| must_answer(&live.version.plugin, question)),
            ..nobody(waited(), Instant::now())
        }))
    }

    /// Makes the instances of a generation before a call needs them; call it on this
    /// shard's thread after a swap, between two calls. A plugin that cannot be made is
    /// reported when a call asks it.
    pub fn warm(&mut self, generation: &Generation) {
        let watched = self.watch.arm();
        for live in generation.plugins().values() {
            let canary = live.canary.as_ref().map(|canary| &canary.version);
            for version in [&live.version].into_iter().chain(canary) {
                if let Err(fault) = version.warm(self.asker.number, watched) {
                    tracing::warn!(plugin = %version.stamp, %fault, "instance cannot be made ahead");
                }
            }
        }
    }

    /// Says that nothing is asked for a while: until the next question no deadline needs
    /// watching, which wakes a thread every few milliseconds. Call it before the thread sleeps.
    pub fn rest(&mut self) {
        self.watch.rest();
    }

    /// [`ShardHost::warm`] for the generation that a call arriving now gets.
    pub fn warm_current(&mut self) {
        let generation = self.asker.host.current.load_full();
        self.warm(&generation);
    }
}

impl Asker {
    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.host.services
    }

    pub(crate) async fn ask(
        &self,
        watched: Watched<'_>,
        context: Context<'_>,
        question: &Question,
    ) -> Reply {
        self.ask_all(watched, chain(context, question), context, question).await
    }

    async fn ask_all(
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

    /// Asks several plugins in turn; `chain.rs` says what their answers make together. One
    /// that fails is left out of screening, routing, supervision and events; elsewhere its fault is the answer.
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
            rejects,
            earlier: steps,
        }
    }

    /// Asks one plugin: its canary if the call is chosen, else the live build; after a
    /// fault the build that stands in for it.
    async fn ask_link<'a>(
        &self,
        watched: Watched<'_>,
        live: &'a Live,
        context: Context<'_>,
        question: &Question,
    ) -> LinkReply<'a> {
        let link = Link::new(live, context, question);
        let first = self.put(link.version, context, question, link.deadline(watched)).await;
        let second = match link.stand_in(&first) {
            Some(other) => {
                Some(self.put(other, context, question, link.second_deadline(watched)).await)
            }
            None => None,
        };
        self.settle(link, context, question, first, second)
    }

    /// [`Asker::ask_link`] of a plugin that never waits, without the room of a future.
    fn ask_link_at_once<'a>(
        &self,
        watched: Watched<'_>,
        live: &'a Live,
        context: Context<'_>,
        question: &Question,
    ) -> LinkReply<'a> {
        let link = Link::new(live, context, question);
        let deadline = link.deadline(watched);
        let first = link.version.ask(self.number, context, question, deadline);
        let second = link
            .stand_in(&first)
            .map(|other| other.ask(self.number, context, question, link.second_deadline(watched)));
        self.settle(link, context, question, first, second)
    }

    /// Counts, reports and compares what a plugin said, and what its other build said after a
    /// fault.
    fn settle<'a>(
        &self,
        link: Link<'a>,
        context: Context<'_>,
        question: &Question,
        first: Result<Said, Fault>,
        second: Option<Result<Said, Fault>>,
    ) -> LinkReply<'a> {
        let Link { live, version, other, .. } = link;
        let plugin = &live.version.plugin;
        let hook = question.hook();
        let nanos = nanos_since(link.begun);
        let by_other = matches!(second, Some(Ok(_)));
        plugin.stats(hook).note(first.as_ref().err(), by_other, nanos);
        if let Err(fault) = &first {
            self.report(&version.stamp, plugin, hook, fault, by_other);
        }
        let (said, version) = match (second, other) {
            (Some(Ok(said)), Some(other)) => (Ok(said), other),
            _ => (first, version),
        };
        if let (Some(shadow), Ok(Said::Answer(answer))) = (&live.shadow, &said) {
            self.cast_shadow(shadow, context, link.first_draw, question, answer);
        }
        LinkReply { said, version, by_other, nanos }
    }

    /// Asks a build in its own way.
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
        plugin: &Plugin,
        hook: Hook,
        fault: &Fault,
        by_other: bool,
    ) {
        let held = match plugin.faults_logged.pass(plugin.services.now_ms()) {
            LinePass::No => return,
            LinePass::Yes => 0,
            LinePass::YesAfter(held) => held,
        };
        tracing::warn!(plugin = %stamp, %hook, %fault, by_other, held, "no usable answer");
    }
}

/// Whom the call asks, in the generation that it pinned.
fn chain<'a>(context: Context<'a>, question: &Question) -> &'a [Arc<Live>] {
    match context.pin.policy.downcast_ref() {
        Some(generation) => Generation::chain(generation, question.hook(), question.call()),
        None => &[],
    }
}

fn nobody(fault: Fault, begun: Instant) -> Reply {
    Reply {
        outcome: Err(fault),
        plugin: None,
        nanos: nanos_since(begun),
        by_previous: false,
        rejects: false,
        earlier: Vec::new(),
    }
}

/// Whether a call is refused that this plugin does not screen, or ended that it does not
/// supervise, as the operator chose for it.
fn must_answer(plugin: &Plugin, question: &Question) -> bool {
    matches!(question, Question::Screen(_) | Question::Supervise(_))
        && plugin.settings.fallback == Fallback::Reject
}

/// Whether a chain goes on after a plugin's fault, unless it must answer.
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
