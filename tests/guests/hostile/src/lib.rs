//! A plugin that does what the question tells it, the bad things too.
//!
//! The callee says what to do (`loop`, `trap`, ...); rating and `after-failure` have no
//! callee, there the duration and the code say it by number. Tests change the last letter of
//! [`VERSION`] in the compiled bytes to get another build of the same plugin.

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "plugin" });

use exports::strowger::policy::{
    events, identity, lifecycle, numbering, rating, routing, screening, supervision,
};
use std::cell::RefCell;
use std::hint::black_box;
use strowger::policy::types::{Call, Header, Rejection};
use strowger::policy::{
    host_accounts, host_call, host_clock, host_config, host_counters, host_log, host_metrics,
    host_notes, host_random, host_tables, host_trunks,
};

/// The last letter names the build; build `x` fails at rating and routing, build `s` is slow at
/// routing.
static VERSION: &str = "1.0.0-build-a";

/// What follows `name=` is its name; tests change a letter of that too.
static NAME: &str = "name=hostile";

/// Bad things by number: 100 is the first.
const DEEDS: [&str; 8] =
    ["loop", "trap", "recurse", "eat", "hoard-handles", "many-trunks", "long-key", "loop-in-host"];

fn numbered(number: u64) {
    let place = number.checked_sub(100).and_then(|place| usize::try_from(place).ok());
    misbehave(place.and_then(|place| DEEDS.get(place)).copied().unwrap_or_default());
}

struct Hostile;

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
    static HOARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn version() -> &'static str {
    black_box(VERSION)
}

/// The bad things that look the same in each hook.
fn misbehave(what: &str) {
    match what {
        "loop" => loop {
            black_box(());
        },
        "trap" => panic!("told to"),
        "recurse" => {
            recurse(1);
        }
        "eat" => loop {
            HOARD.with_borrow_mut(|hoard| hoard.push(Vec::with_capacity(1 << 20)));
        },
        // Each call of the host is short; all of them together are not.
        "loop-in-host" => loop {
            black_box(host_clock::now_ms());
        },
        "shout" => {
            for _ in 0..1000 {
                host_log::log(host_log::Level::Debug, "again");
            }
        }
        "hoard-handles" => {
            let kept: Vec<_> = (0..1000).map(|_| host_call::current()).collect();
            black_box(&kept);
        }
        "many-trunks" => {
            host_trunks::read(&[1; 1001]);
        }
        "long-note" => {
            host_notes::keep(&"k".repeat(65), "");
        }
        "long-key" => {
            host_counters::add(&"k".repeat(1000), 1, 60);
        }
        _ => {}
    }
}

fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    let frame = black_box([depth; 16]);
    frame[3] + recurse(black_box(depth + 1)) + frame[5]
}

fn refusal(code: u16, reason: &str) -> Rejection {
    Rejection { code, reason: reason.to_owned(), detail: String::new() }
}

impl lifecycle::Guest for Hostile {
    fn describe() -> lifecycle::Description {
        lifecycle::Description {
            name: black_box(NAME).trim_start_matches("name=").to_owned(),
            version: version().to_owned(),
            summary: "Does what it is told.".to_owned(),
            config_schema: String::new(),
        }
    }

    fn configure(config: String) -> Result<(), String> {
        if config.contains("\"configure\":\"loop\"") {
            misbehave("loop");
        }
        if config.contains("\"configure\":\"refuse\"") {
            return Err("`colour` must be a colour".to_owned());
        }
        // Like one that works through a large configuration: tens of milliseconds.
        if config.contains("\"configure\":\"slow\"") {
            for turn in 0..30_000_000_u32 {
                black_box(turn);
            }
        }
        CONFIG.set(config);
        Ok(())
    }

    fn self_test() -> Result<u32, String> {
        let config = CONFIG.take();
        if config.contains("\"self-test\":\"trap\"") {
            misbehave("trap");
        }
        if config.contains("\"self-test\":\"loop\"") {
            misbehave("loop");
        }
        if config.contains("\"self-test\":\"fail\"") {
            return Err("example 7: expected 2, got 3".to_owned());
        }
        Ok(3)
    }
}

