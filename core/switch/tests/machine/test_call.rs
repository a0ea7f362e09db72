//! Test calls, which the switch places by itself over one vendor trunk (ROUTE-83).

use crate::support::FUNDS;
use crate::support::facts::vendor;
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, change_account, customer, operator, small_operator,
};
use crate::support::raw::{Raw, body, sdp};
use ledger::{EndedBy, Money, PostingKind};
use live::Holder;
use policy::{Answer, EventKind, Question, Rejection, Stage as Numbering};
use sip::{Message, Method};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strowger_switch::facts::{AttemptTimers, Facts, RingbackMode, VendorTrunk};
use strowger_switch::{AudioFormat, NotPlaced, SILENCE, TEST_TONE, TestCall};

const PCMA: AudioFormat = AudioFormat::Pcma;
const PCMU: AudioFormat = AudioFormat::Pcmu;
const EVENTS: AudioFormat = AudioFormat::Events;

/// Ten seconds of tone over vendor-a.
fn tone() -> TestCall {
    TestCall {
        trunk: 11,
        caller: "4930123".into(),
        callee: "4420123".into(),
        tone: true,
        length: Duration::from_secs(10),
    }
}

/// An operator with one vendor, changed by `change`.
fn with_vendor(change: impl FnOnce(&mut VendorTrunk)) -> Facts {
    let mut a = vendor(11, "vendor-a", &[VENDOR_A], 1);
    change(&mut a);
    operator(customer(1, "acme", CALLER), vec![a, vendor(12, "vendor-b", &[VENDOR_B], 2)])
}

/// A test call whose INVITE has reached the vendor.
fn placed(facts: Facts, test: TestCall) -> (Raw, u128, Message) {
    let mut raw = Raw::new(facts);
    let id = raw.stage.place(test).expect("nothing is in its way");
    let invite = raw.vendor("INVITE ");
    (raw, id, invite)
}

/// A test call that the vendor has answered.
fn answered(test: TestCall) -> (Raw, u128, Message) {
    let (mut raw, id, invite) = placed(small_operator(), test);
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    raw.vendor("ACK ");
    (raw, id, invite)
}

/// The switch hangs up, the vendor agrees, and no state is left.
fn is_hung_up(raw: &mut Raw) {
    let bye = raw.vendor("BYE ");
    assert_eq!(bye.header("Reason"), Some("Q.850;cause=16"));
    raw.answers(&bye, "200 OK", &[], "");
    raw.ends();
}

/// The end reason, the code, and the end reason of the last attempt.
fn outcome(raw: &Raw) -> (&str, u16, &str) {
    let document = &raw.stage.finals[0];
    let last = document.attempts.last().map_or("", |attempt| attempt.end_reason.as_str());
    (&document.call.end_reason, document.call.code_returned, last)
}

fn media_line(description: &str) -> &str {
    description.lines().find(|line| line.starts_with("m=")).expect("a stream")
}

