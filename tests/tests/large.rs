//! Requests too large for a datagram go over TCP, and fall back to UDP if connections are refused
//! (RFC 3261 section 18.1.1, SIG-24).

use std::time::{Duration, Instant};
use strowger_tests::both::{BothVendor, Heard};
use strowger_tests::hole::Hole;
use strowger_tests::raw::RawCaller;
use strowger_tests::sipp::header;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::Setup;
use strowger_tests::wait;

/// A switch with a UDP listener and optionally a TCP one at the same address; vendor-a is reached
/// over UDP.
fn stage(tcp: bool, vendor_a: &str) -> Stage {
    let mut setup = Setup::new();
    if tcp {
        setup.plugin_lines.push_str(&format!(
            "\n[[listeners]]\nname = \"tcp\"\naddress = \"{}\"\ntransport = \"tcp\"\n",
            setup.net.switch()
        ));
    }
    setup.vendor_a = vendor_a.to_owned();
    Stage::with(&setup)
}

/// A valid SDP of about `bytes` bytes, with nothing but filler added.
fn description(bytes: usize) -> String {
    let mut sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        .to_owned();
    while sdp.len() < bytes {
        sdp.push_str("a=x-filler:0123456789012345678901234567890123456789\r\n");
    }
    sdp
}

/// A call with an offer of `bytes` bytes: answered with 200, then hung up.
fn call(stage: &Stage, caller: &RawCaller, id: &str, bytes: usize) {
    let invite = caller.invite_with(id, "442071234567", &description(bytes));
    caller.send(&invite);
    let answer = caller.hear_final(id, "1 INVITE");
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    caller.send(&caller.in_dialog(&invite, &answer, "ACK", 1));
    caller.send(&caller.in_dialog(&invite, &answer, "BYE", 2));
    let bye = caller.hear_final(id, "2 BYE");
    assert!(bye.starts_with("SIP/2.0 200 "), "{bye}");
    wait::until("the end of the call", CALL_LIMIT, || {
        (stage.switch.metric("strowger_calls_active", &[]) == 0.0).then_some(())
    });
}

fn over(heard: &[Heard]) -> Vec<&'static str> {
    heard.iter().map(|(over, _)| *over).collect()
}

/// The Via says TCP, everything else is as over UDP: ACK, BYE and the vendor's requests are small
/// and go by datagram.
#[test]
fn a_large_invite_goes_over_tcp_and_its_dialog_over_udp() {
    let stage = stage(true, "");
    let vendor = BothVendor::at(stage.net.vendor_a(), true);
    let caller = RawCaller::at(stage.net.caller(), stage.switch.address());
    call(&stage, &caller, "small", 300);
    call(&stage, &caller, "large", 1500);
    let invites = vendor.hears("INVITE", 2);
    assert_eq!(over(&invites), ["UDP", "TCP"]);
    let large = &invites[1].1;
    let via = header(large, "Via").expect("a Via");
    assert!(via.starts_with(&format!("SIP/2.0/TCP {};", stage.switch.address())), "{via}");
    let contact = header(large, "Contact").expect("a Contact");
    assert!(!contact.contains("transport="), "{contact}");
    assert!(!large.lines().next().expect("a line").contains("transport="), "{large}");
    assert_eq!(over(&vendor.hears("ACK", 2)), ["UDP", "UDP"]);
    assert_eq!(over(&vendor.hears("BYE", 2)), ["UDP", "UDP"]);
    let records = stage.switch.settled_records(2);
    assert_eq!(records[0]["attempts"][0]["transport"], "tcp", "{}", records[0]);
    assert_eq!(records[1]["attempts"][0]["transport"], "udp", "{}", records[1]);
    assert_eq!(records[0]["attempts"][0]["sends"], 1);
}

/// A vendor that refuses or drops connections is called over UDP, at once or after three seconds;
/// the next large call does not try TCP again.
#[test]
fn a_large_invite_comes_back_to_udp_where_no_connection_is_taken() {
    for black_hole in [false, true] {
        let stage = stage(true, "");
        let hole = black_hole.then(|| Hole::at(stage.net.vendor_a()));
        let vendor = BothVendor::at(stage.net.vendor_a(), false);
        let caller = RawCaller::at(stage.net.caller(), stage.switch.address());
        for (id, most) in [("first", if black_hole { 6 } else { 2 }), ("second", 2)] {
            let begun = Instant::now();
            call(&stage, &caller, id, 1500);
            assert!(begun.elapsed() < Duration::from_secs(most), "{id}: {:?}", begun.elapsed());
        }
        let invites = vendor.hears("INVITE", 2);
        assert_eq!(over(&invites), ["UDP", "UDP"]);
        assert!(invites.iter().all(|(_, text)| text.len() > 1300));
        let via = header(&invites[0].1, "Via").expect("a Via");
        assert!(via.starts_with("SIP/2.0/UDP "), "{via}");
        for record in stage.switch.settled_records(2) {
            assert_eq!(record["attempts"].as_array().map(Vec::len), Some(1), "{record}");
            assert_eq!(record["attempts"][0]["transport"], "udp", "{record}");
        }
        drop(hole);
    }
}

/// Without a TCP listener, or if the trunk disables it, large requests go over UDP.
#[test]
fn large_requests_stay_on_udp_where_tcp_is_not_wanted() {
    for (tcp, lines) in [(false, ""), (true, "large_over_tcp = false")] {
        let stage = stage(tcp, lines);
        let vendor = BothVendor::at(stage.net.vendor_a(), true);
        let caller = RawCaller::at(stage.net.caller(), stage.switch.address());
        call(&stage, &caller, "large", 1500);
        assert_eq!(over(&vendor.hears("INVITE", 1)), ["UDP"]);
        assert_eq!(stage.switch.metric("strowger_connections", &[]), 0.0);
    }
}
