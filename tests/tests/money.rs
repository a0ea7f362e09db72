//! Late and repeated bookings: re-rated charges, payments with lost responses, searches for
//! records, a damaged journal.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin, program};
use strowger_tests::wait;

/// Runs the command line against a running switch.
fn strowger(stage: &Stage, arguments: &[&str]) -> Output {
    let node = stage.switch.folder().path().join("node.toml");
    let mut command = Command::new(program());
    command.args(arguments).arg("--config").arg(node);
    command.output().expect("the program is built")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn balance(stage: &Stage, name: &str) -> String {
    let accounts = stage.switch.get("/v1/accounts");
    let list = accounts.as_array().expect("accounts");
    let account = list.iter().find(|account| account["name"] == name).expect("it exists");
    account["balance"].as_str().expect("a balance is a text").to_owned()
}

/// The misbehaving guest, built to trap at every rating.
fn put_broken_rating(file: &Path) {
    let mut bytes = std::fs::read(built_plugin("hostile")).expect("`make test` built it");
    let version = b"1.0.0-build-a";
    let last = bytes.len() - version.len();
    let places: Vec<usize> = (0..last).filter(|at| bytes[*at..].starts_with(version)).collect();
    assert!(!places.is_empty(), "the guest tells its build");
    for at in places {
        bytes[at + version.len() - 1] = b'x';
    }
    std::fs::write(file, bytes).expect("test folder is writable");
}

/// BILL-73, CDR-07: a charge that failed at the end is rated later, once, with new postings; the
/// balances are right even after a crash.
#[test]
fn charges_that_failed_are_rated_again_once() {
    let mut setup = Setup::new();
    // Without the relay a call needs no media as evidence (BILL-13).
    setup.relay = false;
    setup.calls = "interim = \"1s\"".to_owned();
    for hook in ["screening", "numbering", "rating", "routing", "identity"] {
        let chain = format!("[[plugins.chain]]\nhook = \"{hook}\"\nplugins = [\"{hook}\"]\n");
        setup.plugin_lines.push_str(&chain);
    }
    let mut stage = Stage::with(&setup);
    let vendor = stage.vendor_a().answers();
    let caller = stage.caller().with("talk_ms", 600_000).calls();
    wait::until("the call is up", CALL_LIMIT, || {
        let calls = stage.switch.get("/v1/calls");
        (calls.as_array()?.first()?["state"] == "answered").then_some(())
    });
    // The copy at the answer and those of the following seconds.
    let journal = || stage.switch.metric("strowger_journal_bytes", &[]);
    let first = wait::until("the copy at the answer", CALL_LIMIT, || {
        Some(journal()).filter(|bytes| *bytes > 500.0)
    });
    wait::until("two more copies", CALL_LIMIT, || (journal() > 2.5 * first).then_some(()));
    stage.switch.kill_hard();
    drop((vendor, caller));
    // The next run has another rating plugin, which fails.
    put_broken_rating(&stage.switch.folder().path().join("plugins/hostile.wasm"));
    let node = stage.switch.folder().read("node.toml");
    let broken = node.replace("plugins = [\"rating\"]", "plugins = [\"hostile\"]").replace(
        "name = \"rating\"\ngrants = [",
        "name = \"hostile\"\ngrants = [\"trunks\", \"metrics\", \"accounts\", \"notes\", ",
    );
    stage.switch.folder().put("node.toml", &broken);
    stage.switch.start_again();

    let record = stage.switch.record();
    record.shows("/end_reason", "node_lost").shows("/rerate", true);
    record.shows("/sell/amount", "0").shows("/cost", "0");
    assert!(record.number("/billable_ms") >= 1000, "{:#}", record.0);
    let before = (balance(&stage, "payer"), balance(&stage, "carrier"));
    assert_eq!(before, ("1000000".to_owned(), "0".to_owned()));
    let listed = strowger(&stage, &["cdr", "--rerate", "--json"]);
    assert_eq!(words(&listed).matches("\"sip_call_id\"").count(), 2, "a record and its attempt");
    let in_vain = words(&strowger(&stage, &["rerate"]));
    assert!(in_vain.starts_with("0 calls rated again\n"), "{in_vain}");
    assert!(in_vain.contains("is still open: "), "{in_vain}");

    stage.switch.kill_hard();
    stage.switch.folder().put("node.toml", &node);
    stage.switch.start_again();
    let dry = words(&strowger(&stage, &["rerate", "--dry-run"]));
    assert!(dry.starts_with("1 calls would be rated again\n"), "{dry}");
    assert_eq!(balance(&stage, "payer"), before.0, "nothing is booked yet");
    let done = words(&strowger(&stage, &["rerate"]));
    assert!(done.starts_with("1 calls rated again\n"), "{done}");
    assert_eq!(words(&strowger(&stage, &["rerate"])), "0 calls rated again\n");
    assert_eq!(words(&strowger(&stage, &["cdr", "--rerate"])), "no records\n");

    for _ in 0..2 {
        let record = stage.switch.record();
        record.shows("/rerate", false).shows("/end_reason", "node_lost");
        assert!(record.number("/rated_again_ms") > record.number("/answer_ms"));
        let (sell, cost) = (amount(&record.0["sell"]["amount"]), amount(&record.0["cost"]));
        assert!(sell > cost && cost > 0, "{:#}", record.0);
        assert_eq!(amount(&record.0["profit"]), sell - cost);
        let text = Value::from(balance(&stage, "payer"));
        assert_eq!(amount(&text), amount(&"1000000".into()) - sell);
        assert_eq!(amount(&balance(&stage, "carrier").into()), -cost);
        stage.switch.kill_hard();
        stage.switch.start_again();
    }
}

/// A money text in 10^-10 units.
fn amount(value: &Value) -> i128 {
    let text = value.as_str().expect("money is a text");
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    sign * format!("{whole}{fraction:0<10}").parse::<i128>().expect("money is a number")
}

/// A proxy that discards the responses to the first `lost` requests.
fn losing_answers(admin: std::net::SocketAddr, lost: usize) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let (Ok(mut client), Ok(mut node)) = (client, TcpStream::connect(admin)) else {
                return;
            };
            let mut request = vec![0; 65_536];
            let mut length = client.read(&mut request).unwrap_or(0);
            // Head and body may arrive separately.
            client.set_read_timeout(Some(Duration::from_millis(100))).expect("a time is set");
            while let Ok(more @ 1..) = client.read(&mut request[length..]) {
                length += more;
            }
            node.write_all(&request[..length]).expect("the node reads");
            node.set_read_timeout(Some(Duration::from_millis(500))).expect("a time is set");
            let mut answer = Vec::new();
            let _ = node.read_to_end(&mut answer);
            if number >= lost {
                let _ = client.write_all(&answer);
            }
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    address
}

