//! The balance, reservations and spending limits of an account (BILL-40, BILL-43, BILL-44,
//! BILL-51).

use crate::Money;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// A UTC day, without leap seconds or daylight saving time.
const DAY_MS: u64 = 86_400_000;

/// The spending limits of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Credit, at least 0; `None` is unlimited (BILL-43).
    pub credit: Option<Money>,
    /// New calls are blocked while no more than this amount is available (BILL-44).
    pub block_at: Money,
    /// Most that the calls of one day (UTC) may cost; `None` is unlimited (BILL-51).
    pub daily_cap: Option<Money>,
    /// Most that the calls of one month (UTC) may cost; `None` is unlimited (BILL-51).
    pub monthly_cap: Option<Money>,
}

impl Terms {
    /// Prepaid, without caps.
    pub const PREPAID: Terms = Terms {
        credit: Some(Money::ZERO),
        block_at: Money::ZERO,
        daily_cap: None,
        monthly_cap: None,
    };

    /// Whether anything limits the account: if not, nothing is reserved for its calls.
    #[must_use]
    pub fn limit(&self) -> bool {
        self.credit.is_some() || self.daily_cap.is_some() || self.monthly_cap.is_some()
    }
}

impl Default for Terms {
    fn default() -> Self {
        Terms::PREPAID
    }
}

/// The cost of the calls of the current day and month, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Since midnight.
    pub today: Money,
    /// Since the first of the month.
    pub this_month: Money,
}

/// Balance, reservations and spending of one account. Its owner makes each operation atomic.
#[derive(Clone, Copy, Debug)]
pub struct Purse {
    balance: Money,
    /// Sum of the reservations of running calls.
    reserved: Money,
    terms: Terms,
    spent: Spent,
    /// When `spent` starts over, UTC ms.
    day_ends_ms: u64,
    month_ends_ms: u64,
}

impl Purse {
    /// A purse with the state of the books at `utc_ms`, without reservations.
    #[must_use]
    pub fn new(balance: Money, terms: Terms, spent: Spent, utc_ms: u64) -> Purse {
        let (day_ends_ms, month_ends_ms) = ends_of(utc_ms);
        Purse { balance, reserved: Money::ZERO, terms, spent, day_ends_ms, month_ends_ms }
    }

    /// The balance.
    #[must_use]
    pub fn balance(&self) -> Money {
        self.balance
    }

    /// The reservations of running calls.
    #[must_use]
    pub fn reserved(&self) -> Money {
        self.reserved
    }

    /// Its spending limits.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Changes its spending limits; existing reservations stay.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// The cost of the calls of the current day and month.
    #[must_use]
    pub fn spent(&mut self, utc_ms: u64) -> Spent {
        self.turn_page(utc_ms);
        self.spent
    }

    /// The amount that may still be spent: balance plus credit, or the rest below a cap, minus
    /// reservations; `None` is unlimited. Negative if the terms became tighter.
    #[must_use]
    pub fn available(&mut self, utc_ms: u64) -> Option<Money> {
        self.funds(utc_ms).map(|funds| funds - self.reserved)
    }

    /// As [`Purse::available`], but with the reserved amount included.
    #[must_use]
    pub fn funds(&mut self, utc_ms: u64) -> Option<Money> {
        self.turn_page(utc_ms);
        let Terms { credit, daily_cap, monthly_cap, .. } = self.terms;
        let limits = [
            credit.map(|credit| self.balance + credit),
            daily_cap.map(|cap| cap - self.spent.today),
            monthly_cap.map(|cap| cap - self.spent.this_month),
        ];
        limits.into_iter().flatten().min()
    }

    /// Reserves an amount, whether it is available or not.
    pub fn hold(&mut self, amount: Money) {
        self.reserved += amount;
    }

    /// Releases a reservation.
    pub fn release(&mut self, amount: Money) {
        self.reserved -= amount;
    }

    /// Ends a call: charges `charge` and releases its reservation; returns the new balance.
    pub fn settle(&mut self, held: Money, charge: Money, utc_ms: u64) -> Money {
        self.turn_page(utc_ms);
        self.reserved -= held;
        self.balance -= charge;
        self.spent.today += charge;
        self.spent.this_month += charge;
        self.balance
    }

    /// Books a signed amount that no call caused, such as a payment; returns the new balance.
    pub fn post(&mut self, amount: Money) -> Money {
        self.balance += amount;
        self.balance
    }

