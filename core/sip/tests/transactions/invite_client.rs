//! RFC 3261 17.1.1 and RFC 6026 figure 5, transition by transition.

use crate::stage::{
    LATE, Stage, ack, invite, request, request_over, response, response_over, vendor,
};
use strowger_sip::{Flow, Link, Message};

const BRANCH: &str = "z9hG4bKinvite";
const SCHEDULE: [u64; 11] =
    [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];

#[test]
fn sig_21_unanswered_invite_is_sent_at_the_moments_of_the_schedule_and_given_up_at_w() {
    let mut stage = Stage::new();
    stage.request(invite(BRANCH));
    stage.until(31_999);
    assert_eq!(stage.sent_moments(), SCHEDULE);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 1));
    assert_eq!(stage.layer.retransmissions(), 10);
    stage.until(32_000);
    assert_eq!(stage.events(), ["timed out"]);
    assert_eq!(stage.sent_moments(), [0_u64; 0]);
    assert_eq!((stage.layer.len(), stage.layer.poll_timeout()), (0, None));
}

#[test]
fn sig_21_the_trunks_own_schedule_counts() {
    let mut stage = Stage::new();
    stage.request_on("1,2", invite(BRANCH));
    stage.until(60_000);
    assert_eq!(stage.sent_moments(), [0, 1000, 3000]);
    assert_eq!(stage.events(), ["timed out"]);
}

#[test]
fn sig_23_over_tcp_nothing_is_repeated_but_the_window_is_the_same() {
    let mut stage = Stage::new();
    stage.link = Link::Stream;
    stage.request(request_over("TCP", "INVITE", BRANCH, ""));
    stage.until(31_999);
    assert_eq!((stage.sent_moments(), stage.events().len()), (vec![0], 0));
    stage.until(32_000);
    assert_eq!(stage.events(), ["timed out"]);
}

#[test]
fn any_provisional_response_ends_the_resends_and_the_window() {
    let mut stage = Stage::new();
    stage.request(invite(BRANCH));
    stage.until(600);
    stage.receive(&response(100, "", "INVITE", BRANCH));
    stage.until(100_000);
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.receive(&response(183, "a", "INVITE", BRANCH));
    assert_eq!(stage.sent_moments(), [0, 500]);
    assert_eq!(stage.events(), ["100 -", "180 a", "183 a"]);
    assert_eq!((stage.layer.len(), stage.layer.poll_timeout()), (1, None));
}

/// RFC 3261 17.1.1.3: Request-URI, branch, From, Call-ID, CSeq number and Route of the
/// INVITE, To of the response.
#[test]
fn a_refusal_is_acknowledged_with_the_invites_branch() {
    let mut stage = Stage::new();
    let routes = "Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n";
    stage.request(request("INVITE", BRANCH, routes));
    stage.sent_messages();
    stage.receive(&response(486, "busy", "INVITE", BRANCH));
    let sent = stage.sent_messages();
    let [ack] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((ack.method().as_str(), ack.uri()), ("ACK", "sip:4930@192.0.2.9"));
    assert_eq!(ack.top_via().branch(), Some(BRANCH));
    assert_eq!(ack.headers("Via").count(), 1);
    assert_eq!((ack.from_tag(), ack.to_tag()), (Some("ours"), Some("busy")));
    assert_eq!((ack.call_id(), ack.cseq().0), ("call-1", 7));
    assert_eq!(
        ack.headers("Route").collect::<Vec<_>>(),
        ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    );
    assert_eq!(stage.events(), ["486 busy"]);
}

