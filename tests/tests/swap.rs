//! Plugins replaced under load: no call fails, and no call mixes versions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use strowger_tests::process::{Thread, threads};
use strowger_tests::sipp::Sipp;
use strowger_tests::skip::skipped;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin, refusal};

/// Calls per second.
const RATE: u32 = 100;
/// Duration of the load, seconds.
const SECONDS: u32 = 60;
/// Number of swaps: one every two seconds.
const SWAPS: u32 = 30;

/// Promise 4: a call keeps the plugin generation it began with.
#[test]
fn thirty_swaps_of_the_routing_plugin_fail_no_call_and_mix_no_versions() {
    let calls = RATE * SECONDS;

    // The default plugin routes by priority and prefers vendor-a; the other one routes by price and
    // prefers vendor-b.
    let versions = [built_plugin("rival-routing"), built_plugin("routing")];
    let mut setup = Setup::new();
    setup.relay = false;
    setup.business = "[[account]]\nname = \"bargain\"\nkind = \"vendor\"\ncurrency = \"EUR\"\n\
         deck = \"cheap\"\ncredit_limit = \"unlimited\"\n\
         [[deck]]\nname = \"cheap\"\ncurrency = \"EUR\"\nfile = \"cheap.csv\"\n"
        .to_owned();
    setup.vendor_b_account = "bargain".to_owned();
    let folder = setup.write();
    folder.put("business/cheap.csv", "prefix,price\n44,0.01\n");
    let stage = Stage::on(&setup, folder);

    let vendors: Vec<Sipp> = [stage.vendor_a(), stage.vendor_b()]
        .into_iter()
        .map(|vendor| {
            let script = vendor.with("ring_ms", 20).script("vendor_answers").calls(0, RATE).quiet();
            script.start(stage.switch.folder().path())
        })
        .collect();
    let mut caller = stage
        .caller()
        .with("talk_ms", 500)
        // One caller with this many calls would be blocked (SEC-18).
        .with("caller", "1555[call_number]")
        .script("caller_calls")
        .calls(calls, RATE)
        .quiet()
        .start(stage.switch.folder().path());

    let start = Instant::now();
    for turn in 0..SWAPS {
        let due = Duration::from_secs(2) * turn + Duration::from_secs(1);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        stage.switch.swap("routing", &versions[turn as usize % 2]);
    }
    caller.succeeds(Duration::from_secs(u64::from(SECONDS) + 30));
    assert_eq!(caller.counts(), (u64::from(calls), 0));
    drop(vendors);

    let records = stage.switch.settled_records(calls as usize);
    let mut vendor_of: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for record in &records {
        let generation = record["generation"].as_u64().expect("a record names its generation");
        let attempts = record["attempts"].as_array().expect("attempts");
        assert_eq!(attempts.len(), 1, "no attempt failed: {record}");
        for attempt in attempts {
            assert_eq!(attempt["generation"], generation, "two generations in {record}");
            let vendor = attempt["vendor"].as_str().expect("a vendor").to_owned();
            vendor_of.entry(generation).or_default().insert(vendor);
        }
    }
    assert!(vendor_of.len() as u32 >= SWAPS, "{} generations were used", vendor_of.len());
    for (generation, vendors) in &vendor_of {
        assert_eq!(vendors.len(), 1, "generation {generation} chose {vendors:?}");
    }
    let used: BTreeSet<&String> = vendor_of.values().flatten().collect();
    assert_eq!(used.len(), 2, "both versions decided calls: {vendor_of:?}");

    // The trail of each generation names one version of the routing plugin.
    let mut version_of: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for record in records.iter().step_by(10) {
        let id = record["id"].as_str().expect("an id");
        let whole = stage.switch.get(&format!("/v1/records/{id}"));
        for entry in whole["trail"].as_array().expect("a trail") {
            assert_eq!(entry["fault"], "", "{entry}");
            if entry["hook"] == "routing" {
                let generation = whole["generation"].as_u64().expect("a generation");
                let plugin = entry["plugin"].as_str().expect("a plugin").to_owned();
                version_of.entry(generation).or_default().insert(plugin);
            }
        }
    }
    for (generation, versions) in &version_of {
        assert_eq!(versions.len(), 1, "generation {generation} was decided by {versions:?}");
    }
}

