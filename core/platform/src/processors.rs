//! Sets of the machine's processors, and pinning threads to them.

use rustix::process::{Pid, getpid};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::str::FromStr;
use thiserror::Error;

/// Processors by their Linux numbers, in Linux's notation: `0-3,7`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessorSet(BTreeSet<usize>);

/// A text that is not a list of processors.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a list of processors: write numbers and ranges from 0 to {last}, such as \"7\" or \"0-3,7\"",
    last = CpuSet::MAX_CPU - 1
)]
pub struct NoProcessors(String);

impl ProcessorSet {
    /// The processors that the program may use: usually all, or those allowed by `taskset` or a
    /// container. Read from the first thread, so that a pinned thread gets the same answer.
    ///
    /// # Errors
    /// The error of the system.
    pub fn of_program() -> io::Result<ProcessorSet> {
        ProcessorSet::of(Some(getpid()))
    }

    /// The processors that the calling thread may use.
    ///
    /// # Errors
    /// The error of the system.
    pub fn of_thread() -> io::Result<ProcessorSet> {
        ProcessorSet::of(None)
    }

    fn of(thread: Option<Pid>) -> io::Result<ProcessorSet> {
        let allowed = sched_getaffinity(thread)?;
        Ok((0..CpuSet::MAX_CPU).filter(|&number| allowed.is_set(number)).collect())
    }

    /// Pins the calling thread, and the threads that it starts, to these processors.
    ///
    /// # Errors
    /// The error of the system; also if none of the processors exists, or the set is empty.
    pub fn keep_to(&self) -> io::Result<()> {
        let mut wanted = CpuSet::new();
        self.0.iter().for_each(|&number| wanted.set(number));
        Ok(sched_setaffinity(None, &wanted)?)
    }

    /// Each processor as a separate set.
    pub fn each(&self) -> impl Iterator<Item = ProcessorSet> {
        self.0.iter().map(|&number| ProcessorSet(BTreeSet::from([number])))
    }

    /// Number of processors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The processors that are not in `others`.
    #[must_use]
    pub fn without(&self, others: &ProcessorSet) -> ProcessorSet {
        ProcessorSet(&self.0 - &others.0)
    }

    /// The `count` processors with the highest numbers.
    #[must_use]
    pub fn last(&self, count: usize) -> ProcessorSet {
        self.0.iter().rev().take(count).copied().collect()
    }
}

impl FromIterator<usize> for ProcessorSet {
    /// Collects numbers; numbers beyond Linux's limit are skipped.
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> ProcessorSet {
        ProcessorSet(numbers.into_iter().filter(|&number| number < CpuSet::MAX_CPU).collect())
    }
}

impl FromStr for ProcessorSet {
    type Err = NoProcessors;

    fn from_str(text: &str) -> Result<ProcessorSet, NoProcessors> {
        let wrong = || NoProcessors(text.to_owned());
        let number = |digits: &str| match digits.trim().parse::<usize>() {
            Ok(number) if number < CpuSet::MAX_CPU => Ok(number),
            _ => Err(wrong()),
        };
        let mut numbers = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = number(first)?..=number(last)?;
            if range.is_empty() {
                return Err(wrong());
            }
            numbers.extend(range);
        }
        Ok(ProcessorSet(numbers))
    }
}

impl fmt::Display for ProcessorSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = left.next() {
            let mut last = first;
            while let Some(next) = left.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last == first {
                true => write!(formatter, "{comma}{first}")?,
                false => write!(formatter, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

/// Pins the calling thread to `processors`, if given. On failure the thread runs wherever the
/// system lets it, and a warning is logged.
pub fn keep_to(processors: Option<&ProcessorSet>) {
    if let Some(Err(error)) = processors.map(ProcessorSet::keep_to) {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        tracing::warn!(%error, thread, "calls and housekeeping share a processor");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_as_linux_writes_it() {
        for (text, written) in
            [("7", "7"), ("0-3,7", "0-3,7"), ("3,1,2,0", "0-3"), (" 5 - 6 , 8", "5-6,8")]
        {
            let set: ProcessorSet = text.parse().expect(text);
            assert_eq!(set.to_string(), written);
        }
        for text in ["", "a", "3-1", "0-", "-1", "1,,2", "1024", "0-99999999999"] {
            let error = text.parse::<ProcessorSet>().expect_err(text);
            assert!(error.to_string().contains("0 to 1023"), "{error}");
        }
    }

    #[test]
    fn a_set_is_divided() {
        let all: ProcessorSet = (0..8).collect();
        let last = all.last(2);
        assert_eq!(
            (last.to_string(), all.without(&last).to_string()),
            ("6-7".into(), "0-5".into())
        );
        assert_eq!((all.len(), all.without(&all).is_empty()), (8, true));
    }

    #[test]
    fn a_thread_and_those_it_starts_keep_to_a_set() {
        let allowed = ProcessorSet::of_program().expect("known");
        let (one, all) = (allowed.last(1), allowed.clone());
        std::thread::spawn(move || {
            one.keep_to().expect("kept");
            assert_eq!(ProcessorSet::of_thread().expect("known"), one);
            assert_eq!(ProcessorSet::of_program().expect("known"), all);
            let started = std::thread::spawn(ProcessorSet::of_thread);
            assert_eq!(started.join().expect("no panic").expect("known"), one);
        })
        .join()
        .expect("no panic");
        assert_eq!(ProcessorSet::of_thread().expect("known"), allowed);
        ProcessorSet::default().keep_to().expect_err("no processor at all");
    }
}