/// ROUTE-83: the vendor is offered our codecs, hears the tone from its answer on, and gets a BYE
/// with cause 16. The record is marked; the vendor is owed for the call, and nobody pays.
#[test]
fn a_tone_is_heard_for_as_long_as_was_asked_for() {
    let (mut raw, id, invite) = placed(small_operator(), tone());
    assert_eq!(media_line(&body(&invite)), "m=audio 10002 RTP/AVP 8 0 101");
    assert!(body(&invite).contains("a=sendrecv\r\n"), "{}", body(&invite));
    assert!(invite.header("From").is_some_and(|from| from.contains("sip:4930123@")));
    assert_eq!(raw.stage.media.open_legs(), 1, "nobody is at the calling side");
    raw.answers(&invite, "100 Trying", &[], "");
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.run(1_000);
    assert_eq!(raw.stage.switch.call(id).expect("it is up").state, "ringing");
    assert!(raw.stage.media.plays.is_empty());
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    raw.vendor("ACK ");
    assert_eq!(raw.stage.media.plays, [(1, TEST_TONE.to_owned())]);
    assert!(raw.stage.media.joins.is_empty() && raw.stage.media.watched.is_empty());
    let (leg, told) = raw.stage.media.updates.last().expect("told");
    let formats = told.formats.as_ref().expect("we speak by ourselves");
    assert_eq!((*leg, told.rtp.to_string().as_str()), (1, "10.2.0.1:42000"));
    assert_eq!(formats.wants, [(8, PCMA), (101, EVENTS)]);
    assert_eq!(formats.sends, [(8, PCMA), (0, PCMU), (101, EVENTS)]);
    let view = raw.stage.switch.call(id).expect("it is up");
    assert_eq!((&*view.trunk, &*view.vendor, view.state), ("test", "vendor-a", "answered"));
    raw.stage.media.vendors_sent = 470;
    raw.run(9_900);
    assert!(!raw.has(VENDOR_A, "BYE "));
    raw.run(200);
    is_hung_up(&mut raw);

    assert_eq!(outcome(&raw), ("service_end", 200, "service_end"));
    let document = &raw.stage.finals[0];
    let call = &document.call;
    assert_eq!(
        (call.id, call.ended_by, &call.flags[..]),
        (id, EndedBy::Switch, &["test".into()][..])
    );
    assert_eq!((&*call.trunk_name, &*call.account_name, call.account), ("test", "test", 0));
    assert_eq!((call.caller_in.as_str(), call.callee_route.as_str()), ("4930123", "4420123"));
    assert!(call.source.is_empty() && call.our_tag.is_empty() && call.sip_call_id.is_empty());
    assert!((10_000..10_010).contains(&call.duration_ms), "{}", call.duration_ms);
    assert_eq!((call.billable_ms, call.sell.as_ref(), call.rerate), (0, None, false));
    let attempt = &document.attempts[0];
    assert_eq!((attempt.code, &*attempt.media.codec, attempt.media.rtp_in), (200, "PCMA", 470));
    assert!(attempt.pdd_ms.is_some_and(|ms| ms < 20) && attempt.first_response_ms.is_some());
    // Eleven seconds started, at 30 cents a minute, billed by the second.
    let cost = attempt.buy.as_ref().expect("a price").amount;
    assert!(cost > Money::ZERO && call.cost == cost && call.profit == -cost, "{cost}");
    let [posting] = &document.postings[..] else { panic!("{:?}", document.postings) };
    assert_eq!((posting.account, posting.kind), (2, PostingKind::VendorCost));
    assert_eq!(raw.stage.balance(1), Money(FUNDS * Money::ONE.0));
    assert_eq!(raw.stage.interims.len(), 1);
    assert_eq!(raw.stage.interims[0].call.billable_ms, 0);
    let ended = call.end_ms.expect("an end");
    let figures = raw.stage.live.quality.figures(11, ended + 60_000);
    assert_eq!((figures.attempts, figures.answered), (1, 1), "it counts for its vendor");
}

/// ROUTE-83: no question before the attempt is asked, nor a supervision question; the vendor's own
/// questions are. The events hook receives the attempt and everything after it.
#[test]
fn only_the_questions_of_its_attempt_are_asked() {
    let mut raw = Raw::new(small_operator());
    let told: Arc<Mutex<Vec<EventKind>>> = Arc::default();
    let heard = Arc::clone(&told);
    raw.stage.policy.instead = Some(Box::new(move |question| {
        match question {
            Question::Number(asked) => {
                assert_eq!((asked.stage, asked.trunk), (Numbering::Egress, 11))
            }
            Question::Event(event) => heard.lock().expect("whole").push(event.kind),
            _ => {}
        }
        None
    }));
    raw.stage.place(tone()).expect("nothing is in its way");
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    raw.run(10_050);
    is_hung_up(&mut raw);
    let mut asked = raw.stage.policy.asked.clone();
    asked.retain(|hook| *hook != "events");
    assert_eq!(asked, ["numbering", "identity", "rating"]);
    let all = [EventKind::Attempt, EventKind::Ringing, EventKind::Answered, EventKind::Ended];
    assert_eq!(*told.lock().expect("whole"), all);
}

