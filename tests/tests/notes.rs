//! What plugins keep and explain while a call runs is in its record, with real sockets.

use serde_json::Value;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin};

/// Answers of the trail at a hook by a plugin whose name begins like this.
fn answers<'a>(record: &'a Value, hook: &str, plugin: &str) -> Vec<&'a str> {
    let trail = record["trail"].as_array().expect("a trail").iter();
    let of_plugin = trail.filter(|entry| {
        entry["hook"] == hook && entry["plugin"].as_str().is_some_and(|p| p.starts_with(plugin))
    });
    of_plugin.filter_map(|entry| entry["answer"].as_str()).collect()
}

/// Screening of the example `low-balance` reads money and price and keeps the minutes that the money
/// lasts; its routing reads them. The record tells both reasons and the value.
#[test]
fn a_value_reaches_the_later_hooks_and_the_record() {
    let setup = Setup {
        relay: false,
        plugin_lines: "[[plugins.list]]\nname = \"low-balance\"\n\
                       grants = [\"accounts\", \"notes\"]\nconfig = { minutes = 4000000000 }\n"
            .to_owned(),
        ..Setup::new()
    };
    let folder = setup.write();
    let plugin = folder.path().join("plugins/low-balance.wasm");
    std::fs::copy(built_plugin("low-balance"), plugin).expect("`make plugins` built it");
    let stage = Stage::on(&setup, folder);
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let records = stage.switch.settled_records(1);
    let id = records[0]["id"].as_str().expect("an id");
    let record = stage.switch.get(&format!("/v1/records/{id}"));

    let kept = answers(&record, "kept", "low-balance");
    let minutes = kept[0].strip_prefix("minutes = ").expect("the key");
    assert!(minutes.parse::<u64>().is_ok_and(|minutes| minutes > 0), "{minutes}");
    let screened = answers(&record, "screening", "low-balance");
    assert_eq!(screened, [format!("allow: the money lasts {minutes} minutes")]);
    let routed = answers(&record, "routing", "low-balance");
    let told = format!(": cheapest first, {minutes} minutes left");
    assert_eq!(routed.len(), 1, "{record:#}");
    assert!(routed[0].ends_with(&told), "{}", routed[0]);
    assert!(routed[0].contains("vendor-a"), "the routes are still there: {}", routed[0]);
}
