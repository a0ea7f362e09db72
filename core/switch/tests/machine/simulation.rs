//! Thousands of calls over a network that loses, doubles, delays and reorders, with
//! callers and vendors that hang up whenever they like. One seed is one run; a failing
//! seed replays to the datagram: `STROWGER_SEED=n cargo test -p strowger-switch simulation`.

use crate::support::agent::{Agent, CallerPlan, VendorPlan};
use crate::support::facts::{CALLER, VENDOR_A, VENDOR_B, small_operator};
use crate::support::{Network, Stage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::{Message, Method};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn any_vendor(rng: &mut StdRng) -> VendorPlan {
    let ms = |rng: &mut StdRng, high| Duration::from_millis(rng.random_range(0..high));
    let mut plan = match rng.random_range(0..10) {
        0 => VendorPlan::silent(),
        1 => VendorPlan::rings(),
        2 => VendorPlan::refuses([302, 404, 480, 486, 500, 503, 603][rng.random_range(0..7)]),
        _ => VendorPlan::answers(),
    };
    if !plan.dead && rng.random_bool(0.5) {
        let early = (0..rng.random_range(0..4)).map(|_| {
            let status = [180, 181, 183, 199][rng.random_range(0..4)];
            (ms(rng, 3000), status, rng.random_bool(0.3) && matches!(status, 180 | 183))
        });
        plan.progress = early.collect();
    }
    if let Some((after, _)) = &mut plan.last {
        *after = ms(rng, 6000);
    }
    if rng.random_bool(0.3) {
        plan.hangup = Some(ms(rng, 20_000));
    }
    if rng.random_bool(0.1) {
        plan.hold = Some(ms(rng, 5000));
    }
    plan
}

fn any_caller(rng: &mut StdRng) -> CallerPlan {
    let ms = |rng: &mut StdRng, high| Duration::from_millis(rng.random_range(0..high));
    CallerPlan {
        cancel: rng.random_bool(0.2).then(|| ms(rng, 8000)),
        // Everybody hangs up one day, so that every call ends.
        hangup: Some(ms(rng, 30_000)),
        hold: rng.random_bool(0.1).then(|| ms(rng, 5000)),
        delayed_offer: rng.random_bool(0.1),
        no_ack: rng.random_bool(0.02),
        ..CallerPlan::default()
    }
}

/// What each peer saw from us: final responses once, nothing provisional after a final,
/// no request after BYE, CSeq growing.
fn assert_legal_order(stage: &Stage) {
    let mut finals: HashMap<(String, u32), u16> = HashMap::new();
    let mut ended: HashSet<String> = HashSet::new();
    let mut cseqs: HashMap<String, (u32, Method)> = HashMap::new();
    for (_, _, bytes) in &stage.wire {
        let message = Message::parse(bytes).expect("the switch sends well-formed SIP");
        let (number, method) = message.cseq();
        let id = message.call_id().to_owned();
        if !message.is_request() {
            if *method != Method::Invite {
                continue;
            }
            let status = message.status();
            match finals.get(&(id.clone(), number)) {
                Some(last) => assert_eq!(*last, status, "after a final response of {id}"),
                None if status >= 200 => {
                    finals.insert((id, number), status);
                }
                None => {}
            }
            continue;
        }
        if matches!(method, Method::Ack | Method::Cancel) {
            continue;
        }
        let last = cseqs.entry(id.clone()).or_insert((0, method.clone()));
        assert!(number >= last.0, "CSeq of {id} went back");
        if number > last.0 {
            assert!(!ended.contains(&id), "{method} after BYE in {id}");
            *last = (number, method.clone());
        }
        if *method == Method::Bye {
            ended.insert(id);
        }
    }
}

fn simulate(seed: u64, calls: usize, network: Network) {
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new(small_operator(), network, seed);
    stage.add(Agent::new(CALLER, rng.random()));
    for address in [VENDOR_A, VENDOR_B] {
        let mut vendor = Agent::new(address, rng.random());
        vendor.plans = (0..calls).map(|_| any_vendor(&mut rng)).collect();
        stage.add(vendor);
    }
    for _ in 0..calls {
        let (plan, now) = (any_caller(&mut rng), stage.now);
        stage.agent(CALLER).invite(now, "4420123", plan);
        stage.run(Duration::from_millis(rng.random_range(0..50)));
    }
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_legal_order(&stage);

    // Exactly one record for each INVITE that reached us, and no two for one call.
    let mut recorded = HashSet::new();
    for document in &stage.finals {
        let call = &document.call;
        assert!(recorded.insert(call.sip_call_id.clone()), "two records for {}", call.sip_call_id);
        assert!(!call.end_reason.is_empty());
        assert!(call.end_ms.is_some());
        let numbers: Vec<u16> = document.attempts.iter().map(|attempt| attempt.number).collect();
        let expected: Vec<u16> = (1..=u16::try_from(numbers.len()).expect("few")).collect();
        assert_eq!(numbers, expected, "attempts of {}", call.sip_call_id);
        let charged = document.postings.iter().any(|p| p.account == call.account);
        assert_eq!(charged, call.answer_ms.is_some() && call.end_reason != "ack_timeout");
    }
    let agent = stage.agent(CALLER);
    let heard: HashSet<_> = agent
        .legs
        .iter()
        .filter(|(_, log)| !log.responses.is_empty())
        .map(|(id, _)| id.as_str().into())
        .collect();
    assert!(heard.is_subset(&recorded), "a call that we answered has no record");
    let answered = stage.finals.iter().filter(|d| d.call.answer_ms.is_some()).count();
    assert!(answered > calls / 4, "only {answered} of {calls} were answered: a dull run");

    // The purse and the postings tell the same story.
    let booked: ledger::Money = stage
        .finals
        .iter()
        .flat_map(|d| &d.postings)
        .filter(|posting| posting.account == 1)
        .map(|posting| posting.amount)
        .sum();
    let start = ledger::Money(100_000 * ledger::Money::ONE.0);
    assert_eq!(stage.facts.accounts[&1].purse.balance(), start + booked);
}

fn seed() -> u64 {
    std::env::var("STROWGER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// SIG-07, SIG-08, SIG-21, CDR-01: 12,000 calls over a bad network.
#[test]
fn twelve_thousand_calls_over_a_bad_network_leave_nothing_behind() {
    for round in 0..12 {
        simulate(seed() + round, 1000, Network::BAD);
    }
}

/// The same without loss: whatever goes wrong here is our own logic.
#[test]
fn a_thousand_calls_over_a_perfect_network() {
    simulate(seed(), 1000, Network::PERFECT);
}

/// One seed is one run, to the byte.
#[test]
fn a_seed_replays_exactly() {
    let run = || {
        let mut rng = StdRng::seed_from_u64(7);
        let mut stage = Stage::new(small_operator(), Network::BAD, 7);
        stage.add(Agent::new(CALLER, 1));
        stage.add(Agent::vendor(VENDOR_A, any_vendor(&mut rng)));
        stage.add(Agent::vendor(VENDOR_B, any_vendor(&mut rng)));
        for _ in 0..20 {
            let (plan, now) = (any_caller(&mut rng), stage.now);
            stage.agent(CALLER).invite(now, "4420123", plan);
        }
        stage.run_until_quiet();
        let start = stage.start;
        let line = |(at, to, bytes): (Instant, SocketAddr, Arc<[u8]>)| {
            format!("{:?} {to} {}", at - start, String::from_utf8_lossy(&bytes))
        };
        stage.wire.into_iter().map(line).collect::<Vec<_>>()
    };
    let (first, second) = (run(), run());
    assert_eq!(first.len(), second.len());
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first, second);
    }
}
