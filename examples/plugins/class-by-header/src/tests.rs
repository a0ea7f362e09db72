use super::*;
use plugin_sdk::{Candidate, FakeHost, configured};

/// Vendors 1 (standard), 2 (premium), 3 (both), 4 (no class).
fn switch() -> FakeHost {
    let switch = FakeHost::install();
    switch.customer_attribute("classes", "standard, premium");
    switch.vendor_attribute(TrunkId(1), "class", "standard");
    switch.vendor_attribute(TrunkId(2), "class", "Premium");
    switch.vendor_attribute(TrunkId(3), "class", "premium,standard");
    switch
}

fn chosen(json: &str, callee: &str) -> Vec<u32> {
    let vendor = |trunk| Candidate { trunk: TrunkId(trunk), ..Candidate::default() };
    let question = RouteQuestion {
        callee: callee.to_owned(),
        candidates: [4, 3, 2, 1].into_iter().map(vendor).collect(),
        ..RouteQuestion::default()
    };
    let mut plugin: ClassByHeader = configured(json).expect(json);
    plugin.select(&question).expect("no rejection").into_iter().map(|trunk| trunk.0).collect()
}

#[test]
fn the_header_chooses_among_the_customers_classes_route_21() {
    let switch = switch();
    switch.header("X-Class", " Premium ");
    assert_eq!(chosen("", "4420"), [3, 2], "in the order of the candidates");
    let mut plugin: ClassByHeader = configured("").expect("defaults");
    let after = plugin.after_failure(&Call::default(), &Outcome::default());
    assert_eq!(after, Decision::Pass);
}

#[test]
fn without_a_header_or_with_one_that_is_not_allowed_the_first_class_counts() {
    for headers in [&[][..], &["gold"], &[""], &["premium", "standard"]] {
        let switch = switch();
        for value in headers {
            switch.header("X-Class", value);
        }
        assert_eq!(chosen("", "4420"), [3, 1], "{headers:?}");
    }
    let switch = switch();
    switch.header("X-Class", "premium");
    switch.header("X-Class", "premium");
    assert_eq!(chosen("", "4420"), [3, 2], "said twice alike");
}

#[test]
fn a_customer_without_classes_cannot_ask_for_one() {
    let switch = FakeHost::install();
    switch.vendor_attribute(TrunkId(2), "class", "premium");
    switch.header("X-Class", "premium");
    assert_eq!(chosen("", "4420"), [4, 3, 2, 1]);
    switch.customer_attribute("classes", " , ");
    assert_eq!(chosen("", "4420"), [4, 3, 2, 1], "a list without a word");
}

#[test]
fn a_class_without_a_vendor_has_no_route_unless_any_will_do() {
    let switch = switch();
    switch.customer_attribute("classes", "gold");
    assert_eq!(chosen("", "4420"), [0_u32; 0]);
    assert_eq!(chosen(r#"{"fallback":"any"}"#, "4420"), [4, 3, 2, 1]);
    assert_eq!(chosen("", "112"), [4, 3, 2, 1], "an emergency call has every vendor");
    assert_eq!(chosen(r#"{"emergency":[]}"#, "112"), [0_u32; 0]);
}

#[test]
fn another_header_may_be_used() {
    let switch = switch();
    switch.header("P-Service", "premium");
    assert_eq!(chosen(r#"{"header":"p-service"}"#, "4420"), [3, 2]);
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<ClassByHeader>(json).expect_err("must be refused");
    assert_eq!(
        refused(r#"{"header":"X Class"}"#),
        "field `header`: `X Class` is no header name such as X-Class"
    );
    assert!(refused(r#"{"fallback":"all"}"#).starts_with("field `fallback`: unknown variant"));
    assert!(refused(r#"{"attribute":"a"}"#).contains("attribute"));
}
