//! Trials of builds on real calls, with the command line as an operator would use it: shadow,
//! canary, promotion, rollback; and chains for one customer trunk.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use strowger_tests::sipp::Sipp;
use strowger_tests::stage::Stage;
use strowger_tests::switch::{Setup, built_plugin};

/// Calls per second.
const RATE: u32 = 25;

/// A stage whose builds choose different vendors: the default routing prefers vendor-a,
/// `rival-routing` vendor-b.
fn stage(setup: &Setup) -> (Stage, [Sipp; 2]) {
    let stage = Stage::with(setup);
    let vendors = [stage.vendor_a(), stage.vendor_b()].map(|vendor| {
        let script = vendor.with("ring_ms", 5).script("vendor_answers").calls(0, RATE).quiet();
        script.start(stage.switch.folder().path())
    });
    (stage, vendors)
}

/// Makes `calls` calls; returns the vendor of each record, newest first.
fn call(stage: &Stage, calls: u32, all: usize) -> Vec<String> {
    let mut caller = stage
        .caller()
        .with("talk_ms", 20)
        .with("caller", "1555[call_number]")
        .script("caller_calls")
        .calls(calls, RATE)
        .quiet()
        .start(stage.switch.folder().path());
    caller.succeeds(Duration::from_secs(60));
    assert_eq!(caller.counts(), (u64::from(calls), 0));
    let records = stage.switch.settled_records(all);
    let vendor = |record: &Value| {
        let vendor = &record["attempts"][0]["vendor"];
        vendor.as_str().expect("an attempt was made").to_owned()
    };
    records.iter().take(calls as usize).map(vendor).collect()
}

/// Runs `strowger plugin ...` against the stage's switch; returns its output.
fn plugin(stage: &Stage, arguments: &[&str]) -> String {
    let node = stage.switch.folder().path().join("node.toml");
    let output = Command::new(strowger_tests::switch::program())
        .arg("plugin")
        .args(arguments)
        .args(["--config", named(&node)])
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{said}");
    text
}

fn named(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn a_build_goes_from_shadow_over_canary_to_live_and_back() {
    let mut setup = Setup::new();
    setup.relay = false;
    let (stage, _vendors) = stage(&setup);
    let rival = built_plugin("rival-routing");

    plugin(&stage, &["shadow", "routing", named(&rival)]);
    assert!(call(&stage, 20, 20).iter().all(|vendor| vendor == "vendor-a"), "it is not obeyed");
    strowger_tests::wait::until("the shadow was asked", Duration::from_secs(20), || {
        let list = stage.switch.get("/v1/plugins");
        let lines = list["plugins"].as_array().expect("plugins");
        let routing = lines.iter().find(|line| line["name"] == "routing")?;
        (routing["shadow"]["different"] == 20).then_some(())
    });
    let metric = |name: &str, labels: &[&str]| stage.switch.metric(name, labels) as u64;
    let of_shadow = ["plugin=\"routing\"", "trial=\"shadow\""];
    assert_eq!(metric("strowger_trial_asked_total", &of_shadow), 20);
    assert_eq!(metric("strowger_trial_different_total", &of_shadow), 20);
    assert_eq!(metric("strowger_trial_faults_total", &of_shadow), 0);
    assert_eq!(metric("strowger_plugin_info", &["plugin=\"routing\"", "role=\"shadow\""]), 1);
    let differences = plugin(&stage, &["shadow", "routing"]);
    assert!(differences.contains("20 differences kept"), "{differences}");

    plugin(&stage, &["canary", "routing", named(&rival), "--share", "50%"]);
    let vendors = call(&stage, 60, 80);
    let b = vendors.iter().filter(|vendor| *vendor == "vendor-b").count();
    assert!((10..50).contains(&b), "{b} of 60 calls");
    let of_canary = ["plugin=\"routing\"", "trial=\"canary\""];
    assert_eq!(metric("strowger_trial_asked_total", &of_canary), b as u64);
    assert_eq!(metric("strowger_trial_faults_total", &of_canary), 0);
    assert_eq!(metric("strowger_plugin_info", &["plugin=\"routing\"", "role=\"canary\""]), 1);

    plugin(&stage, &["canary", "routing", named(&rival), "--trunks", "poor"]);
    assert!(call(&stage, 20, 100).iter().all(|vendor| vendor == "vendor-a"), "another trunk");

    plugin(&stage, &["promote", "routing"]);
    assert!(call(&stage, 20, 120).iter().all(|vendor| vendor == "vendor-b"), "promoted");
    plugin(&stage, &["rollback", "routing"]);
    assert!(call(&stage, 20, 140).iter().all(|vendor| vendor == "vendor-a"), "rolled back");

    // Every decision of a record is by one build of the plugin.
    for record in stage.switch.settled_records(140).iter().step_by(7) {
        let id = record["id"].as_str().expect("an id");
        let whole = stage.switch.get(&format!("/v1/records/{id}"));
        let trail = whole["trail"].as_array().expect("a trail");
        let routing = trail.iter().filter(|entry| entry["hook"] == "routing");
        let builds: BTreeSet<&str> = routing.filter_map(|entry| entry["plugin"].as_str()).collect();
        assert_eq!(builds.len(), 1, "{builds:?}");
    }
}

#[test]
fn a_customer_trunk_can_have_a_chain_of_its_own() {
    let mut setup = Setup::new();
    setup.relay = false;
    // The trunk's calls are not screened at all; the caller is on no list anyway.
    setup.plugin_lines = "[[plugins.chain]]\nhook = \"screening\"\n\
         customer_trunk = \"customer\"\nplugins = []\n"
        .to_owned();
    let (stage, _vendors) = stage(&setup);
    call(&stage, 1, 1);
    let record = stage.switch.settled_records(1).remove(0);
    let id = record["id"].as_str().expect("an id");
    let whole = stage.switch.get(&format!("/v1/records/{id}"));
    let screening: Vec<&Value> = whole["trail"]
        .as_array()
        .expect("a trail")
        .iter()
        .filter(|entry| entry["hook"] == "screening")
        .collect();
    assert_eq!(screening.len(), 1);
    assert_eq!(screening[0]["fault"], "no plugin is loaded for this hook");
}
