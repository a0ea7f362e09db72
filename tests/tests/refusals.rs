//! What the switch refuses, and how: money, numbers, strangers, nonsense.

use std::net::UdpSocket;
use std::time::Duration;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::{switch::Setup, wait};

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

/// BILL-02, ROUTE-15 step 12.
#[test]
fn a_destination_without_price_is_refused_with_403() {
    let stage = Stage::new();
    let mut caller = stage.caller().with("callee", "4915112345678").is_refused_with(403);
    caller.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "no_rate").shows("/code_returned", 403);
}

/// ROUTE-15 step 9: the deny list is the screening plugin's.
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

/// SIG-50, SIG-54, ROUTE-12.
#[test]
fn a_customer_with_password_is_challenged_and_let_in() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage
        .caller_from(stage.net.roaming_caller())
        .with("user", "roamer")
        .with("password", "correct-horse-7")
        .plays("caller_authenticates");
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/customer", "roamer").shows("/end_reason", "caller_hangup");
}

/// SIG-50: a wrong password is a refusal, and no vendor hears of it.
#[test]
fn a_wrong_password_is_refused() {
    let stage = Stage::new();
    let mut caller = stage
        .caller_from(stage.net.roaming_caller())
        .with("user", "roamer")
        .with("password", "guess")
        .with("code", 403)
        .plays("caller_fails_to_authenticate");
    caller.succeeds(CALL_LIMIT);
}

/// SIG-92, SEC-20: to a stranger the switch does not exist, but it counts.
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

/// SIG-13: a known peer learns what is wrong.
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

/// SIG-14: the first response comes at once, before any decision.
#[test]
fn an_invite_is_answered_with_100_at_once() {
    let stage = Stage::new();
    let peer = stage.raw_socket(stage.net.caller());
    let message = invite(&peer, "442071234567");
    let sent = std::time::Instant::now();
    peer.send_to(message.as_bytes(), stage.switch.address()).unwrap();
    let mut buffer = [0; 4096];
    let (length, _) = peer.recv_from(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 100 "));
    // 10 ms is the promise; a busy test machine may need more to run two processes.
    assert!(sent.elapsed() < Duration::from_millis(100), "took {:?}", sent.elapsed());
}

fn invite(socket: &UdpSocket, callee: &str) -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let local = socket.local_addr().expect("a bound socket has an address");
    format!(
        "INVITE sip:{callee}@switch SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKraw{n};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:15551230001@{local}>;tag=raw{n}\r\nTo: <sip:{callee}@switch>\r\n\
         Call-ID: raw{n}@{local}\r\nCSeq: 1 INVITE\r\nContact: <sip:raw@{local}>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn options(socket: &UdpSocket) -> String {
    invite(socket, "ping").replace("INVITE", "OPTIONS")
}

/// The first final response; answers it with nothing, so it may come again.
fn hear_final(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    loop {
        let (length, _) = socket.recv_from(&mut buffer).expect("an answer within a second");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with("SIP/2.0 1") {
            continue;
        }
        // What is still on its way from an earlier case is not what we wait for.
        socket.set_nonblocking(true).expect("a mode is set");
        while socket.recv_from(&mut [0; 16]).is_ok() {}
        socket.set_nonblocking(false).expect("a mode is set");
        return text;
    }
}
