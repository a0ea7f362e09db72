//! `strowger call test`: the switch itself calls over one vendor trunk (ROUTE-83).

use serde_json::{Value, json};
use std::f64::consts::TAU;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use strowger_tests::raw::{RawVendor, sdp};
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, program};
use strowger_tests::wait;

const CALLEE: &str = "442071234567";

/// Level of a full-scale sine in G.711, dBm0.
#[expect(clippy::approx_constant, reason = "the overload point of A-law, and no circle")]
const LARGEST_DBM0: f64 = 3.14;

fn command(stage: &Stage, words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(words).arg("--config").arg(stage.switch.folder().path().join("node.toml"));
    command
}

fn strowger(stage: &Stage, words: &[&str]) -> Output {
    command(stage, words).output().expect("the program is built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The error of a command that must fail.
fn refusal(stage: &Stage, words: &[&str]) -> String {
    let done = strowger(stage, &[&["call", "test"][..], words].concat());
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stdout));
    text(&done.stderr)
}

/// The balance of an account.
fn balance(stage: &Stage, name: &str) -> f64 {
    let accounts = stage.switch.get("/v1/accounts");
    let accounts = accounts.as_array().expect("a list");
    let account = accounts.iter().find(|account| account["name"] == name).expect("it is there");
    account["balance"].as_str().and_then(|text| text.parse().ok()).expect("an amount")
}

fn nothing_is_left(stage: &Stage) {
    for metric in ["strowger_relay_pairs_used", "strowger_relay_sessions"] {
        wait::until(metric, Duration::from_secs(10), || {
            (stage.switch.metric(metric, &[]) == 0.0).then_some(())
        });
    }
    assert_eq!(stage.switch.calls_now(), 0);
}

/// Records what it receives and echoes it.
struct Echo {
    stop: Arc<AtomicBool>,
    heard: thread::JoinHandle<Vec<Vec<u8>>>,
}

impl Echo {
    fn at(rtp: UdpSocket) -> Echo {
        rtp.set_read_timeout(Some(Duration::from_millis(50))).expect("a time is set");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let heard = thread::spawn(move || {
            let (mut packets, mut buffer) = (Vec::new(), [0; 2048]);
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = rtp.recv_from(&mut buffer) else { continue };
                packets.push(buffer[..length].to_vec());
                rtp.send_to(&buffer[..length], from).expect("loopback takes packets");
            }
            packets
        });
        Echo { stop, heard }
    }

    fn heard(self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.heard.join().expect("it ends")
    }
}

/// Decodes an A-law code (ITU-T G.711) to 13 bits.
fn a_law(code: u8) -> f64 {
    let code = code ^ 0x55;
    let (segment, step) = (u32::from(code >> 4 & 7), f64::from(code & 15));
    let size = match segment {
        0 => step * 2.0 + 1.0,
        segment => (step * 2.0 + 33.0) * f64::from(1_u32 << (segment - 1)),
    };
    if code & 0x80 == 0 { -size } else { size }
}

/// The share of a frequency in the samples (Goertzel), 1.0 if there is nothing else.
fn share(samples: &[f64], hz: f64) -> f64 {
    let step = TAU * hz / 8_000.0;
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (at, value) in samples.iter().enumerate() {
        let phase = step * at as f64;
        re += value * phase.cos();
        im += value * phase.sin();
        power += value * value;
    }
    2.0 * (re * re + im * im) / (power * samples.len() as f64)
}

