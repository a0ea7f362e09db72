//! Requests that nobody waits for. They are kept in memory, sent by a thread of the host, and sent
//! again after a failure. They belong to the plugin, so a swap loses none.

use super::Failure;
use super::cache::{Outcome, Stored};
use super::client::Client;
use super::request::Prepared;
use crate::services::backlog::{Backlog, Waiting};
use jiff::fmt::rfc2822::DateTimeParser;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// Requests of a plugin that wait.
const REQUESTS: usize = 10_000;

/// Memory of them, approximately.
const BYTES: usize = 16 << 20;

/// Requests of a plugin that are sent at one time.
const AT_ONCE: usize = 16;

/// Pauses before the second and each further attempt.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// Longest pause that a server can ask for by `Retry-After`.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Requests of one plugin that nobody waits for, since the host started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendMetrics {
    /// A server accepted them: 200 to 299.
    pub sent: u64,
    /// Given up: a server refused them for good, or the last attempt failed.
    pub failed: u64,
    /// Not accepted, because too many waited.
    pub dropped: u64,
    /// Given up because the host stopped.
    pub lost: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Waiting now.
    pub waiting: usize,
    /// The latest failed attempt: host and reason; empty if there was none.
    pub last_failure: String,
}

impl SendMetrics {
    /// Each result with its word for metrics.
    #[must_use]
    pub fn results(&self) -> [(&'static str, u64); 4] {
        [
            ("sent", self.sent),
            ("failed", self.failed),
            ("dropped", self.dropped),
            ("lost", self.lost),
        ]
    }
}

/// Whether the host still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// Every request gets one more attempt, now.
    Closing,
    /// What is left is lost.
    Closed,
}

/// The requests of one plugin.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Arc<Backlog>,
    bytes: AtomicUsize,
    places: Semaphore,
    phase: watch::Sender<Phase>,
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
    retries: AtomicU64,
    last_failure: Mutex<String>,
}

/// A request with its places in the outbox.
#[derive(Debug)]
pub(super) struct Kept {
    prepared: Box<Prepared>,
    bytes: usize,
    _place: Waiting,
}

/// The meaning of an attempt's outcome.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Sent,
    /// Another attempt would end alike.
    Failed,
    /// Another attempt, after this pause if the server named one.
    Again(Option<Duration>),
}

impl Outbox {
    pub(super) fn new() -> Outbox {
        Outbox {
            waiting: Backlog::new(REQUESTS),
            bytes: AtomicUsize::new(0),
            places: Semaphore::new(AT_ONCE),
            phase: watch::Sender::new(Phase::Open),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            last_failure: Mutex::default(),
        }
    }

    /// Takes the places for a request; none, and counted, if there are too many.
    pub(super) fn keep(&self, prepared: Box<Prepared>) -> Option<Kept> {
        let bytes = prepared.key.bytes();
        let more = |taken: usize| Some(taken + bytes).filter(|sum| *sum <= BYTES);
        let kept = self.waiting.enter().and_then(|place| {
            self.bytes.fetch_update(Relaxed, Relaxed, more).ok()?;
            Some(Kept { prepared, bytes, _place: place })
        });
        if kept.is_none() {
            self.dropped.fetch_add(1, Relaxed);
        }
        kept
    }

    /// Sends a request until a server accepts it, refuses it for good, or no attempt is left.
    pub(super) async fn deliver(&self, client: &Client, kept: Kept) {
        let mut phase = self.phase.subscribe();
        let mut pauses = PAUSES.into_iter();
        let end = loop {
            let outcome = {
                // It is never closed.
                let _place = self.places.acquire().await;
                let exchange = client.exchange(&kept.prepared);
                let outcome = tokio::time::timeout(kept.prepared.limit, exchange).await;
                outcome.unwrap_or(Err(Failure::Timeout))
            };
            let verdict = verdict(&outcome);
            if verdict != Verdict::Sent {
                self.note_failure(kept.prepared.host(), &outcome);
            }
            let now = *phase.borrow_and_update();
            let pause = match verdict {
                Verdict::Sent => break &self.sent,
                Verdict::Failed => break &self.failed,
                Verdict::Again(named) => match (now, pauses.next()) {
                    (_, None) => break &self.failed,
                    (Phase::Open, Some(own)) => named.map_or(own, |named| named.min(LONGEST_PAUSE)),
                    (Phase::Closing | Phase::Closed, _) => break &self.lost,
                },
            };
            let closing = phase.wait_for(|phase| *phase > Phase::Open);
            // Ends early when the host stops: then this is the last attempt.
            let _ = tokio::time::timeout(pause, closing).await;
            self.retries.fetch_add(1, Relaxed);
        };
        // Otherwise it is already counted as lost.
        if *self.phase.borrow() != Phase::Closed {
            end.fetch_add(1, Relaxed);
        }
        self.bytes.fetch_sub(kept.bytes, Relaxed);
    }

