//! The next program takes over from the running one, and no caller notices (OPS-64).

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;
use strowger_tests::raw::{RawCaller, RawVendor, sdp};
use strowger_tests::rtp::MediaPeer;
use strowger_tests::sipp::audio_address;
use strowger_tests::stage::Stage;
use strowger_tests::switch::{Setup, program};

const LONG: Duration = Duration::from_secs(60);

/// A switch that listens on UDP and TCP.
fn stage() -> Stage {
    let mut setup = Setup::new();
    setup.plugin_lines.push_str(&format!(
        "\n[[listeners]]\nname = \"tcp\"\naddress = \"{}\"\ntransport = \"tcp\"\n",
        setup.net.switch()
    ));
    Stage::with(&setup)
}

/// `strowger upgrade`.
fn upgrade(stage: &Stage) -> Output {
    let node = stage.switch.folder().path().join("node.toml");
    let mut command = Command::new(program());
    command.args(["upgrade", "--json", "--config"]).arg(node);
    command.output().expect("the program runs")
}

/// Upgrades; returns the number of calls taken over.
fn upgraded(stage: &Stage) -> u64 {
    let done = upgrade(stage);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let log = || format!("{said}{}\n{}", String::from_utf8_lossy(&done.stderr), stage.switch.log());
    assert!(done.status.success(), "{}", log());
    let done: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    done["calls"].as_u64().expect("a number")
}

/// Calls in every state, over UDP and TCP, survive two upgrades: each is answered, ends as its
/// caller wants, and is billed once.
#[test]
fn calls_live_through_upgrades() {
    for arguments in [&[][..], &["-t", "t1"][..]] {
        let stage = stage();
        let (folder, pid) = (stage.switch.folder().path().to_owned(), stage.switch.pid());
        let vendor = stage.vendor_a().with("ring_ms", 1500).script("vendor_answers");
        let mut vendor = vendor.calls(30, 10).start(&folder);
        let caller = stage.caller().with("talk_ms", 5000).script("caller_calls");
        let mut caller = caller.calls(30, 8).arguments(arguments).start(&folder);
        let mut most = 0;
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(2200));
            most = most.max(upgraded(&stage));
        }
        assert!(most > 8, "{most} calls went on");
        caller.succeeds(LONG);
        vendor.succeeds(LONG);
        assert_eq!(stage.switch.pid(), pid);
        let records = stage.switch.settled_records(30);
        for record in &records {
            assert_eq!(record["end_reason"], "caller_hangup", "{record}");
            assert_eq!(record["attempts"][0]["code"], 200, "{record}");
            let talked = record["duration_ms"].as_u64().expect("answered");
            assert!((4500..9000).contains(&talked), "{record}");
        }
        assert_eq!(stage.switch.metric("strowger_calls_active", &[]), 0.0);
        assert_eq!(stage.switch.metric("strowger_media_pairs", &[]), 0.0);
    }
}

/// A relayed call keeps the ports to which its peers send, and audio resumes.
#[test]
fn audio_passes_again_on_the_same_ports() {
    let stage = stage();
    let [at_caller, at_vendor] = [stage.net.caller(), stage.net.vendor_a()];
    let caller = RawCaller::at(at_caller, stage.switch.address());
    let _vendor = RawVendor::at(at_vendor, &sdp(&format!("IN IP4 {at_vendor}"), 40_000));
    let callers_audio = MediaPeer::bind(SocketAddr::new(at_caller, 40_000), 1);
    let vendors_audio = MediaPeer::bind(SocketAddr::new(at_vendor, 40_000), 2);
    let offer = sdp(&format!("IN IP4 {at_caller}"), 40_000);
    let invite = caller.invite_with("talk", "442071234567", &offer);
    caller.send(&invite);
    let answer = caller.hear_final("talk", "1 INVITE");
    caller.send(&caller.in_dialog(&invite, &answer, "ACK", 1));
    let to = audio_address(&answer).expect("the switch relays");
    let heard = |from: u16| {
        for number in from..from + 10 {
            callers_audio.send(number, to);
        }
        vendors_audio.take(10).len()
    };
    assert_eq!(heard(0), 10, "before");
    assert_eq!(upgraded(&stage), 1);
    assert_eq!(heard(100), 10, "after, at the same port");
    caller.send(&caller.in_dialog(&invite, &answer, "BYE", 2));
    assert!(caller.hear_final("talk", "2 BYE").starts_with("SIP/2.0 200 "));
    let record = stage.switch.record();
    record.shows("/end_reason", "caller_hangup").shows("/media/rtp_in", 20);
}

/// A program that cannot take over the calls does not start: the error says why, and nothing
/// changes.
#[test]
fn an_upgrade_that_would_lose_calls_is_refused() {
    let stage = stage();
    let node = stage.switch.folder().read("node.toml");
    let generation = stage.switch.get("/health")["started_ms"].clone();
    let wrong = [
        (format!("{node}\nnonsense = 1\n"), "nonsense"),
        (node.replace("name = \"tcp\"", "name = \"other\""), "the listener `tcp`"),
        (format!("database = \"other.db\"\n{node}"), "the balances"),
        (
            format!("{node}\n[[listeners]]\nname = \"third\"\naddress = \"192.0.2.1:5060\"\n"),
            "listener `third` cannot use 192.0.2.1:5060",
        ),
        (format!("{node}\n[media.sounds]\nhello = \"no-such.wav\"\n"), "sound `hello`"),
    ];
    for (text, words) in wrong {
        stage.switch.folder().put("node.toml", &text);
        let (status, answer) = stage.switch.post("/v1/upgrade", &serde_json::Value::Null);
        assert_eq!(status, 422, "{answer}");
        let said = answer["detail"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(words), "{answer}");
    }
    stage.switch.folder().put("node.toml", &node);
    assert_eq!(stage.switch.get("/health")["started_ms"], generation, "the same program runs");
    let mut vendor = stage.vendor_a().answers();
    stage.caller().calls().succeeds(LONG);
    vendor.succeeds(LONG);
}
