//! Calls that one machine serialises and another one continues (the signalling part of OPS-64).

use crate::support::agent::{Agent, CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, operator, put_customers, small_operator, take_trunks,
    vendor,
};
use crate::support::media::MemoryMedia;
use crate::support::{Network, Stage, call, hangs_up_after, stage_of};
use live::Holder;
use policy::{Question, Side};
use sip::Message;
use std::sync::Arc;
use std::time::Duration;
use strowger_switch::facts::{Facts, Ringback, RingbackMode, VendorTrunk};
use strowger_switch::{Now, ReadError, Switch, TestCall, World};

const SECOND: Duration = Duration::from_secs(1);

/// What each peer sees: the time of each message, and its start line without random parts.
fn seen(stage: &Stage) -> Vec<String> {
    let line = |(at, to, bytes): &(std::time::Instant, std::net::SocketAddr, Arc<[u8]>)| {
        let message = Message::parse(bytes).expect("well-formed");
        let (number, method) = message.cseq();
        let what = match message.is_request() {
            true => method.to_string(),
            false => message.status().to_string(),
        };
        format!("{:?} {to} {what} of {number} {method}", at.duration_since(stage.start))
    };
    stage.wire.iter().map(line).collect()
}

/// A caller that holds and later hangs up, a vendor that refuses, and one that rings and answers.
fn plans() -> (CallerPlan, VendorPlan, VendorPlan) {
    let mut first = VendorPlan::refuses(503);
    first.last = Some((Duration::from_millis(700), 503));
    let mut second = VendorPlan::answers();
    second.progress = vec![(Duration::from_millis(300), 180, false)];
    second.last = Some((3 * SECOND, 200));
    let caller = CallerPlan { hold: Some(2 * SECOND), ..hangs_up_after(700) };
    (caller, first, second)
}

/// One call from INVITE to the end, with a change of machines at intervals.
fn run(every: Option<Duration>) -> Stage {
    let (caller, first, second) = plans();
    let mut stage = stage_of(small_operator(), first, second);
    call(&mut stage, caller);
    let Some(every) = every else {
        stage.run_until_quiet();
        return stage;
    };
    for _ in 0..(800_000 / every.as_millis()) {
        stage.run(every);
        stage.change_machines(Duration::ZERO);
    }
    stage.run_until_quiet();
    stage
}

/// Failover, ringing, answer, hold, session refreshes and hang-up look the same to every peer, to
/// the millisecond, and so does the record.
#[test]
fn no_peer_notices_that_machines_change() {
    let usual = run(None);
    usual.assert_nothing_leaks();
    for every in [67, 450, 9000] {
        let changed = run(Some(Duration::from_millis(every)));
        changed.assert_nothing_leaks();
        assert_eq!(seen(&changed), seen(&usual), "every {every} ms");
        let [record] = &changed.finals[..] else { panic!("{} records", changed.finals.len()) };
        let [expected] = &usual.finals[..] else { panic!("{} records", usual.finals.len()) };
        assert_eq!(record.call.id, expected.call.id);
        assert_eq!(record.call.end_reason, expected.call.end_reason);
        assert_eq!(record.call.duration_ms, expected.call.duration_ms);
        assert_eq!(record.call.sell, expected.call.sell);
        assert_eq!(record.call.cost, expected.call.cost);
        let ways = |document: &ledger::CallDocument| -> Vec<_> {
            let attempts = document.attempts.iter();
            attempts.map(|a| (a.number, a.trunk, a.code, a.sent_ms, a.end_ms)).collect()
        };
        assert_eq!(ways(record), ways(expected));
        assert_eq!(changed.interims.len(), usual.interims.len(), "interim records");
    }
}

