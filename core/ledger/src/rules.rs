//! The charges of a call: the same rules for a call that ends, one left behind by a crash, and one
//! that is rated again (BILL-28, BILL-31, BILL-62).

use crate::{
    AttemptRecord, CallDocument, ChargeRecord, Money, Posting, PostingKind, ResellerCharge,
};
use serde::{Deserialize, Serialize};

/// The party that a charge belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// The caller's account pays us, or its reseller.
    Customer,
    /// The reseller at this index, counted upwards from the account, pays the one above or us.
    Reseller(usize),
    /// We pay for the attempt at this index.
    Vendor(usize),
}

/// The charges of a call.
#[derive(Debug)]
pub struct Charges<'a> {
    /// The account of the caller.
    pub account: u32,
    /// The customer trunk.
    pub trunk: u32,
    /// When the caller was answered, UTC ms; `None` if it was not, and owes nothing.
    pub answer_ms: Option<u64>,
    /// Milliseconds billed to the caller's side.
    pub billable_ms: u64,
    /// The caller's charge.
    pub sell: &'a mut Option<ChargeRecord>,
    /// The charges of its resellers, from the lowest up.
    pub resellers: &'a mut [ResellerCharge],
    /// The attempts.
    pub attempts: &'a mut [AttemptRecord],
}

/// A charge that the rating plugin must compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The party that it belongs to.
    pub whose: Whose,
    /// The account.
    pub account: u32,
    /// Customer trunk or vendor trunk.
    pub trunk: u32,
    /// When the call was answered, UTC ms: its price is the one in force then (BILL-03).
    pub answer_ms: u64,
    /// Milliseconds billed.
    pub billable_ms: u64,
    /// The attempt's number; 0 for the caller's side.
    pub attempt: u16,
}

/// Numbers of resellers' charges begin here: no call has that many attempts.
const FIRST_RESELLER: u16 = 60_000;

impl Due {
    /// Its number among the charges of the call, used in corrections: 0 is the customer's, any
    /// other up to 59,999 belongs to the attempt with this number.
    #[must_use]
    pub fn number(&self) -> u16 {
        match self.whose {
            Whose::Customer => 0,
            Whose::Vendor(_) => self.attempt,
            Whose::Reseller(at) => {
                u16::try_from(at).unwrap_or(u16::MAX).saturating_add(FIRST_RESELLER)
            }
        }
    }
}

impl CallDocument {
    /// The charges of the document.
    pub fn charges(&mut self) -> Charges<'_> {
        let call = &mut self.call;
        Charges {
            account: call.account,
            trunk: call.trunk,
            answer_ms: call.answer_ms,
            billable_ms: call.billable_ms,
            sell: &mut call.sell,
            resellers: &mut call.resellers,
            attempts: &mut self.attempts,
        }
    }
}

