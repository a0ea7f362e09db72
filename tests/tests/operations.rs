//! The promises of docs/operations.md: signals, the log, the files of the node.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use strowger_tests::by_hand;
use strowger_tests::stage::Stage;
use strowger_tests::switch::{Setup, Switch, program};
use strowger_tests::wait;

const LIMIT: Duration = Duration::from_secs(20);

fn signal(switch: &Switch, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &switch.pid().to_string()]).status();
    assert!(sent.expect("kill runs").success(), "the switch is ours");
}

fn wait_for_line(switch: &Switch, words: &str) {
    wait::until(words, LIMIT, || switch.log().contains(words).then_some(()));
}

/// A reload by signal: an error raises an alarm until another reload succeeds.
#[test]
fn sighup_reloads_and_other_signals_end_nothing() {
    let stage = Stage::new();
    for name in ["USR1", "USR2", "ALRM", "VTALRM", "XFSZ", "PIPE"] {
        signal(&stage.switch, name);
    }
    wait_for_line(&stage.switch, "SIGXFSZ");
    let file = "business/business.toml";
    let before = stage.switch.folder().read(file);
    let more = "[[account]]\nname = \"hangup\"\ncurrency = \"EUR\"\n";
    stage.switch.folder().put(file, &(before.clone() + more));
    signal(&stage.switch, "HUP");
    wait::until("the new account", LIMIT, || {
        stage.switch.get("/v1/accounts").to_string().contains("hangup").then_some(())
    });

    let alarms = || stage.switch.get("/v1/alarms").to_string();
    stage.switch.folder().put(file, &(before.clone() + &more.replace("EUR", "euro")));
    signal(&stage.switch, "HUP");
    wait::until("the alarm", LIMIT, || alarms().contains("reload_refused").then_some(()));
    wait_for_line(&stage.switch, "ALARM: the business files are not taken");
    let node = stage.switch.folder().path().join("node.toml");
    let listed = Command::new(program()).args(["alarms", "--config"]).arg(node).output();
    let listed =
        String::from_utf8_lossy(&listed.expect("the program is built").stdout).into_owned();
    assert!(listed.contains("business.toml:") && listed.contains("To do: "), "{listed}");
    assert_eq!(stage.switch.metric("strowger_alarms", &["reload_refused"]), 1.0);

    stage.switch.folder().put(file, &before);
    signal(&stage.switch, "HUP");
    wait::until("the end of the alarm", LIMIT, || {
        (!alarms().contains("reload_refused")).then_some(())
    });
    wait_for_line(&stage.switch, "alarm is over");
}

/// While another program locks the database, records wait in the journal, and lists of records say
/// so.
#[test]
fn a_list_of_records_says_that_some_wait_for_the_database() {
    let stage = Stage::new();
    let database = stage.switch.folder().path().join("data/strowger.db");
    let hold = "import sqlite3, sys\n\
                held = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                held.execute('BEGIN EXCLUSIVE')\n\
                print('held', flush=True)\n\
                sys.stdin.read()\n";
    let mut holder = Command::new("python3")
        .args(["-c", hold])
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut line = String::new();
    let said = holder.stdout.take().expect("a pipe");
    BufReader::new(said).read_line(&mut line).expect("it speaks");
    assert_eq!(line, "held\n");
    let caller = stage.raw_socket(stage.net.caller());
    let invite = by_hand::invite(&caller, "999");
    caller.send_to(invite.as_bytes(), stage.switch.address()).expect("sent");
    assert!(by_hand::hear_final(&caller).starts_with("SIP/2.0 4"));

    let node = stage.switch.folder().path().join("node.toml");
    let list = || {
        let done = Command::new(program()).args(["cdr", "--config"]).arg(&node).output();
        String::from_utf8_lossy(&done.expect("the program is built").stdout).into_owned()
    };
    let first = list();
    assert!(first.contains("not complete: ") && !first.contains("999"), "{first}");
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    wait::until("the record", LIMIT, || {
        let list = list();
        (list.contains("999") && !list.contains("not complete")).then_some(())
    });
}

/// A caller puts newlines and escape sequences into fields that are logged and shown.
#[test]
fn control_characters_of_a_caller_reach_no_terminal() {
    let mut setup = Setup::new();
    setup.log = "debug".to_owned();
    let stage = Stage::with(&setup);
    let caller = stage.raw_socket(stage.net.caller());
    caller.send_to(invite(&caller).as_bytes(), stage.switch.address()).expect("sent");
    let records = wait::until("a record", LIMIT, || {
        Some(stage.switch.records()).filter(|records| !records.is_empty())
    });
    let id = records[0]["id"].as_str().expect("a record has an id");
    let node = stage.switch.folder().path().join("node.toml");
    let mut shown = stage.switch.log();
    for arguments in [&["cdr"][..], &["cdr", id], &["cdr", "--json"], &["calls"]] {
        let output = Command::new(program()).args(arguments).arg("--config").arg(&node).output();
        let output = output.expect("the program is built");
        assert!(output.status.success(), "{output:?}");
        shown += &String::from_utf8_lossy(&output.stdout);
    }
    shown += stage.switch.try_get("/metrics").1.as_str().unwrap_or_default();
    let raw = shown.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(raw, None, "{shown:?}");
    assert!(!shown.lines().any(|line| line.starts_with("forged")), "{shown}");
}

fn invite(socket: &UdpSocket) -> String {
    let local = socket.local_addr().expect("a bound socket has an address");
    format!(
        "INVITE sip:44%0aforged%1b[2J@switch SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKctl\r\n\
         Max-Forwards: 70\r\nFrom: \"\u{9b}2J\" <sip:1%0d%0aforged%9b@{local}>;tag=ctl\r\n\
         To: <sip:44%0aforged@switch>\r\nCall-ID: ctl\u{9b}@{local}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:raw@{local}>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Others could have written compiled plugins there: they are not run, and an alarm says so.
#[test]
fn a_plugin_cache_that_others_can_write_to_is_an_alarm() {
    let mut stage = Stage::new();
    assert_eq!(stage.switch.get("/v1/alarms"), serde_json::json!([]));
    stage.switch.stop();
    let cache = stage.switch.folder().path().join("data/plugin-cache");
    std::fs::set_permissions(&cache, Permissions::from_mode(0o777)).expect("it is ours");
    stage.switch.start_again();
    let alarms = stage.switch.get("/v1/alarms").to_string();
    assert!(alarms.contains("unsafe_files") && alarms.contains("plugin-cache"), "{alarms}");
    assert!(stage.switch.log().contains("the kept ones not used"));
}
