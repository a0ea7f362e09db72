//! RFC 3261 section 9 and SIG-08: CANCEL and the messages that it may cross.

use crate::stage::{LATE, Stage, ack, invite, request, response, vendor};
use strowger_sip::Message;

const BRANCH: &str = "z9hG4bKinvite";

#[test]
fn a_ringing_invite_is_cancelled_with_its_own_branch_and_a_reason() {
    let mut stage = Stage::new();
    let routes = "Route: <sip:p1.example;lr>\r\n";
    let id = stage.request(request("INVITE", BRANCH, routes));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.sent_messages();
    stage.layer.cancel(stage.now(), id, Some("Q.850;cause=16"));
    let sent = stage.sent_messages();
    let [cancel] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((cancel.method().as_str(), cancel.uri()), ("CANCEL", "sip:4930@192.0.2.9"));
    assert_eq!((cancel.top_via().branch(), cancel.headers("Via").count()), (Some(BRANCH), 1));
    assert_eq!((cancel.from_tag(), cancel.to_tag()), (Some("ours"), None));
    assert_eq!((cancel.call_id(), cancel.cseq().0), ("call-1", 7));
    assert_eq!(cancel.header("Route"), Some("<sip:p1.example;lr>"));
    assert_eq!(cancel.header("Reason"), Some("Q.850;cause=16"));
}

#[test]
fn the_outcome_of_the_cancel_itself_is_not_reported() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.layer.cancel(stage.now(), id, None);
    stage.layer.cancel(stage.now(), id, None);
    assert_eq!(stage.sent_names(), ["INVITE", "CANCEL"], "cancelled once");
    stage.receive(&response(200, "a", "CANCEL", BRANCH));
    stage.receive(&response(487, "a", "INVITE", BRANCH));
    assert_eq!(stage.events(), ["180 a", "487 a"]);
    assert_eq!(stage.sent_names(), ["ACK"]);
    stage.until(32_000 + LATE);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 0));
}

/// RFC 3261 9.1: no CANCEL before a provisional response.
#[test]
fn sig_08_a_cancel_before_any_response_waits_for_the_first_one() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.layer.cancel(stage.now(), id, Some("SIP;cause=200"));
    stage.until(600);
    assert_eq!(stage.sent_names(), ["INVITE", "INVITE"], "the INVITE is still repeated");
    stage.receive(&response(100, "", "INVITE", BRANCH));
    let sent = stage.sent_messages();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].method().as_str(), "CANCEL");
    assert_eq!(sent[0].header("Reason"), Some("SIP;cause=200"));
    assert_eq!(stage.events(), ["100 -"]);
}

#[test]
fn a_cancel_that_waits_while_nothing_comes_is_never_sent() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.layer.cancel(stage.now(), id, None);
    stage.until(32_000);
    assert!(stage.sent_names().iter().all(|name| name == "INVITE"));
    assert_eq!((stage.events(), stage.layer.len()), (vec!["timed out".to_owned()], 0));
}

#[test]
fn sig_15_an_abandoned_attempt_is_cancelled_when_it_rings_after_all() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.until(10_000);
    stage.layer.cancel(stage.now(), id, None);
    stage.layer.abandon(stage.now(), id);
    stage.sent();
    stage.until(12_000);
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.receive(&response(200, "a", "CANCEL", BRANCH));
    stage.receive(&response(487, "a", "INVITE", BRANCH));
    assert_eq!(stage.sent_names(), ["CANCEL", "ACK"]);
    stage.until(44_000 + LATE);
    assert_eq!((stage.events(), stage.layer.len()), (vec!["487 a".to_owned()], 0));
}

#[test]
fn a_final_response_makes_a_waiting_cancel_pointless() {
    for status in [200, 486] {
        let mut stage = Stage::new();
        let id = stage.request(invite(BRANCH));
        stage.layer.cancel(stage.now(), id, None);
        stage.receive(&response(status, "a", "INVITE", BRANCH));
        stage.receive(&response(180, "b", "INVITE", BRANCH));
        stage.layer.cancel(stage.now(), id, None);
        stage.until(60_000);
        assert!(stage.sent_names().iter().all(|name| name != "CANCEL"));
        assert_eq!(stage.events(), [format!("{status} a")]);
        assert_eq!(stage.layer.len(), 0);
    }
}

