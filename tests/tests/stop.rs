//! An ordinary stop: the switch waits two seconds for its peers and no longer, and every call has a
//! record (CDR-01).

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use strowger_tests::raw::{RawCaller, RawVendor, sdp};
use strowger_tests::sipp::header;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Record, Setup};
use strowger_tests::wait;

/// CDR-01, CDR-02: the vendor rings and ignores the CANCEL.
#[test]
fn a_call_that_is_being_set_up_has_its_record_after_a_stop() {
    let mut stage = Stage::new();
    let vendor = stage.vendor_a().is_silent();
    let caller = stage.raw_socket(stage.net.caller());
    caller.send_to(invite(&caller).as_bytes(), stage.switch.address()).expect("sent");
    let (heard, switch) = hear(&vendor, "INVITE ");
    vendor.send_to(ringing(&heard).as_bytes(), switch).expect("sent");
    hear(&caller, "SIP/2.0 180 ");

    let record = record_after_a_stop(&mut stage);
    record
        .shows("/end_reason", "operator_hangup")
        .shows("/code_returned", 503)
        .shows("/attempts/0/end_reason", "operator_hangup")
        .shows("/attempts/0/code", 0);
    assert_eq!(record.vendors(), ["vendor-a"]);
    hear(&vendor, "CANCEL ");
}

/// CDR-01, RFC 3261 section 15: BYE waits for the caller's ACK, the record does not. An answer that
/// was never acknowledged is not charged (SIG-93).
#[test]
fn an_answered_call_without_ack_has_its_record_after_a_stop() {
    let mut stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let caller = stage.raw_socket(stage.net.caller());
    caller.send_to(invite(&caller).as_bytes(), stage.switch.address()).expect("sent");
    hear(&caller, "SIP/2.0 200 ");

    let record = record_after_a_stop(&mut stage);
    record
        .shows("/end_reason", "ack_timeout")
        .shows("/code_returned", 200)
        .shows("/sell", serde_json::Value::Null)
        .shows("/attempts/0/code", 200);
    vendor.succeeds(CALL_LIMIT);
}

/// SIG-57, OPS-65, SIG-91, SIG-93: after the signal INVITE and OPTIONS get 503 with Retry-After, so
/// that peers go elsewhere; the running call continues. With one shard and with two.
#[test]
fn a_stopping_switch_sends_new_calls_away() {
    for shards in [1, 2] {
        let mut setup = Setup::new();
        setup.node = format!("shards = {shards}");
        setup.calls = "drain = \"15s\"".to_owned();
        let mut stage = Stage::with(&setup);
        let caller = RawCaller::at(stage.net.caller(), stage.switch.address());
        let address = stage.net.vendor_a();
        let _vendor = RawVendor::at(address, &sdp(&format!("IN IP4 {address}"), 40_000));
        let offer = sdp(&format!("IN IP4 {}", stage.net.caller()), 40_000);
        let invite = caller.invite_with("running", "442071234567", &offer);
        caller.send(&invite);
        let answer = caller.hear_final("running", "1 INVITE");
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        caller.send(&caller.in_dialog(&invite, &answer, "ACK", 1));
        caller.send(&caller.options("before"));
        assert!(caller.hear_final("before", "1 OPTIONS").starts_with("SIP/2.0 200 "));

        stage.switch.ask_to_stop();
        wait::until("draining", CALL_LIMIT, || {
            (stage.switch.try_get("/health").1["status"] == "draining").then_some(())
        });
        for call in 0..8 {
            // One after the other: with two shards the responses may be reordered.
            let (late, ping) = (format!("late{call}"), format!("ping{call}"));
            caller.send(&caller.invite_with(&late, "442071234567", &offer));
            let to_invite = caller.hear_final(&late, "1 INVITE");
            caller.send(&caller.options(&ping));
            let to_options = caller.hear_final(&ping, "1 OPTIONS");
            for refusal in [to_invite, to_options] {
                assert!(refusal.starts_with("SIP/2.0 503 "), "{refusal}");
                assert_eq!(header(&refusal, "Retry-After").as_deref(), Some("5"), "{refusal}");
            }
        }
        caller.send(&caller.in_dialog(&invite, &answer, "BYE", 2));
        assert!(caller.hear_final("running", "2 BYE").starts_with("SIP/2.0 200 "));
        stage.switch.wait_for_the_end();
        stage.switch.start_again();
        let records = stage.switch.settled_records(9);
        let ended = |why: &str| records.iter().filter(|r| r["end_reason"] == why).count();
        assert_eq!((ended("caller_hangup"), ended("system_overload")), (1, 8));
        assert!(records.iter().all(|record| record["end_reason"] != "trunk_locked"));
    }
}

/// Stops and starts the switch; returns the record of the only call.
fn record_after_a_stop(stage: &mut Stage) -> Record {
    stage.switch.stop();
    stage.switch.start_again();
    let records = stage.switch.settled_records(1);
    let id = records[0]["id"].as_str().expect("a record has an id");
    Record(stage.switch.get(&format!("/v1/records/{id}")))
}

/// Reads until a message starts with `start`; returns it and its source.
fn hear(socket: &UdpSocket, start: &str) -> (String, SocketAddr) {
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time is set");
    let mut buffer = [0; 4096];
    wait::until(start, CALL_LIMIT, || {
        let (length, from) = socket.recv_from(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.starts_with(start).then_some((text, from))
    })
}

/// A vendor's 180 for an INVITE.
fn ringing(invite: &str) -> String {
    let of = |name: &str| header(invite, name).unwrap_or_else(|| panic!("no {name} in {invite}"));
    format!(
        "SIP/2.0 180 Ringing\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=ring\r\nCall-ID: {}\r\n\
         CSeq: {}\r\nContent-Length: 0\r\n\r\n",
        of("Via"),
        of("From"),
        of("To"),
        of("Call-ID"),
        of("CSeq"),
    )
}

fn invite(socket: &UdpSocket) -> String {
    let local = socket.local_addr().expect("a bound socket has an address");
    let ip = local.ip();
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 8\r\n"
    );
    format!(
        "INVITE sip:442071234567@switch SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKstop\r\n\
         Max-Forwards: 70\r\nFrom: <sip:15551230001@{local}>;tag=stop\r\n\
         To: <sip:442071234567@switch>\r\nCall-ID: stop@{local}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:raw@{local}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