/// Every question that is open when a machine stops is asked again by the next one.
#[test]
fn questions_that_are_out_are_asked_again() {
    type Which = fn(&Question) -> bool;
    let each: [(&str, Which); 8] = [
        (
            "ingress numbers",
            |q| matches!(q, Question::Number(n) if n.stage == policy::Stage::Ingress),
        ),
        ("screening", |q| matches!(q, Question::Screen(_))),
        ("admission", |q| matches!(q, Question::Rate(r) if !r.subject.is_final)),
        ("route", |q| matches!(q, Question::Route(_))),
        (
            "egress numbers",
            |q| matches!(q, Question::Number(n) if n.stage == policy::Stage::Egress),
        ),
        ("identity", |q| matches!(q, Question::Identity(_))),
        ("advance", |q| matches!(q, Question::Advance(_))),
        (
            "charge",
            |q| matches!(q, Question::Rate(r) if r.subject.is_final && r.subject.side == Side::Buy),
        ),
    ];
    for (name, which) in each {
        let mut stage = stage_of(small_operator(), VendorPlan::refuses(503), VendorPlan::answers());
        let mut lost = 0;
        stage.policy.delay = Some(Box::new(move |question| {
            let first = which(question) && lost == 0;
            lost += usize::from(first);
            // The answer to the first question never comes.
            (!first).then_some(Duration::ZERO)
        }));
        call(&mut stage, hangs_up_after(5));
        stage.run(20 * SECOND);
        assert_eq!(stage.finals.len(), 0, "{name}: the call waits for the answer");
        stage.change_machines(Duration::from_millis(10));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let [record] = &stage.finals[..] else { panic!("{name}: {} records", stage.finals.len()) };
        assert_eq!(record.call.end_reason, "caller_hangup", "{name}");
        assert!(!record.call.rerate, "{name}");
        assert_eq!(record.attempts.len(), 2, "{name}");
    }
}

/// The new relay opens the same ports and gets the same updates.
#[test]
fn media_are_opened_again_where_they_were() {
    let ringing = VendorTrunk {
        ringback: Ringback { mode: RingbackMode::Always, ..Ringback::default() },
        ..vendor(11, "vendor-a", &[VENDOR_A], 1)
    };
    let facts = operator(customer(1, "acme", CALLER), vec![ringing]);
    let mut plan = VendorPlan::answers();
    plan.progress = vec![(SECOND, 180, false)];
    plan.last = Some((5 * SECOND, 200));
    let mut stage = Stage::new(facts, Network::PERFECT, 1);
    stage.add(Agent::new(CALLER, 5));
    stage.add(Agent::vendor(VENDOR_A, plan));
    call(&mut stage, hangs_up_after(20));
    stage.run(2 * SECOND);
    assert_eq!(stage.media.plays.len(), 1, "the caller hears our tone");
    let told = stage.media.updates.len();
    stage.change_machines(Duration::ZERO);
    assert_eq!(stage.media.plays.len(), 2, "and goes on hearing it");
    assert!(stage.media.updates.len() > told, "the relay knows where to send it");
    stage.run(10 * SECOND);
    let (joins, watched) = (stage.media.joins.clone(), stage.media.watched.len());
    stage.change_machines(Duration::ZERO);
    assert_eq!(stage.media.joins.len(), joins.len() + 1, "both sides hear each other");
    assert_eq!(stage.media.joins.last(), joins.last());
    assert_eq!(stage.media.watched.len(), watched + 1, "silence is looked for again");
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
}

/// A trunk that was deleted while its call was up moves along with the call.
#[test]
fn a_trunk_that_is_gone_stays_with_its_call() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(30));
    stage.run(5 * SECOND);
    let mut fewer = small_operator();
    take_trunks(&mut fewer);
    stage.reconfigure(fewer);
    stage.change_machines(Duration::ZERO);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let record = &stage.finals[0];
    assert_eq!((&*record.call.trunk_name, &*record.call.end_reason), ("acme", "caller_hangup"));
    assert_eq!(&*record.attempts[0].trunk_name, "vendor-a");
}

/// The reading machine has another configuration: objects that it lacks, or whose id it has reused,
/// come with the calls.
#[test]
fn a_call_keeps_its_trunks_in_another_configuration() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(30));
    stage.run(5 * SECOND);
    let (written, _) = stage.write_down();
    stage.media.change_machines();
    let mut other = small_operator();
    take_trunks(&mut other);
    put_customers(&mut other, [customer(1, "bob", "10.0.9.9:5060")]);
    stage.reconfigure(other);
    stage.take_over(&written);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let record = &stage.finals[0];
    assert_eq!((&*record.call.trunk_name, &*record.call.end_reason), ("acme", "caller_hangup"));
    assert_eq!(&*record.attempts[0].trunk_name, "vendor-a");
}

/// Bytes that a machine of form 1 wrote at its fifth second; `STROWGER_WRITE_FORM=1` writes them
/// again.
const FORM_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/handover-form-1.bin");

