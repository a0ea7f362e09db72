//! Alarms for the operator: each is logged when it begins, every five minutes while it lasts, and
//! when it ends (OPS-37, OPS-92).
//!
//! Whoever detects a fault raises it here; the log, `/v1/alarms`, the metrics and `/health` report
//! it. An alarm is identified by kind and object, such as `ports_low` for the media address `main`.

mod kind;

pub use kind::AlarmKind;
pub(crate) use kind::Severity;

use crate::clock;
use api::AlarmLine;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Interval at which a standing alarm is logged again (OPS-37).
const REPEAT: Duration = Duration::from_secs(300);

/// How long an alarm of a single event stands after its last occurrence.
const MOMENT: Duration = Duration::from_secs(900);

/// Most standing alarms of one kind; more share one entry, so that strangers cannot fill the board.
const OBJECTS: usize = 64;

/// The object of alarms beyond [`OBJECTS`].
const OTHERS: &str = "others";

/// The alarm board of a node, shared by clones.
///
/// Raising an alarm takes a lock and may write a log line: not for the path of each call or packet.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    standing: BTreeMap<(AlarmKind, String), Standing>,
    /// How often an alarm of each kind began since start.
    begun: BTreeMap<AlarmKind, u64>,
}

#[derive(Debug)]
struct Standing {
    since: Instant,
    since_ms: u64,
    /// When it expires; `None` if it must be cleared.
    until: Option<Instant>,
    /// When it was last logged.
    told: Instant,
    count: u64,
    /// Sum of [`Alarms::notice_more`] since it began.
    sum: u64,
    detail: String,
}

/// The detail of an alarm.
#[derive(Debug)]
enum Said {
    /// This text.
    Words(String),
    /// A count to add, and the text after the sum.
    More(u64, &'static str),
}

/// Alarms of one kind, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlarmCount {
    /// The kind.
    pub(crate) kind: AlarmKind,
    /// Objects with a standing alarm.
    pub(crate) standing: u64,
    /// How often an alarm began since start.
    pub(crate) begun: u64,
}

impl Alarms {
    /// Raises an alarm on `object` until [`Alarms::clear`]; `detail` replaces an earlier one.
    pub(crate) fn raise(&self, kind: AlarmKind, object: &str, detail: impl Into<String>) {
        self.put(Instant::now(), kind, object, Said::Words(detail.into()), None);
    }

    /// Reports an event on `object`. The alarm expires if the event does not recur.
    pub fn notice(&self, kind: AlarmKind, object: &str, detail: impl Into<String>) {
        let now = Instant::now();
        self.put(now, kind, object, Said::Words(detail.into()), Some(now + MOMENT));
    }

    /// As [`Alarms::notice`], for events that are counted: the detail is their sum since the alarm
    /// began, followed by `what`.
    pub(crate) fn notice_more(&self, kind: AlarmKind, object: &str, more: u64, what: &'static str) {
        let now = Instant::now();
        self.put(now, kind, object, Said::More(more, what), Some(now + MOMENT));
    }

    /// Ends the alarm on `object`. Cheap if there is none.
    pub(crate) fn clear(&self, kind: AlarmKind, object: &str) {
        let gone = self.board().standing.remove(&(kind, object.to_owned()));
        if let Some(gone) = gone {
            tell_over(kind, object, &gone);
        }
    }

    /// Sets the result of a periodic check: raises with `Some(detail)`, clears with `None`.
    /// Repeated checks do not increase the count.
    pub(crate) fn set(&self, kind: AlarmKind, object: &str, found: Option<String>) {
        let Some(detail) = found else { return self.clear(kind, object) };
        let now = Instant::now();
        if let Some(standing) = self.board().standing.get_mut(&(kind, object.to_owned())) {
            standing.detail = detail;
            standing.tell_again(now, kind, object);
            return;
        }
        self.put(now, kind, object, Said::Words(detail), None);
    }

