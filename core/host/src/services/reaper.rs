//! Work that no call's thread should do. Freeing an instance's memory takes a tenth of a
//! millisecond, so instances are dropped here; small instances that answer only one question
//! (`isolation = "per-call"`) are cheaper to drop in place. Instances that are slow to make are
//! made here.

use crate::error::LoadError;
use platform::{ProcessorSet, keep_to};
use std::sync::mpsc::{Sender, channel};

type Work = Box<dyn FnOnce() + Send>;

/// A handle to the thread; the thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct Reaper {
    sender: Sender<Work>,
}

impl Reaper {
    pub(crate) fn start(housekeeping: Option<ProcessorSet>) -> Result<Reaper, LoadError> {
        let (sender, receiver) = channel::<Work>();
        std::thread::Builder::new()
            .name("policy-reaper".to_owned())
            .spawn(move || {
                keep_to(housekeeping.as_ref());
                receiver.into_iter().for_each(|work| work());
            })
            .map_err(|cause| LoadError::Engine(format!("no thread for the reaper: {cause}")))?;
        Ok(Reaper { sender })
    }

    /// Drops a value on that thread.
    pub(crate) fn take(&self, thing: impl Send + 'static) {
        self.run(move || drop(thing));
    }

    /// Runs some work on that thread, after earlier work.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        // If the thread is gone the process is ending, and the work may be dropped here.
        let _ = self.sender.send(Box::new(work));
    }
}
