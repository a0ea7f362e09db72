//! The formula itself.

use plugin_sdk::{Charge, DeckRow, Money, Rounding, RoundingMode};

/// Charge and billed seconds of `duration_ms` of answered time (BILL-12).
///
/// All steps are exact: time in milliseconds, money in sixtieths of 10^-10 (a price is
/// per minute, an increment is in seconds), until the one rounding at the end.
///
/// # Errors
/// The field that is out of its range, or that the charge is too large.
pub fn charge(row: &DeckRow, rounding: &Rounding, duration_ms: u64) -> Result<Charge, String> {
    check(row, rounding)?;
    let time_ms = round_duration(duration_ms, rounding)?;
    let charged_ms = time_ms.saturating_sub(u64::from(row.free_seconds) * 1000);
    if charged_ms == 0 {
        return Ok(Charge::default());
    }
    let first_s = u64::from(row.first_increment_s.max(1));
    let step_s = u64::from(row.next_increment_s);
    let beyond_ms = charged_ms.saturating_sub(first_s * 1000);
    let next_s = beyond_ms.div_ceil(step_s * 1000) * step_s;

    let sixtieths = i128::from(row.connect_fee.0) * 60
        + i128::from(row.price_first.0) * i128::from(first_s)
        + i128::from(row.price_next.0) * i128::from(next_s);
    let sixtieths = sixtieths.max(i128::from(row.minimum_charge.0) * 60);
    let amount = round_money(sixtieths, rounding);
    Ok(Charge {
        amount: Money(i64::try_from(amount).map_err(|_| too_large(duration_ms))?),
        billed_seconds: u32::try_from(first_s + next_s).map_err(|_| too_large(duration_ms))?,
    })
}

fn too_large(duration_ms: u64) -> String {
    format!("the charge for {duration_ms} ms does not fit into an amount")
}

fn check(row: &DeckRow, rounding: &Rounding) -> Result<(), String> {
    let amounts = [
        ("price_first", row.price_first),
        ("price_next", row.price_next),
        ("connect_fee", row.connect_fee),
        ("minimum_charge", row.minimum_charge),
        ("fee_unit", rounding.fee_unit),
    ];
    if let Some((field, amount)) = amounts.into_iter().find(|(_, amount)| *amount < Money::ZERO) {
        return Err(format!("{field} is {amount}; it must not be below 0"));
    }
    if row.next_increment_s == 0 {
        return Err("next_increment_s is 0; it must be 1 to 3600".to_owned());
    }
    if rounding.unit_ms == 0 {
        return Err("unit_ms is 0; it must be 1 to 60000".to_owned());
    }
    if rounding.decimals > 10 {
        return Err(format!("decimals is {}; it must be 0 to 10", rounding.decimals));
    }
    Ok(())
}

/// BILL-11.
fn round_duration(duration_ms: u64, rounding: &Rounding) -> Result<u64, String> {
    let unit = u64::from(rounding.unit_ms);
    let whole = duration_ms / unit;
    let rest = duration_ms % unit;
    let counted = match rounding.mode {
        RoundingMode::Up => rest > 0,
        RoundingMode::Nearest => rest * 2 >= unit,
        RoundingMode::Down => false,
    };
    (whole + u64::from(counted)).checked_mul(unit).ok_or_else(|| too_large(duration_ms))
}

