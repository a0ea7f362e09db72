//! A plugin that supervises running calls, with real sockets.

use serde_json::Value;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin};

/// A stage with the example `premium-limit`: calls to 4490 may last for two seconds.
fn stage(node: &str) -> Stage {
    let mut setup = Setup::new();
    setup.relay = false;
    setup.calls = "supervision = \"1s\"".to_owned();
    setup.plugin_lines = format!(
        "[[plugins.list]]\nname = \"premium-limit\"\n\
         config = {{ limits = [{{ prefixes = [\"4420\"], seconds = 2, warn_s = 1, cause = 21 }}] }}\n{node}"
    );
    let folder = setup.write();
    let plugin = folder.path().join("plugins/premium-limit.wasm");
    std::fs::copy(built_plugin("premium-limit"), plugin).expect("`make plugins` built it");
    Stage::on(&setup, folder)
}

/// The record of the one call with its trail.
fn record(stage: &Stage) -> Value {
    let records = stage.switch.settled_records(1);
    let id = records[0]["id"].as_str().expect("an id");
    stage.switch.get(&format!("/v1/records/{id}"))
}

/// Supervision entries of the trail, in order.
fn supervision(record: &Value) -> Vec<&str> {
    let trail = record["trail"].as_array().expect("a trail").iter();
    let own = trail.filter(|entry| entry["hook"] == "supervision");
    own.filter_map(|entry| entry["answer"].as_str()).collect()
}

/// SIG-35, SIG-93: marked after one second, ended after two, and billed.
#[test]
fn a_call_to_a_limited_range_is_marked_and_ended() {
    let stage = stage("");
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().waits_for_bye();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    for told in [caller.hears("BYE"), vendor.hears("BYE")] {
        assert!(told.contains("Reason: Q.850;cause=21\r\n"), "{told}");
    }
    let record = record(&stage);
    assert_eq!(record["end_reason"], "premium_limit", "{record:#}");
    assert_eq!(record["marks"][0], "premium:long", "{record:#}");
    let lasted = record["duration_ms"].as_u64().expect("a duration");
    assert!((2_000..3_000).contains(&lasted), "{lasted} ms");
    assert_eq!(record["sell"]["billed_s"], 2 + u64::from(lasted > 2_000), "{record:#}");
    let said = [
        "limit 12 s, ask again after 1 s",
        "limit 11 s, mark premium:long, ask again after 1 s",
        "end premium_limit cause 21",
    ];
    assert_eq!(supervision(&record), said);
    let answered = stage.switch.metric("strowger_hook_seconds_count", &["supervision"]);
    assert_eq!(answered as u64, 3);
}

/// A plugin in the chain of another trunk costs a call nothing.
#[test]
fn calls_of_other_trunks_are_not_asked_about() {
    let chains = "by_default = false\n[[plugins.chain]]\nhook = \"supervision\"\n\
                  customer_trunk = \"poor\"\nplugins = [\"premium-limit\"]\n";
    let stage = stage(chains);
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("talk_ms", 2_500).calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = record(&stage);
    assert_eq!(record["end_reason"], "caller_hangup", "{record:#}");
    assert_eq!(supervision(&record), [""; 0]);
}
