//! The peers without a switch in between: a failure here is an error in a script.

use std::time::Duration;
use strowger_tests::net::Net;
use strowger_tests::sipp::Script;
use strowger_tests::switch::Folder;

#[test]
fn each_caller_script_fits_its_vendor_script() {
    let pairs = [
        ("caller_calls", "vendor_answers"),
        ("caller_calls", "vendor_answers_early_media"),
        ("caller_waits_for_bye", "vendor_hangs_up"),
        ("caller_expects_refusal", "vendor_refuses"),
        ("caller_cancels", "vendor_rings"),
        ("caller_holds", "vendor_is_held"),
        ("caller_is_held", "vendor_holds"),
    ];
    for (caller, vendor) in pairs {
        let net = Net::new();
        let folder = Folder::new();
        let target = std::net::SocketAddr::new(net.vendor_a(), 5060);
        let mut answers = Script::new(vendor, net.vendor_a()).start(folder.path());
        let mut calls = Script::new(caller, net.caller()).to(target).start(folder.path());
        calls.succeeds(Duration::from_secs(20));
        answers.succeeds(Duration::from_secs(20));
        assert_eq!(calls.counts(), (1, 0), "{caller} to {vendor}");
    }
}
