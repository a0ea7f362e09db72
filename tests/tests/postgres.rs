//! The whole switch on PostgreSQL: the same as with SQLite, and with a server that stops, comes
//! late or refuses access.

use postgres_server::{PASSWORD, Server};
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::time::Duration;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Folder, Setup, program, refusal};
use strowger_tests::wait;

/// Runs the command line against a running switch.
fn strowger(folder: &Folder, arguments: &[&str]) -> Output {
    let node = folder.path().join("node.toml");
    let mut command = Command::new(program());
    command.args(arguments).arg("--config").arg(node);
    command.output().expect("the program is built")
}

fn check_config(folder: &Folder) -> Output {
    let mut command = Command::new(program());
    command.arg("check-config").arg(folder.path().join("node.toml"));
    command.output().expect("the program is built")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn setup(url: &str) -> Setup {
    let mut setup = Setup::new();
    setup.node.push_str(&format!("\ndatabase = \"{url}\"\n"));
    setup
}

fn name(url: &str) -> &str {
    url.rsplit('/').next().expect("a database")
}

fn balance(stage: &Stage, name: &str) -> String {
    let accounts = stage.switch.get("/v1/accounts");
    let list = accounts.as_array().expect("accounts");
    let account = list.iter().find(|account| account["name"] == name).expect("it exists");
    account["balance"].as_str().expect("a balance is a text").to_owned()
}

fn has_alarm(stage: &Stage, alarm: &str) -> bool {
    let alarms = stage.switch.get("/v1/alarms");
    let mut names = alarms.as_array().into_iter().flatten().map(|one| one["alarm"].clone());
    names.any(|name| name == alarm)
}

/// A call through the whole switch.
fn one_call(stage: &Stage) {
    let mut vendor = stage.vendor_a().answers();
    stage.caller().calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
}

/// Queries the server itself: number of calls, and whether balances are the sums of their postings.
fn on_the_server(server: &Server, url: &str) -> (String, String) {
    let wrong = "SELECT COUNT(*) FROM account a WHERE balance_units * 10000000000::numeric \
                 + balance_fraction <> (SELECT COALESCE(SUM(units * 10000000000::numeric \
                 + fraction), 0) FROM posting p WHERE p.account = a.id)";
    let calls = server.sql(name(url), "SELECT COUNT(*) FROM call_record");
    (calls, server.sql(name(url), wrong))
}

/// CDR-06, BILL-46, BILL-48: a call is made, priced and recorded, a payment is booked once, and
/// `kill -9` loses nothing.
#[test]
fn a_switch_on_postgresql_is_one_on_sqlite() {
    let server = Server::shared();
    let url = server.database();
    let mut stage = Stage::with(&setup(&url));
    one_call(&stage);
    let record = stage.switch.record();
    record.shows("/end_reason", "caller_hangup").shows("/rerate", false);
    let listed =
        words(&strowger(stage.switch.folder(), &["cdr", "--answered", "--vendor", "vendor-a"]));
    assert!(listed.contains("vendor-a") && listed.contains("caller_hangup"), "{listed}");

    let pay = ["account", "pay", "broke", "7.5", "--key", "k1"];
    let paid = strowger(stage.switch.folder(), &pay);
    assert!(paid.status.success(), "{}", errors(&paid));
    let again = words(&strowger(stage.switch.folder(), &pay));
    assert_eq!(again, "7.5 had been booked before to broke; the balance is 7.5\n");
    assert_eq!(words(&strowger(stage.switch.folder(), &["rerate"])), "0 calls rated again\n");

    let before = (balance(&stage, "payer"), balance(&stage, "carrier"));
    assert_ne!(before.0, "1000000", "the call was charged");
    stage.switch.kill_hard();
    stage.switch.start_again();
    assert_eq!((balance(&stage, "payer"), balance(&stage, "carrier")), before);
    assert_eq!(balance(&stage, "broke"), "7.5");
    one_call(&stage);
    assert_eq!(stage.switch.settled_records(2).len(), 2);
    assert_eq!(on_the_server(server, &url), ("2".to_owned(), "0".to_owned()));
    stage.switch.stop();
    let log = stage.switch.log();
    assert!(!log.contains(PASSWORD) && !log.contains("a%20secret"), "{log}");
    let files = stage.switch.folder().path().join("data/strowger.db");
    assert!(!files.exists(), "no SQLite file is made");
}

/// CDR-14: while the server is stopped, calls continue, the alarm stands, and a payment is refused,
/// not booked; once it is back, the records are written and the alarm clears.
#[test]
fn calls_go_on_while_the_server_is_stopped() {
    let server = Server::start();
    let url = server.database();
    let stage = Stage::with(&setup(&url));
    one_call(&stage);
    assert_eq!(stage.switch.settled_records(1).len(), 1);

    server.kill();
    one_call(&stage);
    wait::until("the alarm", Duration::from_secs(20), || {
        has_alarm(&stage, "database_slow").then_some(())
    });
    one_call(&stage);
    let payment = json!({"amount": "3", "key": "while-away"});
    let (status, answer) = stage.switch.post("/v1/accounts/broke/payments", &payment);
    assert_eq!(status, 500, "{answer}");
    let text = answer.to_string();
    assert!(text.contains("the database postgres://strowger@127.0.0.1:"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(balance(&stage, "broke"), "0");

    server.start_again();
    wait::until("all records", Duration::from_secs(30), || {
        let (status, records) = stage.switch.try_get("/v1/records");
        (status == 200 && records.as_array()?.len() == 3).then_some(())
    });
    wait::until("the end of the alarm", Duration::from_secs(20), || {
        (!has_alarm(&stage, "database_slow")).then_some(())
    });
    let (status, answer) = stage.switch.post("/v1/accounts/broke/payments", &payment);
    assert_eq!((status, &answer["booked"]), (200, &Value::Bool(true)), "{answer}");
    let (status, answer) = stage.switch.post("/v1/accounts/broke/payments", &payment);
    assert_eq!((status, &answer["booked"]), (200, &Value::Bool(false)), "{answer}");
    assert_eq!(balance(&stage, "broke"), "3");
    assert_eq!(on_the_server(&server, &url), ("3".to_owned(), "0".to_owned()));
}

/// A node that starts before its server logs that it waits, and then takes calls.
#[test]
fn a_node_waits_for_a_server_that_comes_late() {
    let server = Server::start();
    let url = server.database();
    server.stop();
    let setup = setup(&url);
    let folder = setup.write();
    let log = folder.path().join("switch.log");
    let stage = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait::until("a node that waits", Duration::from_secs(40), || {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                log.contains("the database is away").then_some(())
            });
            std::thread::sleep(Duration::from_secs(2));
            server.start_again();
        });
        Stage::on(&setup, folder)
    });
    one_call(&stage);
    assert_eq!(stage.switch.settled_records(1).len(), 1);
    let log = stage.switch.log();
    assert_eq!(log.matches("the database is away").count(), 1, "{log}");
    assert!(log.contains("Connection refused") && log.contains("the database is there"), "{log}");
}

