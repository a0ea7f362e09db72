//! The host's own async runtime for questions that wait for outside servers, so that a computing
//! guest delays neither a signalling thread nor the program's other tasks.

use super::client::Client;
use crate::error::LoadError;
use policy::Fault;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use tokio::runtime::{Builder, Runtime};

/// Threads of the lane. Between two waits they run guests, for microseconds per question.
const THREADS: usize = 2;

/// Started with the first plugin that imports `host-http`.
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
    pub(crate) fn start() -> Result<Lane, LoadError> {
        let client = Client::new()
            .map_err(|cause| LoadError::Engine(format!("TLS for requests of plugins: {cause}")))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("policy-fibre")
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
