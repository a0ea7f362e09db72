//! Silence on an answered call (MEDIA-16 to MEDIA-19).

use crate::bridge::LegId;
use std::time::{Duration, Instant};

/// Limits of silence. Zero disables a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// No RTP from either side since the answer (MEDIA-16).
    pub no_media: Duration,
    /// No RTP or RTCP from either side (MEDIA-17).
    pub both_silent: Duration,
    /// Nothing from one side while the other speaks: the call is one-way (MEDIA-18).
    pub one_silent: Duration,
    /// As `one_silent`, after which the silent leg is probed (MEDIA-18).
    pub probe: Duration,
    /// Interval at which a leg that answered its probe but is still silent is probed again.
    pub probe_again: Duration,
    /// A side is on hold (MEDIA-19).
    pub hold: Duration,
}

/// An observation about the audio of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Neither side has sent RTP since the answer.
    NoMedia,
    /// Neither side sends any more.
    BothSilent,
    /// One side sends nothing while the other does.
    SideSilent(LegId),
    /// A leg that was silent is heard again.
    SideHeard(LegId),
    /// The call must ask a silent leg whether it is still there.
    ProbeDue(LegId),
    /// A side has been on hold for too long.
    HeldTooLong,
    /// A sound played to a leg has ended by itself.
    PlayEnded(LegId),
}

/// The facts about a leg for judging silence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness {
    pub(crate) leg: LegId,
    /// Arrival of the last RTP packet.
    pub(crate) rtp: Option<Instant>,
    /// Arrival of the last RTP or RTCP packet.
    pub(crate) heard: Option<Instant>,
    /// Since when it is expected to send; `None`: it is on hold, or has no destination.
    pub(crate) expected: Option<Instant>,
}

/// Watches the two legs of an answered call that hear each other.
#[derive(Debug)]
pub(crate) struct Watch {
    limits: Limits,
    /// The answer.
    since: Instant,
    /// RTP has come, or its absence was reported.
    began: bool,
    /// The silence of both sides was reported.
    told_both: bool,
    /// A leg whose silence was reported, and when to probe it next.
    silent: Option<(LegId, Option<Instant>)>,
    /// Whether a side is on hold, since when, and whether its excess was reported.
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    No,
    Since(Instant),
    Told,
}

/// The end of a limit that began at `since`; `None` if the limit is disabled.
fn after(since: Instant, limit: Duration) -> Option<Instant> {
    (!limit.is_zero()).then(|| since + limit)
}

impl Watch {
    pub(crate) fn new(limits: Limits, since: Instant) -> Watch {
        let (began, told_both, silent, held) = (false, false, None, Held::No);
        Watch { limits, since, began, told_both, silent, held }
    }

    /// Judges the current facts; returns the next event, if any.
    pub(crate) fn judge(&mut self, now: Instant, legs: [Witness; 2]) -> Option<Event> {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let on_hold = legs.iter().any(|leg| leg.expected.is_none());
        match self.held {
            Held::No if on_hold => self.held = Held::Since(now),
            _ if !on_hold => self.held = Held::No,
            Held::Since(since) if due(after(since, self.limits.hold)) => {
                self.held = Held::Told;
                return Some(Event::HeldTooLong);
            }
            _ => {}
        }
        self.began |= legs.iter().any(|leg| leg.rtp.is_some_and(|rtp| rtp >= self.since));
        if due(self.no_media_due(&legs)) {
            self.began = true;
            return Some(Event::NoMedia);
        }
        let both = self.both_due(&legs);
        self.told_both &= due(both);
        if due(both) && !self.told_both {
            self.told_both = true;
            return Some(Event::BothSilent);
        }
        self.judge_sides(now, &legs)
    }

    fn judge_sides(&mut self, now: Instant, legs: &[Witness; 2]) -> Option<Event> {
        if let Some((silent, probe)) = self.silent {
            let leg = legs.iter().find(|leg| leg.leg == silent)?;
            let quiet_since = self.quiet_since(leg);
            let still = quiet_since.is_some_and(|since| {
                now.saturating_duration_since(since) >= self.limits.one_silent
            });
            if !still {
                self.silent = None;
                return Some(Event::SideHeard(silent));
            }
            if probe.is_some_and(|at| at <= now) {
                self.silent = Some((silent, after(now, self.limits.probe_again)));
                return Some(Event::ProbeDue(silent));
            }
            return None;
        }
        for (leg, other) in [(&legs[0], &legs[1]), (&legs[1], &legs[0])] {
            let Some(since) = self.quiet_since(leg) else { continue };
            let other_speaks = other
                .heard
                .is_some_and(|heard| now.saturating_duration_since(heard) < self.limits.one_silent);
            if after(since, self.limits.one_silent).is_some_and(|at| at <= now) && other_speaks {
                self.silent = Some((leg.leg, after(since, self.limits.probe)));
                return Some(Event::SideSilent(leg.leg));
            }
        }
        None
    }

    /// The earliest time at which [`Watch::judge`] may have an event, if nothing is heard until
    /// then.
    pub(crate) fn next(&self, now: Instant, legs: [Witness; 2]) -> Option<Instant> {
        let held = match self.held {
            Held::Since(since) => after(since, self.limits.hold),
            Held::No | Held::Told => None,
        };
        let both = self.both_due(&legs).filter(|_| !self.told_both);
        let sides = match self.silent {
            // No event announces that the leg is heard again, so check every second.
            Some((_, probe)) => [probe, Some(now + Duration::from_secs(1))],
            None => legs.map(|leg| after(self.quiet_since(&leg)?, self.limits.one_silent)),
        };
        let later = |at: &Instant| *at > now;
        let all = [held, self.no_media_due(&legs), both].into_iter().chain(sides);
        // If both sides are silent, judge again later: one of them may have spoken since.
        let expected = legs.iter().any(|leg| leg.expected.is_some());
        let again = after(now, self.limits.one_silent).filter(|_| expected);
        all.flatten().filter(later).chain(again).min()
    }

    fn no_media_due(&self, legs: &[Witness; 2]) -> Option<Instant> {
        let expected = legs.iter().filter_map(|leg| leg.expected).min()?;
        after(self.since.max(expected), self.limits.no_media).filter(|_| !self.began)
    }

    fn both_due(&self, legs: &[Witness; 2]) -> Option<Instant> {
        let [one, other] = legs.each_ref().map(|leg| self.quiet_since(leg));
        after(one?.max(other?), self.limits.both_silent)
    }

    /// Since when a leg that is expected to send has not been heard.
    fn quiet_since(&self, leg: &Witness) -> Option<Instant> {
        let expected = leg.expected?.max(self.since);
        Some(leg.heard.map_or(expected, |heard| heard.max(expected)))
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
