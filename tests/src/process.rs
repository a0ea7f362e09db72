//! Process statistics from the kernel.

use std::fs;
use std::time::Duration;

/// Ticks per second in /proc/PID/stat, fixed by the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of processes with all threads, user and system, seconds since their start.
#[must_use]
pub fn processor_seconds(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command name may contain anything; field 3 follows its bracket.
        let (_, rest) = text.rsplit_once(')')?;
        let times = rest.split_whitespace().skip(11).take(2);
        Some(times.filter_map(|time| time.parse::<f64>().ok()).sum::<f64>())
    };
    pids.iter().filter_map(ticks).sum::<f64>() / TICKS_PER_SECOND
}

/// Memory of processes, kilobytes, with shared pages counted once.
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

/// A thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// CPUs that it may run on, such as `0-2,7`.
    pub processors: String,
    /// Scheduling policy: 0 is `SCHED_OTHER`, 5 `SCHED_IDLE`.
    pub policy: u32,
    /// CPU time since its start.
    pub ran: Duration,
}

/// The threads of a process, except those that end meanwhile.
#[must_use]
pub fn threads(pid: u32) -> Vec<Thread> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let thread = |task: fs::DirEntry| {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
        let (status, ran) = (read("status")?, read("schedstat")?);
        // Field 3 follows the bracket of the name; the policy is field 41.
        let stat = read("stat")?;
        let policy = stat.rsplit_once(')')?.1.split_whitespace().nth(38)?.parse().ok()?;
        let line = |key: &str| Some(status.lines().find_map(|l| l.strip_prefix(key))?.trim());
        Some(Thread {
            name: line("Name:")?.to_owned(),
            processors: line("Cpus_allowed_list:")?.to_owned(),
            policy,
            ran: Duration::from_nanos(ran.split_whitespace().next()?.parse().ok()?),
        })
    };
    tasks.filter_map(thread).collect()
}
