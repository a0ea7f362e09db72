//! Builds change under running calls: each call keeps the one it pinned.

use crate::common::{
    Tables, bench, build, eventually, file, guest, hostile, marks, rate, route, screen, settings,
};
use host::{Host, PluginSettings, Selection};
use policy::{Answer, Charge, Fault, Hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

#[test]
fn eight_threads_ask_while_fifty_swaps_happen() {
    // Eight threads and a compiler want all cores, so this test has a long deadline.
    let plugin = PluginSettings { deadline_ms: 500, ..hostile(file("fifty", &guest("hostile"))) };
    let host = Host::new(settings(plugin, 8)).expect("it loads");
    let builds = [build('a'), build('b')];
    let stop = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let mut shard = host.shard();
            let (host, stop, asked) = (&host, &stop, &asked);
            scope.spawn(move || {
                while !stop.load(Relaxed) {
                    let pin = host.pin(Arc::new(Tables));
                    // Generation 1 is build a; each swap changes to the other build.
                    let mine =
                        if pin.generation % 2 == 1 { "1.0.0-build-a" } else { "1.0.0-build-b" };
                    for _ in 0..20 {
                        assert_eq!(marks(shard.ask(&pin, &screen("version"))), [mine]);
                        let charge = Charge { amount: 42, billed_seconds: 1 };
                        let reply = shard.ask(&pin, &rate(1000));
                        assert_eq!(reply.outcome, Ok(Answer::Rate(charge)));
                        assert!(!reply.by_previous);
                        asked.fetch_add(2, Relaxed);
                    }
                }
            });
        }
        for swap in 1..=50 {
            // Lets each generation be asked before the next one comes.
            let before = asked.load(Relaxed);
            eventually("threads ask", || asked.load(Relaxed) > before + 100);
            let report = host.swap("hostile", builds[swap % 2].clone()).expect("the build is good");
            assert_eq!(report.generation, swap as u64 + 1);
            assert_ne!(report.from, report.to);
        }
        stop.store(true, Relaxed);
    });
    let state = &host.list()[0];
    println!("{} questions, p99 {} ns", state.answered, state.p99_nanos);
    assert_eq!(state.faults.total(), 0);
    // The live build and the one it replaced, each at most once per shard.
    eventually("old instances are reaped", || host.instances() <= 16);
    assert_eq!(host.list()[0].builds.len(), 1);
}

#[test]
fn a_call_keeps_its_build_and_frees_it_at_its_end() {
    let (host, mut shard, pin) = bench("keep");
    let old = Arc::downgrade(&host.current());
    assert_eq!(marks(shard.ask(&pin, &screen("version"))), ["1.0.0-build-a"]);
    let report = host.swap("hostile", build('b')).unwrap();
    assert_eq!((report.generation, report.self_test_cases), (2, 3));
    // One of build a, which one thread has asked, and one of build b for each thread.
    assert_eq!(host.instances(), 3, "the new build is ready before a call asks it");

    let newer = host.pin(Arc::new(Tables));
    assert_eq!(marks(shard.ask(&newer, &screen("version"))), ["1.0.0-build-b"]);
    assert_eq!(marks(shard.ask(&pin, &screen("version"))), ["1.0.0-build-a"]);
    let builds = &host.list()[0].builds;
    assert_eq!(builds.iter().map(|build| build.pinned).collect::<Vec<_>>(), [1, 1]);

    drop(pin);
    assert!(old.upgrade().is_none(), "nobody but the call held the old generation");
    // Build a stays as the previous version of build b until the next swap.
    host.swap("hostile", build('c')).unwrap();
    drop(newer);
    eventually("build a is gone", || host.instances() == 4);
}

#[test]
fn rating_and_routing_fall_back_to_the_build_before() {
    let (host, mut shard, _) = bench("previous");
    host.swap("hostile", build('x')).unwrap();
    let pin = host.pin(Arc::new(Tables));
    let reply = shard.ask(&pin, &rate(61_000));
    assert_eq!(reply.outcome, Ok(Answer::Rate(Charge { amount: 42, billed_seconds: 61 })));
    assert!(reply.by_previous);
    assert_eq!(reply.plugin.unwrap().version.as_ref(), "1.0.0-build-a");
    let failed = reply.instead_of.expect("the failure is told");
    assert_eq!(failed.plugin.version.as_ref(), "1.0.0-build-x");
    assert!(matches!(failed.fault, Fault::Trap(_)) && failed.nanos > 0, "{failed:?}");
    let reply = shard.ask(&pin, &route("331"));
    assert_eq!((reply.outcome, reply.by_previous), (Ok(Answer::Route(Ok(vec![5, 3]))), true));

    // Screening has no such fallback, so both can fail.
    let reply = shard.ask(&pin, &screen("trap"));
    assert!(matches!(reply.outcome, Err(Fault::Trap(_))) && !reply.by_previous);
    let reply = shard.ask(&pin, &route("loop"));
    assert!(matches!(reply.outcome, Err(Fault::Trap(_))), "the first fault is told");
    assert_eq!(host.list()[0].by_previous, 2);
}

