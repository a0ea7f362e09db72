//! Builds that lose calls by well-formed answers are taken back by themselves, and plugins that keep
//! failing are left out: with real calls, and with what an operator sees of it.

use serde_json::Value;
use std::process::Command;
use std::time::Duration;
use strowger_tests::sipp::Sipp;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin, program};

/// Calls per second.
const RATE: u32 = 25;

/// Calls that are enough to judge a build.
const CALLS: u32 = 100;

const PATIENCE: Duration = Duration::from_secs(60);

fn stage() -> Stage {
    let mut setup = Setup::new();
    setup.relay = false;
    // One shard: the first calls of each test go the same way.
    setup.node = "shards = 1".to_owned();
    Stage::with(&setup)
}

fn answers(stage: &Stage) -> [Sipp; 2] {
    [stage.vendor_a(), stage.vendor_b()].map(|vendor| {
        let script = vendor.with("ring_ms", 5).script("vendor_answers").calls(0, RATE).quiet();
        script.start(stage.switch.folder().path())
    })
}

/// Makes [`CALLS`] calls and waits for their ends; returns how many were answered.
fn call(stage: &Stage, callee: &str) -> u64 {
    let mut caller = stage
        .caller()
        .with("talk_ms", 20)
        .with("callee", callee)
        .script("caller_calls")
        .calls(CALLS, RATE)
        .quiet()
        .start(stage.switch.folder().path());
    strowger_tests::wait::until("the end of the calls", PATIENCE, || {
        caller.has_ended().then_some(())
    });
    let (answered, failed) = caller.counts();
    assert_eq!(answered + failed, u64::from(CALLS));
    answered
}

fn routing(stage: &Stage) -> Value {
    let list = stage.switch.get("/v1/plugins");
    let lines = list["plugins"].as_array().expect("plugins");
    lines.iter().find(|line| line["name"] == "routing").expect("routing").clone()
}

/// What the switch says of the latest build that it took back.
fn taken_back(stage: &Stage, number: u64) -> Value {
    strowger_tests::wait::until("a build is taken back", CALL_LIMIT, || {
        let line = routing(stage);
        (line["taken_back"] == number).then(|| line["last_taken_back"].clone())
    })
}

fn why(taken_back: &Value) -> &str {
    taken_back["why"].as_str().expect("a reason")
}

fn plugin(stage: &Stage, arguments: &[&str]) -> String {
    let node = stage.switch.folder().path().join("node.toml");
    let output = Command::new(program())
        .arg("plugin")
        .args(arguments)
        .arg("--config")
        .arg(node)
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{said}");
    text
}

/// The standing alarm of this name.
fn alarm(stage: &Stage, name: &str) -> Option<String> {
    let alarms = stage.switch.get("/v1/alarms");
    let found = alarms.as_array()?.iter().find(|alarm| alarm["alarm"] == name)?;
    found["detail"].as_str().map(str::to_owned)
}

#[test]
fn a_router_that_routes_nowhere_is_taken_back_within_a_hundred_calls() {
    let stage = stage();
    let _vendors = answers(&stage);
    let lossy = built_plugin("lossy-routing");
    let lossy = lossy.to_str().expect("a plain path");
    assert_eq!(call(&stage, "33100"), u64::from(CALLS));

    plugin(&stage, &["canary", "routing", lossy]);
    let answered = call(&stage, "33100");
    assert!(answered > 0, "the canary ended within its first {CALLS} calls");
    let canary = taken_back(&stage, 1);
    assert_eq!(canary["was_canary"], true);
    assert!(canary["build"].as_str().is_some_and(|build| build.contains("13.0.0")), "{canary}");
    assert!(why(&canary).contains("of 1000 questions rejected, 0 by the build before"), "{canary}");
    assert!(why(&canary).contains("no usable vendor trunk"), "{canary}");
    let lost = u64::from(CALLS) - answered;
    let counted =
        |kind: &str| stage.switch.metric("strowger_hook_losses_total", &["routing", kind]) as u64;
    assert_eq!((counted("no_candidate"), counted("rejected")), (lost, 0));

    plugin(&stage, &["swap", "routing", lossy]);
    assert_eq!(routing(&stage)["version"], "13.0.0");
    assert!(call(&stage, "33100") > 0, "the live build was rolled back");
    let live = taken_back(&stage, 2);
    assert_eq!(live["was_canary"], false);
    assert_ne!(routing(&stage)["version"], "13.0.0");
    assert_eq!(call(&stage, "33100"), u64::from(CALLS), "the build before decides again");
    let shown = plugin(&stage, &["show", "routing"]);
    for words in ["taken back    2\n", "13.0.0", "of 1000 questions rejected"] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    let list = plugin(&stage, &["list"]);
    assert!(list.contains("was taken back at"), "{list}");
    let detail = alarm(&stage, "plugin_rolled_back").expect("an alarm");
    assert!(detail.contains("no usable vendor trunk"), "{detail}");

    // Replay would have told before.
    let answered = 4 * u64::from(CALLS) - counted("no_candidate");
    let told = format!("{answered} calls would be lost that were not");
    let text = strowger_tests::wait::until("all decisions are on disk", CALL_LIMIT, || {
        let text = plugin(&stage, &["replay", lossy, "--name", "routing"]);
        text.contains(&told).then_some(text)
    });
    assert!(text.contains("503 no_route_available"), "{text}");
}

