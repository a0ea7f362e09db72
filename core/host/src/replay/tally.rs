//! Adds up the differences of decisions.

use super::compare::{self, Difference, Kind, difference, margin};
use super::example::{Sharpest, example, trunk};
use super::groups::{Destinations, Group, Prefix, largest};
use super::report::{HookReport, Report, Sums, Turn};
use super::{Compared, Decision, Names};
use crate::decisions::ReadCounts;
use policy::{Answer, Hook, Question, Side};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) struct Tally<'a> {
    names: &'a Names,
    limit: usize,
    /// The build queries details beyond the question.
    wants_details: bool,
    without_details: u64,
    from_ms: u64,
    until_ms: u64,
    asked: u64,
    different: u64,
    passed: u64,
    hooks: [HookReport; Hook::ALL.len()],
    sell: Sums,
    buy: Sums,
    margin: Sums,
    rejects: HashMap<(Hook, u16, String), (u64, u64)>,
    lost: HashSet<u128>,
    saved: HashSet<u128>,
    trunks: HashMap<u32, Group>,
    prefixes: HashMap<Prefix, Group>,
    destinations: Destinations,
    examples: Sharpest,
}

impl<'a> Tally<'a> {
    pub(super) fn new(limit: usize, names: &'a Names, wants_details: bool) -> Tally<'a> {
        Tally {
            names,
            limit,
            wants_details,
            without_details: 0,
            from_ms: 0,
            until_ms: 0,
            asked: 0,
            different: 0,
            passed: 0,
            hooks: Default::default(),
            sell: Sums::default(),
            buy: Sums::default(),
            margin: Sums::default(),
            rejects: HashMap::new(),
            lost: HashSet::new(),
            saved: HashSet::new(),
            trunks: HashMap::new(),
            prefixes: HashMap::new(),
            destinations: Destinations::default(),
            examples: Sharpest::new(limit),
        }
    }

    /// Called with every decision in turn, of any hook.
    pub(super) fn meet(&mut self, decision: &Decision) {
        self.destinations.meet(decision);
    }

    /// Adds a decision that was put to the build.
    pub(super) fn add(&mut self, compared: &Compared) {
        let Compared { decision, old, new, passed, .. } = compared;
        if self.asked == 0 {
            self.from_ms = decision.at_ms;
        }
        self.until_ms = decision.at_ms;
        self.asked += 1;
        self.passed += u64::from(*passed);
        self.without_details += u64::from(self.wants_details && decision.details.is_none());
        let call = decision.question.call();
        let prefix = self.destinations.of(call.id);
        self.trunks.entry(call.trunk).or_default().asked += 1;
        self.prefixes.entry(prefix).or_default().asked += 1;
        let hook = &mut self.hooks[decision.question.hook() as usize];
        hook.asked += 1;
        hook.faults += u64::from(new.is_err());
        let found = difference(&decision.question, old, new);
        if let Some(found) = &found {
            hook.different += 1;
            for kind in &found.kinds {
                *hook.kinds.entry(*kind).or_default() += 1;
            }
        }
        self.add_money(compared);
        let Some(found) = found else { return };
        self.different += 1;
        self.trunks.entry(call.trunk).or_default().note(&found);
        self.prefixes.entry(prefix).or_default().note(&found);
        self.add_rejects(compared, &found);
        if found.loses() {
            self.lost.insert(call.id);
        }
        if found.saves() {
            self.saved.insert(call.id);
        }
        let names = self.names;
        self.examples.meet(&found, || example(compared, &found, names));
    }

    fn add_money(&mut self, compared: &Compared) {
        let (Ok(Some(old)), Ok(Some(new))) = (&compared.old, &compared.new) else { return };
        match (&compared.decision.question, old, new) {
            (Question::Rate(question), Answer::Rate(old), Answer::Rate(new))
                if question.subject.is_final =>
            {
                let sums = match question.subject.side {
                    Side::Sell => &mut self.sell,
                    Side::Buy => &mut self.buy,
                };
                sums.add(old.amount, new.amount);
            }
            (Question::Route(question), Answer::Route(Ok(old)), Answer::Route(Ok(new))) => {
                if let (Some(old), Some(new)) = (margin(question, old), margin(question, new)) {
                    self.margin.add(old, new);
                }
            }
            _ => {}
        }
    }

    fn add_rejects(&mut self, compared: &Compared, found: &Difference) {
        let hook = compared.decision.question.hook();
        let turns = [Kind::NewReject, Kind::GoneReject, Kind::OtherReject];
        if !turns.iter().any(|kind| found.has(*kind)) {
            return;
        }
        if let Some(it) = compare::refusal(&compared.old) {
            self.rejects.entry((hook, it.code, it.reason.to_string())).or_default().1 += 1;
        }
        if let Some(it) = compare::refusal(&compared.new) {
            self.rejects.entry((hook, it.code, it.reason.to_string())).or_default().0 += 1;
        }
    }

    pub(super) fn report(self, plugin: String, log: ReadCounts, seconds: f64) -> Report {
        let names = self.names;
        let mut rejects: Vec<Turn> = self
            .rejects
            .into_iter()
            .map(|((hook, code, reason), (new, gone))| Turn {
                hook: hook.name(),
                code,
                reason,
                new,
                gone,
            })
            .collect();
        rejects.sort_by(|a, b| {
            let key = |turn: &Turn| (Reverse(turn.new + turn.gone), turn.hook, turn.code);
            key(a).cmp(&key(b)).then_with(|| a.reason.cmp(&b.reason))
        });
        let faults = self.hooks.iter().map(|hook| hook.faults).sum();
        let hooks: BTreeMap<&'static str, HookReport> = Hook::ALL
            .into_iter()
            .zip(self.hooks)
            .filter(|(_, report)| report.asked > 0)
            .map(|(hook, report)| (hook.name(), report))
            .collect();
        let mut notes = Vec::new();
        if log.masked_digits > 0 {
            let digits = log.masked_digits;
            notes.push(format!(
                "the last {digits} digits of numbers are masked: entries of lists and rules for \
                 whole numbers do not match"
            ));
        }
        if self.without_details > 0 {
            notes.push(format!(
                "{} decisions were recorded without headers, numbers and attempts of the call: no \
                 plugin of their hook could ask for them",
                self.without_details
            ));
        }
        if log.torn > 0 {
            notes.push(format!(
                "{} segments end in the middle: a crash, or being written",
                log.torn
            ));
        }
        if log.foreign > 0 {
            notes.push(format!("{} segments of another program version are left out", log.foreign));
        }
        Report {
            plugin,
            from_ms: self.from_ms,
            until_ms: self.until_ms,
            asked: self.asked,
            same: self.asked - self.different,
            different: self.different,
            passed: self.passed,
            faults,
            lost_calls: self.lost.len() as u64,
            saved_calls: self.saved.difference(&self.lost).count() as u64,
            seconds,
            per_second: if seconds > 0.0 { self.asked as f64 / seconds } else { 0.0 },
            hooks,
            sell: self.sell,
            buy: self.buy,
            margin: self.margin,
            rejects,
            trunks: largest(self.trunks, self.limit, |id| trunk(&names.customers, id)),
            destinations: largest(self.prefixes, self.limit, Prefix::digits),
            examples: self.examples.into_examples(),
            log_at_load: Vec::new(),
            trace: Vec::new(),
            log,
            notes,
        }
    }
}
