//! While calls are running, plugins are compiled on separate threads: a large component takes
//! seconds on every processor that it gets. The threads keep to the housekeeping processors;
//! without any, they run at a lower priority than the calls.

use crate::error::LoadError;
use platform::ProcessorSet;
use platform::keep_to;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Gives a compiling thread a third of the share of a call's thread on the same core: even if calls
/// use all processor time, a new build makes progress.
const NICENESS: i32 = 5;

/// The threads; the engine distributes a compilation over the threads from which it is started.
pub(crate) struct Compiler {
    threads: ThreadPool,
}

impl Compiler {
    pub(crate) fn start(housekeeping: Option<ProcessorSet>) -> Result<Compiler, LoadError> {
        let threads = ThreadPoolBuilder::new()
            // 0 means one thread per processor of the system.
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

    /// Runs the work on these threads and waits for it.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(work)
    }
}

/// On Linux this applies to the calling thread only.
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
