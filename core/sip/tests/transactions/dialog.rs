//! RFC 3261 section 12.

use crate::stage::{invite, request, response};
use strowger_sip::{Dialog, Message, Method};

fn parse(bytes: &[u8]) -> Message {
    Message::parse(bytes).unwrap()
}

/// Adds header lines before the others.
fn with(bytes: Vec<u8>, lines: &str) -> Message {
    let text = String::from_utf8(bytes).unwrap();
    parse(text.replacen("\r\n", &format!("\r\n{lines}"), 1).as_bytes())
}

const RECORD_ROUTES: &str = "Record-Route: <sip:p1.example;lr>\r\nRecord-Route: <sip:p2.example;lr>, <sip:p3.example;lr>\r\n";

#[test]
fn the_caller_takes_target_tags_and_reversed_route_from_the_response() {
    let ours = parse(&invite("z9hG4bK1"));
    let answer = with(response(200, "a", "INVITE", "z9hG4bK1"), RECORD_ROUTES);
    let mut dialog = Dialog::uac(&ours, &answer);
    assert_eq!(
        (dialog.call_id(), dialog.local_tag(), dialog.remote_tag()),
        ("call-1", "ours", "a")
    );
    assert_eq!(dialog.remote_target(), "sip:vendor@192.0.2.9");
    let routes = ["<sip:p3.example;lr>", "<sip:p2.example;lr>", "<sip:p1.example;lr>"];
    assert_eq!(dialog.route_set().collect::<Vec<_>>(), routes);

    let via = "SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK2";
    let bye = parse(&dialog.request(&Method::Bye).header("Via", via).finish());
    assert_eq!((bye.method(), bye.uri()), (&Method::Bye, "sip:vendor@192.0.2.9"));
    assert_eq!((bye.cseq().0, bye.max_forwards()), (8, Some(70)));
    assert_eq!((bye.from_tag(), bye.to_tag()), (Some("ours"), Some("a")));
    assert_eq!(bye.headers("Route").collect::<Vec<_>>(), routes);

    let ack = parse(&dialog.ack(7).header("Via", via).finish());
    assert_eq!((ack.method(), ack.cseq().0), (&Method::Ack, 7), "the INVITE's number (13.2.2.4)");
    assert_eq!(dialog.local_cseq(), 8);
}

#[test]
fn the_called_side_takes_target_and_route_from_the_invite() {
    let lines = format!("{RECORD_ROUTES}Contact: \"C\" <sip:caller@198.51.100.1:5070;ob>;q=1\r\n");
    let theirs = with(invite("z9hG4bK1"), &lines);
    let mut dialog = Dialog::uas(&theirs, "me");
    assert_eq!((dialog.local_tag(), dialog.remote_tag()), ("me", "ours"));
    assert_eq!(dialog.remote_target(), "sip:caller@198.51.100.1:5070;ob");
    assert_eq!(
        dialog.route_set().collect::<Vec<_>>(),
        ["<sip:p1.example;lr>", "<sip:p2.example;lr>", "<sip:p3.example;lr>"]
    );
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2";
    let bye = parse(&dialog.request(&Method::Bye).header("Via", via).finish());
    assert_eq!((bye.from_tag(), bye.to_tag(), bye.cseq().0), (Some("me"), Some("ours"), 1));
    assert_eq!(bye.from().uri(), "sip:4930@192.0.2.9");
}

#[test]
fn an_early_dialog_is_confirmed_by_its_2xx_and_keeps_counting() {
    let ours = parse(&invite("z9hG4bK1"));
    let early = with(response(180, "a", "INVITE", "z9hG4bK1"), RECORD_ROUTES);
    let mut dialog = Dialog::uac(&ours, &early);
    let _prack = dialog.request(&Method::Prack);
    let answer = String::from_utf8(response(200, "a", "INVITE", "z9hG4bK1")).unwrap();
    dialog.confirm(&parse(answer.replace("sip:vendor", "sip:elsewhere").as_bytes()));
    assert_eq!(dialog.remote_target(), "sip:elsewhere@192.0.2.9");
    assert_eq!(dialog.route_set().count(), 0, "the route set is taken anew (13.2.2.4)");
    assert_eq!((dialog.remote_tag(), dialog.local_cseq()), ("a", 8));
}

