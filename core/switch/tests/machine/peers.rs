//! Addresses of peers: proxies, Contacts elsewhere, names in Via, repeated and crossing answers,
//! addresses that ask for a rest.

use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, operator, small_operator, vendor,
};
use crate::support::raw::{Raw, body, sdp};
use sip::{Message, Method};

const PROXY: &str = "10.9.0.1:5060";
const CALLEE: &str = "10.9.0.2:5070";

fn route(message: &Message) -> &str {
    message.header("Route").unwrap_or_default()
}

/// RFC 3261 sections 13.2.2.4 and 12.2.1.1: the ACK and the BYE for a 200 that crossed the CANCEL
/// carry its route set and go to the first hop; without a route set they go to the Contact. The
/// response to the BYE is accepted from there, although no trunk names the address.
#[test]
fn an_answer_that_crosses_the_cancel_is_ended_where_it_came_from() {
    let routed = format!("<sip:{PROXY};lr>");
    let contact = format!("<sip:callee@{CALLEE}>");
    for (headers, hop) in [
        (&[("Contact", contact.as_str()), ("Record-Route", routed.as_str())][..], PROXY),
        (&[("Contact", contact.as_str())][..], CALLEE),
    ] {
        let mut raw = Raw::new(small_operator());
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        raw.answers(&invite, "180 Ringing", &[], "");
        raw.caller("SIP/2.0 180 ");
        raw.cancel(&[]);
        raw.vendor("CANCEL ");
        raw.answers(&invite, "200 OK", headers, &sdp("10.9.0.2", 42_000));
        for method in ["ACK", "BYE"] {
            let request = raw.at(hop, &format!("{method} sip:callee@{CALLEE} "));
            assert_eq!(route(&request), if hop == PROXY { routed.as_str() } else { "" });
            if method == "BYE" {
                raw.answers_from(hop, &request, "200 OK", &[], "");
            }
        }
        raw.run(1_000);
        assert!(!raw.has(hop, "BYE "), "its answer was heard");
        raw.ends();
    }
}

/// RFC 3261 section 12.2.1.2: the 200 to a re-INVITE has no Record-Route; the route set stays and
/// only the target changes.
#[test]
fn a_route_set_survives_a_re_invite() {
    let routed = format!("<sip:{PROXY};lr>");
    let (callee, moved) = (format!("<sip:u@{CALLEE}>"), "<sip:u2@10.9.0.3:5080>");
    let mut raw = Raw::new(small_operator());
    let headers = [("Contact", callee.as_str()), ("Record-Route", routed.as_str())];
    let (_, ok) = raw.connects_with(&[], &headers);
    raw.at(PROXY, "ACK ");
    raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
    let again = raw.at(PROXY, &format!("INVITE sip:u@{CALLEE} "));
    assert_eq!(route(&again), routed);
    raw.answers_from(PROXY, &again, "200 OK", &[("Contact", moved)], &sdp("10.9.0.2", 42_000));
    let accepted = raw.caller("SIP/2.0 200 ");
    raw.ack(&accepted, "");
    for method in ["ACK", "BYE"] {
        if method == "BYE" {
            raw.asks(&ok, &Method::Bye, &[], "");
        }
        let request = raw.at(PROXY, &format!("{method} sip:u2@10.9.0.3:5080 "));
        assert_eq!(route(&request), routed);
        if method == "BYE" {
            raw.answers_from(PROXY, &request, "200 OK", &[], "");
        }
    }
    raw.ends();
}

/// RFC 3261 sections 20.10 and 20: a Contact without brackets ends before its parameters, even if
/// they contain brackets.
#[test]
fn a_bare_contact_is_the_uri_before_its_parameters() {
    let contact =
        format!("sip:tas1@{VENDOR_A};+sip.instance=\"<urn:gsma:imei:35209900-176148-1>\";audio");
    let mut raw = Raw::new(small_operator());
    let (_, ok) = raw.connects_with(&[], &[("Contact", &contact)]);
    raw.vendor(&format!("ACK sip:tas1@{VENDOR_A} SIP/2.0\r\n"));
    raw.hangs_up(&ok);
}

