//! Replacing the business at runtime: nothing waits for it, nothing is done without a difference,
//! and the log shows the changes.

use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, Switch, program};
use strowger_tests::wait::until;

/// `O_NONBLOCK` of Linux.
const NONBLOCK: i32 = 0o4000;

fn reload(switch: &Switch) -> Value {
    let (status, answer) = switch.post("/v1/reload", &json!({}));
    assert_eq!(status, 200, "{answer}");
    answer["changes"].clone()
}

/// Log lines about the business, without time and level.
fn told(switch: &Switch) -> Vec<String> {
    let log = switch.log();
    let lines = log.lines().filter_map(|line| Some(line.split_once("business: ")?.1.to_owned()));
    lines.collect()
}

/// Processes of `strowger apply`; killed on drop.
struct Applies(Vec<Child>);

impl Drop for Applies {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A folder that takes long to read, here with an endless sheet, delays neither the admin API nor
/// calls nor the stop.
#[test]
fn while_a_folder_is_read_the_switch_answers_and_can_be_stopped() {
    let mut stage = Stage::new();
    let folder = stage.switch.folder();
    let sheet = folder.path().join("business/endless.csv");
    let made = Command::new("mkfifo").arg(&sheet).status().expect("mkfifo is part of coreutils");
    assert!(made.success());
    let business = folder.read("business/business.toml");
    let deck = "[[deck]]\nname = \"endless\"\ncurrency = \"EUR\"\nfile = \"endless.csv\"\n";
    folder.put("business/business.toml", &format!("{business}{deck}"));
    let node = folder.path().join("node.toml");
    let apply = |_| {
        let mut command = Command::new(program());
        command.args(["apply", "--config"]).arg(&node);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program is built")
    };
    // More of them than the API has threads.
    let applies = Applies((0..4).map(apply).collect());
    // It can be opened for writing once it has a reader; nothing is ever written.
    let writer = until("a reload reads the sheet", CALL_LIMIT, || {
        OpenOptions::new().write(true).custom_flags(NONBLOCK).open(&sheet).ok()
    });
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(stage.switch.get("/health")["status"], "ok");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    let mut vendor = stage.vendor_a().answers();
    stage.caller().calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    // Fails after 20 s.
    stage.switch.stop();
    drop((writer, applies));
}

/// "Nothing changes" means that nothing is done or logged, and plugins see nothing.
#[test]
fn a_reload_that_changes_nothing_does_nothing() {
    let stage = Stage::new();
    let (before, lines) = (stage.switch.get("/health")["generation"].clone(), told(&stage.switch));
    for _ in 0..3 {
        assert_eq!(reload(&stage.switch), json!([]));
    }
    assert_eq!(stage.switch.get("/health")["generation"], before);
    assert_eq!(told(&stage.switch), lines);
}

/// The log shows the changed object and field, with old and new value; secrets stay secret.
#[test]
fn the_log_says_in_words_what_an_apply_changed() {
    let mut setup = Setup::new();
    setup.vendor_a = "channels = 10\nuser = \"us\"\npassword = \"the first secret\"".to_owned();
    let switch = setup.start();
    let known = told(&switch).len();
    let folder = switch.folder();
    let business = folder.read("business/business.toml");
    folder.put(
        "business/business.toml",
        &business
            .replace("channels = 10", "channels = 20")
            .replace("the first secret", "another secret"),
    );
    let sheet = folder.read("business/sell.csv");
    folder.put("business/sell.csv", &sheet.replace("33,France,0.3,", "33,France,0.35,"));
    reload(&switch);
    // The log is written by a separate thread.
    let lines = until("the log", Duration::from_secs(10), || {
        let lines = told(&switch).split_off(known);
        (lines.len() >= 2).then_some(lines)
    });
    assert_eq!(
        lines,
        [
            "deck sell changed: prefix 33: price 0.3 -> 0.35",
            "vendor_trunk vendor-a changed: channels: 10 -> 20; password: (secret) -> (secret)",
        ],
        "{}",
        switch.log()
    );
    assert!(!switch.log().contains("another secret"));
}
