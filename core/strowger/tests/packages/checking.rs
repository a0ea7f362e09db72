//! `plugin check` and `plugin bench`.

use crate::support::{fails, folder, patched, plugin_in, succeeds, text};
use serde_json::Value;

#[test]
fn check_tells_what_a_plugin_needs_and_how_long_it_takes() {
    let folder = folder("check");
    let file = plugin_in(&folder, "margin-guard");
    let said = succeeds(&["check", text(&file)]);
    for line in [
        "plugin      margin-guard 1.0.0",
        "signed      no",
        "grants      log, metrics",
        "interface   strowger:policy 0.1.0",
        "            log for host-log",
        "hooks       routing",
        "self-test   2 passed",
        "deadline    5000 µs for each question",
        "a switch would load it",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    let said = succeeds(&["check", text(&file), "--json", "--config", r#"{"action":"exclude"}"#]);
    let report: Value = serde_json::from_str(&said).unwrap();
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).expect(pointer);
    assert!(number("/total_bytes") > number("/code_bytes") && number("/code_bytes") > 1_000.0);
    assert!(number("/memory_bytes") >= 65_536.0 && number("/data_bytes") > 0.0);
    assert_eq!((number("/times/0/questions"), number("/times/0/answered")), (2_000.0, 2_000.0));
    assert!(
        number("/times/0/p50_us") > 0.0 && number("/times/0/p50_us") <= number("/times/0/worst_us")
    );
}

#[test]
fn check_fails_with_the_reason_that_a_switch_would_give() {
    let folder = folder("refused");
    let file = plugin_in(&folder, "margin-guard");
    let complaint = fails(&["check", text(&file), "--config", r#"{"min_margin":"1%"}"#]);
    assert!(
        complaint.contains("would be refused") && complaint.contains("`min_margin`"),
        "{complaint}"
    );

    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(fails(&["check", text(&file)]).contains("is incomplete"));
    std::fs::write(&file, b"#!/bin/sh").unwrap();
    assert!(fails(&["check", text(&file)]).contains("is not WebAssembly"));
    // A component, but without any hook.
    std::fs::write(&file, b"\0asm\x0d\0\x01\0\x00\x02\x01a").unwrap();
    let complaint = fails(&["check", text(&file)]);
    assert!(complaint.contains("`strowger:policy/lifecycle@0.1.0`"), "{complaint}");
    let trespasser = plugin_in(&folder, "trespasser");
    let complaint = fails(&["check", text(&trespasser)]);
    assert!(complaint.contains("imports `acme:files/disk@0.2.0`"), "{complaint}");
}

/// A plugin for an interface version that this switch lacks.
#[test]
fn check_tells_which_version_of_the_interface_a_plugin_was_built_for() {
    let folder = folder("versions");
    let file = plugin_in(&folder, "margin-guard");
    patched(&file, "@0.1.0", "@0.9.0");
    let complaint = fails(&["check", text(&file)]);
    for words in ["is built for version 0.9.0", "answers version 0.1.0", "build it against"] {
        assert!(complaint.contains(words), "{words} is not in {complaint}");
    }
}

/// No request is sent during a check, so that it shows how the plugin works without an answer.
#[test]
fn check_takes_a_plugin_that_asks_servers() {
    let folder = folder("outside");
    let file = plugin_in(&folder, "lrn-router");
    let config = r#"{"url":"https://lrn.example.com/{number}"}"#;
    let said = succeeds(&["check", text(&file), "--config", config]);
    assert!(said.contains("http for host-http"), "{said}");
    let complaint = fails(&["check", text(&file), "--config", r#"{"urll":"x"}"#]);
    assert!(complaint.contains("'urll'"), "{complaint}");
}

/// The plugin's vectors are checked, and a wrong answer fails the check.
#[test]
fn check_asks_the_vectors() {
    let folder = folder("vectors");
    let file = plugin_in(&folder, "first-router");
    let vectors = folder.join("vectors.json");
    let case = |routes: &str| {
        format!(
            r#"{{ "cases": [{{ "name": "the cheaper first",
                "question": {{ "route": {{ "callee": "44", "candidates": [
                    {{ "trunk": 1, "buy_price": 200 }}, {{ "trunk": 2, "buy_price": 100 }}] }} }},
                "answer": {{ "route": {{ "Ok": {routes} }} }} }}] }}"#
        )
    };
    std::fs::write(&vectors, case("[2, 1]")).unwrap();
    let said = succeeds(&["check", text(&file), "--vectors", text(&vectors)]);
    assert!(said.contains("ok      the cheaper first\n1 passed, 0 failed"), "{said}");
    let said = succeeds(&["check", text(&file), "--vectors", text(&vectors), "--json"]);
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report.pointer("/vectors"), Some(&Value::from(1)));
    std::fs::write(&vectors, case("[1, 2]")).unwrap();
    let complaint = fails(&["check", text(&file), "--vectors", text(&vectors)]);
    assert!(complaint.contains("1 of 1 vectors fail"), "{complaint}");
}

/// Answers that no call could use are found before a call gets them.
#[test]
fn check_fails_when_questions_are_not_answered() {
    let folder = folder("unanswered");
    let file = plugin_in(&folder, "caller-pool");
    let config = r#"{"pools":[{"name":"a","numbers":["4930100-4931000"],"order":"random"}]}"#;
    succeeds(&["check", text(&file), "--config", config]);
    let hostile = plugin_in(&folder, "hostile");
    succeeds(&["check", text(&hostile)]);
    let complaint = fails(&["check", text(&hostile), "--config", r#"{"self-test":"fail"}"#]);
    assert!(complaint.contains("example 7: expected 2, got 3"), "{complaint}");
    patched(&hostile, "1.0.0-build-a", "1.0.0-build-x");
    let complaint = fails(&["check", text(&hostile)]);
    assert!(complaint.contains(" of 2000 questions: "), "{complaint}");
}

#[test]
fn bench_measures_each_hook() {
    let folder = folder("bench");
    let file = plugin_in(&folder, "numbering");
    let said = succeeds(&["bench", text(&file), "--questions", "500", "--json"]);
    let report: Value = serde_json::from_str(&said).unwrap();
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).expect(pointer);
    assert!(number("/compile_ms") > 0.0 && number("/instantiate_us") > 0.0);
    assert_eq!(report.pointer("/hooks/0/hook"), Some(&Value::from("numbering")));
    assert_eq!(number("/hooks/0/answered"), 500.0);
    let figures =
        ["p50_us", "p99_us", "worst_us"].map(|figure| number(&format!("/hooks/0/{figure}")));
    assert!(figures.is_sorted() && figures[0] > 0.0, "{figures:?}");
    assert!(number("/hooks/0/per_second") > 100.0);
    let said = succeeds(&["bench", text(&file), "--questions", "100"]);
    assert!(said.starts_with("numbering ") && said.contains("A SECOND"), "{said}");
}
