//! How soon idle processors of this machine wake: what every program on it is told alike.

use std::fs::{File, OpenOptions, read, read_to_string};
use std::io::{Error, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

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

/// Whether the machine has a driver for idle states, so that a limit has an effect.
#[must_use]
pub fn idle_states() -> bool {
    !read_to_string(DRIVER).is_ok_and(|driver| driver.trim() == "none")
}

/// What keeps processors awake until it is dropped.
#[derive(Debug)]
pub enum Awake {
    /// The device, open.
    Limit(File),
    /// A program on each processor.
    Idlers(Vec<Idler>),
}

/// Keeps `processors` awake: all of them through the device, or, on a machine without a driver for
/// idle states, each by `program`, which runs at the lowest priority until its input is closed.
///
/// # Errors
/// What the system says: the device is missing, or not ours to write to; no `chrt` or `taskset`.
pub fn keep_awake(processors: &[usize], program: &Path) -> std::io::Result<Awake> {
    if idle_states() {
        let mut held = OpenOptions::new().write(true).open(DEVICE)?;
        held.write_all(&0_i32.to_ne_bytes())?;
        return Ok(Awake::Limit(held));
    }
    let idlers = processors.iter().map(|&processor| Idler::start(processor, program));
    Ok(Awake::Idlers(idlers.collect::<std::io::Result<_>>()?))
}

/// A program that keeps a processor awake; ends when dropped.
#[derive(Debug)]
pub struct Idler(Child);

impl Idler {
    fn start(processor: usize, program: &Path) -> std::io::Result<Idler> {
        let mut command = Command::new("taskset");
        command.args(["-c", &processor.to_string(), "chrt", "--idle", "0"]).arg(program);
        let mut idler = Idler(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        let said = idler.0.stdout.as_mut().map(|said| said.read_exact(&mut [0; 6]));
        match said {
            Some(Ok(())) => Ok(idler),
            _ => Err(Error::other("nothing runs at the lowest priority")),
        }
    }
}

impl Drop for Idler {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
