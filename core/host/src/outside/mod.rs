//! `host-http`: requests of plugins to outside servers.
//!
//! The grant of a plugin is an [`Outside`]: the hosts it may reach, how many questions may wait at
//! one time, recent responses, and figures. It belongs to the plugin, not to a version, so a swap
//! keeps the responses. URLs, headers and bodies can contain secrets: none of them is ever logged,
//! and an error names at most the host.

mod cache;
mod client;
pub(crate) mod lane;
mod request;
mod settings;
mod stats;

pub(crate) use settings::check;
pub use stats::HttpMetrics;

use crate::settings::HttpSettings;
use crate::wire::{HttpError, HttpRequest, HttpResponse};
use cache::{Cache, Found, Outcome};
use client::Client;
use lane::Lane;
use request::{Key, Prepared};
use settings::GrantedHost;
use stats::HttpCounters;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a request got no response; shared by all that waited for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Timeout,
    Failed(Arc<str>),
    Busy,
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> HttpError {
        match failure {
            Failure::Timeout => HttpError::Timeout,
            Failure::Failed(words) => HttpError::Failed(words.to_string()),
            Failure::Busy => HttpError::Busy,
        }
    }
}

/// The permissions and the state of one plugin's requests.
#[derive(Debug)]
pub(crate) struct Outside {
    settings: HttpSettings,
    hosts: Vec<GrantedHost>,
    cache: Mutex<Cache>,
    stats: HttpCounters,
    questions: AtomicU32,
    requests: AtomicU32,
}

/// The next step of a fetch.
pub(crate) enum Fetch {
    /// Finished, with this result.
    Done(Result<HttpResponse, HttpError>),
    /// Wait for an equal open request.
    Join(cache::Waiting, Duration),
    /// Send it, and give the response to the cache if `cached` is set.
    Send(Box<Prepared>),
}

/// One of the places of a limit; released when dropped.
pub(crate) struct Place<'a>(&'a AtomicU32);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Outside {
    /// For settings that [`check`] has accepted.
    pub(crate) fn new(settings: HttpSettings) -> Outside {
        Outside {
            hosts: settings.hosts.iter().filter_map(|host| GrantedHost::parse(host)).collect(),
            settings,
            cache: Mutex::new(Cache::new(cache::ENTRIES, cache::BYTES)),
            stats: HttpCounters::default(),
            questions: AtomicU32::new(0),
            requests: AtomicU32::new(0),
        }
    }

    /// A place for one more question; none when all are taken.
    pub(crate) fn enter(&self) -> Option<Place<'_>> {
        self.take(&self.questions)
    }

    pub(crate) fn in_flight_limit(&self) -> u32 {
        self.settings.in_flight
    }

    /// Most wall time of one question.
    pub(crate) fn total_ms(&self) -> u32 {
        self.settings.total_ms
    }

    pub(crate) fn metrics(&self, plugin: &str) -> HttpMetrics {
        let (entries, bytes) = self.cache().size();
        let now = (self.questions.load(Relaxed), self.requests.load(Relaxed));
        self.stats.snapshot(plugin, now, (entries, bytes))
    }

    /// The part that does not wait; [`Outside::wait`] does the rest.
    pub(crate) fn begin(&self, asked: HttpRequest) -> Fetch {
        let limit =
            Duration::from_millis(u64::from(asked.timeout_ms.min(self.settings.timeout_ms)));
        if let Err(words) = request::in_range(&asked) {
            self.stats.refused.fetch_add(1, Relaxed);
            return Fetch::Done(Err(HttpError::Refused(words)));
        }
        let (key, cache_s) = Key::of(asked);
        if cache_s > 0 {
            let oldest = Duration::from_secs(u64::from(cache_s));
            match self.cache().find(&key, oldest, Instant::now()) {
                Some(Found::Answer(answer)) => {
                    self.stats.cache_hits.fetch_add(1, Relaxed);
                    return Fetch::Done(Ok(answer.response(true)));
                }
                Some(Found::Waiting(waiting)) => {
                    self.stats.joined.fetch_add(1, Relaxed);
                    return Fetch::Join(waiting, limit);
                }
                None => {}
            }
        }
        match Prepared::new(key, &self.hosts, limit, cache_s > 0) {
            Ok(prepared) => Fetch::Send(Box::new(prepared)),
            Err(words) => {
                self.stats.refused.fetch_add(1, Relaxed);
                Fetch::Done(Err(HttpError::Refused(words)))
            }
        }
    }

    /// Finishes a fetch that [`Outside::begin`] could not answer at once.
    pub(crate) async fn wait(
        self: Arc<Self>,
        lane: &Lane,
        fetch: Fetch,
    ) -> Result<HttpResponse, HttpError> {
        match fetch {
            Fetch::Done(answer) => answer,
            Fetch::Join(waiting, limit) => answered(waiting, limit).await,
            // A cacheable response is useful even if its question was aborted in the meantime, so
            // the request runs in a separate task.
            Fetch::Send(prepared) if prepared.cached => {
                let limit = prepared.limit;
                let waiting = match self.cache().lead(Arc::clone(&prepared.key)) {
                    Ok(leading) => {
                        let waiting = leading.waiting();
                        let outside = Arc::clone(&self);
                        let client = lane.client().clone();
                        lane.spawn(async move {
                            let outcome = outside.send(&client, &prepared).await;
                            outside.cache().settle(&prepared.key, leading, outcome, Instant::now());
                        });
                        waiting
                    }
                    // Another thread sent the same request after the look-up.
                    Err(waiting) => waiting,
                };
                answered(waiting, limit).await
            }
            Fetch::Send(prepared) => match self.send(lane.client(), &prepared).await {
                Ok(answer) => Ok(answer.response(false)),
                Err(failure) => Err(failure.into()),
            },
        }
    }

    async fn send(&self, client: &Client, prepared: &Prepared) -> Outcome {
        let Some(_place) = self.take(&self.requests) else {
            self.stats.busy.fetch_add(1, Relaxed);
            return Err(Failure::Busy);
        };
        let begun = Instant::now();
        let exchange = client.exchange(prepared);
        let outcome = tokio::time::timeout(prepared.limit, exchange).await;
        let outcome = outcome.unwrap_or(Err(Failure::Timeout));
        self.stats.note(&outcome, begun.elapsed());
        outcome
    }

    fn take<'a>(&self, places: &'a AtomicU32) -> Option<Place<'a>> {
        let more = |taken: u32| (taken < self.settings.in_flight).then_some(taken + 1);
        places.fetch_update(Relaxed, Relaxed, more).ok().map(|_| Place(places))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answered(waiting: cache::Waiting, limit: Duration) -> Result<HttpResponse, HttpError> {
    match tokio::time::timeout(limit, waiting.outcome()).await {
        Ok(Ok(answer)) => Ok(answer.response(false)),
        Ok(Err(failure)) => Err(failure.into()),
        Err(_) => Err(HttpError::Timeout),
    }
}
