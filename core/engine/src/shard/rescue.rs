//! Recovery of a shard after a panic or a failed poll.
//!
//! One defect must not silence a shard for good: its calls are ended on both sides and recorded,
//! and the same thread continues with an empty machine (OPS-62).

use super::drive::Driver;
use crate::clock;
use crate::panic_text::words_of;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Two faults within this period are followed by a pause of the same length, so that a recurring
/// fault does not occupy a CPU.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs the loop until the shard is stopped, whatever fails in it.
pub(super) fn run_to_the_end(driver: &mut Driver) {
    let mut last: Option<Instant> = None;
    loop {
        let what = match catch_unwind(AssertUnwindSafe(|| driver.run())) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => poll_failed(&error),
            Err(panic) => words_of(panic.as_ref()),
        };
        driver.inbox.counters().faults.fetch_add(1, Ordering::Relaxed);
        let calls = driver.switch.call_count();
        tracing::error!(
            shard = driver.number, %what, calls,
            "ALARM internal_error: a shard has failed; its calls are ended and recorded, and it \
             starts anew"
        );
        driver.rescue();
        if last.replace(Instant::now()).is_some_and(|last| last.elapsed() < PAUSE) {
            std::thread::sleep(PAUSE);
        }
    }
}

fn poll_failed(error: &io::Error) -> String {
    format!("its poll fails: {error}")
}

impl Driver {
    /// Ends and records every call, and replaces the failed machine by an empty one. Each step is
    /// separate: a call that fails again is lost, the others are not.
    fn rescue(&mut self) {
        // The failed machine takes nothing new.
        self.between = 0;
        for key in self.switch.call_keys() {
            self.guarded(|driver| {
                driver.switch.fail_call(clock::now(), key, &mut driver.media);
                driver.give();
                true
            });
        }
        // Calls that wait for a peer or a plugin are recorded as they are.
        while self.guarded(|driver| {
            let one = driver.switch.close_one_unrated(clock::now(), &mut driver.media);
            driver.give();
            one
        }) {}
        self.guarded(|driver| {
            driver.switch.start_anew();
            driver.media.close_all();
            false
        });
        for listener in self.listeners.iter_mut().flatten() {
            listener.readable = true;
        }
    }

    /// Whether to try again.
    fn guarded(&mut self, step: impl FnOnce(&mut Driver) -> bool) -> bool {
        catch_unwind(AssertUnwindSafe(|| step(self))).unwrap_or_else(|panic| {
            let what = words_of(panic.as_ref());
            tracing::error!(shard = self.number, %what, "a call is lost after a fault");
            true
        })
    }
}
