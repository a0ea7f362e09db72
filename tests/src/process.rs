//! What the kernel says about a process.

use std::fs;

/// Ticks a second of the times in /proc/PID/stat: fixed by the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds, user and system, that the processes have used with all their threads.
#[must_use]
pub fn processor_seconds(pids: &[u32]) -> f64 {
    let ticks: f64 = pids
        .iter()
        .filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The command name may hold anything; what follows its bracket is fields 3 and up.
            let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
            Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
        })
        .sum();
    ticks / TICKS_PER_SECOND
}

/// Kilobytes of memory of the processes, shared pages counted once.
#[must_use]
pub fn memory_kb(pids: &[u32]) -> f64 {
    pids.iter()
        .filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        })
        .sum()
}

/// A process and its children.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    for child in children.unwrap_or_default().split_whitespace() {
        pids.extend(child.parse::<u32>().map(family).unwrap_or_default());
    }
    pids
}