/// Calls that wait for an answer, ring, talk, hold and end, one of them after a failover.
fn busy_machine() -> Stage {
    let (_, first, mut second) = plans();
    second.progress = vec![(SECOND / 10, 180, false)];
    second.last = Some((SECOND, 200));
    let mut stage = stage_of(small_operator(), first, second);
    let holds = CallerPlan { hold: Some(SECOND), ..hangs_up_after(60) };
    let cancels = CallerPlan { cancel: Some(4 * SECOND + SECOND / 2), ..CallerPlan::default() };
    for plan in [hangs_up_after(60), holds, hangs_up_after(2)] {
        call(&mut stage, plan);
    }
    stage.run(3 * SECOND);
    let [a, b] = [VENDOR_A, VENDOR_B].map(|vendor| stage.agent(vendor).address.to_string());
    stage.agent(&a).plans = vec![VendorPlan::silent(); 3];
    stage.agent(&b).plans = vec![VendorPlan::silent(); 3];
    call(&mut stage, cancels);
    stage.policy.delay = Some(Box::new(|question| match question {
        Question::Route(_) => None,
        _ => Some(Duration::ZERO),
    }));
    call(&mut stage, hangs_up_after(60));
    stage.run(2 * SECOND);
    stage
}

/// A newer build continues the calls that an older machine serialised, as long as the form is the
/// same.
#[test]
fn what_form_1_wrote_is_still_read() {
    if std::env::var_os("STROWGER_WRITE_FORM").is_some() {
        std::fs::write(FORM_1, busy_machine().write_down().0).expect("the folder is ours");
    }
    let written = std::fs::read(FORM_1).expect("it is beside the test");
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.media.adopts = true;
    stage.take_over(&written);
    assert_eq!(stage.switch.call_count(), 4);
    assert_eq!(stage.channels(Holder::Node), 4);
    stage.close_all();
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let mut ends: Vec<_> =
        stage.finals.iter().map(|d| (d.call.answer_ms.is_some(), &*d.call.end_reason)).collect();
    ends.sort_unstable();
    let by_hand = "operator_hangup";
    assert_eq!(ends, [(false, by_hand), (false, by_hand), (true, by_hand), (true, by_hand)]);
    let billed = stage.finals.iter().filter(|document| !document.postings.is_empty()).count();
    assert_eq!(billed, 2);
}

/// Unreadable data is refused by name, and none of it is used.
#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(30));
    stage.run(5 * SECOND);
    let (written, at) = stage.write_down();
    let mut read = |facts: Facts, shards: u16, written: &[u8]| {
        let (mut settings, world) = stage.next_machine();
        settings.shards = shards;
        let world = Arc::new(World { facts: Arc::new(facts), pin: world.pin.clone() });
        let now = Now { instant: at, utc_ms: 1_790_000_005_000 };
        Switch::read(settings, world, written, at, now, &mut MemoryMedia::default()).err()
    };
    assert_eq!(
        read(small_operator(), 2, &written),
        Some(ReadError::Shards { found_shard: 0, found: 1, shard: 0, shards: 2 })
    );
    let mut deaf = small_operator();
    deaf.listeners.clear();
    let refused = read(deaf, 1, &written).expect("refused").to_string();
    assert!(refused.contains("which is not configured any more"), "{refused}");
    for length in [0, 1, 10, 100, written.len() / 2, written.len() - 1] {
        let refused = read(small_operator(), 1, &written[..length]);
        assert!(matches!(refused, Some(ReadError::Damaged(_))), "{length} bytes: {refused:?}");
    }
    let later = replaced(&written, b"\xa4form\x01", b"\xa4form\x02");
    assert_eq!(read(small_operator(), 1, &later), Some(ReadError::Form { found: 2 }));
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).expect("it is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// ROUTE-83: a test call keeps playing its sound and ends at its time.
#[test]
fn a_test_call_goes_on() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    let test = TestCall {
        trunk: 11,
        caller: "".into(),
        callee: "4420123".into(),
        tone: true,
        length: 20 * SECOND,
    };
    stage.place(test).expect("the trunk is there");
    for _ in 0..3 {
        stage.run(5 * SECOND);
        stage.change_machines(Duration::ZERO);
    }
    assert_eq!(stage.media.plays.len(), 4, "once at the answer, once in each machine");
    assert_eq!(stage.media.watched, [], "its length is bounded");
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let call = &stage.finals[0].call;
    assert_eq!((&*call.end_reason, call.duration_ms / 1000), ("service_end", 20));
    assert_eq!((&*call.trunk_name, &call.flags[..]), ("test", &["test".into()][..]));
}
