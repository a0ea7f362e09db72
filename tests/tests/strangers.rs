//! What strangers can cause where customers with a password may call from anywhere: one small
//! response, a few times, and then nothing.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use strowger_tests::by_hand::{again, authorization, hear_final, invite};
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, Switch, program};
use strowger_tests::wait;

/// Two shards, and a customer that may call from anywhere.
fn stage() -> Stage {
    let mut setup = Setup::with_a_nomad();
    setup.node = "shards = 2".to_owned();
    Stage::with(&setup)
}

/// Everything received within `time`.
fn all(socket: &UdpSocket, time: Duration) -> Vec<String> {
    let end = std::time::Instant::now() + time;
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return heard;
        }
        socket.set_read_timeout(Some(left)).expect("a time is set");
        if let Ok((length, _)) = socket.recv_from(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    }
}

/// The output of `strowger lockouts`.
fn lockouts(switch: &Switch, more: &[&str]) -> String {
    let node = switch.folder().path().join("node.toml");
    let mut command = Command::new(program());
    let done = command.arg("lockouts").args(more).arg("--config").arg(node).output();
    let done = done.expect("the program is built");
    String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
}

/// Whether the alarm stands with `words` in its detail.
fn alarmed(switch: &Switch, kind: &str, words: &str) -> bool {
    let alarms = switch.get("/v1/alarms");
    let mut alarms = alarms.as_array().into_iter().flatten();
    alarms.any(|alarm| alarm["alarm"] == kind && alarm["detail"].to_string().contains(words))
}

/// RFC 3261 section 26.3.2.4, SIG-92: one small 401, never retransmitted; no state is kept. The
/// smallest possible INVITE gets at most three bytes for each of its own.
#[test]
fn a_stranger_is_answered_once() {
    let stage = stage();
    let stranger = stage.raw_socket(stage.net.stranger());
    let usual = invite(&stranger, "442071234567");
    let tiny = format!(
        "INVITE sip:4@h SIP/2.0\r\nv:SIP/2.0/UDP {};branch=z9hG4bK7\r\nf:<sip:a@h>;tag=1\r\n\
         t:<sip:4@h>\r\ni:1\r\nCSeq:1 INVITE\r\n\r\n",
        stage.net.stranger()
    );
    for (message, factor) in [(&usual, 2), (&tiny, 3)] {
        stranger.send_to(message.as_bytes(), stage.switch.address()).unwrap();
        // A retransmission would come after 0.5 s and after 1.5 s.
        let heard = all(&stranger, Duration::from_secs(2));
        assert!(heard.len() <= 1, "{heard:?}");
        let bytes: usize = heard.iter().map(String::len).sum();
        assert!(bytes <= factor * message.len(), "{bytes} bytes for {}", message.len());
        assert!(heard.iter().all(|text| text.starts_with("SIP/2.0 401 ")), "{heard:?}");
    }
    assert_eq!(stage.switch.metric("strowger_transactions", &[]), 0.0);
    assert!(stage.switch.metric("strowger_challenges_total", &[]) >= 1.0);
}

/// SEC-22, SEC-29: a flood from one source is answered within its budget, across all shards, and
/// leaves no transaction; then only that source is locked out.
#[test]
fn a_flood_of_one_stranger_is_answered_a_few_times() {
    let stage = stage();
    let stranger = stage.raw_socket(stage.net.stranger());
    for _ in 0..2000 {
        let message = invite(&stranger, "442071234567");
        stranger.send_to(message.as_bytes(), stage.switch.address()).unwrap();
    }
    let heard = all(&stranger, Duration::from_secs(1)).len();
    assert!((1..=22).contains(&heard), "{heard} answers");
    assert_eq!(stage.switch.metric("strowger_transactions", &[]), 0.0);
    assert_eq!(stage.switch.metric("strowger_lockouts", &[]), 1.0);
    let address = stage.net.stranger().to_string();
    wait::until("the alarm", CALL_LIMIT, || {
        alarmed(&stage.switch, "flood", &address).then_some(())
    });
    let other = stage.raw_socket(stage.net.host(98));
    other.send_to(invite(&other, "442071234567").as_bytes(), stage.switch.address()).unwrap();
    assert!(hear_final(&other).starts_with("SIP/2.0 401 "));
}

/// SEC-01, SEC-02, SEC-29: guessing passwords locks the source out with that user, on every shard;
/// the lockout is listed, and an operator can end it.
#[test]
fn who_guesses_passwords_is_locked_out_and_listed() {
    let stage = stage();
    let guesser = stage.raw_socket(stage.net.stranger());
    let guess = |password: &str| {
        let first = invite(&guesser, "442071234567");
        guesser.send_to(first.as_bytes(), stage.switch.address()).unwrap();
        let challenge = hear_final(&guesser);
        let credentials = authorization(&challenge, "nomad", "MD5", password);
        let second = again(&first, &credentials);
        guesser.send_to(second.as_bytes(), stage.switch.address()).unwrap();
    };
    assert_eq!(lockouts(&stage.switch, &[]), "nobody is locked out\n");
    for n in 0..6 {
        guess(&format!("guess {n}"));
        assert!(hear_final(&guesser).starts_with("SIP/2.0 403 "));
    }
    guess("correct-horse-8");
    assert!(all(&guesser, Duration::from_millis(500)).is_empty(), "locked out");
    let address = stage.net.stranger().to_string();
    let listed = stage.switch.get("/v1/lockouts");
    assert_eq!(listed[0]["source"], address.as_str(), "{listed}");
    assert_eq!((&listed[0]["user"], &listed[0]["cause"]), (&"nomad".into(), &"passwords".into()));
    let table = lockouts(&stage.switch, &[]);
    assert!(table.contains(&address) && table.contains("nomad"), "{table}");
    assert_eq!(stage.switch.metric("strowger_lockouts", &[]), 1.0);
    assert_eq!(stage.switch.metric("strowger_auth_failed_total", &[]), 6.0);
    wait::until("the alarm", CALL_LIMIT, || {
        alarmed(&stage.switch, "brute_force", &format!("user nomad at {address}")).then_some(())
    });
    assert!(stage.switch.records().is_empty(), "a stranger leaves no call record");

    let ended = lockouts(&stage.switch, &["--unlock", &address]);
    assert_eq!(ended, format!("1 lockouts of {address} are ended\n"));
    guesser.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    guess("correct-horse-8");
    let mut buffer = [0; 4096];
    let (length, _) = guesser.recv_from(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 100 "), "let in again");
    assert!(lockouts(&stage.switch, &["--unlock", &address]).contains("nothing at"));
    wait::until("the end of the alarm", CALL_LIMIT, || {
        (!alarmed(&stage.switch, "brute_force", "")).then_some(())
    });
}

/// SIG-54: sipp, like other clients older than RFC 8760, answers only the first challenge and
/// supports MD5 only.
#[test]
fn a_client_that_looks_at_the_first_challenge_only_can_log_in() {
    let stage = stage();
    let mut vendor = stage.vendor_a().answers();
    let uri = format!("442071234567@{}", stage.switch.address());
    let caller = stage.caller_from(stage.net.stranger()).with("callee", "442071234567");
    let caller = caller.with("user", "nomad").with("password", "correct-horse-8");
    let script = caller.script("caller_logs_in").arguments(&["-auth_uri", &uri]);
    script.calls(1, 1).start(stage.switch.folder().path()).succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/customer", "nomad").shows("/end_reason", "caller_hangup");
}
