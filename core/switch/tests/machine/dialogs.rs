//! Peers that behave oddly around dialogs: no ACK, late or repeated answers, forks, other
//! addresses, refused re-INVITEs.

use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, known_to_vendors, operator, prefix, small_operator,
    vendor,
};
use crate::support::raw::{Raw, sdp};
use crate::support::{Stage, call, hangs_up_after, sent, stage_of};
use sip::{Message, MessageBuilder};
use std::time::Duration;
use strowger_switch::facts::VendorTrunk;

/// An address that no trunk names.
const ELSEWHERE: &str = "10.9.0.9:5060";

fn two_vendors() -> Stage {
    stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers())
}

/// A BYE by the vendor that sent this 200, from `address`.
fn bye_of(answer: &str, address: &str) -> Vec<u8> {
    let answer = Message::parse(answer.as_bytes()).expect("a response");
    let header = |name| answer.header(name).expect("it has one");
    MessageBuilder::request(&sip::Method::Bye, answer.from().uri())
        .header("Via", format_args!("SIP/2.0/UDP {address};rport;branch=z9hG4bKbye1"))
        .header("Max-Forwards", 70)
        .header("From", header("To"))
        .header("To", header("From"))
        .header("Call-ID", answer.call_id())
        .header("CSeq", "7 BYE")
        .finish()
}

/// CDR-01, RFC 3261 section 15: a caller that never acknowledges gets its BYE when the ACK can no
/// longer come, and the record is written.
#[test]
fn a_call_without_ack_that_the_vendor_ends_is_recorded() {
    let plan = VendorPlan { hangup: Some(Duration::from_secs(5)), ..VendorPlan::answers() };
    let mut stage = stage_of(small_operator(), plan, VendorPlan::answers());
    call(&mut stage, CallerPlan { no_ack: true, ..CallerPlan::default() });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals.len(), 1);
    assert_eq!(stage.finals[0].call.end_reason, "ack_timeout");
    assert_eq!(stage.finals[0].attempts[0].end_reason, "callee_hangup");
    assert_eq!(stage.agent(CALLER).last().requests, ["BYE"]);
}

/// SIG-08, RFC 3261 section 9.1: a vendor that was abandoned in silence is cancelled as soon as it
/// responds, so that no second telephone rings.
#[test]
fn a_vendor_that_wakes_up_late_is_cancelled() {
    let mut stage = stage_of(small_operator(), VendorPlan::silent(), VendorPlan::rings());
    call(&mut stage, CallerPlan { cancel: Some(Duration::from_secs(20)), ..CallerPlan::default() });
    stage.run(Duration::from_secs(12));
    assert_eq!(stage.agent(VENDOR_B).order.len(), 1, "the next vendor is ringing");
    let invite = stage.agent(VENDOR_A).last().last_invite.clone();
    let invite = Message::parse(invite.as_bytes()).expect("an INVITE");
    let ringing = MessageBuilder::response_to(&invite, 180, "Ringing").to_tag("late").finish();
    stage.inject(VENDOR_A, &ringing);
    stage.run(Duration::from_secs(1));
    assert_eq!(sent(&stage, VENDOR_A, "CANCEL ").len(), 1);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
}

/// SIG-07, RFC 3261 section 12.2.2: the BYE of the losing fork does not end the call.
#[test]
fn the_bye_of_another_fork_leaves_the_call_alone() {
    let mut stage = two_vendors();
    call(&mut stage, hangs_up_after(30));
    stage.run(Duration::from_millis(1500));
    let answer = stage.agent(VENDOR_A).last_sent_200();
    let to = answer.lines().find(|line| line.starts_with("To:")).expect("a To").trim_end();
    let fork = answer.replace(to, &format!("{to}ffff"));
    stage.inject(VENDOR_A, &bye_of(&fork, VENDOR_A));
    stage.run(Duration::from_secs(1));
    assert_eq!(stage.switch.calls().next().expect("a call").state, "answered");
    assert_eq!(sent(&stage, VENDOR_A, "SIP/2.0 481").len(), 1);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].call.end_reason, "caller_hangup");
}