impl screening::Guest for Hostile {
    fn screen(q: screening::Question) -> screening::Verdict {
        misbehave(&q.callee);
        match q.callee.as_str() {
            "reject" => screening::Verdict::Reject(refusal(403, "caller_barred")),
            "code-99" => screening::Verdict::Reject(refusal(99, "caller_barred")),
            "crlf-reason" => screening::Verdict::Reject(refusal(403, "a\r\nVia: b")),
            "code-max" => screening::Verdict::Reject(refusal(u16::MAX, "caller_barred")),
            "challenge" => screening::Verdict::Challenge,
            "many-marks" => screening::Verdict::Mark(vec![String::new(); 1000]),
            // Two megabytes in pieces that are each harmless.
            "flood" => screening::Verdict::Mark(vec!["x".repeat(10 << 10); 200]),
            "version" => screening::Verdict::Mark(vec![version().to_owned()]),
            "echo" => screening::Verdict::Mark(vec![
                q.caller,
                q.callee,
                q.source,
                host_call::current().header("user-agent").join("|"),
                format!("{:x}{:016x}", q.call.id_high, q.call.id_low),
                q.call.trunk.to_string(),
            ]),
            "services" => services(&q.caller),
            "call" => facts(),
            "places" => places(),
            "keep" => keep(),
            "keep-then-trap" => {
                host_notes::keep("score", "lost");
                host_notes::explain("lost");
                panic!("told to");
            }
            "kept" => kept(),
            "keep-too-much" => {
                let results = (0..70).map(|n| host_notes::keep(&n.to_string(), &"x".repeat(100)));
                let taken = results.filter(|taken| *taken).count();
                screening::Verdict::Mark(vec![taken.to_string()])
            }
            "accounts" => accounts(),
            _ => screening::Verdict::Allow,
        }
    }
}

fn facts() -> screening::Verdict {
    let facts = host_call::current();
    let numbers = facts.numbers();
    let attempts = facts.attempts();
    let statistics = host_trunks::read(&[5, 99]);
    let shown = |one: &Option<host_trunks::Statistics>| match one {
        Some(figures) => format!("{} {}", figures.active, figures.asr_permille),
        None => "none".to_owned(),
    };
    screening::Verdict::Mark(vec![
        facts.header("Diversion").join("|"),
        facts.header("Absent").len().to_string(),
        facts.request_uri(),
        format!("{} {} {}", numbers.caller_in, numbers.callee_in, numbers.callee),
        attempts.iter().map(|one| format!("{}:{}", one.trunk, one.code)).collect(),
        facts.account_attribute("plan").unwrap_or_default(),
        facts.vendor_attribute(5, "class").unwrap_or_default(),
        statistics.iter().map(shown).collect::<Vec<_>>().join(","),
        format!("{} {} {}", facts.source(), facts.transport(), facts.listener()),
    ])
}

fn keep() -> screening::Verdict {
    let taken = host_notes::keep("score", "86") && host_notes::keep("score", "87");
    host_notes::explain("a first reason");
    host_notes::explain("score 87");
    screening::Verdict::Mark(vec![
        taken.to_string(),
        host_notes::kept("", "score").unwrap_or_default(),
        host_notes::kept("somebody", "score").unwrap_or_default(),
    ])
}

fn kept() -> screening::Verdict {
    screening::Verdict::Mark(vec![
        host_notes::kept("", "score").unwrap_or_default(),
        host_notes::kept("hostile", "score").unwrap_or_default(),
    ])
}

fn accounts() -> screening::Verdict {
    use host_accounts::{Owner, name_of, price_of, standing_of};
    let standing = standing_of(Owner::Account(3));
    let price = price_of(Owner::Vendor(5), "4930555");
    screening::Verdict::Mark(vec![
        name_of(Owner::Account(3)).unwrap_or_default(),
        name_of(Owner::Customer(3)).unwrap_or_default(),
        name_of(Owner::Vendor(5)).unwrap_or_default(),
        standing.map_or_else(String::new, |s| {
            format!("{} {} {} {:?}", s.currency, s.balance, s.reserved, s.available)
        }),
        price.map_or_else(String::new, |p| {
            format!("{} {} {}", p.prefix, p.destination, p.price_next)
        }),
        standing_of(Owner::Account(99)).is_none().to_string(),
        price_of(Owner::Vendor(5), "1").is_none().to_string(),
    ])
}

fn places() -> screening::Verdict {
    host_metrics::add("asked", 1);
    host_metrics::set("Not A Name", 1);
    screening::Verdict::Mark(vec![
        host_counters::hold("pool", 2).to_string(),
        host_counters::held("pool").to_string(),
        format!("{:?}", host_counters::add_within("day", 2, 3600, 3)),
        format!("{:?}", host_counters::add_within("day", 2, 3600, 3)),
        host_tables::contains("deny", "4930").to_string(),
    ])
}

fn services(caller: &str) -> screening::Verdict {
    host_log::log(host_log::Level::Info, "looking around");
    let hit = host_tables::longest_prefix("deny", caller);
    screening::Verdict::Mark(vec![
        host_config::text(7).unwrap_or_default(),
        host_config::text(8).unwrap_or_else(|| "none".to_owned()),
        hit.map(|hit| format!("{} {}", hit.length, hit.value)).unwrap_or_default(),
        host_tables::exact("deny", caller).unwrap_or_else(|| "none".to_owned()),
        host_counters::add(caller, 2, 60).to_string(),
        host_counters::sum(caller, 60).to_string(),
        (host_clock::now_ms() > 1_600_000_000_000).to_string(),
        host_random::next().to_string(),
    ])
}

