use super::*;
use plugin_sdk::{AccountId, Call, FakeHost, configured, testing};

/// Account 7 owns one number, account 8 another.
fn switch(origin: Option<&str>) -> FakeHost {
    let switch = FakeHost::install();
    switch.table("verified-callers", &[("12025550100", "7"), ("12025550200", " 8 ")]);
    if let Some(origin) = origin {
        switch.customer_attribute("origin", origin);
    }
    switch
}

fn question(caller: &str, identity: &str) -> IdentityQuestion {
    IdentityQuestion {
        call: Call { account: AccountId(7), ..Call::default() },
        caller_out: caller.to_owned(),
        identity_out: identity.to_owned(),
        host: "sip.example".to_owned(),
        ..IdentityQuestion::default()
    }
}

fn headers(question: &IdentityQuestion) -> Vec<String> {
    let mut plugin: StirAttestation = configured("").expect("defaults");
    let presented = plugin.present(question).expect("an identity");
    assert_eq!(presented.user, question.caller_out.replace('#', "%23"), "it stays");
    assert_eq!((&presented.host, &presented.display), (&question.host, &question.display));
    presented.headers.iter().map(|it| format!("{}: {}", it.name, it.value)).collect()
}

fn level(question: &IdentityQuestion) -> String {
    headers(question)[0].strip_prefix("Attestation-Info: ").expect("a level").to_owned()
}

#[test]
fn a_customer_with_a_number_of_his_own_gets_an_a() {
    let _switch = switch(Some("direct"));
    for (caller, identity, expected) in [
        ("12025550100", "", "A"),
        ("+12025550100", "12025550100", "A"),
        ("12025550200", "", "B"),
        ("12025550100", "12025550200", "B"),
        ("12025550200", "12025550100", "B"),
        ("12025550300", "", "B"),
        ("", "", "B"),
        ("#31#", "", "B"),
    ] {
        assert_eq!(level(&question(caller, identity)), expected, "{caller} {identity}");
    }
}

/// `identity` before this plugin has made From anonymous.
#[test]
fn a_private_caller_is_judged_by_the_asserted_number() {
    let _switch = switch(Some("direct"));
    let private = |identity| IdentityQuestion { private: true, ..question("anonymous", identity) };
    assert_eq!(level(&private("12025550100")), "A");
    assert_eq!(level(&private("12025550200")), "B");
    assert_eq!(level(&private("")), "B");
}

#[test]
fn who_is_not_known_as_a_customer_gets_a_c() {
    for origin in [None, Some("transit"), Some("Direct"), Some("")] {
        let _switch = switch(origin);
        assert_eq!(level(&question("12025550100", "")), "C", "{origin:?}");
    }
    let switch = FakeHost::install();
    switch.customer_attribute("origin", "direct");
    assert_eq!(level(&question("12025550100", "")), "B", "without a list nothing is verified");
}

#[test]
fn the_signature_of_another_network_is_passed_on_and_not_replaced() {
    let switch = switch(None);
    switch.customer_attribute("origid", "3bd1b6a4-5b2d-4b6a-9c1e-9d0f2f5f9a11");
    switch.header("Identity", "eyJ.a.b;info=<https://cr.example/c.pem>;alg=ES256;ppt=shaken");
    let signed = ["Identity: eyJ.a.b;info=<https://cr.example/c.pem>;alg=ES256;ppt=shaken"];
    assert_eq!(headers(&question("12025550100", "")), signed);
    let secret = IdentityQuestion { private: true, ..question("anonymous", "12025550100") };
    let own = ["Attestation-Info: C", "Origination-Id: 3bd1b6a4-5b2d-4b6a-9c1e-9d0f2f5f9a11"];
    assert_eq!(headers(&secret), own, "it would tell the number");
    let by_code = question("anonymous", "12025550100");
    assert_eq!(headers(&by_code), own, "a plugin before has hidden the caller");
    let trusted = IdentityQuestion { target_trusted: true, ..secret };
    assert_eq!(headers(&trusted), signed);
    switch.customer_attribute("origin", "direct");
    assert_eq!(headers(&question("12025550100", ""))[0], "Attestation-Info: A", "we sign");
}

#[test]
fn a_signature_that_does_not_fit_is_left_out() {
    let switch = switch(None);
    switch.header("Identity", &"x".repeat(2_049));
    assert_eq!(headers(&question("12025550100", "")), ["Attestation-Info: C"]);
    switch.header("Identity", &"x".repeat(2_048));
    assert_eq!(headers(&question("12025550100", "")).len(), 1);
    assert!(headers(&question("12025550100", ""))[0].starts_with("Identity: x"));
}

#[test]
fn whatever_is_asked_nobody_unverified_gets_an_a() {
    testing::check(500, |draw| {
        let _switch = switch(Some("direct"));
        let question = draw.identity_question();
        let mut plugin: StirAttestation = configured("").expect("defaults");
        let presented = plugin.present(&question).expect("an identity");
        assert_eq!(presented.headers, [Header::new("Attestation-Info", "B")]);
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<StirAttestation>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"verified":""}"#, "field `verified`: name a number list"),
        (r#"{"header":"A B"}"#, "field `header`: `A B` is no header name"),
        (r#"{"origid_header":""}"#, "field `origid_header`: `` is no header name"),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"list":"x"}"#).contains("list"));
}
