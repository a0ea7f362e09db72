//! The thread that advances the engine's epoch, which stops guests at their deadline: it ticks
//! while a thread asks guests and sleeps otherwise.
//!
//! A thread that is about to ask guests registers first ([`Pace::watch`], [`ShardWatch`]). When a
//! guest is found running, the next ticks are fine ones. A guest cannot be called without a
//! [`Deadline`], and only a registered thread can make one.

use crate::error::LoadError;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wasmtime::Engine;

/// Interval of the epoch while a guest keeps running: the resolution of every deadline.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Interval otherwise, while guests may be asked: a guest that keeps running is noticed after this
/// time at the latest. Each tick wakes a thread, so there should be few.
pub(crate) const COARSE_TICK: Duration = Duration::from_millis(5);

/// Number of fine ticks after a guest was found running.
const FINE_TICKS: u32 = 16;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    pace: Arc<Pace>,
    thread: JoinHandle<()>,
}

/// The state that controls the thread, shared by all who ask guests.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Threads that may have a guest running.
    watchers: AtomicU32,
    /// Somebody has registered since the last tick.
    watched: AtomicBool,
    /// The thread sleeps until it is woken.
    asleep: AtomicBool,
    /// Remaining fine ticks.
    fine_left: AtomicU32,
    stopped: AtomicBool,
    ticks: std::sync::OnceLock<std::thread::Thread>,
}

/// Deadlines are checked while this is alive.
#[derive(Debug)]
#[must_use]
pub(crate) struct Watching(Arc<Pace>);

/// Proof that deadlines are checked during `'w`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'w>(PhantomData<&'w ()>);

/// A time limit that is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline<'w> {
    /// Processor time, ms.
    ms: u32,
    from: Instant,
    watched: Watched<'w>,
}

/// Registration of a thread that asks thousands of times a second.
#[derive(Debug)]
pub(crate) struct ShardWatch {
    pace: Arc<Pace>,
    armed: bool,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Ticker, LoadError> {
        let pace = Arc::new(Pace::default());
        let (engine, followed) = (engine.weak(), Arc::clone(&pace));
        let tick = move || {
            while followed.wait() {
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        };
        let started = std::thread::Builder::new().name("policy-epoch".to_owned()).spawn(tick);
        let thread = started
            .map_err(|cause| LoadError::Engine(format!("the thread of the epoch: {cause}")))?;
        let _first = pace.ticks.set(thread.thread().clone());
        // It may have gone to sleep before it could be woken.
        thread.thread().unpark();
        Ok(Ticker { pace, thread })
    }

    pub(crate) fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pace.stopped.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
    }
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            watchers: AtomicU32::new(0),
            watched: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            fine_left: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            ticks: std::sync::OnceLock::new(),
        }
    }
}

impl Pace {
    /// Makes the next ticks fine ones, starting now. Called on a guest's thread at a tick.
    pub(crate) fn hurry(&self) {
        if self.fine_left.swap(FINE_TICKS, Ordering::SeqCst) == 0 {
            self.wake();
        }
    }

    /// Has deadlines checked until the returned value is dropped.
    pub(crate) fn watch(self: &Arc<Pace>) -> Watching {
        self.begin();
        Watching(Arc::clone(self))
    }

    /// For a thread that asks often.
    pub(crate) fn shard_watch(self: &Arc<Pace>) -> ShardWatch {
        ShardWatch { pace: Arc::clone(self), armed: false }
    }

    fn begin(&self) {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        self.watched.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn end(&self) {
        self.watchers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake(&self) {
        if let Some(thread) = self.ticks.get() {
            thread.unpark();
        }
    }

    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::SeqCst) > 0
    }

