//! Which answers pass, and the error texts of the others.

use super::*;

fn why<T: std::fmt::Debug>(result: Checked<T>) -> String {
    match result {
        Err(Fault::Nonsense(words)) => words,
        other => panic!("should be nonsense, is {other:?}"),
    }
}

fn refusal(code: u16) -> wire::Rejection {
    wire::Rejection { code, reason: "caller_barred".into(), detail: String::new() }
}

#[test]
fn a_rejection_carries_a_final_failure_code() {
    assert!(verdict(wire::Verdict::Reject(refusal(403))).is_ok());
    assert_eq!(
        why(verdict(wire::Verdict::Reject(refusal(200)))),
        "response code 200, allowed is 400 to 699"
    );
    assert_eq!(
        why(decision(wire::Decision::StopWith(700))),
        "response code 700, allowed is 400 to 699"
    );
}

#[test]
fn a_list_without_a_candidate_is_a_rejection() {
    let candidates = [3, 5, 7].map(|trunk| policy::Candidate {
        trunk,
        prefix_length: 2,
        prefix_priority: 0,
        extend: true,
        priority: 10,
        weight: 0,
        last_resort: false,
        active: 0,
        channels: 0,
        calls_today: 0,
        buy_price: 0,
    });
    let routed = |trunks: &[u32]| routes(&candidates, Ok(trunks.to_vec()));
    assert_eq!(routed(&[7, 3]), Ok(Answer::Route(Ok(vec![7, 3]))));
    assert_eq!(routed(&[9, 7, 1, 3]), Ok(Answer::Route(Ok(vec![7, 3]))), "in their order");
    for (trunks, words) in [
        (&[][..], "it chose no trunk"),
        (&[1, 9], "none of the 2 trunks that it chose is a candidate"),
    ] {
        let Ok(Answer::Route(Err(rejection))) = routed(trunks) else { panic!("{trunks:?}") };
        assert_eq!((rejection.code, &*rejection.reason), (503, "no_route_available"));
        assert_eq!(rejection.detail, words);
    }
}

#[test]
fn a_line_break_cannot_reach_the_wire() {
    let numbers_with = |callee: &str| wire::Numbers {
        caller: String::new(),
        callee: callee.into(),
        identity: String::new(),
        route_as: String::new(),
        rate_as: String::new(),
        uri_parameters: String::new(),
    };
    assert!(numbers(Ok(numbers_with("4930123"))).is_ok());
    assert_eq!(
        why(numbers(Ok(numbers_with("49\r\nVia: evil")))),
        "callee has a control character at byte 2"
    );
    assert_eq!(
        why(numbers(Ok(numbers_with(&"1".repeat(129))))),
        "callee has 129 bytes, at most 128 are used"
    );
}

#[test]
fn parameters_cannot_end_the_number() {
    assert!(uri_parameters("rn=+12025550100;npdi").is_ok());
    assert!(uri_parameters("rn=1@evil.example").is_err());
    assert!(uri_parameters("rn=1>").is_err());
}

#[test]
fn a_header_name_is_a_token() {
    assert!(header_name("P-Asserted-Identity").is_ok());
    assert!(header_name("").is_err());
    assert!(header_name("X-A:").is_err());
    assert!(header_name("X A").is_err());
}

fn presented(user: &str, host: &str) -> Checked<Answer> {
    identity(Ok(wire::IdentityAnswer {
        display: "Ann Lee".into(),
        user: user.into(),
        host: host.into(),
        headers: Vec::new(),
    }))
}

#[test]
fn the_user_of_from_is_one_of_a_sip_uri() {
    for good in
        ["4930123", "+4930", "%2331%2349", "anonymous", "*9;phone-context=+1", "a.b_-!~'()&=$,?/"]
    {
        assert!(presented(good, "h").is_ok(), "{good}");
    }
    for (bad, at) in [("1@evil.example", 1), ("1>;tag=2", 1), ("#31#", 0), ("1:2", 1), ("a\tb", 1)]
    {
        let words = format!("user has a character that must be escaped at byte {at}");
        assert_eq!(why(presented(bad, "h")), words, "{bad}");
    }
    for bad in ["%", "%2", "12%2g", "Zoë", "a b", "1\r\nVia: x", "\"1\""] {
        assert!(why(presented(bad, "h")).starts_with("user has a character"), "{bad}");
    }
    assert!(presented("", "h").is_ok(), "no caller number");
    let long = "1".repeat(129);
    assert_eq!(why(presented(&long, "h")), "user has 129 bytes, allowed is 1 to 128");
}

