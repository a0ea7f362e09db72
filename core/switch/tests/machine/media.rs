//! Media in the call machine: offers, early media, hold, ports, media addresses.

use crate::calls::stage;
use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{CALLER, VENDOR_A, VENDOR_B, customer, operator, vendor};
use crate::support::media::CALLER_LEG;
use crate::support::{call, hangs_up_after, stage_of};
use std::time::Duration;
use strowger_switch::facts::VendorTrunk;

/// SIG-18: early media without an answer ends after 120 s, and no other vendor is tried.
#[test]
fn early_media_without_an_answer_ends_after_two_minutes() {
    let progress = vec![(Duration::from_secs(1), 183, true)];
    let mut stage = stage(VendorPlan { progress, ..VendorPlan::rings() }, VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let call = &stage.finals[0].call;
    assert_eq!((call.end_reason.as_str(), call.code_returned), ("ring_timeout", 480));
    let lasted = call.end_ms.expect("ended") - call.invite_ms;
    assert!((121_000..121_100).contains(&lasted), "{lasted} ms");
    assert!(stage.agent(VENDOR_B).order.is_empty());
}

/// MEDIA-12, ROUTE-52: each vendor has its own ports, and the caller hears the vendor that is being
/// tried: late early media of the previous one does not reach it.
#[test]
fn the_next_vendor_is_joined_in_place_of_the_one_before() {
    let first = VendorPlan {
        progress: vec![(Duration::from_millis(100), 183, true)],
        last: Some((Duration::from_millis(500), 503)),
        ..VendorPlan::answers()
    };
    let mut stage = stage(first, VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].attempts.len(), 2);
    assert_eq!(stage.media.joins, [(CALLER_LEG, 1), (CALLER_LEG, 2)]);
    let [first, next] =
        [VENDOR_A, VENDOR_B].map(|vendor| media_of(&stage.agent(vendor).last().last_invite));
    assert_ne!(first, next, "no port is used again at once");
}

/// MEDIA-11: the record reports a takeover.
#[test]
fn a_side_that_was_taken_over_shows_in_the_trail() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    stage.media.takeovers = 2;
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    let told: Vec<_> = stage.finals[0].trail.iter().filter(|line| &*line.hook == "media").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].answer.as_str(), &*told[0].plugin), ("vendor taken over 2 times", "core"));
}

/// SIG-05: hold passes in both directions, and each side sees only us.
#[test]
fn either_side_can_hold() {
    for from_caller in [true, false] {
        let at = Some(Duration::from_secs(2));
        let vendor_hold = if from_caller { None } else { at };
        let plan = VendorPlan { hold: vendor_hold, ..VendorPlan::answers() };
        let mut stage = stage(plan, VendorPlan::answers());
        let hold = if from_caller { at } else { None };
        call(&mut stage, CallerPlan { hold, ..hangs_up_after(10) });
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let held = if from_caller { VENDOR_A } else { CALLER };
        let log = stage.agent(held).last();
        assert!(log.requests.iter().filter(|m| *m == "INVITE").count() >= 1);
        let bye_last = log.requests.last().is_some_and(|m| m == "BYE") || held == CALLER;
        assert!(bye_last, "{:?}", log.requests);
        let offered = stage
            .wire
            .iter()
            .filter(|(_, to, bytes)| {
                to.to_string() == held && String::from_utf8_lossy(bytes).contains("a=sendonly")
            })
            .count();
        assert_eq!(offered, 1, "the re-INVITE went through once");
        let holder = if from_caller { CALLER } else { VENDOR_A };
        let answer = stage.agent(holder).last().last_response.clone();
        assert!(answer.contains("a=recvonly") && answer.contains("c=IN IP4 10.0.0.1"), "{answer}");
        assert_eq!(stage.finals.len(), 1);
    }
}

/// SIG-05: an INVITE without SDP gets its offer from the vendor and answers in the ACK.
#[test]
fn a_delayed_offer_is_answered_in_the_ack() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, CallerPlan { delayed_offer: true, ..hangs_up_after(3) });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let ack = stage.agent(VENDOR_A).last().ack_body.clone().expect("an ACK");
    assert!(
        ack.contains("m=audio") && ack.contains("10.0.0.1") && !ack.contains("10.1.0.1"),
        "{ack}"
    );
}

