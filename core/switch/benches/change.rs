//! The cost of a change with 100,000 accounts, 20,000 trunks and 10,000 calls on a shard: a look-up
//! in the shared maps, one change, and how long the shard stalls for the new snapshot, including
//! when it has to look for peers whose trunk is gone.
//!
//! `cargo bench -p strowger-switch --bench change`

#[path = "../../ledger/benches/deck/counted.rs"]
mod counted;
#[path = "../tests/machine/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;
#[path = "../../bench_table.rs"]
mod table;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strowger_switch::facts::{Account, Change, Facts, Network, RoutePrefix};
use strowger_switch::{IdMap, Now, SharedMap, World};
use support::agent::{CallerPlan, VendorPlan};
use support::facts::{account, customer, deck, small_operator, vendor};
use support::{call, policy, stage_of};

const ACCOUNTS: u32 = 100_000;
const TRUNKS: u32 = 10_000;
const CALLS: usize = 10_000;
const CHANGES: u32 = 2_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    look_ups()?;
    let facts = large();
    changes(&facts)?;
    stands_still(facts)
}

/// Nanoseconds of a look-up among accounts that are drawn at random.
fn look_ups() -> Result<(), Box<dyn std::error::Error>> {
    let accounts = (0..ACCOUNTS).map(|id| (id, Arc::new(account(id, "a"))));
    let shared: SharedMap<u32, Arc<Account>> = accounts.collect();
    let by_id: IdMap<Arc<Account>> =
        shared.iter().map(|(id, account)| (*id, Arc::clone(account))).collect();
    let usual: foldhash::HashMap<u32, Arc<Account>> =
        shared.iter().map(|(id, account)| (*id, Arc::clone(account))).collect();
    let drawn = |n: u32| n.wrapping_mul(2_654_435_761) % ACCOUNTS;
    let time = |find: &dyn Fn(u32) -> u32| {
        let best = (0..5).map(|_| {
            let began = Instant::now();
            let sum: u64 = (0..2_000_000).map(|n| u64::from(find(drawn(n)))).sum();
            black_box(sum);
            began.elapsed()
        });
        best.min().unwrap_or_default().as_secs_f64() * 1e9 / 2e6
    };
    report("shared_map_look_up_ns", time(&|id| shared.get(&id).map_or(0, |a| a.id)), "ns")?;
    report("id_map_look_up_ns", time(&|id| by_id.get(&id).map_or(0, |a| a.id)), "ns")?;
    report("hash_map_look_up_ns", time(&|id| usual.get(&id).map_or(0, |a| a.id)), "ns")
}

fn large() -> Facts {
    let mut facts = small_operator();
    for id in 1000..1000 + ACCOUNTS {
        facts.apply(Change::Account(Arc::new(account(id, &format!("account {id}")))));
    }
    let customers = (1000..1000 + TRUNKS).map(|id| {
        let mut trunk = customer(id, &format!("customer {id}"), "10.9.9.9:5060");
        trunk.networks = vec![network(0x0a40_0000 + id)];
        Arc::new(trunk)
    });
    let vendors = (1000..1000 + TRUNKS).map(|id| Arc::new(far_vendor(id, id % 50)));
    let (mut customers, mut vendors): (Vec<_>, Vec<_>) = (customers.collect(), vendors.collect());
    customers.extend(facts.customers().values().cloned());
    vendors.extend(facts.vendors().values().cloned());
    facts.fill(customers, vendors);
    facts
}

fn network(host: u32) -> Network {
    Network { address: std::net::IpAddr::V4(host.into()), prefix: 32, port: None }
}

fn far_vendor(id: u32, prefix: u32) -> strowger_switch::facts::VendorTrunk {
    let host = std::net::Ipv4Addr::from(0x0a80_0000 + id);
    let mut trunk = vendor(id, &format!("vendor {id}"), &[&format!("{host}:5060")], 1);
    let prefix = format!("9{prefix}").as_str().into();
    trunk.prefixes = vec![RoutePrefix { prefix, priority: 100, extend: true }];
    trunk
}

