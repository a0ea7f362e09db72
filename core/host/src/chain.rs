//! Which plugins a call asks at a hook, in which order, and what their answers make together.

use crate::LoadError;
use crate::generation::Live;
use policy::{
    Advance, Answer, CallFacts, Hook, IdentityAnswer, NumberAnswer, Question, Supervised,
    SupervisionAnswer, Verdict,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The plugins of a hook for everybody, for one customer trunk or for one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSettings {
    /// The hook.
    pub hook: Hook,
    /// Whose calls.
    pub scope: ChainScope,
    /// Names of plugins in the order in which they are asked; empty: nobody is asked.
    pub plugins: Vec<String>,
}

/// Whose calls a chain is for. The narrower one holds: trunk, account, everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainScope {
    /// Every call that no other chain is for.
    Everyone,
    /// Calls of the account with this id.
    Account(u32),
    /// Calls of the customer trunk with this id.
    Trunk(u32),
}

type Links = Arc<[Arc<Live>]>;

/// The chains of a generation.
#[derive(Clone)]
pub(crate) struct Chains {
    everyone: [Links; Hook::ALL.len()],
    narrower: HashMap<(Hook, ChainScope), Links>,
}

impl Chains {
    /// Where nothing else is said, the plugins that have a hook are asked in the order of
    /// the configuration, but for those that are only asked where a chain names them.
    pub(crate) fn new(
        live: &BTreeMap<Arc<str>, Arc<Live>>,
        order: &[Arc<str>],
        settings: &[ChainSettings],
    ) -> Result<Chains, LoadError> {
        let configured = order.iter().filter_map(|name| live.get(name));
        let by_default = |hook: Hook| -> Links {
            let has = |live: &&Arc<Live>| {
                live.version.plugin.settings.by_default && live.version.hooks.contains(&hook)
            };
            configured.clone().filter(has).cloned().collect()
        };
        let mut chains = Chains { everyone: Hook::ALL.map(by_default), narrower: HashMap::new() };
        for chain in settings {
            let links = links(live, chain)?;
            match chain.scope {
                ChainScope::Everyone => chains.everyone[chain.hook as usize] = links,
                narrower => {
                    chains.narrower.insert((chain.hook, narrower), links);
                }
            }
        }
        Ok(chains)
    }

    pub(crate) fn everyone(&self, hook: Hook) -> &[Arc<Live>] {
        &self.everyone[hook as usize]
    }

    pub(crate) fn of(&self, hook: Hook, call: CallFacts) -> &[Arc<Live>] {
        if self.narrower.is_empty() {
            return self.everyone(hook);
        }
        let of = |scope| self.narrower.get(&(hook, scope));
        let narrower =
            of(ChainScope::Trunk(call.trunk)).or_else(|| of(ChainScope::Account(call.account)));
        narrower.unwrap_or(&self.everyone[hook as usize])
    }

    /// Whose calls have somebody at the supervision hook.
    pub(crate) fn supervised(&self) -> Supervised {
        let (mut trunks, mut accounts) = (Vec::new(), Vec::new());
        for ((hook, scope), links) in &self.narrower {
            let asked = !links.is_empty();
            match scope {
                _ if *hook != Hook::Supervision => {}
                ChainScope::Trunk(trunk) => trunks.push((*trunk, asked)),
                ChainScope::Account(account) => accounts.push((*account, asked)),
                ChainScope::Everyone => {}
            }
        }
        Supervised::new(!self.everyone(Hook::Supervision).is_empty(), trunks, accounts)
    }

    /// Every plugin that some call may ask at the hook.
    pub(crate) fn all(&self, hook: Hook) -> impl Iterator<Item = &Arc<Live>> {
        let narrower = self.narrower.iter().filter(move |((of, _), _)| *of == hook);
        self.everyone(hook).iter().chain(narrower.flat_map(|(_, links)| links.iter()))
    }
}

fn links(live: &BTreeMap<Arc<str>, Arc<Live>>, chain: &ChainSettings) -> Result<Links, LoadError> {
    let mut links: Vec<Arc<Live>> = Vec::with_capacity(chain.plugins.len());
    for name in &chain.plugins {
        let found = live.get(name.as_str()).ok_or_else(|| {
            let known: Vec<&str> = live.keys().map(|name| &**name).collect();
            LoadError::UnknownPlugin { name: name.clone(), known: known.join(", ") }
        })?;
        if !found.version.hooks.contains(&chain.hook) {
            return Err(LoadError::HookNotExported { plugin: name.clone(), hook: chain.hook });
        }
        if links.iter().any(|link| link.version.plugin.name == found.version.plugin.name) {
            return Err(LoadError::ChainedTwice { plugin: name.clone(), hook: chain.hook });
        }
        links.push(Arc::clone(found));
    }
    Ok(links.into())
}

/// What the answers of a chain make together, link by link.
pub(crate) struct Fold {
    /// What the next link is asked; none: what the first was asked.
    question: Option<Question>,
    so_far: Option<Answer>,
}

/// Whether the next link is asked.
#[derive(PartialEq, Eq)]
pub(crate) enum Step {
    /// It is.
    Go,
    /// Everything is decided.
    Done,
}