/// RFC 3261 section 8.2.2.2: an INVITE that a proxy forked to us twice is one call.
#[test]
fn the_same_invite_by_two_ways_is_one_call() {
    let mut stage = two_vendors();
    call(&mut stage, hangs_up_after(1));
    stage.run(Duration::from_millis(50));
    let invite = format!(
        "INVITE sip:4420123@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1;branch=z9hG4bKone\r\n\
         Max-Forwards: 70\r\nFrom: <sip:4930123@10.1.0.1>;tag=1\r\nTo: <sip:4420123@10.0.0.1>\r\n\
         Call-ID: twice\r\nCSeq: 1 INVITE\r\nContact: <sip:4930123@{CALLER}>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stage.inject(CALLER, invite.as_bytes());
    stage.inject(CALLER, invite.replace("bKone", "bKtwo").as_bytes());
    stage.run(Duration::from_secs(3));
    assert!(!sent(&stage, CALLER, "SIP/2.0 482").is_empty(), "resent until its ACK");
    assert_eq!(stage.switch.call_count(), 1, "the one, as the agent's has ended");
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals.len(), 3, "the agent's, this one, and the refused way");
}

/// RFC 3261 section 12.2.2: a vendor hangs up from the address in its Contact, which no trunk
/// names; requests and responses from there belong to the call.
#[test]
fn a_vendor_may_have_its_contact_elsewhere() {
    let mut stage = two_vendors();
    stage.agent(VENDOR_A).contact = Some(format!("sip:media@{ELSEWHERE}"));
    call(&mut stage, CallerPlan::default());
    stage.run(Duration::from_secs(3));
    assert!(!sent(&stage, ELSEWHERE, "ACK ").is_empty());
    let answer = stage.agent(VENDOR_A).last_sent_200();
    stage.inject(ELSEWHERE, &bye_of(&answer, ELSEWHERE));
    stage.inject(ELSEWHERE, &bye_of(&answer, ELSEWHERE));
    stage.run(Duration::from_secs(1));
    assert_eq!(sent(&stage, ELSEWHERE, "SIP/2.0 200").len(), 2, "the BYE and its repetition");
    stage.run_until_quiet();
    stage.run(Duration::from_secs(32));
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].call.end_reason, "callee_hangup");
    // The call is over: the address is a stranger's again.
    stage.wire.clear();
    stage.inject(ELSEWHERE, &bye_of(&answer, ELSEWHERE));
    stage.run(Duration::from_secs(1));
    assert!(stage.wire.is_empty());
}

/// RFC 3261 section 12.1.2: if a 200 has no Contact, requests go to the URI of the INVITE.
#[test]
fn an_answer_without_contact_is_acknowledged() {
    let mut stage = two_vendors();
    stage.agent(VENDOR_A).contact = Some(String::new());
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    for method in ["ACK", "BYE"] {
        let start = format!("{method} sip:4420123@{VENDOR_A} SIP/2.0\r\n");
        assert_eq!(sent(&stage, VENDOR_A, &start).len(), 1, "{method}");
    }
}

/// RFC 3261 section 14.1: a re-INVITE that is refused changes nothing.
#[test]
fn a_refused_hold_changes_nothing() {
    let mut stage = two_vendors();
    stage.agent(VENDOR_A).refuses_hold = Some(488);
    let hold = Some(Duration::from_secs(2));
    call(&mut stage, CallerPlan { hold, ..hangs_up_after(10) });
    stage.run(Duration::from_millis(1900));
    let told = stage.media.updates.len();
    stage.run(Duration::from_secs(3));
    assert_eq!(stage.agent(CALLER).last().responses.last(), Some(&488));
    assert_eq!(stage.media.updates.len(), told, "the relay was told of a refused offer");
    assert_eq!(stage.switch.calls().next().expect("a call").state, "answered");
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
}

/// RFC 5621 section 3.1: the SDP beside an ISUP part is the offer.
#[test]
fn sdp_in_a_multipart_body_is_the_offer() {
    let mut stage = two_vendors();
    call(&mut stage, CallerPlan { multipart: true, ..hangs_up_after(1) });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let invite = stage.agent(VENDOR_A).last().last_invite.clone();
    assert!(invite.contains("Content-Type: application/sdp\r\n"), "{invite}");
    assert!(invite.contains("c=IN IP4 10.0.0.1"), "{invite}");
    let answer = &stage.agent(CALLER).last().last_response;
    assert!(answer.contains("m=audio"), "{answer}");
}

