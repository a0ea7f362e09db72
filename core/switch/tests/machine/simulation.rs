//! Thousands of calls over a network that loses, duplicates, delays and reorders, with callers and
//! vendors that hang up at random times. One seed is one run; a failing seed replays to the
//! datagram: `STROWGER_SEED=n cargo test -p strowger-switch simulation`.

use crate::support::agent::{Agent, CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, operator, small_operator, vendor,
};
use crate::support::phone::{Phone, Seen};
use crate::support::{FUNDS, Network, Stage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::{Message, Method};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strowger_switch::TestCall;
use strowger_switch::facts::{CustomerTrunk, Facts, Reliability, VendorTrunk};

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
        // Everybody hangs up eventually, so that every call ends.
        hangup: Some(ms(rng, 30_000)),
        hold: rng.random_bool(0.1).then(|| ms(rng, 5000)),
        delayed_offer: rng.random_bool(0.1),
        no_ack: rng.random_bool(0.02),
        ..CallerPlan::default()
    }
}

/// Checks what each peer saw from us: final responses once, no provisional after a final one, no
/// request after BYE, growing CSeq.
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

/// Whether machines change while calls run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Machines {
    One,
    Changing,
}

impl Machines {
    /// With a chance of one in ten, another machine takes over, after a pause that may be zero.
    fn may_change(self, stage: &mut Stage, rng: &mut StdRng) {
        if self == Machines::Changing && rng.random_bool(0.1) {
            let pause = [0, 0, 20, 400][rng.random_range(0..4)];
            stage.change_machines(Duration::from_millis(pause));
        }
    }

    /// After all calls were placed: machines keep changing while they run.
    fn change_on(self, stage: &mut Stage, rng: &mut StdRng) {
        for _ in 0..if self == Machines::Changing { 400 } else { 0 } {
            stage.run(Duration::from_millis(rng.random_range(0..400)));
            self.may_change(stage, rng);
        }
    }
}

fn simulate(seed: u64, calls: usize, network: Network, machines: Machines) {
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
        machines.may_change(&mut stage, &mut rng);
    }
    machines.change_on(&mut stage, &mut rng);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_legal_order(&stage);

    // Exactly one record for each INVITE that reached us, and never two for one call.
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

    // Purse and postings agree.
    let booked: ledger::Money = stage
        .finals
        .iter()
        .flat_map(|d| &d.postings)
        .filter(|posting| posting.account == 1)
        .map(|posting| posting.amount)
        .sum();
    let start = ledger::Money(FUNDS * ledger::Money::ONE.0);
    assert_eq!(stage.balance(1), start + booked);
}

/// An operator with a customer that hedges its attempts, or calls several vendors at once.
fn hasty_operator(rng: &mut StdRng) -> Facts {
    let hedge = Duration::from_millis([0, 0, 700, 2500][rng.random_range(0..4)]);
    let parallel = [1, 1, 2][rng.random_range(0..3)];
    let reliability = [Reliability::Supported, Reliability::Supported, Reliability::Off];
    let reliability = reliability[rng.random_range(0..3)];
    let mut facts = operator(
        CustomerTrunk { hedge, parallel, reliability, ..customer(1, "acme", CALLER) },
        vec![
            VendorTrunk { reliability, ..vendor(11, "vendor-a", &[VENDOR_A], 1) },
            vendor(12, "vendor-b", &[VENDOR_B], 2),
        ],
    );
    facts.settings.session.interval = [0, 90, 600][rng.random_range(0..3)];
    facts
}

fn any_test_call(rng: &mut StdRng) -> TestCall {
    TestCall {
        trunk: [11, 12][rng.random_range(0..2)],
        caller: ["", "4930123"][rng.random_range(0..2)].into(),
        callee: "4420123".into(),
        tone: rng.random_bool(0.5),
        length: Duration::from_secs([1, 10, 300][rng.random_range(0..3)]),
    }
}

/// The category of a test call's end.
fn test_call_end(reason: &str) -> &'static str {
    match reason {
        "service_end" => "test call to its end",
        "callee_hangup" => "test call hung up",
        "operator_hangup" => "test call ended by hand",
        "no_response" => "test call without response",
        _ => "test call, other end",
    }
}

