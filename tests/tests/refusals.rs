//! What the switch refuses, and how: money, numbers, strangers, nonsense.

use md5::Digest as _;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use strowger_tests::sipp::header;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, program};
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

/// BILL-46: a payment from the command line is in force for the next call, and is still there
/// after a crash.
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
    // The refused call may have been durable before the crash, or not.
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

/// SIG-50, SIG-54, ROUTE-12. sipp knows MD5 only and looks at the first challenge only, so
/// the caller is a socket here.
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
        let credentials = authorization(&challenge, algorithm, "correct-horse-7");
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

/// SIG-50: a wrong password is a refusal, and no vendor hears of it.
#[test]
fn a_wrong_password_is_refused() {
    let stage = Stage::new();
    let vendor = stage.vendor_a().is_silent();
    let caller = stage.raw_socket(stage.net.roaming_caller());
    let refused = invite(&caller, "442071234567");
    caller.send_to(refused.as_bytes(), stage.switch.address()).unwrap();
    let challenge = hear_final(&caller);
    let credentials = authorization(&challenge, "SHA-256", "guess");
    caller.send_to(again(&refused, &credentials).as_bytes(), stage.switch.address()).unwrap();
    let answer = hear_final(&caller);
    assert!(answer.starts_with("SIP/2.0 403 "), "{answer}");
    vendor.set_nonblocking(true).unwrap();
    assert!(vendor.recv(&mut [0; 16]).is_err(), "a vendor was called");
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
    peer.send_to(message.as_bytes(), stage.switch.address()).unwrap();
    let mut buffer = [0; 4096];
    let (length, _) = peer.recv_from(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 100 "));
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

/// The INVITE once more, with credentials, as a new transaction.
fn again(invite: &str, credentials: &str) -> String {
    invite
        .replace("branch=z9hG4bK", "branch=z9hG4bKagain")
        .replace("CSeq: 1", "CSeq: 2")
        .replace("Content-Length", &format!("Authorization: {credentials}\r\nContent-Length"))
}

/// Digest credentials for an INVITE to 442071234567 (RFC 7616).
fn authorization(challenge: &str, algorithm: &str, password: &str) -> String {
    let line = challenge
        .lines()
        .find(|line| line.contains(&format!("algorithm={algorithm},")))
        .expect("the algorithm is offered");
    let part = |name: &str| {
        let rest = line.split_once(&format!("{name}=\"")).expect("a quoted part").1;
        rest.split('"').next().expect("an end").to_owned()
    };
    let (realm, nonce, uri) = (part("realm"), part("nonce"), "sip:442071234567@switch");
    let hash = |text: String| -> String {
        let bytes = match algorithm {
            "MD5" => md5::Md5::digest(text).to_vec(),
            _ => sha2::Sha256::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let ha1 = hash(format!("roamer:{realm}:{password}"));
    let ha2 = hash(format!("INVITE:{uri}"));
    let response = hash(format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}"));
    format!(
        "Digest username=\"roamer\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={algorithm}, qop=auth, nc=00000001, cnonce=\"0a4f113b\""
    )
}

/// An ACK or BYE in the dialog that `answer` made.
fn in_dialog(invite: &str, answer: &str, method: &str) -> String {
    let of = |message: &str, name: &str| header(message, name).expect("the header is there");
    let contact = of(answer, "Contact");
    let target = contact.split_once('<').map_or(contact.as_str(), |(_, rest)| rest);
    let cseq = if method == "ACK" { 2 } else { 3 };
    format!(
        "{method} {} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
        target.split('>').next().unwrap_or(target),
        of(invite, "Via").replace("z9hG4bK", &format!("z9hG4bK{method}")),
        of(invite, "From"),
        of(answer, "To"),
        of(invite, "Call-ID"),
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