/// ROUTE-83: without a tone the vendor hears silence, in the codec and the payload number that it
/// chose.
#[test]
fn without_a_tone_silence_is_sent() {
    let (mut raw, _, invite) =
        placed(small_operator(), TestCall { tone: false, caller: "".into(), ..tone() });
    let mu_law = sdp("10.2.0.1", 42_000).replace("8 101", "0 97").replace("8 PCMA", "0 PCMU");
    raw.answers(&invite, "200 OK", &[], &mu_law.replace(":101", ":97"));
    raw.vendor("ACK ");
    assert_eq!(raw.stage.media.plays, [(1, SILENCE.to_owned())]);
    let (_, told) = raw.stage.media.updates.last().expect("told");
    assert_eq!(told.formats.as_ref().expect("ours").wants, [(0, PCMU), (97, EVENTS)]);
    raw.run(10_000);
    is_hung_up(&mut raw);
    let document = &raw.stage.finals[0];
    assert_eq!(&*document.attempts[0].media.codec, "PCMU");
    assert!(document.call.caller_in.is_empty());
}

/// ROUTE-83: one vendor is tested, so no other one is tried, and no policy decides about it.
#[test]
fn a_refusal_is_the_end_of_it() {
    let (mut raw, _, invite) = placed(small_operator(), tone());
    raw.answers(&invite, "486 Busy Here", &[("Reason", "Q.850;cause=17")], "");
    raw.ends();
    assert_eq!(outcome(&raw), ("callee_busy", 486, "callee_busy"));
    let document = &raw.stage.finals[0];
    assert_eq!((document.attempts.len(), document.call.code_received), (1, 486));
    assert_eq!((document.call.cause, document.call.answer_ms), (17, None));
    assert!(!raw.stage.policy.asked.contains(&"routing") && document.postings.is_empty());
    assert!(!raw.has(VENDOR_B, "INVITE "));
}

/// ROUTE-83, SIG-19: a vendor that rings too long, or is unreachable, ends it.
#[test]
fn nobody_answers() {
    let timers = AttemptTimers { ringing: Duration::from_secs(5), ..AttemptTimers::default() };
    let (mut raw, _, invite) = placed(with_vendor(|a| a.timers = timers), tone());
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.run(5_010);
    let cancel = raw.vendor("CANCEL ");
    raw.answers(&cancel, "200 OK", &[], "");
    raw.answers(&invite, "487 Request Terminated", &[], "");
    raw.ends();
    assert_eq!(outcome(&raw), ("ring_timeout", 480, "ring_timeout"));

    let mut raw = Raw::new(small_operator());
    raw.stage.place(tone()).expect("nothing is in its way");
    raw.ends();
    assert_eq!(outcome(&raw), ("no_response", 503, "no_response"));
    assert_eq!(raw.stage.finals[0].attempts[0].sends, 5);
}

/// SIG-65: the addresses of a trunk are one trunk.
#[test]
fn the_next_address_of_its_trunk_is_tried() {
    let targets = crate::support::facts::vendor(11, "vendor-a", &[VENDOR_A, VENDOR_B], 1).targets;
    let (mut raw, _, _) = placed(with_vendor(|a| a.targets = targets), tone());
    raw.run(10_010);
    let invite = raw.at(VENDOR_B, "INVITE ");
    raw.answers_from(VENDOR_B, &invite, "200 OK", &[], &sdp("10.2.0.2", 42_000));
    raw.at(VENDOR_B, "ACK ");
    raw.run(10_000);
    let bye = raw.at(VENDOR_B, "BYE ");
    raw.answers_from(VENDOR_B, &bye, "200 OK", &[], "");
    raw.ends();
    assert_eq!(outcome(&raw), ("service_end", 200, "service_end"));
    assert_eq!(raw.stage.finals[0].attempts.len(), 2);
}

#[test]
fn the_vendor_may_hang_up_first() {
    let (mut raw, _, invite) = answered(tone());
    raw.run(3_000);
    raw.vendor_asks(&invite, &Method::Bye, &[("Reason", "Q.850;cause=31")], "");
    raw.vendor("SIP/2.0 200 ");
    raw.ends();
    assert_eq!(outcome(&raw), ("callee_hangup", 200, "callee_hangup"));
    let call = &raw.stage.finals[0].call;
    assert_eq!((call.ended_by, call.cause), (EndedBy::Callee, 31));
    assert!((3_000..3_020).contains(&call.duration_ms), "{}", call.duration_ms);
}

