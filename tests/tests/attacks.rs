//! Runs the commands of `docs/attacks.md` unchanged against a running switch.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use strowger_tests::rtp::{MediaPeer, talk};
use strowger_tests::sipp::audio_address;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, program};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/attacks.md");

/// Media ports: few, so that a sweep is short.
const PORTS: &str = "20000-20099";

/// The shell commands in the section with this heading.
fn commands(heading: &str) -> String {
    let page = std::fs::read_to_string(PAGE).expect("docs/attacks.md is there");
    let (_, section) =
        page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no `{heading}`"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let (_, block) = section.split_once("```sh\n").expect("the section has commands");
    block.split("\n```").next().unwrap_or_default().to_owned()
}

/// Their output. `strowger` is the program under test.
fn run(stage: &Stage, heading: &str) -> String {
    let program = program();
    let folder = program.parent().expect("the program lies in a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .arg("-c")
        .arg(commands(heading))
        .env("ADMIN", stage.net.admin().to_string())
        .env("SIP", stage.switch.address().to_string())
        .env("STRANGER", stage.net.stranger().to_string())
        .env("DATA", stage.switch.folder().path().join("data"))
        .env("CONFIG", stage.switch.folder().path().join("node.toml"))
        .env("MEDIA", stage.net.media().to_string())
        .env("PORTS", PORTS)
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{heading}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_web_page_in_a_browser_changes_nothing() {
    let stage = Stage::new();
    let balance = || stage.switch.get("/v1/accounts")[2]["balance"].clone();
    let before = balance();
    assert_eq!(run(&stage, "A web page in a browser on the machine"), "403\n403\n403\n421\n401\n");
    assert_eq!(balance(), before);
    let refused = |reason| {
        stage.switch.metric("strowger_admin_refused_total", &[&format!("reason=\"{reason}\"")])
    };
    assert_eq!((refused("origin"), refused("host"), refused("token")), (3.0, 1.0, 1.0));
}

#[test]
fn halves_of_requests_keep_nobody_out() {
    let stage = Stage::new();
    assert_eq!(run(&stage, "Halves of requests"), "HTTP/1.1 200 OK\nat once\n");
}

#[test]
fn the_files_of_a_node_are_its_users_alone() {
    let stage = Stage::new();
    assert_eq!(run(&stage, "Guessing the token"), "700\n600\n600\n600\n700\n");
}

#[test]
fn strangers_learn_from_health_whether_calls_may_come_and_no_more() {
    let stage = Stage::new();
    assert_eq!(run(&stage, "Asking who is there"), r#"{"status":"up"}"#);
}

#[test]
fn strangers_hear_nothing_where_all_customers_have_addresses() {
    let said = run(&Stage::new(), "Using the switch as an amplifier");
    assert_eq!(
        said,
        "other methods: 0 bytes heard\nINVITE: 0 answers, 0.0 bytes for each byte sent\n"
    );
}

#[test]
fn an_amplifier_answers_once_and_little() {
    let stage = Stage::with(&Setup::with_a_nomad());
    let said = run(&stage, "Using the switch as an amplifier");
    let (others, invite) = said.split_once('\n').expect("two lines");
    assert_eq!(others, "other methods: 0 bytes heard");
    let factor = invite
        .strip_prefix("INVITE: 1 answers, ")
        .and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    assert!(factor.is_some_and(|factor| factor < 2.0), "{said}");
    assert_eq!(stage.switch.metric("strowger_transactions", &[]), 0.0);
}

#[test]
fn a_guesser_is_locked_out_and_listed() {
    let stage = Stage::with(&Setup::with_a_nomad());
    let said = run(&stage, "Guessing passwords");
    let (answers, list) = said.split_once('\n').expect("answers, then the list");
    assert_eq!(answers.trim(), "403 403 403 403 403 403 silence silence");
    let address = stage.net.stranger().to_string();
    assert!(list.lines().any(|line| line.contains(&address) && line.contains("nomad")), "{list}");
}

/// MEDIA-11: a few packets to every port, before any audio or after a silence, take over no call:
/// audio keeps its way, and the silent party is heard at once when it speaks again.
#[test]
fn a_sweep_over_all_media_ports_takes_no_call() {
    let mut setup = Setup::new();
    setup.media_ports = PORTS.to_owned();
    let stage = Stage::with(&setup);
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("talk_ms", 12_000).calls();
    let at_caller = MediaPeer::bind(SocketAddr::new(stage.net.caller(), 40000), 0xCA11);
    let at_vendor = MediaPeer::bind(SocketAddr::new(stage.net.vendor_a(), 40000), 0xFE2D);
    let offer = audio_address(&vendor.hears("INVITE")).expect("an offer");
    let answer = audio_address(&caller.hears("SIP/2.0 200")).expect("an answer");
    let speak = || talk((&at_caller, answer), (&at_vendor, offer), 10, Duration::from_millis(20));
    assert_eq!(run(&stage, "Taking a call's audio over"), "0 packets heard\n", "nobody has spoken");
    for peer in [&at_caller, &at_vendor] {
        // It may be a media server of another host: its packets are not held back.
        let _ = peer.take(usize::MAX);
    }
    assert_eq!(speak().map(|packets| packets.len()), [10, 10]);
    // Longer than the silence after which another source is considered.
    std::thread::sleep(Duration::from_millis(5_200));
    assert_eq!(run(&stage, "Taking a call's audio over"), "0 packets heard\n");
    assert_eq!(speak().map(|packets| packets.len()), [10, 10], "the parties hear each other");
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    // Those of the second sweep: before any audio the source may be a media server.
    stage.switch.record().shows("/media/dropped", 10).shows("/attempts/0/media/dropped", 10);
    assert_eq!(stage.switch.metric("strowger_relay_takeovers_total", &[]), 0.0);
}

/// BILL-40: concurrent calls do not overdraw a balance.
#[test]
fn calls_at_once_do_not_overdraw_a_prepaid_balance() {
    let mut setup = Setup::new();
    let address = setup.net.host(14);
    setup.business = format!(
        "[[account]]\nname = \"prepaid\"\ncurrency = \"EUR\"\nopening_balance = \"0.1\"\n\
         deck = \"sell\"\n[[customer_trunk]]\nname = \"prepaid\"\naccount = \"prepaid\"\n\
         addresses = [\"{address}\"]\n"
    );
    let stage = Stage::with(&setup);
    let files = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().script("vendor_answers").calls(0, 20).start(&files);
    let calls = stage.caller_from(address).with("talk_ms", 4_000).script("caller_calls");
    // They are cut when the money is used up, which their script does not expect.
    let caller = calls.calls(8, 20).start(&files);
    assert_eq!(stage.switch.settled_records(8).len(), 8);
    drop(caller);
    vendor.stop();
    let accounts = stage.switch.get("/v1/accounts");
    let prepaid = accounts.as_array().into_iter().flatten().find(|one| one["name"] == "prepaid");
    let balance = prepaid.and_then(|one| one["balance"].as_str()).expect("a balance");
    assert!(!balance.starts_with('-'), "{balance}");
}