    /// Returns at the next tick; false if there will be none.
    ///
    /// Threads that ask often start and stop thousands of times a second. So the epoch thread
    /// sleeps only after a whole tick in which no thread has asked.
    fn wait(&self) -> bool {
        let mut from = Instant::now();
        loop {
            if self.stopped.load(Ordering::SeqCst) {
                return false;
            }
            if !self.is_watched() && !self.watched.swap(false, Ordering::SeqCst) {
                self.asleep.store(true, Ordering::SeqCst);
                // A thread that registers from here on sees that it has to wake this one.
                if !self.is_watched() {
                    std::thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
                from = Instant::now();
                continue;
            }
            let fine = self.fine_left.load(Ordering::SeqCst) > 0;
            let tick = if fine { TICK } else { COARSE_TICK };
            let Some(left) = tick.checked_sub(from.elapsed()).filter(|left| !left.is_zero()) else {
                let less = |left: u32| left.checked_sub(1);
                let _none = self.fine_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
                return true;
            };
            std::thread::park_timeout(left);
        }
    }
}

impl Watching {
    pub(crate) fn watched(&self) -> Watched<'_> {
        Watched(PhantomData)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<'w> Watched<'w> {
    /// Starting now.
    pub(crate) fn deadline(self, ms: u32) -> Deadline<'w> {
        self.deadline_from(ms, Instant::now())
    }

    /// For a caller that has just read the clock.
    pub(crate) fn deadline_from(self, ms: u32, from: Instant) -> Deadline<'w> {
        Deadline { ms, from, watched: self }
    }
}

impl Deadline<'_> {
    pub(crate) fn ms(self) -> u32 {
        self.ms
    }

    pub(crate) fn from(self) -> Instant {
        self.from
    }

    /// The same limit, starting now.
    pub(crate) fn again(self) -> Self {
        self.watched.deadline(self.ms)
    }
}

impl ShardWatch {
    /// Call before guests are asked.
    pub(crate) fn arm(&mut self) -> Watched<'_> {
        if !std::mem::replace(&mut self.armed, true) {
            self.pace.begin();
        }
        Watched(PhantomData)
    }

    /// No guest is asked until the next [`ShardWatch::arm`].
    pub(crate) fn rest(&mut self) {
        if std::mem::replace(&mut self.armed, false) {
            self.pace.end();
        }
    }
}

impl Drop for ShardWatch {
    fn drop(&mut self) {
        self.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A thread that reports each tick.
    fn ticks(pace: &Arc<Pace>) -> mpsc::Receiver<Instant> {
        let (tell, told) = mpsc::channel();
        let followed = Arc::clone(pace);
        let thread =
            std::thread::spawn(
                move || {
                    while followed.wait() && tell.send(Instant::now()).is_ok() {}
                },
            );
        pace.ticks.set(thread.thread().clone()).expect("the first");
        thread.thread().unpark();
        told
    }

    fn falls_asleep(pace: &Pace, told: &mpsc::Receiver<Instant>) {
        while !pace.asleep.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        while told.try_recv().is_ok() {}
        assert!(told.recv_timeout(10 * COARSE_TICK).is_err(), "nobody watches");
    }

    #[test]
    fn it_ticks_while_somebody_watches_and_sleeps_otherwise() {
        let pace = Arc::new(Pace::default());
        let told = ticks(&pace);
        falls_asleep(&pace, &told);
        let (one, mut shard) = (pace.watch(), pace.shard_watch());
        told.recv_timeout(Duration::from_secs(10)).expect("a tick");
        let _ = shard.arm();
        drop(one);
        for _ in 0..3 {
            told.recv_timeout(Duration::from_secs(10)).expect("the shard watches still");
            let _ = shard.arm();
        }
        shard.rest();
        shard.rest();
        falls_asleep(&pace, &told);
        let _ = shard.arm();
        told.recv_timeout(Duration::from_secs(10)).expect("a tick");
        drop(shard);
        assert!(!pace.is_watched());
        pace.stopped.store(true, Ordering::SeqCst);
        pace.wake();
        while told.recv_timeout(Duration::from_secs(10)).is_ok() {}
    }

    #[test]
    fn fine_ticks_come_and_go() {
        let pace = Arc::new(Pace::default());
        let told = ticks(&pace);
        let _watching = pace.watch();
        told.recv_timeout(Duration::from_secs(10)).expect("a tick");
        pace.hurry();
        while pace.fine_left.load(Ordering::SeqCst) > 0 {
            told.recv_timeout(Duration::from_secs(10)).expect("a fine tick");
        }
        pace.hurry();
        assert!(pace.fine_left.load(Ordering::SeqCst) > 0);
        pace.stopped.store(true, Ordering::SeqCst);
        pace.wake();
    }
}
