//! The resolver's state of each name: last good answer and time of the next query.

use super::NameCounts;
use super::procedure::Found;
use crate::alarms::{AlarmKind, Alarms};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use switch::facts::{Answer, Directory, Name};

/// How long calls to an address may last after its name has moved elsewhere.
const CALLS: Duration = Duration::from_secs(24 * 3600);
/// Most addresses of former answers remembered; the oldest are dropped.
const FORMER: usize = 4096;
/// A query lost with its task is repeated after this.
const LOST: Duration = Duration::from_secs(60);

/// How long answers are valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Shortest and longest interval between queries for a name.
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
    /// How long the last good answer is used without a newer one.
    pub(super) keep: Duration,
}

/// All names.
#[derive(Debug)]
pub(super) struct Book {
    terms: Terms,
    /// Our own listeners, to which no name may resolve: calls would loop.
    own: Vec<SocketAddr>,
    names: HashMap<Arc<Name>, Entry>,
    /// Addresses of former answers, and when they were last valid.
    former: HashMap<IpAddr, Instant>,
    directory: Arc<Directory>,
    alarms: Alarms,
}

#[derive(Debug)]
struct Entry {
    answers: Vec<Answer>,
    /// When the answers arrived.
    good: Option<Instant>,
    /// The first query has ended.
    asked: bool,
    /// The last query brought no complete answer.
    failed: bool,
    due: Instant,
}

impl Book {
    pub(super) fn new(
        terms: Terms,
        own: Vec<SocketAddr>,
        directory: Arc<Directory>,
        alarms: Alarms,
    ) -> Book {
        let (names, former) = (HashMap::new(), HashMap::new());
        Book { terms, own, names, former, directory, alarms }
    }

    /// Adds new names, due at once.
    pub(super) fn add(&mut self, now: Instant, names: HashSet<Arc<Name>>) {
        for name in names {
            self.names.entry(name).or_insert_with(|| Entry {
                answers: Vec::new(),
                good: None,
                asked: false,
                failed: false,
                due: now,
            });
        }
    }

    /// Removes all names except these.
    pub(super) fn keep_only(&mut self, now: Instant, names: &HashSet<Arc<Name>>) {
        let gone: Vec<Arc<Name>> =
            self.names.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in &gone {
            if let Some(entry) = self.names.remove(name) {
                self.remember(now, &entry.answers);
            }
            self.tell(name);
        }
        if !gone.is_empty() {
            self.publish(now);
        }
    }

    /// Takes a name that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Arc<Name>> {
        let (name, entry) = self.names.iter_mut().find(|(_, entry)| entry.due <= now)?;
        entry.due = now + LOST;
        Some(Arc::clone(name))
    }

    /// When the next name is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.names.values().map(|entry| entry.due).min()
    }

    /// Whether the first query for every name has ended.
    pub(super) fn all_asked(&self) -> bool {
        self.names.values().all(|entry| entry.asked)
    }

    pub(super) fn counts(&self) -> NameCounts {
        let mut counts = NameCounts::default();
        for entry in self.names.values() {
            match (entry.answers.is_empty(), entry.failed) {
                (true, _) => counts.unresolved += 1,
                (false, true) => counts.stale += 1,
                (false, false) => counts.resolved += 1,
            }
        }
        counts
    }

    /// Records the result of a query.
    pub(super) fn note(&mut self, now: Instant, name: &Arc<Name>, found: Result<Found, String>) {
        let (terms, own) = (self.terms, &self.own);
        let Some(entry) = self.names.get_mut(name) else { return };
        let mut why = None;
        let mut found =
            found.unwrap_or_else(|error| Found { missing: Some(error), ..Found::default() });
        let all = found.answers.len();
        found.answers.retain(|answer| !own.contains(&answer.address));
        if found.answers.is_empty() {
            why = found.missing.take().or_else(|| {
                let words = match all {
                    0 => "the name servers know no address of it",
                    _ => "it leads to this switch itself",
                };
                Some(words.to_owned())
            });
        } else if let Some(missing) = found.missing.take() {
            // A partial answer is better than none, and worse than an earlier complete one.
            why = Some(missing);
        }
        let expired = entry.good.is_none_or(|good| now >= good + terms.keep);
        let wait = match &why {
            None => found.valid.unwrap_or_default().clamp(terms.shortest, terms.longest),
            Some(_) => terms.shortest,
        };
        let usable = why.is_none() || (expired && !found.answers.is_empty());
        let before = match () {
            () if usable => {
                entry.good = Some(now);
                Some(std::mem::replace(&mut entry.answers, found.answers))
            }
            () if expired => Some(std::mem::take(&mut entry.answers)),
            () => None,
        };
        entry.asked = true;
        entry.failed = why.is_some();
        entry.due = now + wait;
        let changed = before.as_ref().is_some_and(|before| *before != entry.answers);
        if changed {
            let shown: Vec<String> =
                entry.answers.iter().map(|answer| answer.address.to_string()).collect();
            tracing::info!(name = %name.host, addresses = shown.join(" "), "a name leads to");
            self.remember(now, &before.unwrap_or_default());
            self.publish(now);
        }
        self.tell_of(name, why);
    }

    fn tell_of(&self, name: &Name, why: Option<String>) {
        let detail = why.map(|why| {
            let kept = self.names.get(name).is_some_and(|entry| !entry.answers.is_empty());
            let effect = match kept {
                true => "calls go to the addresses of the last answer",
                false => "no call can go there",
            };
            format!("{} is not resolved: {why}; {effect}", name.host)
        });
        match detail {
            Some(detail) => self.alarms.set(AlarmKind::NameUnresolved, &name.host, Some(detail)),
            None => self.tell(name),
        }
    }

    /// Clears the alarm of a host, unless another of its names still fails.
    fn tell(&self, name: &Name) {
        let fails = |(other, entry): (&Arc<Name>, &Entry)| other.host == name.host && entry.failed;
        if !self.names.iter().any(fails) {
            self.alarms.clear(AlarmKind::NameUnresolved, &name.host);
        }
    }

    /// Remembers the addresses of replaced answers: calls to them may be in progress.
    fn remember(&mut self, now: Instant, answers: &[Answer]) {
        self.former.extend(answers.iter().map(|answer| (answer.address.ip(), now)));
        self.former.retain(|_, seen| now < *seen + CALLS);
        while self.former.len() > FORMER {
            let oldest = self.former.iter().min_by_key(|(_, seen)| **seen);
            let Some(host) = oldest.map(|(host, _)| *host) else { break };
            self.former.remove(&host);
        }
    }

    fn publish(&self, now: Instant) {
        let names = self.names.iter();
        let names = names.map(|(name, entry)| (Arc::clone(name), entry.answers.clone()));
        let former = self.former.iter().filter(|(_, seen)| now < **seen + CALLS);
        self.directory.publish(names, former.map(|(host, _)| *host));
    }
}

#[cfg(test)]
mod tests;