/// BILL-18 if there is a fee unit, else BILL-17; converts sixtieths to 10^-10.
fn round_money(sixtieths: i128, rounding: &Rounding) -> i128 {
    let unit = i128::from(rounding.fee_unit.0);
    if unit > 0 {
        let step = unit * 60;
        return (sixtieths + step - 1) / step * unit;
    }
    let unit = 10_i128.pow(10 - u32::from(rounding.decimals));
    let step = unit * 60;
    (sixtieths * 2 + step) / (step * 2) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(price: &str, first_s: u32, next_s: u32) -> DeckRow {
        let price = price.parse().expect(price);
        DeckRow {
            price_first: price,
            price_next: price,
            first_increment_s: first_s,
            next_increment_s: next_s,
            ..DeckRow::default()
        }
    }

    /// A small generator, which tries the properties below on thousands of rows.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) % limit
        }

        fn money(&mut self, limit: u64) -> Money {
            Money(i64::try_from(self.below(limit)).expect("small"))
        }

        fn case(&mut self) -> (DeckRow, Rounding) {
            let small = |value: u64| u32::try_from(value).expect("small");
            let row = DeckRow {
                price_first: self.money(1 << 31),
                price_next: self.money(1 << 31),
                connect_fee: self.money(1 << 30),
                first_increment_s: small(self.below(120)),
                next_increment_s: small(self.below(90) + 1),
                free_seconds: small(self.below(20)),
                minimum_charge: self.money(1 << 30),
            };
            let modes = [RoundingMode::Up, RoundingMode::Nearest, RoundingMode::Down];
            let rounding = Rounding {
                unit_ms: [1, 50, 1000, 6000][small(self.below(4)) as usize],
                mode: modes[small(self.below(3)) as usize],
                decimals: small(self.below(11)) as u8,
                fee_unit: if self.below(4) == 0 { self.money(1 << 28) } else { Money::ZERO },
            };
            (row, rounding)
        }
    }

    #[test]
    fn a_longer_call_never_costs_less_and_no_charge_is_negative() {
        let mut draw = Draw(17);
        for _ in 0..5_000 {
            let (row, rounding) = draw.case();
            let mut last = Charge::default();
            let mut duration_ms = 0;
            for _ in 0..20 {
                duration_ms += draw.below(9_000);
                let now = charge(&row, &rounding, duration_ms).expect("legal row");
                assert!(now.amount >= last.amount, "{row:?} {rounding:?} {duration_ms}");
                assert!(now.billed_seconds >= last.billed_seconds);
                assert!(now.amount >= Money::ZERO);
                last = now;
            }
        }
    }

    #[test]
    fn billed_time_covers_the_charged_time_in_whole_increments_bill_12() {
        let mut draw = Draw(3);
        for _ in 0..5_000 {
            let (mut row, rounding) = draw.case();
            row.free_seconds = 0;
            let duration_ms = draw.below(4_000_000);
            let billed = charge(&row, &rounding, duration_ms).expect("legal row").billed_seconds;
            if billed > 0 {
                let first_s = row.first_increment_s.max(1);
                assert_eq!((billed - first_s) % row.next_increment_s, 0);
                let rounded = round_duration(duration_ms, &rounding).expect("short");
                assert!(u64::from(billed) * 1000 >= rounded);
            }
        }
    }

    #[test]
    fn the_minimum_charge_holds_for_charged_calls_only() {
        let row = DeckRow { minimum_charge: Money(5_000_000_000), ..row("0.01", 1, 1) };
        let seconds = |ms| charge(&row, &Rounding::default(), ms).expect("legal").amount;
        assert_eq!(seconds(0), Money::ZERO);
        assert_eq!(seconds(1_000), Money(5_000_000_000));
    }

    /// BILL-11, BILL-12: increments after the first one count from its end.
    #[test]
    fn further_increments_begin_where_the_first_one_ends() {
        let row = row("6.00", 2, 3);
        let billed = |ms| {
            let charge = charge(&row, &Rounding::default(), ms).expect("legal");
            (charge.billed_seconds, charge.amount.0)
        };
        for (ms, seconds) in [(1, 2), (2_000, 2), (2_001, 5), (2_400, 5), (5_000, 5), (5_001, 8)] {
            assert_eq!(billed(ms), (seconds, i64::from(seconds) * 1_000_000_000), "{ms} ms");
        }
    }

    /// BILL-10, BILL-12: the shortest call costs its first increment and the connect fee.
    #[test]
    fn a_call_of_one_millisecond_is_charged() {
        let row = DeckRow { connect_fee: "0.01".parse().expect("money"), ..row("0.60", 60, 60) };
        let charge = charge(&row, &Rounding::default(), 1).expect("legal");
        assert_eq!((charge.billed_seconds, charge.amount), (60, "0.61".parse().expect("money")));
    }

    #[test]
    fn the_first_increment_of_zero_is_one_second() {
        let charge = charge(&row("0.06", 0, 1), &Rounding::default(), 1_000).expect("legal");
        assert_eq!(charge.billed_seconds, 1);
    }

    #[test]
    fn a_row_that_cannot_be_charged_names_its_field() {
        let rounding = Rounding::default();
        let refused = |row: &DeckRow, rounding: &Rounding| {
            charge(row, rounding, 60_000).expect_err("must be refused")
        };
        let good = row("0.01", 1, 1);
        let negative = DeckRow { connect_fee: Money(-1), ..good };
        assert_eq!(
            refused(&negative, &rounding),
            "connect_fee is -0.0000000001; it must not be below 0"
        );
        let no_step = DeckRow { next_increment_s: 0, ..good };
        assert!(refused(&no_step, &rounding).starts_with("next_increment_s is 0"));
        assert!(refused(&good, &Rounding { unit_ms: 0, ..rounding }).starts_with("unit_ms is 0"));
        assert!(refused(&good, &Rounding { decimals: 11, ..rounding }).starts_with("decimals is"));
    }

    #[test]
    fn a_charge_beyond_the_amount_is_an_error_and_no_wrong_number() {
        let dear = DeckRow { price_next: Money(i64::MAX), ..row("1", 1, 1) };
        assert!(charge(&dear, &Rounding::default(), 3_600_000).is_err());
        assert!(charge(&row("0", 1, 1), &Rounding::default(), u64::MAX).is_err());
    }
}
