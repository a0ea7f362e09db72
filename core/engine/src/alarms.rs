//! Alarms: what an operator must know, told once when it begins, again every five minutes
//! while it lasts, and once when it is over (OPS-37, OPS-92).
//!
//! Whoever notices something raises it here; the log, `/v1/alarms`, the metrics and `/health`
//! show it from here. An alarm stands for a kind and an object, such as `ports_low` of the
//! media address `main`.

mod kind;

pub use kind::AlarmKind;
pub(crate) use kind::Severity;

use crate::clock;
use api::AlarmLine;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An alarm that goes on is logged again after this long (OPS-37).
const REPEAT: Duration = Duration::from_secs(300);

/// What happens at a moment stands for this long after it happened last.
const MOMENT: Duration = Duration::from_secs(900);

/// Objects of one kind that stand at a time; more share one entry, so that strangers cannot
/// fill the board.
const OBJECTS: usize = 64;

/// The object of the alarms past [`OBJECTS`].
const OTHERS: &str = "others";

/// The board that all alarms of a node hang on. Clones are the same board.
///
/// Raising takes a lock and may write a log line: it is for what happens rarely, not for each
/// call or packet.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    standing: BTreeMap<(AlarmKind, String), Standing>,
    /// How often each kind began since the start.
    begun: BTreeMap<AlarmKind, u64>,
}

#[derive(Debug)]
struct Standing {
    since: Instant,
    since_ms: u64,
    /// When it goes by itself; none: when it is cleared.
    until: Option<Instant>,
    /// When the log told it last.
    told: Instant,
    count: u64,
    /// What [`Alarms::notice_more`] has counted since it began.
    sum: u64,
    detail: String,
}

/// What is said of something wrong.
#[derive(Debug)]
enum Said {
    /// These words.
    Words(String),
    /// So many more of something; the words follow their number.
    More(u64, &'static str),
}

/// Alarms of one kind, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlarmCount {
    /// Which.
    pub(crate) kind: AlarmKind,
    /// Objects that it stands for now.
    pub(crate) standing: u64,
    /// How often it began since the start.
    pub(crate) begun: u64,
}

impl Alarms {
    /// Something is wrong with `object` until [`Alarms::clear`]. `detail` says what, in words,
    /// and replaces what was said before.
    pub(crate) fn raise(&self, kind: AlarmKind, object: &str, detail: impl Into<String>) {
        self.put(Instant::now(), kind, object, Said::Words(detail.into()), None);
    }

    /// Something happened to `object`. The alarm goes by itself when it does not happen again.
    pub fn notice(&self, kind: AlarmKind, object: &str, detail: impl Into<String>) {
        let now = Instant::now();
        self.put(now, kind, object, Said::Words(detail.into()), Some(now + MOMENT));
    }

    /// The same of something that is counted: `more` of it happened. The detail is the number of
    /// all since the alarm began, and `what`.
    pub(crate) fn notice_more(&self, kind: AlarmKind, object: &str, more: u64, what: &'static str) {
        let now = Instant::now();
        self.put(now, kind, object, Said::More(more, what), Some(now + MOMENT));
    }

    /// What was wrong with `object` is over. Costs little when nothing was.
    pub(crate) fn clear(&self, kind: AlarmKind, object: &str) {
        let gone = self.board().standing.remove(&(kind, object.to_owned()));
        if let Some(gone) = gone {
            tell_over(kind, object, &gone);
        }
    }

    /// As somebody who looks again and again finds it: raises with `Some(detail)`, clears with
    /// `None`. Looking does not count as happening.
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

    /// What stands, the most severe first.
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

    /// Every kind with its figures.
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

    /// Whether something stands that new calls should be sent elsewhere for.
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

    /// A panic elsewhere cannot leave the board half-changed.
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
