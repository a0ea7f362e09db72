//! Session timers on each leg separately (SIG-26 to SIG-33): our refreshes, the peer's, and the end
//! of a call whose side has disappeared.

use crate::support::facts::{CALLER, VENDOR_A, small_operator};
use crate::support::raw::{Raw, body, sdp};
use sip::{Message, Method};
use strowger_switch::MediaEvent;

const TIMER: (&str, &str) = ("Supported", "timer");
const UPDATES: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE");
const NO_UPDATES: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL");

/// The vendor's INVITE and the caller's 200 of a call whose caller does not support timers and
/// ignores OPTIONS, so that we only refresh the vendor's leg.
fn connects(vendor: &[(&str, &str)]) -> (Raw, Message, Message) {
    let mut raw = Raw::new(small_operator());
    let (invite, ok) = raw.connects_with(&[], vendor);
    raw.vendor("ACK ");
    (raw, invite, ok)
}

/// SIG-26, SIG-28: at half of the interval the switch refreshes the vendor's leg: by UPDATE without
/// a description if the vendor supports it, else by a re-INVITE with our last description,
/// identical to the byte. It falls back to the re-INVITE if a vendor that announced UPDATE refuses
/// it.
#[test]
fn we_refresh_by_update_or_by_re_invite_with_what_we_said_last() {
    let expires = ("Session-Expires", "600;refresher=uac");
    for (allow, refusal) in [(UPDATES, None), (NO_UPDATES, None), (UPDATES, Some("501 No"))] {
        let (mut raw, invite, ok) = connects(&[allow, expires]);
        assert_eq!(invite.header("Session-Expires"), Some("600;refresher=uac"));
        assert_eq!(invite.header("Min-SE"), Some("90"));
        for _ in 0..3 {
            raw.run(299_900);
            assert!(!raw.has(VENDOR_A, "UPDATE ") && !raw.has(VENDOR_A, "INVITE "));
            raw.run(100);
            if allow == UPDATES && refusal.is_none() {
                let update = raw.vendor("UPDATE ");
                assert!(update.body().is_empty());
                assert_eq!(update.header("Session-Expires"), Some("600;refresher=uac"));
                raw.answers(&update, "200 OK", &[allow, expires], "");
            } else {
                if let (Some(refusal), Some(update)) = (refusal, raw.find(VENDOR_A, "UPDATE ")) {
                    raw.answers(&update, refusal, &[], "");
                }
                let again = raw.vendor("INVITE ");
                assert_eq!(body(&again), body(&invite), "the version of o= has not changed");
                assert!(again.to_tag().is_some());
                let answer = sdp("10.2.0.1", 42_000);
                raw.answers(&again, "200 OK", &[NO_UPDATES, expires], &answer);
                assert_eq!(raw.vendor("ACK ").cseq().0, again.cseq().0);
            }
            raw.run(50);
            let passed = raw.has(CALLER, "INVITE ") || raw.has(CALLER, "UPDATE ");
            assert!(!passed, "the caller's leg has no part in it");
        }
        raw.hangs_up(&ok);
    }
}

/// SIG-28: a refresh by the peer changes nothing for the other side, whether or not that side
/// supports UPDATE. A re-INVITE with the same description is answered with our last one.
#[test]
fn a_refresh_of_the_peer_is_answered_here() {
    let (mut raw, _, ok) = connects(&[NO_UPDATES]);
    for _ in 0..3 {
        raw.run(1000);
        raw.asks(
            &ok,
            &Method::Invite,
            &[TIMER, ("Session-Expires", "86400;refresher=uac")],
            &sdp("10.1.0.1", 40_000),
        );
        let refreshed = raw.caller("SIP/2.0 200 ");
        assert_eq!(body(&refreshed), body(&ok));
        assert_eq!(refreshed.header("Session-Expires"), Some("600;refresher=uac"));
        assert_eq!(refreshed.header("Require"), Some("timer"));
        raw.ack(&refreshed, "");
        assert!(!raw.has(VENDOR_A, ""), "the vendor's leg has no part in it");
    }
    raw.hangs_up(&ok);
}

