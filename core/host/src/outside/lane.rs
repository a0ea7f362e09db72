//! The host's own async runtimes: one for the questions of each hook that wait for outside servers,
//! and one for requests that nobody waits for. A computing guest delays neither a signalling thread
//! nor the program's other tasks, and a slow server of one hook delays no other hook.

use super::client::Client;
use crate::error::LoadError;
use platform::{ProcessorSet, keep_to};
use policy::{Fault, Hook};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use tokio::runtime::{Builder, Runtime};

/// Threads of a hook's lane. Between two waits they run guests, for microseconds per question.
const THREADS: usize = 2;

/// Threads that send what nobody waits for. They run no guests.
const SENDING_THREADS: usize = 1;

/// The lanes of a host; each is started with the first plugin that needs it.
#[derive(Debug)]
pub(crate) struct Lanes {
    of_hooks: [OnceLock<Lane>; Hook::ALL.len()],
    sending: OnceLock<Lane>,
    /// The processors of lanes for which no call waits; none: any processor.
    housekeeping: Option<ProcessorSet>,
}

impl Lanes {
    pub(crate) fn new(housekeeping: Option<ProcessorSet>) -> Lanes {
        Lanes { of_hooks: Default::default(), sending: OnceLock::new(), housekeeping }
    }

    /// Starts the lane of a hook, if necessary.
    pub(crate) fn start(&self, hook: Hook) -> Result<(), LoadError> {
        let processors = self.housekeeping.clone().filter(|_| hook == Hook::Events);
        let lane = &self.of_hooks[hook as usize];
        started(lane, &format!("fibre-{hook}"), THREADS, processors)
    }

    /// Starts the lane of requests that nobody waits for, if necessary.
    pub(crate) fn start_sending(&self) -> Result<(), LoadError> {
        started(&self.sending, "policy-send", SENDING_THREADS, self.housekeeping.clone())
    }

    /// The lane of a hook, if a plugin has started it.
    pub(crate) fn of(&self, hook: Hook) -> Option<&Lane> {
        self.of_hooks[hook as usize].get()
    }

    /// The lane of requests that nobody waits for, if a plugin has started it.
    pub(crate) fn sending(&self) -> Option<&Lane> {
        self.sending.get()
    }
}

fn started(
    lane: &OnceLock<Lane>,
    name: &str,
    threads: usize,
    processors: Option<ProcessorSet>,
) -> Result<(), LoadError> {
    if lane.get().is_none() {
        // If two loads race, the second lane is dropped unused.
        let _ = lane.set(Lane::start(name, threads, processors)?);
    }
    Ok(())
}

/// Threads, timers and connections of one use.
pub(crate) struct Lane {
    /// Present until the lane is dropped.
    runtime: Option<Runtime>,
    client: Client,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl Lane {
    fn start(
        name: &str,
        threads: usize,
        processors: Option<ProcessorSet>,
    ) -> Result<Lane, LoadError> {
        let client = Client::new()
            .map_err(|cause| LoadError::Engine(format!("TLS for requests of plugins: {cause}")))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .on_thread_start(move || keep_to(processors.as_ref()))
            .enable_all()
            .build()
            .map_err(|cause| LoadError::Engine(format!("no threads for fibres: {cause}")))?;
        Ok(Lane { runtime: Some(runtime), client })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }

    /// Runs a future on this thread, which sleeps while the future waits.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let _timers_and_sockets = self.runtime.as_ref().map(Runtime::enter);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// Wakes the thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Drop for Lane {
    /// Without waiting: the last handle may be dropped by a task of this runtime or of the
    /// program's.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a future that should not wait; none if it does.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// The fault of a guest that waited where waiting is not possible.
pub(crate) fn waited() -> Fault {
    Fault::Trap("it waits where nothing may wait".to_owned())
}
