//! `vectors.json`: questions with the answers that a plugin must give, in the JSON form of
//! `policy`'s types. A question may omit irrelevant fields.

use anyhow::{Context, Result, bail};
use policy::{
    AdvanceQuestion, Answer, AttemptFailure, CallFacts, Candidate, DeckRow, EventKind, EventNotice,
    FailoverSwitches, IdentityQuestion, Lookup, NumberQuestion, Owner, PrefixHit, Question,
    RateQuestion, RateSubject, Rounding, RouteQuestion, ScreenQuestion, Side, Stage,
    SupervisionQuestion, TrunkIdentity, TrunkStatistics,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vectors {
    /// Seed of `host-random`.
    #[serde(default = "first_seed")]
    pub(crate) random_seed: u64,
    /// The answers of the host services.
    #[serde(default)]
    host: Snapshot,
    cases: Vec<Written>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Snapshot {
    /// Texts by their handles.
    texts: BTreeMap<u64, Arc<str>>,
    /// Entries and their values, by table.
    tables: BTreeMap<String, BTreeMap<String, Arc<str>>>,
    /// Attributes by account.
    accounts: BTreeMap<u32, BTreeMap<String, Arc<str>>>,
    /// Attributes by customer trunk.
    customers: BTreeMap<u32, BTreeMap<String, Arc<str>>>,
    /// Attributes by vendor trunk.
    vendors: BTreeMap<u32, BTreeMap<String, Arc<str>>>,
    /// Live figures by vendor trunk.
    statistics: BTreeMap<u32, TrunkStatistics>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    question: Value,
    answer: Value,
}

/// A question and the right answer.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) question: Question,
    pub(crate) answer: Answer,
}

fn first_seed() -> u64 {
    1
}

impl Vectors {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Vectors> {
        let text = std::fs::read_to_string(file).with_context(|| {
            format!("{} cannot be read; it has the plugin's vectors", file.display())
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is not usable", file.display()))
    }

    /// All cases, with the omitted fields filled in.
    pub(crate) fn cases(&self) -> Result<Vec<Case>> {
        self.cases
            .iter()
            .map(|written| written.case().with_context(|| written.name.clone()))
            .collect()
    }

    /// The configuration snapshot for plugins' lookups.
    pub(crate) fn lookup(&self) -> Arc<dyn Lookup> {
        Arc::new(self.host.clone())
    }
}

impl Written {
    fn case(&self) -> Result<Case> {
        let question = complete(&self.question).context("question")?;
        let answer = Answer::deserialize(&self.answer).context("answer")?;
        Ok(Case { name: self.name.clone(), question, answer })
    }
}

/// Completes the JSON form of a question.
pub(crate) fn complete(written: &Value) -> Result<Question> {
    let kind = written.as_object().and_then(|fields| fields.keys().next()).map(String::as_str);
    let Some(blank) = kind.and_then(blank) else {
        bail!(
            "write one of screen, number, rate, route, advance, identity, supervise, event with its fields"
        );
    };
    let whole = filled(written, &serde_json::to_value(blank)?, "")?;
    Ok(serde_json::from_value(whole)?)
}

/// `given` with the missing fields of `blank`. The single element of a list in `blank` fills the
/// elements of the list; the list itself is empty by default.
fn filled(given: &Value, blank: &Value, at: &str) -> Result<Value> {
    match (given, blank) {
        (Value::Object(given), Value::Object(all)) => {
            if let Some(name) = given.keys().find(|name| !all.contains_key(*name)) {
                let known: Vec<&str> = all.keys().map(String::as_str).collect();
                bail!("{at}{name} is not known; known are {}", known.join(", "));
            }
            let fields = all.iter().map(|(name, blank)| {
                let value = match given.get(name) {
                    Some(given) => filled(given, blank, &format!("{at}{name}."))?,
                    None => emptied(blank),
                };
                Ok((name.clone(), value))
            });
            fields.collect::<Result<_>>().map(Value::Object)
        }
        (Value::Array(given), Value::Array(blank)) => {
            let [blank @ Value::Object(_)] = blank.as_slice() else {
                return Ok(Value::Array(given.clone()));
            };
            given
                .iter()
                .map(|item| filled(item, blank, at))
                .collect::<Result<_>>()
                .map(Value::Array)
        }
        _ => Ok(given.clone()),
    }
}

fn emptied(blank: &Value) -> Value {
    match blank {
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(fields) => {
            fields.iter().map(|(name, blank)| (name.clone(), emptied(blank))).collect()
        }
        other => other.clone(),
    }
}

/// The question of a kind with every field at its default.
fn blank(kind: &str) -> Option<Question> {
    let call = CallFacts { id: 1, received_ms: 1_767_225_600_000, trunk: 1, account: 1 };
    let none = policy::Text::default;
    Some(match kind {
        "screen" => Question::Screen(ScreenQuestion {
            call,
            caller: none(),
            callee: none(),
            source: "192.0.2.1".into(),
        }),
        "number" => Question::Number(NumberQuestion {
            call,
            stage: Stage::Ingress,
            trunk: 1,
            caller: none(),
            callee: none(),
            identity: none(),
            caller_rules: 0,
            callee_rules: 0,
            identity_rules: 0,
            tech_prefix: none(),
            reject_unmatched: false,
        }),
        "rate" => Question::Rate(RateQuestion {
            call,
            subject: RateSubject {
                side: Side::Sell,
                is_final: true,
                account: 1,
                trunk: 1,
                at_ms: call.received_ms,
            },
            row: DeckRow {
                price_first: 0,
                price_next: 0,
                connect_fee: 0,
                first_increment_s: 1,
                next_increment_s: 1,
                free_seconds: 0,
                minimum_charge: 0,
            },
            rounding: Rounding::default(),
            duration_ms: 0,
        }),
        "route" => Question::Route(RouteQuestion {
            call,
            caller: none(),
            callee: none(),
            sell_price: 0,
            candidates: vec![Candidate {
                trunk: 1,
                prefix_length: 0,
                prefix_priority: 1,
                extend: true,
                priority: 1,
                weight: 1,
                last_resort: false,
                active: 0,
                channels: 0,
                calls_today: 0,
                buy_price: 0,
            }],
        }),
        "advance" => Question::Advance(AdvanceQuestion {
            call,
            trunk: 1,
            failure: AttemptFailure::Response,
            code: 0,
            cause: 0,
            alerted: false,
            media_opened: false,
            rtp_received: false,
            switches: FailoverSwitches::default(),
            attempts: 1,
            remaining: 1,
        }),
        "identity" => Question::Identity(IdentityQuestion {
            call,
            trunk: 1,
            caller_out: none(),
            identity_out: none(),
            display: none(),
            host: none(),
            privacy: none(),
            private: false,
            source_trusted: true,
            target_trusted: true,
            modes: TrunkIdentity::default(),
        }),
        "supervise" => Question::Supervise(SupervisionQuestion {
            call,
            asking: 0,
            answered_s: 0,
            interval_s: 60,
            trunk: 1,
            caller: none(),
            callee: none(),
            sell_price: 0,
            marks: Vec::new(),
        }),
        "event" => Question::Event(EventNotice {
            call,
            kind: EventKind::Incoming,
            at_ms: call.received_ms,
            trunk: 0,
            code: 0,
            duration_ms: 0,
            caller: none(),
            callee: none(),
        }),
        _ => return None,
    })
}

impl Lookup for Snapshot {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        self.texts.get(&handle).cloned()
    }

    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit> {
        let table = self.tables.get(table)?;
        let longest = (0..=number.len()).rev().filter_map(|end| number.get(..end));
        let (prefix, value) = longest.filter_map(|prefix| table.get_key_value(prefix)).next()?;
        let length = u32::try_from(prefix.chars().count()).unwrap_or(u32::MAX);
        Some(PrefixHit { length, value: Arc::clone(value) })
    }

    fn exact(&self, table: &str, number: &str) -> Option<Arc<str>> {
        self.tables.get(table)?.get(number).cloned()
    }

    fn attribute(&self, owner: Owner, name: &str) -> Option<Arc<str>> {
        let attributes = match owner {
            Owner::Account(id) => self.accounts.get(&id),
            Owner::Customer(id) => self.customers.get(&id),
            Owner::Vendor(id) => self.vendors.get(&id),
        };
        attributes?.get(name).cloned()
    }

    fn trunk_statistics(&self, trunk: u32) -> Option<TrunkStatistics> {
        self.statistics.get(&trunk).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_question_leaves_out_has_defaults() {
        let written = json!({"route": {"callee": "44", "candidates": [{"trunk": 3}]}});
        let Question::Route(question) = complete(&written).expect("legal") else { panic!() };
        assert_eq!((question.callee.as_str(), question.candidates[0].trunk), ("44", 3));
        assert_eq!(question.candidates[0].weight, 1);
        let Question::Route(question) = complete(&json!({"route": {}})).expect("legal") else {
            panic!()
        };
        assert_eq!(question.candidates, []);
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_place() {
        let error = complete(&json!({"rate": {"row": {"prize_next": 1}}})).expect_err("misspelt");
        assert!(error.to_string().starts_with("rate.row.prize_next is not known; known are "));
        let error = complete(&json!({"rote": {}})).expect_err("no kind");
        assert!(error.to_string().contains("write one of screen, number"));
    }

    #[test]
    fn every_kind_of_question_has_a_blank_that_can_be_read_back() {
        for kind in
            ["screen", "number", "rate", "route", "advance", "identity", "supervise", "event"]
        {
            complete(&json!({ kind: {} })).unwrap_or_else(|error| panic!("{kind}: {error:#}"));
        }
    }
}
