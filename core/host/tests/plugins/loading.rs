//! What is refused before it is live, and in which words.

use crate::common::{build, file, guest, hostile, patched, settings};
use host::{Grant, Host, LoadError, PluginSettings};
use policy::{Fault, Hook};
use serde_json::json;
use std::collections::BTreeSet;

fn refused(plugin: PluginSettings) -> LoadError {
    match Host::new(settings(plugin, 1)) {
        Ok(_) => panic!("it should not load"),
        Err(error) => error,
    }
}

fn with_config(test: &str, config: serde_json::Value) -> LoadError {
    refused(PluginSettings {
        config,
        ..hostile(file(&format!("config-{test}"), &guest("hostile")))
    })
}

#[test]
fn an_import_needs_its_grant() {
    let mut plugin = hostile(file("grant", &guest("hostile")));
    plugin.grants.remove(&Grant::Counters);
    assert_eq!(
        refused(plugin).to_string(),
        "plugin `hostile` imports `strowger:policy/host-counters@0.1.0`, which it was not \
         granted; add \"counters\" to its `grants` to allow it"
    );
}

#[test]
fn what_the_host_does_not_have_no_grant_opens() {
    let trespasser = guest("trespasser");
    let plugin = hostile(file("unknown", &trespasser));
    let error = refused(plugin).to_string();
    assert!(
        error.starts_with("plugin `hostile` imports `acme:files/disk@0.2.0`, which this host"),
        "{error}"
    );
    let wasi = patched(trespasser, "acme", "wasi");
    let error = refused(hostile(file("wasi", &wasi)));
    assert!(matches!(&error, LoadError::Wasi { import, .. } if import == "wasi:files/disk@0.2.0"));
}

#[test]
fn a_file_names_what_is_wrong_with_it() {
    let bytes = guest("hostile");
    let half = refused(hostile(file("half", &bytes[..bytes.len() / 2])));
    assert!(matches!(half, LoadError::HalfWritten { .. }), "{half}");
    let text = refused(hostile(file("text", b"fn main() {}")));
    assert!(matches!(text, LoadError::NotWasm { .. }), "{text}");
    let none = refused(hostile("no/such/file.wasm".into()));
    assert!(none.to_string().starts_with("cannot read no/such/file.wasm: "), "{none}");
    let bare = refused(hostile(file("bare", b"\0asm\x01\0\0\0\x00\x02\x01a")));
    assert!(
        matches!(bare, LoadError::Componentize { .. } | LoadError::MissingExport { .. }),
        "{bare}"
    );
}

#[test]
fn the_name_must_be_that_of_the_configuration() {
    let plugin =
        PluginSettings { name: "routing".into(), ..hostile(file("name", &guest("hostile"))) };
    assert_eq!(
        refused(plugin).to_string(),
        "plugin `routing` calls itself `hostile`; name and file must belong together"
    );
}

#[test]
fn configuration_and_self_test_are_tried_before_it_is_live() {
    assert_eq!(
        with_config("refuse", json!({ "configure": "refuse" })).to_string(),
        "plugin `hostile` refuses its configuration: `colour` must be a colour"
    );
    assert_eq!(
        with_config("self-test", json!({ "self-test": "fail" })).to_string(),
        "plugin `hostile` fails its self-test: example 7: expected 2, got 3"
    );
    let trapped = with_config("self-trap", json!({ "self-test": "trap" }));
    assert!(matches!(trapped, LoadError::Failed { stage: "self-test", fault: Fault::Trap(_), .. }));
    let hung = with_config("configure", json!({ "configure": "loop" }));
    assert!(matches!(
        hung,
        LoadError::Failed { stage: "configure", fault: Fault::Deadline(_), .. }
    ));
}

#[test]
fn settings_are_checked_and_hooks_belong_to_one_plugin() {
    let path = file("settings", &guest("hostile"));
    let slow = refused(PluginSettings { deadline_ms: 1, ..hostile(path.clone()) });
    assert_eq!(slow.to_string(), "plugin `hostile`: deadline_ms is 1, allowed is 2 to 1000");

    let mut two = settings(hostile(path.clone()), 1);
    two.plugins.push(hostile(path.clone()));
    assert!(matches!(Host::new(two), Err(LoadError::Twice(_))));

    let only =
        |hook| PluginSettings { hooks: Some(BTreeSet::from([hook])), ..hostile(path.clone()) };
    let host = Host::new(settings(only(Hook::Rating), 1)).expect("it loads");
    assert!(host.current().stamp(Hook::Rating).is_some());
    assert!(host.current().stamp(Hook::Routing).is_none());
}

#[test]
fn a_refused_swap_leaves_the_live_build_alone() {
    let plugin = hostile(file("refused-swap", &guest("hostile")));
    let host = Host::new(settings(plugin, 1)).expect("it loads");
    assert!(host.swap("hostile", b"fn main() {}".to_vec()).is_err());
    let unknown = host.swap("billing", build('b')).unwrap_err();
    assert_eq!(unknown.to_string(), "no plugin `billing` is configured; there are: hostile");
    assert_eq!(host.current().number(), 1);
}
