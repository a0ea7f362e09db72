//! Cost of a change in a large business. Ignored by default:
//!
//! `cargo test --release -p strowger-engine --lib -- --ignored one_change --nocapture`

use super::*;
use crate::snapshot::Changed;
use ledger::{PriceRow, RateDeck, RateRow, RowChange};
use std::time::{Duration, Instant};
use switch::World;

const ACCOUNTS: u32 = 100_000;
const TRUNKS: u32 = 10_000;
const ROWS: u32 = 1_000_000;
/// Changes per kind.
const CHANGES: u32 = 200;
/// From the object to new calls.
const GOAL: Duration = Duration::from_millis(50);

/// 100,000 accounts, 10,000 trunks of each kind, one deck of a million rows for all.
fn large() -> Loaded {
    let mut loaded = business("large", BUSINESS);
    let (account, customer) = (loaded.accounts[0].clone(), loaded.customer_trunks[0].clone());
    let vendor = loaded.vendor_trunks[0].clone();
    for id in 1000..1000 + ACCOUNTS {
        let mut account = account.clone();
        (account.id, account.account.name) = (id, format!("account {id}"));
        loaded.accounts.push(account);
    }
    for id in 1000..1000 + TRUNKS {
        let host = std::net::Ipv4Addr::from(0x0a00_0000 + id);
        let mut customer = customer.clone();
        (customer.id, customer.trunk.name) = (id, format!("customer {id}"));
        (customer.account_id, customer.trunk.addresses) =
            (id, vec![host.to_string().parse().unwrap()]);
        loaded.customer_trunks.push(customer);
        let mut vendor = vendor.clone();
        (vendor.id, vendor.trunk.name) = (id, format!("vendor {id}"));
        vendor.trunk.targets = vec![format!("{host}:5070").parse().unwrap()];
        for (at, listed) in vendor.trunk.prefixes.iter_mut().enumerate() {
            // Each prefix belongs to a few hundred trunks.
            listed.prefix = format!("4{at}{}", id % 50);
        }
        loaded.vendor_trunks.push(vendor);
    }
    loaded.decks[0].deck = Arc::new(
        RateDeck::from_rows("retail", "EUR", (0..ROWS).map(|n| row(n, i128::from(n % 997))))
            .unwrap(),
    );
    loaded
}

fn row(number: u32, price: i128) -> RateRow {
    RateRow {
        prefix: format!("4{number:07}").as_str().into(),
        destination: "somewhere".into(),
        price: PriceRow { price_next: Money(price), ..PriceRow::default() },
        valid_from_ms: 0,
        valid_to_ms: None,
        blocked: false,
    }
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
#[ignore = "takes half a minute and prints figures"]
fn one_change_is_in_force_soon_in_a_large_business() {
    let config = Config::parse("node.toml", NODE).unwrap();
    let registry = Registry::default();
    let mut loaded = large();
    let began = Instant::now();
    let snapshot = build(&loaded, &registry).unwrap();
    println!("whole business: {:?}", began.elapsed());
    let desk = desk_of(snapshot);
    let world = desk.published();
    let mut measure = |what: &str,
                       make: &mut dyn FnMut(u32, &mut Loaded),
                       of: fn(&Loaded) -> Changed<'_>,
                       seen: &dyn Fn(u32, &World) -> bool| {
        let (mut worst, mut sum) = (Duration::ZERO, Duration::ZERO);
        let mut kept = Vec::new();
        let before = resident();
        for n in 1..=CHANGES {
            make(n, &mut loaded);
            let began = Instant::now();
            let next = desk.snapshot().patched(&config, of(&loaded), &registry).unwrap();
            desk.replace_snapshot(Arc::new(next));
            assert!(seen(n, &world.load()), "{what} {n}");
            let took = began.elapsed();
            (worst, sum) = (worst.max(took), sum + took);
            kept.push(world.load_full());
        }
        let bytes = resident().saturating_sub(before) / u64::from(CHANGES);
        println!(
            "{what}: {:?} on average, {worst:?} at most, {bytes} bytes more for each",
            sum / CHANGES
        );
        // The last holder of a replaced snapshot, as a call is.
        let mut longest = Duration::ZERO;
        for world in kept {
            let began = Instant::now();
            drop(world);
            longest = longest.max(began.elapsed());
        }
        let began = Instant::now();
        desk.sweep();
        println!("  dropped by a call in {longest:?}, all swept in {:?}", began.elapsed());
        assert!(sum / CHANGES < GOAL, "{what}");
    };
    measure(
        "account",
        &mut |n, loaded| loaded.accounts.last_mut().unwrap().account.channels = n,
        |loaded| Changed::Account(loaded.accounts.last().unwrap()),
        &|n, world| world.facts.accounts()[&(999 + ACCOUNTS)].channels == n,
    );
    measure(
        "customer trunk",
        &mut |n, loaded| {
            let host = std::net::Ipv4Addr::from(0x0b00_0000 + n).to_string();
            let last = loaded.customer_trunks.last_mut().unwrap();
            last.trunk.addresses = vec![host.parse().unwrap()];
        },
        |loaded| Changed::Customer(loaded.customer_trunks.last().unwrap()),
        &|n, world| {
            let host = std::net::Ipv4Addr::from(0x0b00_0000 + n);
            world.facts.knows((host, 5060).into())
        },
    );
    measure(
        "vendor trunk",
        &mut |n, loaded| {
            let last = loaded.vendor_trunks.last_mut().unwrap();
            last.trunk.prefixes[0].prefix = format!("9{n}");
        },
        |loaded| Changed::Vendor(loaded.vendor_trunks.last().unwrap()),
        &|n, world| world.facts.routes().get(&format!("9{n}")).is_some(),
    );
    measure(
        "deck row",
        &mut |n, loaded| {
            let deck = &mut loaded.decks[0].deck;
            *deck = Arc::new(deck.with([RowChange::Put(row(n, -5))]).unwrap());
        },
        |loaded| Changed::Deck(&loaded.decks[0]),
        &|n, world| {
            let account = &world.facts.accounts()[&1000];
            let number = format!("4{n:07}1");
            let found = world.facts.deck_of(account).unwrap().find(&number, 0);
            matches!(found, RateLookup::Found(row) if row.price.price_next == Money(-5))
        },
    );
    measure(
        "rule set of 10,001 trunks",
        &mut |n, loaded| loaded.rule_sets[0].text = format!("{n} -> "),
        |loaded| Changed::RuleSet(&loaded.rule_sets[0]),
        &|n, world| {
            let rules = world.facts.customers()[&1000].callee_rules;
            world.pin.lookup.text(rules).as_deref() == Some(&*format!("{n} -> "))
        },
    );
    let began = Instant::now();
    let folded = desk.snapshot().folded();
    println!("a fold of the routes: {:?}", began.elapsed());
    assert!(!folded.needs_fold());
}
