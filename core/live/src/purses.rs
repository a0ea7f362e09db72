//! The money of accounts while calls run (BILL-40, BILL-43, BILL-44, BILL-51). The books are in the
//! store; a purse is their state plus the changes that have not reached them yet.

use crate::table::Table;
use ledger::{Claim, Held, Money, Purse, Spent, Terms};
use smallvec::SmallVec;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state of an account at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its balance.
    pub balance: Money,
    /// The reservations of running calls.
    pub reserved: Money,
    /// The amount that may still be spent; `None` is unlimited.
    pub available: Option<Money>,
    /// Its spending limits.
    pub terms: Terms,
    /// The cost of the calls of the current day and month.
    pub spent: Spent,
}

/// Purses by account id. Each method is atomic for everyone who spends from an account, however
/// many accounts it touches.
pub trait Purses: Debug + Send + Sync {
    /// Creates the purse of an account from the books at `utc_ms`. An existing purse is more up to
    /// date than the books: only its terms change.
    fn open(&self, account: u32, balance: Money, spent: Spent, terms: Terms, utc_ms: u64);

    /// The state of the account; `None` if it has no purse.
    fn standing(&self, account: u32, utc_ms: u64) -> Option<Standing>;

    /// Reserves all claims, or the available part of each. With `admits`, the first account whose
    /// available amount does not exceed its `block_at` is returned and nothing is reserved
    /// (BILL-44). An account without a purse has nothing.
    fn hold(&self, claims: &[Claim], admits: bool, utc_ms: u64) -> Held;

    /// Reserves an amount, available or not, for a call that continues here.
    fn hold_again(&self, claim: Claim);

    /// Releases a reservation.
    fn release(&self, claim: Claim);

    /// Ends a call that reserved `held` and costs `charge`; returns the new balance, `None` if the
    /// account has no purse.
    fn settle(&self, held: Claim, charge: Money, utc_ms: u64) -> Option<Money>;

    /// Books a signed amount that no call caused, such as a payment; returns the new balance,
    /// `None` if the account has no purse.
    fn post(&self, account: u32, amount: Money) -> Option<Money>;
}

/// Purses of one process.
#[derive(Debug, Default)]
pub(crate) struct InProcess {
    purses: Table<u32, Slot>,
}

/// A purse, once its account is known.
type Slot = Mutex<Option<Purse>>;

/// Most calls have only one payer.
type Few<T> = SmallVec<[T; 2]>;

/// A panic elsewhere cannot leave a purse half-written: every change is one store.
fn lock(slot: &Slot) -> MutexGuard<'_, Option<Purse>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InProcess {
    fn act<R>(&self, account: u32, act: impl FnOnce(&mut Purse) -> R) -> Option<R> {
        self.purses.with_known(account, |slot| lock(slot).as_mut().map(act)).flatten()
    }
}

impl Purses for InProcess {
    fn open(&self, account: u32, balance: Money, spent: Spent, terms: Terms, utc_ms: u64) {
        self.purses.with(account, |slot| {
            let mut slot = lock(slot);
            let fresh = || Purse::new(balance, terms, spent, utc_ms);
            slot.get_or_insert_with(fresh).set_terms(terms);
        });
    }

    fn standing(&self, account: u32, utc_ms: u64) -> Option<Standing> {
        self.act(account, |purse| Standing {
            balance: purse.balance(),
            reserved: purse.reserved(),
            available: purse.available(utc_ms),
            terms: purse.terms(),
            spent: purse.spent(utc_ms),
        })
    }

