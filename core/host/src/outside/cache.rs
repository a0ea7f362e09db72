//! Responses that may be reused, and open requests that others wait for.

use super::Failure;
use super::request::Key;
use crate::wire::{Header, HttpResponse};
use policy::Hook;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Most responses kept for a plugin.
pub(crate) const ENTRIES: usize = 100_000;

/// Most memory for them, approximately.
pub(crate) const BYTES: usize = 64 << 20;

/// Bytes per entry that are not counted otherwise: table, order, reference counts.
const OVERHEAD: usize = 200;

pub(crate) type Outcome = Result<Arc<Stored>, Failure>;

/// A response as it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) status: u16,
    pub(crate) headers: Arc<[Header]>,
    pub(crate) body: Arc<[u8]>,
}

impl Stored {
    pub(crate) fn response(&self, cached: bool) -> HttpResponse {
        HttpResponse {
            status: self.status,
            headers: Arc::clone(&self.headers),
            body: Arc::clone(&self.body),
            cached,
        }
    }

    /// Worth keeping: a result, including the result that there is nothing.
    fn is_good(&self) -> bool {
        matches!(self.status, 200..=299 | 404)
    }

    fn bytes(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|header| header.name.len() + header.value.len() + 48).sum();
        self.body.len() + headers
    }
}

/// Bounded; when it is full, the oldest responses are evicted.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: HashMap<Arc<Key>, Entry>,
    /// Oldest first.
    order: BTreeMap<u64, Arc<Key>>,
    /// By hook: a question never waits for a request that a question of another hook sends.
    under_way: [HashMap<Arc<Key>, Waiting>; Hook::ALL.len()],
    next: u64,
    bytes: usize,
    most_entries: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Arc<Stored>,
    at: Instant,
    number: u64,
    bytes: usize,
}

/// The cache's state for a request.
pub(crate) enum Found {
    Answer(Arc<Stored>),
    Waiting(Waiting),
}

/// Receives the outcome of an open request.
#[derive(Clone, Debug)]
pub(crate) struct Waiting(watch::Receiver<Option<Outcome>>);

impl Waiting {
    pub(crate) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // The task ended without an outcome: the node is stopping.
            _ => Err(Failure::Failed("the request was given up".into())),
        }
    }
}

/// Sends the outcome to those who wait.
#[derive(Debug)]
pub(crate) struct Leading {
    sender: watch::Sender<Option<Outcome>>,
    hook: Hook,
}

impl Leading {
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting(self.sender.subscribe())
    }
}

impl Cache {
    pub(crate) fn new(most_entries: usize, most_bytes: usize) -> Cache {
        Cache {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            under_way: Default::default(),
            next: 0,
            bytes: 0,
            most_entries,
            most_bytes,
        }
    }

    /// A response that is not older than `oldest`, or an equal open request of the hook.
    pub(crate) fn find(
        &self,
        hook: Hook,
        key: &Key,
        oldest: Duration,
        now: Instant,
    ) -> Option<Found> {
        match self.entries.get(key) {
            Some(entry) if now.saturating_duration_since(entry.at) <= oldest => {
                Some(Found::Answer(Arc::clone(&entry.answer)))
            }
            _ => self.under_way[hook as usize].get(key).cloned().map(Found::Waiting),
        }
    }

    /// Makes the caller the sender; if another caller already sends, returns how to wait for it.
    pub(crate) fn lead(&mut self, hook: Hook, key: Arc<Key>) -> Result<Leading, Waiting> {
        let under_way = &mut self.under_way[hook as usize];
        if let Some(waiting) = under_way.get(&key) {
            return Err(waiting.clone());
        }
        let (sender, receiver) = watch::channel(None);
        under_way.insert(key, Waiting(receiver));
        Ok(Leading { sender, hook })
    }

    /// Sends the outcome to all who wait, and keeps a good response.
    pub(crate) fn settle(
        &mut self,
        key: &Arc<Key>,
        leading: Leading,
        outcome: Outcome,
        now: Instant,
    ) {
        self.under_way[leading.hook as usize].remove(key);
        if let Ok(answer) = &outcome
            && answer.is_good()
        {
            self.keep(Arc::clone(key), Arc::clone(answer), now);
        }
        leading.sender.send_replace(Some(outcome));
    }

