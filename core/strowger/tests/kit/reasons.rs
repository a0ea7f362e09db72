//! What an author reads when a plugin fails, or does not compile.

use crate::support::{fails, folder, is_missing, plugin, skipped, succeeds, text};
use std::fs;
use std::path::{Path, PathBuf};

/// A new router in which a text of the source is replaced.
fn changed(test: &str, lang: &str, source: &str, from: &str, to: &str) -> PathBuf {
    let project = folder(&format!("{test}-{lang}")).join("my-router");
    let made = ["new", "my-router", "--lang", lang, "--path", text(&project)];
    succeeds(&made).expect("no compiler is needed");
    let file = project.join(source);
    let before = fs::read_to_string(&file).expect("readable");
    assert!(before.contains(from), "{from} is not in {before}");
    fs::write(&file, before.replacen(from, to, 1)).expect("writable");
    project
}

/// `plugin test` of a router that fails at its first question shows these words.
fn tells(project: &Path, words: &[&str]) {
    let output = plugin(&["test", "--vectors-only", "--path", text(project)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    if is_missing(&errors) {
        return skipped(&errors);
    }
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("answered nothing: trapped: "), "{told}{errors}");
    for word in words {
        assert!(told.contains(word), "{word} is not in\n{told}");
    }
}

/// `plugin build` of a misspelt source shows these words of the compiler, on few lines.
fn complains(project: &Path, words: &[&str]) {
    let errors = fails(&["build", "--path", text(project)]);
    if is_missing(&errors) {
        return skipped(&errors);
    }
    for word in words {
        assert!(errors.contains(word), "{word} is not in\n{errors}");
    }
    assert!(errors.lines().count() <= 12, "{errors}");
}

#[test]
fn a_panic_in_rust_is_told_with_its_message_and_its_line() {
    let line = "        let mut order = question.candidates.clone();\n";
    let panics = format!("{line}        assert!(order.len() > 99, \"no vendor is left\");\n");
    let project = changed("panics", "rust", "src/lib.rs", line, &panics);
    let place = "panicked at src/lib.rs:26:9: no vendor is left\n";
    tells(&project, &[place, "in <my_router::Router as plugin_sdk::routing::Routing>::select"]);
    let words = fails(&["check", "--path", text(&project)]);
    assert!(words.contains("vectors fail"), "{words}");
    fs::remove_file(project.join("vectors.json")).expect("it was there");
    let words = fails(&["check", "--path", text(&project)]);
    assert!(words.contains("my-router.wasm: routing fails "), "{words}");
    assert!(words.contains(place), "{words}");
}

#[test]
fn an_assertion_in_c_is_told_with_its_words_and_its_line() {
    let (from, to) = ("#include <stdlib.h>\n", "#include <assert.h>\n#include <stdlib.h>\n");
    let project = changed("asserts", "c", "src/plugin.c", from, to);
    let file = project.join("src/plugin.c");
    let before = fs::read_to_string(&file).expect("readable");
    let line = "  size_t count = question->candidates.len;\n";
    let asserts = format!("{line}  assert(count > 99);\n");
    fs::write(&file, before.replacen(line, &asserts, 1)).expect("writable");
    tells(&project, &["Assertion failed: count > 99 (", "plugin.c: ", "routing_select: 24)"]);
}

#[test]
fn an_exception_in_javascript_is_told_with_its_stack() {
    let line = "    return question.candidates.sort(order)";
    let throws = format!("    question.candidates[99].trunk += 1;\n{line}");
    let project = changed("throws", "javascript", "src/plugin.js", line, &throws);
    tells(&project, &["TypeError: ", "select@", "plugin.js:8:"]);
}

#[test]
fn an_exception_in_python_is_told_with_its_traceback() {
    let line = "        return [candidate.trunk for candidate in order]\n";
    let raises = "        return [order[99].trunk]\n";
    let project = changed("raises", "python", "src/app.py", line, raises);
    tells(
        &project,
        &["IndexError: list index out of range\n", "app.py:13 in select: return [order[99].trunk]"],
    );
}

#[test]
fn a_misspelt_word_in_rust_gets_the_compilers_own_lines() {
    let (from, to) = ("question.candidates.clone()", "question.candidats.clone()");
    let project = changed("misspelt", "rust", "src/lib.rs", from, to);
    complains(&project, &["error[E0609]: no field `candidats`", "--> src/lib.rs:25:"]);
}

#[test]
fn a_misspelt_word_in_c_gets_the_compilers_own_lines() {
    let (from, to) = ("question->candidates.len", "question->candidats.len");
    let project = changed("misspelt", "c", "src/plugin.c", from, to);
    complains(&project, &["src/plugin.c:", "error: no member named 'candidats'"]);
}

#[test]
fn a_misspelt_word_in_javascript_gets_the_compilers_own_lines() {
    let project =
        changed("misspelt", "javascript", "src/plugin.js", "export const", "exprot const");
    complains(&project, &["SyntaxError", "src/plugin.js:3"]);
}

#[test]
fn a_misspelt_word_in_python_gets_the_compilers_own_lines() {
    let (from, to) = ("class Routing:", "clas Routing:");
    let project = changed("misspelt", "python", "src/app.py", from, to);
    complains(&project, &["SyntaxError: invalid syntax", "app.py\", line 8"]);
}

#[test]
fn log_lines_are_shown_where_a_plugin_is_tried() {
    let project = folder("logs").join("my-events");
    let path = text(&project);
    let made = ["new", "my-events", "--lang", "rust", "--hook", "events", "--path", path];
    succeeds(&made).expect("no compiler is needed");
    let told = succeeds(&["test", "--vectors-only", "--path", path]).expect("Rust is here");
    assert!(told.contains("\n        log  info: "), "{told}");
    let told = succeeds(&["check", "--path", path]).expect("it was built before");
    assert!(told.contains("\nevents logged ") && told.contains("; the first 5:\n"), "{told}");
}