    /// Makes every request that waits for its next attempt try now, for the last time.
    pub(super) fn close(&self) {
        self.phase.send_if_modified(|phase| {
            let open = *phase == Phase::Open;
            *phase = (*phase).max(Phase::Closing);
            open
        });
    }

    /// Blocks until no request waits, at most until `until`; returns how many still wait.
    pub(super) fn drain(&self, until: Instant) -> usize {
        self.waiting.wait_until_empty(until)
    }

    /// [`Outbox::drain`]; what is left then is lost.
    pub(super) fn finish(&self, until: Instant) -> usize {
        let left = self.drain(until);
        let before = self.phase.send_replace(Phase::Closed);
        if before != Phase::Closed {
            self.lost.fetch_add(left as u64, Relaxed);
        }
        left
    }

    pub(super) fn metrics(&self) -> SendMetrics {
        SendMetrics {
            sent: self.sent.load(Relaxed),
            failed: self.failed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            lost: self.lost.load(Relaxed),
            retries: self.retries.load(Relaxed),
            waiting: self.waiting.len(),
            last_failure: self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn note_failure(&self, host: &str, outcome: &Outcome) {
        let words = match outcome {
            Ok(answer) => format!("{host}: status {}", answer.status),
            Err(Failure::Timeout) => format!("{host}: no response in time"),
            // It names the host.
            Err(Failure::Failed(words)) => words.to_string(),
            Err(Failure::Busy) => return,
        };
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }
}

fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Ok(answer) => match answer.status {
            200..=299 => Verdict::Sent,
            408 | 425 | 429 | 500..=599 => Verdict::Again(retry_after(answer)),
            _ => Verdict::Failed,
        },
        Err(_) => Verdict::Again(None),
    }
}

/// The pause that a server asks for (RFC 9110 section 10.2.3): seconds, or a date.
fn retry_after(answer: &Stored) -> Option<Duration> {
    let named = |name: &str| name.eq_ignore_ascii_case("retry-after");
    let value = answer.headers.iter().find(|header| named(&header.name))?.value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(value).ok()?.as_millisecond();
    let now = i64::try_from(platform::utc_ms()).ok()?;
    Some(Duration::from_millis(u64::try_from(at - now).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Header;

    fn answered(status: u16, retry_after: Option<&str>) -> Outcome {
        let header = |value: &str| Header { name: "retry-after".into(), value: value.to_owned() };
        let headers: Vec<Header> = retry_after.map(header).into_iter().collect();
        Ok(Arc::new(Stored { status, headers: headers.into(), body: Arc::from([]) }))
    }

    #[test]
    fn a_status_decides_whether_it_is_sent_again() {
        for (status, meant) in [
            (200, Verdict::Sent),
            (204, Verdict::Sent),
            (301, Verdict::Failed),
            (400, Verdict::Failed),
            (404, Verdict::Failed),
            (408, Verdict::Again(None)),
            (425, Verdict::Again(None)),
            (429, Verdict::Again(None)),
            (500, Verdict::Again(None)),
            (503, Verdict::Again(None)),
        ] {
            assert_eq!(verdict(&answered(status, None)), meant, "{status}");
        }
        assert_eq!(verdict(&Err(Failure::Timeout)), Verdict::Again(None));
        assert_eq!(verdict(&Err(Failure::Failed("x".into()))), Verdict::Again(None));
    }

    #[test]
    fn a_server_names_the_pause_by_seconds_or_by_date() {
        let pause = |value| match verdict(&answered(503, Some(value))) {
            Verdict::Again(pause) => pause,
            other => panic!("{other:?}"),
        };
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO), "it is over");
        let later = pause("Wed, 01 Jan 2200 00:00:00 GMT").expect("a date");
        assert!(later > Duration::from_secs(86_400), "{later:?}");
        for wrong in ["", "soon", "-1", "1.5"] {
            assert_eq!(pause(wrong), None, "{wrong}");
        }
    }
}