impl Fold {
    pub(crate) fn new() -> Fold {
        Fold { question: None, so_far: None }
    }

    pub(crate) fn question<'a>(&'a self, asked: &'a Question) -> &'a Question {
        self.question.as_ref().unwrap_or(asked)
    }

    /// The answer of all links; none if nobody gave one.
    pub(crate) fn finish(self) -> Option<Answer> {
        self.so_far
    }

    /// Adds the answer of a link.
    pub(crate) fn add(&mut self, asked: &Question, answer: Answer) -> Step {
        match answer {
            Answer::Screen(verdict) => self.screened(verdict),
            Answer::Number(Ok(numbers)) => {
                self.numbered(asked, numbers);
                Step::Go
            }
            Answer::Route(Ok(trunks)) => {
                self.routed(asked, &trunks);
                self.so_far = Some(Answer::Route(Ok(trunks)));
                Step::Go
            }
            Answer::Identity(Ok(identity)) => {
                self.identified(asked, identity);
                Step::Go
            }
            Answer::Supervise(answer) => self.supervised(asked, answer),
            Answer::Noted => {
                self.so_far = Some(Answer::Noted);
                Step::Go
            }
            decided => {
                self.so_far = Some(decided);
                Step::Done
            }
        }
    }

    /// The first that rejects or challenges decides; marks add up.
    fn screened(&mut self, verdict: Verdict) -> Step {
        match (verdict, &mut self.so_far) {
            (Verdict::Allow, Some(_)) => Step::Go,
            (Verdict::Mark(words), Some(Answer::Screen(Verdict::Mark(marks)))) => {
                marks.extend(words);
                Step::Go
            }
            (verdict @ (Verdict::Allow | Verdict::Mark(_)), so_far) => {
                *so_far = Some(Answer::Screen(verdict));
                Step::Go
            }
            (decided, so_far) => {
                *so_far = Some(Answer::Screen(decided));
                Step::Done
            }
        }
    }

    /// Each gets the numbers of the one before; what only one of them said stays.
    fn numbered(&mut self, asked: &Question, mut numbers: NumberAnswer) {
        if let Some(Answer::Number(Ok(before))) = self.so_far.take() {
            for (new, old) in [
                (&mut numbers.route_as, before.route_as),
                (&mut numbers.rate_as, before.rate_as),
                (&mut numbers.uri_parameters, before.uri_parameters),
            ] {
                if new.is_empty() {
                    *new = old;
                }
            }
        }
        if let Question::Number(next) = self.question.get_or_insert_with(|| asked.clone()) {
            next.caller.clone_from(&numbers.caller);
            next.callee.clone_from(&numbers.callee);
            next.identity.clone_from(&numbers.identity);
        }
        self.so_far = Some(Answer::Number(Ok(numbers)));
    }

    /// The first that ends the call decides; each sees the marks of those before.
    fn supervised(&mut self, asked: &Question, answer: SupervisionAnswer) -> Step {
        let Question::Supervise(first) = asked else { return Step::Go };
        let step = if answer.ending().is_some() { Step::Done } else { Step::Go };
        if step == Step::Go
            && !answer.marks.is_empty()
            && let Question::Supervise(next) = self.question.get_or_insert_with(|| asked.clone())
        {
            policy::add_marks(&mut next.marks, answer.marks.iter().cloned());
        }
        match &mut self.so_far {
            Some(Answer::Supervise(before)) => before.join(answer, first.interval_s),
            so_far => *so_far = Some(Answer::Supervise(answer)),
        }
        step
    }

    /// Each gets the candidates that the one before chose, in its order.
    fn routed(&mut self, asked: &Question, trunks: &[u32]) {
        if let Question::Route(next) = self.question.get_or_insert_with(|| asked.clone()) {
            let place: HashMap<u32, usize> =
                trunks.iter().enumerate().rev().map(|(place, trunk)| (*trunk, place)).collect();
            next.candidates.retain(|candidate| place.contains_key(&candidate.trunk));
            next.candidates.sort_by_key(|candidate| place.get(&candidate.trunk).copied());
        }
    }

    /// Each gets display, user and host of the one before; headers replace those of the
    /// same name.
    fn identified(&mut self, asked: &Question, mut identity: IdentityAnswer) {
        if let Some(Answer::Identity(Ok(before))) = self.so_far.take() {
            let replaced = |name: &str| {
                identity.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name))
            };
            let mut headers = before.headers;
            headers.retain(|(name, _)| !replaced(name));
            headers.append(&mut identity.headers);
            identity.headers = headers;
        }
        if let Question::Identity(next) = self.question.get_or_insert_with(|| asked.clone()) {
            next.display.clone_from(&identity.display);
            next.caller_out.clone_from(&identity.user);
            next.host.clone_from(&identity.host);
        }
        self.so_far = Some(Answer::Identity(Ok(identity)));
    }
}

/// What it means that nobody in the chain wants to decide.
pub(crate) fn nobody_decided(question: &Question) -> Option<Answer> {
    match question {
        Question::Advance(_) => Some(Answer::Advance(Advance::Next)),
        _ => None,
    }
}