#[test]
fn sig_08_a_200_that_crosses_the_cancel_is_reported() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.layer.cancel(stage.now(), id, None);
    stage.receive(&response(200, "a", "INVITE", BRANCH));
    stage.receive(&response(200, "a", "CANCEL", BRANCH));
    assert_eq!(stage.events(), ["180 a", "200 a"]);
    stage.layer.ack(stage.now(), id, vendor(), ack("a", "z9hG4bKack"));
    assert_eq!(stage.sent_names(), ["INVITE", "CANCEL", "ACK"]);
    stage.until(32_000 + LATE);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 0));
}

/// RFC 3261 9.1: a peer that answers the CANCEL but never the INVITE.
#[test]
fn an_invite_without_final_response_ends_32_seconds_after_its_cancel() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.until(5000);
    stage.layer.cancel(stage.now(), id, None);
    stage.receive(&response(200, "a", "CANCEL", BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    assert_eq!(stage.events(), ["180 a", "180 a"]);
    stage.until(36_999);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 1));
    stage.until(37_000);
    assert_eq!((stage.events(), stage.layer.len()), (vec!["timed out".to_owned()], 0));
}

#[test]
fn a_lost_cancel_is_repeated_on_the_invites_schedule() {
    let mut stage = Stage::new();
    let id = stage.request_on("1,2,3", invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.sent();
    stage.layer.cancel(stage.now(), id, None);
    stage.until(60_000);
    let expected: Vec<_> = [0, 1000, 3000, 6000].map(|at| (at, "CANCEL".to_owned())).into();
    assert_eq!(stage.sent(), expected);
    assert_eq!((stage.events(), stage.layer.len()), (vec!["180 a".into(), "timed out".into()], 0));
}

#[test]
fn a_received_cancel_is_answered_with_the_tag_of_the_invites_responses() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(180, "me", "INVITE", BRANCH));
    stage.sent_messages();
    stage.receive(&request("CANCEL", BRANCH, "Reason: SIP;cause=200\r\n"));
    let sent = stage.sent_messages();
    assert_eq!((sent[0].status(), sent[0].to_tag()), (200, Some("me")));
    assert_eq!(sent[0].method().as_str(), "CANCEL");
    assert_eq!(stage.events(), ["cancelled"]);
    stage.respond(id, response(487, "me", "INVITE", BRANCH));
    stage.receive(&ack("me", BRANCH));
    stage.receive(&request("CANCEL", BRANCH, ""));
    assert_eq!(stage.sent_names(), ["487", "200"], "a repeated CANCEL gets its 200 again");
    assert_eq!(stage.events().len(), 0);
    stage.until(32_000 + LATE);
    assert_eq!(stage.layer.len(), 0);
}

#[test]
fn a_cancel_before_our_first_response_is_answered_with_a_made_up_tag() {
    let mut stage = Stage::new();
    stage.receive_new(&invite(BRANCH));
    stage.receive(&request("CANCEL", BRANCH, ""));
    let sent = stage.sent_messages();
    assert_eq!(sent.iter().map(Message::status).collect::<Vec<_>>(), [200]);
    assert!(sent[0].to_tag().is_some_and(|tag| tag.len() == 12));
    assert_eq!(stage.events(), ["cancelled"]);
}

/// RFC 3261 9.2: the CANCEL has no effect but is answered 200.
#[test]
fn a_cancel_after_the_final_response_changes_nothing() {
    for status in [200, 486] {
        let mut stage = Stage::new();
        let id = stage.receive_new(&invite(BRANCH));
        stage.respond(id, response(status, "me", "INVITE", BRANCH));
        stage.sent();
        stage.receive(&request("CANCEL", BRANCH, ""));
        assert_eq!((stage.sent_names(), stage.events().len()), (vec!["200".to_owned()], 0));
    }
}

#[test]
fn a_cancel_of_nothing_is_answered_481() {
    let mut stage = Stage::new();
    stage.receive(&request("CANCEL", BRANCH, ""));
    stage.receive(&request("CANCEL", BRANCH, ""));
    assert_eq!(stage.sent_names(), ["481", "481"]);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 1));
    stage.until(32_000 + LATE);
    assert_eq!(stage.layer.len(), 0);
}
