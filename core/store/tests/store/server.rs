//! What only a server does: several nodes on one database, connections that die, locks of others.

use crate::support::configuration::{SMALL, configuration};
use crate::support::database::{Other, database};
use crate::support::documents::call;
use crate::support::folder::Folder;
use crate::support::recorder::{open, start};
use business::Business;
use ledger::Money;
use postgres_server::Server;
use std::time::{Duration, Instant};
use strowger_store::{Alarm, Payment, Store, StoreError};

fn business() -> Business {
    let folder = configuration(&[("all.toml", SMALL)]);
    Business::from_folder(folder.path(), "realm").expect("it is good")
}

fn payment(account: u32, key: &str) -> Payment {
    let amount = Money(5 * Money::ONE.0);
    Payment { account, amount, note: String::new(), key: Some(key.to_owned()) }
}

/// Ends every other connection to a database.
async fn end_connections(folder: &Folder) {
    let mut other = Other::connect(folder.path()).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    other.execute("", end).await;
}

/// Two nodes write records, payments and business of one database, each with a journal of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_a_database() {
    const EACH: u64 = 300;
    let folders = [Folder::new("node-a"), Folder::new("node-b")];
    let stores = [
        open(folders[0].path()).await,
        Store::open(database(folders[0].path())).await.expect("a second node"),
    ];
    let nodes = stores.iter().zip(&folders).zip([0, 10_000]).map(|((store, folder), first)| {
        let (store, path) = (store.clone(), folder.path().to_owned());
        tokio::spawn(async move {
            let (recorder, _) = start(&store, &path).await;
            for number in first..first + EACH {
                recorder.submit(call(number));
                if number % 10 == 0 {
                    recorder.flush().await;
                }
            }
            recorder.flush().await;
            store.apply(&business()).await.expect("one after the other");
            // Under one key on both: it is booked once.
            store.pay(&payment(1, "one")).await.expect("it is booked or was").booked
        })
    });
    let mut booked = 0;
    for node in nodes.collect::<Vec<_>>() {
        booked += u32::from(node.await.expect("it ends"));
    }
    assert_eq!(booked, 1);
    let store = &stores[0];
    assert_eq!(store.count_calls().await.expect("read"), 2 * EACH);
    assert!(store.prove().await.expect("read").faults.is_empty());
    let cost = Money(-41_333_300 * i128::from(2 * EACH));
    assert_eq!(store.balance(2).await.expect("read"), Some(cost));
    let mut other = Other::connect(folders[0].path()).await;
    let ids = other.ids().await;
    assert_eq!(ids.len(), 2 * EACH as usize, "each call has a number of its own");
}

/// A connection that died is replaced before it is used again, that of the writer and those of
/// readers.
#[tokio::test]
async fn connections_that_die_are_replaced() {
    let folder = Folder::new("dies");
    let store = open(folder.path()).await;
    for round in 0..3 {
        store.balance(1).await.expect("read");
        end_connections(&folder).await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let paid = store.pay(&payment(1, &format!("key-{round}"))).await;
        assert!(paid.expect("the writer is there again").booked);
        let balance = store.balance(1).await.expect("readers are there again");
        assert_eq!(balance, Some(Money((105 + 5 * round) * Money::ONE.0)));
    }
}

/// CDR-14: a server that goes while it is written to costs no record, and the alarm comes and goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_loses_no_record() {
    let server = Server::start();
    let folder = Folder::new("stops");
    std::fs::write(folder.join("database-url"), server.database()).expect("it is ours");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    recorder.submit(call(1));
    recorder.flush().await;
    server.kill();
    for number in 2..500 {
        recorder.submit(call(number));
    }
    recorder.flush_journal().await;
    let waited = Instant::now();
    while !recorder.alarms().contains(&Alarm::DatabaseFails) {
        assert!(waited.elapsed() < Duration::from_secs(20), "{:?}", recorder.gauges());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = store.pay(&payment(1, "away")).await.expect_err("it is away");
    assert!(refused.is_away() && matches!(refused, StoreError::Unreachable { .. }), "{refused}");
    server.start_again();
    recorder.flush().await;
    assert!(!recorder.alarms().contains(&Alarm::DatabaseFails));
    assert_eq!(store.count_calls().await.expect("read"), 499);
    assert!(store.pay(&payment(1, "away")).await.expect("it is there").booked);
    assert!(store.prove().await.expect("read").faults.is_empty());
}

/// What another holds for long makes nobody wait for ever: neither who applies a business nor who
/// reads.
#[tokio::test]
async fn locks_of_others_are_waited_for_with_a_limit() {
    let folder = Folder::new("waits");
    let store = open(folder.path()).await;
    let mut node = Other::connect(folder.path()).await;
    node.execute("", "BEGIN; SELECT pg_advisory_xact_lock(8319400234730349938)").await;
    let mut dump = Other::connect(folder.path()).await;
    dump.execute("", "BEGIN; LOCK TABLE posting IN ACCESS EXCLUSIVE MODE").await;
    let start = Instant::now();
    let business = business();
    let (applied, read) = tokio::join!(store.apply(&business), store.postings_sum(1));
    let refused = applied.expect_err("another node applies").to_string();
    assert!(refused.contains("another node brings its business"), "{refused}");
    let refused = read.expect_err("the table is locked").to_string();
    assert!(refused.contains("lock timeout"), "{refused}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    node.release().await;
    dump.release().await;
    assert!(store.apply(&business).await.expect("it is free").is_empty());
}

/// A peer may send a zero byte, which a text of PostgreSQL has not.
#[tokio::test]
async fn a_zero_byte_in_a_number_holds_no_record_up() {
    let folder = Folder::new("zero");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    let mut odd = call(1);
    odd.call.caller_in = "+44\0 7".into();
    recorder.submit(odd.clone());
    recorder.submit(call(2));
    recorder.flush().await;
    assert_eq!(store.count_calls().await.expect("read"), 2);
    let found = store.call(odd.call.id).await.expect("read").expect("it is there");
    assert_eq!(found.document.call.caller_in, odd.call.caller_in);
}
