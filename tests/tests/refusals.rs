//! Refusals of the switch: money, numbers, strangers, malformed messages.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};
use strowger_tests::by_hand::{again, authorization, hear_final, invite};
use strowger_tests::sipp::header;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin, program};
use strowger_tests::wait;

/// BILL-40, ROUTE-15 step 13.
#[test]
fn a_customer_without_money_is_refused_with_403() {
    let stage = Stage::new();
    let mut caller = stage.caller_from(stage.net.poor_caller()).is_refused_with(403);
    caller.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    record.shows("/end_reason", "insufficient_balance").shows("/code_returned", 403);
    assert!(record.vendors().is_empty(), "no vendor is called for a refused call");
}

/// BILL-46: a payment on the command line is in force for the next call, and survives a crash.
#[test]
fn a_customer_who_has_paid_is_let_in() {
    let mut stage = Stage::new();
    let poor = stage.net.poor_caller();
    stage.caller_from(poor).is_refused_with(403).succeeds(CALL_LIMIT);
    let node = stage.switch.folder().path().join("node.toml");
    let paid = Command::new(program())
        .args(["account", "pay", "broke", "5.5", "--note", "cash", "--config"])
        .arg(&node)
        .output()
        .expect("the program is built");
    let words = String::from_utf8_lossy(&paid.stdout).into_owned();
    assert_eq!(words, "5.5 is booked to broke; the balance is 5.5\n", "{paid:?}");
    stage.switch.kill_hard();
    stage.switch.start_again();

    let mut vendor = stage.vendor_a().answers();
    stage.caller_from(poor).calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    // The refused call may or may not have been durable before the crash.
    let record = wait::until("the record of the paid call", CALL_LIMIT, || {
        let records = stage.switch.records();
        records.into_iter().find(|record| record["end_reason"] == "caller_hangup")
    });
    assert_eq!(record["account"], "broke");
}

/// BILL-02, ROUTE-15 step 12.
#[test]
fn a_destination_without_price_is_refused_with_403() {
    let stage = Stage::new();
    let mut caller = stage.caller().with("callee", "4915112345678").is_refused_with(403);
    caller.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "no_rate").shows("/code_returned", 403);
}

/// ROUTE-15 step 9: the screening plugin's deny list.
#[test]
fn a_denied_destination_is_refused_with_403() {
    let stage = Stage::new();
    let mut caller = stage.caller().with("callee", "449001234567").is_refused_with(403);
    caller.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    record.shows("/end_reason", "destination_barred").shows("/code_returned", 403);
}

/// SIG-87: no vendor trunk has the prefix.
#[test]
fn a_destination_without_route_is_refused_with_404() {
    let mut setup = Setup::new();
    setup.business = "[[deck]]\nname = \"world\"\ncurrency = \"EUR\"\nfile = \"world.csv\"\n\
         [[account]]\nname = \"traveller\"\ncurrency = \"EUR\"\nopening_balance = \"5\"\ndeck = \"world\"\n"
        .to_owned()
        + &format!(
            "[[customer_trunk]]\nname = \"far\"\naccount = \"traveller\"\naddresses = [\"{}\"]\n",
            setup.net.host(13)
        );
    let folder = setup.write();
    folder.put("business/world.csv", "prefix,price\n*,1\n");
    let stage = Stage::on(&setup, folder);
    let mut caller =
        stage.caller_from(stage.net.host(13)).with("callee", "81312345678").is_refused_with(404);
    caller.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "no_route").shows("/code_returned", 404);
}

/// SIG-50, SIG-54, ROUTE-12. sipp supports MD5 only, so the caller is a socket here.
#[test]
fn a_customer_with_password_is_challenged_and_let_in() {
    for algorithm in ["SHA-256", "MD5"] {
        let stage = Stage::new();
        let mut vendor = stage.vendor_a().answers();
        let caller = stage.raw_socket(stage.net.roaming_caller());
        let refused = invite(&caller, "442071234567");
        caller.send_to(refused.as_bytes(), stage.switch.address()).unwrap();
        let challenge = hear_final(&caller);
        assert!(challenge.starts_with("SIP/2.0 401 "), "{challenge}");
        let credentials = authorization(&challenge, "roamer", algorithm, "correct-horse-7");
        let let_in = again(&refused, &credentials);
        caller.send_to(let_in.as_bytes(), stage.switch.address()).unwrap();
        let answer = hear_final(&caller);
        assert!(answer.starts_with("SIP/2.0 200 "), "{algorithm}: {answer}");
        for method in ["ACK", "BYE"] {
            let request = in_dialog(&let_in, &answer, method);
            caller.send_to(request.as_bytes(), stage.switch.address()).unwrap();
        }
        vendor.succeeds(CALL_LIMIT);
        stage.switch.record().shows("/customer", "roamer").shows("/end_reason", "caller_hangup");
    }
}

