//! The commands of `docs/attacks.md`, run as they stand there against a running switch.

use std::process::Command;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::Setup;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/attacks.md");

/// The shell commands of the section with this heading.
fn commands(heading: &str) -> String {
    let page = std::fs::read_to_string(PAGE).expect("docs/attacks.md is there");
    let (_, section) =
        page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no `{heading}`"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let (_, block) = section.split_once("```sh\n").expect("the section has commands");
    block.split("\n```").next().unwrap_or_default().to_owned()
}

/// What they print.
fn run(stage: &Stage, heading: &str) -> String {
    let output = Command::new("bash")
        .arg("-c")
        .arg(commands(heading))
        .env("ADMIN", stage.net.admin().to_string())
        .env("SIP", stage.switch.address().to_string())
        .env("STRANGER", stage.net.stranger().to_string())
        .env("DATA", stage.switch.folder().path().join("data"))
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
fn strangers_hear_nothing_but_one_challenge() {
    let stage = Stage::new();
    assert_eq!(run(&stage, "Using the switch as an amplifier"), "0 bytes heard\n");
}

/// BILL-40: what README and page say of prepaid balances is so. Once money is reserved, this
/// test fails, and their words change with it.
#[test]
fn calls_at_once_overdraw_a_prepaid_balance() {
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
    calls.calls(8, 20).start(&files).succeeds(CALL_LIMIT);
    vendor.stop();
    assert_eq!(stage.switch.settled_records(8).len(), 8);
    let accounts = stage.switch.get("/v1/accounts");
    let prepaid = accounts.as_array().into_iter().flatten().find(|one| one["name"] == "prepaid");
    let balance = prepaid.and_then(|one| one["balance"].as_str()).expect("a balance");
    assert!(balance.starts_with("-0."), "{balance}");
    for page in ["../README.md", "../docs/attacks.md"] {
        let page = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(page).expect("the page is there");
        assert!(text.contains("balance goes below zero") || text.contains("balance below zero"));
    }
}