/// ROUTE-83: the vendor gets 1004 Hz at -10 dBm0 for the requested time; the command reports the
/// call, the record is flagged as a test, the vendor's cost is booked and no customer pays.
#[test]
fn a_vendor_hears_the_tone_and_the_record_says_test() {
    let stage = Stage::new();
    let address = stage.net.vendor_a();
    let rtp = UdpSocket::bind((address, 40_000)).expect("the address is free");
    let vendor = RawVendor::at(address, &sdp(&format!("IN IP4 {address}"), 40_000));
    let echo = Echo::at(rtp);
    let (payer, carrier) = (balance(&stage, "payer"), balance(&stage, "carrier"));
    let words = ["call", "test", "--trunk", "vendor-a", "--to", CALLEE, "--tone", "--seconds", "2"];
    let done = strowger(&stage, &words);
    let said = text(&done.stdout);
    println!("{said}");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let packets = echo.heard();
    assert!((95..=105).contains(&packets.len()), "{} packets", packets.len());
    assert!(packets.iter().all(|packet| packet.len() == 172 && packet[1] & 0x7f == 8));
    let codes = packets.iter().flat_map(|packet| &packet[12..]);
    let samples: Vec<f64> = codes.map(|code| a_law(*code)).collect();
    assert!(share(&samples, 1_004.0) > 0.99, "{}", share(&samples, 1_004.0));
    let power = samples.iter().map(|value| value * value).sum::<f64>() / samples.len() as f64;
    let level = 10.0 * (power / (4_096.0 * 4_096.0 / 2.0)).log10() + LARGEST_DBM0;
    assert!((level + 10.0).abs() < 0.3, "{level} dBm0");

    let record = stage.switch.record();
    record.shows("/flags", json!(["test"])).shows("/customer", "test").shows("/account", "test");
    record.shows("/end_reason", "service_end").shows("/code_returned", 200).shows("/source", "");
    record.shows("/callee_in", CALLEE).shows("/caller_in", "").shows("/sell", Value::Null);
    record.shows("/attempts/0/vendor", "vendor-a").shows("/attempts/0/media/codec", "PCMA");
    record.shows("/attempts/0/media/dropped", 0).shows("/rerate", false);
    assert!((2_000..2_100).contains(&record.number("/duration_ms")));
    let [sent, received] =
        ["rtp_out", "rtp_in"].map(|count| record.number(&format!("/attempts/0/media/{count}")));
    assert_eq!(sent, packets.len() as u64);
    assert!(received + 2 >= sent, "{received} of {sent}");
    let id = record.0["id"].as_str().expect("an id").to_owned();
    for words in [
        format!("call {id} to {CALLEE} over vendor-a"),
        "answered".to_owned(),
        ":5060: 200 service_end".to_owned(),
        format!("{sent} packets sent, {received} received"),
        "PCMA".to_owned(),
        "service_end, code 200".to_owned(),
        format!("strowger cdr {id}"),
    ] {
        assert!(said.contains(&words), "no `{words}` in\n{said}");
    }
    assert!(balance(&stage, "carrier") < carrier, "the vendor is owed for it");
    assert_eq!(balance(&stage, "payer"), payer);
    let shown = text(&strowger(&stage, &["cdr", &id]).stdout);
    assert!(shown.contains("flags         test\n"), "{shown}");
    assert!(shown.contains("test (test), placed by under-test\n"), "{shown}");
    let listed = text(&strowger(&stage, &["cdr"]).stdout);
    assert!(listed.contains("vendor-a 200") && listed.contains(&id), "{listed}");
    nothing_is_left(&stage);
    drop(vendor);
}

