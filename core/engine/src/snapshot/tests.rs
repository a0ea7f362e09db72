//! Configured objects arrive in the facts of the call machine.

use super::*;
use business::Business;
use ledger::{Money, RateLookup};
use policy::{Lookup, StopAfterMedia};
use store::Store;

const NODE: &str = r#"
[[listeners]]
name = "inside"
address = "127.0.0.1:5060"

[[listeners]]
name = "outside"
address = "127.0.0.2:5060"
advertised = "198.51.100.7:5060"
domain = "sip.example.com"

[media]
addresses = [{ name = "a", bind = "127.0.0.1" }, { name = "b", bind = "127.0.0.2" }]
"#;

const BUSINESS: &str = r#"
[[account]]
name = "acme"
currency = "EUR"
opening_balance = "10"
deck = "retail"

[[account]]
name = "carrier"
kind = "vendor"
currency = "EUR"
credit_limit = "unlimited"

[[rule_set]]
name = "strip"
rules = ["00 -> "]

[[customer_trunk]]
name = "office"
account = "acme"
addresses = ["192.0.2.0/24"]
callee_rules = "strip"
media_address = "b"

[[vendor_trunk]]
name = "carrier-1"
account = "carrier"
targets = ["203.0.113.5:5080"]
listener = "outside"
prefixes = ["44", { prefix = "4420", priority = 5, extend = false }]
resend = "fast-failover"
failover = { stop_after_media = "off", code_policy = { "404" = "stop", "503" = "switch" } }

[[deck]]
name = "retail"
currency = "EUR"
file = "retail.csv"
"#;