/// RFC 3264, RFC 3311: we answer the vendor's requests inside the dialog.
#[test]
fn requests_of_the_vendor_are_answered() {
    let (mut raw, id, invite) = answered(tone());
    // It puts us on hold, and resumes with another codec at another port.
    let hold = sdp("10.2.0.1", 42_000).replace("sendrecv", "sendonly");
    raw.vendor_asks(&invite, &Method::Invite, &[], &hold);
    let ok = raw.vendor("SIP/2.0 200 ");
    assert!(body(&ok).contains("a=recvonly\r\n"), "{}", body(&ok));
    assert_eq!(media_line(&body(&ok)), "m=audio 10002 RTP/AVP 8 101");
    raw.vendor_acks(&invite, "");
    assert_eq!(raw.stage.switch.call(id).expect("it is up").state, "held");
    assert!(!raw.stage.media.updates.last().expect("told").1.receives);
    let mu_law = sdp("10.2.0.1", 43_000).replace("8 101", "0 101").replace("8 PCMA", "0 PCMU");
    raw.vendor_asks(&invite, &Method::Update, &[], &mu_law);
    let ok = raw.vendor("SIP/2.0 200 ");
    assert_eq!(media_line(&body(&ok)), "m=audio 10002 RTP/AVP 0 101");
    let (_, told) = raw.stage.media.updates.last().expect("told");
    assert_eq!((told.rtp.port(), told.receives), (43_000, true));
    assert_eq!(raw.stage.switch.call(id).expect("it is up").state, "answered");
    // No codec that we support: nothing changes.
    let foreign = sdp("10.2.0.1", 44_000).replace("8 101", "18 101").replace("8 PCMA", "18 G729");
    raw.vendor_asks(&invite, &Method::Update, &[], &foreign);
    let refused = raw.vendor("SIP/2.0 488 ");
    assert!(refused.header("Warning").is_some_and(|warning| warning.starts_with("305 ")));
    assert_eq!(raw.stage.media.updates.last().expect("told").1.rtp.port(), 43_000);
    // Our offer, answered in the ACK.
    raw.vendor_asks(&invite, &Method::Invite, &[], "");
    let ok = raw.vendor("SIP/2.0 200 ");
    assert_eq!(media_line(&body(&ok)), "m=audio 10002 RTP/AVP 8 0 101");
    raw.vendor_acks(&invite, &sdp("10.2.0.1", 45_000));
    let (_, told) = raw.stage.media.updates.last().expect("told");
    assert_eq!(
        (told.rtp.port(), told.formats.as_ref().expect("ours").wants[0]),
        (45_000, (8, PCMA))
    );
    raw.vendor_asks(&invite, &Method::Info, &[], "");
    raw.vendor("SIP/2.0 200 ");
    raw.vendor_asks(&invite, &Method::Options, &[], "");
    raw.vendor("SIP/2.0 200 ");
    assert_eq!(raw.stage.media.plays.len(), 1, "the tone goes on");
    raw.run(10_000);
    is_hung_up(&mut raw);
    assert_eq!(outcome(&raw).0, "service_end");
}

/// SIG-06, RFC 3311: reliable early media, an UPDATE before the answer, an answer without a
/// description; the tone begins with the answer.
#[test]
fn early_media_and_an_early_update_are_taken() {
    let (mut raw, _, invite) = placed(small_operator(), tone());
    let reliable =
        [("Require", "100rel"), ("RSeq", "7"), ("Allow", "INVITE, ACK, BYE, PRACK, UPDATE")];
    raw.answers(&invite, "183 Session Progress", &reliable, &sdp("10.2.0.1", 42_000));
    let prack = raw.vendor("PRACK ");
    assert!(prack.body().is_empty());
    raw.answers(&prack, "200 OK", &[], "");
    assert_eq!(raw.stage.media.updates.len(), 1);
    raw.vendor_asks(&invite, &Method::Update, &[], &sdp("10.2.0.1", 43_000));
    let ok = raw.vendor("SIP/2.0 200 ");
    assert_eq!(media_line(&body(&ok)), "m=audio 10002 RTP/AVP 8 101");
    assert!(raw.stage.media.plays.is_empty());
    raw.answers(&invite, "200 OK", &[], "");
    raw.vendor("ACK ");
    assert_eq!(raw.stage.media.plays.len(), 1);
    assert_eq!(raw.stage.media.updates.last().expect("told").1.rtp.port(), 43_000);
    raw.run(10_000);
    is_hung_up(&mut raw);
    assert!(raw.stage.finals[0].attempts[0].media_ms < raw.stage.finals[0].call.answer_ms);
}

