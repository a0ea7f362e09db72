//! Seconds that an account has used this month.

use plugin_sdk::host;

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;
/// Longest window of a counter.
const WINDOW_S: u32 = 86_400;

/// Seconds used from the first of the month (UTC) to now: the figure from billing plus the hours
/// since. An hour's counter is complete for 23 hours after the hour; older usage that is not yet in
/// the table is missing, and the tier is then lower than it should be.
pub(crate) fn this_month(table: &str, account: &str, at_ms: u64) -> Result<u64, String> {
    let at_s = at_ms / 1000;
    let month = first_of_month(at_s);
    let (known_to, known) = match host::table(table).exact(account) {
        None => (month, 0),
        Some(entry) => match parsed(&entry) {
            // A figure of an earlier month: nothing of this month is known yet.
            Some((moment, _)) if moment < month => (month, 0),
            Some(known) => known,
            None => {
                return Err(format!("`{table}` says `{entry}` for {account}, not MOMENT:SECONDS"));
            }
        },
    };
    let this_hour = at_s / HOUR_S;
    let oldest = this_hour.saturating_sub(23);
    if known_to / HOUR_S < oldest && known_to > month {
        host::count("usage_is_old", 1);
    }
    let since = (known_to / HOUR_S).max(oldest);
    let counted = |hour| host::counter(&key(account, hour), WINDOW_S).sum();
    Ok(known + (since..=this_hour).map(counted).sum::<u64>())
}

/// Counts the seconds in the hour of `at_ms`, the moment whose price applies to the call.
pub(crate) fn add(account: &str, at_ms: u64, seconds: u32) {
    host::counter(&key(account, at_ms / 1000 / HOUR_S), WINDOW_S).add(seconds);
}

fn key(account: &str, hour: u64) -> String {
    format!("{account}/{hour}")
}

/// `MOMENT:SECONDS`.
fn parsed(entry: &str) -> Option<(u64, u64)> {
    let (moment, seconds) = entry.split_once(':')?;
    Some((moment.parse().ok()?, seconds.parse().ok()?))
}

/// UTC seconds of the first moment of the month that contains `at_s`. The day of the month comes
/// from years that begin in March, so that the leap day is their last day.
pub(crate) fn first_of_month(at_s: u64) -> u64 {
    let day = at_s / DAY_S;
    let since_march = day + 719_468;
    let of_era = since_march % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5;
    (day - of_month) * DAY_S
}