/// If a plugin cannot rate a call, that is its answer: the previous build does not overrule it, and
/// it counts as a rejection, not as a fault.
#[test]
fn what_rating_refuses_stays_refused() {
    let no_plan = Err(Fault::Refused("no such plan".to_owned()));
    let (host, mut shard, _) = bench("refused-rate");
    host.swap("hostile", build('b')).expect("it loads");
    let pin = host.pin(Arc::new(Tables));
    let reply = shard.ask(&pin, &rate(3));
    assert_eq!((&reply.outcome, reply.by_previous), (&no_plan, false));
    assert!(reply.plugin.expect("it was asked").version.ends_with('b'));

    host.canary("hostile", build('c'), Selection::all()).expect("it loads");
    let pin = host.pin(Arc::new(Tables));
    let reply = shard.ask(&pin, &rate(3));
    assert_eq!((&reply.outcome, reply.by_previous), (&no_plan, false));
    assert!(reply.plugin.expect("it was asked").version.ends_with('c'));

    let state = &host.list()[0];
    let canary = state.canary.as_ref().expect("it is there").tally;
    for tally in [state.tally, canary] {
        assert_eq!((tally.asked, tally.faults, tally.rejects), (1, 0, 1));
    }
    assert_eq!(state.faults.total(), 0);
    let metrics = host.metrics();
    let rating = metrics.iter().find(|metrics| metrics.hook == Hook::Rating).expect("it rates");
    assert_eq!((rating.answered, rating.refused), (2, 2));
}

#[test]
fn a_watched_file_is_swapped_once_and_only_when_whole() {
    let bytes = guest("hostile");
    let path = file("watched", &bytes);
    let host = Host::new(settings(hostile(path.clone()), 1)).expect("it loads");
    let new = build('b');
    std::fs::write(&path, &new[..new.len() - 100]).unwrap();
    let error = host.swap_file(&path).unwrap_err();
    assert!(matches!(error, host::LoadError::HalfWritten { .. }), "{error}");
    std::fs::write(&path, &new).unwrap();
    assert_eq!(host.swap_file(&path).unwrap().generation, 2);
    let again = host.swap_file(&path).unwrap();
    assert_eq!((again.generation, again.from == again.to), (2, true), "same bytes, no swap");

    let by_stem = file("x", &bytes).with_file_name("hostile.v2.wasm");
    std::fs::write(&by_stem, build('c')).unwrap();
    assert_eq!(host.swap_file(&by_stem).unwrap().to.version.as_ref(), "1.0.0-build-c");
    // Whatever name a file claims, nobody named it as a replacement for this plugin.
    let by_itself = file("whoever", &build('d')).with_file_name("whoever.wasm");
    std::fs::write(&by_itself, build('d')).unwrap();
    let error = host.swap_file(&by_itself).unwrap_err();
    assert!(matches!(error, host::LoadError::UnknownPlugin { .. }), "{error}");
    assert_eq!(host.current().number(), 3);
}

#[test]
fn swaps_in_the_middle_of_another_wait_for_it() {
    let (host, mut shard, _) = bench("three-swaps");
    let mut reports = std::thread::scope(|scope| {
        let swaps = ['b', 'c', 'd'].map(|letter| {
            let host = &host;
            scope.spawn(move || host.swap("hostile", build(letter)).expect("a good build"))
        });
        swaps.map(|swap| swap.join().expect("no swap panics"))
    });
    reports.sort_by_key(|report| report.generation);
    assert_eq!(reports.each_ref().map(|report| report.generation), [2, 3, 4]);
    for pair in reports.windows(2) {
        assert_eq!(pair[0].to, pair[1].from, "each replaced the one before");
    }
    let pin = host.pin(Arc::new(Tables));
    let version = reports[2].to.version.to_string();
    assert_eq!(marks(shard.ask(&pin, &screen("version"))), [version]);
}
