//! Peers as found in the field, with the default plugins on the real program.

use strowger_tests::sipp::header;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::Setup;

/// The INVITE and BYE at the vendor of an anonymous PBX, and the record.
fn call_of_a_pbx(trusted: bool, privacy: &str) -> (String, String, String) {
    let mut setup = Setup::new();
    setup.customer = format!("trusted = {trusted}");
    let stage = Stage::with(&setup);
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("privacy", privacy).plays("caller_is_a_pbx");
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    record.shows("/end_reason", "caller_hangup").shows("/cause", 31);
    for message in vendor.received() {
        // Only the asserted identity may name the PBX.
        let rest: Vec<_> =
            message.lines().filter(|line| !line.starts_with("P-Asserted-Identity:")).collect();
        let told = rest.iter().any(|line| line.contains("pbx"));
        assert!(!told, "SIG-04: {message}");
    }
    let number = record.0["caller_in"].as_str().unwrap_or_default().to_owned();
    (vendor.hears("INVITE"), vendor.hears("BYE"), number)
}

/// SIG-68, SIG-78, RFC 3325 section 7: a trusted vendor gets the number asserted by a trusted PBX,
/// and From stays anonymous. SIG-89: it gets the caller's reason for hanging up.
#[test]
fn a_trusted_pbx_hides_its_caller_and_the_vendor_gets_the_asserted_number() {
    let (invite, bye, caller) = call_of_a_pbx(true, "Id");
    let value = |name| header(&invite, name).unwrap_or_else(|| panic!("no {name} in {invite}"));
    assert!(value("P-Asserted-Identity").contains("15551230001@"), "{invite}");
    assert!(value("From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>"));
    assert_eq!(value("Privacy"), "Id");
    assert_eq!(caller, "15551230001");
    let reason = header(&bye, "Reason");
    assert_eq!(reason.as_deref(), Some("Q.850;cause=31, SIP;cause=200"), "{bye}");
}

/// SIG-78: the identity asserted by an untrusted PBX is ignored. SIG-76: `None`, in any case,
/// requests no privacy.
#[test]
fn a_pbx_that_is_not_trusted_has_no_number() {
    let (invite, _, caller) = call_of_a_pbx(false, "None");
    assert!(!invite.contains("15551230001"), "{invite}");
    assert!(header(&invite, "Privacy").is_none(), "{invite}");
    assert_eq!(caller, "");
}