    /// The standing alarms, most severe first.
    pub fn lines(&self) -> Vec<AlarmLine> {
        let mut board = self.board();
        board.expire(Instant::now());
        let mut lines: Vec<(Severity, AlarmLine)> = board
            .standing
            .iter()
            .map(|((kind, object), standing)| {
                let line = AlarmLine {
                    alarm: kind.name().to_owned(),
                    object: object.clone(),
                    severity: kind.severity().name().to_owned(),
                    since_ms: standing.since_ms,
                    count: standing.count,
                    detail: standing.detail.clone(),
                    effect: kind.effect().to_owned(),
                    action: kind.action().to_owned(),
                };
                (kind.severity(), line)
            })
            .collect();
        lines.sort_by_key(|(severity, line)| (*severity, line.since_ms));
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// The counts of every kind.
    pub(crate) fn counts(&self) -> Vec<AlarmCount> {
        let mut board = self.board();
        board.expire(Instant::now());
        let count = |kind| AlarmCount {
            kind,
            standing: board.standing.keys().filter(|(of, _)| *of == kind).count() as u64,
            begun: board.begun.get(&kind).copied().unwrap_or_default(),
        };
        AlarmKind::ALL.into_iter().map(count).collect()
    }

    /// Whether an alarm stands during which new calls should go elsewhere.
    pub(crate) fn keep_calls_away(&self) -> bool {
        self.board().standing.keys().any(|(kind, _)| kind.keeps_calls_away())
    }

    fn put(&self, now: Instant, kind: AlarmKind, object: &str, said: Said, until: Option<Instant>) {
        let mut board = self.board();
        board.expire(now);
        let of_kind = board.standing.keys().filter(|(of, _)| *of == kind).count();
        let mut key = (kind, object.to_owned());
        if of_kind >= OBJECTS && !board.standing.contains_key(&key) {
            OTHERS.clone_into(&mut key.1);
        }
        let mut sum = board.standing.get(&key).map_or(0, |standing| standing.sum);
        let detail = match said {
            Said::Words(words) => words,
            Said::More(more, what) => {
                sum += more;
                format!("{sum} {what}")
            }
        };
        if let Some(standing) = board.standing.get_mut(&key) {
            standing.count += 1;
            standing.sum = sum;
            standing.detail = detail;
            standing.until = until;
            standing.tell_again(now, kind, &key.1);
            return;
        }
        let since_ms = clock::utc_ms();
        let standing = Standing { since: now, since_ms, until, told: now, count: 1, sum, detail };
        tell(kind, &key.1, &standing);
        *board.begun.entry(kind).or_default() += 1;
        board.standing.insert(key, standing);
    }

    /// A panic elsewhere cannot leave the board inconsistent.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn expire(&mut self, now: Instant) {
        self.standing.retain(|(kind, object), standing| {
            let over = standing.until.is_some_and(|until| until <= now);
            if over {
                tell_over(*kind, object, standing);
            }
            !over
        });
    }
}

impl Standing {
    fn tell_again(&mut self, now: Instant, kind: AlarmKind, object: &str) {
        if now.saturating_duration_since(self.told) >= REPEAT {
            self.told = now;
            tell(kind, object, self);
        }
    }
}

fn tell(kind: AlarmKind, object: &str, standing: &Standing) {
    let (alarm, count) = (kind.name(), standing.count);
    let (detail, action) = (&standing.detail, kind.action());
    match kind.severity() {
        Severity::Critical | Severity::Major => {
            tracing::error!(alarm, object, count, "ALARM: {detail}. {action}");
        }
        Severity::Warning => tracing::warn!(alarm, object, count, "ALARM: {detail}. {action}"),
    }
}

fn tell_over(kind: AlarmKind, object: &str, standing: &Standing) {
    let stood_s = standing.since.elapsed().as_secs();
    tracing::info!(alarm = kind.name(), object, count = standing.count, stood_s, "alarm is over");
}

#[cfg(test)]
mod tests;
