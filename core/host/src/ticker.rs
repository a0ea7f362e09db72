//! The thread that moves the engine's epoch, and the timers that wake it: nobody is woken
//! while no guest can be running.
//!
//! Whoever is about to ask guests watches ([`Pace::watch`], [`ShardWatch`]): a timer runs until
//! they are done, and each time it ends the epoch moves. A guest that is found running has the
//! next ticks come finer. A guest cannot be called without a [`Deadline`], and only who
//! watches makes one.

use crate::LoadError;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::Engine;

/// How often the epoch moves while a guest runs on: the grain of every deadline.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// How often it moves otherwise while guests may be asked: the latest moment at which one that
/// runs on is noticed. Each tick wakes a thread, so there should be few.
pub(crate) const COARSE_TICK: Duration = Duration::from_millis(5);

/// Fine ticks after a guest was found running.
const FINE_TICKS: u32 = 16;

/// Tokens in the poll; those above are shards'.
const FINE: u64 = 0;
const COMMON: u64 = 1;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    pace: Arc<Pace>,
}

/// The timers, shared by all who ask guests.
#[derive(Debug)]
pub(crate) struct Pace {
    poll: OwnedFd,
    /// By the token under which the poll reports them.
    timers: Mutex<HashMap<u64, Arc<OwnedFd>>>,
    next_token: AtomicU64,
    fine: Arc<OwnedFd>,
    /// Fine ticks still to come.
    fine_left: AtomicU32,
    /// Of all watchers but the shards'.
    common: Arc<OwnedFd>,
    watchers: Mutex<u32>,
    stopped: AtomicBool,
}

/// While it lives, deadlines are kept.
#[derive(Debug)]
#[must_use]
pub(crate) struct Watching(Arc<Pace>);

/// Proof that somebody watches for as long as `'w`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'w>(PhantomData<&'w ()>);

/// A time limit that is kept: somebody watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline<'w> {
    /// Processor time, ms.
    ms: u32,
    from: Instant,
    watched: Watched<'w>,
}

/// How a thread that asks often has its deadlines kept.
#[derive(Debug)]
pub(crate) enum ShardWatch {
    /// A timer of its own, which takes no lock: a shard watches thousands of times a second.
    Own { pace: Arc<Pace>, token: u64, timer: Arc<OwnedFd>, armed: bool },
    /// The system had no timer left: the common one, all the time.
    Common { _always: Watching },
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Ticker, LoadError> {
        let failed = |cause: io::Error| LoadError::Engine(format!("the epoch's timer: {cause}"));
        let pace = Arc::new(Pace::new().map_err(failed)?);
        let (engine, followed) = (engine.weak(), Arc::clone(&pace));
        std::thread::Builder::new()
            .name("policy-epoch".to_owned())
            .spawn(move || {
                while let Ok(()) = followed.wait() {
                    match engine.upgrade() {
                        Some(engine) if !followed.stopped.load(Ordering::Acquire) => {
                            engine.increment_epoch();
                        }
                        _ => return,
                    }
                }
            })
            .map_err(failed)?;
        Ok(Ticker { pace })
    }

    pub(crate) fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pace.stopped.store(true, Ordering::Release);
        run_every(&self.pace.fine, TICK);
    }
}

impl Pace {
    fn new() -> io::Result<Pace> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (fine, common) = (timer()?, timer()?);
        for (token, timer) in [(FINE, &fine), (COMMON, &common)] {
            epoll::add(&poll, timer, EventData::new_u64(token), EventFlags::IN)?;
        }
        let timers = HashMap::from([(FINE, Arc::clone(&fine)), (COMMON, Arc::clone(&common))]);
        Ok(Pace {
            poll,
            timers: Mutex::new(timers),
            next_token: AtomicU64::new(COMMON + 1),
            fine,
            fine_left: AtomicU32::new(0),
            common,
            watchers: Mutex::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    /// Makes the next ticks fine ones, from now on. Asked for by a guest's thread at a tick.
    pub(crate) fn hurry(&self) {
        if self.fine_left.swap(FINE_TICKS, Ordering::AcqRel) == 0 {
            run_every(&self.fine, TICK);
        }
    }

    /// Keeps deadlines until the answer is dropped.
    pub(crate) fn watch(self: &Arc<Pace>) -> Watching {
        let mut watchers = self.watchers();
        *watchers += 1;
        if *watchers == 1 {
            run_every(&self.common, COARSE_TICK);
        }
        Watching(Arc::clone(self))
    }

    /// For a thread that asks often.
    pub(crate) fn shard_watch(self: &Arc<Pace>) -> ShardWatch {
        match self.own_timer() {
            Ok((token, timer)) => {
                ShardWatch::Own { pace: Arc::clone(self), token, timer, armed: false }
            }
            Err(error) => {
                tracing::warn!(%error, "no timer for a thread's deadlines: the common one serves");
                ShardWatch::Common { _always: self.watch() }
            }
        }
    }

    fn own_timer(&self) -> io::Result<(u64, Arc<OwnedFd>)> {
        let timer = timer()?;
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        self.timers().insert(token, Arc::clone(&timer));
        if let Err(error) =
            epoll::add(&self.poll, &timer, EventData::new_u64(token), EventFlags::IN)
        {
            self.timers().remove(&token);
            return Err(error.into());
        }
        Ok((token, timer))
    }

    /// Returns at the next tick.
    fn wait(&self) -> io::Result<()> {
        let mut events = Vec::with_capacity(16);
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "deadlines of plugins are no longer kept");
                return Err(error.into());
            }
        }
        for event in &events {
            let token = event.data.u64();
            let timer = self.timers().get(&token).cloned();
            if let Some(timer) = timer {
                // Its count of ends; a timer that was stopped meanwhile has none.
                let _ = rustix::io::read(&timer, &mut [0; 8]);
            }
            if token == FINE {
                self.one_fine_tick_less();
            }
        }
        Ok(())
    }

    fn one_fine_tick_less(&self) {
        let fewer = |left: u32| left.checked_sub(1);
        let left = self.fine_left.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
        if !matches!(left, Ok(2..)) {
            stop(&self.fine);
            // A guest may have asked for more between the two.
            if self.fine_left.load(Ordering::Acquire) > 0 {
                run_every(&self.fine, TICK);
            }
        }
    }

    fn timers(&self) -> MutexGuard<'_, HashMap<u64, Arc<OwnedFd>>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watchers(&self) -> MutexGuard<'_, u32> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    pub(crate) fn watched(&self) -> Watched<'_> {
        Watched(PhantomData)
    }
}