#[test]
fn messages_are_matched_by_call_id_and_both_tags() {
    let ours = parse(&invite("z9hG4bK1"));
    let answer = response(200, "a", "INVITE", "z9hG4bK1");
    let dialog = Dialog::uac(&ours, &parse(&answer));
    assert!(dialog.matches(&parse(&answer)));
    assert!(!dialog.matches(&parse(&response(200, "b", "INVITE", "z9hG4bK1"))), "another fork");
    let bye = String::from_utf8(request("BYE", "z9hG4bK2", "")).unwrap();
    let theirs = bye
        .replace(">;tag=ours", ">;tag=a")
        .replace("To: <sip:4930@192.0.2.9>", "To: <sip:4930@192.0.2.9>;tag=ours");
    assert!(dialog.matches(&parse(theirs.as_bytes())));
    assert!(!dialog.matches(&parse(theirs.replace("call-1", "call-2").as_bytes())));
    assert!(!dialog.matches(&parse(bye.as_bytes())), "our own request is not received by us");
}

/// RFC 3261 12.2.2.
#[test]
fn a_request_older_than_the_last_one_is_refused_with_500() {
    let mut dialog = Dialog::uas(&parse(&invite("z9hG4bK1")), "me");
    let numbered = |number: u32, method: &str| {
        let bytes = String::from_utf8(request(method, "z9hG4bK2", "")).unwrap();
        parse(bytes.replace("CSeq: 7", &format!("CSeq: {number}")).as_bytes())
    };
    assert_eq!(dialog.accept(&numbered(9, "UPDATE")), Ok(()), "gaps are allowed");
    assert_eq!(dialog.accept(&numbered(8, "INFO")), Err(500));
    assert_eq!(dialog.accept(&numbered(7, "ACK")), Ok(()), "ACK has the INVITE's number");
    assert_eq!(dialog.accept(&numbered(10, "BYE")), Ok(()));
}

#[test]
fn a_target_refresh_changes_the_target_and_nothing_else() {
    let ours = parse(&invite("z9hG4bK1"));
    let answer = with(response(200, "a", "INVITE", "z9hG4bK1"), RECORD_ROUTES);
    let mut dialog = Dialog::uac(&ours, &answer);
    let before = dialog.clone();
    dialog.refresh_target(&parse(&request("UPDATE", "z9hG4bK2", "")));
    assert_eq!(dialog, before, "no Contact, no change");
    let moved = "Contact: <sip:vendor@192.0.2.200:5062>\r\n";
    dialog.refresh_target(&parse(&request("UPDATE", "z9hG4bK2", moved)));
    assert_eq!(dialog.remote_target(), "sip:vendor@192.0.2.200:5062");
    assert!(dialog.route_set().eq(before.route_set()));
    assert_eq!(dialog.remote_tag(), before.remote_tag());
}

/// RFC 3261 12.2.1.1: a first route without `lr`.
#[test]
fn a_strict_router_becomes_the_request_uri() {
    let ours = parse(&invite("z9hG4bK1"));
    let routes = "Record-Route: <sip:loose.example;lr>\r\nRecord-Route: <sip:strict.example>\r\n";
    let mut dialog = Dialog::uac(&ours, &with(response(200, "a", "INVITE", "z9hG4bK1"), routes));
    let via = "SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK2";
    let bye = parse(&dialog.request(&Method::Bye).header("Via", via).finish());
    assert_eq!(bye.uri(), "sip:strict.example");
    assert_eq!(
        bye.headers("Route").collect::<Vec<_>>(),
        ["<sip:loose.example;lr>", "<sip:vendor@192.0.2.9>"]
    );
}
