//! Money that is reserved for a call, slice by slice, from all who pay for it (BILL-40, BILL-41,
//! BILL-44, BILL-63).

use super::admission::OTHER_ANSWER;
use super::pipeline::{Step, Stop, Taken};
use super::{Call, Cx, End, State};
use crate::facts::{Account, Facts};
use crate::io::Now;
use crate::reason::{Causes, name};
use compact_str::format_compact;
use ledger::{
    ChargeRecord, Claim, EndedBy, Grown, Money, Payer, RateLookup, ResellerCharge, Tab, Text,
};
use policy::{Answer, Question, RateQuestion, RateSubject, Reply, Side};
use std::sync::Arc;

impl Call {
    /// The admission question: the price of the first slice.
    pub(super) fn admission_rate_question(&mut self, cx: &Cx<'_>) -> Result<Question, Stop> {
        if self.tab.is_none() {
            self.open_tab(cx)?;
        }
        let question = self.price_question(self.facts.received_ms);
        question.ok_or_else(|| no_rate("price beyond the range of a charge"))
    }

    /// Finds the prices for all payers.
    fn open_tab(&mut self, cx: &Cx<'_>) -> Result<(), Stop> {
        let number = self.numbers.rated();
        let accounts = self.world.payers(&self.account);
        let charge = |account: Arc<Account>| {
            Ok((charge_of(&self.world, &account, number, cx.now)?, account))
        };
        let mut charges: Vec<(ChargeRecord, Arc<Account>)> =
            accounts.map(charge).collect::<Result<_, Stop>>()?;
        let payers = charges.iter().filter(|(_, account)| {
            // The price of the account itself is always asked for: no call goes without one.
            account.id == self.account.id || account.terms.limit()
        });
        let payer = |(charge, account): &(ChargeRecord, Arc<Account>)| {
            Payer::new(account.id, charge.row, charge.rounding)
        };
        let slice_s = u32::try_from(self.world.settings.slice.as_secs()).unwrap_or(u32::MAX);
        let mut tab = Tab::new(payers.map(payer).collect(), slice_s);
        tab.grow();
        self.tab = Some(tab);
        let resellers = charges.drain(1..).map(|(charge, account)| ResellerCharge {
            account: account.id,
            account_name: Arc::clone(&account.name),
            charge,
        });
        self.resellers = resellers.collect();
        self.sell = charges.pop().map(|(charge, _)| charge);
        let row = self.sell.as_ref().and_then(|sell| crate::facts::deck_row(&sell.row));
        self.sell_price = row.map_or(0, |row| row.price_next);
        Ok(())
    }

    /// The question about the price that the tab needs.
    fn price_question(&self, at_ms: u64) -> Option<Question> {
        let (payer, duration_ms) = self.tab.as_ref()?.question()?;
        Some(Question::Rate(RateQuestion {
            call: self.facts,
            subject: RateSubject {
                side: Side::Sell,
                is_final: false,
                account: payer.account,
                trunk: self.customer.id,
                at_ms,
            },
            row: crate::facts::deck_row(&payer.row)?,
            rounding: super::record::rounding(&payer.rounding)?,
            duration_ms,
        }))
    }

    pub(super) fn take_admission_rate(&mut self, cx: &Cx<'_>, reply: Reply) -> Result<Taken, Stop> {
        let price = match reply.outcome {
            Ok(Answer::Rate(charge)) => Money::from(charge.amount),
            Ok(_) => return Err(Stop::new(500, name::INTERNAL_ERROR, OTHER_ANSWER)),
            Err(fault) => return Err(Stop::new(500, name::INTERNAL_ERROR, fault.to_string())),
        };
        let Some(tab) = &mut self.tab else { return Ok(Taken::GoOn) };
        let step = tab.priced(price, 0);
        let grown = walk(tab, step, cx, true, 0);
        let short = |account, detail| Err(self.insufficient(account, detail));
        match grown {
            None => Ok(Taken::Again),
            Some(Grown::Covered) => {
                if !self.world.payers(&self.account).any(|account| account.terms.limit()) {
                    // No payer has a limit: their spending is counted at the end.
                    self.release_money(cx);
                }
                Ok(Taken::GoOn)
            }
            Some(Grown::Short { account, had, needed }) => {
                short(account, format_compact!("{had} available, {needed} needed"))
            }
            Some(Grown::Blocked(Claim { account, amount })) => {
                let terms = cx.live().purses.standing(account, cx.now.utc_ms);
                let block_at = terms.map(|standing| standing.terms.block_at).unwrap_or_default();
                let detail = if block_at == Money::ZERO {
                    format_compact!("{amount} available, more than 0 needed")
                } else {
                    format_compact!("{amount} available, calls are blocked at {block_at}")
                };
                short(account, detail)
            }
        }
    }

