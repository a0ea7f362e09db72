//! A call fails in a plugin: the operator and the author read why, in the plugin's own words.

use std::path::Path;
use std::process::Command;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin, program};

/// The mistake: a message, and the file and line of its source.
const MESSAGE: &str = "a thirteenth vendor";
const PLACE: &str = "clumsy/src/lib.rs:39:";

/// Runs `strowger ...` with the stage's node file.
fn strowger(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program())
        .args(arguments)
        .arg("--config")
        .arg(folder.join("node.toml"))
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{said}");
    text
}

fn says_why(text: &str) {
    for words in [MESSAGE, PLACE, "strowger_guest_clumsy::unlucky"] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
}

/// Routing is answered by the build before, so that only the record, the log and the console know.
#[test]
fn the_record_the_console_the_log_and_a_replay_say_why_a_plugin_failed() {
    let mut setup = Setup::new();
    setup.relay = false;
    let mut stage = Stage::with(&setup);
    stage.switch.swap("routing", &built_plugin("clumsy"));
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("callee", "442071234513").calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let records = stage.switch.settled_records(1);
    let id = records[0]["id"].as_str().expect("an id").to_owned();
    let folder = stage.switch.folder().path().to_owned();

    let whole = stage.switch.get(&format!("/v1/records/{id}"));
    let trail = whole["trail"].as_array().expect("a trail");
    let routing: Vec<_> = trail.iter().filter(|entry| entry["hook"] == "routing").collect();
    assert_eq!(routing.len(), 2, "{routing:#?}");
    says_why(routing[0]["fault"].as_str().expect("a text"));
    let by = |entry: &serde_json::Value| entry["plugin"].as_str().unwrap_or_default().to_owned();
    assert!(by(routing[0]).starts_with("routing 1.0.0 ("), "{routing:#?}");
    assert_eq!(routing[1]["fault"], "", "the build before answered");
    assert_ne!(by(routing[0]), by(routing[1]));

    says_why(&strowger(&folder, &["cdr", &id]));
    let shown = strowger(&folder, &["plugin", "show", "routing"]);
    says_why(&shown);
    assert!(shown.contains("UTC, routing, routing 1.0.0 ("), "{shown}");
    says_why(&stage.switch.log());

    // The same call, put to the build again.
    stage.switch.stop();
    let file = built_plugin("clumsy");
    let file = file.to_str().expect("a plain path");
    let replay = ["plugin", "replay", file, "--call", &id, "--trace"];
    let traced = strowger(&folder, &replay);
    says_why(&traced);
    for words in ["1. ", " routing: ", "\"callee\":\"442071234513\"", "log     info: 2 candidates"]
    {
        assert!(traced.contains(words), "{words} is not in\n{traced}");
    }
    assert!(traced.contains("before  vendor-a, vendor-b (routing "), "{traced}");
    let json = strowger(&folder, &[&replay[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("a report in JSON");
    assert_eq!(json["trace"].as_array().map(Vec::len), Some(1), "{json:#}");
    assert_eq!((&json["asked"], &json["faults"]), (&1.into(), &1.into()), "{json:#}");
}
