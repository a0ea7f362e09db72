//! The wake-up time of sleeping processors: the latency limit of Linux's power management quality
//! of service (PM QoS), held while the node runs.

use std::fs::{File, OpenOptions, read_to_string};
use std::io::{self, Write};
use std::time::Duration;

/// Takes a limit in microseconds, valid until the file is closed. The lowest limit of all programs
/// applies.
const DEVICE: &str = "/dev/cpu_dma_latency";

/// The driver that puts processors to sleep; `none` on some virtual machines.
const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";

/// A limit on the wake-up time of processors. It ends when this is dropped, or when the program
/// ends in any way.
#[derive(Debug)]
pub struct LatencyLimit(#[expect(dead_code, reason = "open: the limit holds")] File);

impl LatencyLimit {
    /// Sets the limit, at most about 35 minutes. A program without permission runs without the
    /// limit and logs a warning; likewise on a machine without idle states that a limit could
    /// forbid.
    #[must_use]
    pub fn hold(limit: Duration) -> Option<LatencyLimit> {
        if read_to_string(DRIVER).is_ok_and(|driver| driver.trim() == "none") {
            tracing::warn!(
                "processor_latency has no effect: this machine has no driver for idle states, its \
                 hypervisor puts processors to sleep"
            );
        }
        match set(limit) {
            Ok(device) => {
                tracing::info!(?limit, "the longest wake-up time of processors is set");
                Some(LatencyLimit(device))
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