/// An answer without a codec that we support is ended at once; its cost is owed (BILL-28).
#[test]
fn an_answer_without_a_codec_of_ours_ends_it() {
    let (mut raw, _, invite) = placed(small_operator(), tone());
    let foreign = sdp("10.2.0.1", 42_000).replace("8 101", "18 101").replace("8 PCMA", "18 G729");
    raw.answers(&invite, "200 OK", &[], &foreign);
    raw.vendor("ACK ");
    let bye = raw.vendor("BYE ");
    raw.answers(&bye, "200 OK", &[], "");
    raw.ends();
    assert_eq!(outcome(&raw), ("codec_mismatch", 488, "codec_mismatch"));
    assert!(raw.stage.finals[0].attempts[0].buy.is_some());
}

/// SIG-08: an operator ends it while it rings; the cost of an answer that crosses the CANCEL is
/// owed.
#[test]
fn an_operator_may_end_it() {
    let (mut raw, id, invite) = placed(small_operator(), tone());
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.run(100);
    assert!(raw.stage.hang_up(id));
    let cancel = raw.vendor("CANCEL ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    raw.answers(&cancel, "200 OK", &[], "");
    raw.vendor("ACK ");
    let bye = raw.vendor("BYE ");
    raw.answers(&bye, "200 OK", &[], "");
    raw.ends();
    assert_eq!(outcome(&raw), ("operator_hangup", 503, "operator_hangup"));
    let attempt = &raw.stage.finals[0].attempts[0];
    assert!(attempt.buy.is_some() && attempt.flags == ["late_answer"]);
    assert!(!raw.stage.hang_up(id));

    let (mut raw, id, _) = answered(tone());
    raw.run(2_000);
    assert!(raw.stage.hang_up(id));
    is_hung_up(&mut raw);
    assert_eq!(outcome(&raw), ("operator_hangup", 200, "operator_hangup"));
}

/// CDR-01: a stopping node, and one that has lost the call, write its record.
#[test]
fn a_stop_writes_its_record() {
    let (mut raw, ..) = answered(tone());
    raw.stage.close_all();
    raw.ends();
    assert_eq!(outcome(&raw).0, "operator_hangup");
    let (mut raw, ..) = placed(small_operator(), tone());
    raw.stage.close_all_unrated();
    raw.ends();
    assert_eq!(outcome(&raw).0, "operator_hangup");
    let (mut raw, ..) = answered(tone());
    let key = raw.stage.switch.call_keys()[0];
    raw.stage.fail_call(key);
    raw.ends();
    assert_eq!(outcome(&raw).0, "node_lost");
}

/// ROUTE-83, OPS-65, SIG-91, CDR-14: obstacles are reported at once; no record, no channel.
#[test]
fn what_is_in_its_way_is_told() {
    let refused = |facts: Facts, test: TestCall| {
        let mut raw = Raw::new(facts);
        let refused = raw.stage.place(test).expect_err("something is in its way");
        raw.ends();
        assert!(raw.stage.finals.is_empty() && raw.stage.wire.is_empty());
        refused
    };
    let of = |test: TestCall| refused(small_operator(), test);
    assert_eq!(of(TestCall { trunk: 99, ..tone() }), NotPlaced::NoTrunk);
    assert_eq!(of(TestCall { callee: "44 20".into(), ..tone() }), NotPlaced::Callee);
    assert_eq!(of(TestCall { caller: "<sip>".into(), ..tone() }), NotPlaced::Caller);
    assert_eq!(refused(with_vendor(|a| a.locked = true), tone()), NotPlaced::TrunkLocked);
    let mut facts = small_operator();
    change_account(&mut facts, 2, |carrier| carrier.locked = true);
    assert_eq!(refused(facts, tone()), NotPlaced::AccountLocked);

    let mut facts = small_operator();
    facts.settings.channels = 1;
    let (mut raw, id, invite) = placed(facts, tone());
    assert_eq!(raw.stage.place(tone()), Err(NotPlaced::Full), "it takes a channel of the node");
    raw.stage.hang_up(id);
    raw.answers(&invite, "487 Request Terminated", &[], "");
    raw.ends();

    let mut raw = Raw::new(small_operator());
    raw.stage.switch.set_overloaded(true);
    assert!(matches!(raw.stage.place(tone()), Err(NotPlaced::Closed(_))));
    raw.stage.switch.set_overloaded(false);
    raw.stage.switch.set_room_for_records(false);
    assert!(matches!(raw.stage.place(tone()), Err(NotPlaced::Closed(_))));
    raw.stage.switch.set_room_for_records(true);
    raw.stage.switch.drain();
    assert_eq!(raw.stage.place(tone()), Err(NotPlaced::Closed("the node is draining")));
    raw.ends();
}

/// An attempt that cannot be made ends it, with its reason: no vendor channel, no number, no port,
/// an address at rest (SIG-91).
#[test]
fn an_attempt_that_cannot_be_made_is_told() {
    let facts = with_vendor(|a| a.channels = 1);
    let mut raw = Raw::new(facts);
    assert!(raw.stage.live.channels.take(Holder::Vendor(11), 1));
    raw.stage.place(tone()).expect("it is tried");
    raw.stage.run_until_quiet();
    assert_eq!(outcome(&raw), ("concurrency_limit", 503, "concurrency_limit"));
    assert!(raw.stage.finals[0].attempts[0].skipped);
    raw.stage.live.channels.release(Holder::Vendor(11));
    raw.ends();

    let mut raw = Raw::new(small_operator());
    raw.stage.policy.instead = Some(Box::new(|question| {
        let rejection = Rejection { code: 484, reason: "number_invalid".into(), detail: "".into() };
        matches!(question, Question::Number(_)).then_some(Ok(Answer::Number(Err(rejection))))
    }));
    raw.stage.place(tone()).expect("it is tried");
    raw.ends();
    assert_eq!(outcome(&raw), ("number_invalid", 503, "number_invalid"));

    let mut raw = Raw::new(small_operator());
    raw.stage.media.exhausted = true;
    raw.stage.place(tone()).expect("it is tried");
    raw.ends();
    assert_eq!(outcome(&raw), ("media_resources", 503, "media_resources"));

    let (mut raw, _, invite) = placed(small_operator(), tone());
    raw.answers(&invite, "503 Service Unavailable", &[("Retry-After", "30")], "");
    raw.run(100);
    raw.stage.place(tone()).expect("it is tried");
    raw.ends();
    assert_eq!(outcome(&raw), ("device_congested", 503, "device_congested"));
    assert_eq!(raw.stage.finals[1].call.end_reason, "no_route_available");
    assert!(raw.stage.finals[1].attempts.is_empty());
}

/// MEDIA-03, MEDIA-13: our audio goes through the relay whatever the trunk says, and there is no
/// caller for a ringback tone.
#[test]
fn settings_for_callers_do_not_matter() {
    let change = |a: &mut VendorTrunk| {
        a.relay = false;
        a.ringback.mode = RingbackMode::Always;
    };
    let (mut raw, _, invite) = placed(with_vendor(change), tone());
    assert_eq!(media_line(&body(&invite)), "m=audio 10002 RTP/AVP 8 0 101");
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.run(100);
    assert!(raw.stage.media.plays.is_empty());
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    raw.run(10_020);
    assert_eq!(raw.stage.media.plays, [(1, TEST_TONE.to_owned())]);
    is_hung_up(&mut raw);
}