/// RFC 3261 sections 12.1.2 and 13.2.2.4: an SBC changes its tag between 180 and 200; the dialog is
/// that of the 200, and the caller sees one dialog.
#[test]
fn the_dialog_is_that_of_the_200() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.tag = "early-1".to_owned();
    raw.answers(&invite, "180 Ringing", &[], "");
    let ringing = raw.caller("SIP/2.0 180 ");
    raw.tag = "early-2".to_owned();
    raw.answers(&invite, "183 Session Progress", &[], &sdp("10.2.0.1", 42_002));
    raw.caller("SIP/2.0 183 ");
    raw.tag = "final-3".to_owned();
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    assert_eq!(ok.to_tag(), ringing.to_tag());
    raw.ack(&ok, "");
    assert_eq!(raw.vendor("ACK ").to_tag(), Some("final-3"));
    raw.asks(&ok, &Method::Bye, &[], "");
    let bye = raw.vendor("BYE ");
    assert_eq!(bye.to_tag(), Some("final-3"));
    raw.answers(&bye, "200 OK", &[], "");
    raw.ends();
}

/// RFC 3261 sections 18.2.2 and 12.2.1.1: a carrier sends from a random port and listens at the
/// port in its Via, which may name a host. Responses go to the Via's port, requests to the Contact.
/// A name in Via is no sign of a NAT (SIG-12).
#[test]
fn responses_go_to_the_port_of_via_and_requests_to_the_contact() {
    for host in ["10.1.0.1", "gw1.example.net"] {
        let mut raw = Raw::new(small_operator());
        raw.via = format!("SIP/2.0/UDP {host}:5060");
        raw.source = "10.1.0.1:40123".to_owned();
        let odd = raw.source.clone();
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
        let ok = raw.at(CALLER, "SIP/2.0 200 ");
        raw.ack(&ok, "");
        raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
        let again = raw.vendor("INVITE ");
        raw.answers(&again, "200 OK", &[], &sdp("10.2.0.1", 42_000));
        let accepted = raw.at(CALLER, "SIP/2.0 200 ");
        raw.ack(&accepted, "");
        raw.vendor_asks(&invite, &Method::Bye, &[], "");
        let bye = raw.at(CALLER, "BYE ");
        raw.answers_from(CALLER, &bye, "200 OK", &[], "");
        raw.ends();
        assert!(!raw.has(&odd, ""), "nothing goes to the random port");
    }
}

/// RFC 3261 sections 9.1 and 9.2: a CANCEL directly after the INVITE ends the call; the INVITE to
/// the vendor is cancelled once the vendor has responded.
#[test]
fn a_cancel_right_behind_the_invite_ends_it() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    raw.cancel(&[]);
    let invite = raw.vendor("INVITE ");
    raw.caller("SIP/2.0 487 ");
    assert!(!raw.has(VENDOR_A, "CANCEL "), "it was not heard yet");
    raw.answers(&invite, "180 Ringing", &[], "");
    let cancel = raw.vendor("CANCEL ");
    raw.answers(&cancel, "200 OK", &[], "");
    raw.answers(&invite, "487 Request Terminated", &[], "");
    raw.vendor("ACK ");
    raw.ends();
    assert!(!raw.has(CALLER, "SIP/2.0 180 "));
}

/// RFC 3261 section 9.2: a CANCEL after the 200 is answered and changes nothing.
#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.cancel(&[]);
    let answer = raw.caller("SIP/2.0 200 ");
    assert_eq!(*answer.cseq().1, Method::Cancel);
    assert!(!raw.has(CALLER, "BYE ") && !raw.has(CALLER, "SIP/2.0 487 "));
    raw.ack(&ok, "");
    raw.hangs_up(&ok);
    let record = &raw.stage.finals[0].call;
    assert_eq!((record.end_reason.as_str(), record.code_returned), ("caller_hangup", 200));
}

