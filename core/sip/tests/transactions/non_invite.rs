//! RFC 3261 17.1.2 and 17.2.2.

use crate::stage::{LATE, Stage, request, request_over, response, response_over};
use strowger_sip::Link;

const BRANCH: &str = "z9hG4bKbye";

#[test]
fn sig_21_a_request_is_repeated_until_its_final_response() {
    let mut stage = Stage::new();
    stage.request(request("BYE", BRANCH, ""));
    stage.until(600);
    stage.receive(&response(100, "a", "BYE", BRANCH));
    stage.until(8000);
    stage.receive(&response(200, "a", "BYE", BRANCH));
    stage.receive(&response(200, "a", "BYE", BRANCH));
    assert_eq!(stage.sent_moments(), [0, 500, 1500, 3500, 7500]);
    assert_eq!(stage.events(), ["100 a", "200 a"]);
    stage.until(12_999);
    assert_eq!(stage.layer.len(), 1, "timer K absorbs repeated responses for 5 s");
    stage.until(13_000 + LATE);
    assert_eq!((stage.layer.len(), stage.layer.strays().responses), (0, 0));
}

#[test]
fn sig_23_a_request_without_final_response_times_out_at_w() {
    let mut stage = Stage::new();
    stage.request(request("OPTIONS", BRANCH, ""));
    stage.receive(&response(100, "a", "OPTIONS", BRANCH));
    stage.until(31_999);
    assert_eq!((stage.sent().len(), stage.events()), (11, vec!["100 a".to_owned()]));
    stage.until(32_000);
    assert_eq!((stage.events(), stage.layer.len()), (vec!["timed out".to_owned()], 0));
}

#[test]
fn over_tcp_the_final_response_ends_the_client() {
    let mut stage = Stage::new();
    stage.link = Link::Stream;
    stage.request(request_over("TCP", "BYE", BRANCH, ""));
    stage.until(10_000);
    stage.receive(&response_over("TCP", 200, "a", "BYE", BRANCH));
    assert_eq!((stage.sent_moments(), stage.layer.len()), (vec![0], 0));
}

#[test]
fn an_abandoned_request_is_forgotten() {
    let mut stage = Stage::new();
    let id = stage.request(request("OPTIONS", BRANCH, ""));
    stage.layer.abandon(stage.now(), id);
    stage.receive(&response(200, "a", "OPTIONS", BRANCH));
    stage.until(60_000);
    assert_eq!((stage.sent().len(), stage.events().len(), stage.layer.len()), (1, 0, 0));
    assert_eq!(stage.layer.strays().responses, 1);
}

/// RFC 3261 17.1.3: the method of CSeq is part of the key.
#[test]
fn a_response_for_another_method_or_branch_is_a_stray() {
    let mut stage = Stage::new();
    stage.request(request("BYE", BRANCH, ""));
    stage.receive(&response(200, "a", "INFO", BRANCH));
    stage.receive(&response(200, "a", "BYE", "z9hG4bKother"));
    assert_eq!((stage.events().len(), stage.layer.strays().responses), (0, 2));
}

#[test]
fn the_server_replays_its_last_response_for_32_seconds() {
    let mut stage = Stage::new();
    let bye = request("BYE", BRANCH, "");
    let id = stage.receive_new(&bye);
    stage.receive(&bye);
    assert_eq!(stage.sent().len(), 0, "Trying absorbs it");
    stage.respond(id, response(180, "a", "BYE", BRANCH));
    stage.receive(&bye);
    stage.until(1000);
    stage.respond(id, response(200, "a", "BYE", BRANCH));
    stage.respond(id, response(500, "a", "BYE", BRANCH));
    stage.until(20_000);
    stage.receive(&bye);
    assert_eq!(stage.sent_names(), ["180", "180", "200", "200"]);
    assert_eq!(stage.layer.retransmissions(), 2);
    stage.until(32_999);
    assert_eq!(stage.layer.len(), 1);
    stage.until(33_000 + LATE);
    assert_eq!((stage.layer.len(), stage.events().len()), (0, 0), "timer J");
    stage.receive_new(&bye);
}

#[test]
fn over_tcp_the_final_response_ends_the_server() {
    let mut stage = Stage::new();
    stage.link = Link::Stream;
    let id = stage.receive_new(&request_over("TCP", "BYE", BRANCH, ""));
    stage.respond(id, response_over("TCP", 200, "a", "BYE", BRANCH));
    assert_eq!((stage.sent_names(), stage.layer.len()), (vec!["200".to_owned()], 0));
}

#[test]
fn an_id_of_an_ended_transaction_does_nothing() {
    let mut stage = Stage::new();
    let id = stage.request(request("BYE", BRANCH, ""));
    stage.layer.abandon(stage.now(), id);
    let newer = stage.request(request("BYE", "z9hG4bKnewer", ""));
    stage.layer.abandon(stage.now(), id);
    stage.layer.respond(stage.now(), id, 200, response(200, "a", "BYE", BRANCH));
    stage.layer.cancel(stage.now(), id, None);
    assert_ne!(id, newer);
    assert_eq!(stage.layer.len(), 1, "its place may be taken, its id is not");
}
