//! The tab of a call: its payers, their reservations for the call, and the talk time that these pay
//! for (BILL-40, BILL-41).
//!
//! Talk is paid for in slices. For each slice the rating plugin computes the price for every payer;
//! the purses of all payers then reserve the difference in one step. If the money is not there, the
//! tab reserves what is available and searches for the longest talk that it pays for. The tab calls
//! nothing itself: [`Tab::question`] is its open question, [`Step`] the next action.

use crate::{Money, PriceRounding, PriceRow};
use serde::{Deserialize, Serialize};

/// An amount of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Account id.
    pub account: u32,
    /// At least 0.
    pub amount: Money,
}

/// The answer of the purses to all claims of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// All amounts are reserved.
    Whole,
    /// Not everything was available: these parts of the claims are reserved, in their order.
    Part(Vec<Money>),
    /// Nothing is reserved: this account takes no calls with its available amount (BILL-44).
    Blocked(Claim),
}

/// How long a late slice may take, milliseconds: longer than a plugin may take for its price.
const LATE_SLICE_MS: u64 = 2_000;

/// Highest number of resellers above an account, each of whom pays for its calls (BILL-60).
pub const DEEPEST_TREE: usize = 8;

/// A payer of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    /// Account id.
    pub account: u32,
    /// Its prices.
    pub row: PriceRow,
    /// Its rounding.
    pub rounding: PriceRounding,
    held: Money,
}

impl Payer {
    /// A payer without a reservation.
    #[must_use]
    pub fn new(account: u32, row: PriceRow, rounding: PriceRounding) -> Payer {
        Payer { account, row, rounding, held: Money::ZERO }
    }

    /// Seconds of talk covered by the shortest call that costs anything.
    fn least_s(&self) -> u32 {
        self.row.free_seconds.saturating_add(self.row.first_increment_s.max(1))
    }
}

/// The tab of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tab {
    payers: Vec<Payer>,
    slice_s: u32,
    /// Seconds of talk paid for by the reservations.
    covered_s: u32,
    /// When the next slice begins, milliseconds after the answer; `None` if none follows.
    look_ms: Option<u64>,
    growth: Option<Growth>,
    /// Reservations that are no longer needed; to be released.
    surplus: Vec<(u32, Money)>,
    /// How long a slice that begins after the end of the paid talk may take, milliseconds after the
    /// answer.
    #[serde(default)]
    late_until_ms: Option<u64>,
}

/// A slice in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Growth {
    /// Collecting the price of `to_s` seconds of talk, payer by payer.
    Pricing { to_s: u32, least_s: u32, prices: Vec<Money> },
    /// Not everything was available. Searching for the longest talk that the reservations pay for,
    /// between the talk known to be paid and the talk known to be too long.
    Searching {
        paid_s: u32,
        unpaid_s: u32,
        /// The seconds asked about now.
        at_s: u32,
        /// Indices of the payers that had less than the claim.
        short: Vec<usize>,
        /// Their prices at `at_s`, as far as known.
        prices: Vec<Money>,
        /// Their prices at `paid_s`, once it exceeds its initial value.
        paid: Vec<Money>,
        /// The reservation of each payer before the slice.
        before: Vec<Money>,
    },
}

/// The next action of the tab's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answer [`Tab::question`].
    Ask,
    /// Reserve [`Tab::claims`].
    Hold,
    /// The slice is finished.
    Done(Grown),
}

/// The result of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grown {
    /// More talk is paid for.
    Covered,
    /// No more than before: this account has this much, and the shortest talk costs more.
    Short {
        /// Account id.
        account: u32,
        /// Amount that it had for this call.
        had: Money,
        /// Price of the shortest talk.
        needed: Money,
    },
    /// No more than before: the account takes no calls with its available amount (BILL-44).
    Blocked(Claim),
}

impl Tab {
    /// A tab of at least one payer, with slices of this many seconds (BILL-40).
    #[must_use]
    pub fn new(payers: Vec<Payer>, slice_s: u32) -> Tab {
        let slice_s = slice_s.max(1);
        Tab {
            payers,
            slice_s,
            covered_s: 0,
            look_ms: None,
            growth: None,
            surplus: Vec::new(),
            late_until_ms: None,
        }
    }

    /// Milliseconds of talk paid for.
    #[must_use]
    pub fn covered_ms(&self) -> u64 {
        u64::from(self.covered_s) * 1000
    }

    /// When the call ends for want of money, in milliseconds after the answer: when the paid talk is
    /// used up. `None` if none is paid for. A slice that begins later than that, because the machine
    /// stood still, gets two seconds.
    #[must_use]
    pub fn exhausted_ms(&self) -> Option<u64> {
        let late_ms = self.late_until_ms.unwrap_or(0);
        self.is_covering().then(|| self.covered_ms().max(late_ms))
    }

