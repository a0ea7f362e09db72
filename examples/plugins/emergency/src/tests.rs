use super::*;
use plugin_sdk::host::CallNumbers;
use plugin_sdk::{Candidate, FakeHost, configured, testing};

fn plugin() -> Emergency {
    configured("").expect("defaults")
}

/// Vendors 1 (nothing), 2 (yes), 3 (only), 4 (another word).
fn switch(callee: &str) -> FakeHost {
    let switch = FakeHost::install();
    switch.numbers(CallNumbers { callee: callee.to_owned(), ..CallNumbers::default() });
    switch.vendor_attribute(TrunkId(2), "emergency", "yes");
    switch.vendor_attribute(TrunkId(3), "emergency", "only");
    switch.vendor_attribute(TrunkId(4), "emergency", "no");
    switch
}

fn order(callee: &str) -> Vec<u32> {
    let vendor = |trunk| Candidate { trunk: TrunkId(trunk), ..Candidate::default() };
    let question = RouteQuestion {
        callee: callee.to_owned(),
        candidates: [4, 1, 3, 2].into_iter().map(vendor).collect(),
        ..RouteQuestion::default()
    };
    plugin().select(&question).expect("no rejection").into_iter().map(|trunk| trunk.0).collect()
}

fn screened(callee: &str) -> Verdict {
    let (caller, callee) = ("4930".to_owned(), callee.to_owned());
    plugin().screen(&ScreenQuestion { caller, callee, ..ScreenQuestion::default() })
}

fn headers() -> Vec<String> {
    let question = IdentityQuestion {
        caller_out: "#49".to_owned(),
        host: "sip.example".to_owned(),
        display: "Ann\nLee".to_owned(),
        ..IdentityQuestion::default()
    };
    let presented = plugin().present(&question).expect("an identity");
    assert_eq!((presented.user.as_str(), presented.host.as_str()), ("%2349", "sip.example"));
    assert_eq!(presented.display, "AnnLee");
    presented.headers.iter().map(|it| format!("{}: {}", it.name, it.value)).collect()
}

#[test]
fn an_emergency_call_is_marked_logged_and_counted_route_66() {
    let switch = switch("112");
    let marked = Verdict::Mark(vec!["emergency".to_owned()]);
    assert_eq!(screened("112"), marked);
    assert_eq!(switch.metric("calls"), 1);
    assert_eq!(switch.lines(), ["warn: emergency call from `4930` to 112, account 0"]);
    for callee in ["1121", "11", "+112", "4420", ""] {
        assert_eq!(screened(callee), Verdict::Allow, "`{callee}`");
    }
}

#[test]
fn a_site_has_its_own_numbers() {
    let switch = switch("110");
    assert_eq!(screened("110"), Verdict::Allow);
    switch.customer_attribute("emergency_numbers", " 110, 999 ");
    assert!(matches!(screened("110"), Verdict::Mark(_)));
    assert_eq!(screened("112"), Verdict::Allow, "no emergency number there");
    switch.customer_attribute("emergency_numbers", " , ");
    assert!(matches!(screened("112"), Verdict::Mark(_)), "a list without a number");
}

#[test]
fn emergency_trunks_come_first_and_take_nothing_else() {
    let _switch = switch("112");
    assert_eq!(order("112"), [3, 2, 4, 1]);
    assert_eq!(order("4420"), [4, 1, 2]);
}

#[test]
fn no_failure_ends_the_search_for_an_emergency_trunk() {
    testing::check(300, |draw| {
        let outcome = draw.outcome();
        let mut after = |callee| {
            let _switch = switch(callee);
            plugin().after_failure(&draw.call(), &outcome)
        };
        assert_eq!(after("112"), Decision::Next);
        assert_eq!(after("4420"), Decision::Pass);
    });
}

#[test]
fn the_location_of_the_call_is_passed_on_or_that_of_the_site() {
    let switch = switch("112");
    assert_eq!(headers(), ["Priority: emergency"], "nobody knows the place");
    switch.customer_attribute("location", "https://lis.example/site-7");
    let of_site = ["Geolocation: <https://lis.example/site-7>", "Priority: emergency"];
    assert_eq!(headers(), of_site);
    switch.header("Geolocation", "<cid:target@a.example>");
    switch.header("Geolocation", "<https://a.example/\u{1}>");
    switch.header("Geolocation", &format!("<https://a.example/{}>", "x".repeat(2_048)));
    assert_eq!(headers(), of_site, "none can be passed on");
    switch.header("Geolocation", "<https://lis.example/caller-9>");
    assert_eq!(headers(), ["Geolocation: <https://lis.example/caller-9>", "Priority: emergency"]);
}

#[test]
fn other_calls_get_no_location() {
    let switch = switch("4420");
    switch.customer_attribute("location", "https://lis.example/site-7");
    switch.header("Geolocation", "<https://lis.example/caller-9>");
    assert!(headers().is_empty());
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<Emergency>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"numbers":["+112"]}"#, "field `numbers`: `+112` is no number of 1 to 15 digits"),
        (r#"{"numbers":[""]}"#, "field `numbers`: `` is no number of 1 to 15 digits"),
        (r#"{"numbers":[]}"#, "field `numbers`: name a number; without one no call is recognised"),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"number":[]}"#).contains("number"));
}