/// An error that waiting cannot solve is reported at once, by name and without the password.
#[test]
fn a_server_that_does_not_let_us_in_is_told_at_once() {
    let server = Server::shared();
    let url = server.database();
    let rows = [
        (url.replace("a%20secret", "another"), "password authentication failed for user"),
        (server.url("nowhere"), "database \"nowhere\" does not exist"),
        (format!("{url}?sslmode=require"), "TLS"),
    ];
    for (url, why) in rows {
        let told = refusal(&setup(&url).write());
        assert!(told.contains("the database postgres://strowger@127.0.0.1:"), "{told}");
        assert!(told.contains(why), "{told}");
        assert!(!told.contains("secret") && !told.contains("another%2F"), "{told}");
    }
    server.sql(name(&url), "CREATE TABLE account (id INT)");
    let told = refusal(&setup(&url).write());
    assert!(told.contains("account") && told.contains("already exists"), "{told}");
}

/// The URL is checked before anything is started.
#[test]
fn check_config_names_a_database_url_that_is_wrong() {
    let folder = setup("postgres://strowger:hidden@127.0.0.1:5432").write();
    let checked = check_config(&folder);
    let told = errors(&checked) + &words(&checked);
    assert!(!checked.status.success(), "{told}");
    assert!(told.contains("database: it names no database"), "{told}");
    assert!(told.contains("node.toml:") && !told.contains("hidden"), "{told}");
    let folder = setup("postgres://strowger:hidden@127.0.0.1:1/calls").write();
    let checked = check_config(&folder);
    assert!(checked.status.success(), "a server is not asked: {}", errors(&checked));
}