/// SIG-76, SIG-78: our Contact does not contain the number of a private caller.
#[test]
fn a_hidden_caller_is_not_in_the_contact() {
    let mut stage = two_vendors();
    let hold = Some(Duration::from_secs(2));
    call(&mut stage, CallerPlan { private: true, hold, ..hangs_up_after(5) });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let invites = sent(&stage, VENDOR_A, "INVITE ");
    assert_eq!(invites.len(), 2, "the call and the hold");
    for invite in invites {
        assert!(invite.contains("\r\nContact: <sip:10.0.0.1:5060>\r\n"), "{invite}");
    }
}

/// NUM-03, RFC 3261 section 25.1: a `#` in a number is sent as `%23` in a URI.
#[test]
fn a_hash_in_a_number_is_escaped_in_uris() {
    let mut stage = two_vendors();
    let now = stage.now;
    stage.agent(CALLER).invite(now, "44%2312%23", hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let invite = stage.agent(VENDOR_A).last().last_invite.clone();
    assert!(invite.starts_with(&format!("INVITE sip:44%2312%23@{VENDOR_A} ")), "{invite}");
    assert!(invite.contains(&format!("\r\nTo: <sip:44%2312%23@{VENDOR_A}>\r\n")), "{invite}");
    assert_eq!(stage.finals[0].call.callee_in, "44#12#");
}

/// ROUTE-18: a prefix entry without `extend` ends the walk even when its trunk is full.
#[test]
fn a_full_trunk_still_ends_the_walk_over_prefixes() {
    for (extend, attempts) in [(false, 0), (true, 1)] {
        let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
        first.channels = 1;
        first.prefixes = vec![prefix("4420", extend)];
        let vendors = vec![first, vendor(12, "vendor-b", &[VENDOR_B], 2)];
        let facts = operator(customer(1, "acme", CALLER), vendors);
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        call(&mut stage, hangs_up_after(5));
        stage.run(Duration::from_millis(500));
        call(&mut stage, hangs_up_after(1));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        assert_eq!(stage.agent(VENDOR_A).order.len(), 1);
        assert_eq!(stage.agent(VENDOR_B).order.len(), attempts, "extend {extend}");
        let busy = stage.finals.iter().filter(|d| d.call.end_reason == "all_routes_busy").count();
        assert_eq!(busy, 1 - attempts, "extend {extend}");
    }
}

/// RFC 3261 sections 13.2.2.4 and 22.2, SIG-53: a vendor that challenges gets credentials in the
/// ACK and in all later requests. An expired nonce is replaced in an INVITE, in a re-INVITE (here
/// by a vendor that does not mark the old one as stale) and in a BYE.
#[test]
fn a_vendor_that_challenges_is_answered_all_along() {
    let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
    first.credentials = Some(known_to_vendors());
    let challenge = |value| VendorPlan {
        header: Some(("WWW-Authenticate", value)),
        ..VendorPlan::refuses(401)
    };
    let facts = operator(customer(1, "acme", CALLER), vec![first]);
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    let vendor = stage.agent(VENDOR_A);
    vendor.plans = vec![
        challenge("Digest realm=\"carrier\", nonce=\"one\", algorithm=MD5, qop=\"auth\""),
        challenge(
            "Digest realm=\"carrier\", nonce=\"two\", algorithm=MD5, qop=\"auth\", stale=true",
        ),
        VendorPlan::answers(),
    ];
    vendor.challenges = vec![
        (
            sip::Method::Invite,
            "Digest realm=\"carrier\", nonce=\"three\", algorithm=MD5, qop=\"auth\"",
        ),
        (
            sip::Method::Bye,
            "Digest realm=\"carrier\", nonce=\"four\", algorithm=MD5, qop=\"auth\", stale=true",
        ),
    ];
    let hold = Some(Duration::from_secs(2));
    call(&mut stage, CallerPlan { hold, ..hangs_up_after(5) });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].call.code_returned, 200);
    assert_eq!(stage.finals[0].attempts.len(), 1);
    let lines = |start: &str| -> Vec<String> {
        let line = |text: String| {
            text.lines().find(|line| line.starts_with("Authorization:")).unwrap_or("").to_owned()
        };
        sent(&stage, VENDOR_A, start).into_iter().map(line).collect()
    };
    let (invites, byes) = (lines("INVITE "), lines("BYE "));
    let of = |line: &str, nonce: &str, count: u32| {
        line.contains(&format!("nonce=\"{nonce}\"")) && line.contains(&format!("nc={count:08}"))
    };
    assert_eq!(invites.len(), 5, "without, with each nonce, and the hold: {invites:?}");
    assert_eq!(invites[0], "");
    assert!(of(&invites[1], "one", 1) && of(&invites[2], "two", 1), "{invites:?}");
    assert!(of(&invites[3], "two", 2) && of(&invites[4], "three", 1), "{invites:?}");
    // The ACKs of the refusals, of the answer and of the hold.
    let acks = lines("ACK ");
    assert!(acks.contains(&invites[2]) && acks.contains(&invites[4]), "{acks:?}");
    assert_eq!(stage.agent(CALLER).last().responses, [100, 180, 200, 100, 200], "the hold, too");
    assert_eq!(byes.len(), 2, "{byes:?}");
    assert!(of(&byes[0], "three", 2) && of(&byes[1], "four", 1), "{byes:?}");
}

