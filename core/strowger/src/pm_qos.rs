//! How soon a sleeping processor answers: the latency limit of Linux's power management quality
//! of service (PM QoS), held for as long as the node runs.
//!
//! Virtual machines without a driver for idle states sleep whatever the limit is. There a limit
//! of zero is kept by a thread on each processor that runs when nothing else wants to, so that
//! none is ever idle.

use host::{ProcessorSet, run_when_idle};
use std::fs::{File, OpenOptions, read_to_string};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Takes a limit in microseconds, which holds until the file is closed. Of all programs' limits
/// the lowest counts.
const DEVICE: &str = "/dev/cpu_dma_latency";

/// Which driver puts processors to sleep; `none` on some virtual machines.
const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";

/// A limit on the time in which processors wake. It ends when this is dropped, and with the
/// program, however that ends.
#[derive(Debug)]
pub struct LatencyLimit(#[expect(dead_code, reason = "held: the limit is in force")] Held);

#[derive(Debug)]
enum Held {
    /// The open device.
    Device(#[expect(dead_code, reason = "open: the limit holds")] File),
    Threads(#[expect(dead_code, reason = "running: no processor is idle")] Awake),
}

impl LatencyLimit {
    /// Sets the limit, at most some 35 minutes. Who may not runs without, and the log says so.
    #[must_use]
    pub fn hold(limit: Duration) -> Option<LatencyLimit> {
        let idle_states = !read_to_string(DRIVER).is_ok_and(|driver| driver.trim() == "none");
        if limit.is_zero() && !idle_states {
            return Awake::keep().map(|threads| LatencyLimit(Held::Threads(threads)));
        }
        match set(limit) {
            Ok(device) => {
                if idle_states {
                    tracing::info!(
                        ?limit,
                        "processors wake from their idle states within the limit"
                    );
                } else {
                    tracing::warn!(
                        "processor_latency has no effect: this machine has no driver for idle \
                         states, so that only \"0us\" can be kept"
                    );
                }
                Some(LatencyLimit(Held::Device(device)))
            }
            Err(error) => {
                tracing::warn!(
                    %error, device = DEVICE,
                    "processor_latency has no effect: the program must be allowed to write to the device"
                );
                None
            }
        }
    }
}

fn set(limit: Duration) -> io::Result<File> {
    let limit = i32::try_from(limit.as_micros()).unwrap_or(i32::MAX);
    let mut file = OpenOptions::new().write(true).open(DEVICE)?;
    file.write_all(&limit.to_ne_bytes())?;
    Ok(file)
}

/// Threads that keep the processors busy while nothing else does; they end when this is dropped.
#[derive(Debug)]
struct Awake {
    done: Arc<AtomicBool>,
}

impl Awake {
    /// Starts a thread `awake-N` on each processor that the program may use, and returns when all
    /// of them have the lowest priority. If one cannot have it, the log says so.
    fn keep() -> Option<Awake> {
        let awake = Awake { done: Arc::default() };
        let started = ProcessorSet::of_program()
            .and_then(|processors| processors.each().try_for_each(|one| awake.start(one)));
        match started {
            Ok(()) => {
                tracing::info!(
                    "processors are kept awake by threads that run when nothing else does: this \
                     machine has no driver for idle states"
                );
                Some(awake)
            }
            Err(error) => {
                // The threads that did start end with the value that is dropped here.
                tracing::warn!(%error, "processor_latency has no effect: no threads for it");
                None
            }
        }
    }

    fn start(&self, processor: ProcessorSet) -> io::Result<()> {
        let done = self.done.clone();
        let (started, starts) = mpsc::channel();
        std::thread::Builder::new().name(format!("awake-{processor}")).spawn(move || {
            // At an ordinary priority it would take turns with calls.
            let lowest = processor.keep_to().and_then(|()| run_when_idle());
            let ready = lowest.is_ok();
            if started.send(lowest).is_ok() && ready {
                stay_awake(&done);
            }
        })?;
        starts.recv().map_err(io::Error::other)?
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.done.store(true, Relaxed);
    }
}

fn stay_awake(done: &AtomicBool) {
    while !done.load(Relaxed) {
        for _ in 0..20 {
            std::hint::spin_loop();
        }
        // Through the kernel at short intervals: some hypervisors hand a virtual processor that
        // never leaves the program its interrupts only at the next tick of its clock.
        std::thread::yield_now();
    }
}
