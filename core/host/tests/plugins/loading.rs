//! Builds that are refused before they are live, and the error texts.

use crate::common::{Tables, build, file, guest, hostile, marks, patched, screen, settings};
use host::{Grant, Host, HostSettings, LoadError, PluginSettings};
use policy::{Fault, Hook};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

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

/// If a 0.2 appears one day, components of 0.1 still run here; a component of 0.2 is distinguished
/// from a broken one.
#[test]
fn a_component_of_another_version_is_refused_beside_one_of_this_version() {
    let host = Host::new(settings(hostile(file("version", &guest("hostile"))), 1));
    let host = host.expect("0.1 loads");
    let newer = patched(guest("hostile"), "@0.1.0", "@0.2.0");
    assert_eq!(
        host.swap("hostile", newer).expect_err("nobody answers 0.2 here").to_string(),
        "plugin `hostile` is built for version 0.2.0 of the policy interface; this host answers \
         version 0.1.0: build it against wit/v0.1, or run a switch that answers 0.2.0"
    );
    assert_eq!(host.current().number(), 1);
    let mut shard = host.shard();
    let pin = host.pin(Arc::new(Tables));
    assert_eq!(marks(shard.ask(&pin, &screen("version"))), ["1.0.0-build-a"]);
}

/// A file that never ends, or is too large for a plugin, is refused before it fills the memory.
#[test]
fn a_file_that_never_ends_is_not_read() {
    let host = Host::new(settings(hostile(file("endless", &guest("hostile"))), 1));
    let host = host.expect("it loads");
    let large = file("large", b"\0asm");
    let opened = std::fs::OpenOptions::new().write(true).open(&large).expect("a file");
    opened.set_len(1 << 40).expect("a sparse file");
    for (path, words) in [
        (Path::new("/dev/zero"), "cannot read /dev/zero: it is no plain file"),
        (&large, "it has more than the 67108864 bytes of a plugin"),
    ] {
        let error = host.swap("hostile", path).expect_err("no plugin").to_string();
        assert!(error.contains(words), "{error}");
    }
    std::fs::remove_file(large).expect("the file goes");
}

/// If the operator names the plugin, its build may have another name; for a file in the folder
/// nobody names one.
#[test]
fn a_build_of_another_name_takes_the_place_that_the_operator_names() {
    let host = Host::new(settings(hostile(file("other-name", &guest("hostile"))), 1));
    let host = host.expect("it loads");
    let other = patched(build('b'), "name=hostile", "name=hostilf");
    let done = host.swap("hostile", other.clone()).expect("the operator said so");
    assert_eq!((&*done.to.name, &*done.to.version), ("hostile", "1.0.0-build-b"));
    let path = file("other-name", &patched(other, "1.0.0-build-b", "1.0.0-build-c"));
    let error = host.swap_file(&path).expect_err("the file has another name");
    assert!(matches!(error, LoadError::WrongName { .. }), "{error}");
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

/// Versions become part of records, metrics and the paths of a shelf.
#[test]
fn the_version_is_short_and_plain() {
    let bytes = patched(guest("hostile"), "1.0.0-build-a", "../../build-a");
    assert_eq!(
        refused(hostile(file("bad-version", &bytes))).to_string(),
        "plugin `hostile` calls its version \"../../build-a\"; allowed is a digit, then up to 63 \
         of A-Z, a-z, 0-9, `.`, `-` and `+`, such as `1.2.0`"
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
    let endless = with_config("self-test-loop", json!({ "self-test": "loop" }));
    assert_eq!(
        endless.to_string(),
        "plugin `hostile` fails in self-test: deadline of 2000 ms passed: in \
         strowger:policy/lifecycle@0.1.0#self-test"
    );
    let hung = with_config("configure", json!({ "configure": "loop" }));
    assert!(matches!(
        hung,
        LoadError::Failed { stage: "configure", fault: Fault::Deadline(..), .. }
    ));
}

#[test]
fn settings_are_checked_and_can_leave_hooks_out() {
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

/// Intact cache entries are used, and damaged ones are made again.
#[test]
fn a_damaged_cache_is_as_good_as_none() {
    let cache = file("cache", &[]).with_extension("folder");
    let _ = std::fs::remove_dir_all(&cache);
    let load = || {
        let plugin = hostile(file("cached", &guest("hostile")));
        let settings = HostSettings { cache_dir: Some(cache.clone()), ..settings(plugin, 1) };
        let host = Host::new(settings).expect("it loads");
        let pin = host.pin(Arc::new(Tables));
        assert_eq!(marks(host.shard().ask(&pin, &screen("version"))), ["1.0.0-build-a"]);
        host.list().remove(0).digest
    };
    let digest = load();
    let kept = cache.join("components").join(digest);
    let component = std::fs::read(&kept).expect("the component is kept");
    for damaged in [&component[..component.len() / 2], &[0; 100]] {
        std::fs::write(&kept, damaged).expect("the test's folder is writable");
        load();
        assert!(std::fs::read(&kept).expect("it is there") == component, "made anew");
    }
}

/// Code in the cache runs without another check, even if signatures are required. So a cache that
/// others can write to is not used.
#[test]
fn a_cache_that_others_can_write_to_is_not_run() {
    let cache = file("open-cache", &[]).with_extension("folder");
    let _ = std::fs::remove_dir_all(&cache);
    let load = |bytes: &[u8]| {
        let plugin = hostile(file("open-cached", bytes));
        let settings = HostSettings { cache_dir: Some(cache.clone()), ..settings(plugin, 1) };
        let host = Host::new(settings).expect("it loads");
        let pin = host.pin(Arc::new(Tables));
        let marks = marks(host.shard().ask(&pin, &screen("version")));
        (host.list().remove(0).digest, marks)
    };
    let (right, marks) = load(&guest("hostile"));
    assert_eq!(marks, ["1.0.0-build-a"]);
    let (other, marks) = load(&build('b'));
    assert_eq!(marks, ["1.0.0-build-b"]);
    // Another component under the digest of the first.
    let kept = cache.join("components");
    std::fs::copy(kept.join(other), kept.join(right)).expect("the test's folder is writable");
    let rights = |mode| std::fs::set_permissions(&kept, Permissions::from_mode(mode));
    rights(0o777).expect("it is ours");
    assert_eq!(load(&guest("hostile")).1, ["1.0.0-build-a"]);
    // To show that it would have run.
    rights(0o700).expect("it is ours");
    assert_eq!(load(&guest("hostile")).1, ["1.0.0-build-b"]);
}
