use super::*;
use plugin_sdk::host::CallNumbers;
use plugin_sdk::{FakeHost, TrunkId, configured, testing};

fn switch(callee_in: &str, callee: &str) -> FakeHost {
    let switch = FakeHost::install();
    let (callee_in, callee) = (callee_in.to_owned(), callee.to_owned());
    switch.numbers(CallNumbers { callee_in, callee, ..CallNumbers::default() });
    switch
}

fn question(private: bool, target_trusted: bool) -> IdentityQuestion {
    IdentityQuestion {
        trunk: TrunkId(5),
        caller_out: "4930123".to_owned(),
        identity_out: "+4930123".to_owned(),
        display: "Ann Lee".to_owned(),
        host: "sip.example".to_owned(),
        privacy: "id".to_owned(),
        private,
        target_trusted,
        asserted_mode: HeaderMode::Caller,
        ..IdentityQuestion::default()
    }
}

fn present(question: &IdentityQuestion) -> PresentedIdentity {
    let mut plugin: PrivacyRules = configured("").expect("defaults");
    plugin.present(question).expect("an identity")
}

/// From's user and the headers, in one line.
fn shown(question: &IdentityQuestion) -> String {
    let presented = present(question);
    let headers = presented.headers.iter().map(|it| format!(" | {}: {}", it.name, it.value));
    format!("{}@{}{}", presented.user, presented.host, headers.collect::<String>())
}

const OPEN: &str = "4930123@sip.example | P-Asserted-Identity: <sip:+4930123@sip.example>";
const TRUSTED: &str =
    "anonymous@anonymous.invalid | P-Asserted-Identity: <sip:+4930123@sip.example> | Privacy: id";
const UNTRUSTED: &str = "anonymous@anonymous.invalid | Privacy: id";

#[test]
fn a_private_caller_is_known_to_trusted_vendors_only_sig_78() {
    let _switch = switch("4420", "4420");
    assert_eq!(shown(&question(false, false)), OPEN);
    assert_eq!(shown(&question(true, true)), TRUSTED);
    assert_eq!(shown(&question(true, false)), UNTRUSTED);
    assert_eq!(present(&question(true, false)).display, "Anonymous");
    assert_eq!(present(&question(false, false)).display, "Ann Lee");
}

#[test]
fn the_dialled_code_decides_before_customer_and_request() {
    for (dialled, clir, private, expected) in [
        ("*674420", None, false, UNTRUSTED),
        ("#31#4420", Some("never"), false, UNTRUSTED),
        ("*824420", Some("always"), true, OPEN),
        ("*31#4420", None, true, OPEN),
        ("4420", Some("always"), false, UNTRUSTED),
        ("4420", Some("never"), true, OPEN),
        ("4420", Some("request"), true, UNTRUSTED),
        ("4420", Some("request"), false, OPEN),
        ("4420", Some("misspelt"), false, UNTRUSTED),
        ("*69", None, false, OPEN),
    ] {
        let switch = switch(dialled, "4420");
        if let Some(clir) = clir {
            switch.customer_attribute("clir", clir);
        }
        assert_eq!(shown(&question(private, false)), expected, "{dialled} {clir:?} {private}");
    }
}

#[test]
fn emergency_services_always_see_the_caller_route_66() {
    let switch = switch("*67112", "112");
    switch.customer_attribute("clir", "always");
    switch.vendor_attribute(TrunkId(5), "anonymous", "refused");
    assert_eq!(shown(&question(true, false)), OPEN);
}

#[test]
fn a_vendor_that_refuses_anonymous_calls_gets_none() {
    let switch = switch("4420", "4420");
    switch.vendor_attribute(TrunkId(5), "anonymous", "refused");
    let mut plugin: PrivacyRules = configured("").expect("defaults");
    let rejection = plugin.present(&question(true, true)).expect_err("the next trunk");
    assert_eq!((rejection.code, rejection.reason), (403, Reason::CallerBarred));
    assert_eq!(rejection.detail, "trunk 5 takes no anonymous calls");
    assert_eq!(shown(&question(false, false)), OPEN);
}

#[test]
fn a_call_without_a_number_is_anonymous_without_headers_num_17() {
    let _switch = FakeHost::install();
    let nobody = IdentityQuestion {
        caller_out: String::new(),
        identity_out: String::new(),
        ..question(false, true)
    };
    assert_eq!(shown(&nobody), "anonymous@anonymous.invalid");
    let no_pai = IdentityQuestion { asserted_mode: HeaderMode::None, ..question(true, true) };
    assert_eq!(shown(&no_pai), UNTRUSTED);
}

#[test]
fn numbers_and_names_fit_a_header() {
    let _switch = FakeHost::install();
    let odd = IdentityQuestion {
        caller_out: "#31#49".to_owned(),
        identity_out: "#49".to_owned(),
        display: "Ann\r\nVia: x".to_owned(),
        ..question(false, true)
    };
    assert_eq!(
        shown(&odd),
        "%2331%2349@sip.example | P-Asserted-Identity: <sip:%2349@sip.example>"
    );
    assert_eq!(present(&odd).display, "AnnVia: x");
}

/// Whatever is asked: an untrusted vendor learns nothing of a private caller.
#[test]
fn no_header_tells_a_private_caller_to_an_untrusted_vendor() {
    testing::check(1_000, |draw| {
        let question = IdentityQuestion {
            private: true,
            target_trusted: false,
            caller_out: "4930123".to_owned(),
            identity_out: "4930123".to_owned(),
            fixed_identity: "<sip:4930123@carrier.example>".to_owned(),
            ..draw.identity_question()
        };
        assert_eq!(shown(&question), UNTRUSTED);
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<PrivacyRules>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"withhold_codes":["67"]}"#, "field `withhold_codes`: `67` is no code such as *67"),
        (r#"{"withhold_codes":[""]}"#, "field `withhold_codes`: `` is no code such as *67"),
        (r#"{"show_codes":["*"]}"#, "field `show_codes`: `*` is no code such as *67"),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"codes":[]}"#).contains("codes"));
}