/// BILL-46: after a lost response the payment is retried with the same key, automatically and by
/// hand.
#[test]
fn a_payment_whose_answer_is_lost_is_booked_once() {
    let stage = Stage::new();
    let admin = stage.net.admin();
    let token = stage.switch.token();
    let through = losing_answers(admin, 2).to_string();
    let pay = ["account", "pay", "broke", "7.5", "--admin", &through, "--token", &token];
    let paid = strowger(&stage, &pay);
    let told = words(&paid);
    assert_eq!(told, "7.5 had been booked before to broke; the balance is 7.5\n", "{paid:?}");
    assert_eq!(balance(&stage, "broke"), "7.5");

    let through = losing_answers(admin, usize::MAX).to_string();
    let pay = ["account", "pay", "broke", "2", "--admin", &through, "--token", &token];
    let lost = strowger(&stage, &pay);
    let told = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert!(!lost.status.success() && told.contains("ask again with --key "), "{told}");
    let key = told.split("--key ").nth(1).and_then(|rest| rest.split(':').next()).expect("a key");
    assert_eq!(balance(&stage, "broke"), "9.5");
    let again = words(&strowger(&stage, &["account", "pay", "broke", "2", "--key", key]));
    assert_eq!(again, "2 had been booked before to broke; the balance is 9.5\n");
    let other = strowger(&stage, &["account", "pay", "broke", "3", "--key", key]);
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(told.contains("used for another payment: 2 to account `broke`"), "{told}");
    let too_much = strowger(&stage, &["account", "pay", "broke", "999999999999999999"]);
    let told = String::from_utf8_lossy(&too_much.stderr).into_owned();
    assert!(told.contains("one payment moves at most 1000000000000"), "{told}");
    assert_eq!(balance(&stage, "broke"), "9.5");
}

