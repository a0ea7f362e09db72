//! Before the first INVITE: whether the caller may call, the number, the price, and the trunks
//! (ROUTE-15 steps 4 to 14).

use super::channels::Reached;
use super::pipeline::{Stop, Taken};
use super::{Call, Choice, Cx, End};
use crate::facts::RouteEntry;
use crate::number;
use crate::reason::name;
use compact_str::format_compact;
use foldhash::HashSet;
use ledger::{EndedBy, RateLookup, Text};
use live::Holder;
use policy::{
    Answer, Candidate, EventKind, NumberQuestion, Question, Reply, RouteQuestion, ScreenQuestion,
    Stage, Verdict,
};
use sip::session::Demand;

/// A plugin's answer belongs to another kind of question.
pub(super) const OTHER_ANSWER: &str = "answer to another question";

/// Most candidates in one question.
const MAX_CANDIDATES: usize = 1000;

impl Call {
    /// Steps 4 and 10, then the first question.
    pub(crate) fn begin(&mut self, cx: &mut Cx<'_>) {
        cx.core.counters.calls += 1;
        tracing::debug!(call = %self.shown_id(), trunk = %self.customer.name, source = %self.source.address,
            caller = %self.numbers.caller_in, callee = %self.numbers.callee_in, "incoming");
        if let Some(why) = cx.core.intake.closed() {
            // The events hook is not told: a call refused for lack of time must cost no time.
            self.unannounced = true;
            return self.refuse_for_now(cx, name::SYSTEM_OVERLOAD, why);
        }
        self.tell(cx, EventKind::Incoming, 0, 0);
        if let Some(demand) = self.caller.demand() {
            return self.refuse_demand(cx, &demand);
        }
        if self.customer.locked {
            return self.refuse(cx, 403, name::TRUNK_LOCKED, "");
        }
        if let Some((reason, detail)) = self.account_is_shut(cx.now.utc_ms) {
            return self.refuse(cx, 403, reason, &detail);
        }
        if !number::is_valid(&self.numbers.callee_in) {
            let detail = format!("called number `{}`", self.numbers.callee_in);
            return self.refuse(cx, 484, name::NUMBER_INVALID, &detail);
        }
        match self.take_channels(cx.live(), cx.now.instant) {
            Ok(()) => {
                self.enter_payers(cx.core);
                self.admit_from(cx, 0);
            }
            Err(Reached { reason, detail, of_node: true }) => {
                self.refuse_for_now(cx, reason, &detail);
            }
            Err(Reached { reason, detail, .. }) => {
                // SEC-11: the bucket soon has a token again.
                self.retry_after = Some(1).filter(|_| reason == name::CPS_LIMIT);
                self.refuse(cx, 503, reason, &detail);
            }
        }
    }

    /// Why the account, or a reseller above it, accepts no calls (BILL-51, BILL-63).
    fn account_is_shut(&self, utc_ms: u64) -> Option<(&'static str, Text)> {
        self.world.payers(&self.account).find_map(|account| {
            let reason = if account.locked {
                name::ACCOUNT_LOCKED
            } else if account.expires_ms.is_some_and(|at| at <= utc_ms) {
                name::ACCOUNT_EXPIRED
            } else {
                return None;
            };
            let own = account.id == self.account.id;
            let detail = || format_compact!("reseller {}", account.name);
            Some((reason, if own { Text::default() } else { detail() }))
        })
    }

    /// 421 or 422: the caller may try again with the required header.
    fn refuse_demand(&mut self, cx: &mut Cx<'_>, demand: &Demand) {
        let Demand { status, header: (header, value) } = demand;
        self.caller.refuse(&mut cx.wire(), *status, &[(header, value)]);
        self.refused(cx);
        let detail = compact_str::format_compact!("{header}: {value}");
        let end = End::refused(*status, name::BAD_REQUEST.into(), EndedBy::Switch).with(detail);
        self.close_with(cx, end);
    }

