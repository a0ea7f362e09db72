//! A node that loads only signed plugins: at start, at a swap, from the watched folder.

use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use strowger_tests::switch::{Folder, Setup, Switch, built_plugin, program, refusal};
use strowger_tests::wait;

const LIMIT: Duration = Duration::from_secs(20);

fn command(arguments: &[&str]) -> String {
    let output = Command::new(program()).arg("plugin").args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
    said
}

fn complaint(arguments: &[&str]) -> String {
    let output = Command::new(program()).arg("plugin").args(arguments).output().expect("it runs");
    assert!(!output.status.success(), "{arguments:?} succeeds");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A folder whose node file requires signatures of a new key, and the id of the key.
fn strict(setup: &Setup) -> (Folder, String) {
    let folder = setup.write();
    let said = command(&["keygen", text(&folder.path().join("key"))]);
    let (id, public) = said.trim().split_once('\n').expect("id and key");
    let node = folder.read("node.toml");
    let signing = format!("watch = true\nsigning = {{ required = true, keys = [\"{public}\"] }}\n");
    folder.put("node.toml", &node.replace("watch = true\n", &signing));
    (folder, id.strip_prefix("key ").expect("an id").to_owned())
}

fn sign(folder: &Folder, file: &Path) {
    command(&["sign", text(file), "--key", text(&folder.path().join("key"))]);
}

fn generation(switch: &Switch) -> u64 {
    switch.get("/v1/plugins")["generation"].as_u64().expect("a generation")
}

#[test]
fn a_node_that_wants_signatures_refuses_what_is_not_signed() {
    let setup = Setup::new();
    let (folder, id) = strict(&setup);
    let told = refusal(&folder);
    let wanted = format!("is not signed, and wanted is a signature of key {id}; sign it by");
    assert!(told.contains(&wanted) && told.contains("plugin `"), "{told}");

    for (name, _) in &setup.plugins {
        sign(&folder, &folder.path().join(format!("plugins/{name}.wasm")));
    }
    let switch = Switch::start(setup.net, folder);
    let listed = switch.get("/v1/plugins");
    let plugins = listed["plugins"].as_array().expect("a list");
    for plugin in plugins {
        assert_eq!((&plugin["signer"], &plugin["trusted"]), (&json!(id), &json!(true)), "{plugin}");
    }
    let before = generation(&switch);

    // A file on the node's disk, and an upload.
    let rival = built_plugin("rival-routing");
    let (status, answer) = switch.post("/v1/plugins/routing/swap", &json!({ "path": rival }));
    assert_ne!(status, 200, "{answer}");
    assert!(answer.to_string().contains("plugin `routing`: "), "{answer}");
    assert!(answer.to_string().contains("is not signed"), "{answer}");
    let node = switch.folder().path().join("node.toml");
    let upload = ["swap", "routing", text(&rival), "--config", text(&node)];
    let told = complaint(&upload);
    assert!(told.contains("plugin `routing`: the upload is not signed"), "{told}");
    let canary = ["canary", "routing", text(&rival), "--config", text(&node)];
    assert!(complaint(&canary).contains("is not signed"));

    // The watched folder: unsigned, then signed and changed.
    let live = switch.folder().path().join("plugins/routing.wasm");
    let aside = switch.folder().path().join("rival.wasm");
    std::fs::copy(&rival, &aside).expect("writable");
    std::fs::copy(&aside, &live).expect("writable");
    wait::until("the refusal is logged", LIMIT, || {
        switch.log().contains("routing.wasm is not signed").then_some(())
    });
    sign(switch.folder(), &aside);
    let mut changed = std::fs::read(&aside).expect("readable");
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(&live, &changed).expect("writable");
    let words = format!("routing.wasm was changed after key {id} signed it");
    wait::until("the change is found", LIMIT, || switch.log().contains(&words).then_some(()));
    assert_eq!(generation(&switch), before, "nothing of it went live");

    // Published, installed into the watched folder, swapped in.
    let shelf = switch.folder().path().join("shelf");
    command(&["publish", text(&aside), "--to", text(&shelf), "--oci"]);
    let said = command(&["install", "routing", "--from", text(&shelf), "--config", text(&node)]);
    assert!(said.contains(&format!("signed by key {id}")), "{said}");
    wait::until("the new generation", LIMIT, || (generation(&switch) > before).then_some(()));
}

/// Without required signatures an operator can still see signers and configuration schemas.
#[test]
fn a_plugin_tells_who_signed_it_and_what_its_configuration_may_be() {
    let setup = Setup::new();
    let folder = setup.write();
    let said = command(&["keygen", text(&folder.path().join("key"))]);
    let id = said.lines().next().and_then(|line| line.strip_prefix("key ")).expect("an id");
    sign(&folder, &folder.path().join("plugins/routing.wasm"));
    let switch = Switch::start(setup.net, folder);
    let routing = switch.get("/v1/plugins/routing");
    assert_eq!((&routing["signer"], &routing["trusted"]), (&json!(id), &json!(false)), "{routing}");
    assert_eq!(routing["config_schema"]["title"], "routing", "{routing}");
    let rating = switch.get("/v1/plugins/rating");
    assert_eq!((&rating["signer"], &rating["trusted"]), (&json!(""), &json!(false)), "{rating}");

    let node = switch.folder().path().join("node.toml");
    let shown = command(&["show", "routing", "--config", text(&node)]);
    assert!(shown.contains(&format!("signed by     {id}, not trusted")), "{shown}");
    assert!(shown.contains("\"title\": \"routing\""), "{shown}");
    let listed = command(&["list", "--config", text(&node)]);
    assert!(
        listed.contains(&format!("{id}, not trusted")) && listed.contains("nobody"),
        "{listed}"
    );
    let told = complaint(&["show", "rooting", "--config", text(&node)]);
    assert!(told.contains("no plugin `rooting`"), "{told}");
}
