//! Silence of an answered call, in virtual time.

use super::*;
use crate::bridge::Input;
use crate::bridge::tests::{A, B, CALLER, Call, VENDOR, remote};
use crate::{Kind, RemoteMedia};

/// The default limits of the rules.
const LIMITS: Limits = Limits {
    no_media: secs(30),
    both_silent: secs(60),
    one_silent: secs(20),
    probe: secs(60),
    probe_again: secs(300),
    hold: secs(3_600),
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn answered(limits: Limits) -> Call {
    let mut call = Call::up();
    call.handle(Input::Watch(limits));
    call
}

/// Lets time pass while `speakers` speak every second; returns the events with their seconds.
fn events(call: &mut Call, seconds: u64, speakers: &[LegId]) -> Vec<(u64, Event)> {
    let (begin, mut events) = (call.now, Vec::new());
    for second in 1..=seconds {
        let at = begin + secs(second);
        while let Some(wake) = call.bridge.poll_timeout().filter(|wake| *wake <= at) {
            call.now = wake;
            call.handle(Input::Timeout);
            while let Some(event) = call.bridge.poll_event() {
                events.push(((wake - begin).as_secs(), event));
            }
            assert!(call.bridge.poll_timeout().is_none_or(|next| next > wake), "a busy loop");
        }
        call.now = at;
        for leg in speakers {
            call.hears_rtp(*leg, if *leg == A { CALLER } else { VENDOR });
        }
    }
    events
}

/// MEDIA-16: no RTP for 30 s after the answer; RTP before the answer does not count.
#[test]
fn no_media_after_the_answer_is_told() {
    let mut call = Call::up();
    call.hears_rtp(B, VENDOR);
    call.now += secs(1);
    call.handle(Input::Watch(LIMITS));
    assert_eq!(events(&mut call, 40, &[]), [(30, Event::NoMedia)]);
    let off = Limits { no_media: secs(0), ..LIMITS };
    assert_eq!(events(&mut answered(off), 40, &[]), []);
    assert_eq!(events(&mut answered(LIMITS), 40, &[A, B]), []);
}

/// MEDIA-17: 60 s after the last packet of both sides; RTCP keeps a call alive.
#[test]
fn a_call_that_both_sides_have_left_is_told() {
    let mut call = answered(LIMITS);
    assert_eq!(events(&mut call, 300, &[A, B]), []);
    assert_eq!(events(&mut call, 200, &[]), [(60, Event::BothSilent)], "told once");
    let mut call = answered(LIMITS);
    assert_eq!(events(&mut call, 10, &[A, B]), []);
    for _ in 0..3 {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        call.hears(A, Kind::Rtcp, "192.0.2.10:4001", &report);
        call.hears(B, Kind::Rtcp, "192.0.2.20:6001", &report);
        assert_eq!(events(&mut call, 50, &[]), []);
    }
}

/// MEDIA-18: one side is silent for 20 s while the other speaks; it is probed after 60 s, and again
/// every 300 s. Its return is reported too.
#[test]
fn a_silent_side_is_told_probed_and_heard_again() {
    let mut call = answered(LIMITS);
    assert_eq!(events(&mut call, 10, &[A, B]), []);
    let told = events(&mut call, 400, &[A]);
    let silent = [(20, Event::SideSilent(B)), (60, Event::ProbeDue(B)), (360, Event::ProbeDue(B))];
    assert_eq!(told, silent);
    let told = events(&mut call, 30, &[A, B]);
    assert!(matches!(told[..], [(1..=2, Event::SideHeard(B))]), "{told:?}");
    assert_eq!(events(&mut call, 25, &[B])[0].1, Event::SideSilent(A));
    assert_eq!(events(&mut call, 70, &[])[..].last(), Some(&(60, Event::BothSilent)));
}

/// MEDIA-18: a side that was never heard is one-way too.
#[test]
fn a_side_that_was_never_heard_is_silent_since_the_answer() {
    let mut call = answered(LIMITS);
    assert_eq!(events(&mut call, 30, &[B]), [(20, Event::SideSilent(A))]);
}

/// MEDIA-19: a held side need not send, and a hold does not last for ever.
#[test]
fn a_side_on_hold_is_exempt_until_the_limit() {
    let mut call = answered(LIMITS);
    assert_eq!(events(&mut call, 10, &[A, B]), []);
    let holds = |receives| RemoteMedia { receives, ..remote(CALLER, &[8]) };
    call.told(A, holds(false));
    assert_eq!(events(&mut call, 3_700, &[A]), [(3_600, Event::HeldTooLong)]);
    call.told(A, holds(true));
    assert_eq!(events(&mut call, 19, &[A]), [], "silence counts from the end of the hold");
    assert_eq!(events(&mut call, 10, &[A])[0].1, Event::SideSilent(B));
}

/// MEDIA-19: RFC 2543 hold, and a stream that both sides have made inactive.
#[test]
fn other_ways_to_hold_are_holds_too() {
    let mut old = answered(LIMITS);
    old.told(A, remote("0.0.0.0:4000", &[8]));
    assert_eq!(events(&mut old, 300, &[]), []);
    let mut inactive = answered(LIMITS);
    for (leg, rtp) in [(A, CALLER), (B, VENDOR)] {
        let media = RemoteMedia { sends: false, receives: false, ..remote(rtp, &[8]) };
        inactive.told(leg, media);
    }
    assert_eq!(events(&mut inactive, 300, &[]), []);
}

/// A call whose only leg is connected to us.
#[test]
fn a_leg_without_a_peer_is_watched_too() {
    let mut call = answered(LIMITS);
    call.handle(Input::Close(B));
    assert_eq!(events(&mut call, 5, &[A]), []);
    assert_eq!(events(&mut call, 70, &[]), [(60, Event::BothSilent)]);
}
