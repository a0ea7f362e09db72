//! `plugin publish` and `plugin install`, on a plain folder and on an OCI image layout.

use crate::support::{fails, folder, key, patched, plugin_in, succeeds, tamper, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A shelf with the plugin time-of-day, and its plugin folder.
fn shelf(name: &str, extra: &[&str]) -> (PathBuf, PathBuf, PathBuf) {
    let folder = folder(name);
    let (shelf, plugins) = (folder.join("shelf"), folder.join("plugins"));
    fs::create_dir(&plugins).unwrap();
    let file = plugin_in(&folder, "time-of-day");
    let said = succeeds(&[&["publish", text(&file), "--to", text(&shelf)], extra].concat());
    assert!(said.starts_with("time-of-day@1.0.0 is at "), "{said}");
    (folder, shelf, plugins)
}

fn install<'a>(name: &'a str, shelf: &'a Path, plugins: &'a Path) -> Vec<&'a str> {
    vec!["install", name, "--from", text(shelf), "--into", text(plugins)]
}

fn only_file(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn what_was_published_is_installed(kind: &str, extra: &[&str]) {
    let (folder, shelf, plugins) = shelf(&format!("{kind}-round"), extra);
    let source = folder.join("time-of-day.wasm");
    let said = succeeds(&install("time-of-day", &shelf, &plugins));
    assert!(said.contains("time-of-day@1.0.0, signed by nobody, is at"), "{said}");
    let placed = plugins.join("time-of-day.wasm");
    assert_eq!(fs::read(&placed).unwrap(), fs::read(&source).unwrap());
    assert_eq!(only_file(&plugins), ["time-of-day.wasm"], "nothing half-written is left");

    // The same bytes again change nothing; other bytes need a new version.
    succeeds(&[&["publish", text(&source), "--to", text(&shelf)], extra].concat());
    patched(
        &source,
        "Prefers vendors by the time of the week",
        "prefers vendors by the time of the week",
    );
    let complaint = fails(&[&["publish", text(&source), "--to", text(&shelf)], extra].concat());
    assert!(complaint.contains("time-of-day@1.0.0 is published already"), "{complaint}");

    let complaint = fails(&install("time-of-day@9.9.9", &shelf, &plugins));
    assert!(complaint.contains("9.9.9"), "{complaint}");
    assert!(fails(&install("no-such", &shelf, &plugins)).contains("has no plugin `no-such`"));
    assert!(fails(&install("../shelf", &shelf, &plugins)).contains("is no plugin name"));
}

#[test]
fn what_was_published_in_a_folder_is_installed() {
    what_was_published_is_installed("plain", &[]);
}

#[test]
fn what_was_published_in_an_oci_layout_is_installed() {
    what_was_published_is_installed("oci", &["--oci"]);
}

fn tampered_and_truncated_files_are_refused(kind: &str, extra: &[&str]) {
    let (_, shelf, plugins) = shelf(&format!("{kind}-broken"), extra);
    let layer = largest(&shelf);
    let whole = fs::read(&layer).unwrap();
    tamper(&layer);
    let complaint = fails(&install("time-of-day", &shelf, &plugins));
    assert!(complaint.contains("is not what was published: its digest is sha256:"), "{complaint}");
    fs::write(&layer, &whole[..whole.len() - 1]).unwrap();
    let complaint = fails(&install("time-of-day", &shelf, &plugins));
    let words = format!("has {} bytes, and {} were published", whole.len() - 1, whole.len());
    assert!(complaint.contains(&words), "{complaint}");
    assert!(only_file(&plugins).is_empty(), "nothing was placed");
}

/// The largest file in a folder: the plugin.
fn largest(folder: &Path) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.into_iter().max_by_key(|file| fs::metadata(file).unwrap().len()).expect("a file")
}

#[test]
fn a_tampered_or_truncated_file_of_a_folder_is_refused() {
    tampered_and_truncated_files_are_refused("plain", &[]);
}

#[test]
fn a_tampered_or_truncated_blob_of_an_oci_layout_is_refused() {
    tampered_and_truncated_files_are_refused("oci", &["--oci"]);
}

/// Checks what other tools expect in the layout.
#[test]
fn an_oci_layout_has_the_media_types_and_annotations_of_wasm_artefacts() {
    let (folder, shelf, _) = shelf("oci-words", &["--oci"]);
    let guard = plugin_in(&folder, "margin-guard");
    succeeds(&["publish", text(&guard), "--to", text(&shelf)]);
    let read = |file: &Path| -> Value { serde_json::from_slice(&fs::read(file).unwrap()).unwrap() };
    assert_eq!(read(&shelf.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let index = read(&shelf.join("index.json"));
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 2, "a layout stays one, whoever publishes");
    let guard = &manifests[1];
    assert_eq!(guard["annotations"]["org.opencontainers.image.title"], "margin-guard");
    assert_eq!(guard["annotations"]["org.opencontainers.image.version"], "1.0.0");
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        read(&shelf.join("blobs/sha256").join(digest))
    };
    let manifest = blob(guard);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    let config = blob(&manifest["config"]);
    assert_eq!(config["architecture"], "wasm");
    assert_eq!(config["layerDigests"][0], manifest["layers"][0]["digest"]);
    assert_eq!(config["component"]["exports"][0], "strowger:policy/routing@0.1.0");
    assert_eq!(config["component"]["imports"][1], "strowger:policy/host-metrics@0.1.0");
}

#[test]
fn with_a_key_only_what_it_signed_is_installed() {
    let folder = folder("signed-shelf");
    let (secret, public, id) = key(&folder, "mine");
    let (_, stranger, _) = key(&folder, "other");
    let (shelf, plugins) = (folder.join("shelf"), folder.join("plugins"));
    fs::create_dir(&plugins).unwrap();
    let file = plugin_in(&folder, "time-of-day");
    succeeds(&["publish", text(&file), "--to", text(&shelf.join("bare"))]);
    succeeds(&["sign", text(&file), "--key", text(&secret)]);
    succeeds(&["publish", text(&file), "--to", text(&shelf.join("signed")), "--oci"]);

    let with = |shelf: &Path, key: &str| -> Vec<String> {
        let arguments = install("time-of-day", shelf, &plugins).into_iter();
        arguments.chain(["--key", key]).map(str::to_owned).collect()
    };
    let words = |arguments: Vec<String>| -> (bool, String, String) {
        crate::support::plugin(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (good, _, complaint) = words(with(&shelf.join("bare"), &public));
    assert!(!good && complaint.contains("time-of-day@1.0.0 is not signed"), "{complaint}");
    let (good, _, complaint) = words(with(&shelf.join("signed"), &stranger));
    assert!(!good && complaint.contains(&format!("is signed by key {id}")), "{complaint}");
    assert!(only_file(&plugins).is_empty());
    let (good, said, complaint) = words(with(&shelf.join("signed"), &public));
    assert!(good && said.contains(&format!("signed by key {id}")), "{said}{complaint}");
}