/// MEDIA-09: without ports there is no call, and no state is left behind.
#[test]
fn no_free_port_ends_the_call() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    stage.media.exhausted = true;
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 503]);
    assert_eq!(stage.finals[0].call.end_reason, "media_resources");
    assert!(
        stage.finals[0].attempts.iter().all(|a| a.skipped && a.end_reason == "media_resources")
    );
}

/// MEDIA-14, ROUTE-50 row 9: early media passes, with the SDP of the relay.
#[test]
fn early_media_passes() {
    let progress = vec![(Duration::from_millis(100), 183, true)];
    let plan = VendorPlan { progress, ..VendorPlan::answers() };
    let mut stage = stage(plan, VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run(Duration::from_millis(500));
    let caller = stage.agent(CALLER).last();
    assert_eq!(caller.responses, [100, 183]);
    assert!(caller.last_response.contains("c=IN IP4 10.0.0.1"), "{}", caller.last_response);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let call = &stage.finals[0].call;
    assert!(call.media_ms.expect("media") < call.answer_ms.expect("answer"));
    assert_eq!(call.media.codec, "PCMA");
}

/// MEDIA-10, ROUTE-52, ROUTE-55: each vendor is offered the media address of its own trunk; the
/// caller keeps the port that it got with the first vendor's early media. The packets of the first
/// vendor are in its own attempt record.
#[test]
fn the_next_vendor_is_offered_its_own_media_address() {
    let first = VendorPlan {
        progress: vec![(Duration::from_millis(100), 183, true)],
        last: Some((Duration::from_millis(500), 503)),
        ..VendorPlan::answers()
    };
    let outside = VendorTrunk { media_address: 1, ..vendor(12, "vendor-b", &[VENDOR_B], 2) };
    let vendors = vec![vendor(11, "vendor-a", &[VENDOR_A], 1), outside];
    let facts = operator(customer(1, "acme", CALLER), vendors);
    let mut stage = stage_of(facts, first, VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run(Duration::from_millis(400));
    let early = media_of(&stage.agent(CALLER).last().last_response);
    stage.media.vendors_sent = 20;
    stage.run(Duration::from_millis(600));
    stage.media.vendors_sent = 50;
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let received: Vec<_> = stage.finals[0].attempts.iter().map(|a| a.media.rtp_in).collect();
    assert_eq!(received, [20, 50]);

    let offered = media_of(&stage.agent(VENDOR_A).last().last_invite);
    assert_eq!(offered.0, "c=IN IP4 10.0.0.1");
    let offered = media_of(&stage.agent(VENDOR_B).last().last_invite);
    assert_eq!(offered.0, "c=IN IP4 10.0.1.1");
    let answered = media_of(&stage.agent(CALLER).last().last_response);
    assert_eq!((answered.0.as_str(), &answered), ("c=IN IP4 10.0.0.1", &early));
    let told: Vec<_> = stage.media.updates.iter().map(|(leg, _)| *leg).collect();
    assert_eq!(told, [CALLER_LEG, 1, CALLER_LEG, 2], "the relay knows both vendors");
}

/// MEDIA-08: a vendor whose media address has no free ports is skipped.
#[test]
fn a_vendor_without_media_ports_is_passed_over() {
    let outside = VendorTrunk { media_address: 1, ..vendor(12, "vendor-b", &[VENDOR_B], 2) };
    let vendors = vec![vendor(11, "vendor-a", &[VENDOR_A], 1), outside];
    let facts = operator(customer(1, "acme", CALLER), vendors);
    let mut stage = stage_of(facts, VendorPlan::silent(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run(Duration::from_secs(1));
    stage.media.exhausted = true;
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert!(stage.agent(VENDOR_B).order.is_empty());
    assert_eq!(stage.finals[0].attempts[1].end_reason, "media_resources");
}

/// The `c=` and `m=` lines of a message.
fn media_of(message: &str) -> (String, String) {
    let line = |start: &str| {
        let found = message.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start} in {message}")).to_owned()
    };
    (line("c="), line("m="))
}