/// SIG-50: a wrong password is refused, and no vendor is called.
#[test]
fn a_wrong_password_is_refused() {
    let stage = Stage::new();
    let vendor = stage.vendor_a().is_silent();
    let caller = stage.raw_socket(stage.net.roaming_caller());
    let refused = invite(&caller, "442071234567");
    caller.send_to(refused.as_bytes(), stage.switch.address()).unwrap();
    let challenge = hear_final(&caller);
    let credentials = authorization(&challenge, "roamer", "SHA-256", "guess");
    caller.send_to(again(&refused, &credentials).as_bytes(), stage.switch.address()).unwrap();
    let answer = hear_final(&caller);
    assert!(answer.starts_with("SIP/2.0 403 "), "{answer}");
    vendor.set_nonblocking(true).unwrap();
    assert!(vendor.recv(&mut [0; 16]).is_err(), "a vendor was called");
}

/// SIG-92, SEC-20: a stranger gets no response, but is counted.
#[test]
fn a_stranger_hears_nothing() {
    let stage = Stage::new();
    let stranger = stage.raw_socket(stage.net.stranger());
    for message in [
        invite(&stranger, "442071234567"),
        options(&stranger),
        "no SIP at all\r\n\r\n".to_owned(),
        "INVITE sip:x@y SIP/2.0\r\nVia: broken\r\n\r\n".to_owned(),
    ] {
        stranger.send_to(message.as_bytes(), stage.switch.address()).unwrap();
    }
    let heard = stranger.recv_from(&mut [0; 2048]);
    assert!(heard.is_err(), "the stranger was answered");
    wait::until("four datagrams counted", Duration::from_secs(3), || {
        let counted = stage.switch.metric("strowger_unknown_source_total", &[])
            + stage.switch.metric("strowger_malformed_unknown_total", &[]);
        (counted >= 4.0).then_some(())
    });
    assert!(stage.switch.records().is_empty(), "a stranger leaves no call record");
}

/// SIG-13: a known peer is told what is wrong.
#[test]
fn a_malformed_request_of_a_known_peer_is_answered_with_400_and_the_reason() {
    let stage = Stage::new();
    let peer = stage.raw_socket(stage.net.caller());
    let broken = |good: &str, bad: &str| invite(&peer, "442071234567").replace(good, bad);
    let cases = [
        broken("CSeq: 1 INVITE", "CSeq: one INVITE"),
        broken("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        broken("To: ", "X-To: "),
    ];
    for case in cases {
        peer.send_to(case.as_bytes(), stage.switch.address()).unwrap();
        let answer = hear_final(&peer);
        assert!(answer.starts_with("SIP/2.0 400 "), "to\n{case}\ncame\n{answer}");
        let reason = answer.lines().next().unwrap().trim_start_matches("SIP/2.0 400 ");
        assert!(reason.len() > "Bad Request".len(), "no reason in `{reason}`");
    }
}

/// SIG-11.
#[test]
fn a_request_that_has_hopped_too_often_is_answered_with_483() {
    let stage = Stage::new();
    let peer = stage.raw_socket(stage.net.caller());
    let message = invite(&peer, "442071234567").replace("Max-Forwards: 70", "Max-Forwards: 0");
    peer.send_to(message.as_bytes(), stage.switch.address()).unwrap();
    let answer = hear_final(&peer);
    assert!(answer.starts_with("SIP/2.0 483 "), "{answer}");
}

/// A screening plugin that never answers for `loop`, with this deadline.
fn with_a_slow_plugin(deadline: &str) -> Stage {
    let mut setup = Setup::new().plugin("screening", &built_plugin("rogue-screening"));
    setup.prefixes = vec![""];
    let folder = setup.write();
    let node = folder.read("node.toml");
    let slow = format!("name = \"screening\"\ndeadline = \"{deadline}\"");
    let slow = node.replace("name = \"screening\"", &slow);
    assert_ne!(slow, node, "the plugin is in the list");
    folder.put("node.toml", &slow);
    folder.put("business/sell.csv", "prefix,destination,price\n*,Anywhere,0.6\n");
    folder.put("business/buy.csv", "prefix,destination,price\n*,Anywhere,0.1\n");
    Stage::on(&setup, folder)
}

/// SIG-14: an INVITE that arrives during another call's question gets its 100 after that one
/// question, not after all earlier ones.
#[test]
fn invites_behind_slow_questions_have_their_100_first() {
    const CALLS: usize = 12;
    let stage = with_a_slow_plugin("100ms");
    let peer = stage.raw_socket(stage.net.caller());
    let vendor = stage.vendor_a().is_silent();
    vendor.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for _ in 0..CALLS {
        peer.send_to(invite(&peer, "loop").as_bytes(), stage.switch.address()).unwrap();
    }
    let mut buffer = [0; 4096];
    let mut decided = BTreeSet::new();
    while decided.len() < CALLS / 2 {
        let (length, _) = vendor.recv_from(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        decided.extend(text.starts_with("INVITE ").then(|| header(&text, "Call-ID")));
    }
    peer.set_nonblocking(true).unwrap();
    let mut heard = BTreeSet::new();
    while let Ok((length, _)) = peer.recv_from(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]);
        heard.extend(text.starts_with("SIP/2.0 100 ").then(|| header(&text, "Call-ID")));
    }
    assert_eq!(heard.len(), CALLS, "half of the calls are decided");
}