/// RFC 3261 section 8.2.2.2: a hunting proxy cancels one branch and sends the next one here with
/// the same Call-ID, tag and CSeq. The first transaction is over, whatever its vendor still does.
#[test]
fn the_next_branch_of_a_hunting_proxy_is_a_call() {
    for refused in [false, true] {
        let mut raw = Raw::new(small_operator());
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        if refused {
            raw.answers(&invite, "486 Busy Here", &[], "");
            raw.caller("SIP/2.0 486 ");
        } else {
            raw.answers(&invite, "180 Ringing", &[], "");
            raw.caller("SIP/2.0 180 ");
            raw.cancel(&[]);
            raw.caller("SIP/2.0 487 ");
        }
        raw.uri = "sip:4420999@10.0.0.1:5060".to_owned();
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let second = raw.vendor("INVITE sip:4420999@");
        assert!(!raw.has(CALLER, "SIP/2.0 482 "));
        if !refused {
            raw.answers(&invite, "487 Request Terminated", &[], "");
            raw.run(5);
        }
        // The first call is over; the second one is still found by its INVITE.
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        raw.caller("SIP/2.0 482 ");
        raw.answers(&second, "486 Busy Here", &[], "");
        raw.ends();
        assert_eq!(raw.stage.finals.len(), 3, "each, and the INVITE that was merged");
    }
}