/// SIG-29: a vendor that has disappeared: two refreshes without an answer end the call at both
/// sides, and so does one 481, at once.
#[test]
fn a_side_that_is_gone_ends_the_call() {
    for lost in [false, true] {
        let (mut raw, _, _) = connects(&[UPDATES, ("Session-Expires", "600;refresher=uac")]);
        raw.run(300_000);
        let update = raw.vendor("UPDATE ");
        let began = raw.stage.now;
        if lost {
            raw.answers(&update, "481 Call/Transaction Does Not Exist", &[], "");
        } else {
            raw.run(32_100);
            raw.vendor("UPDATE ");
            raw.run(32_100);
        }
        let bye = raw.caller("BYE ");
        assert_eq!(bye.header("Reason"), Some("Q.850;cause=41"));
        raw.vendor("BYE ");
        raw.caller_answers(&bye, "200 OK", "");
        let took = raw.stage.now.duration_since(began).as_secs();
        assert_eq!(took, if lost { 0 } else { 64 });
        raw.ends();
        let record = &raw.stage.finals[0].call;
        assert_eq!((record.end_reason.as_str(), record.sell.is_some()), ("session_timeout", true));
    }
}

/// SIG-26, SIG-30: a peer that stops refreshing: the call ends 32 s before the session would
/// expire.
#[test]
fn a_session_that_the_peer_does_not_refresh_ends() {
    let mut raw = Raw::new(small_operator());
    let own = [TIMER, ("Session-Expires", "600;refresher=uac")];
    let (_, ok) = raw.connects_with(&own, &[UPDATES, ("Session-Expires", "86400;refresher=uas")]);
    assert_eq!(ok.header("Session-Expires"), Some("600;refresher=uac"));
    raw.run(500_000);
    raw.asks(&ok, &Method::Update, &own, "");
    raw.caller("SIP/2.0 200 ");
    raw.run(567_800);
    assert!(!raw.has(CALLER, "BYE "));
    raw.run(300);
    let bye = raw.caller("BYE ");
    raw.caller_answers(&bye, "200 OK", "");
    let bye = raw.vendor("BYE ");
    raw.answers(&bye, "200 OK", &[], "");
    raw.ends();
    assert_eq!(raw.stage.finals[0].call.end_reason, "session_timeout");
}

/// SIG-31: 422 both ways: our own INVITE is sent again with the longer interval, at most twice; a
/// caller that wants too short an interval is told the shortest that we accept.
#[test]
fn an_interval_that_is_too_short_is_raised() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[TIMER, ("Session-Expires", "60")], &sdp("10.1.0.1", 40_000));
    let refused = raw.caller("SIP/2.0 422 ");
    assert_eq!(refused.header("Min-SE"), Some("90"));
    raw.ends();
    assert!(!raw.has(VENDOR_A, "INVITE "));

    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let mut last = raw.vendor("INVITE ");
    for least in ["1800", "3600"] {
        raw.answers(&last, "422 Session Interval Too Small", &[("Min-SE", least)], "");
        let again = raw.vendor("INVITE ");
        assert_eq!(
            again.header("Session-Expires"),
            Some(format!("{least};refresher=uac").as_str())
        );
        assert_eq!(again.cseq().0, last.cseq().0 + 1);
        last = again;
    }
    raw.answers(&last, "422 Session Interval Too Small", &[("Min-SE", "7200")], "");
    raw.vendor("ACK ");
    raw.run(10);
    assert!(!raw.has(VENDOR_A, "INVITE "), "two times are enough");
    raw.cancel(&[]);
    raw.ends();
    assert_eq!(raw.stage.finals.last().expect("a record").attempts[0].code, 422);
}

