//! How soon a sleeping processor answers: the latency limit of Linux's power management quality
//! of service (PM QoS), held for as long as the node runs.

use std::fs::{File, OpenOptions, read_to_string};
use std::io::{self, Write};
use std::time::Duration;

/// Takes a limit in microseconds, which holds until the file is closed. Of all programs' limits
/// the lowest counts.
const DEVICE: &str = "/dev/cpu_dma_latency";

/// Which driver puts processors to sleep; `none` on some virtual machines, where they sleep
/// whatever the limit is.
const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";

/// A limit on the time in which processors wake. It ends when this is dropped, and with the
/// program, however that ends.
#[derive(Debug)]
pub struct LatencyLimit(#[expect(dead_code, reason = "open: the limit holds")] File);

impl LatencyLimit {
    /// Sets the limit, at most some 35 minutes. Who may not runs without, and the log says so.
    #[must_use]
    pub fn hold(limit: Duration) -> Option<LatencyLimit> {
        match LatencyLimit::set(limit) {
            Ok(held) => {
                if read_to_string(DRIVER).is_ok_and(|driver| driver.trim() == "none") {
                    tracing::warn!(
                        "processor_latency has no effect: this machine has no driver for idle states"
                    );
                } else {
                    tracing::info!(
                        ?limit,
                        "processors wake from their idle states within the limit"
                    );
                }
                Some(held)
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

    fn set(limit: Duration) -> io::Result<LatencyLimit> {
        let limit = i32::try_from(limit.as_micros()).unwrap_or(i32::MAX);
        let mut file = OpenOptions::new().write(true).open(DEVICE)?;
        file.write_all(&limit.to_ne_bytes())?;
        Ok(LatencyLimit(file))
    }
}
