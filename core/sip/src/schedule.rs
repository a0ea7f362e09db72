//! When an unanswered message is sent again (SIG-21), and when it is given up (SIG-23).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// The intervals between the sends of one message, UDP only (SIG-21).
///
/// Written as seconds, `0.5,1,2,4,4,4`: 1-16 values of 0.1-32 s, never shrinking. A list of
/// three or more values that are all equal is refused, so that every schedule backs off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResendSchedule {
    /// Moments of the resends, counted from the first send.
    moments: Box<[Duration]>,
}

/// Why a text is not a resend schedule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// Not a decimal number of seconds with at most three decimals.
    #[error("`{value}` in the resend schedule `{list}` is not a number of seconds such as `0.5`")]
    NotANumber {
        /// The wrong entry.
        value: String,
        /// The whole list.
        list: String,
    },
    /// An entry outside 0.1-32 s.
    #[error("`{value}` in the resend schedule `{list}` is outside 0.1-32 s")]
    OutOfRange {
        /// The wrong entry.
        value: String,
        /// The whole list.
        list: String,
    },
    /// Not 1-16 entries.
    #[error("the resend schedule `{list}` has {count} values, allowed are 1-16")]
    Count {
        /// How many values it has.
        count: usize,
        /// The whole list.
        list: String,
    },
    /// An entry smaller than the one before.
    #[error(
        "the resend schedule `{list}` shrinks at `{value}`; every interval must be at least the one before"
    )]
    Shrinks {
        /// The wrong entry.
        value: String,
        /// The whole list.
        list: String,
    },
    /// Three or more values, all equal.
    #[error(
        "the resend schedule `{list}` does not back off; of three or more values the last must be above the first"
    )]
    NoBackOff {
        /// The whole list.
        list: String,
    },
}

impl ResendSchedule {
    /// The names that [`ResendSchedule::preset`] knows.
    pub const PRESETS: [&str; 5] = ["standard", "fast-failover", "lossy", "slow", "aggressive"];
    /// The wait after the last resend (SIG-23).
    const LAST_WAIT: Duration = Duration::from_millis(500);

    /// Reads a list of seconds such as `0.5,1,2,4,4,4` (spaces around values are allowed).
    ///
    /// # Errors
    /// The list breaks one of the rules of SIG-21; the error names the value.
    pub fn parse(list: &str) -> Result<ResendSchedule, ScheduleError> {
        let values: Vec<&str> = list.split(',').map(str::trim).collect();
        if values.len() > 16 {
            return Err(ScheduleError::Count { count: values.len(), list: list.to_owned() });
        }
        let mut intervals: Vec<Duration> = Vec::with_capacity(values.len());
        for value in &values {
            let wrong = |make: fn(String, String) -> ScheduleError| {
                Err(make((*value).to_owned(), list.to_owned()))
            };
            let Some(interval) = seconds(value) else {
                return wrong(|value, list| ScheduleError::NotANumber { value, list });
            };
            if interval < Duration::from_millis(100) || interval > Duration::from_secs(32) {
                return wrong(|value, list| ScheduleError::OutOfRange { value, list });
            }
            if intervals.last().is_some_and(|before| interval < *before) {
                return wrong(|value, list| ScheduleError::Shrinks { value, list });
            }
            intervals.push(interval);
        }
        if intervals.len() >= 3 && intervals.first() == intervals.last() {
            return Err(ScheduleError::NoBackOff { list: list.to_owned() });
        }
        Ok(Self::from_intervals(&intervals))
    }

    /// `0.5,1,2,4,4,4,4,4,4,4`: W = 32.0 s, RFC 3261's own timing.
    #[must_use]
    pub fn standard() -> ResendSchedule {
        Self::from_millis(&[500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000])
    }

    /// `0.5,1,2,4,4,4`: W = 16.0 s.
    #[must_use]
    pub fn fast_failover() -> ResendSchedule {
        Self::from_millis(&[500, 1000, 2000, 4000, 4000, 4000])
    }

    /// `0.5,1,2,4,8,8,8,8,8,8`: W = 56.0 s, for networks that lose packets.
    #[must_use]
    pub fn lossy() -> ResendSchedule {
        Self::from_millis(&[500, 1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000, 8000])
    }