impl numbering::Guest for Hostile {
    fn rewrite(q: numbering::Question) -> Result<numbering::Numbers, Rejection> {
        misbehave(&q.callee);
        let callee = match q.callee.as_str() {
            "crlf" => "49\r\nRoute: <sip:evil>".to_owned(),
            "huge" => "1".repeat(2 << 20),
            "reject" => return Err(refusal(484, "number_incomplete")),
            other => format!("{}{other}", q.tech_prefix),
        };
        let none = String::new;
        let uri_parameters = if q.callee == "at" { "rn=1@evil".to_owned() } else { none() };
        Ok(numbering::Numbers {
            caller: q.caller,
            callee,
            identity: none(),
            route_as: none(),
            rate_as: none(),
            uri_parameters,
        })
    }
}

impl rating::Guest for Hostile {
    fn rate(
        _who: rating::Subject,
        row: rating::DeckRow,
        _rounding: rating::Rounding,
        duration_ms: u64,
    ) -> Result<rating::Charge, rating::NoCharge> {
        if version().ends_with('x') {
            misbehave("trap");
        }
        numbered(duration_ms);
        match duration_ms {
            2 => return Ok(rating::Charge { amount: -1, billed_seconds: 0 }),
            3 => return Err(rating::NoCharge::Failed("no such plan".to_owned())),
            4 => return Err(rating::NoCharge::Pass),
            _ => {}
        }
        Ok(rating::Charge {
            amount: row.price_first,
            billed_seconds: u32::try_from(duration_ms / 1000).unwrap_or(u32::MAX),
        })
    }
}

impl routing::Guest for Hostile {
    fn select(q: routing::Question) -> Result<Vec<u32>, Rejection> {
        if version().ends_with('x') {
            misbehave("trap");
        }
        if version().ends_with('s') {
            // Ten milliseconds or more.
            for turn in 0..30_000_000_u32 {
                black_box(turn);
            }
        }
        misbehave(&q.callee);
        Ok(match q.callee.as_str() {
            "too-many" => vec![1; 1001],
            "million" => vec![1; 1_000_000],
            _ if version().ends_with('e') => Vec::new(),
            _ if version().ends_with('u') => vec![998, 999],
            _ => q.candidates.iter().map(|candidate| candidate.trunk).collect(),
        })
    }

    fn after_failure(_call: Call, o: routing::Outcome) -> routing::Decision {
        numbered(u64::from(o.code));
        match o.code {
            503 => routing::Decision::Next,
            486 => routing::Decision::Stop,
            404 => routing::Decision::Pass,
            code => routing::Decision::StopWith(code),
        }
    }
}

impl identity::Guest for Hostile {
    fn present(q: identity::Question) -> Result<identity::Answer, Rejection> {
        misbehave(&q.caller_out);
        let header =
            |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
        let headers = match q.caller_out.as_str() {
            "crlf-value" => vec![header("X-A", "1\r\nVia: evil")],
            "crlf-name" => vec![header("X-A\r\n", "1")],
            "our-header" => vec![header("X-A", "1"), header("v", "SIP/2.0/UDP evil.example")],
            "many" => vec![header("X-A", "1"); 65],
            "long" => vec![header("X-A", &"1".repeat(2049))],
            _ => {
                let asserted = host_call::current().header("P-Asserted-Identity");
                asserted.iter().map(|value| header("P-Asserted-Identity", value)).collect()
            }
        };
        Ok(identity::Answer { display: q.display, user: q.caller_out, host: q.host, headers })
    }
}

impl supervision::Guest for Hostile {
    fn supervise(q: supervision::Question) -> supervision::Answer {
        misbehave(&q.callee);
        let end = |reason: &str, cause, code| {
            let (reason, detail) = (reason.to_owned(), String::new());
            supervision::Course::End(supervision::Ending { reason, cause, code, detail })
        };
        let course = match q.callee.as_str() {
            "end" => end("told_to", 16, 0),
            "end-code" => end("told_to", 0, 402),
            "no-cause" => end("told_to", 0, 0),
            "cause-128" => end("told_to", 128, 0),
            "code-200" => end("told_to", 16, 200),
            "crlf-reason" => end("a\r\nVia: b", 16, 0),
            "limit" => supervision::Course::Limit(30),
            "limit-0" => supervision::Course::Limit(0),
            _ => supervision::Course::GoOn,
        };
        let marks = match q.callee.as_str() {
            "many-marks" => vec![String::new(); 65],
            "long-mark" => vec!["m".repeat(129)],
            "echo" => vec![
                format!("{} {} {}", q.asking, q.answered_s, q.interval_s),
                format!("{} {} {}", q.trunk, q.caller, q.sell_price),
                q.marks.join("|"),
            ],
            "seen" => vec![format!("seen-{}", q.marks.len())],
            _ => Vec::new(),
        };
        let ask_again_s = if q.callee == "limit" { 20 } else { 0 };
        supervision::Answer { course, marks, ask_again_s }
    }
}

impl events::Guest for Hostile {
    fn notify(e: events::Event) {
        misbehave(&e.callee);
    }
}

export!(Hostile);