impl Charges<'_> {
    /// The first charge owed after `last`, in the order of computation: the customer, its resellers
    /// upwards, the vendors.
    #[must_use]
    pub fn next(&self, last: Option<Whose>) -> Option<Due> {
        let customer = std::iter::once(Whose::Customer);
        let resellers = (0..self.resellers.len()).map(Whose::Reseller);
        let vendors = (0..self.attempts.len()).map(Whose::Vendor);
        let all = customer.chain(resellers).chain(vendors);
        let mut left = all.skip_while(|whose| last.is_some_and(|last| *whose != last));
        if last.is_some() {
            left.next();
        }
        left.find_map(|whose| self.due(whose))
    }

    /// Every charge that is owed.
    pub fn all(&self) -> impl Iterator<Item = Due> {
        std::iter::successors(self.next(None), |last| self.next(Some(last.whose)))
    }

    /// The charge of one party, if it is owed.
    #[must_use]
    pub fn due(&self, whose: Whose) -> Option<Due> {
        let (account, trunk, answer_ms, billable_ms, attempt) = match whose {
            Whose::Customer => {
                self.sell.as_ref()?;
                (self.account, self.trunk, self.answer_ms?, self.billable_ms, 0)
            }
            Whose::Reseller(at) => {
                let account = self.resellers.get(at)?.account;
                (account, self.trunk, self.answer_ms?, self.billable_ms, 0)
            }
            Whose::Vendor(at) => {
                let record = self.attempts.get(at)?;
                record.buy.as_ref()?;
                let answer_ms = record.answer_ms?;
                let attempt = record.number;
                (record.vendor_account, record.trunk, answer_ms, record.billable_ms, attempt)
            }
        };
        Some(Due { whose, account, trunk, answer_ms, billable_ms, attempt })
    }

    /// The charge record of one party.
    pub fn charge(&mut self, whose: Whose) -> Option<&mut ChargeRecord> {
        match whose {
            Whose::Customer => self.sell.as_mut(),
            Whose::Reseller(at) => self.resellers.get_mut(at).map(|reseller| &mut reseller.charge),
            Whose::Vendor(at) => self.attempts.get_mut(at)?.buy.as_mut(),
        }
    }

    /// The kind of posting for a charge: the highest party pays us, and each one below pays the one
    /// above it.
    #[must_use]
    pub fn kind(&self, whose: Whose) -> PostingKind {
        let highest = match self.resellers.len().checked_sub(1) {
            None => Whose::Customer,
            Some(last) => Whose::Reseller(last),
        };
        match whose {
            Whose::Vendor(_) => PostingKind::VendorCost,
            whose if whose == highest => PostingKind::CallCharge,
            Whose::Customer | Whose::Reseller(_) => PostingKind::Resale,
        }
    }

    /// The postings for the charges as they are now; charges of zero have none.
    #[must_use]
    pub fn postings(&self) -> Vec<Posting> {
        let posting = |whose, account, charge: &ChargeRecord| Posting {
            account,
            amount: -charge.amount,
            kind: self.kind(whose),
        };
        let sell = self.sell.iter().map(|charge| posting(Whose::Customer, self.account, charge));
        let resellers =
            self.resellers.iter().enumerate().map(|(at, reseller)| {
                posting(Whose::Reseller(at), reseller.account, &reseller.charge)
            });
        let bought = self.attempts.iter().enumerate().filter_map(|(at, record)| {
            Some(posting(Whose::Vendor(at), record.vendor_account, record.buy.as_ref()?))
        });
        let all = sell.chain(resellers).chain(bought);
        all.filter(|posting| posting.amount != Money::ZERO).collect()
    }

    /// The cost of the vendors, and the profit: our revenue, the charge of the highest reseller or
    /// of the customer, minus that cost (BILL-29). Amounts in several currencies cannot be added:
    /// then both are zero (BILL-74).
    #[must_use]
    pub fn cost_and_profit(&self) -> (Money, Money) {
        let paid = self.paid();
        let paid_amount = paid.map(|charge| charge.amount).unwrap_or_default();
        let bought = || self.attempts.iter().filter_map(|attempt| attempt.buy.as_ref());
        let Some(first) = bought().next() else { return (Money::ZERO, paid_amount) };
        if bought().any(|buy| buy.currency != first.currency) {
            return (Money::ZERO, Money::ZERO);
        }
        let cost: Money = bought().map(|buy| buy.amount).sum();
        match paid {
            Some(paid) if paid.currency != first.currency => (cost, Money::ZERO),
            _ => (cost, paid_amount - cost),
        }
    }

    /// What is paid to the operator, and the profit; none if nothing was sold or the currencies
    /// differ.
    #[must_use]
    pub fn sales_and_profit(&self) -> Option<(Money, Money)> {
        let paid = self.paid()?;
        let mut bought = self.attempts.iter().filter_map(|attempt| attempt.buy.as_ref());
        let same = bought.all(|buy| buy.currency == paid.currency);
        same.then(|| (paid.amount, self.cost_and_profit().1))
    }

    /// The charge that is paid to the operator: that of the highest reseller, else of the customer.
    fn paid(&self) -> Option<&ChargeRecord> {
        let highest = self.resellers.last().map(|reseller| &reseller.charge);
        highest.filter(|_| self.sell.is_some()).or(self.sell.as_ref())
    }
}
