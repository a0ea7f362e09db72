//! How soon idle processors of this machine wake: what every program on it is told alike.

use std::fs::{File, OpenOptions, read, read_to_string};
use std::io::{Error, Write};

/// Linux's device for it: reading gives the lowest limit of all programs in microseconds, an
/// open file that a limit was written to holds that limit.
const DEVICE: &str = "/dev/cpu_dma_latency";

/// Which driver puts processors to sleep. With none of them a limit changes nothing.
const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";

/// The lowest limit, microseconds. None where the device is missing or not ours to write to.
#[must_use]
pub fn latency_limit() -> Option<i32> {
    OpenOptions::new().write(true).open(DEVICE).ok()?;
    Some(i32::from_ne_bytes(read(DEVICE).ok()?.try_into().ok()?))
}

/// Keeps all processors awake until the file is closed.
///
/// # Errors
/// What the system says: the device is missing, or not ours to write to, or the machine has no
/// driver for idle states, so that its processors sleep whatever is written.
pub fn keep_awake() -> std::io::Result<File> {
    if read_to_string(DRIVER).is_ok_and(|driver| driver.trim() == "none") {
        return Err(Error::other("this machine has no driver for idle states"));
    }
    let mut held = OpenOptions::new().write(true).open(DEVICE)?;
    held.write_all(&0_i32.to_ne_bytes())?;
    Ok(held)
}