/// CDR-22, CDR-24: a call is found by each of its attributes, and pages follow each other.
#[test]
fn records_are_found_by_what_is_known_of_them() {
    let stage = Stage::new();
    let folder = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().script("vendor_answers").calls(0, 10).start(&folder);
    for (caller, callee) in [("15550001", "442071110001"), ("15550002", "442072220002")] {
        let caller = stage.caller().with("caller", caller).with("callee", callee).calls();
        { caller }.succeeds(CALL_LIMIT);
    }
    stage.caller().with("callee", "4915112345678").is_refused_with(403).succeeds(CALL_LIMIT);
    vendor.stop();
    assert_eq!(stage.switch.settled_records(3).len(), 3);
    let rows: [(&[&str], usize); 13] = [
        (&["--callee", "442071"], 1),
        (&["--caller", "15550002"], 1),
        (&["--number", "1555000"], 2),
        (&["--account", "payer"], 3),
        (&["--account", "broke"], 0),
        (&["--customer", "customer"], 3),
        (&["--vendor", "vendor-a"], 2),
        (&["--vendor", "vendor-b"], 0),
        (&["--reason", "no_rate"], 1),
        (&["--answered"], 2),
        (&["--unanswered"], 1),
        (&["--since", "1h", "--answered", "--callee", "44"], 2),
        (&["--until", "2026-01-01"], 0),
    ];
    for (filter, found) in rows {
        let arguments = [&["cdr", "--json"], filter].concat();
        let listed = strowger(&stage, &arguments);
        let records: Vec<Value> = serde_json::from_slice(&listed.stdout).expect("JSON");
        assert_eq!(records.len(), found, "{filter:?}");
    }
    let mut seen = Vec::new();
    let mut arguments = vec!["cdr".to_owned(), "--limit".to_owned(), "1".to_owned()];
    while seen.len() < 3 {
        let page =
            words(&strowger(&stage, &arguments.iter().map(String::as_str).collect::<Vec<_>>()));
        let more =
            page.lines().last().and_then(|line| line.strip_prefix("more: the same with --before "));
        let id = more.expect("how to go on").to_owned();
        assert!(!seen.contains(&id), "{id} twice");
        arguments.truncate(3);
        arguments.extend(["--before".to_owned(), id.clone()]);
        seen.push(id);
    }
    let last = strowger(&stage, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(words(&last), "no records\n");
    let none = strowger(&stage, &["cdr", "--reason", "no_rate", "--until", "2026-01-01"]);
    assert_eq!(words(&none), "no records\n");
    let none = strowger(&stage, &["cdr", "--reason", "no_route"]);
    assert!(none.status.success() && words(&none) == "no records\n", "it could be: {none:?}");
    for list in [&["cdr", "--reason", "no_rout"][..], &["cdr", "--reason", "no_rout", "--json"]] {
        let unknown = strowger(&stage, list);
        let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
        assert!(!unknown.status.success() && unknown.stdout.is_empty(), "{unknown:?}");
        let why = "no record ends with the reason `no_rout`; is `no_route` meant?";
        assert!(told.contains(why), "{told}");
    }
    let refused = strowger(&stage, &["cdr", "--vendor", "vendor-z"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("no vendor trunk has or had the name `vendor-z`"), "{told}");
}

/// CDR-06: a flipped bit in the journal is reported, set aside, and does not prevent the start.
#[test]
fn a_damaged_journal_is_told_and_set_aside() {
    let mut stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    stage.caller().calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    stage.switch.kill_hard();
    let journal = stage.switch.folder().path().join("data/journal");
    let segment = journal.join("0000000000000001.journal");
    let mut bytes = std::fs::read(&segment).expect("the first segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&segment, &bytes).expect("test folder is writable");
    stage.switch.start_again();
    assert_eq!(stage.switch.record().0, record.0, "the database has it");
    assert!(stage.switch.metric("strowger_journal_damaged_bytes_total", &[]) > 100.0);
    assert!(stage.switch.log().contains("the journal is damaged"));
    let aside = journal.join("0000000000000001.damaged");
    assert_eq!(std::fs::read(aside).expect("it is kept"), bytes);
}