    /// When the next slice begins, in milliseconds after the answer: after three quarters of the
    /// remaining talk, which is before the 80 % of BILL-41. `None` while a slice is in progress, or
    /// if too little talk remains.
    #[must_use]
    pub fn look_ms(&self) -> Option<u64> {
        self.look_ms.filter(|_| self.growth.is_none())
    }

    /// Whether any talk is paid for.
    #[must_use]
    pub fn is_covering(&self) -> bool {
        self.covered_s > 0
    }

    /// Whether a slice is in progress.
    #[must_use]
    pub fn is_growing(&self) -> bool {
        self.growth.is_some()
    }

    /// The reservations for the call, payer by payer.
    pub fn held(&self) -> impl Iterator<Item = Claim> {
        self.payers.iter().map(|payer| Claim { account: payer.account, amount: payer.held })
    }

    /// The reservation of the payer with this account; zero if there is none.
    #[must_use]
    pub fn held_of(&self, account: u32) -> Money {
        self.payers.iter().filter(|payer| payer.account == account).map(|payer| payer.held).sum()
    }

    /// Reservations that are no longer needed; the caller releases them.
    pub fn take_surplus(&mut self) -> impl Iterator<Item = Claim> {
        let surplus = std::mem::take(&mut self.surplus);
        surplus.into_iter().map(|(account, amount)| Claim { account, amount })
    }

    /// Begins a slice.
    pub fn grow(&mut self) -> Step {
        self.grow_past(0)
    }

    /// Begins a slice of a call that has talked so long, milliseconds: also longer than was paid
    /// for, when the machine stood still. Then the slice includes the talk in between.
    pub fn grow_past(&mut self, talked_ms: u64) -> Step {
        let (to_s, least_s) = if self.covered_s == 0 {
            let least_s = self.payers.iter().map(Payer::least_s).max().unwrap_or(1);
            (self.slice_s.max(least_s), least_s)
        } else {
            let is_late = talked_ms >= self.covered_ms();
            self.late_until_ms = is_late.then(|| talked_ms.saturating_add(LATE_SLICE_MS));
            let talked_s = u32::try_from(talked_ms.div_ceil(1000)).unwrap_or(u32::MAX);
            let to_s = self.covered_s.max(talked_s).saturating_add(self.slice_s);
            (to_s, self.covered_s.saturating_add(1))
        };
        self.growth = Some(Growth::Pricing { to_s, least_s, prices: Vec::new() });
        Step::Ask
    }

    /// Handles a price change before the talk began: nothing is paid for at the new prices yet. The
    /// reservations stay.
    pub fn reprice(&mut self, price: impl Fn(u32) -> Option<(PriceRow, PriceRounding)>) {
        for payer in &mut self.payers {
            if let Some((row, rounding)) = price(payer.account) {
                (payer.row, payer.rounding) = (row, rounding);
            }
        }
        self.covered_s = 0;
        self.look_ms = None;
    }

    /// The payer whose price is needed next, and for how many milliseconds of talk.
    #[must_use]
    pub fn question(&self) -> Option<(&Payer, u64)> {
        let (payer, seconds) = match self.growth.as_ref()? {
            Growth::Pricing { to_s, prices, .. } => (prices.len(), to_s),
            Growth::Searching { at_s, short, prices, .. } => (*short.get(prices.len())?, at_s),
        };
        Some((self.payers.get(payer)?, u64::from(*seconds) * 1000))
    }

    /// Takes the requested price, `now_ms` after the answer.
    pub fn priced(&mut self, price: Money, now_ms: u64) -> Step {
        let payers = self.payers.len();
        match &mut self.growth {
            None => Step::Done(Grown::Covered),
            Some(Growth::Pricing { prices, .. }) => {
                prices.push(price);
                if prices.len() < payers { Step::Ask } else { Step::Hold }
            }
            Some(Growth::Searching { short, prices, .. }) => {
                let Some(payer) = short.get(prices.len()).and_then(|at| self.payers.get(*at))
                else {
                    return self.end_search(now_ms);
                };
                let (account, had) = (payer.account, payer.held);
                if price > had {
                    return self.too_long(Grown::Short { account, had, needed: price }, now_ms);
                }
                prices.push(price);
                if prices.len() < short.len() { Step::Ask } else { self.long_enough(now_ms) }
            }
        }
    }

