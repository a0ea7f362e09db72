//! Tests of the architecture: which crate may depend on which, what crates without I/O may not
//! mention, and that every capability ID cited anywhere exists.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Dependencies by crate or module ("room").
type Arrows = [(&'static str, &'static [&'static str])];

/// The dependencies of each crate in `core`, complete.
const ARROWS: &Arrows = &[
    ("strowger-sip", &[]),
    ("strowger-media", &[]),
    ("strowger-codec", &[]),
    ("strowger-ledger", &[]),
    ("strowger-policy", &[]),
    ("strowger-live", &["strowger-ledger", "strowger-sip"]),
    ("strowger-switch", &["strowger-sip", "strowger-ledger", "strowger-live", "strowger-policy"]),
    ("strowger-schema", &[]),
    ("strowger-platform", &[]),
    ("strowger-host", &["strowger-platform", "strowger-policy", "strowger-schema"]),
    ("strowger-business", &["strowger-ledger", "strowger-policy", "strowger-sip"]),
    ("strowger-store", &["strowger-business", "strowger-ledger"]),
    ("strowger-config", &["strowger-host", "strowger-platform", "strowger-policy"]),
    ("strowger-kit", &["strowger-config", "strowger-host", "strowger-platform", "strowger-policy"]),
    ("strowger-api", &["strowger-ledger", "strowger-sip"]),
    (
        "strowger-engine",
        &[
            "strowger-api",
            "strowger-business",
            "strowger-codec",
            "strowger-config",
            "strowger-host",
            "strowger-ledger",
            "strowger-live",
            "strowger-media",
            "strowger-platform",
            "strowger-policy",
            "strowger-sip",
            "strowger-store",
            "strowger-switch",
        ],
    ),
    (
        "strowger-admin",
        &[
            "strowger-api",
            "strowger-config",
            "strowger-engine",
            "strowger-host",
            "strowger-platform",
            "strowger-store",
        ],
    ),
    (
        "strowger",
        &[
            "strowger-admin",
            "strowger-api",
            "strowger-business",
            "strowger-codec",
            "strowger-config",
            "strowger-engine",
            "strowger-host",
            "strowger-kit",
            "strowger-ledger",
            "strowger-platform",
            "strowger-policy",
            "strowger-sip",
            "strowger-store",
            "strowger-switch",
        ],
    ),
];

/// Additional dependencies of tests and benchmarks.
const ARROWS_OF_TESTS: &Arrows = &[
    // A temporary PostgreSQL server.
    ("strowger-store", &["strowger-postgres"]),
];

/// Dependencies between the modules of a crate: its folders and top-level files. An item is
/// imported from the module that defines it, not through `lib.rs`, so that dependencies are
/// visible.
const INNER_ARROWS: &[(&str, &Arrows)] = &[(
    "core/host",
    &[
        ("settings", &[]),
        ("error", &["settings"]),
        ("wire", &[]),
        ("services", &["error"]),
        ("load", &["error"]),
        ("outside", &["error", "services", "settings", "wire"]),
        ("plugin", &["error", "load", "outside", "services", "settings"]),
        ("guest", &["error", "load", "outside", "plugin", "services", "settings", "wire"]),
        ("build", &["error", "guest", "load", "plugin", "services", "settings", "wire"]),
        ("generation", &["build", "error", "guest", "services"]),
        (
            "ask",
            &["build", "error", "generation", "guest", "outside", "plugin", "services", "settings"],
        ),
        (
            "life",
            &[
                "ask",
                "build",
                "error",
                "generation",
                "guest",
                "load",
                "outside",
                "plugin",
                "services",
                "settings",
            ],
        ),
        ("decisions", &[]),
        (
            "replay",
            &[
                "ask",
                "build",
                "decisions",
                "error",
                "guest",
                "load",
                "outside",
                "plugin",
                "services",
                "settings",
            ],
        ),
    ],
)];

/// Crates driven with `(now, input)` that never act by themselves (promise 2).
const SANS_IO: &[&str] = &["sip", "media", "codec", "ledger", "policy", "switch"];

/// Forbidden in those crates.
const FORBIDDEN_IN_SANS_IO: &[&str] = &[
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Instant::now",
    "SystemTime",
    "thread::",
    "tokio",
    "std::fs",
    "OsRng",
    "rand::rng()",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

#[derive(Debug)]
struct Package {
    /// Folder, relative to the workspace.
    folder: String,
    /// Workspace packages that it depends on, except for its tests.
    leans_on: BTreeSet<String>,
    /// Dependencies of its tests.
    tests_lean_on: BTreeSet<String>,
}

fn packages() -> BTreeMap<String, Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let root = root();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(package["manifest_path"].as_str().expect("manifest_path"));
            let folder =
                manifest.parent().and_then(|f| f.strip_prefix(&root).ok()).expect("inside");
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
            let ours = dependencies.filter(|dependency| !dependency["path"].is_null());
            let (of_tests, of_code): (Vec<_>, Vec<_>) =
                ours.partition(|dependency| dependency["kind"] == "dev");
            let names = |dependencies: Vec<&Value>| {
                let name = |one: &Value| one["name"].as_str().expect("name").to_owned();
                dependencies.into_iter().map(name).collect()
            };
            let name = package["name"].as_str().expect("name").to_owned();
            let folder = folder.display().to_string();
            let (leans_on, tests_lean_on) = (names(of_code), names(of_tests));
            (name, Package { folder, leans_on, tests_lean_on })
        })
        .collect()
}

/// The dependencies that a table lists for a room; empty if it does not list the room.
fn drawn(table: &[(&str, &[&str])], room: &str) -> BTreeSet<String> {
    let row = table.iter().find(|(from, _)| *from == room);
    row.into_iter().flat_map(|(_, to)| to.iter().map(|to| (*to).to_owned())).collect()
}

/// The differences between plan and code; empty if there are none.
fn differences(room: &str, drawn: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<String> {
    let forbidden = found.difference(drawn).map(|to| format!("{room} may not lean on {to}"));
    let absent = drawn.difference(found).map(|to| format!("{room} does not lean on {to} any more"));
    forbidden.chain(absent).collect()
}

/// Rooms in a dependency cycle: removes rooms without remaining dependencies until none is left.
fn circle(table: &[(&str, &[&str])]) -> Vec<String> {
    let mut left: Vec<_> = table.to_vec();
    loop {
        let rooms: BTreeSet<&str> = left.iter().map(|(room, _)| *room).collect();
        let before = left.len();
        left.retain(|(_, to)| to.iter().any(|to| rooms.contains(to)));
        if left.len() == before {
            return left.iter().map(|(room, _)| (*room).to_owned()).collect();
        }
    }
}

#[test]
fn arrows_between_the_rooms_of_the_core_are_those_of_the_plan_and_go_down_only() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (name, package) in packages.iter().filter(|(_, p)| p.folder.starts_with("core/")) {
        let known = ARROWS.iter().any(|(room, _)| room == name);
        assert!(known, "{name} is a room that the plan does not know");
        wrong.extend(differences(name, &drawn(ARROWS, name), &package.leans_on));
        // Tests may use the dependencies of their crate.
        let own: BTreeSet<String> =
            package.tests_lean_on.difference(&package.leans_on).cloned().collect();
        let tests = format!("the tests of {name}");
        wrong.extend(differences(&tests, &drawn(ARROWS_OF_TESTS, name), &own));
    }
    for (room, _) in ARROWS.iter().chain(ARROWS_OF_TESTS) {
        assert!(packages.contains_key(*room), "the plan has a room {room}, the workspace has not");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(circle(ARROWS), [""; 0], "a circle");
}

/// The dependencies between the modules of a crate.
fn inner_arrows(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files(source, &["rs"]) {
        let inside = file.strip_prefix(source).expect("below the source");
        let room = inside.iter().next().and_then(|part| part.to_str()).expect("a name");
        let room = room.trim_end_matches(".rs");
        if matches!(room, "lib" | "main") || is_test_code(&file) {
            continue;
        }
        let leans_on = found.entry(room.to_owned()).or_default();
        let text = std::fs::read_to_string(&file).expect("source is readable");
        for line in production(&text) {
            let words = line.match_indices("crate::").filter(|(at, _)| {
                let before = line[..*at].chars().next_back();
                before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_')
            });
            for (at, word) in words {
                let name =
                    line[at + word.len()..].split(|c: char| !c.is_alphanumeric() && c != '_');
                leans_on.extend(name.take(1).filter(|name| *name != room).map(str::to_owned));
            }
            let place = file.display();
            assert!(!line.contains("super::super"), "{place}: a room is named by crate::");
        }
    }
    found
}

#[test]
fn arrows_inside_a_crate_are_those_of_the_plan_and_go_down_only() {
    let mut wrong = Vec::new();
    for (folder, table) in INNER_ARROWS {
        let found = inner_arrows(&root().join(folder).join("src"));
        for (room, leans_on) in &found {
            let known = table.iter().any(|(name, _)| name == room);
            assert!(known, "{folder} has a room {room} that the plan does not know");
            let named = format!("{folder}: {room}");
            wrong.extend(differences(&named, &drawn(table, room), leans_on));
        }
        for (room, _) in *table {
            assert!(found.contains_key(*room), "the plan has a room {room}, {folder} has not");
        }
        assert_eq!(circle(table), [""; 0], "a circle in {folder}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn plugins_and_their_sdk_see_nothing_of_the_core() {
    for (name, package) in packages() {
        let allowed: &[&str] = match package.folder.split('/').next() {
            Some("plugin-sdk") => {
                // The SDK's own macro crate, if it exists.
                &["strowger-plugin-macros", "strowger-plugin-sdk-macros"]
            }
            Some("plugins" | "examples") => &["strowger-plugin-sdk"],
            Some("tests") if package.folder != "tests" => &["strowger-plugin-sdk"],
            _ => continue,
        };
        for other in package.leans_on.union(&package.tests_lean_on) {
            assert!(allowed.contains(&other.as_str()), "{name} may not lean on {other}");
        }
    }
}

#[test]
fn the_default_bundle_has_a_plugin_for_every_decision() {
    let packages = packages();
    for plugin in ["routing", "numbering", "rating", "identity", "screening"] {
        let folder = format!("plugins/{plugin}");
        assert!(packages.values().any(|package| package.folder == folder), "{folder} is missing");
    }
}

/// Lines of production code without comments. By convention the test module ends its file.
fn production(text: &str) -> impl Iterator<Item = &str> {
    let production = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    production.lines().map(|line| line.split("//").next().unwrap_or(line))
}

#[test]
fn the_pure_rooms_touch_no_socket_clock_task_or_random_source() {
    for room in SANS_IO {
        for file in files(&root().join("core").join(room).join("src"), &["rs"]) {
            if is_test_code(&file) {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("source is readable");
            for (number, code) in production(&text).enumerate() {
                for word in FORBIDDEN_IN_SANS_IO {
                    assert!(
                        !code.contains(word),
                        "{}:{}: a room without I/O mentions {word}",
                        file.display(),
                        number + 1
                    );
                }
            }
        }
    }
}

#[test]
fn every_crate_of_ours_forbids_unsafe_code() {
    for (name, package) in packages() {
        if package.folder.starts_with("plugins/") || package.folder.starts_with("tests/") {
            continue; // The component bindings need it; the workspace lint still names each place.
        }
        let folder = root().join(&package.folder).join("src");
        let heads: Vec<PathBuf> =
            ["lib.rs", "main.rs"].iter().map(|f| folder.join(f)).filter(|f| f.exists()).collect();
        assert!(!heads.is_empty(), "{name} has neither lib.rs nor main.rs");
        let said = heads.iter().any(|head| {
            let text = std::fs::read_to_string(head).expect("source is readable");
            text.contains("#![forbid(unsafe_code)]") || text.contains("#![deny(unsafe_code)]")
        });
        assert!(said, "{name} does not say #![forbid(unsafe_code)]");
    }
}

fn capability_page() -> String {
    std::fs::read_to_string(root().join("docs/capabilities.md"))
        .expect("docs/capabilities.md exists")
}

/// docs/capabilities.md: one row per ID, `| SIG-08 | what works | path::test_name |` in the first
/// table, `| SIG-11 | what there is |` in the second.
fn listed_capabilities() -> BTreeMap<String, Option<String>> {
    let mut listed = BTreeMap::new();
    for line in capability_page().lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let ids = capability_ids(cells[0]);
        if ids.is_empty() {
            continue;
        }
        let test = cells.get(2).map(|cell| (*cell).to_owned());
        for id in ids {
            assert!(listed.insert(id.clone(), test.clone()).is_none(), "{id} is listed twice");
        }
    }
    listed
}

/// Every `path.rs::test_name` in a text, each once.
fn named_tests(text: &str) -> BTreeSet<(&str, &str)> {
    let words = text.split(|c: char| c.is_whitespace() || "`(),;|".contains(c));
    words
        .filter_map(|word| word.split_once("::").filter(|(path, _)| path.ends_with(".rs")))
        .collect()
}

/// Functions of a source file that cargo runs as tests: with a test attribute and without `ignore`.
/// By convention each attribute is on a separate line.
fn tests_in(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
            is_ignored |= line.starts_with("#[ignore");
        } else if !line.starts_with("//") {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split_once('('));
            if let Some((name, _)) = name.filter(|_| is_test && !is_ignored) {
                found.insert(name.to_owned());
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    found
}

#[test]
fn every_cited_capability_is_listed() {
    let listed = listed_capabilities();
    let mut missing = BTreeMap::new();
    for folder in ["core", "plugins", "plugin-sdk", "wit", "tests", "docs", "config", "examples"] {
        for file in files(&root().join(folder), &["rs", "md", "wit", "toml", "xml", "sql", "csv"]) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            for id in capability_ids(&text) {
                if !listed.contains_key(&id) {
                    let place = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
                    missing.entry(id).or_insert(place);
                }
            }
        }
    }
    assert!(missing.is_empty(), "cited, but not in docs/capabilities.md: {missing:#?}");
}

/// `scripts/test.sh` looks for these names among passed tests, so each must be unique.
#[test]
fn every_test_that_shows_a_capability_is_a_test_and_the_only_one_of_its_name() {
    for (id, test) in listed_capabilities() {
        let Some(test) = test else { continue };
        assert_eq!(named_tests(&test).len(), 1, "{id}: `{test}` names no test");
    }
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in ["core", "plugins", "plugin-sdk", "tests", "examples"] {
        for file in files(&root().join(folder), &["rs"]) {
            let source = std::fs::read_to_string(&file).expect("source is readable");
            let place = file.strip_prefix(root()).expect("below the root").display().to_string();
            for test in tests_in(&source) {
                places.entry(test).or_default().push(place.clone());
            }
        }
    }
    let page = capability_page();
    for (path, name) in named_tests(&page) {
        let found = places.get(name).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(found, [path], "docs/capabilities.md: {path}::{name} is found in these");
    }
}

/// IDs such as SIG-08 in a text, each once.
fn capability_ids(text: &str) -> BTreeSet<String> {
    const AREAS: &[&str] = &["SIG", "ROUTE", "NUM", "MEDIA", "BILL", "CDR", "SEC", "OPS", "IVR"];
    let mut found = BTreeSet::new();
    for area in AREAS {
        for (at, _) in text.match_indices(&format!("{area}-")) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
                continue;
            }
            let digits: String =
                text[at + area.len() + 1..].chars().take_while(char::is_ascii_digit).collect();
            if !digits.is_empty() {
                found.insert(format!("{area}-{digits}"));
            }
        }
    }
    found
}

fn is_test_code(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str().to_str().is_some_and(|p| p == "tests"))
        || file.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| {
            stem == "tests" || stem.ends_with("_tests") || stem.starts_with("test_")
        })
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                found.extend(files(&path, extensions));
            }
        } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = "#[test]\nfn a() {\n}\nfn helper() {\n#[tokio::test]\n// Why.\nasync fn b() {\n\
                  #[test]\n#[ignore = \"slow\"]\nfn c() {\n#[must_use]\nfn d() {\n#[test]\n";
    assert_eq!(tests_in(source).into_iter().collect::<Vec<_>>(), ["a", "b"]);
    let row = "| SIG-08 | works | `core/a.rs::x` |, (`tests/b.rs::y`)";
    let named = [("core/a.rs", "x"), ("tests/b.rs", "y")];
    assert_eq!(named_tests(row).into_iter().collect::<Vec<_>>(), named);
}

#[test]
fn ids_are_found_in_running_text_and_not_inside_other_words() {
    let found = capability_ids("SIG-08, (ROUTE-51) and `CDR-06`; not BASIC-1, MY-SIG-3, SIG-x");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["CDR-06", "ROUTE-51", "SIG-08"]);
}

#[test]
fn circles_and_differences_are_found() {
    let open: &[(&str, &[&str])] = &[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])];
    assert_eq!(circle(open), [""; 0]);
    let closed: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &["c"]), ("c", &["b"])];
    assert_eq!(circle(closed), ["a", "b", "c"], "with the room above it");
    let found = BTreeSet::from(["c".to_owned(), "d".to_owned()]);
    let said = ["a may not lean on d", "a does not lean on b any more"];
    assert_eq!(differences("a", &drawn(open, "a"), &found), said);
}
