//! The cookbook of `examples/plugins`: a switch accepts every example of its page, and its policies
//! decide calls together, with real sockets.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use strowger_tests::sipp::header;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Record, Setup, built_plugin};

const CALLER: &str = "15551230001";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins")
}

/// The lines for the node file that the page shows, by plugin.
fn examples() -> BTreeMap<String, String> {
    let page = fs::read_to_string(folder().join("README.md")).expect("the page");
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let whole = blocks.filter(|block| block.starts_with("[[plugins.list]]\n"));
    let named = whole.map(|block| {
        let name = block.split('"').nth(1).expect("`name` comes first");
        (name.to_owned(), block.to_owned())
    });
    named.collect()
}

/// A stage with these plugins as the page configures them, each example changed by `change`.
fn stage(
    mut setup: Setup,
    plugins: &[&str],
    lines: &str,
    change: impl Fn(&str) -> String,
) -> Stage {
    let examples = examples();
    for name in plugins {
        setup.plugin_lines += &change(&examples[*name]);
    }
    setup.plugin_lines += lines;
    setup.relay = false;
    setup.prefixes.push("112");
    for (list, kind) in [
        ("verified-callers", "exact"),
        ("premium-destinations", "prefix"),
        ("caller-reputation", "prefix"),
        ("private-acme", "prefix"),
        ("public-acme", "prefix"),
        ("ani-zones", "prefix"),
        ("agreed-prices-1", "prefix"),
    ] {
        let _ = write!(
            setup.business,
            "[[number_list]]\nname = \"{list}\"\nkind = \"{kind}\"\nfile = \"{list}.csv\"\n"
        );
    }
    let written = setup.write();
    for list in ["verified-callers", "caller-reputation", "private-acme", "public-acme"] {
        written.put(&format!("business/{list}.csv"), "4930555,7\n");
    }
    written.put("business/ani-zones.csv", "1,us\n");
    written.put("business/agreed-prices-1.csv", "44,0.12\n");
    written.put("business/premium-destinations.csv", "4491,\n");
    written.put(
        "business/sell.csv",
        "prefix,destination,price\n44,United Kingdom,0.6\n112,Emergency,0\n",
    );
    written.put(
        "business/buy.csv",
        "prefix,destination,price\n44,United Kingdom,0.12\n112,Emergency,1\n",
    );
    for name in plugins {
        fs::copy(built_plugin(name), written.path().join(format!("plugins/{name}.wasm")))
            .unwrap_or_else(|error| panic!("{name}: {error}; run `make plugins`"));
    }
    Stage::on(&setup, written)
}

/// The newest of `calls` records, with its attempts.
fn newest(stage: &Stage, calls: usize) -> Record {
    let records = stage.switch.settled_records(calls);
    let id = records[0]["id"].as_str().expect("a record has an id");
    Record(stage.switch.get(&format!("/v1/records/{id}")))
}

/// Grants, settings and number lists of the page are what the plugins want; no policy lacks its
/// example.
#[test]
fn a_switch_accepts_every_example_of_the_page() {
    let folders = fs::read_dir(folder()).expect("the folder of the examples");
    let policies: BTreeSet<String> = folders
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
            manifest.starts_with("# A policy of the cookbook")
        })
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert!(policies.len() >= 17, "{policies:?}");
    assert_eq!(examples().into_keys().collect::<BTreeSet<_>>(), policies);

    let names: Vec<&str> = policies.iter().map(String::as_str).collect();
    let stage = stage(Setup::new(), &names, "", str::to_owned);
    let list = stage.switch.get("/v1/plugins");
    let loaded = list["plugins"].as_array().expect("plugins");
    for policy in names {
        let plugin = loaded.iter().find(|plugin| plugin["name"] == policy);
        let plugin = plugin.unwrap_or_else(|| panic!("{policy} is not loaded: {list:#}"));
        assert_ne!(plugin["config_schema"], Value::Null, "{policy} has a schema");
    }
}