    /// No price is available: the slice costs as much per second as the talk so far.
    pub fn unpriced(&mut self, now_ms: u64) -> Step {
        let Some((payer, asked_ms)) = self.question() else { return self.end_search(now_ms) };
        let covered_ms = self.covered_ms().max(1);
        let ratio = i128::from(asked_ms).saturating_mul(payer.held.0);
        let price = ratio.saturating_add(i128::from(covered_ms) - 1) / i128::from(covered_ms);
        self.priced(Money(price.max(0)), now_ms)
    }

    /// The amounts to reserve for the slice in addition to the reservations.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        let Some(Growth::Pricing { prices, .. }) = &self.growth else { return Vec::new() };
        let claim = |(payer, price): (&Payer, &Money)| Claim {
            account: payer.account,
            amount: Money((price.0 - payer.held.0).max(0)),
        };
        self.payers.iter().zip(prices).map(claim).collect()
    }

    /// Takes the answer to the claims.
    pub fn answered(&mut self, held: Held, now_ms: u64) -> Step {
        let Some(Growth::Pricing { to_s, least_s, prices }) = self.growth.take() else {
            return Step::Done(Grown::Covered);
        };
        match held {
            Held::Whole => {
                for (payer, price) in self.payers.iter_mut().zip(&prices) {
                    if payer.held > *price {
                        self.surplus.push((payer.account, payer.held - *price));
                    }
                    payer.held = *price;
                }
                self.covered_s = to_s;
                self.look_again(now_ms);
                Step::Done(Grown::Covered)
            }
            Held::Blocked(claim) => {
                self.look_again(now_ms);
                Step::Done(Grown::Blocked(claim))
            }
            Held::Part(granted) => {
                let before = self.payers.iter().map(|payer| payer.held).collect();
                let mut short = Vec::new();
                let parts = self.payers.iter_mut().zip(&prices).zip(granted);
                for (place, ((payer, price), granted)) in parts.enumerate() {
                    payer.held += granted;
                    if payer.held < *price {
                        short.push(place);
                    }
                }
                self.growth = Some(Growth::Searching {
                    paid_s: self.covered_s,
                    unpaid_s: to_s,
                    at_s: least_s,
                    short,
                    prices: Vec::new(),
                    paid: Vec::new(),
                    before,
                });
                Step::Ask
            }
        }
    }

    /// All payers that were short can pay for the talk asked about.
    fn long_enough(&mut self, now_ms: u64) -> Step {
        if let Some(Growth::Searching { paid_s, at_s, prices, paid, .. }) = &mut self.growth {
            *paid_s = *at_s;
            *paid = std::mem::take(prices);
        }
        self.search_on(now_ms)
    }

    /// One payer that was short cannot pay for it.
    fn too_long(&mut self, short: Grown, now_ms: u64) -> Step {
        match &mut self.growth {
            Some(Growth::Searching { unpaid_s, at_s, prices, paid, .. }) if !paid.is_empty() => {
                *unpaid_s = *at_s;
                prices.clear();
                self.search_on(now_ms)
            }
            // Not even the shortest talk.
            _ => {
                self.end_search(now_ms);
                Step::Done(short)
            }
        }
    }

    fn search_on(&mut self, now_ms: u64) -> Step {
        match &mut self.growth {
            Some(Growth::Searching { paid_s, unpaid_s, at_s, .. })
                if unpaid_s.saturating_sub(*paid_s) > 1 =>
            {
                *at_s = *paid_s + (*unpaid_s - *paid_s) / 2;
                Step::Ask
            }
            _ => self.end_search(now_ms),
        }
    }

    /// The longest talk is known: reservations beyond its price are released.
    fn end_search(&mut self, now_ms: u64) -> Step {
        if let Some(Growth::Searching { paid_s, short, paid, before, .. }) = self.growth.take() {
            self.covered_s = paid_s;
            for (place, (payer, before)) in self.payers.iter_mut().zip(before).enumerate() {
                let needed = match short.iter().position(|at| *at == place) {
                    // No more talk than before is paid for.
                    _ if paid.is_empty() => before,
                    Some(at) => paid.get(at).copied().unwrap_or(before),
                    // This payer had enough for the whole slice and may need it for the next one.
                    None => payer.held,
                };
                if payer.held > needed {
                    self.surplus.push((payer.account, payer.held - needed));
                    payer.held = needed;
                }
            }
        }
        self.look_again(now_ms);
        Step::Done(Grown::Covered)
    }

    fn look_again(&mut self, now_ms: u64) {
        self.late_until_ms = None;
        let left_ms = self.covered_ms().saturating_sub(now_ms);
        let look_ms = now_ms + (left_ms / 4 * 3).max(1000);
        self.look_ms = Some(look_ms).filter(|look_ms| *look_ms < self.covered_ms());
    }
}

#[cfg(test)]
mod tests;
