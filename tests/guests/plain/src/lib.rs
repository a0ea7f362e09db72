//! A plugin straight against `wit/v0.1`, without the SDK: it looks at every question, decides
//! the plain way, and reads what the host has to say about the call. With its 43 KB it is what
//! the benchmark of swaps puts in.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "plugin" });

use exports::strowger::policy::{
    events, identity, lifecycle, numbering, rating, routing, screening, supervision,
};
use strowger::policy::types::{Call, Header, Rejection};
use strowger::policy::{host_call, host_counters, host_log, host_tables, host_trunks};

struct Plain;

impl lifecycle::Guest for Plain {
    fn describe() -> lifecycle::Description {
        lifecycle::Description {
            name: "plain".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Decides the plain way.".to_owned(),
            config_schema: String::new(),
        }
    }

    fn configure(_config: String) -> Result<(), String> {
        Ok(())
    }

    fn self_test() -> Result<u32, String> {
        Ok(0)
    }
}

impl screening::Guest for Plain {
    fn screen(q: screening::Question) -> screening::Verdict {
        if host_tables::contains("barred", &q.callee) {
            return screening::Verdict::Reject(Rejection {
                code: 403,
                reason: "destination_barred".to_owned(),
                detail: format!("{} calls {}", q.caller, q.callee),
            });
        }
        let calls = host_counters::add(&q.caller, 1, 3600);
        screening::Verdict::Mark(vec![q.source, calls.to_string()])
    }
}

impl numbering::Guest for Plain {
    fn rewrite(q: numbering::Question) -> Result<numbering::Numbers, Rejection> {
        let international = match q.callee.strip_prefix("00") {
            Some(number) => number.to_owned(),
            None => format!("49{}", q.callee.trim_start_matches('0')),
        };
        Ok(numbering::Numbers {
            caller: q.caller,
            callee: format!("{}{international}", q.tech_prefix),
            identity: q.identity,
            route_as: String::new(),
            rate_as: String::new(),
            uri_parameters: String::new(),
        })
    }
}

impl rating::Guest for Plain {
    fn rate(
        _subject: rating::Subject,
        row: rating::DeckRow,
        _rounding: rating::Rounding,
        duration_ms: u64,
    ) -> Result<rating::Charge, rating::NoCharge> {
        let seconds = u32::try_from(duration_ms.div_ceil(1000)).unwrap_or(u32::MAX);
        let amount = row.price_first.saturating_mul(i64::from(seconds)) / 60;
        let discount = host_call::current().account_attribute("discount-percent");
        let percent = match discount.map(|words| words.parse::<i64>()) {
            None => 0,
            Some(Ok(percent @ 0..=100)) => percent,
            Some(_) => return Err(rating::NoCharge::Failed("discount-percent".to_owned())),
        };
        let amount = amount - amount / 100 * percent;
        Ok(rating::Charge { amount, billed_seconds: seconds })
    }
}

impl routing::Guest for Plain {
    fn select(q: routing::Question) -> Result<Vec<u32>, Rejection> {
        let paying = q.candidates.into_iter().filter(|one| one.buy_price <= q.sell_price);
        let trunks: Vec<u32> = paying.map(|one| one.trunk).collect();
        let known = host_trunks::read(&trunks);
        let answers = |asr: Option<u32>| asr.is_none_or(|permille| permille >= 100);
        let asr = known.into_iter().map(|one| one.map(|one| u32::from(one.asr_permille)));
        Ok(trunks.into_iter().zip(asr).filter(|(_, asr)| answers(*asr)).map(|(t, _)| t).collect())
    }

    fn after_failure(_call: Call, outcome: routing::Outcome) -> routing::Decision {
        match outcome.code {
            486 | 600.. => routing::Decision::Stop,
            _ if host_call::current().attempts().len() > 5 => routing::Decision::Stop,
            _ => routing::Decision::Next,
        }
    }
}

impl identity::Guest for Plain {
    fn present(q: identity::Question) -> Result<identity::Answer, Rejection> {
        let facts = host_call::current();
        let asserted = facts
            .header("P-Asserted-Identity")
            .into_iter()
            .map(|value| Header { name: "P-Asserted-Identity".to_owned(), value });
        let headers = asserted.collect();
        Ok(identity::Answer { display: q.display, user: q.caller_out, host: q.host, headers })
    }
}

impl supervision::Guest for Plain {
    fn supervise(q: supervision::Question) -> supervision::Answer {
        let dear = q.sell_price > 5_000_000_000 && q.answered_s >= 3600;
        let marks = if dear { vec!["long-and-dear".to_owned()] } else { Vec::new() };
        supervision::Answer { course: supervision::Course::GoOn, marks, ask_again_s: 0 }
    }
}

impl events::Guest for Plain {
    fn notify(e: events::Event) {
        host_log::log(host_log::Level::Debug, &format!("{:?} {} {}", e.kind, e.caller, e.callee));
    }
}

export!(Plain);