/// RFC 3261 section 13.2.2.4: every copy of the vendor's 200 is acknowledged with the CSeq number
/// of its INVITE, even during a re-INVITE.
#[test]
fn every_copy_of_an_answer_is_acknowledged() {
    let mut raw = Raw::new(small_operator());
    let (invite, ok) = raw.connects();
    let first = raw.vendor("ACK ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    assert_eq!(raw.vendor("ACK ").to_bytes(), first.to_bytes());
    raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
    let again = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    assert_eq!(raw.vendor("ACK ").to_bytes(), first.to_bytes());
    raw.answers(&again, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let accepted = raw.caller("SIP/2.0 200 ");
    raw.ack(&accepted, "");
    assert_eq!(raw.vendor("ACK ").cseq().0, again.cseq().0);
    raw.hangs_up(&ok);
}

/// RFC 3261 sections 13.2.2.4 and 17.1.1.3, read leniently: an ACK with the branch of its INVITE
/// also ends the resends of the 200.
#[test]
fn an_ack_with_the_branch_of_its_invite_is_one() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.same_branch();
    raw.ack(&ok, "");
    raw.vendor("ACK ");
    raw.run(2_000);
    assert!(!raw.has(CALLER, "SIP/2.0 200 "));
    raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
    let again = raw.vendor("INVITE ");
    raw.answers(&again, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let accepted = raw.caller("SIP/2.0 200 ");
    raw.ack(&accepted, "");
    raw.hangs_up(&ok);
}

/// RFC 8760 section 2.4, RFC 7616 section 3.4, RFC 3261 section 22.4: of several challenges the
/// best supported one is answered, with its algorithm and opaque; one of RFC 2069 without a nonce
/// count.
#[test]
fn the_best_challenge_that_is_known_is_met() {
    let many = [
        "Digest realm=\"carrier.example\", nonce=\"aka0\", algorithm=AKAv2-SHA-256, qop=\"auth\"",
        "Digest realm=\"carrier.example\",nonce=\"sha0\",opaque=\"0,1\",algorithm=\"SHA-256\",\
         qop=\"auth-int,auth\",stale=FALSE",
        "Digest realm=\"carrier.example\", nonce=\"md50\", algorithm=MD5, qop=\"auth\"",
    ];
    let old = ["Digest realm=\"carrier.example\", nonce=\"plain0\""];
    for (challenges, parts, none) in [
        (
            &many[..],
            &["nonce=\"sha0\"", "SHA-256", "opaque=\"0,1\"", "nc=00000001"][..],
            "auth-int",
        ),
        (&old[..], &["nonce=\"plain0\"", "username=\"switch\""][..], "nc="),
    ] {
        let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
        first.credentials = Some(strowger_switch::facts::Credentials {
            user: "switch".into(),
            password: "vendor-secret-1".into(),
            algorithms: sip::digest::Algorithm::ALL.into(),
        });
        let mut raw = Raw::new(operator(customer(1, "acme", CALLER), vec![first]));
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        let lines: Vec<_> = challenges.iter().map(|value| ("WWW-Authenticate", *value)).collect();
        raw.answers(&invite, "401 Unauthorized", &lines, "");
        let proven = raw.vendor("INVITE ");
        let line = proven.header("Authorization").expect("credentials");
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        assert!(!line.contains(none), "{line}");
        assert_eq!(proven.from_tag(), invite.from_tag());
        raw.answers(&proven, "486 Busy Here", &[], "");
        raw.caller("SIP/2.0 486 ");
        raw.ends();
    }
}

/// SIG-91: an address whose 503 has a Retry-After is left alone for that time by every trunk that
/// has it; the trunk's other addresses are not.
#[test]
fn an_address_that_wants_a_rest_gets_it() {
    let second = "10.2.0.9:5060";
    let vendors = vec![
        vendor(11, "vendor-a", &[VENDOR_A, second], 1),
        vendor(12, "vendor-a-too", &[VENDOR_A], 2),
        vendor(13, "vendor-b", &[VENDOR_B], 3),
    ];
    let mut raw = Raw::new(operator(customer(1, "acme", CALLER), vendors));
    let calls = |raw: &mut Raw| {
        raw.call_id += "x";
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
    };
    calls(&mut raw);
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "503 Service Unavailable", &[("Retry-After", "20")], "");
    // vendor-a-too has the same address, so it is not called.
    let invite = raw.at(VENDOR_B, "INVITE ");
    raw.answers_from(VENDOR_B, &invite, "503 Service Unavailable", &[], "");
    raw.caller("SIP/2.0 503 ");

    calls(&mut raw);
    let invite = raw.at(second, "INVITE ");
    raw.answers_from(second, &invite, "503 Service Unavailable", &[("Retry-After", "90")], "");
    // The 503 of vendor-b had no Retry-After.
    let invite = raw.at(VENDOR_B, "INVITE ");
    raw.answers_from(VENDOR_B, &invite, "503 Service Unavailable", &[("Retry-After", "9")], "");
    raw.caller("SIP/2.0 503 ");

    calls(&mut raw);
    raw.caller("SIP/2.0 503 ");
    assert!(!raw.has(VENDOR_A, "INVITE ") && !raw.has(VENDOR_B, "INVITE "));
    raw.run(10_000);
    calls(&mut raw);
    let invite = raw.at(VENDOR_B, "INVITE ");
    raw.answers_from(VENDOR_B, &invite, "486 Busy Here", &[], "");
    raw.run(10_000);
    calls(&mut raw);
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "486 Busy Here", &[], "");
    raw.run(10_000);
    assert!(raw.stage.now.duration_since(raw.stage.start).as_secs() < 90, "90 are 30 at most");
    calls(&mut raw);
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "486 Busy Here", &[], "");
    raw.ends();
    let reasons: Vec<_> = raw.stage.finals.iter().map(|d| d.call.end_reason.as_str()).collect();
    let failed = "all_routes_failed";
    let busy = "callee_busy";
    assert_eq!(reasons, [failed, failed, "no_route_available", busy, busy, busy]);
}

/// SIG-91: the 503 of a full node has a Retry-After.
#[test]
fn a_full_node_says_when_to_come_again() {
    let mut facts = small_operator();
    facts.settings.channels = 1;
    let mut raw = Raw::new(facts);
    let (_, ok) = raw.connects();
    let first = raw.call_id.clone();
    raw.call_id = "second".to_owned();
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let refused = raw.caller("SIP/2.0 503 ");
    let after = refused.header("Retry-After").and_then(|value| value.parse().ok());
    assert!(after.is_some_and(|seconds: u8| (1..=5).contains(&seconds)), "{after:?}");
    raw.call_id = first;
    raw.hangs_up(&ok);
    assert_eq!(body(&refused), "");
}
