//! Budgets of unknown sources (SEC-22), and lockouts for password guessing (SEC-01).
//!
//! One table for all shards, because a sender can choose its shard. Known peers are entered only
//! for their credentials. Every part is bounded: sources that find no place share one budget.

use foldhash::HashMap;
use foldhash::fast::RandomState;
use ledger::Text;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Number of locks of the table, so that shards seldom wait for one.
const PARTS: usize = 16;
/// Sources that one part remembers: 65,536 in all, 8 MB.
const SOURCES: usize = 4096;
/// Pairs of source and user that one part remembers: 16,384 in all.
const PAIRS: usize = 1024;
/// Users of one source that have their own pair: more than forget a password there. All other users
/// of the source count as one, so that nobody can guess more often by using up the places with
/// names that do not exist.
const USERS_OF_SOURCE: usize = 64;
/// Name of all other users of a source in lists.
const OTHERS: &str = "*";
/// Lines in a summary; the rest is summed up in one.
const LINES: usize = 20;
/// Bytes of a user name that are kept.
const NAME: usize = 64;

const MINUTE: Duration = Duration::from_secs(60);
/// Longest lockout for passwords (SEC-01), and the lockout for a flood (SEC-22).
const HOUR: Duration = Duration::from_secs(3600);
/// First lockout (SEC-01).
const FIRST_LOCKOUT: Duration = Duration::from_secs(180);
/// Wrong passwords in a minute that lock out: of one user at one source, of all users at it
/// (SEC-01).
const FAILURES_OF_PAIR: u32 = 6;
const FAILURES_OF_SOURCE: u32 = 20;
/// Requests in a minute without success that lock out (SEC-22).
const REQUESTS: u32 = 20;
/// Packets of one source (SEC-22).
const PACKETS: Rate = Rate { each: Duration::from_millis(100), burst: 20 };
/// Packets that are still handled from a source that is locked out for a flood: its address may be
/// forged, and a user who has a password must still get in.
const DOOR: Rate = Rate { each: Duration::from_secs(1), burst: 2 };
/// Challenges of a source where a user has logged in: enough for a busy office, too few for a
/// reflection attack.
const CHALLENGES: Rate = Rate { each: Duration::from_millis(10), burst: 200 };
/// Answers to all strangers together.
const ANSWERS: Rate = Rate { each: Duration::from_millis(1), burst: 1000 };

/// A rate limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Long-term interval.
    pub(crate) each: Duration,
    /// Number at once after a rest.
    pub(crate) burst: u32,
}

/// When the budget of a [`Rate`] is full again; none: it is full.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget(Option<Instant>);

impl Budget {
    /// Takes one from the budget, if there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let whole = self.0.map_or(now, |whole| whole.max(now)) + rate.each;
        let taken = whole <= now + rate.each * rate.burst;
        if taken {
            self.0 = Some(whole);
        }
        taken
    }

    /// A budget that is empty now.
    fn used_up(rate: Rate, now: Instant) -> Budget {
        Budget(Some(now + rate.each * rate.burst))
    }

    fn give_back(&mut self, rate: Rate) {
        self.0 = self.0.and_then(|whole| whole.checked_sub(rate.each));
    }
}

/// The treatment of a stranger's datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Drop it: too many came, or the source is locked out.
    Refused,
    /// Handle it.
    Stranger,
    /// A user has logged in from there within the last hour: only challenges are limited.
    Proven,
}

/// A lockout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// The source: an address, or the first address of an IPv6 /64.
    pub source: IpAddr,
    /// Only this user name from there; none: the whole source.
    pub user: Option<Text>,
    /// `passwords` or `flood`.
    pub cause: &'static str,
    /// Remaining time.
    pub left: Duration,
    /// Number of previous lockouts without a long rest.
    pub repeats: u32,
}

/// Activity of one source since the last summary (SEC-28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The source; none: all sources without their own line.
    pub source: Option<IpAddr>,
    /// The first user names with wrong passwords.
    pub users: Vec<Text>,
    /// Wrong passwords.
    pub failures: u64,
    /// Datagrams that were dropped because of a budget or a lockout.
    pub refused: u64,
    /// It is locked out, as a whole or for a user.
    pub locked: bool,
}

/// The table.
pub struct Strangers {
    parts: [Mutex<Part>; PARTS],
    hasher: RandomState,
    answers: Mutex<Budget>,
}

impl std::fmt::Debug for Strangers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Strangers")
    }
}

impl Default for Strangers {
    fn default() -> Self {
        Strangers {
            parts: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::default(),
            answers: Mutex::default(),
        }
    }
}

