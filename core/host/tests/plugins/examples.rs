//! The examples of `examples/plugins` as components in the real host: each with only the grants
//! that its page names, asked about its subject.

use crate::common::{call, file, settings};
use host::{Grant, Host, OwnMetric, PluginSettings, ShardHost};
use policy::{
    Advance, AdvanceQuestion, Answer, AttemptFailure, CallFacts, Candidate, Charge, DeckRow,
    FailoverSwitches, Fault, Lookup, NumberQuestion, Owner, Pin, PrefixHit, Question, RateQuestion,
    RateSubject, Rounding, RouteQuestion, ScreenQuestion, Side, Stage, SupervisionAnswer,
    SupervisionQuestion, Verdict,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

const NAMES: [&str; 8] = [
    "call-report",
    "caller-pool",
    "do-not-originate",
    "fraud-rule",
    "margin-guard",
    "premium-limit",
    "tiered-rating",
    "time-of-day",
];

/// An example's file, after building all examples once for this test process.
pub(crate) fn example(name: &str) -> Vec<u8> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it has one");
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown", "--lib"])
            .args(NAMES.iter().flat_map(|name| ["-p", name]))
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the examples do not build");
        target.join("wasm32-unknown-unknown/release")
    });
    let file = folder.join(format!("{}.wasm", name.replace('-', "_")));
    std::fs::read(file).expect("it was built")
}

/// A host with one example, its shard, and a pin.
fn bench(name: &str, grants: &[Grant], config: serde_json::Value) -> (Host, ShardHost, Pin) {
    let plugin = PluginSettings {
        grants: grants.iter().copied().collect(),
        config,
        ..PluginSettings::new(name, file(&format!("example-{name}"), &example(name)))
    };
    let host = Host::new(settings(plugin, 1)).unwrap_or_else(|error| panic!("{error}"));
    let shard = host.shard();
    let pin = host.pin(Arc::new(Snapshot));
    (host, shard, pin)
}

/// The operator's configuration.
struct Snapshot;

impl Lookup for Snapshot {
    fn text(&self, _: u64) -> Option<Arc<str>> {
        None
    }

    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit> {
        let value = self.exact(table, number)?;
        Some(PrefixHit { length: number.len() as u32, value })
    }

    fn exact(&self, table: &str, number: &str) -> Option<Arc<str>> {
        match (table, number) {
            ("dno", "18005550100") => Some(Arc::from("")),
            ("account-plans", "3") => Some(Arc::from("club")),
            _ => None,
        }
    }

    fn attribute(&self, owner: Owner, name: &str) -> Option<Arc<str>> {
        let pool = owner == Owner::Vendor(5) && name == "caller_pool";
        pool.then(|| Arc::from("local"))
    }
}

fn screen(caller: &str, callee: &str) -> Question {
    Question::Screen(ScreenQuestion {
        call: call(),
        caller: caller.into(),
        callee: callee.into(),
        source: "192.0.2.1".into(),
    })
}

/// At 2026-01-05 12:00 UTC, a Monday; sold at 100.
fn route(vendors: &[(u32, i64)]) -> Question {
    let candidate = |(trunk, buy_price): &(u32, i64)| Candidate {
        trunk: *trunk,
        prefix_length: 2,
        prefix_priority: 1,
        extend: true,
        priority: 1,
        weight: 1,
        last_resort: false,
        active: 0,
        channels: 0,
        calls_today: 0,
        buy_price: *buy_price,
    };
    Question::Route(RouteQuestion {
        call: CallFacts { received_ms: 1_767_614_400_000, ..call() },
        caller: "493012345".into(),
        callee: "4420".into(),
        sell_price: 100,
        candidates: vendors.iter().map(candidate).collect(),
    })
}

fn failed() -> Question {
    Question::Advance(AdvanceQuestion {
        call: call(),
        trunk: 5,
        failure: AttemptFailure::Response,
        code: 486,
        cause: 0,
        alerted: false,
        media_opened: false,
        rtp_received: false,
        switches: FailoverSwitches::default(),
        attempts: 1,
        remaining: 1,
    })
}