    /// `1,2,4,4,4,4,4,4,4,4`: W = 35.5 s, for carriers that answer slowly.
    #[must_use]
    pub fn slow() -> ResendSchedule {
        Self::from_millis(&[1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000])
    }

    /// `0.5,0.5,1,1,2,2,4,4,4,4`: W = 23.5 s, for carriers that lose packets and answer soon.
    #[must_use]
    pub fn aggressive() -> ResendSchedule {
        Self::from_millis(&[500, 500, 1000, 1000, 2000, 2000, 4000, 4000, 4000, 4000])
    }

    /// A preset by name: one of [`ResendSchedule::PRESETS`].
    #[must_use]
    pub fn preset(name: &str) -> Option<ResendSchedule> {
        match name {
            "standard" => Some(Self::standard()),
            "fast-failover" => Some(Self::fast_failover()),
            "lossy" => Some(Self::lossy()),
            "slow" => Some(Self::slow()),
            "aggressive" => Some(Self::aggressive()),
            _ => None,
        }
    }

    /// Moments of the resends, counted from the first send.
    #[must_use]
    pub fn moments(&self) -> &[Duration] {
        &self.moments
    }

    /// W (SIG-23): how long after the first send the transaction is given up.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.moments.last().copied().unwrap_or_default() + Self::LAST_WAIT
    }

    fn from_millis(intervals: &[u64]) -> ResendSchedule {
        let intervals: Vec<_> = intervals.iter().copied().map(Duration::from_millis).collect();
        Self::from_intervals(&intervals)
    }

    fn from_intervals(intervals: &[Duration]) -> ResendSchedule {
        let mut moment = Duration::ZERO;
        let moments = intervals.iter().map(|interval| {
            moment += *interval;
            moment
        });
        ResendSchedule { moments: moments.collect() }
    }
}

impl Default for ResendSchedule {
    fn default() -> Self {
        Self::standard()
    }
}

impl FromStr for ResendSchedule {
    type Err = ScheduleError;

    /// Same as [`ResendSchedule::parse`].
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        Self::parse(list)
    }
}

impl fmt::Display for ResendSchedule {
    /// The list as [`ResendSchedule::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = Duration::ZERO;
        for (at, moment) in self.moments.iter().enumerate() {
            let interval = *moment - before;
            before = *moment;
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", interval.as_secs())?;
            if interval.subsec_millis() != 0 {
                let decimals = format!("{:03}", interval.subsec_millis());
                write!(f, ".{}", decimals.trim_end_matches('0'))?;
            }
        }
        Ok(())
    }
}

/// Reads `0.5` exactly, without floating point.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let millis = format!("{fraction:0<3}").parse().ok().map(Duration::from_millis)?;
    Duration::from_secs(whole.parse().ok()?).checked_add(millis)
}

/// The result of [`Resends::wake`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Nothing to do yet.
    TooEarly,
    /// Send once more.
    Resend,
    /// Give up: the window W is over.
    WindowOver,
}

/// One message going through a schedule.
///
/// All moments count from the first send, so a late wake-up delays one resend but not the following
/// ones; missed resends are not made up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Resends {
    schedule: Arc<ResendSchedule>,
    #[serde(with = "crate::written::moment")]
    started: Instant,
    /// Index of the next moment; at or past the end: no more resends.
    next: u8,
}

impl Resends {
    /// Starts with a first send at `now`. A reliable transport has the same window but
    /// repeats nothing (SIG-23).
    pub(crate) fn new(schedule: Arc<ResendSchedule>, now: Instant, reliable: bool) -> Self {
        Resends { schedule, started: now, next: if reliable { u8::MAX } else { 0 } }
    }

    /// When the next action is due: the next resend or the end of the window.
    pub(crate) fn deadline(&self) -> Instant {
        let due = self.schedule.moments().get(usize::from(self.next));
        due.map_or(self.window_end(), |moment| self.started + *moment)
    }

    /// The action due at `now`; skips every moment up to `now`.
    pub(crate) fn wake(&mut self, now: Instant) -> Wake {
        if now >= self.window_end() {
            return Wake::WindowOver;
        }
        let passed = now.saturating_duration_since(self.started);
        let moments = self.schedule.moments();
        let from = usize::from(self.next).min(moments.len());
        let due = moments[from..].iter().take_while(|moment| **moment <= passed).count();
        // A schedule has at most 16 moments.
        self.next = self.next.saturating_add(due as u8);
        if due > 0 { Wake::Resend } else { Wake::TooEarly }
    }