    /// Entries and bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    fn keep(&mut self, key: Arc<Key>, answer: Arc<Stored>, at: Instant) {
        let bytes = key.bytes() + answer.bytes() + OVERHEAD;
        self.forget(&key);
        self.next += 1;
        self.order.insert(self.next, Arc::clone(&key));
        self.entries.insert(key, Entry { answer, at, number: self.next, bytes });
        self.bytes += bytes;
        while (self.entries.len() > self.most_entries || self.bytes > self.most_bytes)
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Arc<Key>) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HttpMethod;

    const HOOK: Hook = Hook::Screening;

    fn key(url: &str) -> Arc<Key> {
        let (headers, body) = (Vec::new(), Vec::new());
        Arc::new(Key { method: HttpMethod::Get, url: url.to_owned(), headers, body })
    }

    fn stored(status: u16, body: &str) -> Arc<Stored> {
        Arc::new(Stored { status, headers: Arc::new([]), body: body.as_bytes().into() })
    }

    fn fill(cache: &mut Cache, url: &str, answer: Arc<Stored>, at: Instant) {
        let leading = cache.lead(HOOK, key(url)).unwrap();
        cache.settle(&key(url), leading, Ok(answer), at);
    }

    fn hit(cache: &Cache, url: &str, seconds: u64, now: Instant) -> bool {
        let found = cache.find(HOOK, &key(url), Duration::from_secs(seconds), now);
        matches!(found, Some(Found::Answer(_)))
    }

    #[test]
    fn the_request_says_how_old_an_answer_may_be() {
        let mut cache = Cache::new(10, 1 << 20);
        let begun = Instant::now();
        fill(&mut cache, "a", stored(200, "1"), begun);
        let later = begun + Duration::from_secs(60);
        assert!(hit(&cache, "a", 60, later));
        assert!(!hit(&cache, "a", 59, later));
        assert!(!hit(&cache, "b", 60, later));
    }

    #[test]
    fn only_good_answers_are_kept() {
        let mut cache = Cache::new(10, 1 << 20);
        let now = Instant::now();
        for (status, kept) in [(200, true), (204, true), (404, true), (302, false), (500, false)] {
            let url = status.to_string();
            fill(&mut cache, &url, stored(status, ""), now);
            assert_eq!(hit(&cache, &url, 60, now), kept, "{status}");
        }
    }

    #[test]
    fn entries_and_bytes_are_bounded_and_the_oldest_go() {
        let now = Instant::now();
        let mut cache = Cache::new(3, 1 << 20);
        for url in ["a", "b", "a", "c", "d"] {
            fill(&mut cache, url, stored(200, "1"), now);
        }
        assert_eq!(cache.size().0, 3);
        assert!(!hit(&cache, "b", 60, now), "`a` was asked again later");
        assert!(hit(&cache, "a", 60, now) && hit(&cache, "d", 60, now));

        let mut cache = Cache::new(1000, 10_000);
        for number in 0..100 {
            fill(&mut cache, &number.to_string(), stored(200, &"x".repeat(1000)), now);
        }
        let (entries, bytes) = cache.size();
        assert!(
            bytes <= 10_000 && entries == cache.order.len() && entries >= 5,
            "{entries} {bytes}"
        );
        assert!(hit(&cache, "99", 60, now));
    }

    #[test]
    fn an_equal_request_waits_and_hears_the_outcome() {
        let mut cache = Cache::new(10, 1 << 20);
        let now = Instant::now();
        let leading = cache.lead(HOOK, key("a")).unwrap();
        let Some(Found::Waiting(waiting)) = cache.find(HOOK, &key("a"), Duration::ZERO, now) else {
            panic!("it is under way")
        };
        assert!(cache.lead(HOOK, key("a")).is_err());
        assert!(cache.find(Hook::Events, &key("a"), Duration::ZERO, now).is_none());
        let other = cache.lead(Hook::Events, key("a")).expect("another hook sends its own");
        cache.settle(&key("a"), leading, Err(Failure::Timeout), now);
        assert!(cache.find(HOOK, &key("a"), Duration::from_secs(60), now).is_none());
        assert!(cache.find(Hook::Events, &key("a"), Duration::ZERO, now).is_some());
        drop(other);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(waiting.outcome()), Err(Failure::Timeout));
    }
}