    fn insufficient(&self, account: u32, detail: Text) -> Stop {
        let reseller = self.resellers.iter().find(|reseller| reseller.account == account);
        let detail = match reseller {
            Some(reseller) => format_compact!("reseller {}: {detail}", reseller.account_name),
            None => detail,
        };
        Stop::new(403, name::INSUFFICIENT_BALANCE, detail)
    }

    /// The prices at the answer apply (BILL-03). Where one differs from the price at the INVITE,
    /// its reservation is made again.
    pub(super) fn fix_sell_prices(&mut self, cx: &mut Cx<'_>) {
        if self.placed.is_some() {
            return;
        }
        let (world, account) = (Arc::clone(&self.world), Arc::clone(&self.account));
        let mut changed = false;
        for (at, payer) in world.payers(&account).enumerate() {
            let known = match at.checked_sub(1) {
                None => self.sell.as_mut(),
                Some(at) => self.resellers.get_mut(at).map(|reseller| &mut reseller.charge),
            };
            let price = charge_of(&world, &payer, self.numbers.rated(), cx.now).ok();
            match (known, price) {
                (Some(known), Some(price)) => {
                    changed |= (known.row, known.rounding) != (price.row, price.rounding);
                    *known = price;
                }
                (known, None) => {
                    let known = known.is_some();
                    self.note_old_price(cx, 0, known);
                }
                (None, Some(price)) if at == 0 => self.sell = Some(price),
                (None, Some(_)) => {}
            }
        }
        let (Some(tab), true) = (&mut self.tab, changed) else { return };
        let own = self.sell.as_ref().map(|sell| (account.id, sell));
        let above = self.resellers.iter().map(|reseller| (reseller.account, &reseller.charge));
        let all: Vec<_> = own.into_iter().chain(above).collect();
        tab.reprice(|account| {
            let (_, charge) = all.iter().find(|(id, _)| *id == account)?;
            Some((charge.row, charge.rounding))
        });
    }

    /// The call is up: a tab whose prices have changed covers nothing yet.
    pub(super) fn cover_talk(&mut self, cx: &mut Cx<'_>) {
        if self.tab.as_ref().is_some_and(|tab| !tab.is_covering()) {
            self.grow(cx);
        }
    }

    /// BILL-41: reserves the next slice before the current one is used up.
    pub(super) fn begin_slice(&mut self, cx: &mut Cx<'_>) {
        if let Some((account, funds)) = self.blocked_payer(cx) {
            let detail = format_compact!("account {account} is at {funds}");
            let end = End::answered(name::BLOCKED_MIDCALL, EndedBy::Switch).with(detail);
            return self.end_connected_with(cx, end, None, Causes::ours(16));
        }
        self.grow(cx);
    }

    /// A payer that is blocked and whose running calls end when it is (BILL-44).
    fn blocked_payer(&self, cx: &Cx<'_>) -> Option<(Arc<str>, Money)> {
        self.world.payers(&self.account).filter(|account| account.cuts).find_map(|account| {
            let standing = cx.live().purses.standing(account.id, cx.now.utc_ms)?;
            // Money reserved for this call and others still belongs to the payer.
            let funds = standing.available? + standing.reserved;
            (funds <= standing.terms.block_at).then(|| (Arc::clone(&account.name), funds))
        })
    }

    fn grow(&mut self, cx: &mut Cx<'_>) {
        let talked_ms = self.talked_ms(cx).unwrap_or(0);
        if let Some(tab) = &mut self.tab {
            tab.grow_past(talked_ms);
            self.ask_slice(cx);
        }
    }

    /// Asks for the price of the slice; also again, if the question went to another machine.
    pub(super) fn ask_slice(&mut self, cx: &mut Cx<'_>) {
        let at_ms = self.times.answer_ms.unwrap_or(self.facts.received_ms);
        while self.tab.as_ref().is_some_and(Tab::is_growing) {
            if let Some(question) = self.price_question(at_ms) {
                return self.ask(cx, Step::Slice, 0, question);
            }
            self.take_slice(cx, None);
        }
    }

    pub(super) fn on_slice(&mut self, cx: &mut Cx<'_>, reply: Reply) {
        let price = match reply.outcome {
            Ok(Answer::Rate(charge)) => Some(Money::from(charge.amount)),
            // The talk goes on at the previous price.
            Ok(_) | Err(_) => None,
        };
        self.take_slice(cx, price);
        self.ask_slice(cx);
    }

