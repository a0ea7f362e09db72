//! A signalling thread's access to the plugins.

use super::asker::{Asker, Shared, chain, nobody};
use super::later::{Asked, Later, is_event};
use super::link::must_answer;
use crate::generation::Generation;
use crate::outside::lane::{at_once, waited};
use crate::services::ticker::ShardWatch;
use policy::{CallFacts, CallOutcome, Context, Pin, Question, Reply};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

/// The plugin instances of one signalling thread. It can be sent to that thread; only that thread
/// may use it.
pub struct ShardHost {
    asker: Asker,
    watch: ShardWatch,
    _one_thread: PhantomData<Cell<()>>,
}

impl ShardHost {
    pub(crate) fn new(shared: Arc<Shared>, number: usize) -> ShardHost {
        let watch = shared.services.pace.shard_watch();
        ShardHost { asker: Asker { shared, number }, watch, _one_thread: PhantomData }
    }

    /// Asks the plugins of the pinned generation, and blocks if one of them waits for an outside
    /// server. It always replies: without a usable answer the reply gives the reason, and the
    /// caller takes the hook's fallback.
    pub fn ask<'a>(&mut self, context: impl Into<Context<'a>>, question: &Question) -> Reply {
        self.begin_here(context.into(), question).wait()
    }

    /// [`ShardHost::ask`] for a thread that must not block: replies at once, unless a plugin of the
    /// chain may wait for an outside server. An event is never put to a plugin on this thread: it
    /// waits in the node's queue.
    pub fn begin<'a>(&mut self, context: impl Into<Context<'a>>, question: &Question) -> Asked {
        let context = context.into();
        if is_event(question) && !chain(context, question).is_empty() {
            return Asked::Later(Later::new(&self.asker, context, question));
        }
        self.begin_here(context, question)
    }

    fn begin_here(&mut self, context: Context<'_>, question: &Question) -> Asked {
        let chain = chain(context, question);
        if chain.iter().any(|live| live.may_wait()) {
            return Asked::Later(Later::new(&self.asker, context, question));
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

    /// Counts how a call went for each build that decided for it.
    pub fn note_outcome(&self, pin: &Pin, call: CallFacts, outcome: &CallOutcome) {
        let Some(generation) = pin.policy.downcast_ref::<Generation>() else { return };
        for live in generation.plugins().values() {
            if pin.notes.has_asked(live.version.plugin.number) {
                live.build_of(call, &pin.notes).tally.note_call(outcome);
            }
        }
    }

    /// Makes the instances of a generation before a call needs them. Call it on this shard's thread
    /// after a swap, between two calls. An instance that cannot be made is reported when a call
    /// asks it.
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

    /// Declares that no question is asked for a while. Watching deadlines wakes a thread every few
    /// milliseconds; this stops it until the next question. Call it before the thread sleeps.
    pub fn rest(&mut self) {
        self.watch.rest();
    }

    /// [`ShardHost::warm`] for the generation that a call arriving now gets.
    pub fn warm_current(&mut self) {
        let generation = self.asker.shared.current.load_full();
        self.warm(&generation);
    }
}
