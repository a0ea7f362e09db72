//! Several shards: every message reaches its call, however it is written.

use strowger_tests::raw::{RawCaller, RawVendor, sdp};
use strowger_tests::stage::Stage;
use strowger_tests::switch::Setup;

/// Forms of a header line (RFC 3261 sections 7.3.1 and 7.5, SIG-13); `*` is the value.
const WAYS: [(&str, &str); 6] = [
    ("", "Call-ID: *\r\n"),
    ("\r\n\r\n", "Call-ID: *\r\n"),
    ("", "Call-ID:\r\n  *\r\n"),
    ("\r\n", "i:*\r\n"),
    ("\n", "CALL-ID\t : \t * \t\r\n"),
    ("\r\n\r\n\r\n", "I\r\n :\r\n\t *\r\n  \r\n"),
];

/// A message in one of the forms.
fn written(message: &str, id: &str, way: usize) -> String {
    let (before, line) = WAYS[way % WAYS.len()];
    let line = line.replace('*', id);
    let message = message.replace(&format!("Call-ID: {id}\r\n"), &line);
    assert!(message.contains(&line));
    format!("{before}{message}")
}

/// SIG-13: with one shard and with several, for any form of INVITE, ACK and BYE.
#[test]
fn every_message_finds_its_call_however_it_is_written() {
    for shards in [1, 2, 3] {
        let mut setup = Setup::new();
        setup.node = format!("shards = {shards}");
        let stage = Stage::with(&setup);
        let caller = RawCaller::at(stage.net.caller(), stage.switch.address());
        let address = stage.net.vendor_a();
        let vendor = RawVendor::at(address, &sdp(&format!("IN IP4 {address}"), 40_000));
        let offer = sdp(&format!("IN IP4 {}", stage.net.caller()), 40_000);
        let calls = 3 * WAYS.len();
        for call in 0..calls {
            let id = format!("call{call}");
            let invite = caller.invite_with(&id, "442071234567", &offer);
            caller.send(&written(&invite, &id, call));
            let answer = caller.hear_final(&id, "1 INVITE");
            assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
            let ack = caller.in_dialog(&invite, &answer, "ACK", 1);
            caller.send(&written(&ack, &id, call + 1 + call / WAYS.len()));
            let bye = caller.in_dialog(&invite, &answer, "BYE", 2);
            caller.send(&written(&bye, &id, call + 2 + call / WAYS.len()));
            let answer = caller.hear_final(&id, "2 BYE");
            assert!(answer.starts_with("SIP/2.0 200 "), "{shards} shards, {id}: {answer}");
        }
        for record in stage.switch.settled_records(calls) {
            assert_eq!(record["end_reason"], "caller_hangup", "{record}");
        }
        assert_eq!(stage.switch.calls_now(), 0);
        drop(vendor);
    }
}