/// A call ringing during a swap keeps its version: here for the choice after its first vendor's
/// failure.
#[test]
fn a_ringing_call_keeps_its_version_and_the_next_call_gets_the_new_one() {
    let stage = Stage::new();
    let before = stage.switch.get("/v1/plugins")["generation"].as_u64().expect("a generation");
    let mut vendor = stage.vendor_a().with("ring_ms", 2000).answers();
    let mut caller = stage.caller().calls();
    let _ = caller.hears("SIP/2.0 180");
    let done = stage.switch.swap("routing", &built_plugin("rival-routing"));
    assert_eq!(done["generation_before"], before);
    caller.succeeds(Duration::from_secs(20));
    vendor.succeeds(Duration::from_secs(20));
    let record = stage.switch.record();
    record.shows("/generation", before).shows("/attempts/0/generation", before);

    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(Duration::from_secs(20));
    vendor.succeeds(Duration::from_secs(20));
    let records = stage.switch.settled_records(2);
    assert!(records.iter().any(|record| record["generation"] == done["generation"]));
}

/// Replacing the file in the watched folder is a swap, too. A file of no configured plugin is
/// ignored, even if it calls itself `routing`.
#[test]
fn a_replaced_file_in_the_watched_folder_goes_into_service() {
    let stage = Stage::new();
    let before = stage.switch.get("/v1/plugins")["generation"].as_u64().expect("a generation");
    let generation = || stage.switch.get("/v1/plugins")["generation"].as_u64();
    let other = stage.switch.folder().path().join("plugins/rival.wasm");
    std::fs::copy(built_plugin("rival-routing"), &other).expect("test folder is writable");
    strowger_tests::wait::until("the other file is seen", Duration::from_secs(20), || {
        stage.switch.log().contains("the node file has no plugin for this file").then_some(())
    });
    assert_eq!(generation(), Some(before));
    let file = stage.switch.folder().path().join("plugins/routing.wasm");
    let part = file.with_extension("part");
    std::fs::copy(built_plugin("rival-routing"), &part).expect("test folder is writable");
    std::fs::rename(&part, &file).expect("test folder is writable");
    strowger_tests::wait::until("the new generation", Duration::from_secs(20), || {
        (generation()? > before).then_some(())
    });
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(Duration::from_secs(20));
    vendor.succeeds(Duration::from_secs(20));
    assert!(stage.switch.record().number("/generation") > before);
}

/// A file that is not a plugin is refused, and nothing changes.
#[test]
fn a_swap_to_something_that_is_no_plugin_is_refused_and_changes_nothing() {
    let stage = Stage::new();
    let before = stage.switch.get("/v1/plugins");
    let file = stage.switch.folder().path().join("nonsense.wasm");
    std::fs::write(&file, b"not a plugin").expect("test folder is writable");
    let body = serde_json::json!({ "path": file });
    let (status, answer) = stage.switch.post("/v1/plugins/routing/swap", &body);
    assert!((400..500).contains(&status), "{status} {answer}");
    assert!(answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{answer}");
    assert_eq!(stage.switch.get("/v1/plugins"), before);
}

/// Nothing compiles on the CPUs of signalling and relay threads.
#[test]
fn nothing_compiles_on_a_processor_that_carries_calls() {
    let own = threads(std::process::id());
    let allowed = &own.first().expect("a thread").processors;
    let last = allowed.rsplit([',', '-']).next().expect("a processor");
    let mut setup = Setup::new();
    setup.node = format!("housekeeping_processors = \"{last}\"\nshards = 2");
    if allowed == last {
        assert!(refusal(&setup.write()).contains("leaves no processor for calls"));
        return skipped("there is one processor only");
    }
    let stage = Stage::with(&setup);
    let mut vendor = stage.vendor_a().with("ring_ms", 1500).answers();
    let mut caller = stage.caller().calls();
    let _ = caller.hears("SIP/2.0 180");
    stage.switch.swap("routing", &built_plugin("rival-routing"));
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);

    let running = threads(stage.switch.pid());
    let named = |name: &str| {
        let found: Vec<&Thread> = running.iter().filter(|t| t.name.starts_with(name)).collect();
        assert!(!found.is_empty(), "no thread {name} in {running:?}");
        found
    };
    for thread in ["shard-", "relay-"].into_iter().flat_map(named) {
        assert_ne!(thread.processors, *allowed, "{thread:?}");
        assert!(!thread.processors.contains(last), "{thread:?} and what compiles on {last}");
    }
    for name in ["policy-compile", "policy-reaper", "policy-shadow", "plugin-folder", "side"] {
        named(name).iter().for_each(|thread| assert_eq!(thread.processors, last, "{thread:?}"));
    }
    let compiling = named("policy-compile").iter().map(|thread| thread.ran).sum::<Duration>();
    assert!(compiling > Duration::from_millis(5), "compiled in {compiling:?} of those threads");
}
