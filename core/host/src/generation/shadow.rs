//! Shadows: builds that are asked the calls' questions on a separate thread, later, and never
//! obeyed.

use crate::build::version::Version;
use crate::error::LoadError;
use crate::generation::trial::Selection;
use crate::guest::verify::Said;
use crate::services::loss::Loss;
use platform::ProcessorSet;
use platform::keep_to;
use policy::{Answer, CallDetails, CallNotes, Context, NotesMark, Pin, PluginStamp, Question};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Questions that may wait for the shadow thread; further ones are skipped and counted.
const WAITING: usize = 4_096;

/// Latest differences that are kept for listing.
const KEPT: usize = 100;

/// Minimum processor time for a shadow's answer, ms; a longer deadline of the plugin applies.
const DEADLINE_MS: u32 = 20;

/// A build beside the live one, and counts of its differing decisions.
pub(crate) struct Shadow {
    version: Arc<Version>,
    pub(crate) selection: Selection,
    counts: Counts,
    kept: Mutex<VecDeque<Difference>>,
}

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    different: AtomicU64,
    lost: AtomicU64,
    faults: AtomicU64,
    left_out: AtomicU64,
}

/// A decision that the shadow would have made differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// UTC milliseconds.
    pub at_ms: u64,
    /// The question.
    pub question: Question,
    /// The live build's answer, which was obeyed.
    pub live: Answer,
    /// The shadow's answer, or its fault as text.
    pub shadow: Result<Answer, String>,
    /// How a call would be lost by it that goes on, such as `challenge`; none if none would.
    pub loss: Option<&'static str>,
}

/// A shadow as `plugin list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowState {
    /// Which build.
    pub stamp: Arc<PluginStamp>,
    /// Which calls.
    pub selection: Selection,
    /// Questions put to it.
    pub asked: u64,
    /// Answers that differ from the live build's.
    pub different: u64,
    /// Those of `different` by which a call would be lost that goes on.
    pub lost: u64,
    /// Questions without an answer.
    pub faults: u64,
    /// Questions skipped because too many waited.
    pub left_out: u64,
}

/// A question for the shadow thread.
struct Job {
    shadow: Arc<Shadow>,
    pin: Pin,
    details: Option<Arc<CallDetails>>,
    question: Question,
    live: Answer,
}

/// The thread that asks shadows; it ends with the last handle.
#[derive(Clone)]
pub(crate) struct ShadowThread {
    jobs: SyncSender<Job>,
}

impl ShadowThread {
    /// `slot` is the instance slot that no signalling thread uses.
    pub(crate) fn start(
        slot: usize,
        housekeeping: Option<ProcessorSet>,
    ) -> Result<ShadowThread, LoadError> {
        let (jobs, waiting) = sync_channel::<Job>(WAITING);
        std::thread::Builder::new()
            .name("policy-shadow".to_owned())
            .spawn(move || {
                keep_to(housekeeping.as_ref());
                waiting.into_iter().for_each(|job| job.shadow.ask(slot, &job));
            })
            .map_err(|cause| LoadError::Engine(format!("no thread for shadows: {cause}")))?;
        Ok(ShadowThread { jobs })
    }

    /// Queues the question that the live build has just answered for the shadow.
    pub(crate) fn compare(
        &self,
        shadow: &Arc<Shadow>,
        context: Context<'_>,
        mark: NotesMark,
        question: &Question,
        live: &Answer,
    ) {
        // The state that the live build met, without what it kept itself.
        let kept = context.pin.notes.kept_before(mark);
        let notes = Arc::new(CallNotes::starting_at(mark.draws, kept));
        let job = Job {
            shadow: Arc::clone(shadow),
            pin: Pin { notes, ..context.pin.clone() },
            details: context.details.cloned(),
            question: question.clone(),
            live: live.clone(),
        };
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(job) {
            shadow.counts.left_out.fetch_add(1, Relaxed);
        }
    }
}

impl Shadow {
    pub(crate) fn new(version: Arc<Version>, selection: Selection) -> Shadow {
        Shadow { version, selection, counts: Counts::default(), kept: Mutex::default() }
    }

    pub(crate) fn version(&self) -> &Arc<Version> {
        &self.version
    }

    pub(crate) fn state(&self) -> ShadowState {
        ShadowState {
            stamp: Arc::clone(&self.version.stamp),
            selection: self.selection.clone(),
            asked: self.counts.asked.load(Relaxed),
            different: self.counts.different.load(Relaxed),
            lost: self.counts.lost.load(Relaxed),
            faults: self.counts.faults.load(Relaxed),
            left_out: self.counts.left_out.load(Relaxed),
        }
    }

    /// The latest differences, newest last.
    pub(crate) fn differences(&self) -> Vec<Difference> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn ask(&self, slot: usize, job: &Job) {
        let watching = self.version.plugin.services.pace.watch();
        let context = Context { pin: &job.pin, details: job.details.as_ref() };
        let deadline_ms = self.version.plugin.settings.deadline_ms.max(DEADLINE_MS);
        let deadline = watching.watched().deadline(deadline_ms);
        let said = self.version.ask(slot, context, &job.question, deadline);
        self.counts.asked.fetch_add(1, Relaxed);
        let answer = match said {
            // It passes the decision on: nothing to compare.
            Ok(Said::Pass) => return,
            Ok(Said::Answer(answer)) if answer == job.live => return,
            Ok(Said::Answer(answer)) => {
                self.counts.different.fetch_add(1, Relaxed);
                Ok(answer)
            }
            Err(fault) => {
                let counts = &self.counts;
                let count = if fault.is_deliberate() { &counts.different } else { &counts.faults };
                count.fetch_add(1, Relaxed);
                Err(fault.to_string())
            }
        };
        let loss = answer.as_ref().ok().and_then(Loss::of);
        let loss = loss.filter(|_| Loss::of(&job.live).is_none()).map(Loss::name);
        if loss.is_some() {
            self.counts.lost.fetch_add(1, Relaxed);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Difference {
            at_ms: platform::utc_ms(),
            question: job.question.clone(),
            live: job.live.clone(),
            shadow: answer,
            loss,
        });
    }
}