    /// Begins a new day or month. A clock that was set back begins none.
    fn turn_page(&mut self, utc_ms: u64) {
        if utc_ms < self.day_ends_ms {
            return;
        }
        self.spent.today = Money::ZERO;
        if utc_ms >= self.month_ends_ms {
            self.spent.this_month = Money::ZERO;
        }
        (self.day_ends_ms, self.month_ends_ms) = ends_of(utc_ms);
    }
}

/// When the day and the month of `utc_ms` began, UTC ms.
#[must_use]
pub fn began(utc_ms: u64) -> (u64, u64) {
    let began = civil(utc_ms).map(|at| (at.start_of_day(), at.first_of_month()));
    let began = began.and_then(|(day, month)| {
        Some((day.ok()?, month.and_then(|first| first.start_of_day()).ok()?))
    });
    began.map_or((0, 0), |(day, month)| (utc_ms_of(&day), utc_ms_of(&month)))
}

/// When the day and the month of `utc_ms` end, UTC ms.
fn ends_of(utc_ms: u64) -> (u64, u64) {
    let (day, month) = began(utc_ms);
    let next = civil(month).and_then(|first| first.checked_add(1.month()).ok());
    (day.saturating_add(DAY_MS), next.map_or(u64::MAX, |next| utc_ms_of(&next)))
}

fn civil(utc_ms: u64) -> Option<jiff::Zoned> {
    let at = Timestamp::from_millisecond(i64::try_from(utc_ms).ok()?).ok()?;
    Some(at.to_zoned(TimeZone::UTC))
}

fn utc_ms_of(at: &jiff::Zoned) -> u64 {
    u64::try_from(at.timestamp().as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30T23:59:59Z
    const LAST_OF_NOVEMBER: u64 = 1_796_083_199_000;

    fn purse(balance: i128, terms: Terms) -> Purse {
        Purse::new(Money(balance), terms, Spent::default(), LAST_OF_NOVEMBER)
    }

    #[test]
    fn bill_43_credit_counts_and_unlimited_never_blocks() {
        let at = LAST_OF_NOVEMBER;
        let mut prepaid = purse(10, Terms::PREPAID);
        assert_eq!(prepaid.available(at), Some(Money(10)));
        prepaid.hold(Money(7));
        assert_eq!(prepaid.available(at), Some(Money(3)));
        assert_eq!(prepaid.settle(Money(7), Money(5), at), Money(5));
        assert_eq!((prepaid.available(at), prepaid.reserved()), (Some(Money(5)), Money::ZERO));
        prepaid.set_terms(Terms { credit: Some(Money(100)), ..Terms::PREPAID });
        assert_eq!(prepaid.available(at), Some(Money(105)));
        prepaid.set_terms(Terms { credit: None, ..Terms::PREPAID });
        assert_eq!(prepaid.available(at), None);
        assert!(!prepaid.terms().limit());
        assert_eq!(prepaid.post(Money(-100)), Money(-95));
    }

    #[test]
    fn bill_51_a_cap_limits_the_calls_of_its_day_and_of_its_month() {
        let terms = Terms {
            credit: None,
            daily_cap: Some(Money(10)),
            monthly_cap: Some(Money(15)),
            ..Terms::PREPAID
        };
        assert!(terms.limit());
        let first = 1_793_491_200_000; // 2026-11-01T00:00:00Z
        let mut purse = Purse::new(Money::ZERO, terms, Spent::default(), first);
        purse.settle(Money::ZERO, Money(8), first);
        assert_eq!(purse.available(first), Some(Money(2)));
        purse.post(Money(-100));
        assert_eq!(purse.available(first), Some(Money(2)), "payments are not spent");
        let second = first + DAY_MS;
        assert_eq!(purse.available(second - 1), Some(Money(2)));
        assert_eq!(purse.available(second), Some(Money(7)), "the month has less left than the day");
        purse.settle(Money::ZERO, Money(7), second);
        assert_eq!(purse.available(second), Some(Money::ZERO));
        assert_eq!(
            purse.available(first),
            Some(Money::ZERO),
            "a clock that is set back gives nothing"
        );
        assert_eq!(purse.available(LAST_OF_NOVEMBER), Some(Money::ZERO));
        assert_eq!(purse.available(LAST_OF_NOVEMBER + 1_000), Some(Money(10)), "December");
    }

    #[test]
    fn days_and_months_begin_at_midnight_utc() {
        assert_eq!(began(LAST_OF_NOVEMBER), (1_795_996_800_000, 1_793_491_200_000));
        assert_eq!(ends_of(LAST_OF_NOVEMBER), (1_796_083_200_000, 1_796_083_200_000));
        assert_eq!(began(0), (0, 0));
    }
}
