//! Plugins that loop, trap, exhaust memory or stack, or answer nonsense cost one decision.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use strowger_tests::rtp::{MediaPeer, talk};
use strowger_tests::sipp::audio_address;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin};

/// Names of callees for which the guest `rogue-screening` misbehaves.
const DEEDS: [&str; 5] = ["loop", "trap", "recurse", "eat", "flood"];

/// A switch whose screening plugin misbehaves by the callee's name, with vendors and prices for any
/// name.
fn stage() -> Stage {
    let mut setup = Setup::new().plugin("screening", &built_plugin("rogue-screening"));
    setup.prefixes = vec![""];
    let folder = setup.write();
    folder.put("business/sell.csv", "prefix,destination,price\n*,Anywhere,0.6\n");
    folder.put("business/buy.csv", "prefix,destination,price\n*,Anywhere,0.1\n");
    Stage::on(&setup, folder)
}

/// The screening entry of the trail.
fn screening(record: &Value) -> &Value {
    let trail = record["trail"].as_array().expect("a trail");
    trail.iter().find(|entry| entry["hook"] == "screening").expect("screening was asked")
}

#[test]
fn every_misdeed_costs_one_decision_and_the_call_goes_on() {
    let stage = stage();
    let mut seen: Vec<String> = Vec::new();
    for deed in DEEDS {
        let mut vendor = stage.vendor_a().answers();
        let mut caller = stage.caller().with("callee", deed).calls();
        caller.succeeds(CALL_LIMIT);
        vendor.succeeds(CALL_LIMIT);
        let records = stage.switch.settled_records(seen.len() + 1);
        let mut ids = records.iter().filter_map(|record| record["id"].as_str());
        let id = ids.find(|id| !seen.iter().any(|known| known == id)).expect("its record");
        seen.push(id.to_owned());
        let record = stage.switch.get(&format!("/v1/records/{id}"));
        assert_eq!(record["end_reason"], "caller_hangup", "{record:#}");

        let entry = screening(&record);
        assert_ne!(entry["fault"], "", "{deed}: {entry}");
        let others = record["trail"].as_array().expect("a trail").iter();
        for other in others.filter(|other| other["hook"] != "screening") {
            assert_eq!(other["fault"], "", "{deed} spoiled {other}");
        }
    }
    let faults = stage.switch.metric("strowger_hook_faults_total", &["screening"]);
    assert!(faults >= DEEDS.len() as f64, "{faults} faults counted");
    let fallbacks = stage.switch.metric("strowger_hook_fallbacks_total", &["screening"]);
    assert!(fallbacks >= DEEDS.len() as f64, "{fallbacks} fallbacks counted");
}

/// The same plugin works when asked again: its instance was replaced.
#[test]
fn a_plugin_that_trapped_answers_the_next_call() {
    let stage = stage();
    for callee in ["trap", "friendly"] {
        let mut vendor = stage.vendor_a().answers();
        let mut caller = stage.caller().with("callee", callee).calls();
        caller.succeeds(CALL_LIMIT);
        vendor.succeeds(CALL_LIMIT);
    }
    let records = stage.switch.settled_records(2);
    let friendly = records.iter().find(|record| record["callee_in"] == "friendly");
    let id = friendly.expect("its record")["id"].as_str().expect("an id");
    let record = stage.switch.get(&format!("/v1/records/{id}"));
    assert_eq!(screening(&record)["fault"], "", "{record:#}");
}

/// RTP of a running call is not affected by plugins looping at ten calls per second.
#[test]
fn audio_of_another_call_does_not_notice() {
    let stage = stage();
    let folder = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().script("vendor_answers").calls(0, 10).start(&folder);
    let mut caller = stage.caller().with("callee", "friendly").with("talk_ms", 6000).calls();
    let at_caller = MediaPeer::bind(SocketAddr::new(stage.net.caller(), 40000), 0xCA11);
    let at_vendor = MediaPeer::bind(SocketAddr::new(stage.net.vendor_a(), 40000), 0xFE2D);
    let offer = audio_address(&vendor.hears("INVITE")).expect("an offer");
    let answer = audio_address(&caller.hears("SIP/2.0 200")).expect("an answer");

    let script = stage.caller().with("callee", "loop").with("talk_ms", 100);
    let mut noise = script.script("caller_calls").calls(30, 10).port(5070).quiet().start(&folder);
    let heard = talk((&at_caller, answer), (&at_vendor, offer), 150, Duration::from_millis(20));
    for packets in heard {
        assert_eq!(packets.len(), 150, "packets were lost");
    }
    noise.succeeds(CALL_LIMIT);
    caller.succeeds(CALL_LIMIT);
    vendor.stop();
    assert!(stage.switch.metric("strowger_hook_faults_total", &["screening"]) >= 30.0);
}

/// An import that is not granted or not offered by the host prevents loading and is named.
#[test]
fn a_plugin_that_reaches_for_a_disk_is_refused_by_name() {
    let stage = Stage::new();
    let body = serde_json::json!({ "path": built_plugin("trespasser") });
    let (status, answer) = stage.switch.post("/v1/plugins/screening/swap", &body);
    assert!((400..500).contains(&status), "{status} {answer}");
    assert!(answer["detail"].as_str().is_some_and(|d| d.contains("acme:files/disk")), "{answer}");
}