/// SIG-14: the 100 is sent before a plugin is asked: here one that never answers and times out
/// after a second.
#[test]
fn an_invite_is_answered_with_100_before_a_slow_plugin_is_asked() {
    let stage = with_a_slow_plugin("1s");
    let peer = stage.raw_socket(stage.net.caller());
    let vendor = stage.vendor_a().is_silent();
    vendor.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut buffer = [0; 4096];
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let message = invite(&peer, "loop");
        let sent = Instant::now();
        peer.send_to(message.as_bytes(), stage.switch.address()).unwrap();
        let call_id = header(&message, "Call-ID").expect("a Call-ID");
        // The 487 of the previous call is retransmitted, as it is not acknowledged.
        let first = loop {
            let (length, _) = peer.recv_from(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(&call_id) {
                break text;
            }
        };
        let heard = Instant::now();
        assert!(first.starts_with("SIP/2.0 100 "), "{first}");
        best = best.min(heard - sent);
        // The vendor's INVITE is sent when the plugin has timed out.
        loop {
            let (length, _) = vendor.recv_from(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]);
            if text.starts_with("INVITE ") && Instant::now() - sent > Duration::from_millis(700) {
                break;
            }
        }
        assert!(heard.elapsed() > Duration::from_millis(600), "100 came with the decision");
        let cancel = message.replace("INVITE", "CANCEL");
        peer.send_to(cancel.as_bytes(), stage.switch.address()).unwrap();
        while !hear_final(&peer).contains("487") {}
    }
    assert!(best < Duration::from_millis(10), "the quickest 100 came after {best:?}");
}

/// CDR-01: a refusal before call setup has a record, on any signalling thread.
#[test]
fn invites_that_are_refused_as_they_stand_leave_one_record_each() {
    let mut setup = Setup::new();
    setup.node = "shards = 2".to_owned();
    let stage = Stage::with(&setup);
    let peer = stage.raw_socket(stage.net.caller());
    let line = "Max-Forwards: 70\r\n";
    let mut sent = 0;
    for _ in 0..3 {
        for (bad, code) in [
            ("Max-Forwards: 0\r\n", 483),
            ("Max-Forwards: 70\r\nRequire: path\r\n", 420),
            ("Max-Forwards: odd\r\n", 400),
        ] {
            let message = invite(&peer, "442071234567").replace(line, bad);
            peer.send_to(message.as_bytes(), stage.switch.address()).unwrap();
            let answer = hear_final(&peer);
            assert!(answer.starts_with(&format!("SIP/2.0 {code} ")), "{answer}");
            assert_eq!(code == 420, answer.contains("\r\nUnsupported: path\r\n"), "{answer}");
            sent += 1;
        }
    }
    let records = stage.switch.settled_records(sent);
    for (code, why) in [(483, "loop_detected"), (420, "bad_request"), (400, "bad_request")] {
        let of_code = records.iter().filter(|record| record["code_returned"] == code);
        let ends: Vec<_> = of_code.map(|record| &record["end_reason"]).collect();
        assert_eq!(ends, [why; 3]);
    }
    assert!(records.iter().all(|record| record["customer"] == "customer"));
}

/// An ACK or BYE in the dialog of `answer`.
fn in_dialog(invite: &str, answer: &str, method: &str) -> String {
    let of = |message: &str, name: &str| header(message, name).expect("the header is there");
    let contact = of(answer, "Contact");
    let target = contact.split_once('<').map_or(contact.as_str(), |(_, rest)| rest);
    // The INVITE has no offer, so the ACK answers the offer in the 200.
    let (cseq, body) = match method {
        "ACK" => (2, strowger_tests::raw::sdp("IN IP4 127.0.0.1", 40_000)),
        _ => (3, String::new()),
    };
    format!(
        "{method} {} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: {cseq} {method}\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        target.split('>').next().unwrap_or(target),
        of(invite, "Via").replace("z9hG4bK", &format!("z9hG4bK{method}")),
        of(invite, "From"),
        of(answer, "To"),
        of(invite, "Call-ID"),
        body.len(),
    )
}

fn options(socket: &UdpSocket) -> String {
    invite(socket, "ping").replace("INVITE", "OPTIONS")
}