    /// No more resends; another window begins (SIG-103).
    pub(crate) fn linger(&mut self, now: Instant) {
        self.started = now;
        self.next = u8::MAX;
    }

    /// The schedule in use.
    pub(crate) fn schedule(&self) -> &Arc<ResendSchedule> {
        &self.schedule
    }

    /// The end of the window W.
    fn window_end(&self) -> Instant {
        self.started + self.schedule.window()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sig_21_standard_sends_at_0_5_1_5_3_5_7_5_up_to_31_5_seconds() {
        let moments: Vec<u128> =
            ResendSchedule::standard().moments().iter().map(Duration::as_millis).collect();
        let expected = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(moments, expected);
    }

    #[test]
    fn sig_23_windows_of_the_presets() {
        let windows = ResendSchedule::PRESETS
            .map(|name| ResendSchedule::preset(name).expect("a preset").window().as_millis());
        assert_eq!(windows, [32_000, 16_000, 56_000, 35_500, 23_500]);
        assert_eq!(ResendSchedule::preset("hurried"), None);
    }

    #[test]
    fn sig_21_lists_round_trip_through_text() {
        for list in [
            "0.5,1,2,4,4,4,4,4,4,4",
            "0.5,0.5,1,1,2,2,4,4,4,4",
            "0.1",
            "32",
            "1,1",
            "1,1,2,2,2",
            "0.5,0.5,0.5,1",
            "0.5,1,1,1,2",
            "0.125,0.25,0.5",
        ] {
            assert_eq!(list.parse::<ResendSchedule>().unwrap().to_string(), list);
        }
        assert_eq!(
            ResendSchedule::parse(" 0.50, 1 ,2.0,4,4,4 ").unwrap(),
            ResendSchedule::fast_failover()
        );
        assert_eq!(
            ResendSchedule::parse("0.5,1,2,4,4,4,4,4,4,4").unwrap(),
            ResendSchedule::standard()
        );
    }

    #[test]
    fn sig_21_lists_without_back_off_are_refused() {
        for list in ["1,1,1,1", "4,4,4"] {
            let error = ResendSchedule::parse(list).unwrap_err();
            assert!(matches!(error, ScheduleError::NoBackOff { .. }), "{list}: {error}");
        }
    }

    #[test]
    fn sig_21_wrong_lists_name_the_wrong_value() {
        let error = |list: &str| ResendSchedule::parse(list).unwrap_err().to_string();
        assert!(error("0.5,x").starts_with("`x` in the resend schedule `0.5,x`"));
        assert!(error("").contains("is not a number"));
        assert!(error("0.5,,1").contains("is not a number"));
        assert!(error("-1").contains("is not a number"));
        assert!(error("1e1").contains("is not a number"));
        assert!(error("0.0001").contains("is not a number"));
        assert!(error("99999999999999999999").contains("is not a number"));
        assert!(error("0.05").contains("outside 0.1-32 s"));
        assert!(error("1,32.001").contains("outside 0.1-32 s"));
        assert!(error("2,1").contains("shrinks at `1`"));
        assert!(error(&["1"; 17].join(",")).contains("17 values"));
    }

    #[test]
    fn a_late_wake_up_sends_once_and_keeps_the_later_moments() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut resends = Resends::new(Arc::new(ResendSchedule::standard()), start, false);
        assert_eq!(resends.deadline(), at(500));
        assert_eq!(resends.wake(at(499)), Wake::TooEarly);
        assert_eq!(resends.wake(at(2000)), Wake::Resend, "the moments 0.5 and 1.5 s in one");
        assert_eq!(resends.wake(at(2000)), Wake::TooEarly);
        assert_eq!(resends.deadline(), at(3500));
        assert_eq!(resends.wake(at(31_500)), Wake::Resend);
        assert_eq!(resends.deadline(), at(32_000));
        assert_eq!(resends.wake(at(31_999)), Wake::TooEarly);
        assert_eq!(resends.wake(at(32_000)), Wake::WindowOver);
    }

    #[test]
    fn sig_23_reliable_transport_has_the_window_but_no_resends() {
        let start = Instant::now();
        let resends = Resends::new(Arc::new(ResendSchedule::standard()), start, true);
        assert_eq!(resends.deadline(), start + Duration::from_secs(32));
    }
}
