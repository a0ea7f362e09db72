//! RFC 3261 17.2.1 and RFC 6026 figure 7, transition by transition.

use crate::stage::{LATE, Stage, ack, invite, request_over, response, response_over, vendor};
use std::sync::Arc;
use strowger_sip::{Flow, Link, Message, ResendSchedule, TransactionEvent};

const BRANCH: &str = "z9hG4bKcaller";

#[test]
fn a_repeated_invite_is_answered_by_the_last_response() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.receive(&invite(BRANCH));
    assert_eq!(stage.sent().len(), 0, "nothing to repeat yet");
    stage.respond(id, response(100, "", "INVITE", BRANCH));
    stage.receive(&invite(BRANCH));
    stage.respond(id, response(180, "me", "INVITE", BRANCH));
    stage.receive(&invite(BRANCH));
    assert_eq!(stage.sent_names(), ["100", "100", "180", "180"]);
    assert_eq!(stage.events().len(), 0, "the call hears of it once");
    stage.until(500_000);
    assert_eq!((stage.layer.len(), stage.layer.poll_timeout()), (1, None));
}

#[test]
fn sig_21_a_refusal_is_repeated_on_the_schedule_until_w() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(486, "me", "INVITE", BRANCH));
    stage.until(31_999);
    assert_eq!(
        stage.sent_moments(),
        [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
    );
    stage.until(32_000);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 0), "timer H ends it in silence");
}

#[test]
fn the_ack_of_a_refusal_is_absorbed_and_confirmed_lasts_5_seconds() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(486, "me", "INVITE", BRANCH));
    stage.receive(&invite(BRANCH));
    stage.until(600);
    stage.receive(&ack("me", BRANCH));
    stage.receive(&ack("me", BRANCH));
    stage.receive(&invite(BRANCH));
    assert_eq!(stage.sent_moments(), [0, 0, 500]);
    stage.until(5599);
    assert_eq!((stage.sent().len(), stage.layer.len()), (0, 1));
    stage.until(5600 + LATE);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 0), "timer I");
    assert_eq!(stage.layer.strays().acks, 0);
}

#[test]
fn over_tcp_a_refusal_is_sent_once_and_its_ack_ends_the_transaction() {
    let mut stage = Stage::new();
    stage.link = Link::Stream;
    let id = stage.receive_new(&request_over("TCP", "INVITE", BRANCH, ""));
    stage.respond(id, response_over("TCP", 486, "me", "INVITE", BRANCH));
    stage.until(20_000);
    assert_eq!(stage.sent_moments(), [0]);
    stage.receive(&ack("me", BRANCH));
    assert_eq!(stage.layer.len(), 0);
}

/// Resends depend on the link of the request, not on the transport in its Via.
#[test]
fn a_via_that_names_tcp_over_udp_changes_nothing() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&request_over("TCP", "INVITE", BRANCH, ""));
    stage.respond(id, response_over("TCP", 486, "me", "INVITE", BRANCH));
    stage.until(2000);
    assert_eq!(stage.sent_moments(), [0, 500, 1500]);
}

/// RFC 3261 13.3.1.4: a later hop may have lost it.
#[test]
fn sig_23_a_2xx_is_repeated_over_tcp_too() {
    let mut stage = Stage::new();
    stage.link = Link::Stream;
    let id = stage.receive_new(&request_over("TCP", "INVITE", BRANCH, ""));
    stage.respond(id, response_over("TCP", 200, "me", "INVITE", BRANCH));
    stage.until(2000);
    stage.receive(&ack("me", "z9hG4bKack"));
    stage.until(31_999);
    assert_eq!(stage.sent_moments(), [0, 500, 1500]);
    assert_eq!(stage.events().len(), 1, "the ACK");
}

#[test]
fn after_a_final_response_nothing_else_is_sent() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(486, "me", "INVITE", BRANCH));
    stage.respond(id, response(200, "me", "INVITE", BRANCH));
    stage.respond(id, response(180, "me", "INVITE", BRANCH));
    assert_eq!(stage.sent_names(), ["486"]);
    stage.receive(&ack("me", "z9hG4bKother"));
    assert_eq!(stage.layer.strays().acks, 1, "no 2xx waits for an ACK");
}

/// RFC 3261 13.3.1.4: the ACK of a 2xx has its own branch and is matched by Call-ID, CSeq number
/// and tags.
#[test]
fn a_2xx_is_repeated_until_its_ack_which_is_reported_once() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(200, "me", "INVITE", BRANCH));
    stage.until(2000);
    stage.receive(&ack("another", "z9hG4bKack1"));
    assert_eq!(stage.events().len(), 0, "an ACK with another tag is another answer's");
    stage.receive(&ack("me", "z9hG4bKack2"));
    match stage.layer.poll_event() {
        Some(TransactionEvent::Acknowledged { invite, message, .. }) => {
            assert_eq!((invite, message.to_tag()), (id, Some("me")));
        }
        other => panic!("{other:?}"),
    }
    stage.receive(&ack("me", "z9hG4bKack2"));
    stage.receive(&invite(BRANCH));
    stage.until(31_999);
    assert_eq!(stage.sent_moments(), [0, 500, 1500]);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 1));
    stage.until(32_000 + LATE);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 0), "timer L");
    stage.receive(&ack("me", "z9hG4bKack2"));
    assert_eq!(stage.layer.strays().acks, 2);
}

#[test]
fn a_lost_200_is_replaced_when_the_invite_comes_again() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(200, "me", "INVITE", BRANCH));
    stage.until(300);
    stage.receive(&invite(BRANCH));
    assert_eq!(stage.sent_moments(), [0, 300]);
    assert_eq!(stage.events().len(), 0);
}

