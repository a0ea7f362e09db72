//! Figures of calls and attempts: post-dial delay, and which outcomes of an attempt count as
//! delivered.

use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, operator, small_operator, vendor,
};
use crate::support::{SWITCH, call, hangs_up_after, header, sent, stage_of};
use std::time::Duration;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// CDR-54: from the INVITE, received or sent, to the first 180 or SDP, else to the 200, else none;
/// the delay of a call includes its failed attempts. A message takes 1 ms.
#[test]
fn post_dial_delay_ends_with_ringing_or_sdp() {
    let answers = VendorPlan { progress: Vec::new(), ..VendorPlan::answers() };
    let progress = |progress| VendorPlan { progress, ..answers.clone() };
    for (plan, attempt, of_call) in [
        (progress(vec![(ms(100), 183, false), (ms(200), 180, false)]), Some(202), Some(202)),
        (progress(vec![(ms(300), 183, true), (ms(400), 180, false)]), Some(302), Some(302)),
        (answers.clone(), Some(1002), Some(1002)),
        (VendorPlan::refuses(486), None, None),
    ] {
        let mut stage = stage_of(small_operator(), plan, VendorPlan::answers());
        call(&mut stage, hangs_up_after(1));
        stage.run_until_quiet();
        let document = &stage.finals[0];
        assert_eq!((document.attempts[0].pdd_ms, document.call.pdd_ms), (attempt, of_call));
    }

    let fails = VendorPlan {
        progress: vec![(ms(100), 183, false)],
        last: Some((ms(300), 503)),
        ..VendorPlan::answers()
    };
    let mut stage = stage_of(small_operator(), fails, VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    let document = &stage.finals[0];
    let delays: Vec<_> = document.attempts.iter().map(|attempt| attempt.pdd_ms).collect();
    assert_eq!(delays, [None, Some(102)]);
    assert_eq!(document.call.pdd_ms, Some(302 + 102), "the failed attempt is in it");
}

/// Facts that `pdd_ms` hides: how often an INVITE was sent, and how long its peer was silent.
#[test]
fn a_record_tells_how_often_an_invite_was_sent_and_when_its_peer_was_first_heard() {
    let slow = VendorPlan { progress: vec![(ms(1_600), 183, true)], ..VendorPlan::answers() };
    let slow = VendorPlan { last: Some((ms(3_000), 200)), ..slow };
    let mut stage = stage_of(small_operator(), VendorPlan::silent(), slow);
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    let document = &stage.finals[0];
    let [silent, slow] = &document.attempts[..] else { panic!("two attempts") };
    assert_eq!((silent.sends, silent.first_response_ms), (5, None), "0, 0.5, 1.5, 3.5 and 7.5 s");
    assert_eq!((slow.sends, slow.first_response_ms), (1, Some(2)), "its 100 came at once");
    assert_eq!(slow.media_ms, Some(slow.sent_ms + 1_602));
    assert_eq!(slow.pdd_ms, Some(1_602));
}

/// CDR-05: Call-ID and both tags of each leg, and its two addresses.
#[test]
fn a_record_names_the_dialogs_of_its_legs() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    let document = &stage.finals[0];
    let (record, attempt) = (&document.call, &document.attempts[0]);
    let own = |text: &str, name: &str| {
        let value = header(text, name).expect("a dialog names its ends").to_owned();
        value.split_once(";tag=").map(|(_, tag)| tag.to_owned()).expect("a tag")
    };
    let to_caller = &sent(&stage, CALLER, "SIP/2.0 200 ")[0];
    let bye = &sent(&stage, VENDOR_A, "BYE ")[0];
    assert_eq!(
        (&*record.caller_tag, &*record.our_tag),
        (&*own(to_caller, "From"), &*own(to_caller, "To"))
    );
    assert_eq!((&*attempt.our_tag, &*attempt.vendor_tag), (&*own(bye, "From"), &*own(bye, "To")));
    assert_eq!(
        (&*record.sip_call_id, &*attempt.sip_call_id),
        (header(to_caller, "Call-ID").unwrap_or(""), header(bye, "Call-ID").unwrap_or(""))
    );
    assert_eq!((&*record.transport, &*attempt.transport), ("udp", "udp"));
    assert_eq!((&*record.local, &*attempt.local), (SWITCH, SWITCH));
    assert!(!record.media.local.is_empty() && record.media.local != attempt.media.local);
}

/// CDR-53: answered, busy, declined, rang without answer, cancelled while ringing.
#[test]
fn an_attempt_that_reached_its_user_counts_as_delivered() {
    let refuses = VendorPlan::refuses;
    let rang = |code| VendorPlan { last: Some((ms(500), code)), ..VendorPlan::answers() };
    let cancels = || CallerPlan { cancel: Some(ms(2000)), ..CallerPlan::default() };
    let waits = CallerPlan::default;
    for (plan, caller, delivered) in [
        (VendorPlan::answers(), hangs_up_after(1), true),
        (refuses(486), waits(), true),
        (refuses(600), waits(), true),
        (refuses(603), waits(), true),
        (rang(480), waits(), true),
        (VendorPlan::rings(), waits(), true),
        (VendorPlan::rings(), cancels(), true),
        (refuses(480), waits(), false),
        (rang(503), waits(), false),
        (refuses(404), waits(), false),
        (VendorPlan { progress: Vec::new(), ..VendorPlan::rings() }, cancels(), false),
        (VendorPlan::silent(), waits(), false),
    ] {
        let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
        first.timers.ringing = Duration::from_secs(5);
        let facts = operator(customer(1, "acme", CALLER), vec![first]);
        let what = format!("{plan:?}, {caller:?}");
        let mut stage = stage_of(facts, plan, VendorPlan::answers());
        call(&mut stage, caller);
        stage.run_until_quiet();
        let ended = stage.finals[0].call.end_ms.expect("ended");
        let figures = stage.live.quality.figures(11, ended + 60_000);
        assert_eq!(figures.attempts, 1, "{what}");
        // Shrunk towards one half by 20 attempts (ROUTE-34).
        let share = if delivered { (1_000 + 10_000) / 21 } else { 10_000 / 21 };
        assert_eq!(figures.ner_permille, share, "{what}");
        assert!(stage.agent(VENDOR_B).order.is_empty());
    }
}