/// ROUTE-66: a loss, a busy vendor and a customer who is always private do not matter.
#[test]
fn an_emergency_call_reaches_the_second_vendor_although_the_first_is_busy() {
    let mut setup = Setup::new();
    setup.customer = "attributes = { clir = \"always\", emergency_numbers = \"110, 112\", \
                      location = \"https://lis.example/site-7\" }"
        .to_owned();
    setup.vendor_a = "trusted = false".to_owned();
    let lines = "[[plugins.chain]]\nhook = \"routing\"\n\
                 plugins = [\"emergency\", \"retry-by-cause\", \"routing\", \"lcr\"]\n";
    let change = |lines: &str| {
        lines.replace(
            "plugins = [\"privacy-rules\"]",
            "plugins = [\"privacy-rules\", \"emergency\"]",
        )
    };
    let plugins = ["privacy-rules", "emergency", "retry-by-cause", "lcr"];
    let stage = stage(setup, &plugins, lines, change);

    let mut busy = stage.vendor_a().refuses(486);
    let mut vendor = stage.vendor_b().answers();
    let mut caller = stage.caller().with("caller", CALLER).with("callee", "112").calls();
    caller.succeeds(CALL_LIMIT);
    busy.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = newest(&stage, 1);
    assert_eq!(record.vendors(), ["vendor-a", "vendor-b"]);
    record.shows("/marks/0", "emergency").shows("/attempts/0/code", 486);
    let invite = vendor.hears("INVITE");
    let shown = |name: &str| header(&invite, name).unwrap_or_default();
    assert_eq!(shown("Geolocation"), "<https://lis.example/site-7>");
    assert_eq!(shown("Priority"), "emergency");
    assert!(shown("From").contains(CALLER), "{invite}");
    let labels = ["plugin=\"emergency\"", "name=\"calls\""];
    assert_eq!(stage.switch.metric("strowger_plugin_own_total", &labels) as u64, 1);

    // Any other busy callee is busy, and nobody sees who called.
    let mut busy = stage.vendor_a().refuses(486);
    let other = stage.caller().with("caller", CALLER).with("callee", "442071234567");
    let mut caller = other.is_refused_with(486);
    caller.succeeds(CALL_LIMIT);
    busy.succeeds(CALL_LIMIT);
    assert_eq!(newest(&stage, 2).vendors(), ["vendor-a"]);
    let invite = busy.hears("INVITE");
    assert!(header(&invite, "From").unwrap_or_default().contains("anonymous.invalid"), "{invite}");
    assert!(!invite.contains(CALLER), "{invite}");
}

/// NUM-28, ROUTE-21: dialled as at home, sent in the vendor's format by a vendor of the customer's
/// class; the first premium call is cut, the second refused.
#[test]
fn policies_of_four_hooks_decide_a_call_together() {
    let mut setup = Setup::new();
    setup.customer = "attributes = { number_plan = \"uk\", classes = \"premium\" }".to_owned();
    setup.vendor_a = "attributes = { class = \"standard\" }".to_owned();
    setup.vendor_b = "attributes = { class = \"premium\", number_format = \"plus\" }".to_owned();
    let change = |lines: &str| {
        let british = "[plugins.list.config.plans.uk]\ncountry = \"44\"\n";
        let short = lines.replace("seconds = 60", "seconds = 1");
        if short.contains("plans.us") { short + british } else { short }
    };
    let stage = stage(setup, &["number-plan", "class-by-header", "premium-hold"], "", change);

    let mut vendor = stage.vendor_b().answers();
    let mut caller = stage.caller().with("callee", "01617654321").calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = newest(&stage, 1);
    assert_eq!(record.vendors(), ["vendor-b"]);
    record.shows("/callee_route", "441617654321").shows("/attempts/0/callee_out", "+441617654321");
    assert!(vendor.hears("INVITE").starts_with("INVITE sip:+441617654321@"));

    let mut vendor = stage.vendor_b().answers();
    let mut caller = stage.caller().with("callee", "09112345678").waits_for_bye();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = newest(&stage, 2);
    record.shows("/marks/0", "premium:first").shows("/end_reason", "max_duration");
    let lasted = record.number("/duration_ms");
    assert!((1_000..2_000).contains(&lasted), "{lasted} ms");
    let mut caller = stage.caller().with("callee", "09112345678").is_refused_with(403);
    caller.succeeds(CALL_LIMIT);
    newest(&stage, 3).shows("/end_reason", "premium_hold");
}