#[test]
fn a_2xx_without_ack_times_out_at_w() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(200, "me", "INVITE", BRANCH));
    stage.until(31_999);
    assert_eq!((stage.sent().len(), stage.events().len()), (11, 0));
    stage.until(32_000);
    assert_eq!(stage.events(), ["timed out"]);
    assert_eq!(stage.layer.len(), 0);
}

#[test]
fn sig_21_a_short_schedule_times_out_early_but_absorbs_invites_for_32_seconds() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.layer.set_schedule(id, &Arc::new(ResendSchedule::fast_failover()));
    stage.respond(id, response(200, "me", "INVITE", BRANCH));
    stage.until(16_000);
    assert_eq!(stage.events(), ["timed out"]);
    assert_eq!(stage.sent_moments(), [0, 500, 1500, 3500, 7500, 11_500, 15_500]);
    stage.receive(&invite(BRANCH));
    stage.until(31_999);
    assert_eq!((stage.sent().len(), stage.events().len(), stage.layer.len()), (0, 0, 1));
    stage.until(32_000 + LATE);
    assert_eq!(stage.layer.len(), 0);
}

#[test]
fn sig_21_a_long_schedule_keeps_the_2xx_for_its_whole_window() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.layer.set_schedule(id, &Arc::new(ResendSchedule::lossy()));
    stage.respond(id, response(200, "me", "INVITE", BRANCH));
    stage.until(55_999);
    assert_eq!((stage.events().len(), stage.layer.len()), (0, 1));
    stage.receive(&ack("me", "z9hG4bKack"));
    assert_eq!(stage.events(), ["acknowledged"]);
    stage.until(56_000);
    assert_eq!(stage.layer.len(), 0);
}

#[test]
fn an_ack_of_a_2xx_with_the_invites_branch_is_understood() {
    let mut stage = Stage::new();
    let id = stage.receive_new(&invite(BRANCH));
    stage.respond(id, response(200, "me", "INVITE", BRANCH));
    stage.receive(&ack("me", BRANCH));
    assert_eq!(stage.events(), ["acknowledged"]);
}

#[test]
fn an_ack_of_nothing_is_counted_and_dropped() {
    let mut stage = Stage::new();
    stage.receive(&ack("me", BRANCH));
    stage.receive_new(&invite(BRANCH));
    stage.receive(&ack("me", "z9hG4bKelse"));
    assert_eq!((stage.events().len(), stage.layer.strays().acks), (0, 2));
}

/// RFC 3261 17.2.3: sent-by is part of the key, because a branch is unique only to its creator.
#[test]
fn the_same_branch_from_another_sender_is_another_transaction() {
    let mut stage = Stage::new();
    let first = stage.receive_new(&invite(BRANCH));
    let other =
        String::from_utf8(invite(BRANCH)).unwrap().replace("198.51.100.1:5060", "203.0.113.5");
    let second = stage.receive_new(other.as_bytes());
    assert_ne!(first, second);
    let lower = String::from_utf8(invite(BRANCH)).unwrap().replace("INVITE", "OPTIONS");
    stage.receive_new(lower.as_bytes());
    assert_eq!(stage.layer.len(), 3, "and the method is");
}

/// RFC 3261 17.2.3, last part: without the magic cookie the other headers identify the request.
#[test]
fn rfc_2543_branches_are_matched_by_uri_tags_call_id_cseq_and_via() {
    let mut stage = Stage::new();
    let old = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("z9hG4bK", "");
    let first = old(invite(BRANCH));
    let id = stage.receive_new(first.as_bytes());
    stage.receive(first.as_bytes());
    assert_eq!(stage.events().len(), 0, "the same again");
    let changes = [
        ("call-1", "call-2"),
        ("CSeq: 7", "CSeq: 8"),
        ("tag=ours", "tag=theirs"),
        ("sip:4930@192.0.2.9 SIP", "sip:4931@192.0.2.9 SIP"),
        ("198.51.100.1:5060", "198.51.100.1:5070"),
    ];
    for (part, change) in changes {
        stage.receive_new(first.replace(part, change).as_bytes());
    }
    stage.respond(id, response(486, "me", "INVITE", BRANCH));
    stage.receive(old(ack("me", BRANCH)).as_bytes());
    stage.until(5000 + LATE);
    assert_eq!(stage.layer.len(), changes.len(), "its ACK was matched, only the others are left");
}

/// The cookie alone identifies nothing: two calls must stay separate.
#[test]
fn a_bare_magic_cookie_is_matched_like_rfc_2543() {
    let mut stage = Stage::new();
    let bare = String::from_utf8(invite("z9hG4bK")).unwrap();
    stage.receive_new(bare.as_bytes());
    stage.receive_new(bare.replace("call-1", "call-2").as_bytes());
    assert_eq!(stage.layer.len(), 2);
}

/// RFC 3581 with `rport`, RFC 3261 18.2.2 without it.
#[test]
fn sig_12_responses_go_to_the_source() {
    let source = Flow::datagram(3, ([203, 0, 113, 8], 40_000).into());
    for (via, expected) in [(";rport", 40_000), ("", 5060)] {
        let mut stage = Stage::new();
        let request = String::from_utf8(invite(BRANCH)).unwrap().replace(";rport", via);
        stage.layer.receive(stage.now(), source, Message::parse(request.as_bytes()).unwrap());
        let Some(TransactionEvent::Request { id, flow, .. }) = stage.layer.poll_event() else {
            panic!("no request");
        };
        assert_eq!(flow, source);
        stage.respond(id, response(100, "", "INVITE", BRANCH));
        let sent = stage.layer.poll_transmit().unwrap().flow;
        assert_eq!((sent.listener, sent.remote), (3, ([203, 0, 113, 8], expected).into()));
    }
    assert_ne!(source, vendor());
}