/// Microseconds of one change, and its bytes in addition to the previous facts.
fn changes(facts: &Facts) -> Result<(), Box<dyn std::error::Error>> {
    let of_account = |n| Change::Account(Arc::new(Account { channels: n, ..account(2000, "a") }));
    let of_customer = |n| {
        let mut trunk = customer(2000, "customer", "10.9.9.9:5060");
        trunk.networks = vec![network(0x0b00_0000 + n)];
        Change::Customer(Arc::new(trunk))
    };
    let of_vendor = |n: u32| Change::Vendor(Arc::new(far_vendor(2000, n % 50)));
    let cents = deck("another", 77);
    let of_deck = |_| Change::Deck(1, Arc::clone(&cents));
    let kinds: [(&str, &dyn Fn(u32) -> Change); 4] = [
        ("account", &of_account),
        ("customer_trunk", &of_customer),
        ("vendor_trunk", &of_vendor),
        ("deck", &of_deck),
    ];
    for (what, change) in kinds {
        let (mut longest, mut freed) = (Duration::ZERO, Duration::ZERO);
        let began = Instant::now();
        for n in 0..CHANGES {
            let began = Instant::now();
            let next = facts.with(change(n));
            longest = longest.max(began.elapsed());
            let began = Instant::now();
            drop(next);
            freed = freed.max(began.elapsed());
        }
        let mean = began.elapsed().as_secs_f64() * 1e6 / f64::from(CHANGES);
        let before = counted::taken();
        let next = facts.with(change(0));
        let bytes = counted::taken() - before;
        drop(next);
        println!("change of one {what}: at most {longest:?}, dropped in at most {freed:?}");
        report(&format!("change_{what}_us"), mean, "us")?;
        report(&format!("change_{what}_bytes"), bytes as f64, "bytes")?;
    }
    Ok(())
}

/// The longest stall of a shard with all calls up.
fn stands_still(facts: Facts) -> Result<(), Box<dyn std::error::Error>> {
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    stage.keep_wire = false;
    for _ in 0..CALLS / 100 {
        for _ in 0..100 {
            let hangup = Some(Duration::from_secs(3000));
            call(&mut stage, CallerPlan { hangup, ..CallerPlan::default() });
        }
        stage.run(Duration::from_millis(100));
    }
    stage.run(Duration::from_secs(3));
    let up = stage.switch.calls().count();
    println!("{up} calls are up");
    let now = Now { instant: stage.now, utc_ms: 1_790_000_100_000 };
    let world = |facts: Facts| Arc::new(World { facts: Arc::new(facts), pin: policy::pin(1) });
    // Replaced snapshots are kept here, as the program keeps them.
    let mut kept: Vec<Arc<World>> = Vec::new();
    // Other programs take processor time: use the median of the longest stall of each round.
    let mut longest = [Duration::ZERO; 21];
    for (n, longest) in (0..).zip(&mut longest) {
        for swap in 0..50 {
            let changed = Account { channels: n * 50 + swap, ..account(2000, "a") };
            let next = world(stage.facts.with(Change::Account(Arc::new(changed))));
            kept.push(Arc::clone(&next));
            let began = Instant::now();
            stage.switch.set_world(now, next);
            *longest = (*longest).max(began.elapsed());
        }
    }
    report("new_snapshot_stands_still_10000_calls_us", median(longest), "us")?;
    // All calls go to this vendor; a call that was noted is not checked again.
    let next = world(stage.facts.with(Change::NoVendor(11)));
    kept.push(Arc::clone(&next));
    let began = Instant::now();
    stage.switch.set_world(now, next);
    report("lost_trunk_stands_still_us", began.elapsed().as_secs_f64() * 1e6, "us")?;
    let mut steps = Vec::new();
    while stage.switch.poll_timeout().is_some_and(|at| at <= now.instant) {
        let began = Instant::now();
        stage.switch.handle_timeout(now, &mut stage.media);
        steps.push(began.elapsed());
    }
    steps.sort_unstable();
    println!("calls are looked at in {} steps, the longest {:?}", steps.len(), steps.last());
    let usual = steps.get(steps.len() / 2).copied().unwrap_or_default();
    report("lost_trunk_step_us", usual.as_secs_f64() * 1e6, "us")?;
    // Skips running the remaining calls to their end.
    std::process::exit(0)
}

fn median(mut times: [Duration; 21]) -> f64 {
    times.sort_unstable();
    times[10].as_secs_f64() * 1e6
}

fn report(name: &str, value: f64, unit: &str) -> Result<(), Box<dyn std::error::Error>> {
    println!("{name}: {value:.2} {unit}");
    Ok(table::append([table::line(name, value, unit, None)])?)
}