/// SIG-32, RFC 3261 section 14.1: our refresh crosses a request of the vendor. Ours waits 2.1 to 4
/// s, because the Call-ID is ours, and is sent again; the vendor's request gets 491 while ours is
/// open.
#[test]
fn a_refresh_that_crosses_comes_again() {
    let (mut raw, invite, ok) = connects(&[NO_UPDATES, ("Session-Expires", "600;refresher=uac")]);
    raw.run(300_000);
    let refresh = raw.vendor("INVITE ");
    raw.vendor_asks(&invite, &Method::Invite, &[], &sdp("10.2.0.1", 42_002));
    raw.vendor("SIP/2.0 491 ");
    raw.answers(&refresh, "491 Request Pending", &[], "");
    raw.run(2_050);
    assert!(!raw.has(VENDOR_A, "INVITE "));
    raw.run(2_000);
    let again = raw.vendor("INVITE ");
    // A request of the caller waits until the refresh is done, and is not refused for it.
    raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
    raw.caller("SIP/2.0 100 ");
    assert!(!raw.has(VENDOR_A, "INVITE "));
    raw.answers(&again, "200 OK", &[NO_UPDATES], &sdp("10.2.0.1", 42_000));
    raw.vendor("ACK ");
    let passed = raw.vendor("INVITE ");
    raw.answers(&passed, "200 OK", &[NO_UPDATES], &sdp("10.2.0.1", 42_000));
    let accepted = raw.caller("SIP/2.0 200 ");
    raw.ack(&accepted, "");
    raw.hangs_up(&ok);
}

/// SIG-33: a peer without session timer is probed by OPTIONS. Any response counts as life; a peer
/// that has answered before and no longer does has disappeared.
#[test]
fn a_peer_without_session_timer_is_probed() {
    let (mut raw, _, _) = connects(&[NO_UPDATES]);
    for answer in ["200 OK", "405 Method Not Allowed"] {
        raw.run(300_000);
        let probe = raw.vendor("OPTIONS ");
        assert!(probe.to_tag().is_some());
        raw.answers(&probe, answer, &[], "");
        raw.run(50);
    }
    raw.run(300_000);
    raw.vendor("OPTIONS ");
    raw.run(32_100);
    raw.vendor("OPTIONS ");
    raw.run(32_100);
    let bye = raw.caller("BYE ");
    raw.caller_answers(&bye, "200 OK", "");
    raw.ends();
    assert_eq!(raw.stage.finals[0].call.end_reason, "session_timeout");

    let (mut deaf, _, ok) = connects(&[NO_UPDATES]);
    for _ in 0..2 {
        deaf.run(300_000);
        deaf.vendor("OPTIONS ");
        deaf.run(32_100);
    }
    assert!(!deaf.has(CALLER, "BYE "), "some devices ignore OPTIONS");
    deaf.hangs_up(&ok);
}

/// MEDIA-18, SIG-33: a side that is silent while the other speaks is probed at once: by OPTIONS
/// and, if there is no response, by a re-INVITE with our last description. A response to either
/// keeps the call; without any, the call ends.
#[test]
fn a_silent_side_is_asked_twice_before_it_is_given_up() {
    for answers in ["OPTIONS ", "INVITE ", ""] {
        let (mut raw, invite, ok) =
            connects(&[UPDATES, ("Session-Expires", "86400;refresher=uac")]);
        raw.stage.media_event(MediaEvent::ProbeDue(1));
        let options = raw.vendor("OPTIONS ");
        if answers == "OPTIONS " {
            raw.answers(&options, "501 Not Implemented", &[], "");
        } else {
            raw.run(32_100);
            let again = raw.vendor("INVITE ");
            assert_eq!(body(&again), body(&invite));
            if answers == "INVITE " {
                raw.answers(&again, "200 OK", &[UPDATES], &sdp("10.2.0.1", 42_000));
                raw.vendor("ACK ");
            } else {
                raw.run(32_100);
                let bye = raw.caller("BYE ");
                raw.caller_answers(&bye, "200 OK", "");
                raw.ends();
                let record = &raw.stage.finals[0].call;
                assert_eq!(record.end_reason, "media_timeout");
                assert_eq!(record.detail, "the vendor is silent and answers nothing");
                continue;
            }
        }
        raw.run(100_000);
        assert!(!raw.has(CALLER, "BYE "));
        raw.hangs_up(&ok);
    }
}
