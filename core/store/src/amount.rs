//! Money in columns: whole units and a fraction in 10^-10 units, so that SQL sums are exact.

use ledger::Money;

/// Units (rounded down) and fraction (0 to 10^10 - 1) of an amount. Saturates beyond 9 * 10^18
/// units, which nothing produces.
pub(crate) fn split(money: Money) -> (i64, i64) {
    let units = money.0.div_euclid(Money::ONE.0);
    let fraction = money.0.rem_euclid(Money::ONE.0);
    let limit = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    (limit(units), limit(fraction))
}

/// The amount of two columns or of their sums.
pub(crate) fn join(units: i64, fraction: i64) -> Money {
    Money(i128::from(units) * Money::ONE.0 + i128::from(fraction))
}

/// An amount as one column of 10^-10 units, if it fits.
pub(crate) fn small(money: Money) -> Option<i64> {
    i64::try_from(money).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_come_back_and_sums_of_parts_are_sums() {
        for text in ["0", "-0.0000000001", "12.5", "-12.5", "123456789012345678.0123456789"] {
            let money: Money = text.parse().unwrap();
            let (units, fraction) = split(money);
            assert!((0..10_000_000_000).contains(&fraction));
            assert_eq!(join(units, fraction), money, "{text}");
        }
        let (a, b) = (split(Money(-3)), split(Money(-4)));
        assert_eq!(join(a.0 + b.0, a.1 + b.1), Money(-7));
    }
}
