//! `plugin new`, `plugin build`, `plugin test` in an empty folder.

use crate::support::{fails, folder, is_missing, plugin, skipped, succeeds, text};
use std::fs;

const HOOKS: [&str; 7] =
    ["screening", "numbering", "rating", "routing", "identity", "supervision", "events"];

/// A new router builds and passes its vectors in the host, and fails if a vector is wrong.
fn a_new_router_passes_and_can_fail(lang: &str) {
    let project = folder(&format!("router-{lang}")).join("my-router");
    let path = text(&project);
    let said = plugin(&["new", "my-router", "--lang", lang, "--path", path]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let Some(words) = succeeds(&["build", "--path", path]) else { return };
    assert!(words.contains("build/my-router.wasm"), "{words}");
    let component = fs::read(project.join("build/my-router.wasm")).expect("it was built");
    assert_eq!(&component[..8], b"\0asm\x0d\0\x01\0", "a component, not a core module");

    let words = succeeds(&["test", "--path", path, "--vectors-only"]).expect("it was built before");
    assert!(words.contains("3 passed, 0 failed"), "{words}");

    let vectors = project.join("vectors.json");
    let wrong = fs::read_to_string(&vectors).expect("readable").replace("[7, 2, 4]", "[2, 7, 4]");
    fs::write(&vectors, wrong).expect("writable");
    let output = plugin(&["test", "--path", path, "--vectors-only"]);
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(words.contains("expected {\"route\":{\"Ok\":[2,7,4]}}"), "{words}");
    assert!(words.contains("answered {\"route\":{\"Ok\":[7,2,4]}}"), "{words}");
}

/// Without a file, the project determines what is checked and measured, and with which settings.
#[test]
fn a_project_is_checked_and_measured_with_its_own_settings() {
    let project = folder("checked").join("my-router");
    let path = text(&project);
    let said = plugin(&["new", "my-router", "--lang", "c", "--path", path]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let complaint = fails(&["check", "--path", path]);
    assert!(complaint.contains("`strowger plugin build` makes it"), "{complaint}");
    if succeeds(&["build", "--path", path]).is_none() {
        return;
    }
    let words = succeeds(&["check", "--path", path]).expect("it was built before");
    for line in ["plugin      my-router ", "3 passed, 0 failed", "a switch would load it"] {
        assert!(words.contains(line), "{line} is not in\n{words}");
    }
    let words = succeeds(&["bench", "--path", path, "--questions", "100"]).expect("as before");
    assert!(words.contains("routing"), "{words}");
    let vectors = project.join("vectors.json");
    let wrong = fs::read_to_string(&vectors).expect("readable").replace("[7, 2, 4]", "[2, 7, 4]");
    fs::write(&vectors, wrong).expect("writable");
    let complaint = fails(&["check", "--path", path]);
    assert!(complaint.contains("1 of 3 vectors fail"), "{complaint}");
}

#[test]
fn a_new_router_in_c_passes_and_can_fail() {
    a_new_router_passes_and_can_fail("c");
}

#[test]
fn a_new_router_in_javascript_passes_and_can_fail() {
    a_new_router_passes_and_can_fail("javascript");
}

#[test]
fn a_new_router_in_python_passes_and_can_fail() {
    a_new_router_passes_and_can_fail("python");
}

#[test]
fn a_new_router_in_rust_passes_and_can_fail() {
    a_new_router_passes_and_can_fail("rust");
}

#[test]
fn a_rust_project_brings_native_tests_that_are_run() {
    let project = folder("native").join("my-router");
    let path = text(&project);
    succeeds(&["new", "my-router", "--lang", "rust", "--path", path]).expect("no compiler needed");
    let words = succeeds(&["test", "--path", path]).expect("Rust is here");
    assert!(words.contains("cargo test passed\n"), "{words}");
    let source = project.join("src/lib.rs");
    let right = fs::read_to_string(&source).expect("readable");
    let wrong = right.replace("486", "503").replace("vendor(2, 10)", "vendor(2, 40)");
    fs::write(&source, wrong).expect("writable");
    let words = fails(&["test", "--path", path]);
    assert!(words.contains("`cargo test` fails"), "{words}");

    // The compiler's messages for people, without those for programs.
    fs::write(&source, format!("{right}\nfn broken() -> u32 {{ \"text\" }}\n")).expect("writable");
    let words = fails(&["build", "--path", path]);
    assert!(words.contains("error[E0308]: mismatched types"), "{words}");
    assert!(!words.contains("{\"reason\""), "{words}");
}

/// A project that makes HTTP requests is tested like any other; none is sent.
#[test]
fn a_project_with_the_grant_http_is_tested() {
    let project = folder("http").join("my-router");
    let path = text(&project);
    succeeds(&["new", "my-router", "--lang", "rust", "--path", path]).expect("no compiler needed");
    let manifest = project.join("plugin.toml");
    let granted = fs::read_to_string(&manifest).expect("readable");
    let granted = granted.replace("grants = []", "grants = [\"http\"]");
    assert!(granted.contains("\"http\"]"), "{granted}");
    fs::write(&manifest, granted).expect("writable");
    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).expect("readable");
    let asks =
        "        assert!(plugin_sdk::host::http::get(\"http://192.0.2.1/\").send().is_err());\n";
    let (before, after) = text.split_once("-> Result<Vec<TrunkId>, Rejection> {\n").expect("it is");
    let text = format!("{before}-> Result<Vec<TrunkId>, Rejection> {{\n{asks}{after}");
    fs::write(&source, text).expect("writable");
    let words = succeeds(&["test", "--path", path, "--vectors-only"]).expect("Rust is here");
    assert!(words.contains("3 passed, 0 failed"), "{words}");
}

/// The vectors of a hook are the same in every language, so that the fast languages suffice.
#[test]
fn there_is_a_template_for_every_hook() {
    let folder = folder("hooks");
    for hook in HOOKS {
        for lang in ["c", "rust"] {
            let project = folder.join(format!("{lang}-{hook}"));
            let path = text(&project);
            let name = format!("my-{hook}");
            let made = ["new", &name, "--lang", lang, "--hook", hook, "--path", path];
            succeeds(&made).expect("no compiler is needed");
            if let Some(words) = succeeds(&["test", "--path", path, "--vectors-only"]) {
                assert!(words.contains(" 0 failed"), "{lang}, {hook}: {words}");
            }
        }
    }
}

#[test]
fn what_cannot_be_made_is_said() {
    let folder = folder("refused");
    let path = text(&folder);
    fs::write(folder.join("mine.txt"), "").expect("writable");
    let words = fails(&["new", "a", "--lang", "c", "--path", path]);
    assert!(words.contains("is not empty; name another folder with --path"), "{words}");
    let words = fails(&["new", "A b", "--lang", "c", "--path", text(&folder.join("b"))]);
    assert!(words.contains("name `A b`: allowed are 1 to 64 of a-z, 0-9 and -"), "{words}");
    let new = ["new", "a", "--lang", "rust", "--sdk", path, "--path"];
    let words = fails(&[&new[..], &[text(&folder.join("c"))]].concat());
    assert!(words.contains("the plugin SDK is not in"), "{words}");
    let words = fails(&["build", "--path", path]);
    assert!(words.contains("plugin.toml cannot be read; a project is made by"), "{words}");
}

/// C code that needs WASI is refused with the name of the import.
#[test]
fn wasi_is_refused_by_name() {
    let project = folder("wasi").join("clock");
    let path = text(&project);
    succeeds(&["new", "clock", "--lang", "c", "--path", path]).expect("no compiler is needed");
    let source = project.join("src/plugin.c");
    let text = fs::read_to_string(&source).expect("readable");
    let text = text.replace("#include <stdlib.h>", "#include <stdlib.h>\n#include <time.h>");
    let text = text.replace("  (void)call;", "  (void)call;\n  if (time(0) == 0) return;");
    fs::write(&source, text).expect("writable");
    let words = fails(&["build", "--path", path]);
    if is_missing(&words) {
        return skipped(&words);
    }
    assert!(words.contains("clock_time_get`: there is no WASI for plugins"), "{words}");
}
