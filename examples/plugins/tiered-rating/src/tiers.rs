//! The price of seconds when it depends on how many were used before.

use plugin_sdk::{Charge, DeckRow, Money, Rounding, RoundingMode};
use serde::Deserialize;

/// A part of the month's seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Minutes of the month before the tier begins; 0 in the first tier.
    pub from_minutes: u32,
    /// Part of the deck's price in this tier, in thousandths, 0 to 10,000.
    pub permille: u32,
}

pub(crate) fn check(tiers: &[Tier]) -> Result<(), String> {
    if tiers.first().is_none_or(|first| first.from_minutes != 0) {
        return Err("the first tier must be there and begin at 0 minutes".to_owned());
    }
    if !tiers.windows(2).all(|pair| pair[0].from_minutes < pair[1].from_minutes) {
        return Err("tiers must be in the order of `from_minutes`".to_owned());
    }
    match tiers.iter().find(|tier| tier.permille > 10_000) {
        Some(tier) => Err(format!("permille is {}, allowed is 0 to 10000", tier.permille)),
        None => Ok(()),
    }
}

/// Charge of a call that follows `used` seconds of the month. A call that crosses into the next
/// tier pays each second by that second's tier, so the division of talk time into calls does not
/// matter. Everything is exact until the single rounding at the end.
pub(crate) fn charge(
    tiers: &[Tier],
    row: &DeckRow,
    rounding: &Rounding,
    used: u64,
    duration_ms: u64,
) -> Result<Charge, String> {
    let too_large = || format!("the charge for {duration_ms} ms does not fit into an amount");
    let step_s = u64::from(row.next_increment_s);
    if step_s == 0 || rounding.unit_ms == 0 || rounding.decimals > 10 {
        return Err("next_increment_s, unit_ms or decimals is out of its range".to_owned());
    }
    let free_ms = u64::from(row.free_seconds) * 1000;
    let charged_ms = rounded(duration_ms, rounding).saturating_sub(free_ms);
    if charged_ms == 0 {
        return Ok(Charge::default());
    }
    let first_s = u64::from(row.first_increment_s.max(1));
    let next_s = charged_ms.saturating_sub(first_s * 1000).div_ceil(step_s * 1000) * step_s;
    // In 60,000ths of 10^-10: a price is per minute (60 s), a tier in thousandths.
    let first = i128::from(row.price_first.0) * weight(tiers, used, first_s);
    let next = i128::from(row.price_next.0) * weight(tiers, used.saturating_add(first_s), next_s);
    let parts = i128::from(row.connect_fee.0) * 60_000 + first + next;
    let parts = parts.max(i128::from(row.minimum_charge.0) * 60_000);
    Ok(Charge {
        amount: Money(i64::try_from(to_money(parts, rounding)).map_err(|_| too_large())?),
        billed_seconds: u32::try_from(first_s + next_s).map_err(|_| too_large())?,
    })
}

/// The seconds from `used` on, each weighted with the thousandths of its tier.
fn weight(tiers: &[Tier], used: u64, seconds: u64) -> i128 {
    let until = used.saturating_add(seconds);
    let begins = |tier: &Tier| u64::from(tier.from_minutes) * 60;
    let ends = tiers.iter().skip(1).map(begins).chain([u64::MAX]);
    let of = |(tier, end): (&Tier, u64)| {
        let inside = until.min(end).saturating_sub(used.max(begins(tier)));
        i128::from(inside) * i128::from(tier.permille)
    };
    tiers.iter().zip(ends).map(of).sum()
}

/// BILL-11.
fn rounded(duration_ms: u64, rounding: &Rounding) -> u64 {
    let unit = u64::from(rounding.unit_ms);
    let up = match rounding.mode {
        RoundingMode::Up => unit - 1,
        RoundingMode::Nearest => unit / 2,
        RoundingMode::Down => 0,
    };
    duration_ms.saturating_add(up) / unit * unit
}

/// BILL-18 if there is a fee unit, else BILL-17.
fn to_money(parts: i128, rounding: &Rounding) -> i128 {
    let unit = i128::from(rounding.fee_unit.0);
    if unit > 0 {
        let step = unit * 60_000;
        return (parts + step - 1) / step * unit;
    }
    let unit = 10_i128.pow(10 - u32::from(rounding.decimals));
    let step = unit * 60_000;
    (parts * 2 + step) / (step * 2) * unit
}

/// Two tiers, 0.06 per minute: used seconds, talked seconds, charge in 10^-10.
const EXAMPLES: [(u64, u64, i64); 4] =
    [(0, 60, 600_000_000), (600, 60, 300_000_000), (570, 60, 450_000_000), (599, 1, 10_000_000)];

pub(crate) fn self_test() -> Result<u32, String> {
    let tiers =
        [Tier { from_minutes: 0, permille: 1_000 }, Tier { from_minutes: 10, permille: 500 }];
    let price = Money(600_000_000);
    let row = DeckRow {
        price_first: price,
        price_next: price,
        first_increment_s: 1,
        next_increment_s: 1,
        ..DeckRow::default()
    };
    for (used, seconds, expected) in EXAMPLES {
        let charge = charge(&tiers, &row, &Rounding::default(), used, seconds * 1000)?;
        if charge.amount != Money(expected) {
            return Err(format!("{seconds} s after {used} cost {}", charge.amount));
        }
    }
    u32::try_from(EXAMPLES.len()).map_err(|error| error.to_string())
}