    pub(super) fn ingress_number_question(&mut self) -> Question {
        let mut callee = self.numbers.callee_in.as_str();
        if self.customer.strip_tech_prefix
            && !self.customer.tech_prefix.is_empty()
            && let Some(rest) = callee.strip_prefix(&*self.customer.tech_prefix)
        {
            self.numbers.tech_prefix_in = (&*self.customer.tech_prefix).into();
            callee = rest;
        }
        Question::Number(NumberQuestion {
            call: self.facts,
            stage: Stage::Ingress,
            trunk: self.customer.id,
            caller: self.numbers.caller_in.clone(),
            callee: callee.into(),
            identity: Text::default(),
            caller_rules: self.customer.caller_rules,
            callee_rules: self.customer.callee_rules,
            identity_rules: 0,
            tech_prefix: Text::default(),
            reject_unmatched: self.customer.reject_unmatched,
        })
    }

    pub(super) fn take_ingress_numbers(&mut self, reply: Reply) -> Result<Taken, Stop> {
        let numbers = match reply.outcome {
            Ok(Answer::Number(Ok(numbers))) => numbers,
            Ok(Answer::Number(Err(rejection))) => return Err(rejection.into()),
            Ok(_) => return Err(Stop::new(500, name::INTERNAL_ERROR, OTHER_ANSWER)),
            Err(fault) => return Err(Stop::new(500, name::INTERNAL_ERROR, fault.to_string())),
        };
        if !number::is_valid(&numbers.callee) {
            let detail = format!("called number `{}` after the rewrite", numbers.callee);
            return Err(Stop::new(484, name::NUMBER_INVALID, detail));
        }
        let own = &mut self.numbers;
        own.callee_route = numbers.callee;
        for (as_other, number) in
            [(&mut own.route_as, numbers.route_as), (&mut own.rate_as, numbers.rate_as)]
        {
            if number::is_valid(&number) && number != own.callee_route {
                *as_other = number;
            }
        }
        if number::is_valid(&numbers.caller) {
            own.caller_route = numbers.caller;
        }
        Ok(Taken::GoOn)
    }

    pub(super) fn screen_question(&self) -> Question {
        let source = self.source.flow.map(|flow| sip::ip_text(flow.remote.ip().to_canonical()));
        Question::Screen(ScreenQuestion {
            call: self.facts,
            caller: self.numbers.caller_route.clone(),
            callee: self.numbers.callee_route.clone(),
            source: source.unwrap_or_default(),
        })
    }

    /// Without an answer the call goes on, unless the failed plugin's `fallback` is reject.
    pub(super) fn take_verdict(&mut self, reply: Reply) -> Result<Taken, Stop> {
        match reply.outcome {
            Ok(Answer::Screen(Verdict::Reject(rejection))) => return Err(rejection.into()),
            Ok(Answer::Screen(Verdict::Challenge)) if !self.authenticated => {
                return Ok(Taken::Challenge);
            }
            Ok(Answer::Screen(Verdict::Mark(words))) => self.marks = words,
            Err(fault) if reply.rejects => {
                return Err(Stop::new(503, name::INTERNAL_ERROR, fault.to_string()));
            }
            _ => {}
        }
        Ok(Taken::GoOn)
    }

    pub(super) fn route_question(&mut self, cx: &Cx<'_>) -> Result<Question, Stop> {
        let (candidates, full, unusable) = self.candidates(cx);
        if candidates.is_empty() {
            return Err(match (full, unusable) {
                (0, 0) => {
                    let number = self.numbers.routed();
                    let detail = format!("no vendor trunk has a prefix of {number}");
                    Stop::new(404, name::NO_ROUTE, detail)
                }
                (_, 0) => Stop::new(503, name::ALL_ROUTES_BUSY, ""),
                _ => Stop::new(503, name::NO_ROUTE_AVAILABLE, ""),
            });
        }
        // The core's own order if no plugin answers: priority, then id.
        let mut order: Vec<_> = candidates.iter().map(|c| (c.priority, c.trunk)).collect();
        order.sort_unstable();
        if let Some(setup) = self.setup() {
            setup.choices = order.into_iter().map(|(_, trunk)| Choice::new(trunk)).collect();
        }
        Ok(Question::Route(RouteQuestion {
            call: self.facts,
            caller: self.numbers.caller_route.clone(),
            callee: self.numbers.routed().into(),
            sell_price: self.sell_price,
            candidates,
        }))
    }

