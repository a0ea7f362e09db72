//! `host-http`: requests of plugins to outside servers.
//!
//! The grant of a plugin is an [`Outside`]: the hosts it may reach, how many questions of each hook
//! may wait at one time, recent responses, requests that nobody waits for, and figures. It belongs
//! to the plugin, not to a version, so a swap keeps them. URLs, headers and bodies can contain secrets: none of them is ever logged,
//! and an error names at most the host.

mod cache;
mod client;
pub(crate) mod lane;
mod outbox;
mod request;
mod settings;
mod stats;

pub use outbox::SendMetrics;
pub(crate) use settings::check;
pub use stats::HttpMetrics;

use crate::settings::HttpSettings;
use crate::wire::{HttpError, HttpRequest, HttpResponse};
use cache::{Cache, Found, Outcome};
use client::Client;
use lane::Lane;
use outbox::Outbox;
use policy::Hook;
use request::{Key, Prepared};
use settings::GrantedHost;
use stats::HttpCounters;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

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
    /// Places of each hook, so that a slow server of one refuses no question of another.
    questions: [Semaphore; Hook::ALL.len()],
    requests: [AtomicU32; Hook::ALL.len()],
    outbox: Outbox,
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
            cache: Mutex::new(Cache::new(cache::ENTRIES, cache::BYTES)),
            stats: HttpCounters::default(),
            questions: Hook::ALL.map(|_| Semaphore::new(settings.in_flight as usize)),
            requests: Default::default(),
            outbox: Outbox::new(),
            settings,
        }
    }

    /// A place for one more question of the hook; none when all are taken.
    pub(crate) fn enter(&self, hook: Hook) -> Option<SemaphorePermit<'_>> {
        self.questions[hook as usize].try_acquire().ok()
    }

    /// [`Outside::enter`] for a question that nobody waits for: waits for its place.
    pub(crate) async fn enter_later(&self, hook: Hook) -> Option<SemaphorePermit<'_>> {
        self.questions[hook as usize].acquire().await.ok()
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
        let places = Hook::ALL.len() * self.settings.in_flight as usize;
        let free: usize = self.questions.iter().map(Semaphore::available_permits).sum();
        let questions = u32::try_from(places.saturating_sub(free)).unwrap_or(u32::MAX);
        let requests = self.requests.iter().map(|taken| taken.load(Relaxed)).sum();
        self.stats.snapshot(plugin, (questions, requests), (entries, bytes))
    }

    /// Figures of the requests that nobody waits for.
    pub(crate) fn send_metrics(&self) -> SendMetrics {
        self.outbox.metrics()
    }

    /// Keeps a request that nobody waits for, and sends it by `lane`; without a lane it is only
    /// checked.
    pub(crate) fn send_later(
        self: &Arc<Self>,
        lane: Option<&Lane>,
        asked: HttpRequest,
    ) -> Result<(), HttpError> {
        let limit = self.limit(&asked);
        let prepared = request::in_range(&asked)
            .and_then(|()| Prepared::new(Key::of(asked).0, &self.hosts, limit, false));
        let prepared = prepared.map_err(|words| {
            self.stats.refused.fetch_add(1, Relaxed);
            HttpError::Refused(words)
        })?;
        let Some(lane) = lane else { return Ok(()) };
        let kept = self.outbox.keep(Box::new(prepared)).ok_or(HttpError::Busy)?;
        let (outside, client) = (Arc::clone(self), lane.client().clone());
        lane.spawn(async move { outside.outbox.deliver(&client, kept).await });
        Ok(())
    }

    /// The host stops: each request that nobody waits for gets a last attempt.
    pub(crate) fn close(&self) {
        self.outbox.close();
    }

    /// Blocks until no such request is left, at most until `until`.
    pub(crate) fn drain(&self, until: Instant) {
        self.outbox.drain(until);
    }

    /// [`Outside::drain`]; returns how many are lost then.
    pub(crate) fn finish(&self, until: Instant) -> usize {
        self.outbox.finish(until)
    }

    /// The part that does not wait; [`Outside::wait`] does the rest.
    pub(crate) fn begin(&self, hook: Hook, asked: HttpRequest) -> Fetch {
        let limit = self.limit(&asked);
        if let Err(words) = request::in_range(&asked) {
            self.stats.refused.fetch_add(1, Relaxed);
            return Fetch::Done(Err(HttpError::Refused(words)));
        }
        let (key, cache_s) = Key::of(asked);
        if cache_s > 0 {
            let oldest = Duration::from_secs(u64::from(cache_s));
            match self.cache().find(hook, &key, oldest, Instant::now()) {
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
        hook: Hook,
        fetch: Fetch,
    ) -> Result<HttpResponse, HttpError> {
        match fetch {
            Fetch::Done(answer) => answer,
            Fetch::Join(waiting, limit) => answered(waiting, limit).await,
            // A cacheable response is useful even if its question was aborted in the meantime, so
            // the request runs in a separate task.
            Fetch::Send(prepared) if prepared.cached => {
                let limit = prepared.limit;
                let waiting = match self.cache().lead(hook, Arc::clone(&prepared.key)) {
                    Ok(leading) => {
                        let waiting = leading.waiting();
                        let outside = Arc::clone(&self);
                        let client = lane.client().clone();
                        lane.spawn(async move {
                            let outcome = outside.send(&client, hook, &prepared).await;
                            outside.cache().settle(&prepared.key, leading, outcome, Instant::now());
                        });
                        waiting
                    }
                    // Another thread sent the same request after the look-up.
                    Err(waiting) => waiting,
                };
                answered(waiting, limit).await
            }
            Fetch::Send(prepared) => match self.send(lane.client(), hook, &prepared).await {
                Ok(answer) => Ok(answer.response(false)),
                Err(failure) => Err(failure.into()),
            },
        }
    }

    async fn send(&self, client: &Client, hook: Hook, prepared: &Prepared) -> Outcome {
        let Some(_place) = self.take(&self.requests[hook as usize]) else {
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

    /// The longest time of a request: its own limit, or that of the grant.
    fn limit(&self, asked: &HttpRequest) -> Duration {
        Duration::from_millis(u64::from(asked.timeout_ms.min(self.settings.timeout_ms)))
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