#[derive(Default)]
struct Part {
    sources: HashMap<IpAddr, Source>,
    pairs: HashMap<(IpAddr, Text), Pair>,
    /// All users of a source without their own pair, as one; at most as many entries as pairs.
    others: HashMap<IpAddr, Pair>,
    /// The budget of all sources that have no place.
    crowd: Budget,
    crowd_refused: u64,
    swept: Option<Instant>,
}

struct Source {
    seen: Instant,
    packets: Budget,
    door: Budget,
    challenges: Budget,
    requests: Tally,
    failures: Tally,
    lock: Lock,
    flood: Option<Instant>,
    proven: Option<Instant>,
    refused: u64,
}

struct Pair {
    seen: Instant,
    failures: Tally,
    lock: Lock,
    /// Not reported yet.
    untold: u64,
}

impl Pair {
    fn new(now: Instant) -> Pair {
        Pair { seen: now, failures: Tally::default(), lock: Lock::default(), untold: 0 }
    }

    fn matters(&self, now: Instant, rest: Duration) -> bool {
        self.lock.holds(now) || now < self.seen + rest
    }
}

/// A count in the current minute.
#[derive(Default)]
struct Tally {
    since: Option<Instant>,
    count: u32,
}

impl Tally {
    fn add(&mut self, now: Instant) -> u32 {
        if self.since.is_none_or(|since| now >= since + MINUTE) {
            *self = Tally { since: Some(now), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// A lockout whose duration doubles each time (SEC-01).
#[derive(Default)]
struct Lock {
    until: Option<Instant>,
    repeats: u32,
}

impl Lock {
    fn set(&mut self, now: Instant) {
        let long = FIRST_LOCKOUT * 2_u32.pow(self.repeats.min(5));
        self.until = Some(now + long.min(HOUR));
        self.repeats = self.repeats.saturating_add(1);
    }

    fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

impl Source {
    fn new(now: Instant) -> Source {
        Source {
            seen: now,
            packets: Budget::default(),
            door: Budget::default(),
            challenges: Budget::default(),
            requests: Tally::default(),
            failures: Tally::default(),
            lock: Lock::default(),
            flood: None,
            proven: None,
            refused: 0,
        }
    }

    fn is_locked(&self, now: Instant) -> bool {
        self.lock.holds(now) || self.flood.is_some_and(|until| now < until)
    }

    fn is_proven(&self, now: Instant) -> bool {
        self.proven.is_some_and(|until| now < until)
    }

    /// A user has logged in: the source is no stranger for an hour, and is not to blame for a flood
    /// under its address.
    fn succeeded(&mut self, now: Instant) {
        self.requests = Tally::default();
        self.flood = None;
        self.proven = Some(now + HOUR);
    }

    /// A request without success.
    fn ask(&mut self, now: Instant) {
        if !self.is_proven(now) && self.requests.add(now) > REQUESTS {
            if !self.is_locked(now) {
                self.door = Budget::used_up(DOOR, now);
            }
            self.flood = Some(now + HOUR);
        }
    }

    /// Whether it has to be remembered longer than a minute.
    fn matters(&self, now: Instant) -> bool {
        self.is_locked(now) || self.is_proven(now) || now < self.seen + MINUTE
    }
}

/// The source of an address: the address itself, or its IPv6 /64, which belongs to one sender.
pub(crate) fn source_of(remote: SocketAddr) -> IpAddr {
    match remote.ip().to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

/// A user name, cut to the stored length.
fn short(user: &str) -> Text {
    let printable = user.chars().filter(|c| !c.is_control());
    let mut name = Text::default();
    for c in printable {
        if name.len() + c.len_utf8() > NAME {
            break;
        }
        name.push(c);
    }
    name
}

impl Strangers {
    fn part(&self, source: IpAddr) -> MutexGuard<'_, Part> {
        let at = self.hasher.hash_one(source) as usize % PARTS;
        self.parts[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about a stranger's datagram before it is parsed.
    pub(crate) fn admits(&self, source: IpAddr, now: Instant) -> Admission {
        let mut part = self.part(source);
        let Some(entry) = part.source(source, now) else {
            let taken = part.crowd.take(PACKETS, now);
            part.crowd_refused += u64::from(!taken);
            return if taken { Admission::Stranger } else { Admission::Refused };
        };
        entry.seen = now;
        let admission = if entry.lock.holds(now) {
            Admission::Refused
        } else if entry.is_locked(now) {
            match entry.door.take(DOOR, now) {
                true => Admission::Stranger,
                false => Admission::Refused,
            }
        } else if entry.is_proven(now) {
            Admission::Proven
        } else if entry.packets.take(PACKETS, now) {
            Admission::Stranger
        } else {
            entry.ask(now);
            Admission::Refused
        };
        entry.refused += u64::from(admission == Admission::Refused);
        admission
    }

    /// The datagram belonged to one of our calls: returns it to the budget.
    pub(crate) fn belongs(&self, source: IpAddr) {
        if let Some(entry) = self.part(source).sources.get_mut(&source) {
            entry.packets.give_back(PACKETS);
        }
    }

    /// The datagram was a request without success.
    pub(crate) fn asked(&self, source: IpAddr, now: Instant) {
        if let Some(entry) = self.part(source).sources.get_mut(&source) {
            entry.ask(now);
        }
    }

    /// Whether a source where a user has logged in may be challenged once more.
    pub(crate) fn may_be_challenged(&self, source: IpAddr, now: Instant) -> bool {
        let mut part = self.part(source);
        part.sources.get_mut(&source).is_some_and(|entry| entry.challenges.take(CHALLENGES, now))
    }

    /// Whether the budget of all strangers allows one more answer.
    pub(crate) fn may_be_answered(&self, now: Instant) -> bool {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).take(ANSWERS, now)
    }

    /// Whether this user is locked out at this source.
    pub(crate) fn is_locked(&self, source: IpAddr, user: &str, now: Instant) -> bool {
        let part = self.part(source);
        let pair = part.pairs.get(&(source, short(user)));
        pair.or_else(|| part.others.get(&source)).is_some_and(|pair| pair.lock.holds(now))
    }

    /// The user gave a wrong password. A source that a trunk names is `known` and is never locked
    /// out as a whole, because others may be there.
    pub(crate) fn failed(&self, source: IpAddr, user: &str, known: bool, now: Instant) {
        let mut part = self.part(source);
        if let Some(pair) = part.pair(source, short(user), now) {
            pair.seen = now;
            pair.untold += 1;
            if pair.failures.add(now) >= FAILURES_OF_PAIR {
                pair.failures = Tally::default();
                pair.lock.set(now);
            }
        }
        if let Some(entry) = part.sources.get_mut(&source).filter(|_| !known)
            && entry.failures.add(now) >= FAILURES_OF_SOURCE
        {
            entry.failures = Tally::default();
            entry.lock.set(now);
        }
    }

    /// The user has logged in.
    pub(crate) fn proven(&self, source: IpAddr, user: &str, now: Instant) {
        let mut part = self.part(source);
        part.pairs.remove(&(source, short(user)));
        if let Some(entry) = part.sources.get_mut(&source) {
            entry.succeeded(now);
        }
    }

    /// A sender there knows a password, although its request is invalid.
    pub(crate) fn knows_a_password(&self, source: IpAddr, now: Instant) {
        if let Some(entry) = self.part(source).sources.get_mut(&source) {
            entry.succeeded(now);
        }
    }

    /// The current lockouts, the longest first.
    #[must_use]
    pub fn lockouts(&self, now: Instant) -> Vec<Lockout> {
        let mut found = Vec::new();
        for part in &self.parts {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            let left = |until: Option<Instant>| {
                until.map(|until| until.saturating_duration_since(now)).filter(|d| !d.is_zero())
            };
            for (source, entry) in &part.sources {
                let (source, user, repeats) = (*source, None, entry.lock.repeats);
                if let Some(left) = left(entry.flood) {
                    found.push(Lockout { source, user, cause: "flood", left, repeats });
                } else if let Some(left) = left(entry.lock.until) {
                    found.push(Lockout { source, user, cause: "passwords", left, repeats });
                }
            }
            let named =
                part.pairs.iter().map(|((source, user), pair)| (source, user.clone(), pair));
            let others = part.others.iter().map(|(source, pair)| (source, OTHERS.into(), pair));
            for (source, user, pair) in named.chain(others) {
                if let Some(left) = left(pair.lock.until) {
                    let (source, user) = (*source, Some(user));
                    let repeats = pair.lock.repeats;
                    found.push(Lockout { source, user, cause: "passwords", left, repeats });
                }
            }
        }
        found.sort_by(|a, b| b.left.cmp(&a.left).then_with(|| a.source.cmp(&b.source)));
        found
    }

    /// Ends all lockouts of a source (SEC-02); returns their number.
    pub fn unlock(&self, source: IpAddr, now: Instant) -> usize {
        let source = source_of(SocketAddr::new(source, 0));
        let mut part = self.part(source);
        let mut ended = 0;
        if let Some(entry) = part.sources.remove(&source) {
            ended += usize::from(entry.is_locked(now));
        }
        part.pairs.retain(|(from, _), pair| {
            let gone = *from == source;
            ended += usize::from(gone && pair.lock.holds(now));
            !gone
        });
        if let Some(others) = part.others.remove(&source) {
            ended += usize::from(others.lock.holds(now));
        }
        ended
    }

    /// Reports activity since the last summary, the worst first, and drops old entries (SEC-28).
    pub fn summary(&self, now: Instant) -> Vec<Report> {
        let mut reports: HashMap<IpAddr, Report> = HashMap::default();
        let mut rest =
            Report { source: None, users: Vec::new(), failures: 0, refused: 0, locked: false };
        for part in &self.parts {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            rest.refused += std::mem::take(&mut part.crowd_refused);
            for (source, entry) in &mut part.sources {
                let refused = std::mem::take(&mut entry.refused);
                if refused > 0 {
                    let report = reports.entry(*source).or_insert_with(|| Report::of(*source));
                    report.refused += refused;
                    report.locked |= entry.is_locked(now);
                }
            }
            for ((source, user), pair) in &mut part.pairs {
                let failures = std::mem::take(&mut pair.untold);
                if failures > 0 {
                    let report = reports.entry(*source).or_insert_with(|| Report::of(*source));
                    report.failures += failures;
                    report.locked |= pair.lock.holds(now);
                    if report.users.len() < 5 {
                        report.users.push(user.clone());
                    }
                }
            }
            for (source, others) in &mut part.others {
                let failures = std::mem::take(&mut others.untold);
                if failures > 0 {
                    let report = reports.entry(*source).or_insert_with(|| Report::of(*source));
                    report.failures += failures;
                    report.locked |= others.lock.holds(now);
                }
            }
            part.forget(now, 2 * HOUR);
        }
        let mut reports: Vec<Report> = reports.into_values().collect();
        reports.sort_by_key(|r| (std::cmp::Reverse((r.failures, r.refused)), r.source));
        for report in reports.drain(LINES.min(reports.len())..) {
            rest.failures += report.failures;
            rest.refused += report.refused;
            rest.locked |= report.locked;
        }
        if rest.failures + rest.refused > 0 {
            reports.push(rest);
        }
        reports
    }
}

impl Report {
    fn of(source: IpAddr) -> Report {
        Report { source: Some(source), users: Vec::new(), failures: 0, refused: 0, locked: false }
    }
}

impl Part {
    /// The source's entry; none if the part is full of entries that matter.
    fn source(&mut self, source: IpAddr, now: Instant) -> Option<&mut Source> {
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&source) {
            self.make_room(now);
            if self.sources.len() >= SOURCES {
                return None;
            }
        }
        Some(self.sources.entry(source).or_insert_with(|| Source::new(now)))
    }

    /// The pair's entry, or that of all other users of the source; none if there is no place even
    /// for that.
    fn pair(&mut self, source: IpAddr, user: Text, now: Instant) -> Option<&mut Pair> {
        let key = (source, user);
        if !self.pairs.contains_key(&key) && self.is_crowded(source, now) {
            if self.others.len() >= PAIRS && !self.others.contains_key(&source) {
                return None;
            }
            return Some(self.others.entry(source).or_insert_with(|| Pair::new(now)));
        }
        Some(self.pairs.entry(key).or_insert_with(|| Pair::new(now)))
    }

    /// Whether further users of the source get no pair.
    fn is_crowded(&mut self, source: IpAddr, now: Instant) -> bool {
        let crowded = |pairs: &HashMap<(IpAddr, Text), Pair>| {
            pairs.len() >= PAIRS
                || pairs.len() >= USERS_OF_SOURCE
                    && pairs.keys().filter(|(from, _)| *from == source).count() >= USERS_OF_SOURCE
        };
        if !crowded(&self.pairs) {
            return false;
        }
        self.make_room(now);
        crowded(&self.pairs)
    }

    /// Drops entries that no longer matter, at most once a second.
    fn make_room(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now >= swept + Duration::from_secs(1)) {
            self.swept = Some(now);
            self.forget(now, MINUTE);
        }
    }

    fn forget(&mut self, now: Instant, rest: Duration) {
        self.sources.retain(|_, entry| entry.matters(now) || now < entry.seen + rest);
        self.pairs.retain(|_, pair| pair.matters(now, rest));
        self.others.retain(|_, pair| pair.matters(now, rest));
    }
}

#[cfg(test)]
mod tests;
