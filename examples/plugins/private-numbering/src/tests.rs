use super::*;
use plugin_sdk::{FakeHost, TrunkId, configured, testing};

/// Site 7 is 4930555..., site 5 is 4420700..., extension 799 of site 7 has another public number.
fn switch() -> FakeHost {
    let switch = FakeHost::install();
    switch.customer_attribute("private_plan", "acme");
    switch.vendor_attribute(TrunkId(5), "private_plan", "acme");
    switch.vendor_attribute(TrunkId(6), "private_plan", "other");
    switch.table("private-acme", &[("7", "4930555"), ("5", "4420700"), ("7799", "49891000")]);
    switch.table("public-acme", &[("4930555", "7"), ("4420700", "5")]);
    switch
}

fn ingress(json: &str, caller: &str, callee: &str) -> Result<(String, String), Rejection> {
    let mut plugin: PrivateNumbering = configured(json).expect(json);
    let (caller, callee) = (caller.to_owned(), callee.to_owned());
    let question = NumberQuestion { caller, callee, ..NumberQuestion::default() };
    plugin.rewrite(&question).map(|numbers| (numbers.caller, numbers.callee))
}

fn egress(trunk: u32, caller: &str) -> (String, String, String) {
    let mut plugin: PrivateNumbering = configured("").expect("defaults");
    let question = NumberQuestion {
        stage: Stage::Egress,
        trunk: TrunkId(trunk),
        caller: caller.to_owned(),
        callee: "4930555123".to_owned(),
        identity: "+4420700200".to_owned(),
        ..NumberQuestion::default()
    };
    let numbers = plugin.rewrite(&question).expect("numbers");
    (numbers.caller, numbers.callee, numbers.identity)
}

#[test]
fn a_private_number_becomes_public_at_both_ends() {
    let _switch = switch();
    for (caller, callee, public_caller, public_callee) in [
        ("5200", "7123", "4420700200", "4930555123"),
        ("5200", "7799", "4420700200", "49891000"),
        ("4420700200", "7123", "4420700200", "4930555123"),
        ("5200", "442071234567", "4420700200", "442071234567"),
        ("", "7123", "", "4930555123"),
        ("9200", "7123", "9200", "4930555123"),
    ] {
        let numbers = ingress("", caller, callee).expect(callee);
        assert_eq!(numbers, (public_caller.to_owned(), public_callee.to_owned()), "{callee}");
    }
}

#[test]
fn a_short_number_of_nobody_is_refused_unless_it_may_be_public() {
    let _switch = switch();
    let rejection = ingress("", "", "9123").expect_err("no site 9");
    assert_eq!((rejection.code, rejection.reason), (404, Reason::NumberInvalid));
    assert_eq!(rejection.detail, "`9123` is no private number of plan `acme`");
    assert_eq!(ingress(r#"{"unknown":"pass"}"#, "", "9123").expect("public").1, "9123");
    assert_eq!(ingress("", "", "91234").expect_err("five digits").code, 404);
    assert_eq!(ingress("", "", "912345").expect("six digits are public").1, "912345");
    for public in ["112", "911", "*99", "sales", "+7123", ""] {
        assert_eq!(ingress("", "", public).expect(public).1, public);
    }
}

#[test]
fn other_customers_keep_their_numbers() {
    let switch = switch();
    switch.customer_attribute("private_plan", "empty");
    assert_eq!(ingress("", "", "7123").expect_err("its lists are missing").code, 404);
    let switch = FakeHost::install();
    switch.table("private-acme", &[("7", "4930555")]);
    assert_eq!(ingress("", "5200", "7123").expect("no plan"), ("5200".into(), "7123".into()));
}

#[test]
fn only_a_colleague_sees_the_private_number() {
    let switch = switch();
    let private = ("5200".into(), "4930555123".into(), "5200".into());
    assert_eq!(egress(5, "4420700200"), private);
    assert_eq!(egress(5, "+4420700200"), private);
    let public = ("4420700200".into(), "4930555123".into(), "+4420700200".into());
    for trunk in [6, 7] {
        assert_eq!(egress(trunk, "4420700200"), public, "trunk {trunk}");
    }
    assert_eq!(egress(5, "+33123456").0, "+33123456", "a caller from outside");
    switch.table("public-acme", &[("", "9")]);
    assert_eq!(egress(5, "").0, "", "a withheld number");
}

#[test]
fn without_a_plan_nothing_changes() {
    testing::check(300, |draw| {
        let mut plugin: PrivateNumbering = configured("").expect("defaults");
        for stage in [Stage::Ingress, Stage::Egress] {
            let question = draw.number_question(stage);
            let numbers = plugin.rewrite(&question).expect("numbers");
            assert_eq!((numbers.caller, numbers.callee), (question.caller, question.callee));
        }
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<PrivateNumbering>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"private":""}"#, "field `private`: name a number list"),
        (r#"{"public":""}"#, "field `public`: name a number list"),
        (r#"{"max_digits":0}"#, "field `max_digits`: 0, allowed is 1 to 9"),
        (r#"{"max_digits":10}"#, "field `max_digits`: 10, allowed is 1 to 9"),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"unknown":"drop"}"#).starts_with("field `unknown`: unknown variant"));
}
