//! Several builds and several plugins at once: chains, canaries, shadows, rollbacks.

use crate::common::{
    Tables, bench, build, call, eventually, file, guest, hostile, marks, rate, route, screen,
    settings, supervise,
};
use host::{
    ChainScope, ChainSettings, Fallback, Host, HostSettings, Isolation, LoadError, PluginSettings,
    RollbackSettings, SelectBy, Selection,
};
use policy::{Answer, Course, Hook, Pin, Question, Verdict};
use serde_json::json;
use std::sync::Arc;

/// A screening question of another call.
fn of_call(id: u64, callee: &str) -> Question {
    let Question::Screen(mut question) = screen(callee) else { panic!("it is one") };
    // Spread like the random half of a real id.
    question.call.id = u128::from(id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Question::Screen(question)
}

fn half() -> Selection {
    Selection { share: 5_000, by: SelectBy::Call, trunks: vec![] }
}

/// The build that answers each of `calls` calls.
fn builds(host: &Host, calls: u64) -> Vec<String> {
    let mut shard = host.shard();
    let pin = host.pin(Arc::new(Tables));
    (0..calls)
        .map(|id| marks(shard.ask(&pin.for_call(), &of_call(id, "version"))).remove(0))
        .collect()
}

#[test]
fn a_canary_decides_its_share_and_is_promoted_without_another_load() {
    let (host, _, _) = bench("canary");
    host.canary("hostile", build('b'), half()).expect("it loads");
    let first = builds(&host, 400);
    let b = first.iter().filter(|version| version.ends_with('b')).count();
    assert!((140..260).contains(&b), "{b} of 400 calls");
    assert_eq!(builds(&host, 400), first, "a call is always decided by the same build");
    let state = &host.list()[0];
    let canary = state.canary.as_ref().expect("it is shown");
    assert_eq!((canary.tally.asked, canary.tally.faults), (2 * b as u64, 0));
    assert_eq!(canary.selection.to_string(), "50 % of calls");

    let none = Selection { trunks: vec![999], ..half() };
    host.canary("hostile", build('b'), none).expect("another selection");
    assert!(builds(&host, 50).iter().all(|version| version.ends_with('a')));

    let report = host.promote("hostile").expect("there is a canary");
    assert_eq!(report.to.version.as_ref(), "1.0.0-build-b");
    assert!(builds(&host, 50).iter().all(|version| version.ends_with('b')));
    assert!(host.list()[0].canary.is_none());
    assert!(matches!(host.promote("hostile"), Err(LoadError::Nothing { .. })));

    host.rollback("hostile").expect("build a is kept");
    assert!(builds(&host, 50).iter().all(|version| version.ends_with('a')));
    let error = host.rollback("hostile").unwrap_err().to_string();
    assert_eq!(error, "plugin `hostile` has no build before");
}

#[test]
fn a_number_always_meets_the_same_build() {
    let (host, mut shard, _) = bench("by-number");
    let by_number = Selection { by: SelectBy::Number, ..half() };
    host.canary("hostile", build('b'), by_number).expect("it loads");
    let pin = host.pin(Arc::new(Tables));
    let mut of_number = |number: &str, id| {
        let call = pin.for_call();
        call.notes.set_number(number);
        marks(shard.ask(&call, &of_call(id, "version"))).remove(0)
    };
    let numbers: Vec<String> = (0..200).map(|n| format!("49301234{n:03}")).collect();
    let first: Vec<String> = numbers.iter().map(|number| of_number(number, 1)).collect();
    let again: Vec<String> = numbers.iter().map(|number| of_number(number, 77)).collect();
    assert_eq!(first, again);
    let b = first.iter().filter(|version| version.ends_with('b')).count();
    assert!((60..140).contains(&b), "{b} of 200 numbers");
}

/// A canary that fails costs nothing: the live build answers, and the canary is taken back.
#[test]
fn a_canary_that_fails_is_covered_and_taken_back() {
    let plugin = PluginSettings {
        rollback: RollbackSettings { least: 20, ..RollbackSettings::default() },
        ..hostile(file("bad-canary", &guest("hostile")))
    };
    let host = Host::new(settings(plugin, 2)).expect("it loads");
    host.canary("hostile", build('x'), Selection::all()).expect("it passes its tests");
    let mut shard = host.shard();
    let pin = host.pin(Arc::new(Tables));
    for asked in 0..20 {
        assert!(host.watch().is_empty(), "after {asked}");
        let reply = shard.ask(&pin, &rate(61_000));
        assert!(reply.by_previous && reply.outcome.is_ok());
        assert_eq!(reply.plugin.unwrap().version.as_ref(), "1.0.0-build-a");
    }
    let retreats = host.watch();
    assert_eq!(retreats.len(), 1);
    assert!(retreats[0].was_canary, "{retreats:?}");
    assert!(retreats[0].why.starts_with("20 of 20 questions"), "{}", retreats[0].why);
    assert!(host.list()[0].canary.is_none());
    assert!(host.watch().is_empty());
}

/// Build e chooses no trunk, build u chooses trunks that are not candidates: either way the calls
/// end.
#[test]
fn a_canary_whose_routes_are_no_candidates_is_taken_back() {
    for letter in ['e', 'u'] {
        let plugin = PluginSettings {
            rollback: RollbackSettings { least: 20, ..RollbackSettings::default() },
            ..hostile(file(&format!("no-routes-{letter}"), &guest("hostile")))
        };
        let host = Host::new(settings(plugin, 2)).expect("it loads");
        host.canary("hostile", build(letter), Selection::all()).expect("it passes its tests");
        let mut shard = host.shard();
        let pin = host.pin(Arc::new(Tables));
        for _ in 0..20 {
            let Ok(Answer::Route(Err(rejection))) = shard.ask(&pin, &route("331")).outcome else {
                panic!("a list without a candidate ends the call");
            };
            assert_eq!((rejection.code, &*rejection.reason), (503, "no_route_available"));
        }
        let tally = host.list()[0].canary.as_ref().expect("it is there").tally;
        assert_eq!((tally.asked, tally.faults, tally.rejects), (20, 0, 20));
        let retreats = host.watch();
        assert!(retreats[0].why.contains("1000 of 1000 questions rejected"), "{retreats:?}");
    }
}

#[test]
fn a_live_build_that_does_badly_is_rolled_back_by_itself() {
    let plugin = PluginSettings {
        rollback: RollbackSettings { least: 20, ..RollbackSettings::default() },
        ..hostile(file("bad-live", &guest("hostile")))
    };
    let host = Host::new(settings(plugin, 2)).expect("it loads");
    host.swap("hostile", build('x')).expect("it passes its tests");
    let mut shard = host.shard();
    let pin = host.pin(Arc::new(Tables));
    for _ in 0..20 {
        assert!(shard.ask(&pin, &rate(61_000)).by_previous);
    }
    let retreats = host.watch();
    assert_eq!(retreats[0].to.version.as_ref(), "1.0.0-build-a");
    assert!(!retreats[0].was_canary);
    let newer = host.pin(Arc::new(Tables));
    assert!(!shard.ask(&newer, &rate(61_000)).by_previous);

    // The same for rejections: build c of the same plugin rejects every question of this test.
    host.swap("hostile", build('c')).expect("it loads");
    let pin = host.pin(Arc::new(Tables));
    for _ in 0..20 {
        shard.ask(&pin, &screen("reject"));
    }
    let retreats = host.watch();
    assert!(retreats[0].why.contains("questions rejected"), "{retreats:?}");
}

#[test]
fn a_shadow_is_compared_and_never_obeyed() {
    let (host, mut shard, _) = bench("shadow");
    host.shadow("hostile", build('b'), Selection::all()).expect("it loads");
    let pin = host.pin(Arc::new(Tables));
    for id in 0..10 {
        let answer = marks(shard.ask(&pin.for_call(), &of_call(id, "version")));
        assert_eq!(answer, ["1.0.0-build-a"], "the live build is obeyed");
    }
    assert_eq!(shard.ask(&pin, &screen("1")).outcome, Ok(Answer::Screen(Verdict::Allow)));
    // The shadow has the same random draws but its own counters.
    let live = marks(shard.ask(&pin.for_call(), &screen("services")));
    let shadow = || host.list()[0].shadow.clone().expect("it is there");
    eventually("the shadow has been asked", || shadow().asked == 12);
    assert_eq!((shadow().different, shadow().faults), (10, 0), "{:?}", host.differences("hostile"));
    let differences = host.differences("hostile").expect("it is there");
    assert_eq!(differences.len(), 10);
    assert_eq!(differences[0].live, Answer::Screen(Verdict::Mark(vec!["1.0.0-build-a".into()])));
    assert_eq!(
        differences[0].shadow,
        Ok(Answer::Screen(Verdict::Mark(vec!["1.0.0-build-b".into()])))
    );
    assert_eq!(marks(shard.ask(&pin.for_call(), &screen("services")))[4], "4", "{live:?}");
    host.end_trial("hostile").expect("there is a shadow");
    assert!(host.list()[0].shadow.is_none() && host.differences("hostile").is_err());
}

#[test]
fn an_instance_of_its_own_for_each_question_remembers_nothing() {
    let plugin = PluginSettings {
        isolation: Isolation::PerCall,
        ..hostile(file("per-call", &guest("hostile")))
    };
    let host = Host::new(settings(plugin, 1)).expect("it loads");
    let mut shard = host.shard();
    let pin = host.pin(Arc::new(Tables));
    for _ in 0..200 {
        assert_eq!(shard.ask(&pin, &screen("1")).outcome, Ok(Answer::Screen(Verdict::Allow)));
    }
    eventually("instances go", || host.instances() == 0);
}

/// A host with the hostile plugin under two names: a chain of two.
fn two(test: &str) -> (Host, Pin) {
    two_with(test, Fallback::Allow)
}

/// The same, with the fallback of the second plugin.
fn two_with(test: &str, fallback: Fallback) -> (Host, Pin) {
    let second = patched_name(guest("hostile"));
    let mut both = settings(hostile(file(&format!("{test}-1"), &guest("hostile"))), 2);
    both.plugins.push(PluginSettings {
        name: "hostilf".to_owned(),
        fallback,
        ..hostile(file(&format!("{test}-2"), &second))
    });
    let host = Host::new(HostSettings { ..both }).expect("both load");
    let pin = host.pin(Arc::new(Tables));
    (host, pin)
}

fn patched_name(bytes: Vec<u8>) -> Vec<u8> {
    let renamed = crate::common::patched(bytes, "name=hostile", "name=hostilf");
    crate::common::patched(renamed, "1.0.0-build-a", "1.0.0-build-b")
}

#[test]
fn plugins_of_one_hook_are_asked_in_turn() {
    let (host, pin) = two("chain");
    let mut shard = host.shard();
    let reply = shard.ask(&pin, &screen("version"));
    assert_eq!(reply.earlier.len(), 1);
    assert_eq!(&*reply.earlier[0].plugin.name, "hostile");
    assert_eq!(&*reply.plugin.as_ref().expect("the last").name, "hostilf");
    assert_eq!(marks(reply), ["1.0.0-build-a", "1.0.0-build-b"], "marks add up");

    let reply = shard.ask(&pin, &screen("reject"));
    assert!(reply.earlier.is_empty(), "the first rejects, the second is not asked");
    let fallback = shard.ask(&pin, &screen("trap"));
    assert!(fallback.outcome.is_err() && fallback.earlier[0].outcome.is_err());

    // Only the second plugin for trunk 12; otherwise no plugin for account 3.
    let chain = |scope, plugins: &[&str]| ChainSettings {
        hook: Hook::Screening,
        scope,
        plugins: plugins.iter().map(|name| (*name).to_owned()).collect(),
    };
    let narrower =
        vec![chain(ChainScope::Trunk(12), &["hostilf"]), chain(ChainScope::Account(3), &[])];
    assert!(host.set_chains(narrower.clone()).expect("both are known"));
    assert!(!host.set_chains(narrower).expect("nothing changes"));
    let pin = host.pin(Arc::new(Tables));
    assert_eq!(marks(shard.ask(&pin, &screen("version"))), ["1.0.0-build-b"]);
    let Question::Screen(mut elsewhere) = screen("version") else { panic!("it is one") };
    elsewhere.call.trunk = 13;
    let reply = shard.ask(&pin, &Question::Screen(elsewhere));
    assert_eq!(reply.outcome, Err(policy::Fault::Absent));

    for (plugins, words) in [
        (["nobody"].as_slice(), "there are: hostile, hostilf"),
        (["hostile", "hostile"].as_slice(), "names plugin `hostile` twice"),
    ] {
        let error = host.set_chains(vec![chain(ChainScope::Everyone, plugins)]).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(marks(shard.ask(&pin, &screen("version"))), ["1.0.0-build-b"], "nothing changed");
}

/// The fallback at screening is a setting of each plugin, not of the node.
#[test]
fn only_a_plugin_that_must_screen_refuses_by_failing() {
    let (host, pin) = two_with("must-screen", Fallback::Reject);
    let mut shard = host.shard();
    let reply = shard.ask(&pin, &screen("trap"));
    assert!(reply.rejects && reply.outcome.is_err(), "{reply:?}");
    assert_eq!(reply.earlier.len(), 1, "the first is left out");
    assert!(!shard.ask(&pin, &screen("1")).rejects);
    assert!(!shard.ask(&pin, &rate(2)).rejects, "another hook");

    // Each of them alone; and neither.
    let chain = |trunk, plugins: &[&str]| ChainSettings {
        hook: Hook::Screening,
        scope: ChainScope::Trunk(trunk),
        plugins: plugins.iter().map(|name| (*name).to_owned()).collect(),
    };
    let chains = vec![chain(1, &["hostile"]), chain(2, &["hostilf"]), chain(3, &[])];
    assert!(host.set_chains(chains).expect("both are known"));
    let pin = host.pin(Arc::new(Tables));
    for (trunk, rejects) in [(1, false), (2, true), (3, false)] {
        let Question::Screen(mut question) = screen("trap") else { panic!("it is one") };
        question.call.trunk = trunk;
        let reply = shard.ask(&pin, &Question::Screen(question));
        assert!(reply.outcome.is_err());
        assert_eq!(reply.rejects, rejects, "trunk {trunk}");
    }

    let (host, pin) = two("need-not-screen");
    let reply = host.shard().ask(&pin, &screen("trap"));
    assert!(reply.outcome.is_err() && !reply.rejects, "{reply:?}");
}

/// A chain supervises a running call together: marks add up and later plugins see them, the first
/// that ends the call decides, and one that fails is skipped unless it must answer.
#[test]
fn a_chain_supervises_a_call_together() {
    let (host, pin) = two("supervised");
    let mut shard = host.shard();
    let said = |reply: policy::Reply| match reply.outcome {
        Ok(Answer::Supervise(answer)) => answer,
        other => panic!("an answer is expected, got {other:?}"),
    };
    let seen = said(shard.ask(&pin, &supervise("seen")));
    assert_eq!(seen.marks, ["seen-1", "seen-2"], "the second sees the mark of the first");
    let limit = said(shard.ask(&pin, &supervise("limit")));
    assert_eq!((limit.course, limit.ask_again_s), (Course::Limit(30), 20));
    let reply = shard.ask(&pin, &supervise("end"));
    assert!(reply.earlier.is_empty(), "the second is not asked");
    assert!(said(reply).ending().is_some());
    let fallback = shard.ask(&pin, &supervise("trap"));
    assert!(fallback.outcome.is_err() && !fallback.rejects && fallback.earlier.len() == 1);

    let (host, pin) = two_with("must-supervise", Fallback::Reject);
    let reply = host.shard().ask(&pin, &supervise("trap"));
    assert!(reply.outcome.is_err() && reply.rejects, "{reply:?}");
}

/// A call asks no plugin if none would answer, so the pin says whose calls are supervised.
#[test]
fn the_pin_says_whose_calls_are_supervised() {
    let (host, pin) = two("whose");
    let covers = |pin: &Pin, trunk, account| {
        pin.supervised.covers(policy::CallFacts { trunk, account, ..call() })
    };
    assert!(covers(&pin, 1, 1));
    let chain = |scope, plugins: &[&str]| ChainSettings {
        hook: Hook::Supervision,
        scope,
        plugins: plugins.iter().map(|name| (*name).to_owned()).collect(),
    };
    let chains = vec![
        chain(ChainScope::Everyone, &[]),
        chain(ChainScope::Account(3), &["hostile"]),
        chain(ChainScope::Trunk(12), &[]),
    ];
    assert!(host.set_chains(chains).expect("all are known"));
    let pin = host.pin(Arc::new(Tables));
    let whose = [(1, 1), (1, 3), (12, 3)].map(|(trunk, account)| covers(&pin, trunk, account));
    assert_eq!(whose, [false, true, false]);

    let none = PluginSettings {
        hooks: Some([Hook::Screening].into()),
        ..hostile(file("no-supervision", &guest("hostile")))
    };
    let host = Host::new(settings(none, 1)).expect("it loads");
    assert_eq!(host.pin(Arc::new(Tables)).supervised, policy::Supervised::default());
}

/// Settings change like builds do: tried aside, live by one store, rolled back; the next build gets
/// them too.
#[test]
fn settings_are_tried_taken_and_rolled_back() {
    let (host, _, _) = bench("settings");
    let asked =
        |host: &Host| (host.config("hostile").expect("it is live"), host.current().number());
    let (empty, first) = asked(&host);
    for (config, told) in [
        (json!({ "configure": "refuse" }), "`colour` must be a colour"),
        (json!({ "self-test": "fail" }), "self-test"),
    ] {
        let error = host.try_config("hostile", config).err().expect("it is refused").to_string();
        assert!(error.contains(told), "{error}");
    }
    assert_eq!(asked(&host), (Arc::clone(&empty), first), "nothing has changed");

    host.canary("hostile", build('b'), half()).expect("it loads");
    let wanted = json!({ "note": 1 });
    let tried = host.try_config("hostile", wanted.clone()).expect("it is taken");
    let report = host.take_config(tried).expect("it is taken");
    assert_eq!((&report.from, report.compile_ms), (&report.to, 0));
    let (config, generation) = asked(&host);
    assert_eq!((&*config, generation), (&wanted, report.generation));
    assert!(host.list()[0].canary.is_none(), "it was configured otherwise");
    // The same again is no change.
    let tried = host.try_config("hostile", wanted.clone()).expect("it is taken");
    assert_eq!(host.take_config(tried).expect("it is taken").generation, generation);

    // Another build that went live meanwhile is configured as well.
    let tried = host.try_config("hostile", json!({ "note": 2 })).expect("it is taken");
    host.swap("hostile", build('b')).expect("it loads");
    assert_eq!(*asked(&host).0, wanted);
    host.take_config(tried).expect("it is taken");
    assert_eq!(*asked(&host).0, json!({ "note": 2 }));
    assert!(host.list()[0].stamp.version.ends_with('b'));
    host.rollback("hostile").expect("the settings before are kept");
    assert_eq!(*asked(&host).0, wanted);
    host.swap("hostile", build('c')).expect("it loads");
    assert_eq!(*asked(&host).0, wanted, "builds that come later get what is in force");
}
