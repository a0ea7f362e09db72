//! Wake-up latency of idle CPUs, a setting of the whole machine.

use std::fs::{File, OpenOptions, read, read_to_string};
use std::io::{Error, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The Linux PM QoS device: reading gives the lowest limit of all programs in microseconds; writing
/// sets a limit for as long as the file is open.
const DEVICE: &str = "/dev/cpu_dma_latency";

/// The driver of CPU idle states. Without one, a limit has no effect.
const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";

/// The lowest limit, microseconds; `None` if the device is missing or not accessible.
#[must_use]
pub fn latency_limit() -> Option<i32> {
    OpenOptions::new().write(true).open(DEVICE).ok()?;
    Some(i32::from_ne_bytes(read(DEVICE).ok()?.try_into().ok()?))
}

/// Whether the machine has an idle driver, so that a limit has an effect.
#[must_use]
pub fn idle_states() -> bool {
    !read_to_string(DRIVER).is_ok_and(|driver| driver.trim() == "none")
}

/// Keeps CPUs awake until dropped.
#[derive(Debug)]
pub enum Awake {
    /// The open device.
    Limit(File),
    /// A program on each CPU.
    Idlers(Vec<Idler>),
}

/// Keeps `processors` awake: through the device, or on a machine without an idle driver by running
/// `program` on each, at the lowest priority, until its input is closed.
///
/// # Errors
/// The device is missing or not accessible, or there is no `chrt` or `taskset`.
pub fn keep_awake(processors: &[usize], program: &Path) -> std::io::Result<Awake> {
    if idle_states() {
        let mut held = OpenOptions::new().write(true).open(DEVICE)?;
        held.write_all(&0_i32.to_ne_bytes())?;
        return Ok(Awake::Limit(held));
    }
    let idlers = processors.iter().map(|&processor| Idler::start(processor, program));
    Ok(Awake::Idlers(idlers.collect::<std::io::Result<_>>()?))
}

/// A program that keeps a CPU awake; ends on drop.
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
