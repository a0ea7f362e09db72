//! Several early dialogs and several answers to one INVITE.

use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{CALLER, VENDOR_A, small_operator};
use crate::support::media::CALLER_LEG;
use crate::support::{Stage, call, stage_of};
use sip::{Message, MessageBuilder};
use std::time::Duration;

/// A response of a fork behind vendor A, whose media is at 10.2.0.9.
fn of_fork(stage: &mut Stage, status: u16) -> Vec<u8> {
    let invite = stage.agent(VENDOR_A).last().last_invite.clone();
    let invite = Message::parse(invite.as_bytes()).expect("an INVITE");
    let sdp = "v=0\r\no=- 1 1 IN IP4 10.2.0.9\r\ns=-\r\nc=IN IP4 10.2.0.9\r\nt=0 0\r\n\
               m=audio 40000 RTP/AVP 8\r\n";
    MessageBuilder::response_to(&invite, status, "Reason")
        .to_tag("fork-b")
        .header("Contact", format_args!("<sip:b@{VENDOR_A}>"))
        .body("application/sdp", sdp.as_bytes())
        .finish()
}

/// The address to which the relay sends the caller's audio.
fn vendors_media(stage: &Stage) -> String {
    let updates = stage.media.updates.iter().rev();
    let last = updates.clone().find(|(leg, _)| *leg != CALLER_LEG);
    last.expect("the vendor's SDP is known").1.rtp.to_string()
}

/// SIG-07: media follow the newest early dialog that has SDP. The first 2xx wins and its SDP
/// counts; a later 2xx is acknowledged and ended. The caller has a single dialog throughout.
#[test]
fn media_follow_the_newest_fork_and_the_first_answer_wins() {
    let plan = VendorPlan {
        progress: vec![(Duration::from_millis(100), 183, true)],
        last: Some((Duration::from_secs(3), 200)),
        ..VendorPlan::answers()
    };
    let mut stage = stage_of(small_operator(), plan, VendorPlan::answers());
    call(&mut stage, CallerPlan { hangup: Some(Duration::from_secs(5)), ..CallerPlan::default() });
    let tag = |stage: &mut Stage| {
        let response = stage.agent(CALLER).last().last_response.clone();
        Message::parse(response.as_bytes()).expect("a response").to_tag().map(str::to_owned)
    };
    stage.run(Duration::from_millis(500));
    assert_eq!(vendors_media(&stage), "10.2.0.1:40000");
    let first = tag(&mut stage);
    let early = of_fork(&mut stage, 183);
    stage.inject(VENDOR_A, &early);
    stage.run(Duration::from_millis(500));
    assert_eq!(stage.agent(CALLER).last().responses, [100, 183, 183]);
    assert_eq!(vendors_media(&stage), "10.2.0.9:40000", "the newest early dialog");

    stage.run(Duration::from_millis(2500));
    assert_eq!(stage.agent(CALLER).last().responses, [100, 183, 183, 200]);
    assert_eq!(vendors_media(&stage), "10.2.0.1:40000", "the one that answered");
    assert_eq!(tag(&mut stage), first);
    let late = of_fork(&mut stage, 200);
    stage.inject(VENDOR_A, &late);
    stage.run(Duration::from_millis(500));
    assert_eq!(vendors_media(&stage), "10.2.0.1:40000");
    for method in ["ACK ", "BYE "] {
        let sent = |text: &str| text.starts_with(method) && text.contains(";tag=fork-b\r\n");
        let sent = stage.wire.iter().filter(|w| sent(&String::from_utf8_lossy(&w.2)));
        assert!(sent.count() >= 1, "{method}to the fork that lost");
    }
    assert_eq!(stage.switch.call_count(), 1, "the call itself goes on");
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals.len(), 1);
    assert_eq!(stage.finals[0].call.end_reason, "caller_hangup");
}
