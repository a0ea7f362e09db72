//! Replays decisions of real calls with other builds.

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, Switch, built_plugin, program};

const CALLS: u64 = 3;

/// A stopped switch with a history of calls.
struct Past {
    switch: Switch,
    /// Ids of the calls.
    calls: Vec<String>,
}

/// Three answered calls with a rewritten callee.
fn three_calls(node: &str) -> Past {
    let mut setup = Setup::new();
    setup.relay = false;
    setup.node = "shards = 1".to_owned();
    setup.calls = format!("\n{node}");
    setup.customer = "callee_rules = \"international\"".to_owned();
    setup.business = "[[rule_set]]\nname = \"international\"\ntext = \"00 ->\"\n".to_owned();
    let mut stage = Stage::with(&setup);
    for _ in 0..CALLS {
        let mut vendor = stage.vendor_a().answers();
        let mut caller = stage.caller().with("callee", "00442071234567").calls();
        caller.succeeds(CALL_LIMIT);
        vendor.succeeds(CALL_LIMIT);
    }
    let records = stage.switch.settled_records(CALLS as usize);
    let id = |record: &Value| record["id"].as_str().expect("an id").to_owned();
    let calls = records.iter().map(id).collect();
    stage.switch.stop();
    Past { switch: stage.switch, calls }
}

fn replay(stage: &Past, plugin: &str, arguments: &[&str]) -> Value {
    let output = command(stage, plugin).arg("--json").args(arguments).output();
    let output = output.expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report in JSON")
}

fn command(stage: &Past, plugin: &str) -> Command {
    let mut command = Command::new(program());
    let node_file = stage.switch.folder().path().join("node.toml");
    command.args(["plugin", "replay"]).arg(built_plugin(plugin)).arg("--config").arg(node_file);
    command
}

fn shows(report: &Value, pointer: &str, value: impl Into<Value>) {
    let found = report.pointer(pointer).unwrap_or(&Value::Null);
    assert_eq!(*found, value.into(), "{pointer} of {report:#}");
}

/// ROUTE-82: the build that decided the calls decides them in the same way again, from the log
/// alone.
#[test]
fn the_same_build_gives_the_same_answers() {
    let stage = three_calls("");
    for (plugin, asked) in [
        ("screening", CALLS),
        ("numbering", 2 * CALLS),
        ("rating", 3 * CALLS),
        ("routing", CALLS),
        ("identity", CALLS),
    ] {
        let report = replay(&stage, plugin, &[]);
        shows(&report, "/asked", asked);
        shows(&report, "/same", asked);
        shows(&report, "/different", 0);
        shows(&report, "/faults", 0);
        shows(&report, "/notes", Value::Array(Vec::new()));
    }
    let folder = stage.switch.folder().path();
    let alone = Command::new(program())
        .args(["plugin", "replay", "--json", "--config", "none", "--log"])
        .arg(folder.join("data/decisions"))
        .arg(built_plugin("numbering"))
        .output()
        .expect("the program runs");
    assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stderr));
    let report: Value = serde_json::from_slice(&alone.stdout).expect("a report in JSON");
    shows(&report, "/same", 2 * CALLS);
    assert!(
        report["notes"][0].as_str().is_some_and(|note| note.contains("no node file")),
        "{report}"
    );
}