/// ROUTE-83: without a tone it sends silence, reported as JSON; the caller number is sent.
#[test]
fn a_vendor_that_rings_hears_silence() {
    let stage = Stage::new();
    let address = stage.net.vendor_b();
    let echo = Echo::at(UdpSocket::bind((address, 40_000)).expect("the address is free"));
    let mut vendor = stage.vendor_b().with("ring_ms", 400).with("rtp", 40_000).answers();
    let words = ["call", "test", "--trunk", "vendor-b", "--to", CALLEE, "--caller", "15551230001"];
    let done = strowger(&stage, &[&words[..], &["--seconds", "1", "--json"]].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let record: Value = serde_json::from_slice(&done.stdout).expect("JSON and nothing else");
    assert_eq!(record["flags"], json!(["test"]));
    assert!(record["attempts"][0]["pdd_ms"].as_u64().is_some_and(|ms| ms < 300), "{record}");
    let waited = record["answer_ms"].as_u64().zip(record["invite_ms"].as_u64());
    assert!(waited.is_some_and(|(answer, invite)| answer - invite >= 400), "{record}");
    assert_eq!(record["attempts"][0]["caller_out"], "15551230001");
    vendor.succeeds(CALL_LIMIT);
    let heard = echo.heard();
    assert!((45..=55).contains(&heard.len()), "{} packets", heard.len());
    assert!(heard.iter().all(|packet| packet[12..].iter().all(|code| *code == 0xd5)));
    nothing_is_left(&stage);
}

/// ROUTE-83: a refusal is reported with its code, and no other trunk is tried.
#[test]
fn a_refused_test_call_ends_with_its_code() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().refuses(503);
    let words = ["call", "test", "--trunk", "vendor-a", "--to", CALLEE];
    let done = strowger(&stage, &words);
    assert_eq!(done.status.code(), Some(1));
    let (said, why) = (text(&done.stdout), text(&done.stderr));
    assert!(why.contains("not answered: device_congested (503)"), "{why}");
    assert!(said.contains(":5060: 503 device_congested") && said.contains("none"), "{said}");
    vendor.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    assert_eq!(record.vendors(), ["vendor-a"]);
    record.shows("/flags", json!(["test"])).shows("/answer_ms", Value::Null);
    nothing_is_left(&stage);
}

/// Ctrl-C hangs up, and the record is still shown.
#[test]
fn ctrl_c_hangs_a_test_call_up() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().rings();
    let words = ["call", "test", "--trunk", "vendor-a", "--to", CALLEE];
    let mut command = command(&stage, &words);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the program is built");
    wait::until("ringing", CALL_LIMIT, || {
        stage.switch.get("/v1/calls").to_string().contains("ringing").then_some(())
    });
    let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let done = child.wait_with_output().expect("it ends");
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stdout).contains("ringing, attempt 1"), "{}", text(&done.stdout));
    assert!(text(&done.stderr).contains("operator_hangup"), "{}", text(&done.stderr));
    vendor.succeeds(CALL_LIMIT);
    nothing_is_left(&stage);
}

/// Errors of a test call are reported before anything is sent.
#[test]
fn what_is_wrong_with_a_test_call_is_told() {
    let setup = Setup { vendor_b: "locked = true".to_owned(), ..Setup::new() };
    let stage = Stage::with(&setup);
    let of = |words: &[&str]| refusal(&stage, words);
    let unknown = of(&["--trunk", "vendor_a", "--to", CALLEE]);
    assert!(unknown.contains("no vendor trunk `vendor_a`; the nearest is `vendor-a`"), "{unknown}");
    let locked = of(&["--trunk", "vendor-b", "--to", CALLEE]);
    assert!(locked.contains("vendor trunk `vendor-b` is locked"), "{locked}");
    let number = of(&["--trunk", "vendor-a", "--to", "44 20"]);
    assert!(number.contains("callee: `44 20` is no number: 1 to 64 letters"), "{number}");
    let number = of(&["--trunk", "vendor-a", "--to", CALLEE, "--caller", "@"]);
    assert!(number.contains("caller: `@` is no number"), "{number}");
    let seconds = of(&["--trunk", "vendor-a", "--to", CALLEE, "--seconds", "301"]);
    assert!(seconds.contains("seconds: 301 is out of range: allowed are 1 to 300"), "{seconds}");
    let body = json!({ "trunk": "vendor-a", "callee": CALLEE, "speed": 9 });
    let (status, refused) = stage.switch.post("/v1/test-calls", &body);
    assert_eq!((status, &refused["field"]), (400, &json!("body")), "{refused}");
    let (status, _) = stage.switch.try_get("/v1/calls/00000000-0000-0000-0000-000000000000");
    assert_eq!(status, 404);
    assert!(stage.switch.records().is_empty());
    assert_eq!(stage.switch.calls_now(), 0);
}