fn business(test: &str, text: &str) -> Loaded {
    let folder = std::env::temp_dir().join(format!("strowger-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("all.toml"), text).unwrap();
    std::fs::write(folder.join("retail.csv"), "prefix,destination,price\n44,UK,0.6\n").unwrap();
    let business = Business::from_folder(&folder, "sip.example.com").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let loaded = runtime.block_on(async {
        let store = Store::open(folder.join("strowger.db")).await.unwrap();
        store.apply(&business).await.unwrap();
        store.load().await.unwrap()
    });
    std::fs::remove_dir_all(&folder).unwrap();
    loaded
}

fn build(business: &Loaded, registry: &Registry) -> Result<Snapshot, SnapshotError> {
    let config = Config::parse("node.toml", NODE).unwrap();
    Snapshot::build(&config, business, Tables::default(), registry, [7; 32])
}

#[test]
fn names_become_ids_indices_and_handles() {
    let loaded = business("names", BUSINESS);
    let Snapshot { facts, lookup, .. } = build(&loaded, &Registry::default()).unwrap();

    let customer = facts.customers().values().next().unwrap();
    assert_eq!(&*facts.accounts()[&customer.account].name, "acme");
    assert_eq!(customer.media_address, 1);
    assert_eq!(lookup.text(customer.callee_rules).as_deref(), Some("00 -> "));
    assert_eq!(customer.caller_rules, 0);

    let vendor = facts.vendors().values().next().unwrap();
    assert_eq!(vendor.listener, 1);
    assert_eq!(&*vendor.from_host, "sip.example.com");
    assert_eq!(*vendor.schedule, sip::ResendSchedule::fast_failover());
    assert_eq!(vendor.failover.stop_after_media, StopAfterMedia::Off);
    assert_eq!(vendor.failover.code_policy, [(404, true), (503, false)]);

    // ROUTE-16 to ROUTE-18: every prefix, longest first.
    let routes: Vec<(usize, u32, bool)> = facts
        .routes()
        .matches("442071")
        .flat_map(|(length, entries)| entries.iter().map(move |e| (length, e.priority, e.extend)))
        .collect();
    assert_eq!(routes, [(4, 5, false), (2, 100, true)]);

    let deck = facts.deck_of(&facts.accounts()[&customer.account]).unwrap();
    let RateLookup::Found(row) = deck.find("4420", 0) else { panic!("44 has a price") };
    assert_eq!(row.price.price_first.to_string(), "0.6");
    assert_eq!(&*facts.listeners[1].advertised, "198.51.100.7:5060");
}

/// BILL-40: a reload changes no balance.
#[test]
fn purses_survive_a_reload() {
    let loaded = business("reload", BUSINESS);
    let registry = Registry::default();
    let before = build(&loaded, &registry).unwrap().facts;
    let customer = before.customers().values().next().unwrap();
    let purses = &registry.live().purses;
    assert_eq!(purses.post(customer.account, -Money::ONE).unwrap().to_string(), "9");

    let after = build(&loaded, &registry).unwrap().facts;
    let account = &after.customers()[&customer.id].account;
    assert_eq!(purses.standing(*account, 0).unwrap().balance.to_string(), "9");
}

/// Promise 4: a change shares everything that it does not touch, however many snapshots are in use.
#[test]
fn what_did_not_change_is_shared_by_all_snapshots() {
    let mut loaded = business("shared", BUSINESS);
    let registry = Registry::default();
    let mut in_use = vec![build(&loaded, &registry).unwrap().facts];
    let (customer, vendor) = (loaded.customer_trunks[0].id, loaded.vendor_trunks[0].id);
    let account = loaded.customer_trunks[0].account_id;
    for channels in 1..=5 {
        loaded.customer_trunks[0].trunk.channels = channels;
        loaded.decks.clone_from(&registry.decks());
        in_use.push(build(&loaded, &registry).unwrap().facts);
    }
    let first = &in_use[0];
    for (channels, facts) in (0..).zip(&in_use) {
        assert_eq!(facts.customers()[&customer].channels, channels);
        assert!(Arc::ptr_eq(&facts.vendors()[&vendor], &first.vendors()[&vendor]));
        assert!(Arc::ptr_eq(&facts.accounts()[&account], &first.accounts()[&account]));
    }
    // Shared by the loaded objects and the registry, and once by each snapshot.
    let deck = first.deck_of(&first.accounts()[&account]).unwrap();
    assert_eq!(Arc::strong_count(deck), 2 + in_use.len());
}

fn desk_of(snapshot: Snapshot) -> crate::world::WorldDesk {
    let settings = host::HostSettings {
        plugins: Vec::new(),
        cache_dir: None,
        shards: 1,
        random_seed: None,
        housekeeping: None,
    };
    let host = host::Host::new(settings).unwrap();
    crate::world::WorldDesk::new(host, Vec::new(), Arc::new(snapshot)).unwrap()
}

/// The last call of a snapshot does not free a deck.
#[test]
fn a_replaced_deck_is_freed_by_the_sweep_alone() {
    let before = build(&business("swept-a", BUSINESS), &Registry::default()).unwrap();
    let after = build(&business("swept-b", BUSINESS), &Registry::default()).unwrap();
    let call = Arc::clone(&before.facts);
    let freed = Arc::downgrade(call.decks().values().next().unwrap());
    let desk = desk_of(before);
    desk.replace_snapshot(Arc::new(after));
    desk.sweep();
    drop(call);
    assert!(freed.upgrade().is_some(), "it waits for the sweep");
    desk.sweep();
    assert!(freed.upgrade().is_none());
}

#[test]
fn a_name_that_the_node_file_does_not_have_is_refused() {
    let text = BUSINESS
        .replace("listener = \"outside\"", "listener = \"nowhere\"")
        .replace("203.0.113.5:5080", "127.0.0.1:5060");
    let loaded = business("unknown", &text);
    let Err(error) = build(&loaded, &Registry::default()) else { panic!("must be refused") };
    let error = error.to_string();
    assert!(error.contains("vendor trunk `carrier-1`: listener `nowhere`"), "{error}");
    assert!(error.contains("inside, outside"), "{error}");
    assert!(error.contains("own listener"), "{error}");
}

mod large;
mod patches;