/// ROUTE-82: another order of vendors, and its cost.
#[test]
fn other_routes_are_told_with_trunk_destination_and_margin() {
    let stage = three_calls("");
    let report = replay(&stage, "rival-routing", &[]);
    shows(&report, "/asked", CALLS);
    shows(&report, "/different", CALLS);
    shows(&report, "/hooks/routing/kinds/first_route", CALLS);
    shows(&report, "/hooks/routing/kinds/route_order", CALLS);
    // Both vendors buy at 0.12 and the customer pays 0.6.
    shows(&report, "/margin/count", CALLS);
    shows(&report, "/margin/before", "1.44");
    shows(&report, "/margin/after", "1.44");
    shows(&report, "/trunks/0/name", "customer");
    shows(&report, "/trunks/0/first_routes", CALLS);
    shows(&report, "/destinations/0/name", "4420");
    shows(&report, "/examples/0/before", "vendor-a, vendor-b");
    shows(&report, "/examples/0/after", "vendor-b, vendor-a");
    shows(
        &report,
        "/examples/0/question",
        "15551230001 calls 442071234567 at 0.6 a minute, 2 candidates",
    );
    let call = report["examples"][0]["call"].as_str().expect("a call id");
    assert!(stage.calls.iter().any(|known| known == call), "{call} is one of the calls");

    let text = command(&stage, "rival-routing").output().expect("the program runs");
    let text = String::from_utf8(text.stdout).expect("words");
    for words in ["3 different", "first route", "customer", "vendor-b, vendor-a"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let none = replay(&stage, "rival-routing", &["--until", "2026-01-01"]);
    shows(&none, "/asked", 0);
}

/// Other numbers and new refusals, the latter by a counter that follows the recorded clock.
#[test]
fn other_numbers_and_new_refusals_are_told() {
    let stage = three_calls("");
    let report = replay(&stage, "rival-numbering", &[]);
    shows(&report, "/hooks/numbering/asked", 2 * CALLS);
    shows(&report, "/hooks/numbering/kinds/callee", CALLS);
    shows(&report, "/trunks/0/numbers", CALLS);
    shows(&report, "/examples/0/after", "15551230001 calls 00442071234567, identity 15551230001");

    let settings = ["--settings", r#"{"velocity":{"limit":1,"window_s":3600,"block_s":3600}}"#];
    let report = replay(&stage, "screening", &settings);
    shows(&report, "/hooks/screening/kinds/new_reject", CALLS - 1);
    shows(&report, "/rejects/0/new", CALLS - 1);
    shows(&report, "/rejects/0/gone", 0);
    shows(&report, "/examples/0/before", "allow");

    let wrong = command(&stage, "screening").args(["--settings", "{\"levls\":[]}"]).output();
    let wrong = wrong.expect("the program runs");
    let words = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && words.contains("levls"), "{words}");
}

/// The log lacks the last digits of numbers, and replay works nevertheless.
#[test]
fn masked_numbers_replay_like_real_ones() {
    let stage = three_calls("[decisions]\nmask_numbers = 4\n");
    for plugin in ["numbering", "routing", "identity"] {
        let report = replay(&stage, plugin, &[]);
        shows(&report, "/different", 0);
        shows(&report, "/log/masked_digits", 4);
    }
    let report = replay(&stage, "rival-routing", &[]).to_string();
    assert!(report.contains("1555123") && report.contains("44207123"), "{report}");
    assert!(!report.contains("15551230001") && !report.contains("442071234567"), "{report}");
}

#[test]
fn a_log_that_was_cut_off_and_one_that_is_switched_off() {
    let stage = three_calls("");
    let folder = stage.switch.folder().path().join("data/decisions");
    let file = segments(&folder).pop().expect("a segment");
    let bytes = std::fs::read(&file).expect("readable");
    std::fs::write(&file, &bytes[..bytes.len() - 5]).expect("writable");
    let report = replay(&stage, "routing", &[]);
    shows(&report, "/log/torn", 1);
    shows(&report, "/different", 0);
    assert!(report["asked"].as_u64().is_some_and(|asked| asked < CALLS), "{report}");

    let stage = three_calls("[decisions]\nenabled = false\n");
    assert!(!stage.switch.folder().path().join("data/decisions").exists());
    let none = command(&stage, "routing").output().expect("the program runs");
    let words = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(!none.status.success() && words.contains("no decisions"), "{words}");
}

fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the log's folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// OPS-49: recorded decisions are counted.
#[test]
fn kept_decisions_are_counted() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    stage.caller().calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let _ = stage.switch.record();
    strowger_tests::wait::until("decisions on disk", CALL_LIMIT, || {
        (stage.switch.metric("strowger_decisions_recorded_total", &[]) >= 8.0).then_some(())
    });
    assert!(stage.switch.metric("strowger_decisions_bytes_total", &[]) > 100.0);
    assert_eq!(stage.switch.metric("strowger_decisions_dropped_total", &[]) as u64, 0);
}