#[test]
fn time_of_day_needs_no_grant() {
    let band =
        |from: &str, to: &str, trunk: u32| json!({"from": from, "to": to, "prefer": [trunk]});
    let config = json!({
        "time_zone": "CET-1CEST,M3.5.0,M10.5.0/3",
        "bands": [band("12:00", "13:00", 1), band("13:00", "14:00", 3)],
    });
    let (_host, mut shard, pin) = bench("time-of-day", &[], config);
    let asked = route(&[(1, 5), (2, 5), (3, 5)]);
    let reply = shard.ask(&pin, &asked);
    assert_eq!(reply.outcome, Ok(Answer::Route(Ok(vec![3, 1, 2]))), "13:00 on the wall");
    assert_eq!(shard.ask(&pin, &failed()).outcome, Ok(Answer::Advance(Advance::Next)));
}

#[test]
fn margin_guard_excludes_counts_and_passes() {
    let config = json!({"action": "exclude", "min_margin": "0.000000001"});
    let (host, mut shard, pin) = bench("margin-guard", &[Grant::Log, Grant::Metrics], config);
    let reply = shard.ask(&pin, &route(&[(3, 101), (1, 90), (2, 91)]));
    assert_eq!(reply.outcome, Ok(Answer::Route(Ok(vec![1]))));
    let figures = host.own_metrics();
    assert_eq!((figures[0].1.as_str(), figures[0].2), ("excluded", OwnMetric::Counter(2)));
    assert_eq!(shard.ask(&pin, &failed()).outcome, Ok(Answer::Advance(Advance::Next)));
}

/// NUM-21: the number of the previous attempt is free again, that of another call is not.
#[test]
fn caller_pool_holds_a_number_for_each_call() {
    let config = json!({"pools": [
        {"name": "local", "numbers": ["4930100-4930101"], "order": "round_robin", "limit": 1}
    ]});
    let grants = [Grant::Call, Grant::Counters, Grant::Random];
    let (_host, mut shard, pin) = bench("caller-pool", &grants, config);
    let mut attempt = |pin: &Pin, id| {
        let question = Question::Number(NumberQuestion {
            call: CallFacts { id, ..call() },
            stage: Stage::Egress,
            trunk: 5,
            caller: "4912".into(),
            callee: "4420".into(),
            identity: "4912".into(),
            caller_rules: 0,
            callee_rules: 0,
            identity_rules: 0,
            tech_prefix: policy::Text::default(),
            reject_unmatched: false,
        });
        match shard.ask(pin, &question).outcome {
            Ok(Answer::Number(Ok(numbers))) => Ok(numbers.identity),
            Ok(Answer::Number(Err(rejection))) => Err(rejection.reason),
            other => panic!("numbers expected, got {other:?}"),
        }
    };
    let (one, two, three) = (pin.for_call(), pin.for_call(), pin.for_call());
    assert_eq!(attempt(&one, 1), Ok("4930100".into()));
    assert_eq!(attempt(&one, 1), Ok("4930101".into()), "its second attempt");
    assert_eq!(attempt(&two, 2), Ok("4930100".into()));
    assert_eq!(attempt(&three, 3), Err("pool_exhausted".into()));
    drop(two);
    assert_eq!(attempt(&three, 3), Ok("4930100".into()), "the other call has ended");
}

#[test]
fn fraud_rule_counts_over_the_instances_of_all_threads() {
    let rule = json!({"name": "all", "minutes": 1, "calls": 3, "action": "reject"});
    let plugin = PluginSettings {
        grants: [Grant::Counters, Grant::Metrics].into(),
        config: json!({"rules": [rule]}),
        ..PluginSettings::new("fraud-rule", file("example-fraud-2", &example("fraud-rule")))
    };
    let host = Host::new(settings(plugin, 2)).unwrap_or_else(|error| panic!("{error}"));
    let (mut one, mut two) = (host.shard(), host.shard());
    let pin = host.pin(Arc::new(Snapshot));
    let ask = |shard: &mut ShardHost| shard.ask(&pin, &screen("49", "4490")).outcome;
    let verdicts = [ask(&mut one), ask(&mut two), ask(&mut one), ask(&mut two)];
    assert!(verdicts[..3].iter().all(|it| *it == Ok(Answer::Screen(Verdict::Allow))));
    let Ok(Answer::Screen(Verdict::Reject(rejection))) = &verdicts[3] else {
        panic!("the fourth call is one too many: {verdicts:?}");
    };
    assert_eq!((rejection.code, rejection.reason.as_str()), (403, "dynamic_block"));
    assert_eq!(host.own_metrics()[0].1, "hits_all");
}

