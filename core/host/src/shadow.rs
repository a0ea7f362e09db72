//! Shadows: a build that is asked what calls ask, aside and later, and never obeyed.

use crate::processors::keep_to;
use crate::trial::Selection;
use crate::verify::Said;
use crate::version::Version;
use crate::{LoadError, ProcessorSet};
use policy::{Answer, CallDetails, CallNotes, Context, Pin, PluginStamp, Question};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Questions that may wait for the shadow thread; more are left out and counted.
const WAITING: usize = 4_096;

/// Differences that are kept to be listed.
const KEPT: usize = 100;

/// Processor time of a shadow's answer when the plugin has no longer one, ms.
const DEADLINE_MS: u32 = 20;

/// A build beside the live one, and how often it would have decided otherwise.
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
    faults: AtomicU64,
    left_out: AtomicU64,
}

/// A decision that the shadow would have made otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// UTC milliseconds.
    pub at_ms: u64,
    /// What was asked.
    pub question: Question,
    /// What the live build answered; it was obeyed.
    pub live: Answer,
    /// What the shadow answered, or its fault in words.
    pub shadow: Result<Answer, String>,
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
    /// Answered otherwise than the live build.
    pub different: u64,
    /// Not answered.
    pub faults: u64,
    /// Left out because too many waited.
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

    /// Has the shadow asked what the live build has just answered.
    pub(crate) fn compare(
        &self,
        shadow: &Arc<Shadow>,
        context: Context<'_>,
        first_draw: u32,
        question: &Question,
        live: &Answer,
    ) {
        let notes = Arc::new(CallNotes::starting_at(first_draw));
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
            // It would have left the decision to others: nothing to compare.
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
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Difference {
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            question: job.question.clone(),
            live: job.live.clone(),
            shadow: answer,
        });
    }
}