    fn hold(&self, claims: &[Claim], admits: bool, utc_ms: u64) -> Held {
        let slots: Few<Arc<Slot>> =
            claims.iter().map(|claim| self.purses.get(claim.account)).collect();
        // All callers lock in the order of the ids, which prevents deadlocks.
        let mut order: Few<usize> = (0..claims.len()).collect();
        order.sort_unstable_by_key(|at| claims[*at].account);
        let mut purses: Few<(usize, MutexGuard<'_, Option<Purse>>)> =
            order.into_iter().map(|at| (at, lock(&slots[at]))).collect();
        purses.sort_unstable_by_key(|(at, _)| *at);
        let mut parts: Few<Money> = SmallVec::new();
        for ((_, slot), claim) in purses.iter_mut().zip(claims) {
            let Some(purse) = slot.as_mut() else {
                parts.push(Money::ZERO);
                continue;
            };
            let available = purse.available(utc_ms);
            match available {
                Some(available) if admits && available <= purse.terms().block_at => {
                    return Held::Blocked(Claim { account: claim.account, amount: available });
                }
                Some(available) => parts.push(claim.amount.min(available.max(Money::ZERO))),
                None => parts.push(claim.amount),
            }
        }
        for ((_, slot), part) in purses.iter_mut().zip(&parts) {
            if let Some(purse) = slot.as_mut() {
                purse.hold(*part);
            }
        }
        let whole = claims.iter().zip(&parts).all(|(claim, part)| claim.amount == *part);
        if whole { Held::Whole } else { Held::Part(parts.into_vec()) }
    }

    fn hold_again(&self, Claim { account, amount }: Claim) {
        self.act(account, |purse| purse.hold(amount));
    }

    fn release(&self, Claim { account, amount }: Claim) {
        self.act(account, |purse| purse.release(amount));
    }

    fn settle(&self, held: Claim, charge: Money, utc_ms: u64) -> Option<Money> {
        self.act(held.account, |purse| purse.settle(held.amount, charge, utc_ms))
    }

    fn post(&self, account: u32, amount: Money) -> Option<Money> {
        self.act(account, |purse| purse.post(amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purses(balances: &[(u32, i128)]) -> InProcess {
        let purses = InProcess::default();
        for (account, balance) in balances {
            purses.open(*account, Money(*balance), Spent::default(), Terms::PREPAID, 0);
        }
        purses
    }

    fn claims(amounts: &[(u32, i128)]) -> Vec<Claim> {
        amounts
            .iter()
            .map(|(account, sum)| Claim { account: *account, amount: Money(*sum) })
            .collect()
    }

    fn available(purses: &InProcess, account: u32) -> i128 {
        purses.standing(account, 0).and_then(|one| one.available).expect("limited").0
    }

    #[test]
    fn bill_40_all_is_held_or_of_each_account_what_there_is() {
        let purses = purses(&[(1, 10), (2, 100)]);
        assert_eq!(purses.hold(&claims(&[(2, 60), (1, 6)]), true, 0), Held::Whole);
        assert_eq!((available(&purses, 1), available(&purses, 2)), (4, 40));
        let part = purses.hold(&claims(&[(2, 10), (1, 6)]), true, 0);
        assert_eq!(part, Held::Part(vec![Money(10), Money(4)]));
        assert_eq!((available(&purses, 1), available(&purses, 2)), (0, 30));
        let blocked = purses.hold(&claims(&[(2, 10), (1, 0)]), true, 0);
        assert_eq!(blocked, Held::Blocked(Claim { account: 1, amount: Money::ZERO }), "BILL-44");
        assert_eq!(available(&purses, 2), 30, "nothing is held for it");
        let held = Claim { account: 1, amount: Money(6) };
        assert_eq!(purses.settle(held, Money(5), 0), Some(Money(5)));
        assert_eq!(available(&purses, 1), 1);
        assert_eq!(purses.hold(&claims(&[(3, 1)]), true, 0), Held::Part(vec![Money::ZERO]));
        assert_eq!(purses.post(3, Money(1)), None, "nobody has made that account");
    }

    #[test]
    fn the_books_are_read_once_and_the_terms_every_time() {
        let purses = purses(&[(1, 10)]);
        purses.post(1, Money(5));
        let terms = Terms { block_at: Money(20), ..Terms::PREPAID };
        purses.open(1, Money(10), Spent::default(), terms, 0);
        let standing = purses.standing(1, 0).expect("known");
        assert_eq!((standing.balance, standing.terms), (Money(15), terms));
        assert!(matches!(purses.hold(&claims(&[(1, 1)]), true, 0), Held::Blocked(_)));
        assert_eq!(purses.hold(&claims(&[(1, 1)]), false, 0), Held::Whole, "a running call");
    }

    /// Threads that reserve from one tree of accounts in different orders neither overdraw nor
    /// deadlock.
    #[test]
    fn bill_40_what_is_held_never_exceeds_what_there_is() {
        let purses = purses(&[(1, 1_000), (2, 700), (3, 900)]);
        let orders: [&[u32]; 4] = [&[1, 2, 3], &[3, 2, 1], &[2, 1], &[3, 1, 2]];
        std::thread::scope(|scope| {
            for (seed, order) in orders.into_iter().enumerate() {
                let purses = &purses;
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let amount = 1 + (round * 7 + seed as i128 * 13) % 90;
                        let wanted: Vec<_> =
                            order.iter().map(|account| (*account, amount)).collect();
                        let wanted = claims(&wanted);
                        let held = match purses.hold(&wanted, true, 0) {
                            Held::Whole => wanted.iter().map(|claim| claim.amount).collect(),
                            Held::Part(parts) => parts,
                            Held::Blocked(_) => continue,
                        };
                        for (claim, amount) in wanted.iter().zip(held) {
                            assert!(available(purses, claim.account) >= 0);
                            let cost = if round % 4_000 == 0 { amount } else { Money::ZERO };
                            purses.settle(Claim { amount, ..*claim }, cost, 0);
                        }
                    }
                });
            }
        });
        for account in [1, 2, 3] {
            let standing = purses.standing(account, 0).expect("known");
            assert_eq!(standing.reserved, Money::ZERO);
            assert!(standing.balance >= Money::ZERO);
        }
    }
}