#[test]
fn tiered_rating_counts_final_charges_and_passes_the_rest() {
    let tiers = json!([
        {"from_minutes": 0, "permille": 1000},
        {"from_minutes": 10, "permille": 500},
    ]);
    let config = json!({"plans": {"club": tiers}});
    let grants = [Grant::Tables, Grant::Counters, Grant::Metrics];
    let (_host, mut shard, pin) = bench("tiered-rating", &grants, config);
    let mut rate = |account, is_final| {
        let at_ms = 1_767_614_400_000;
        let question = Question::Rate(RateQuestion {
            call: call(),
            subject: RateSubject { side: Side::Sell, is_final, account, trunk: 12, at_ms },
            row: DeckRow {
                price_first: 600_000_000,
                price_next: 600_000_000,
                connect_fee: 0,
                first_increment_s: 1,
                next_increment_s: 1,
                free_seconds: 0,
                minimum_charge: 0,
            },
            rounding: Rounding::default(),
            duration_ms: 600_000,
        });
        shard.ask(&pin, &question).outcome
    };
    let charge = |amount| Ok(Answer::Rate(Charge { amount, billed_seconds: 600 }));
    assert_eq!(rate(3, false), charge(6_000_000_000));
    assert_eq!(rate(3, true), charge(6_000_000_000));
    assert_eq!(rate(3, true), charge(3_000_000_000), "after ten minutes half the price");
    assert!(matches!(rate(4, true), Err(Fault::Refused(_) | Fault::Absent)), "nobody else rates");
}

#[test]
fn do_not_originate_refuses_a_listed_caller() {
    let (_host, mut shard, pin) = bench("do-not-originate", &[Grant::Tables], json!({}));
    let reply = shard.ask(&pin, &screen("+18005550100", "4420"));
    let Ok(Answer::Screen(Verdict::Reject(rejection))) = reply.outcome else {
        panic!("listed: {reply:?}");
    };
    assert_eq!((rejection.code, rejection.reason.as_str()), (403, "caller_barred"));
    let other = shard.ask(&pin, &screen("18005550101", "4420"));
    assert_eq!(other.outcome, Ok(Answer::Screen(Verdict::Allow)));
}

#[test]
fn premium_limit_needs_no_grant_and_ends_a_call_on_time() {
    let config = json!({"limits": [{"prefixes": ["4490"], "seconds": 600, "warn_s": 60}]});
    let (_host, mut shard, pin) = bench("premium-limit", &[], config);
    let mut up = |callee: &str, answered_s| {
        let question = Question::Supervise(SupervisionQuestion {
            call: call(),
            asking: 0,
            answered_s,
            interval_s: 60,
            trunk: 5,
            caller: "493012345".into(),
            callee: callee.into(),
            sell_price: 0,
            marks: Vec::new(),
        });
        match shard.ask(&pin, &question).outcome {
            Ok(Answer::Supervise(answer)) => answer,
            other => panic!("an answer is expected, got {other:?}"),
        }
    };
    let told = |answer: SupervisionAnswer| answer.to_string();
    assert_eq!(told(up("44901", 0)), "limit 610 s, ask again after 540 s");
    assert_eq!(told(up("44901", 540)), "limit 70 s, mark premium:long, ask again after 60 s");
    assert_eq!(told(up("44901", 600)), "end premium_limit cause 31");
    assert_eq!(up("4420", 0).ask_again_s, u32::MAX, "it does not want to be asked");
}
