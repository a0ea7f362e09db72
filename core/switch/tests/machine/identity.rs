//! Caller and callee in the forms that peers write.

use crate::support::facts::{
    CALLER, VENDOR_A, change_vendors, customer, operator, prefix, small_operator, vendor,
};
use crate::support::raw::{Raw, sdp};
use policy::{IdentityQuestion, Question};
use std::sync::{Arc, Mutex};
use strowger_switch::facts::CustomerTrunk;

/// The identity plugin's question about the only call.
fn asked(mut raw: Raw, headers: &[(&str, &str)]) -> (IdentityQuestion, Raw) {
    let heard = Arc::new(Mutex::new(None));
    let hears = Arc::clone(&heard);
    raw.stage.policy.instead = Some(Box::new(move |question: &Question| {
        if let Question::Identity(asked) = question {
            *hears.lock().expect("not poisoned") = Some(asked.clone());
        }
        None
    }));
    raw.invite(headers, &sdp("10.1.0.1", 40_000));
    raw.vendor("INVITE ");
    let question = heard.lock().expect("not poisoned").take().expect("asked");
    (question, raw)
}

fn trusted(support_privacy: bool) -> Raw {
    let pbx = CustomerTrunk { trusted: true, support_privacy, ..customer(1, "acme", CALLER) };
    let mut raw = Raw::new(operator(pbx, vec![vendor(11, "vendor-a", &[VENDOR_A], 1)]));
    raw.from = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=caller".to_owned();
    raw
}

/// RFC 3323 section 4.2, SIG-76: privacy tokens are case-insensitive, and `none` asks for nothing.
#[test]
fn privacy_tokens_have_no_case() {
    for (value, private) in [("ID", true), ("Id;Critical", true), ("None", false), ("NONE", false)]
    {
        let (question, _) = asked(Raw::new(small_operator()), &[("Privacy", value)]);
        assert_eq!((question.private, question.privacy.as_str()), (private, value));
    }
}

/// RFC 3325 sections 5 and 7, SIG-68, SIG-78: a trusted PBX hides its caller with an anonymous
/// From; the asserted number is the caller's, and stays private where required.
#[test]
fn the_asserted_number_of_a_trusted_pbx_is_the_caller() {
    let identity = ("P-Asserted-Identity", "\"Desk\" <sip:+442079460901@pbx.example.com>");
    let (question, raw) = asked(trusted(true), &[identity, ("Privacy", "id")]);
    assert_eq!(question.caller_out, "+442079460901");
    assert_eq!((question.private, question.privacy.as_str()), (true, "id"));
    let calls: Vec<_> = raw.stage.switch.calls().map(|call| call.caller).collect();
    assert_eq!(calls, ["+442079460901"], "routed, rated and recorded by it");

    // Even without Privacy: From is anonymous, so the vendor sees nothing else.
    let (question, _) = asked(trusted(true), &[identity]);
    assert!(question.private && question.privacy.is_empty());
    // If the trunk may not hide its callers, they are shown.
    let (question, _) = asked(trusted(false), &[identity, ("Privacy", "id")]);
    assert_eq!((question.private, question.display.as_str()), (false, "Desk"));

    // Untrusted trunks are not believed.
    let mut raw = Raw::new(small_operator());
    raw.from = trusted(true).from;
    let (question, _) = asked(raw, &[identity, ("Privacy", "id")]);
    assert_eq!((question.caller_out.as_str(), question.private), ("", true));
}

/// SIG-13, SIG-71: a caller whose text is longer than a plugin's answer may be still gets its call.
#[test]
fn long_words_of_a_caller_are_cut() {
    let mut raw = Raw::new(small_operator());
    raw.from = format!("\"{}\" <sip:100@pbx.example.com>;tag=caller", "ab\u{e9}".repeat(1_000));
    let (question, _) = asked(raw, &[("Privacy", &"id;".repeat(1_000))]);
    assert_eq!(question.display, "ab\u{e9}".repeat(64));
    assert_eq!((question.private, question.privacy.len()), (true, 256));
}

/// RFC 3325 section 9.1, RFC 3261 section 7.3.1: two asserted identities in one folded line, with a
/// comma in a display name, are two values for the plugin that passes them on.
#[test]
fn asserted_identities_of_a_folded_line_are_kept_apart() {
    let (first, second) =
        ("\"Desk, 4th \\\"B\\\"\" <sip:+442079460901@pbx.example.com;user=phone>", "<tel:+442>");
    let line = format!("{first},@@@{second}");
    let mut raw = Raw::new(small_operator());
    let invite = format!(
        "INVITE {} SIP/2.0\r\nVia: {};branch=z9hG4bKfolded\r\nMax-Forwards: 70\r\n\
         From: {}\r\nTo: <{}>\r\nCall-ID: folded\r\nCSeq: 1 INVITE\r\nContact: {}\r\n\
         P-Asserted-Identity: {}\r\nContent-Length: 0\r\n\r\n",
        raw.uri,
        raw.via,
        raw.from,
        raw.uri,
        raw.contact,
        line.replace("@@@", "\r\n\t")
    );
    raw.stage.inject(CALLER, invite.as_bytes());
    raw.vendor("INVITE ");
    let details = raw.stage.policy.details.iter().rfind(|(hook, _)| *hook == "identity");
    let invite = details.expect("asked").1.invite.clone().expect("not acknowledged yet");
    assert_eq!(invite.header("P-Asserted-Identity"), [first, second]);
}

/// NUM-02, RFC 3261 section 19.1.6, RFC 3966 section 5.1, RFC 4694, RFC 4904: the number is the
/// part of the user before the first `;`, decoded.
#[test]
fn numbers_are_found_among_their_parameters() {
    for (uri, callee) in [
        ("sip:%2B4420123@switch;user=phone", "+4420123"),
        ("sip:+4420123;npdi;rn=+442079460999@switch;user=phone", "+4420123"),
        ("sip:4420123;phone-context=+33%40example.com@switch;user=phone", "4420123"),
        ("sip:4420123@switch;user=phone;phone-context=example.com", "4420123"),
        ("sip:+44-20(123)@switch", "+4420123"),
        ("tel:+44-20-123;phone-context=example.com", "+4420123"),
    ] {
        let mut facts = small_operator();
        change_vendors(&mut facts, |trunk| trunk.prefixes = vec![prefix("", true)]);
        let mut raw = Raw::new(facts);
        raw.uri = uri.to_owned();
        raw.from =
            "<sip:+442079460901;tgrp=grp1;trunk-context=x@192.0.2.10;user=phone>;tag=1".to_owned();
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        raw.run(5);
        raw.cancel(&[]);
        raw.ends();
        let record = &raw.stage.finals[0].call;
        assert_eq!(
            (record.callee_in.as_str(), record.caller_in.as_str()),
            (callee, "+442079460901")
        );
    }
}