impl<'w> Watched<'w> {
    /// From now on.
    pub(crate) fn deadline(self, ms: u32) -> Deadline<'w> {
        self.deadline_from(ms, Instant::now())
    }

    /// For who has just read the clock.
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

    /// The same limit, from now on.
    pub(crate) fn again(self) -> Self {
        self.watched.deadline(self.ms)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let pace = &self.0;
        let mut watchers = pace.watchers();
        *watchers -= 1;
        if *watchers == 0 {
            stop(&pace.common);
        }
    }
}

impl ShardWatch {
    /// Guests are about to be asked.
    pub(crate) fn arm(&mut self) -> Watched<'_> {
        if let ShardWatch::Own { timer, armed: armed @ false, .. } = self {
            run_every(timer, COARSE_TICK);
            *armed = true;
        }
        Watched(PhantomData)
    }

    /// No guest is asked before the thread says so again.
    pub(crate) fn rest(&mut self) {
        if let ShardWatch::Own { timer, armed: armed @ true, .. } = self {
            stop(timer);
            *armed = false;
        }
    }
}

impl Drop for ShardWatch {
    fn drop(&mut self) {
        self.rest();
        if let ShardWatch::Own { pace, token, .. } = self {
            // Closing the last handle takes it out of the poll.
            pace.timers().remove(token);
        }
    }
}

fn timer() -> io::Result<Arc<OwnedFd>> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    Ok(Arc::new(timerfd_create(TimerfdClockId::Monotonic, flags)?))
}

fn run_every(timer: &OwnedFd, interval: Duration) {
    set(timer, Timespec { tv_sec: 0, tv_nsec: interval.subsec_nanos().into() });
}

fn stop(timer: &OwnedFd) {
    set(timer, Timespec::default());
}

fn set(timer: &OwnedFd, interval: Timespec) {
    let setting = Itimerspec { it_interval: interval, it_value: interval };
    // It fails for what is no timer only.
    if let Err(error) = timerfd_settime(timer, TimerfdTimerFlags::empty(), &setting) {
        tracing::error!(%error, "a timer of plugins' deadlines cannot be set");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::time::timerfd_gettime;

    fn runs(timer: &OwnedFd) -> bool {
        let left = timerfd_gettime(timer).expect("a timer").it_value;
        (left.tv_sec, left.tv_nsec) != (0, 0)
    }

    #[test]
    fn a_timer_runs_while_somebody_watches() {
        let pace = Arc::new(Pace::new().expect("timers"));
        assert!(!runs(&pace.common));
        let (one, other) = (pace.watch(), pace.watch());
        drop(one);
        assert!(runs(&pace.common));
        pace.wait().expect("a tick");
        drop(other);
        assert!(!runs(&pace.common));
    }

    #[test]
    fn a_shard_has_a_timer_of_its_own_and_rests() {
        let pace = Arc::new(Pace::new().expect("timers"));
        let mut shard = pace.shard_watch();
        let ShardWatch::Own { timer, .. } = &shard else { panic!("no timer of its own") };
        let timer = Arc::clone(timer);
        for _ in 0..2 {
            assert!(!runs(&timer));
            let _ = shard.arm();
            let _ = shard.arm();
            assert!(runs(&timer) && !runs(&pace.common));
            pace.wait().expect("a tick");
            shard.rest();
            shard.rest();
        }
        let _ = shard.arm();
        drop(shard);
        assert!(!runs(&timer));
        assert_eq!(pace.timers().len(), 2);
    }

    #[test]
    fn fine_ticks_come_and_go() {
        let pace = Arc::new(Pace::new().expect("timers"));
        pace.hurry();
        for left in (1..=FINE_TICKS).rev() {
            assert_eq!(pace.fine_left.load(Ordering::Relaxed), left);
            assert!(runs(&pace.fine));
            pace.wait().expect("a tick");
        }
        assert!(!runs(&pace.fine));
        pace.hurry();
        assert!(runs(&pace.fine));
    }
}
