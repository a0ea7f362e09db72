//! The environment of one instance: its limits and its deadline.

use crate::guest::fault::{DeadlinePassed, LastWords, MemoryDenied};
use crate::plugin::Plugin;
use crate::services::ticker::{COARSE_TICK, Deadline, TICK};
use policy::{CallDetails, CallFacts, CallNotes, Context, Hook, KeptValue, Lookup, Question, Text};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};

/// Bytes that a guest may pass to the host in one answer or one host call; the largest useful
/// answer, 64 headers of 2 KB, is far below.
const BYTES_ACROSS: usize = 1 << 20;

/// Elements of a guest's tables; the default plugins use under a hundred.
const TABLE_ELEMENTS: usize = 20_000;

/// The data of an instance's store.
pub(crate) struct Sandbox {
    pub(crate) plugin: Arc<Plugin>,
    /// The call of the current question.
    pub(crate) asking: Option<Asking>,
    /// Questions so far: the number identifies the question of a handle to call facts.
    pub(crate) questions: u32,
    /// Handles to call facts that the guest has not dropped.
    pub(crate) handles: usize,
    /// Random draws outside a call.
    pub(crate) draws: u32,
    /// Current size of its linear memories together.
    pub(crate) memory_bytes: usize,
    /// The guest's explanation of the trap that follows.
    pub(crate) last_words: LastWords,
    deadline_ms: u32,
    /// When the question was put, or resumed after waiting.
    began: Instant,
    /// Processor time of the thread at the first tick of the question, less the time that the
    /// question may have used before it.
    since: Option<Duration>,
    /// Processor time used before the question waited.
    used: Duration,
}

/// The data of the current call for host functions.
pub(crate) struct Asking {
    pub(crate) hook: Hook,
    pub(crate) call: CallFacts,
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) notes: Arc<CallNotes>,
    pub(crate) details: Option<Arc<CallDetails>>,
    pub(crate) beside: Beside,
}

/// What the plugin said beside its answer; it counts only together with an answer.
#[derive(Default)]
pub(crate) struct Beside {
    /// Keys and values to keep.
    pub(crate) kept: Vec<(Text, Text)>,
    /// Why it answers as it does.
    pub(crate) reason: Option<Text>,
}

impl Sandbox {
    /// A question begins.
    pub(crate) fn open(&mut self, context: Context<'_>, question: &Question) {
        self.questions = self.questions.wrapping_add(1);
        self.asking = Some(Asking {
            hook: question.hook(),
            call: question.call(),
            lookup: Arc::clone(&context.pin.lookup),
            notes: Arc::clone(&context.pin.notes),
            details: context.details.cloned(),
            beside: Beside::default(),
        });
    }

    /// The question is over. With an answer, what the plugin said beside it is kept for the call.
    pub(crate) fn close(&mut self, answered: bool) {
        let Some(Asking { hook, notes, beside, .. }) = self.asking.take().filter(|_| answered)
        else {
            return;
        };
        // An event may be told after the end of its call.
        let Some(notes) = notes.of_call() else { return };
        if !beside.kept.is_empty() {
            let plugin = &self.plugin.name;
            let value = |(key, value)| KeptValue { plugin: Arc::clone(plugin), key, value };
            notes.keep(beside.kept.into_iter().map(value));
        }
        // An event has no answer that could be explained.
        if let Some(reason) = beside.reason.filter(|_| hook != Hook::Events) {
            notes.explain(Arc::clone(&self.plugin.name), reason);
        }
    }

    pub(crate) fn lookup(&self) -> Option<&Arc<dyn Lookup>> {
        self.asking.as_ref().map(|asking| &asking.lookup)
    }

    pub(crate) fn store(engine: &Engine, plugin: &Arc<Plugin>) -> Store<Sandbox> {
        plugin.services.instances.fetch_add(1, Relaxed);
        let mut store = Store::new(
            engine,
            Sandbox {
                plugin: Arc::clone(plugin),
                asking: None,
                questions: 0,
                handles: 0,
                draws: 0,
                memory_bytes: 0,
                last_words: LastWords::default(),
                deadline_ms: plugin.settings.deadline_ms,
                began: Instant::now(),
                since: None,
                used: Duration::ZERO,
            },
        );
        store.limiter(|sandbox| sandbox);
        store.set_hostcall_fuel(BYTES_ACROSS);
        store.epoch_deadline_callback(|mut context| context.data_mut().tick());
        store
    }

    /// The question waits: the thread's work in the meantime does not count.
    pub(crate) fn pause(&mut self) {
        let spent = processor_time();
        self.used += spent.saturating_sub(self.since.unwrap_or(spent));
    }

    /// It continues, perhaps on another thread.
    pub(crate) fn resume(&mut self) {
        self.began = Instant::now();
        self.since = Some(processor_time());
    }

    /// Called at the first epoch tick inside a question and at each further one. A deadline is
    /// processor time of this thread: on a busy machine a thread that was suspended for 20 ms in
    /// the middle of a healthy answer must not lose it.
    fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.plugin.services.pace.hurry();
        let spent = processor_time();
        // Before the first tick only the wall clock was read, and the thread may have been
        // suspended: charge no more than a tick, or half of a short deadline.
        let deadline = Duration::from_millis(u64::from(self.deadline_ms));
        let most = COARSE_TICK.min(deadline / 2);
        let since =
            *self.since.get_or_insert_with(|| spent.saturating_sub(self.began.elapsed().min(most)));
        // The next check is a tick away: stop early rather than late.
        let used = self.used + spent.saturating_sub(since) + TICK / 2;
        if used >= deadline {
            return Err(DeadlinePassed(self.deadline_ms).into());
        }
        Ok(UpdateDeadline::Continue(1))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.plugin.services.instances.fetch_sub(1, Relaxed);
    }
}

/// Starts the deadline of a question.
pub(crate) fn begin(store: &mut Store<Sandbox>, deadline: Deadline<'_>) {
    let sandbox = store.data_mut();
    sandbox.last_words.clear();
    sandbox.deadline_ms = deadline.ms();
    sandbox.began = deadline.from();
    sandbox.since = None;
    sandbox.used = Duration::ZERO;
    store.set_epoch_deadline(1);
}

/// [`begin`] for a question on a fibre: it can continue on another thread, so the processor time is
/// read here and not at the first tick.
pub(crate) fn begin_on_fibre(store: &mut Store<Sandbox>, deadline: Deadline<'_>) {
    begin(store, deadline);
    store.data_mut().since = Some(processor_time());
}

/// Processor time of this thread.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl ResourceLimiter for Sandbox {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = self.plugin.settings.memory_bytes;
        if desired as u64 > limit {
            // A trap rather than a failed grow: guests in C would go on with a null pointer.
            return Err(MemoryDenied { desired, limit }.into());
        }
        self.memory_bytes += desired.saturating_sub(current);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
