//! Bands of the week.

use jiff::Zoned;
use plugin_sdk::TrunkId;
use serde::Deserialize;

const DAY_MS: u32 = 86_400_000;

/// Hours of some days, and the vendors preferred in them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Days on which the band begins; empty: every day.
    #[serde(default)]
    pub weekdays: Vec<Weekday>,
    /// First moment of the band, `HH:MM`. Default `00:00`.
    #[serde(default = "midnight")]
    pub from: String,
    /// First moment after the band, `HH:MM`, at most `24:00`, which is the default. If it is not
    /// after `from`, the band ends on the next day.
    #[serde(default = "end_of_day")]
    pub to: String,
    /// Vendor trunks by id, best first.
    pub prefer: Vec<u32>,
}

fn midnight() -> String {
    "00:00".to_owned()
}

fn end_of_day() -> String {
    "24:00".to_owned()
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A local time of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Days since Monday, 0 to 6.
    pub(crate) weekday: u8,
    /// Local time of day, milliseconds since 00:00.
    pub(crate) ms: u32,
}

impl Moment {
    pub(crate) fn of(local: &Zoned) -> Moment {
        let part = |part: i8| u32::from(part.unsigned_abs());
        let minutes = part(local.hour()) * 60 + part(local.minute());
        let milliseconds = u32::from(local.millisecond().unsigned_abs());
        Moment {
            weekday: local.weekday().to_monday_zero_offset().unsigned_abs(),
            ms: (minutes * 60 + part(local.second())) * 1000 + milliseconds,
        }
    }
}

impl Band {
    /// Checks the limits that the types alone do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, text, last) in [("from", &self.from, DAY_MS - 1), ("to", &self.to, DAY_MS)] {
            if clock(text).is_none_or(|ms| ms > last) {
                let allowed = if name == "from" { "00:00 to 23:59" } else { "00:00 to 24:00" };
                return Err(format!("`{name}` is `{text}`, allowed is {allowed}"));
            }
        }
        if self.prefer.is_empty() {
            return Err("`prefer` names no vendor trunk".to_owned());
        }
        Ok(())
    }

    /// Half-open: the first moment belongs to the band, the end does not (ROUTE-73).
    pub(crate) fn holds(&self, moment: Moment) -> bool {
        let (Some(from), Some(to)) = (clock(&self.from), clock(&self.to)) else { return false };
        let yesterday = (moment.weekday + 6) % 7;
        if from < to {
            return self.begins_on(moment.weekday) && (from..to).contains(&moment.ms);
        }
        self.begins_on(moment.weekday) && moment.ms >= from
            || self.begins_on(yesterday) && moment.ms < to
    }

    fn begins_on(&self, weekday: u8) -> bool {
        self.weekdays.is_empty() || self.weekdays.iter().any(|day| *day as u8 == weekday)
    }

    /// Position among the preferred trunks; all others come after them.
    pub(crate) fn rank(&self, trunk: TrunkId) -> usize {
        let at = self.prefer.iter().position(|preferred| *preferred == trunk.0);
        at.unwrap_or(self.prefer.len())
    }
}

/// Milliseconds since 00:00 of `HH:MM`.
fn clock(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let ms = (hours * 60 + minutes) * 60_000;
    (minutes < 60 && ms <= DAY_MS).then_some(ms)
}