#[test]
fn the_host_of_from_is_a_host() {
    for good in ["sip.example.com", "anonymous.invalid", "192.0.2.1", "[2001:db8::1]", "my_pbx"] {
        assert!(presented("1", good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a b",
        "a>",
        "a;lr",
        "a:5060",
        "a@b",
        "a\t",
        "2001:db8::1",
        "[]",
        "[1.2.3.4]",
        "[::1",
        "[::1]>",
        "[::1]:5060",
        "é.example",
    ] {
        assert!(presented("1", bad).is_err(), "{bad}");
    }
}

/// SIG-80
#[test]
fn headers_of_the_switch_cannot_be_added() {
    for ours in OURS {
        assert!(header_name(ours).is_err(), "{ours}");
        assert!(header_name(&ours.to_ascii_uppercase()).is_err(), "{ours}");
    }
    for ours in [
        "via",
        "V",
        "f",
        "T",
        "i",
        "m",
        "L",
        "c",
        "e",
        "k",
        "x",
        "cseq",
        "content-length",
        "Content-Type",
        "CONTENT-DISPOSITION",
    ] {
        let words = format!("header {ours} is written by the switch alone (SIG-80)");
        assert_eq!(why(header_name(ours)), words);
    }
    for theirs in [
        "P-Asserted-Identity",
        "P-Preferred-Identity",
        "Remote-Party-ID",
        "Privacy",
        "Diversion",
        "History-Info",
        "Identity",
        "y",
        "X-Via",
        "Route-Class",
        "Subject",
        "s",
    ] {
        assert!(header_name(theirs).is_ok(), "{theirs}");
    }
}

#[test]
fn a_reason_is_a_word_that_records_are_counted_by() {
    let with = |reason: &str| {
        verdict(wire::Verdict::Reject(wire::Rejection { reason: reason.into(), ..refusal(403) }))
    };
    assert!(with("pool_exhausted_2").is_ok());
    assert_eq!(why(with("pool exhausted")), "reason has a forbidden character at byte 4");
    assert_eq!(why(with("Barred")), "reason has a forbidden character at byte 0");
    assert_eq!(why(with("")), "reason has 0 bytes, allowed is 1 to 64");
    assert_eq!(why(with(&"a".repeat(65))), "reason has 65 bytes, allowed is 1 to 64");
}

#[test]
fn an_end_of_supervision_says_why_and_a_limit_is_some_time() {
    let answer = |course| wire::SupervisionAnswer { course, marks: Vec::new(), ask_again_s: 0 };
    let limit = |seconds| supervision(answer(wire::Course::Limit(seconds)));
    assert!(limit(1).is_ok() && limit(u32::MAX).is_ok());
    assert_eq!(why(limit(0)), "limit of 0 s, allowed is 1 or more; to end the call, say `end`");
    let end = |reason: &str, cause, code, detail: &str| {
        let (reason, detail) = (reason.to_owned(), detail.to_owned());
        supervision(answer(wire::Course::End(wire::Ending { reason, cause, code, detail })))
    };
    for (cause, code) in [(1, 0), (127, 0), (0, 400), (0, 699), (16, 402)] {
        assert!(end("over", cause, code, "").is_ok(), "{cause} {code}");
    }
    for (cause, code, words) in [
        (0, 0, "an end names a cause (1 to 127) or a code (400 to 699)"),
        (128, 0, "cause 128, allowed is 1 to 127"),
        (128, 402, "cause 128, allowed is 1 to 127"),
        (0, 200, "response code 200, allowed is 400 to 699"),
        (16, 700, "response code 700, allowed is 400 to 699"),
    ] {
        assert_eq!(why(end("over", cause, code, "")), words);
    }
    assert_eq!(why(end("", 16, 0, "")), "reason has 0 bytes, allowed is 1 to 64");
    assert_eq!(why(end("No", 16, 0, "")), "reason has a forbidden character at byte 0");
    assert_eq!(why(end("over", 16, 0, "a\nb")), "detail has a control character at byte 1");
    let marked = |marks: Vec<String>| {
        supervision(wire::SupervisionAnswer { marks, ..answer(wire::Course::GoOn) })
    };
    assert_eq!(why(marked(vec![String::new(); 65])), "65 marks, at most 64 are kept");
    let long = vec!["m".repeat(129)];
    assert_eq!(why(marked(long)), "mark has 129 bytes, at most 128 are used");
}

#[test]
fn a_version_is_short_and_plain() {
    for good in ["1.2.0", "1.0.0-build-a", "0.1.0-rc.1+20261123", "7"] {
        assert!(is_version(good), "{good}");
    }
    let long = format!("1.{}", "0".repeat(63));
    for bad in ["", "..", "../1", "v1", "1.0/2", "1 0", "1\n", "1.0\"", "1é", &long] {
        assert!(!is_version(bad), "{bad}");
    }
}

#[test]
fn long_words_are_cut_between_characters() {
    let cut = shortened("é".repeat(1000));
    assert_eq!(cut.len(), 1024);
    assert_eq!(shortened("a\nb".into()), "ab");
}
