//! A plugin that asks servers outside. The callee says what: words of `path=/x`,
//! `timeout=500`, `cache=60`, `host=other:80`, `body=x`, `times=3`, `leave` (leaves the requests to
//! the switch), `spin` (computes without end afterwards). It answers with marks: its build, and what came of each request.
//! Tests change the last letter of [`VERSION`] in the compiled bytes.
#![forbid(unsafe_code)]

use plugin_sdk::host::http::{self, HttpError};
use plugin_sdk::{
    Call, Charge, Decision, DeckRow, Event, Events, Identity, IdentityQuestion, Money, NoCharge,
    NumberQuestion, Numbering, Numbers, Outcome, Plugin, PresentedIdentity, RateSubject, Rating,
    Rejection, Rounding, RouteQuestion, Routing, ScreenQuestion, Screening, Supervision,
    SupervisionAnswer, SupervisionQuestion, TrunkId, Verdict, export_plugin,
};
use std::hint::black_box;

static VERSION: &str = "1.0.0-build-a";

/// Where `path` is asked for.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    server: String,
    /// Asked while it is configured, which the switch does not allow.
    early: bool,
}

/// Asks as it is told.
#[derive(Debug)]
pub struct Outside {
    config: Config,
}

impl Plugin for Outside {
    const NAME: &'static str = "outside";
    const VERSION: Option<&'static str> = Some(VERSION);
    const SUMMARY: &'static str = "Asks servers outside.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.early {
            let refused = http::get(format!("http://{}/", config.server)).send();
            return Err(format!("{refused:?}"));
        }
        Ok(Outside { config })
    }
}

impl Outside {
    fn ask(&self, told: &str) -> Vec<String> {
        let word = |name: &str| {
            let words = told.split_ascii_whitespace();
            words.filter_map(|word| word.split_once('=')).find(|(key, _)| *key == name)
        };
        let number = |name| word(name).and_then(|(_, value)| value.parse().ok());
        let host = word("host").map_or(self.config.server.as_str(), |(_, host)| host);
        let path = word("path").map_or("/", |(_, path)| path);
        let mut said = vec![black_box(VERSION).to_owned()];
        for _ in 0..number("times").unwrap_or(1) {
            let url = format!("http://{host}{path}");
            let request = match word("body") {
                Some((_, body)) => {
                    http::post(url, body.repeat(number("long").unwrap_or(1) as usize))
                }
                None => http::get(url),
            };
            let request = request.header("X-Key", "secret");
            let request = request.timeout_ms(number("timeout").unwrap_or(1_000));
            if told.split_ascii_whitespace().any(|word| word == "leave") {
                let left = request.send_later();
                said.push(left.map_or_else(|error| error.to_string(), |()| "left".to_owned()));
                continue;
            }
            said.push(match request.cache_s(number("cache").unwrap_or(0)).send() {
                Ok(response) => format!(
                    "{}{} {} {}",
                    response.status,
                    if response.cached { " cached" } else { "" },
                    response.body.len(),
                    start(&response.body),
                ),
                Err(HttpError::Failed(how)) => format!("failed {how}"),
                Err(error) => error.to_string(),
            });
        }
        if told.contains("spin") {
            loop {
                black_box(());
            }
        }
        said
    }
}

/// What a question without a callee says by number.
fn told_by(number: u64) -> &'static str {
    if number == 100 { "path=/slow timeout=5000" } else { "path=/ok" }
}

/// The first characters, in one line.
fn start(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(60)]);
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

impl Screening for Outside {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        Verdict::Mark(self.ask(&question.callee))
    }
}

impl Routing for Outside {
    /// Build `x` fails after it has asked.
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        black_box(self.ask(&question.callee));
        assert!(!black_box(VERSION).ends_with('x'), "told to");
        Ok(question.candidates.iter().map(|candidate| candidate.trunk).collect())
    }

    fn after_failure(&mut self, _call: &Call, outcome: &Outcome) -> Decision {
        black_box(self.ask(told_by(outcome.code.into())));
        Decision::Next
    }
}

impl Numbering for Outside {
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        black_box(self.ask(&question.callee));
        Ok(Numbers { callee: "4930".to_owned(), ..Numbers::default() })
    }
}

impl Rating for Outside {
    fn rate(
        &mut self,
        _subject: &RateSubject,
        _row: &DeckRow,
        _rounding: &Rounding,
        duration_ms: u64,
    ) -> Result<Charge, NoCharge> {
        black_box(self.ask(told_by(duration_ms)));
        Ok(Charge { amount: Money::ZERO, billed_seconds: 0 })
    }
}

impl Identity for Outside {
    fn present(&mut self, question: &IdentityQuestion) -> Result<PresentedIdentity, Rejection> {
        black_box(self.ask(&question.caller_out));
        Ok(PresentedIdentity::default())
    }
}

impl Supervision for Outside {
    fn supervise(&mut self, question: &SupervisionQuestion) -> SupervisionAnswer {
        black_box(self.ask(&question.callee));
        SupervisionAnswer::go_on()
    }
}

impl Events for Outside {
    fn notify(&mut self, event: &Event) {
        black_box(self.ask(&event.callee));
    }
}

export_plugin!(Outside: screening, numbering, rating, routing, identity, supervision, events);
