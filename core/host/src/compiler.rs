//! While calls are running, plugins are compiled on threads of their own: a large component
//! takes seconds of every processor that it is given. The threads keep to the housekeeping
//! processors; where there are none, they step back whenever a call wants theirs.

use crate::processors::keep_to;
use crate::{LoadError, ProcessorSet};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A third of the share of a call's thread where both want one core: where calls take all there
/// is, a new build still comes.
const NICENESS: i32 = 5;

/// The threads; the engine spreads a compilation over those that it is started on.
pub(crate) struct Compiler {
    threads: ThreadPool,
}

impl Compiler {
    pub(crate) fn start(housekeeping: Option<ProcessorSet>) -> Result<Compiler, LoadError> {
        let threads = ThreadPoolBuilder::new()
            // 0 is as many as the system has processors.
            .num_threads(housekeeping.as_ref().map_or(0, ProcessorSet::len))
            .thread_name(|_| "policy-compile".to_owned())
            .start_handler(move |_| {
                keep_to(housekeeping.as_ref());
                step_back();
            })
            .build()
            .map_err(|cause| LoadError::Engine(format!("no threads to compile on: {cause}")))?;
        Ok(Compiler { threads })
    }

    /// Does the work there and waits for it.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(work)
    }
}

/// Linux counts it for the calling thread alone.
fn step_back() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "plugins are compiled at the priority of calls");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_threads_that_compile_step_back() {
        let here = || rustix::process::getpriority_process(None).expect("it can be read");
        let before = here();
        let compiler = Compiler::start(None).expect("threads start");
        assert_eq!(compiler.run(here), (before + NICENESS).min(19));
        assert_eq!(here(), before);
    }
    #[test]
    fn what_compiles_keeps_to_the_housekeeping_processors() {
        let allowed = ProcessorSet::of_thread().expect("known");
        let one = allowed.last(1);
        let compiler = Compiler::start(Some(one.clone())).expect("threads start");
        assert_eq!(compiler.threads.current_num_threads(), 1);
        assert_eq!(compiler.run(ProcessorSet::of_thread).expect("known"), one);
        assert_eq!(ProcessorSet::of_thread().expect("known"), allowed);
    }
}