#[test]
fn a_repeated_refusal_is_acknowledged_again_for_32_seconds_and_reported_once() {
    let mut stage = Stage::new();
    stage.request(invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.until(1000);
    stage.receive(&response(503, "a", "INVITE", BRANCH));
    stage.until(1500);
    stage.receive(&response(503, "a", "INVITE", BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    assert_eq!(
        stage.sent(),
        [(0, "INVITE".to_owned()), (1000, "ACK".to_owned()), (1500, "ACK".to_owned())]
    );
    assert_eq!(stage.events(), ["180 a", "503 a"]);
    stage.until(32_999);
    assert_eq!(stage.layer.len(), 1);
    stage.until(33_000 + LATE);
    assert_eq!(stage.layer.len(), 0);
    stage.receive(&response(503, "a", "INVITE", BRANCH));
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    assert_eq!(stage.layer.strays().responses, 1);
}

#[test]
fn over_tcp_a_refusal_ends_the_transaction_at_once() {
    let mut stage = Stage::new();
    stage.link = Link::Stream;
    stage.request(request_over("TCP", "INVITE", BRANCH, ""));
    stage.receive(&response_over("TCP", 486, "a", "INVITE", BRANCH));
    assert_eq!(stage.sent_names(), ["INVITE", "ACK"]);
    assert_eq!((stage.events(), stage.layer.len()), (vec!["486 a".to_owned()], 0));
}

/// RFC 6026 7.2: a lost ACK makes the peer repeat its 2xx.
#[test]
fn a_lost_ack_is_sent_again_for_each_repeated_2xx() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(200, "a", "INVITE", BRANCH));
    assert_eq!(stage.events(), ["200 a"]);
    stage.receive(&response(200, "a", "INVITE", BRANCH));
    assert_eq!(stage.sent_names(), ["INVITE"], "the transaction user has made no ACK yet");
    let contact = Flow::datagram(0, ([192, 0, 2, 77], 5080).into());
    stage.layer.ack(stage.now(), id, contact, ack("a", "z9hG4bKack"));
    stage.until(500);
    stage.receive(&response(200, "a", "INVITE", BRANCH));
    let acks: Vec<_> = std::iter::from_fn(|| stage.layer.poll_transmit()).collect();
    assert!(acks.iter().all(|transmit| transmit.flow == contact), "the ACK has its own route");
    assert_eq!(acks.len(), 1);
    assert_eq!(stage.sent(), [(0, "ACK".to_owned())]);
    assert_eq!(stage.events().len(), 0);
    assert_eq!(stage.layer.retransmissions(), 1);
    stage.until(31_999);
    assert_eq!(stage.layer.len(), 1);
    stage.until(32_000 + LATE);
    assert_eq!(stage.layer.len(), 0, "timer M");
}

#[test]
fn sig_07_each_answer_of_a_fork_is_reported_and_acknowledged_apart() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.receive(&response(180, "b", "INVITE", BRANCH));
    stage.receive(&response(200, "a", "INVITE", BRANCH));
    stage.receive(&response(200, "b", "INVITE", BRANCH));
    stage.receive(&response(200, "b", "INVITE", BRANCH));
    assert_eq!(stage.events(), ["180 a", "180 b", "200 a", "200 b"]);
    stage.layer.ack(stage.now(), id, vendor(), ack("a", "z9hG4bKack-a"));
    stage.layer.ack(stage.now(), id, vendor(), ack("b", "z9hG4bKack-b"));
    stage.sent();
    stage.receive(&response(200, "b", "INVITE", BRANCH));
    let again = stage.sent_messages();
    assert_eq!(again.iter().map(Message::to_tag).collect::<Vec<_>>(), [Some("b")]);
}

#[test]
fn a_peer_cannot_make_up_answers_without_end() {
    let mut stage = Stage::new();
    stage.request(invite(BRANCH));
    for fork in 0..100 {
        stage.receive(&response(200, &format!("fork{fork}"), "INVITE", BRANCH));
    }
    assert_eq!(stage.events().len(), 16);
}

#[test]
fn an_accepted_invite_ignores_everything_but_2xx() {
    let mut stage = Stage::new();
    stage.request(invite(BRANCH));
    stage.receive(&response(200, "a", "INVITE", BRANCH));
    stage.receive(&response(180, "b", "INVITE", BRANCH));
    stage.receive(&response(486, "b", "INVITE", BRANCH));
    assert_eq!((stage.events(), stage.sent_names()), (vec!["200 a".into()], vec!["INVITE".into()]));
}

#[test]
fn a_late_ack_is_sent_even_after_the_transaction() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(200, "a", "INVITE", BRANCH));
    stage.until(40_000);
    assert_eq!(stage.layer.len(), 0);
    stage.layer.ack(stage.now(), id, vendor(), ack("a", "z9hG4bKack"));
    assert_eq!(stage.sent().last(), Some(&(40_000, "ACK".to_owned())));
}

#[test]
fn sig_15_sig_103_an_abandoned_invite_is_sent_no_more_and_remembered_for_another_window() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.until(10_000);
    stage.layer.abandon(stage.now(), id);
    stage.until(41_999);
    assert_eq!(stage.sent_moments(), SCHEDULE[..5]);
    assert_eq!(stage.layer.len(), 1);
    stage.until(42_000);
    assert_eq!((stage.events(), stage.layer.len()), (vec!["timed out".to_owned()], 0));
}

#[test]
fn an_abandoned_invite_acknowledges_and_reports_a_late_refusal() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.layer.abandon(stage.now(), id);
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.until(5000);
    stage.receive(&response(503, "a", "INVITE", BRANCH));
    assert_eq!(stage.sent_names(), ["INVITE", "ACK"]);
    stage.until(37_000 + LATE);
    assert_eq!((stage.events(), stage.layer.len()), (vec!["503 a".to_owned()], 0));
}

/// The transaction user must ACK and BYE it (SIG-08).
#[test]
fn an_abandoned_invite_still_reports_a_late_2xx() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.events();
    stage.layer.abandon(stage.now(), id);
    stage.until(20_000);
    stage.receive(&response(200, "a", "INVITE", BRANCH));
    assert_eq!(stage.events(), ["200 a"]);
}

#[test]
fn an_abandoned_invite_that_rings_on_ends_after_32_seconds() {
    let mut stage = Stage::new();
    let id = stage.request(invite(BRANCH));
    stage.receive(&response(180, "a", "INVITE", BRANCH));
    stage.events();
    stage.until(1000);
    stage.layer.abandon(stage.now(), id);
    stage.until(32_999);
    assert_eq!(stage.layer.len(), 1);
    stage.until(33_000);
    assert_eq!((stage.events(), stage.layer.len()), (vec!["timed out".to_owned()], 0));
}

#[test]
fn bytes_that_are_no_request_fail_at_once() {
    let mut stage = Stage::new();
    stage.request(b"HELLO".to_vec());
    stage.request(response(200, "a", "INVITE", BRANCH));
    stage.request(ack("a", BRANCH));
    assert_eq!(stage.events(), ["transport failed"; 3]);
    assert_eq!(stage.layer.len(), 0);
}
