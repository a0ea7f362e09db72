//! `kill -9` under load: reported records exist, the money adds up, calls in progress are closed
//! and billed.

use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use strowger_tests::rtp::MediaPeer;
use strowger_tests::sipp::audio_address;
use strowger_tests::stage::Stage;
use strowger_tests::switch::Setup;
use strowger_tests::wait;

/// A money text in 10^-10 units.
fn units(value: &Value) -> i128 {
    let text = value.as_str().expect("money is a text");
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number: i128 = format!("{whole}{fraction:0<10}").parse().expect("money is a number");
    sign * number
}

fn charge(record: &Value) -> i128 {
    record.pointer("/sell/amount").map_or(0, units)
}

fn cost(record: &Value) -> i128 {
    units(&record["cost"])
}

/// CDR-06, BILL-13, BILL-28, BILL-31, BILL-48, SIG-93 `node_lost`.
#[test]
fn a_killed_switch_loses_no_reported_record_and_no_money() {
    const UP: u32 = 10;
    let mut setup = Setup::new();
    setup.calls = "interim = \"1s\"".to_owned();
    let mut stage = Stage::with(&setup);
    let folder = stage.switch.folder().path().to_owned();

    let script = stage.vendor_a().with("ring_ms", 20).script("vendor_answers");
    let vendor = script.calls(0, 100).quiet().start(&folder);
    let script = stage.caller().with("talk_ms", 600_000).with("callee", "442075550000");
    let long = script.script("caller_calls").calls(UP, 10).port(5070).start(&folder);
    wait::until("ten calls are up", Duration::from_secs(20), || {
        let calls = stage.switch.get("/v1/calls");
        let up = calls.as_array()?.iter().filter(|call| call["state"] == "answered").count();
        (up == UP as usize).then_some(())
    });
    let since = Instant::now();
    // Audio of the long calls is the evidence that they are alive (BILL-13).
    let ports: Vec<SocketAddr> = long
        .received()
        .iter()
        .filter(|message| message.starts_with("SIP/2.0 200"))
        .filter_map(|message| audio_address(message))
        .collect();
    assert_eq!(ports.len(), UP as usize);
    let voice = MediaPeer::bind(SocketAddr::new(stage.net.caller(), 40000), 0xCA11);
    let talking = Arc::new(AtomicBool::new(true));
    let still = talking.clone();
    let talker = std::thread::spawn(move || {
        let mut number = 0u16;
        while still.load(Ordering::Relaxed) {
            ports.iter().for_each(|port| voice.send(number, *port));
            number = number.wrapping_add(1);
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let script = stage
        .caller()
        .with("talk_ms", 400)
        .with("caller", "1555[call_number]")
        .script("caller_calls");
    let load = script.calls(0, 50).quiet().start(&folder);

    // Until the load has left some hundred records; those reported last count.
    let reported: BTreeMap<String, i128> =
        wait::until("records under load", Duration::from_secs(60), || {
            let records = stage.switch.records();
            (records.len() >= 150).then(|| {
                records
                    .iter()
                    .map(|record| (record["id"].as_str().unwrap_or("").to_owned(), charge(record)))
                    .collect()
            })
        });
    let up_for = since.elapsed();
    stage.switch.kill_hard();
    talking.store(false, Ordering::Relaxed);
    talker.join().expect("no panic");
    drop((long, load, vendor));
    stage.switch.start_again();

    let records = wait::until("the lost calls are closed", Duration::from_secs(20), || {
        let records = stage.switch.records();
        let lost = |record: &&Value| {
            record["end_reason"] == "node_lost" && record["callee_in"] == "442075550000"
        };
        (records.iter().filter(lost).count() == UP as usize).then_some(records)
    });
    let after: BTreeMap<&str, &Value> =
        records.iter().map(|record| (record["id"].as_str().unwrap_or(""), record)).collect();
    assert_eq!(after.len(), records.len(), "a call has two records");
    for (id, amount) in &reported {
        let record = after.get(id.as_str()).unwrap_or_else(|| panic!("record {id} was lost"));
        assert_eq!(charge(record), *amount, "{record}");
    }
    for record in records.iter().filter(|record| record["end_reason"] == "node_lost") {
        let answered = record["answer_ms"].as_u64();
        if record["callee_in"] == "442075550000" {
            assert!(answered.is_some(), "{record}");
            // Interim copies are made every second: the billed time may lack the last one or two.
            let billed = Duration::from_millis(record["billable_ms"].as_u64().unwrap_or(0));
            assert!(billed + Duration::from_secs(2) > up_for, "{up_for:?} up: {record}");
            assert!(charge(record) > 0, "{record}");
        }
        // BILL-28: a charged call has a cost, too.
        if answered.is_some() && record["billable_ms"].as_u64() > Some(0) {
            assert!(cost(record) > 0, "{record}");
        }
    }
    let opening = 1_000_000 * 10_000_000_000_i128;
    let accounts = stage.switch.get("/v1/accounts");
    let balance = |name: &str| {
        let list = accounts.as_array().expect("accounts");
        units(&list.iter().find(|account| account["name"] == name).expect("it exists")["balance"])
    };
    let charged: i128 = records.iter().map(charge).sum();
    assert_eq!(balance("payer"), opening - charged, "the balance is not the sum of postings");
    let owed: i128 = records.iter().map(cost).sum();
    assert_eq!(balance("carrier"), -owed, "the vendor's balance is not the sum of postings");
}

/// After an ordinary restart each record exists at once, and once.
#[test]
fn records_and_balances_survive_a_restart_unchanged() {
    let mut stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(Duration::from_secs(20));
    vendor.succeeds(Duration::from_secs(20));
    let record = stage.switch.record();
    let accounts = stage.switch.get("/v1/accounts");
    stage.switch.kill_hard();
    stage.switch.start_again();
    assert_eq!(stage.switch.record().0, record.0);
    assert_eq!(stage.switch.get("/v1/accounts"), accounts);
}
