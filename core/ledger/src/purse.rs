//! What an account has and may spend (BILL-40, BILL-43).

use crate::Money;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Balance and credit of one account, shared by all that spend from it.
///
/// Each method is one indivisible step; nothing is ever read and written apart.
#[derive(Debug)]
pub struct Purse {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    balance: Money,
    /// None is unlimited.
    credit: Option<Money>,
    /// Sum of what running calls hold back (BILL-40); calls do not reserve yet.
    reserved: Money,
}

impl Purse {
    /// A purse with a balance and a credit limit; `None` is unlimited credit (BILL-43).
    #[must_use]
    pub fn new(balance: Money, credit: Option<Money>) -> Self {
        Purse { state: Mutex::new(State { balance, credit, reserved: Money::ZERO }) }
    }

    /// What may still be spent: balance plus credit less reservations; none is without
    /// limit. Below zero when a call cost more than there was.
    #[must_use]
    pub fn available(&self) -> Option<Money> {
        let state = self.lock();
        state.credit.map(|credit| state.balance + credit - state.reserved)
    }

    /// Whether a new call may begin: something is available (BILL-44 with threshold 0).
    #[must_use]
    pub fn covers_a_call(&self) -> bool {
        self.available().is_none_or(|available| available > Money::ZERO)
    }

    /// The balance.
    #[must_use]
    pub fn balance(&self) -> Money {
        self.lock().balance
    }

    /// What running calls hold back.
    #[must_use]
    pub fn reserved(&self) -> Money {
        self.lock().reserved
    }

    /// Books a signed amount (charges are negative) and gives back the new balance.
    pub fn post(&self, amount: Money) -> Money {
        let mut state = self.lock();
        state.balance += amount;
        state.balance
    }

    /// Changes the credit limit; `None` is unlimited.
    pub fn set_credit(&self, credit: Option<Money>) {
        self.lock().credit = credit;
    }

    /// A panic elsewhere cannot leave the state half-written: every change is one store.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Purse {
    /// Nothing in it and no credit.
    fn default() -> Self {
        Purse::new(Money::ZERO, Some(Money::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bill_43_credit_counts_and_unlimited_never_blocks() {
        let prepaid = Purse::new(Money::ONE, Some(Money::ZERO));
        assert_eq!(prepaid.available(), Some(Money::ONE));
        assert_eq!(prepaid.post(-Money::ONE), Money::ZERO);
        assert!(!prepaid.covers_a_call());
        prepaid.set_credit(Some(Money::ONE));
        assert!(prepaid.covers_a_call());

        let unlimited = Purse::new(Money::ZERO, None);
        unlimited.post(-Money::ONE);
        assert_eq!(unlimited.balance(), -Money::ONE);
        assert_eq!(unlimited.available(), None);
        assert!(unlimited.covers_a_call());
    }

    #[test]
    fn postings_from_many_threads_all_count() {
        let purse = Purse::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        purse.post(Money(-3));
                    }
                });
            }
        });
        assert_eq!(purse.balance(), Money(-12_000));
    }
}