/// SIG-08, SIG-53: an answer that crosses the CANCEL is ended with credentials, or the vendor would
/// refuse the BYE and keep counting. The same holds for a call whose vendor challenges only the
/// BYE.
#[test]
fn byes_prove_who_we_are() {
    let facts = || {
        let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
        first.credentials = Some(known_to_vendors());
        operator(customer(1, "acme", CALLER), vec![first])
    };
    let value = "Digest realm=\"carrier\", nonce=\"one\", algorithm=MD5, qop=\"auth\"";
    let challenge =
        VendorPlan { header: Some(("WWW-Authenticate", value)), ..VendorPlan::refuses(401) };

    let late = VendorPlan { last: Some((Duration::from_millis(1000), 200)), ..VendorPlan::rings() };
    let mut crossed = stage_of(facts(), VendorPlan::answers(), VendorPlan::answers());
    crossed.agent(VENDOR_A).plans = vec![challenge, late];
    // 20 ms until the challenge, 2 ms on the way: the 200 leaves 1 ms before the CANCEL arrives.
    let cancel = Some(Duration::from_millis(1023));
    call(&mut crossed, CallerPlan { cancel, ..CallerPlan::default() });
    crossed.run_until_quiet();
    crossed.assert_nothing_leaks();
    assert_eq!(crossed.agent(CALLER).last().responses, [100, 180, 487]);
    assert!(crossed.finals[0].attempts[0].answer_ms.is_some(), "it crossed");
    let ended = [sent(&crossed, VENDOR_A, "ACK "), sent(&crossed, VENDOR_A, "BYE ")].concat();
    let proven = |text: &&String| text.contains("\r\nAuthorization: Digest username=\"strowger\"");
    assert_eq!(ended.iter().filter(proven).count(), 2, "{ended:?}");

    let mut asked_late = stage_of(facts(), VendorPlan::answers(), VendorPlan::answers());
    asked_late.agent(VENDOR_A).challenges = vec![(sip::Method::Bye, value)];
    call(&mut asked_late, hangs_up_after(5));
    asked_late.run_until_quiet();
    asked_late.assert_nothing_leaks();
    let byes = sent(&asked_late, VENDOR_A, "BYE ");
    assert_eq!(byes.iter().map(|bye| proven(&bye)).collect::<Vec<_>>(), [false, true], "{byes:?}");
}

/// SIG-08, SIG-31, SIG-53: an abandoned INVITE is not sent again, whatever its vendor demands.
#[test]
fn a_demand_that_crosses_the_cancel_revives_nothing() {
    for (demand, header) in [
        ("422 Session Interval Too Small", ("Min-SE", "900")),
        ("401 Unauthorized", ("WWW-Authenticate", "Digest realm=\"v\",nonce=\"n\"")),
    ] {
        let first = vendor(11, "a", &[VENDOR_A], 1);
        let first = VendorTrunk { credentials: Some(known_to_vendors()), ..first };
        let mut raw = Raw::new(operator(customer(1, "acme", CALLER), vec![first]));
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        raw.answers(&invite, "180 Ringing", &[], "");
        raw.caller("SIP/2.0 180 ");
        raw.cancel(&[]);
        let cancel = raw.vendor("CANCEL ");
        raw.answers(&cancel, "200 OK", &[], "");
        raw.answers(&invite, demand, &[header], "");
        raw.vendor("ACK ");
        raw.run(2_000);
        assert!(!raw.has(VENDOR_A, "INVITE "), "after {demand}");
        raw.ends();
        assert_eq!(&*raw.stage.finals[0].call.end_reason, "caller_cancelled");
    }
}
