//! The resolver: keeps the addresses of vendors' host names up to date in the directory that calls
//! read (SIG-66). It works in the background; no signalling thread ever waits for a name server.

mod book;
mod dns;
mod procedure;

use crate::alarms::Alarms;
use book::{Book, Terms};
use config::Config;
use dns::NameServers;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use switch::facts::{Directory, Facts, Name};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

/// How long resolving a name may take, all queries included.
const NAME: Duration = Duration::from_secs(15);
/// Names resolved concurrently.
const AT_ONCE: usize = 64;
/// Interval between checks without names.
const REST: Duration = Duration::from_secs(3600);

/// Keeps names up to date until dropped.
#[derive(Debug)]
pub(crate) struct Resolver {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    book: Mutex<Book>,
    /// The names in the book have changed.
    changed: Notify,
    /// A query has ended, successfully or not.
    answered: Notify,
}

/// Numbers of names, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameCounts {
    /// Names with current addresses.
    pub(crate) resolved: usize,
    /// Names used with their last good answer.
    pub(crate) stale: usize,
    /// Names without an address.
    pub(crate) unresolved: usize,
}

impl Resolver {
    /// Starts without names. The task runs on the current runtime.
    pub(crate) fn start(config: &Config, directory: Arc<Directory>, alarms: Alarms) -> Resolver {
        let dns = &config.dns;
        let terms = Terms { shortest: dns.shortest, longest: dns.longest, keep: dns.keep };
        let own = config.listeners.iter().map(|listener| listener.address).collect();
        let shared = Arc::new(Shared {
            book: Mutex::new(Book::new(terms, own, directory, alarms)),
            changed: Notify::new(),
            answered: Notify::new(),
        });
        let servers = NameServers::of(dns).map(Arc::new);
        let task = tokio::spawn(run(Arc::clone(&shared), servers));
        Resolver { shared, task }
    }

    /// Adds the names of these facts and waits until each has been queried, but at most `limit`.
    pub(crate) async fn prepare(&self, facts: &Facts, limit: Duration) {
        self.shared.book().add(Instant::now(), names(facts));
        self.shared.changed.notify_one();
        let all_asked = async {
            loop {
                let answered = self.shared.answered.notified();
                if self.shared.book().all_asked() {
                    return;
                }
                answered.await;
            }
        };
        if tokio::time::timeout(limit, all_asked).await.is_err() {
            tracing::warn!("some names of vendors have no answer yet; calls do not wait for them");
        }
    }

    /// Removes all names except those of these facts.
    pub(crate) fn keep_only(&self, facts: &Facts) {
        self.shared.book().keep_only(Instant::now(), &names(facts));
    }

    /// The current numbers of names.
    pub(crate) fn counts(&self) -> NameCounts {
        self.shared.book().counts()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn names(facts: &Facts) -> HashSet<Arc<Name>> {
    facts.vendors().values().flat_map(|vendor| vendor.targets.names()).cloned().collect()
}

impl Shared {
    /// A panic elsewhere leaves at most one name unfinished, which is queried again.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Queries each name when it is due.
async fn run(shared: Arc<Shared>, servers: Result<Arc<NameServers>, String>) {
    let mut asking = JoinSet::new();
    loop {
        while asking.len() < AT_ONCE {
            let Some(name) = shared.book().take_due(Instant::now()) else { break };
            let servers = servers.clone();
            asking.spawn(async move {
                let found = match &servers {
                    Ok(servers) => {
                        let found = procedure::resolve(&**servers, &name);
                        let found = tokio::time::timeout(NAME, found).await;
                        found.unwrap_or_else(|_| Err("the name servers take too long".to_owned()))
                    }
                    Err(why) => Err(format!("the system's name servers are not known: {why}")),
                };
                (name, found)
            });
        }
        let next = shared.book().next_due().filter(|_| asking.len() < AT_ONCE);
        let next = next.unwrap_or_else(|| Instant::now() + REST);
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            () = shared.changed.notified() => {}
            Some(done) = asking.join_next(), if !asking.is_empty() => match done {
                Ok((name, found)) => {
                    shared.book().note(Instant::now(), &name, found);
                    shared.answered.notify_waiters();
                }
                Err(error) => tracing::error!(%error, "a name was not resolved"),
            },
        }
    }
}