/// Randomly acting telephones on both sides of a bad network: reliable responses, early offers,
/// refreshes, glare, parallel and hedged attempts. Returns what they experienced.
fn live(seed: u64, calls: usize, network: Network, machines: Machines) -> Seen {
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new(hasty_operator(&mut rng), network, seed);
    stage.keep_wire = false;
    for address in [CALLER, VENDOR_A, VENDOR_B] {
        stage.add_phone(Phone::new(address, rng.random()));
    }
    let mut placed = Vec::new();
    for _ in 0..calls {
        let now = stage.now;
        stage.phone(CALLER).call(now, "4420123");
        if rng.random_bool(0.1) {
            let test = any_test_call(&mut rng);
            placed.push(stage.place(test).expect("the trunk is there and the node has room"));
        }
        stage.run(Duration::from_millis(rng.random_range(0..200)));
        if let Some(id) = placed.last().filter(|_| rng.random_bool(0.02)) {
            stage.hang_up(*id);
        }
        machines.may_change(&mut stage, &mut rng);
    }
    machines.change_on(&mut stage, &mut rng);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let mut seen = Seen::new();
    for phone in stage.phones.values() {
        for (what, times) in &phone.seen {
            *seen.entry(what).or_default() += times;
        }
    }
    let mut recorded = HashSet::new();
    for document in &stage.finals {
        let call = &document.call;
        assert!(recorded.insert(call.id), "two records for {:x}", call.id);
        assert!(!call.end_reason.is_empty() && call.end_ms.is_some());
        let numbers: Vec<u16> = document.attempts.iter().map(|attempt| attempt.number).collect();
        let expected: Vec<u16> = (1..=u16::try_from(numbers.len()).expect("few")).collect();
        assert_eq!(numbers, expected);
        let answered = document.attempts.iter().filter(|attempt| attempt.answer_ms.is_some());
        let owed = answered.clone().filter(|attempt| attempt.buy.is_some()).count();
        assert_eq!(answered.clone().count(), owed, "what a vendor answers is owed for");
        let late = answered.clone().count() > 1;
        *seen.entry("late answer").or_default() += usize::from(late);
        let elsewhere = |a: &&ledger::AttemptRecord| a.end_reason == "answered_elsewhere";
        *seen.entry("lost attempt").or_default() +=
            document.attempts.iter().filter(elsewhere).count();
        let timeout = usize::from(call.end_reason == "session_timeout");
        *seen.entry("session_timeout").or_default() += timeout;
        let test = call.flags.contains(&"test".into());
        assert_eq!(test, placed.contains(&call.id), "{:x}", call.id);
        if test {
            assert_eq!((call.account, call.sell.as_ref(), call.balance_after), (0, None, None));
            assert!(document.postings.iter().all(|posting| posting.account == 2));
            *seen.entry(test_call_end(&call.end_reason)).or_default() += 1;
        }
    }
    assert!(placed.iter().all(|id| recorded.contains(id)), "a test call has no record");
    seen
}

/// SIG-06, SIG-07, SIG-26, SIG-32, SIG-103, ROUTE-58: randomly acting telephones leave no state
/// behind, and every rare path is covered.
#[test]
fn telephones_with_a_will_of_their_own_leave_nothing_behind() {
    let mut seen = Seen::new();
    for round in 0..10 {
        let network = if round % 3 == 0 { Network::PERFECT } else { Network::BAD };
        let machines = if round % 2 == 0 { Machines::One } else { Machines::Changing };
        for (what, times) in live(seed() + 100 + round, 300, network, machines) {
            *seen.entry(what).or_default() += times;
        }
    }
    println!("{seen:?}");
    for rare in [
        "PRACK taken",
        "PRACK with answer",
        "early offer answered",
        "early offer",
        "early UPDATE taken",
        "refresh taken",
        "re-INVITE taken",
        "timer",
        "491",
        "421",
        "422",
        "answer crossed CANCEL",
        "late answer",
        "lost attempt",
        "session_timeout",
        "test call to its end",
        "test call hung up",
        "test call ended by hand",
        "test call without response",
        "test call, other end",
    ] {
        assert!(seen.get(rare).is_some_and(|times| *times > 0), "never: {rare}; {seen:?}");
    }
}

fn seed() -> u64 {
    std::env::var("STROWGER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Rounds of a thousand calls: twelve, or those of `STROWGER_SOAK_CALLS` (`make soak`).
fn rounds() -> u64 {
    let calls = std::env::var("STROWGER_SOAK_CALLS").ok().and_then(|calls| calls.parse().ok());
    calls.map_or(12, |calls: u64| calls.div_ceil(1000))
}

/// SIG-07, SIG-08, SIG-21, CDR-01: 12,000 calls over a bad network.
#[test]
fn twelve_thousand_calls_over_a_bad_network_leave_nothing_behind() {
    for round in 0..rounds() {
        simulate(seed() + round, 1000, Network::BAD, Machines::One);
    }
}

/// The same without loss: any failure here is in our own logic.
#[test]
fn a_thousand_calls_over_a_perfect_network() {
    simulate(seed(), 1000, Network::PERFECT, Machines::One);
}

/// OPS-64, the signalling part: machines that take over from each other during calls leave no state
/// behind, and lose no record and no cent.
#[test]
fn thousands_of_calls_live_through_changing_machines() {
    for round in 0..rounds().div_ceil(4) {
        simulate(seed() + 500 + round, 300, Network::BAD, Machines::Changing);
    }
    simulate(seed() + 700, 300, Network::PERFECT, Machines::Changing);
}

/// One seed gives one run, identical to the byte.
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