/// Each answer is a vendor; only the ends of the calls show that it is the wrong one.
#[test]
fn a_router_whose_calls_fail_is_taken_back() {
    let stage = stage();
    let folder = stage.switch.folder().path();
    let vendor = |vendor: strowger_tests::stage::Vendor, script: &str| {
        vendor.with("ring_ms", 5).script(script).calls(0, RATE).quiet().start(folder)
    };
    let _vendors =
        [vendor(stage.vendor_a(), "vendor_answers"), vendor(stage.vendor_b(), "vendor_refuses")];
    assert_eq!(call(&stage, "442071234567"), u64::from(CALLS));
    let before = routing(&stage)["build"].clone();
    assert_eq!((&before["calls"], &before["answered"]), (&CALLS.into(), &CALLS.into()));

    let lossy = built_plugin("lossy-routing");
    plugin(&stage, &["canary", "routing", lossy.to_str().expect("a plain path")]);
    assert!(call(&stage, "442071234567") > 0, "the canary ended within its first {CALLS} calls");
    let canary = taken_back(&stage, 1);
    assert!(why(&canary).contains("of 1000 calls failed, 0 with the build before"), "{canary}");
}

#[test]
fn a_plugin_that_only_fails_is_left_out_and_comes_back() {
    let mut setup = Setup::new().plugin("screening", &built_plugin("rogue-screening"));
    setup.prefixes = vec![""];
    setup.plugin_lines = "[plugins.list.breaker]\nfaults = 3\npause_ms = 3000\n".to_owned();
    let folder = setup.write();
    folder.put("business/sell.csv", "prefix,destination,price\n*,Anywhere,0.6\n");
    folder.put("business/buy.csv", "prefix,destination,price\n*,Anywhere,0.1\n");
    let stage = Stage::on(&setup, folder);
    let _vendors = answers(&stage);
    for _ in 0..4 {
        stage.caller().with("callee", "trap").with("talk_ms", 20).calls().succeeds(CALL_LIMIT);
    }
    strowger_tests::wait::until("the alarm", CALL_LIMIT, || {
        let detail = alarm(&stage, "plugin_left_out")?;
        detail.contains("is left out after 3 faults in a row").then_some(())
    });
    assert_eq!(stage.switch.metric("strowger_plugin_left_out", &["screening"]) as u64, 1);

    // Its pause is over at some time, and the first call to be screened closes the breaker.
    strowger_tests::wait::until("the plugin is asked again", PATIENCE, || {
        stage.caller().with("callee", "friendly").with("talk_ms", 20).calls().succeeds(CALL_LIMIT);
        alarm(&stage, "plugin_left_out").is_none().then_some(())
    });
    let left_out = ["plugin=\"screening\"", "fault=\"left_out\""];
    assert!(stage.switch.metric("strowger_hook_faults_total", &left_out) >= 1.0);
    assert_eq!(stage.switch.metric("strowger_plugin_left_out", &["screening"]) as u64, 0);
}
