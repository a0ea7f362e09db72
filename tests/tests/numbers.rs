//! Rewriting of caller and callee by the real program.

use strowger_tests::sipp::header;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::Setup;

/// NUM-01, NUM-04, NUM-05, NUM-07 to NUM-10, NUM-22: the customer's rules produce the numbers that
/// are rated and routed; each vendor's rules start from those, regardless of earlier vendors.
#[test]
fn numbers_are_rewritten_for_the_customer_and_for_each_vendor() {
    let mut setup = Setup::new();
    setup.customer =
        "tech_prefix = \"7700\"\ncallee_rules = \"in-callee\"\ncaller_rules = \"in-caller\""
            .to_owned();
    setup.vendor_a = "callee_rules = \"a-callee\"\ncaller_rules = \"a-caller\"\n\
                      identity_rules = \"a-identity\"\ntech_prefix = \"*88\""
        .to_owned();
    setup.vendor_b = "caller_rules = \"b-caller\"".to_owned();
    setup.business = [
        ("in-callee", "00 ->"),
        ("in-caller", "0 -> 49"),
        ("a-callee", "44 -> 0044"),
        ("a-caller", "49 -> +49"),
        ("a-identity", "+ -> 00"),
        ("b-caller", "49E10 -> 0"),
    ]
    .map(|(name, text)| format!("[[rule_set]]\nname = \"{name}\"\ntext = \"{text}\"\n"))
    .concat();
    let stage = Stage::with(&setup);
    let mut vendor_a = stage.vendor_a().refuses(503);
    let mut vendor_b = stage.vendor_b().answers();
    let caller = stage.caller().with("callee", "770000442071234567").with("caller", "05551230001");
    caller.calls().succeeds(CALL_LIMIT);
    vendor_a.succeeds(CALL_LIMIT);
    vendor_b.succeeds(CALL_LIMIT);

    for (vendor, callee, from, asserted) in [
        (&vendor_a, "*8800442071234567", "+495551230001", "00495551230001"),
        (&vendor_b, "442071234567", "05551230001", "05551230001"),
    ] {
        let invite = vendor.hears("INVITE");
        assert!(invite.starts_with(&format!("INVITE sip:{callee}@")), "{invite}");
        for (name, number) in [("From", from), ("P-Asserted-Identity", asserted)] {
            let value = header(&invite, name).unwrap_or_else(|| panic!("no {name} in {invite}"));
            assert!(value.contains(&format!("<sip:{number}@")), "{name}: {value}");
        }
    }
    stage
        .switch
        .record()
        .shows("/callee_in", "770000442071234567")
        .shows("/tech_prefix_in", "7700")
        .shows("/callee_route", "442071234567")
        .shows("/caller_in", "05551230001")
        .shows("/caller_route", "495551230001")
        .shows("/sell/prefix", "4420")
        .shows("/attempts/0/callee_out", "*8800442071234567")
        .shows("/attempts/0/caller_out", "+495551230001")
        .shows("/attempts/0/identity_out", "00495551230001")
        .shows("/attempts/1/callee_out", "442071234567")
        .shows("/attempts/1/caller_out", "05551230001");
}
