//! Many transactions at once: nothing is left behind.

use crate::stage::{LATE, Stage, invite, request, response};

const CALLS: usize = 100_000;

#[test]
fn a_hundred_thousand_unanswered_invites_are_all_given_up_and_freed() {
    let mut stage = Stage::new();
    for call in 0..CALLS {
        stage.request_on("4,8,16", invite(&format!("z9hG4bK{call}")));
    }
    assert_eq!(stage.layer.len(), CALLS);
    stage.until(28_499);
    assert_eq!((stage.layer.len(), stage.sent().len()), (CALLS, 4 * CALLS));
    stage.until(28_500);
    assert_eq!((stage.layer.len(), stage.layer.poll_timeout()), (0, None));
    assert_eq!(stage.events().len(), CALLS);
}

#[test]
fn a_hundred_thousand_answered_requests_are_freed_at_the_end_of_their_states() {
    let mut stage = Stage::new();
    for call in 0..CALLS {
        let branch = format!("z9hG4bK{call}");
        let id = stage.receive_new(&request("OPTIONS", &branch, ""));
        stage.respond(id, response(200, "me", "OPTIONS", &branch));
    }
    stage.sent();
    assert_eq!(stage.layer.len(), CALLS);
    stage.until(32_000 + LATE);
    assert_eq!((stage.layer.len(), stage.layer.poll_timeout()), (0, None));
}
