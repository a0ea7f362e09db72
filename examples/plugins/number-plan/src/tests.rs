use super::*;
use plugin_sdk::{FakeHost, TrunkId, configured, testing};

const PLANS: &str = r#""plans":{
    "de":{"country":"49","area":"30"},
    "us":{"country":"1","international":"011","national":"1","national_digits":10},
    "es":{"country":"34","national":"","national_digits":9}
}"#;

fn plugin(more: &str) -> NumberPlan {
    configured(&format!("{{{PLANS}{more}}}")).expect(PLANS)
}

fn ingress(plan: &str, caller: &str, callee: &str) -> Result<(String, String), Rejection> {
    let switch = FakeHost::install();
    switch.customer_attribute("number_plan", plan);
    let (caller, callee) = (caller.to_owned(), callee.to_owned());
    let question = NumberQuestion { caller, callee, ..NumberQuestion::default() };
    plugin("").rewrite(&question).map(|numbers| (numbers.caller, numbers.callee))
}

/// Caller, callee and identity towards a vendor with this format.
fn egress(format: &str, caller: &str, callee: &str) -> Result<[String; 3], Rejection> {
    let switch = FakeHost::install();
    if !format.is_empty() {
        switch.vendor_attribute(TrunkId(5), "number_format", format);
    }
    let question = NumberQuestion {
        stage: Stage::Egress,
        trunk: TrunkId(5),
        caller: caller.to_owned(),
        callee: callee.to_owned(),
        ..NumberQuestion::default()
    };
    let numbers = plugin("").rewrite(&question)?;
    Ok([numbers.caller, numbers.callee, numbers.identity])
}

#[test]
fn what_people_dial_becomes_e164_num_28() {
    for (plan, dialled, number) in [
        ("de", "+442071234567", "442071234567"),
        ("de", "00442071234567", "442071234567"),
        ("de", "08912345678", "498912345678"),
        ("de", "1234567", "49301234567"),
        ("us", "011442071234567", "442071234567"),
        ("us", "12025550100", "12025550100"),
        ("us", "2025550100", "12025550100"),
        ("es", "912345678", "34912345678"),
        ("es", "00442071234567", "442071234567"),
        ("es", "34912345678", "34912345678"),
    ] {
        let numbers = ingress(plan, dialled, dialled).expect(dialled);
        assert_eq!(numbers, (number.to_owned(), number.to_owned()), "{plan} {dialled}");
    }
}

#[test]
fn a_callee_that_is_no_number_is_refused_and_such_a_caller_stays() {
    for callee in ["00123456", "0012345678901234567", "*99", "sales", "0", "+", ""] {
        let rejection = ingress("de", "4930", callee).expect_err(callee);
        assert_eq!((rejection.code, rejection.reason), (484, Reason::NumberInvalid), "{callee}");
        assert_eq!(rejection.detail, format!("`{callee}` is no number of plan `de`"));
    }
    for (callee, digits) in [("001234567", 7), ("00123456789012345", 15)] {
        assert_eq!(ingress("de", "", callee).expect(callee).1.len(), digits, "just right");
    }
    for caller in ["", "anonymous", "00"] {
        assert_eq!(ingress("de", caller, "0891234567").expect(caller).0, caller);
    }
}

#[test]
fn emergency_numbers_and_customers_without_a_plan_stay() {
    let numbers = ingress("de", "1234567", "112").expect("an emergency call");
    assert_eq!(numbers, ("49301234567".to_owned(), "112".to_owned()));
    let _switch = FakeHost::install();
    let question = NumberQuestion { callee: "0891".to_owned(), ..NumberQuestion::default() };
    assert_eq!(plugin("").rewrite(&question).expect("no plan").callee, "0891");
    let german = plugin(r#","default_plan":"de""#).rewrite(&question);
    assert_eq!(german.expect_err("too short").code, 484);
}

#[test]
fn vendors_get_their_format() {
    for (format, caller, callee) in [
        ("", "498912345", "442071234567"),
        ("e164", "498912345", "442071234567"),
        ("plus", "+498912345", "+442071234567"),
        ("plan de", "08912345", "00442071234567"),
        ("plan us", "011498912345", "011442071234567"),
        ("plan es", "00498912345", "00442071234567"),
    ] {
        let numbers = egress(format, "498912345", "442071234567").expect(format);
        assert_eq!(numbers, [caller, callee, caller], "`{format}`");
    }
    let short = egress("plus", "", "112").expect("an emergency call");
    assert_eq!(short, ["", "112", ""], "nothing to convert");
}

#[test]
fn a_plan_that_does_not_exist_fails_where_it_is_named() {
    let rejection = ingress("fr", "", "0891").expect_err("no such plan");
    assert_eq!((rejection.code, rejection.reason), (500, Reason::InternalError));
    assert_eq!(rejection.detail, "number plan `fr` is not in the settings");
    let rejection = egress("plan fr", "", "442071234567").expect_err("the next trunk");
    assert_eq!(rejection.detail, "number plan `fr` is not in the settings");
    assert!(egress("national", "", "44").is_err(), "a word that is no format");
}

/// A number that is dialled in a plan comes back as itself.
#[test]
fn there_and_back_is_the_same_number() {
    testing::check(1_000, |draw| {
        let number = draw.number();
        let plan = draw.one_of(&["de", "es"]);
        let dialled = egress(&format!("plan {plan}"), "", &number).expect("a number")[1].clone();
        let back = ingress(plan, "", &dialled).map(|(_, callee)| callee);
        // Spanish numbers have nine digits, no German one begins with 0.
        let ambiguous = plan == "es" && number.starts_with("34") || number.starts_with("490");
        assert!(ambiguous || back == Ok(number.clone()), "{number} {dialled} {back:?}");
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<NumberPlan>(json).expect_err("must be refused");
    for (plan, words) in [
        (r#""country":"""#, "field `plans.x.country`: ``, write 1 or more digits"),
        (r#""country":"+49""#, "field `plans.x.country`: `+49`, write 1 or more digits"),
        (
            r#""country":"49","international":"""#,
            "field `plans.x.international`: ``, write 1 or more digits",
        ),
        (
            r#""country":"49","area":"Berlin""#,
            "field `plans.x.area`: `Berlin`, write 0 or more digits",
        ),
    ] {
        assert_eq!(refused(&format!(r#"{{"plans":{{"x":{{{plan}}}}}}}"#)), words);
    }
    assert_eq!(refused(r#"{"default_plan":"de"}"#), "field `default_plan`: `de` is not in `plans`");
    assert!(refused(r#"{"plans":{"x":{}}}"#).contains("country"));
}
