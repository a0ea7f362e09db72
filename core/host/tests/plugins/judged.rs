//! Builds judged by their calls and their speed, and the breaker.

use crate::common::{
    Tables, bench, build, eventually, file, guest, hostile, marks, rate, route, screen, settings,
};
use host::{
    BreakerSettings, CallTally, Host, PluginSettings, RollbackSettings, SelectBy, Selection,
    ShardHost,
};
use policy::{Answer, CallOutcome, Fault, Pin, Question, Verdict};
use std::sync::Arc;

/// A host that judges after 20 questions.
fn strict(test: &str) -> Host {
    let plugin = PluginSettings {
        rollback: RollbackSettings { least: 20, ..RollbackSettings::default() },
        deadline_ms: 100,
        ..hostile(file(test, &guest("hostile")))
    };
    Host::new(settings(plugin, 2)).expect("it loads")
}

/// One call that is screened and goes as `how` says of the build that screened it.
fn one_call(
    (shard, pin): (&mut ShardHost, &Pin),
    id: u128,
    how: impl Fn(&str) -> CallOutcome,
) -> CallOutcome {
    let pin = pin.for_call();
    let Question::Screen(mut question) = screen("version") else { panic!("it is one") };
    // Spread like the random half of a real id.
    question.call.id = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let call = question.call;
    let build = marks(shard.ask(&pin, &Question::Screen(question.clone()))).remove(0);
    // A second question of the same call does not count it again.
    let _ = shard.ask(&pin, &Question::Screen(question));
    let outcome = how(&build);
    shard.note_outcome(&pin, call, &outcome);
    outcome
}

#[test]
fn a_canary_whose_calls_fail_is_taken_back() {
    let host = strict("calls-fail");
    let half = Selection { share: 5_000, by: SelectBy::Call, trunks: vec![] };
    host.canary("hostile", build('b'), half).expect("it loads");
    let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
    let (mut answered, mut failed) = (0, 0);
    for id in 0..100 {
        let outcome = one_call((&mut shard, &pin), id, |build| match build.ends_with('b') {
            true => CallOutcome::Failed("no_response".into()),
            false => CallOutcome::Answered,
        });
        match outcome {
            CallOutcome::Answered => answered += 1,
            _ => failed += 1,
        }
    }
    let state = host.list().remove(0);
    let calls = CallTally { begun: answered, answered, ..CallTally::default() };
    assert_eq!(state.tally.calls, calls);
    let canary = state.canary.expect("it is there");
    let calls = CallTally { begun: failed, failed, ..CallTally::default() };
    assert_eq!(canary.tally.calls, calls);
    assert_eq!(canary.reasons, [("no_response".to_owned(), failed)]);
    assert!(canary.p99_nanos >= canary.p50_nanos && canary.p50_nanos > 0);

    let retreats = host.watch();
    assert!(retreats[0].why.starts_with("1000 of 1000 calls failed, 0 with"), "{retreats:?}");
    assert!(retreats[0].was_canary);
    let state = host.list().remove(0);
    let last = state.last_taken_back.expect("it is kept");
    assert_eq!((state.taken_back, &last.why), (1, &retreats[0].why));
    assert_eq!(&*last.build.version, "1.0.0-build-b");
    assert!(last.was_canary && last.at_ms > 1_600_000_000_000);
}

#[test]
fn a_call_that_no_plugin_was_asked_about_counts_for_none() {
    let (host, shard, pin) = bench("not-asked");
    let call = screen("1").call();
    shard.note_outcome(&pin.for_call(), call, &CallOutcome::Answered);
    assert_eq!(host.list()[0].tally.calls, CallTally::default());
}

/// Far within its deadline, and a thousand times slower than the build before.
#[test]
fn a_live_build_that_is_slow_is_rolled_back() {
    let host = strict("slow");
    let ask = |times| {
        let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
        for _ in 0..times {
            assert!(shard.ask(&pin, &route("331")).outcome.is_ok());
        }
    };
    // Many short questions: a busy machine delays less than a tenth of them.
    ask(500);
    host.swap("hostile", build('b')).expect("it loads");
    ask(500);
    assert_eq!(host.watch(), [], "it is as quick");
    host.swap("hostile", build('s')).expect("it loads");
    ask(20);
    let retreats = host.watch();
    assert_eq!(retreats.len(), 1, "{:?}", host.list());
    assert!(retreats[0].why.starts_with("a tenth of the questions takes"), "{retreats:?}");
    assert_eq!(&*retreats[0].to.version, "1.0.0-build-b");
}

/// What is live at the start has no build before it: it goes on, and its condition says so.
#[test]
fn a_build_without_a_build_before_is_judged_too() {
    let host = strict("alone");
    let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
    for _ in 0..20 {
        assert_eq!(host.conditions()[0].does_badly, None);
        shard.ask(&pin, &screen("reject"));
    }
    let words = "1000 of 1000 questions rejected, allowed are 900";
    assert_eq!(host.conditions()[0].does_badly.as_deref(), Some(words));
    assert_eq!(host.watch(), []);
    for _ in 0..20 {
        shard.ask(&pin, &screen("1"));
    }
    assert_eq!(host.conditions()[0].does_badly, None);
}

#[test]
fn a_plugin_that_only_fails_is_left_out_until_it_answers() {
    let plugin = PluginSettings {
        breaker: BreakerSettings { faults: 3, pause_ms: 200 },
        ..hostile(file("breaker", &guest("hostile")))
    };
    let host = Host::new(settings(plugin, 2)).expect("it loads");
    host.swap("hostile", build('x')).expect("it loads");
    let (mut shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
    for _ in 0..3 {
        assert_eq!(host.conditions()[0].left_out, None);
        assert!(matches!(shard.ask(&pin, &screen("trap")).outcome, Err(Fault::Trap(_))));
    }
    assert_eq!(host.conditions()[0].left_out, Some(3));
    assert_eq!(shard.ask(&pin, &screen("1")).outcome, Err(Fault::LeftOut(3)));
    let reply = shard.ask(&pin, &rate(61_000));
    assert!(reply.by_previous && reply.outcome.is_ok(), "the build before answers at once");
    assert_eq!(host.metrics().iter().map(|hook| hook.faults.left_out).sum::<u64>(), 2);

    eventually("it is tried again", || {
        shard.ask(&pin, &screen("1")).outcome == Ok(Answer::Screen(Verdict::Allow))
    });
    assert_eq!(host.conditions()[0].left_out, None);
    assert!(matches!(shard.ask(&pin, &screen("trap")).outcome, Err(Fault::Trap(_))));
}
