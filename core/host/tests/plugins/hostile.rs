//! A misbehaving plugin costs one decision: the fault says how, and other instances and the next
//! question are unaffected. `make bench` measures how soon the answer comes.

use crate::common::{
    Tables, bench, bench_within, every_hook, file, guest, hostile, identity, number, rate, route,
    screen, settings, supervise,
};
use host::{Host, PluginSettings};
use policy::{Answer, Fault, Question, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A deadline that a slow machine can meet, for tests of other limits.
const PATIENT_MS: u32 = 500;

/// Asks a bad question between two good ones, on a shard with a second plugin.
fn costs_one_decision(test: &str, bad: &Question) -> Fault {
    costs_one_within(test, 5, bad)
}

fn costs_one_within(test: &str, deadline_ms: u32, bad: &Question) -> Fault {
    let (host, mut shard, pin) = bench_within(test, deadline_ms);
    let mut neighbour = host.shard();
    let allow = Ok(Answer::Screen(Verdict::Allow));
    assert_eq!(shard.ask(&pin, &screen("1")).outcome, allow);
    assert_eq!(neighbour.ask(&pin, &screen("1")).outcome, allow);

    let mut fault = None;
    for _ in 0..3 {
        let reply = shard.ask(&pin, bad);
        assert!(reply.plugin.is_some() && !reply.by_previous);
        fault = Some(reply.outcome.expect_err("the question is bad"));
        assert_eq!(shard.ask(&pin, &screen("1")).outcome, allow, "the next question works");
        assert_eq!(neighbour.ask(&pin, &screen("1")).outcome, allow, "the neighbour works");
    }
    assert_eq!(host.metrics().iter().map(|hook| hook.faults.total()).sum::<u64>(), 3);
    fault.expect("it was asked")
}

/// Making its instance takes longer than a question may, so it is made by the reaper, after the
/// answer.
#[test]
fn a_plugin_that_starts_slowly_is_back_soon_after_a_trap() {
    let plugin = PluginSettings {
        config: serde_json::json!({ "configure": "slow" }),
        ..hostile(file("slow-start", &guest("hostile")))
    };
    let host = Host::new(settings(plugin, 1)).expect("nothing waits while it loads");
    let mut shard = host.shard();
    shard.warm_current();
    let pin = host.pin(Arc::new(Tables));
    let allow = Ok(Answer::Screen(Verdict::Allow));
    assert_eq!(shard.ask(&pin, &screen("1")).outcome, allow);
    let trapped = shard.ask(&pin, &screen("trap")).outcome;
    assert!(matches!(trapped, Err(Fault::Trap(_))), "{trapped:?}");

    let begun = Instant::now();
    loop {
        let reply = shard.ask(&pin, &screen("1"));
        if reply.outcome == allow {
            break;
        }
        assert_eq!(reply.outcome, Err(Fault::Starting));
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come back");
        std::thread::yield_now();
    }
    let faults = host.metrics().into_iter().map(|hook| hook.faults);
    assert_eq!(faults.map(|faults| faults.deadline).sum::<u64>(), 0, "no question made it");
}

fn nonsense(test: &str, bad: &Question) -> String {
    match costs_one_within(test, PATIENT_MS, bad) {
        Fault::Nonsense(words) => words,
        other => panic!("{test} should be nonsense, is {other:?}"),
    }
}

/// The commands to the guest in every hook, in the order of its own list, and the words that its
/// author reads.
const DEEDS: [(&str, &str); 8] = [
    ("loop", "deadline of 5 ms passed"),
    ("trap", "unreachable"),
    ("recurse", "call stack exhausted"),
    ("eat", "16777216 allowed"),
    ("hoard-handles", "64 handles to call facts are not dropped"),
    ("many-trunks", "statistics of 1001 trunks, at most 1000"),
    ("long-key", "counter key of 1000 bytes, at most 256"),
    ("loop-in-host", "deadline of 5 ms passed"),
];

/// Every bad thing in every hook, on one host: the fault says what happened, and the next question
/// is answered.
#[test]
fn every_hook_contains_every_misdeed() {
    let (host, mut shard, pin) = bench("every-hook");
    let number_of = |place: usize| 100 + u16::try_from(place).expect("a short list");
    let mut asked = 0;
    for (place, (deed, words)) in DEEDS.into_iter().enumerate() {
        for bad in every_hook(deed, number_of(place)) {
            let hook = bad.hook();
            for _ in 0..3 {
                let reply = shard.ask(&pin, &bad);
                let fault = reply.outcome.expect_err("the question is bad").to_string();
                // Time, native stack or the stack in its own memory, whichever is exhausted first.
                let deep = deed == "recurse"
                    && ["deadline of 5 ms passed", "out of bounds memory access"]
                        .iter()
                        .any(|words| fault.contains(words));
                assert!(deep || fault.contains(words), "{hook}, {deed}: {fault}");
                let next = shard.ask(&pin, &screen("1")).outcome;
                assert_eq!(next, Ok(Answer::Screen(Verdict::Allow)), "after {hook}, {deed}");
                asked += 1;
            }
        }
    }
    assert_eq!(host.metrics().iter().map(|hook| hook.faults.total()).sum::<u64>(), asked);
}

#[test]
fn an_endless_loop_meets_the_deadline() {
    let Fault::Deadline(5, place) = costs_one_decision("loop", &screen("loop")) else { panic!() };
    assert!(place.contains("misbehave"), "{place}");
}

/// While a thread sleeps, no deadlines are checked; those of its next question are again.
#[test]
fn the_first_question_after_a_rest_meets_the_deadline() {
    let (_host, mut shard, pin) = bench("every-hook");
    for _ in 0..3 {
        shard.rest();
        let fault = shard.ask(&pin, &screen("loop")).outcome.expect_err("it loops");
        assert!(matches!(fault, Fault::Deadline(5, _)), "{fault}");
    }
}

#[test]
fn a_panic_is_a_trap() {
    assert!(matches!(costs_one_decision("trap", &screen("trap")), Fault::Trap(_)));
}

#[test]
fn endless_recursion_is_a_trap() {
    let Fault::Trap(words) = costs_one_within("recurse", PATIENT_MS, &screen("recurse")) else {
        panic!()
    };
    assert!(
        words.ends_with(" | in strowger_guest_hostile::recurse (at least 20 times)"),
        "{words}"
    );
}

#[test]
fn hunger_for_memory_meets_the_limit() {
    let Fault::Memory(words) = costs_one_decision("eat", &screen("eat")) else { panic!() };
    assert!(words.contains("16777216 allowed | in "), "{words}");
}

#[test]
fn a_counter_key_without_end_is_refused() {
    let Fault::Trap(words) = costs_one_decision("key", &screen("long-key")) else { panic!() };
    assert!(words.starts_with("counter key of 1000 bytes, at most 256 | in "), "{words}");
}

#[test]
fn handles_that_are_never_dropped_are_refused() {
    let Fault::Trap(words) = costs_one_decision("handles", &screen("hoard-handles")) else {
        panic!()
    };
    assert!(words.starts_with("64 handles to call facts are not dropped | in "), "{words}");
}

#[test]
fn host_calls_beyond_their_limits_are_refused() {
    let Fault::Trap(words) = costs_one_decision("trunks", &screen("many-trunks")) else { panic!() };
    assert!(words.starts_with("statistics of 1001 trunks, at most 1000 | in "), "{words}");
    nonsense("parameters", &number("at"));
}

#[test]
fn a_price_that_nobody_makes_is_refused() {
    let fault = costs_one_decision_of_the_chain(&rate(4));
    assert_eq!(fault, Fault::Refused("no plugin decides this".to_owned()));
}

fn costs_one_decision_of_the_chain(question: &Question) -> Fault {
    let (_host, mut shard, pin) = bench("passed");
    shard.ask(&pin, question).outcome.expect_err("nobody answers")
}

#[test]
fn codes_and_money_out_of_range_are_nonsense() {
    assert_eq!(nonsense("code", &screen("code-99")), "response code 99, allowed is 400 to 699");
    let words = nonsense("code-max", &screen("code-max"));
    assert_eq!(words, "response code 65535, allowed is 400 to 699");
    assert_eq!(nonsense("limit", &supervise("limit-0")).split(',').next(), Some("limit of 0 s"));
    let words = nonsense("cause", &supervise("cause-128"));
    assert_eq!(words, "cause 128, allowed is 1 to 127");
    let words = nonsense("ending", &supervise("no-cause"));
    assert_eq!(words, "an end names a cause (1 to 127) or a code (400 to 699)");
    nonsense("end-code", &supervise("code-200"));
    assert_eq!(nonsense("negative", &rate(2)), "charge -1 is below 0");
}

#[test]
fn nothing_breaks_out_of_a_header_line() {
    nonsense("crlf-reason", &screen("crlf-reason"));
    nonsense("crlf-ending", &supervise("crlf-reason"));
    nonsense("crlf-number", &number("crlf"));
    nonsense("crlf-value", &identity("crlf-value"));
    nonsense("crlf-name", &identity("crlf-name"));
    let words = nonsense("our-header", &identity("our-header"));
    assert_eq!(words, "header v is written by the switch alone (SIG-80)");
    let words = nonsense("user", &identity("49@evil.example>;tag=1"));
    assert_eq!(words, "user has a character that must be escaped at byte 2");
}

#[test]
fn too_much_is_nonsense() {
    assert_eq!(nonsense("routes", &route("too-many")), "1001 routes, at most 1000 are tried");
    nonsense("marks", &screen("many-marks"));
    nonsense("supervision-marks", &supervise("many-marks"));
    nonsense("mark", &supervise("long-mark"));
    nonsense("headers", &identity("many"));
    nonsense("header", &identity("long"));
}

#[test]
fn what_is_too_large_does_not_even_cross() {
    // Two megabytes of one string, four of routes, two of marks.
    nonsense("huge", &number("huge"));
    nonsense("million", &route("million"));
    nonsense("flood", &screen("flood"));
}

#[test]
fn words_of_the_plugin_are_passed_on() {
    let (host, mut shard, pin) = bench("refuse");
    assert_eq!(shard.ask(&pin, &rate(3)).outcome, Err(Fault::Refused("no such plan".into())));
    assert_eq!(host.instances(), 1, "a plugin that says no is kept");
}

#[test]
fn a_thousand_log_lines_do_not_stop_the_answer() {
    let (_host, mut shard, pin) = bench("shout");
    assert_eq!(shard.ask(&pin, &screen("shout")).outcome, Ok(Answer::Screen(Verdict::Allow)));
}
