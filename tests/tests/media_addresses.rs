//! SDP with an address to which audio cannot be sent: no call is connected in silence.

use strowger_tests::raw::{RawCaller, RawVendor, sdp};
use strowger_tests::sipp::header;
use strowger_tests::stage::Stage;
use strowger_tests::switch::Setup;

/// The value of `c=`, and the Warning (RFC 3261 section 20.43) that explains it.
const WRONG: [(&str, &str); 4] = [
    ("IN IP4 phone.example.com", "301 "),
    ("IN IP6 [2001:db8::7]", "300 "),
    ("IN IP6 2001:db8::7", "300 "),
    ("IN IP4 224.2.1.1/127", "330 "),
];

fn stage(shards: u16) -> (Stage, RawCaller) {
    let mut setup = Setup::new();
    setup.node = format!("shards = {shards}");
    let stage = Stage::with(&setup);
    let caller = RawCaller::at(stage.net.caller(), stage.switch.address());
    (stage, caller)
}

/// RFC 3261 section 21.4.26: the caller gets the reason, no vendor is called, and the record has
/// it.
#[test]
fn an_offer_that_cannot_be_spoken_to_is_refused_with_the_reason() {
    for shards in [1, 2] {
        let (stage, caller) = stage(shards);
        for (number, (connection, warning)) in WRONG.iter().enumerate() {
            let id = format!("offer{number}");
            caller.send(&caller.invite_with(&id, "442071234567", &sdp(connection, 40_000)));
            let answer = caller.hear_final(&id, "1 INVITE");
            assert!(answer.starts_with("SIP/2.0 488 "), "{connection}: {answer}");
            let given = header(&answer, "Warning").expect("a reason");
            assert!(given.starts_with(warning), "{connection}: {given}");
        }
        for record in stage.switch.settled_records(WRONG.len()) {
            assert_eq!(record["end_reason"], "codec_mismatch", "{record}");
            assert_eq!(record["code_returned"], 488);
            assert!(record["detail"].as_str().is_some_and(|detail| detail.contains("SDP")));
            assert_eq!(record["attempts"][0]["skipped"], true);
        }
        assert_eq!(stage.switch.metric("strowger_relay_pairs_used", &[]), 0.0);
    }
}

/// The same in the vendor's answer: the vendor gets a BYE, and the caller is refused, not billed.
#[test]
fn an_answer_that_cannot_be_spoken_to_ends_the_call() {
    let (stage, caller) = stage(1);
    let _vendor = RawVendor::at(stage.net.vendor_a(), &sdp("IN IP4 media.example.com", 40_000));
    let offer = sdp(&format!("IN IP4 {}", stage.net.caller()), 40_000);
    caller.send(&caller.invite_with("answer", "442071234567", &offer));
    let answer = caller.hear_final("answer", "1 INVITE");
    assert!(answer.starts_with("SIP/2.0 488 "), "{answer}");
    assert!(header(&answer, "Warning").is_some_and(|warning| warning.starts_with("301 ")));
    let record = stage.switch.record();
    record.shows("/end_reason", "codec_mismatch").shows("/code_returned", 488);
    record.shows("/sell", serde_json::Value::Null);
}

/// RFC 3261 section 14.1: a refused re-INVITE leaves the call unchanged.
#[test]
fn an_offer_inside_the_call_is_refused_and_the_call_goes_on() {
    let (stage, caller) = stage(2);
    let address = stage.net.vendor_a();
    let _vendor = RawVendor::at(address, &sdp(&format!("IN IP4 {address}"), 40_000));
    let offer = sdp(&format!("IN IP4 {}", stage.net.caller()), 40_000);
    let invite = caller.invite_with("again", "442071234567", &offer);
    caller.send(&invite);
    let answer = caller.hear_final("again", "1 INVITE");
    caller.send(&caller.in_dialog(&invite, &answer, "ACK", 1));
    let body = sdp("IN IP4 phone.example.com", 40_000);
    let contact = format!("Contact: <sip:raw@{}:5060>\r\n", stage.net.caller());
    let length = format!(
        "{contact}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let again = caller.in_dialog(&invite, &answer, "INVITE", 2);
    caller.send(&again.replace("Content-Length: 0\r\n\r\n", &length));
    let refusal = caller.hear_final("again", "2 INVITE");
    assert!(refusal.starts_with("SIP/2.0 488 "), "{refusal}");
    assert!(header(&refusal, "Warning").is_some_and(|warning| warning.starts_with("301 ")));
    // The ACK of a refusal belongs to its request's transaction.
    let ack = caller.in_dialog(&invite, &answer, "ACK", 2);
    caller.send(&ack.replace("z9hG4bKACK2", "z9hG4bKINVITE2"));
    caller.send(&caller.in_dialog(&invite, &answer, "BYE", 3));
    assert!(caller.hear_final("again", "3 BYE").starts_with("SIP/2.0 200 "));
    stage.switch.record().shows("/end_reason", "caller_hangup");
}