    fn take_slice(&mut self, cx: &mut Cx<'_>, price: Option<Money>) {
        let Some(talked_ms) = self.talked_ms(cx) else { return };
        let Some(tab) = &mut self.tab else { return };
        let step = match price {
            Some(price) => tab.priced(price, talked_ms),
            None => tab.unpriced(talked_ms),
        };
        let grown = walk(tab, step, cx, false, talked_ms);
        if grown.is_some() && !tab.is_covering() {
            self.end_exhausted(cx);
        }
    }

    /// Milliseconds since the call is up.
    fn talked_ms(&self, cx: &Cx<'_>) -> Option<u64> {
        let talked = cx.now.instant.saturating_duration_since(self.connected()?.since);
        Some(u64::try_from(talked.as_millis()).unwrap_or(u64::MAX))
    }

    /// The paid talk time is used up.
    pub(super) fn end_exhausted(&mut self, cx: &mut Cx<'_>) {
        let paid_s = self.tab.as_ref().map_or(0, Tab::covered_ms) / 1000;
        let detail = format_compact!("{paid_s} s were paid for");
        let end = End::answered(name::BALANCE_EXHAUSTED, EndedBy::Switch).with(detail);
        self.end_connected_with(cx, end, None, Causes::ours(16));
    }

    /// An operator has locked the account, or one above it, and cut its running calls (BILL-51).
    pub(crate) fn on_account_cut(&mut self, cx: &mut Cx<'_>, account: u32) {
        let payer = self.placed.is_none()
            && self.world.payers(&self.account).any(|payer| payer.id == account);
        match self.state {
            State::Connected(_) if payer => {
                let end = End::answered(name::BLOCKED_MIDCALL, EndedBy::Switch);
                let end = end.with("the account was locked");
                self.end_connected_with(cx, end, None, Causes::ours(16));
            }
            State::SettingUp(_) if payer => {
                self.give_up_all(cx, policy::AttemptFailure::NotSent, name::ACCOUNT_LOCKED);
                self.refuse(cx, 403, name::ACCOUNT_LOCKED, "during the set-up");
            }
            _ => {}
        }
    }

    /// Milliseconds billed to the caller's side: never more than the reservations pay for.
    pub(super) fn sold_ms(&self) -> u64 {
        let covered_ms = self.tab.as_ref().map(Tab::covered_ms).or(self.times.covered_ms);
        self.times.billed_ms().min(covered_ms.unwrap_or(u64::MAX))
    }

    /// Removes the tab, and keeps the covered time for the record.
    pub(super) fn take_tab(&mut self) -> Option<Tab> {
        let tab = self.tab.take()?;
        if self.times.answer_ms.is_some() {
            self.times.covered_ms = Some(tab.covered_ms());
        }
        Some(tab)
    }

    /// Releases all reservations.
    pub(super) fn release_money(&mut self, cx: &Cx<'_>) {
        let Some(mut tab) = self.take_tab() else { return };
        let surplus: Vec<Claim> = tab.take_surplus().collect();
        for claim in surplus.into_iter().chain(tab.held()) {
            cx.live().purses.release(claim);
        }
    }
}

/// Carries out the tab's requests to the purses; returns the result of the slice, none if a price
/// must be asked for first.
fn walk(
    tab: &mut Tab,
    mut step: ledger::Step,
    cx: &Cx<'_>,
    admits: bool,
    talked_ms: u64,
) -> Option<Grown> {
    loop {
        step = match step {
            ledger::Step::Ask => return None,
            ledger::Step::Hold => {
                let held = cx.live().purses.hold(&tab.claims(), admits, cx.now.utc_ms);
                tab.answered(held, talked_ms)
            }
            ledger::Step::Done(grown) => {
                tab.take_surplus().for_each(|claim| cx.live().purses.release(claim));
                return Some(grown);
            }
        };
    }
}

fn no_rate(detail: &str) -> Stop {
    Stop::new(403, name::NO_RATE, detail)
}

/// The charge of an account for a number, without an amount yet.
fn charge_of(
    facts: &Facts,
    account: &Account,
    number: &str,
    now: Now,
) -> Result<ChargeRecord, Stop> {
    let Some(deck) = facts.deck_of(account) else {
        return Err(no_rate(&format!("account {} has no rate deck", account.name)));
    };
    match deck.find(number, now.utc_ms) {
        RateLookup::Found(row) => Ok(super::record::unrated(deck, row, account.rounding)),
        RateLookup::Blocked => Err(no_rate("the destination is not sold")),
        RateLookup::None => Err(no_rate(&format!("deck {} has no row for {number}", deck.name))),
    }
}
