//! SIG-24: an unreachable peer.

use crate::stage::{Stage, ack, invite, request, request_over, response, response_over, vendor};
use std::sync::Arc;
use strowger_sip::{Flow, Link, TransactionId};

const BRANCH: &str = "z9hG4bKinvite";

#[test]
fn sig_24_two_unreachable_sends_in_a_row_end_the_attempt_within_a_second() {
    let mut stage = Stage::new();
    stage.request(invite(BRANCH));
    stage.until(20);
    stage.layer.transport_error(stage.now(), vendor());
    assert_eq!(stage.events().len(), 0, "one may be chance");
    stage.until(520);
    stage.layer.transport_error(stage.now(), vendor());
    assert_eq!((stage.events(), stage.layer.len()), (vec!["transport failed".to_owned()], 0));
    stage.until(60_000);
    assert_eq!((stage.sent_moments(), stage.events().len()), (vec![0, 500], 0));
}

#[test]
fn two_errors_for_one_send_count_once() {
    let mut stage = Stage::new();
    stage.request(invite(BRANCH));
    stage.layer.transport_error(stage.now(), vendor());
    stage.layer.transport_error(stage.now(), vendor());
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 1));
}

#[test]
fn a_response_in_between_starts_the_count_anew() {
    let mut stage = Stage::new();
    stage.request(request("BYE", BRANCH, ""));
    stage.layer.transport_error(stage.now(), vendor());
    stage.receive(&response(100, "a", "BYE", BRANCH));
    stage.until(500);
    stage.layer.transport_error(stage.now(), vendor());
    assert_eq!(stage.events(), ["100 a"]);
    stage.until(1500);
    stage.layer.transport_error(stage.now(), vendor());
    assert_eq!(stage.events(), ["transport failed"]);
}

#[test]
fn other_flows_and_transactions_at_rest_are_not_touched() {
    let mut stage = Stage::new();
    stage.request(invite("z9hG4bKringing"));
    stage.receive(&response(180, "a", "INVITE", "z9hG4bKringing"));
    stage.request(invite(BRANCH));
    stage.events();
    for moment in [0, 500, 1500, 3500] {
        stage.until(moment);
        stage.layer.transport_error(stage.now(), Flow { listener: 1, ..vendor() });
    }
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 2));
    for moment in [3500, 7500] {
        stage.until(moment);
        stage.layer.transport_error(stage.now(), vendor());
    }
    assert_eq!((stage.events(), stage.layer.len()), (vec!["transport failed".to_owned()], 1));
}

#[test]
fn a_broken_connection_ends_its_transactions_at_once() {
    let mut stage = Stage::new();
    stage.link = Link::Stream;
    stage.request(request_over("TCP", "INVITE", BRANCH, ""));
    stage.layer.transport_error(stage.now(), stage.flow());
    assert_eq!((stage.events(), stage.layer.len()), (vec!["transport failed".to_owned()], 0));
}

#[test]
fn our_answer_to_an_unreachable_caller_fails_too() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(200, "me", "INVITE", BRANCH));
    stage.layer.transport_error(stage.now(), vendor());
    stage.until(500);
    stage.layer.transport_error(stage.now(), vendor());
    assert_eq!((stage.events(), stage.layer.len()), (vec!["transport failed".to_owned()], 0));
    stage.receive(&ack("me", "z9hG4bKack"));
    assert_eq!(stage.layer.strays().acks, 1, "no key of it is left");
}

#[test]
fn an_abandoned_attempt_tells_its_end_and_a_cancel_fails_in_silence() {
    let mut stage = Stage::new();
    stage.link = Link::Stream;
    let id = stage.request(request_over("TCP", "INVITE", BRANCH, ""));
    stage.layer.abandon(stage.now(), id);
    stage.layer.transport_error(stage.now(), stage.flow());
    assert_eq!((stage.events(), stage.layer.len()), (vec!["transport failed".to_owned()], 0));

    stage.link = Link::Datagram;
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.events();
    stage.layer.cancel(stage.now(), id, None);
    stage.layer.transport_error(stage.now(), vendor());
    stage.until(500);
    stage.layer.transport_error(stage.now(), vendor());
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 1), "the INVITE waits on");
}

/// The TCP listener next to the one of the other tests.
fn stream() -> Flow {
    Flow { listener: 1, link: Link::Stream, ..vendor() }
}

fn large(stage: &mut Stage, method: &str) -> TransactionId {
    let over = |transport| request_over(transport, method, BRANCH, "");
    let ways = [(stream(), over("TCP")), (vendor(), over("UDP"))];
    stage.layer.request_with_way_back(None, stage.now(), ways, &Arc::default())
}

/// RFC 3261 section 18.1.1: the connection fails, so the same transaction continues by datagrams
/// with their resends.
#[test]
fn a_large_request_goes_by_datagrams_where_nobody_takes_a_connection() {
    for method in ["INVITE", "BYE"] {
        let mut stage = Stage::new();
        large(&mut stage, method);
        stage.until(3000);
        assert_eq!(stage.sent_moments(), [0], "{method}: nothing is repeated over a stream");
        stage.layer.transport_error(stage.now(), stream());
        stage.until(3400);
        assert_eq!(stage.events(), ["goes by udp"]);
        stage.until(3600);
        assert_eq!(stage.sent_moments(), [3000, 3500], "{method}");
        stage.receive(&response(200, "a", method, BRANCH));
        assert_eq!(stage.events(), ["200 a"]);
    }
}

/// A request answered over the connection stays there, and so does a cancelled one.
#[test]
fn a_large_request_that_was_heard_has_no_way_back() {
    let mut stage = Stage::new();
    large(&mut stage, "INVITE");
    stage.link = Link::Stream;
    stage.receive(&response_over("TCP", 180, "a", "INVITE", BRANCH));
    stage.until(100);
    stage.layer.transport_error(stage.now(), stream());
    assert_eq!((stage.events(), stage.layer.len()), (vec!["180 a".to_owned()], 1));

    let mut stage = Stage::new();
    let id = large(&mut stage, "INVITE");
    stage.layer.cancel(stage.now(), id, None);
    stage.until(100);
    stage.layer.transport_error(stage.now(), stream());
    assert_eq!((stage.events(), stage.layer.len()), (vec!["transport failed".to_owned()], 0));
}