    /// Vendor trunks that may be used now, how many were skipped because they are full, and how
    /// many for another reason (ROUTE-16, ROUTE-19).
    fn candidates(&self, cx: &Cx<'_>) -> (Vec<Candidate>, usize, usize) {
        let (mut candidates, mut full, mut unusable) = (Vec::new(), 0, 0);
        let mut seen = HashSet::default();
        // ROUTE-18: an entry without `extend` ends the walk for ordinary trunks, whether or not it
        // can be used now.
        let mut last_length = 0;
        for (length, entries) in self.world.routes.matches(self.numbers.routed()) {
            if entries.iter().any(|entry| self.ends_walk(*entry)) {
                last_length = last_length.max(length);
            }
            for entry in entries.iter() {
                if !seen.insert(entry.trunk) || candidates.len() >= MAX_CANDIDATES {
                    continue;
                }
                if length < last_length && !self.is_last_resort(*entry) {
                    continue;
                }
                match self.candidate(cx, *entry, length) {
                    Some(candidate)
                        if candidate.channels > 0 && candidate.active >= candidate.channels =>
                    {
                        full += 1;
                    }
                    Some(candidate) => candidates.push(candidate),
                    None => unusable += 1,
                }
            }
        }
        (candidates, full, unusable)
    }

    fn is_last_resort(&self, entry: RouteEntry) -> bool {
        self.world.vendors.get(&entry.trunk).is_some_and(|trunk| trunk.last_resort)
    }

    /// Whether the walk ends before shorter prefixes (ROUTE-18). Locked trunks and last-resort
    /// trunks (ROUTE-45) do not end it.
    fn ends_walk(&self, entry: RouteEntry) -> bool {
        let Some(trunk) = self.world.vendors.get(&entry.trunk) else { return false };
        let locked = |account: &u32| self.world.accounts.get(account).is_none_or(|a| a.locked);
        !entry.extend && !trunk.last_resort && !trunk.locked && !locked(&trunk.account)
    }

    fn candidate(&self, cx: &Cx<'_>, entry: RouteEntry, length: usize) -> Option<Candidate> {
        let utc_ms = cx.now.utc_ms;
        let trunk = self.world.vendors.get(&entry.trunk)?;
        let vendor = self.world.accounts.get(&trunk.account)?;
        if trunk.locked || vendor.locked || !cx.reaches(trunk) {
            return None;
        }
        let RateLookup::Found(row) = self.world.deck_of(vendor)?.find(self.numbers.rated(), utc_ms)
        else {
            return None;
        };
        Some(Candidate {
            trunk: trunk.id,
            prefix_length: u8::try_from(length).unwrap_or(u8::MAX),
            prefix_priority: entry.priority,
            extend: entry.extend,
            priority: trunk.priority,
            weight: trunk.weight,
            last_resort: trunk.last_resort,
            active: cx.live().channels.active(Holder::Vendor(trunk.id)),
            channels: trunk.channels,
            calls_today: cx.live().quality.sent_today(trunk.id, utc_ms),
            buy_price: i64::try_from(row.price.price_next.0).unwrap_or(i64::MAX),
        })
    }

    pub(super) fn take_route(&mut self, cx: &mut Cx<'_>, reply: Reply) -> Result<Taken, Stop> {
        let Some(setup) = self.setup() else { return Ok(Taken::GoOn) };
        match reply.outcome {
            Ok(Answer::Route(Ok(trunks))) => {
                let mut left: HashSet<u32> = setup.choices.iter().map(|c| c.trunk).collect();
                setup.choices =
                    trunks.into_iter().filter(|t| left.remove(t)).map(Choice::new).collect();
            }
            Ok(Answer::Route(Err(rejection))) => return Err(rejection.into()),
            // Keeps the core's own order.
            Ok(_) | Err(_) => {}
        }
        let Some(first) = setup.choices.front().map(|choice| choice.trunk) else {
            return Err(Stop::new(503, name::NO_ROUTE_AVAILABLE, "routing chose no trunk"));
        };
        self.tell(cx, EventKind::Routed, first, 0);
        Ok(Taken::GoOn)
    }
}
