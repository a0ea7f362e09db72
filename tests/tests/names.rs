//! Vendors by host name: NAPTR, SRV and address records, changes, unresponsive name servers
//! (SIG-65, SIG-66), and transports set in targets.

use std::time::{Duration, Instant};
use strowger_tests::dns::NameServer;
use strowger_tests::sipp::{Sipp, header};
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::Setup;
use strowger_tests::wait;

/// Host number of the test's name server.
const NAME_SERVER: u8 = 53;

/// A switch with these targets of vendor-a and more lines of the node file's `[dns]` table, and its
/// name server.
fn setup(targets: &str, dns: &str) -> (Setup, NameServer) {
    let mut setup = Setup::new();
    let server = NameServer::at(setup.net.host(NAME_SERVER));
    setup.vendor_a = format!("targets = [{targets}]\n");
    setup.plugin_lines = format!("{}{dns}\n", server.lines());
    (setup, server)
}

/// Adds a TCP listener at the port of the UDP listener.
fn with_tcp(setup: &mut Setup) {
    setup.plugin_lines.push_str(&format!(
        "[[listeners]]\nname = \"tcp\"\naddress = \"{}\"\ntransport = \"tcp\"\n",
        setup.net.switch()
    ));
}

/// One more call, accepted by the vendor.
fn call(stage: &Stage, mut vendor: Sipp) -> Sipp {
    stage.caller().calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    vendor
}

fn alarm(stage: &Stage) -> Option<String> {
    let alarms = stage.switch.get("/v1/alarms");
    let mut lines = alarms.as_array()?.iter();
    let line = lines.find(|line| line["alarm"] == "name_unresolved")?;
    Some(format!("{}: {}", line["object"].as_str()?, line["detail"].as_str()?))
}

/// Target of the newest record's last attempt.
fn last_target(stage: &Stage, calls: usize) -> String {
    let records = stage.switch.settled_records(calls);
    let attempts = records[0]["attempts"].as_array().expect("attempts");
    attempts.last().expect("one")["target"].as_str().expect("a text").to_owned()
}

/// SIG-66: the SRV record gives the port, the Request-URI keeps the name; the server with the lower
/// priority value comes first, the other one second (SIG-65).
#[test]
fn a_vendor_by_name_is_found_through_its_srv_records() {
    let (setup, server) = setup("\"gw.vendor.test\"", "");
    let (first, second) = (setup.net.vendor_a(), setup.net.vendor_b());
    server.service(
        "_sip._udp.gw.vendor.test",
        &[(20, 0, 5060, "b.vendor.test"), (10, 0, 5060, "a.vendor.test")],
    );
    server.host("a.vendor.test", &[first]);
    server.host("b.vendor.test", &[second]);
    let stage = Stage::with(&setup);
    let vendor = call(&stage, stage.vendor_a().answers());
    let invite = vendor.hears("INVITE ");
    assert!(invite.starts_with("INVITE sip:442071234567@gw.vendor.test SIP/2.0"), "{invite}");
    assert_eq!(header(&invite, "To").as_deref(), Some("<sip:442071234567@gw.vendor.test>"));
    assert_eq!(last_target(&stage, 1), format!("{first}:5060"));
    drop(vendor);

    // The first server is gone: the call continues at the second one of the same trunk.
    let begun = Instant::now();
    call(&stage, stage.vendor_b().answers());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let records = stage.switch.settled_records(2);
    let attempts = records[0]["attempts"].as_array().expect("attempts");
    assert_eq!(attempts[0]["end_reason"], "connect_failed", "{}", records[0]);
    assert!(attempts.iter().all(|attempt| attempt["vendor"] == "vendor-a"), "{}", records[0]);
    assert_eq!(last_target(&stage, 2), format!("{second}:5060"));
    assert_eq!(stage.switch.metric("strowger_names", &["resolved"]), 1.0);
}

/// SIG-66: the address changes during a call: the next call goes to the new one, and the old vendor
/// can still hang up.
#[test]
fn a_name_that_changes_takes_new_calls_along_and_leaves_the_running_ones() {
    let (setup, server) = setup("\"gw.vendor.test:5060\"", "");
    let (first, second) = (setup.net.host(31), setup.net.host(32));
    server.host("gw.vendor.test", &[first]);
    let stage = Stage::with(&setup);
    let script = |address, name| {
        let folder = stage.switch.folder().path().to_owned();
        strowger_tests::sipp::Script::new(name, address).with("talk_ms", "4000").start(&folder)
    };
    let mut old = script(first, "vendor_hangs_up");
    let mut held = stage.caller().waits_for_bye();
    let _ = old.hears("ACK ");
    server.host("gw.vendor.test", &[second]);
    let shown = format!("{second}:5060");
    wait::until("the new address", CALL_LIMIT, || {
        stage.switch.log().contains(&shown).then_some(())
    });
    let mut new = script(second, "vendor_answers");
    // The running call uses the caller's usual address.
    let mut next = stage
        .caller()
        .with("caller", "15551230002")
        .script("caller_calls")
        .port(5070)
        .start(stage.switch.folder().path());
    next.succeeds(CALL_LIMIT);
    new.succeeds(CALL_LIMIT);
    held.succeeds(CALL_LIMIT);
    old.succeeds(CALL_LIMIT);
    let records = stage.switch.settled_records(2);
    let targets: Vec<&str> =
        records.iter().filter_map(|record| record["attempts"][0]["target"].as_str()).collect();
    assert!(targets.contains(&&*format!("{first}:5060")) && targets.contains(&&*shown));
    assert!(records.iter().any(|record| record["end_reason"] == "callee_hangup"), "{records:?}");
}

/// SIG-66: without responses of name servers, calls go to the last address, with an alarm; once
/// that is too old, the attempt ends at once with `connect_failed` (SIG-24), and the next vendor
/// gets the call.
#[test]
fn the_last_good_answer_is_kept_while_name_servers_are_silent() {
    let (setup, server) = setup("\"gw.vendor.test:5060\"", "keep = \"8s\"");
    server.host("gw.vendor.test", &[setup.net.vendor_a()]);
    let stage = Stage::with(&setup);
    assert_eq!(alarm(&stage), None);
    server.is_silent(true);
    let silent = Instant::now();
    let told = wait::until("an alarm", CALL_LIMIT, || alarm(&stage));
    assert!(told.starts_with("gw.vendor.test: "), "{told}");
    assert!(told.contains("calls go to the addresses of the last answer"), "{told}");
    assert!(silent.elapsed() < Duration::from_secs(8), "{:?}", silent.elapsed());
    call(&stage, stage.vendor_a().answers());
    assert_eq!(stage.switch.metric("strowger_names", &["stale"]), 1.0);

    wait::until("the end of the last answer", Duration::from_secs(40), || {
        alarm(&stage).filter(|told| told.contains("no call can go there"))
    });
    let begun = Instant::now();
    call(&stage, stage.vendor_b().answers());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let records = stage.switch.settled_records(2);
    assert_eq!(records[0]["attempts"][0]["end_reason"], "connect_failed", "{}", records[0]);
    assert_eq!(records[0]["attempts"][0]["target"], "gw.vendor.test", "{}", records[0]);
    assert_eq!(records[0]["attempts"][1]["code"], 200, "{}", records[0]);

    server.is_silent(false);
    wait::until("the end of the alarm", CALL_LIMIT, || alarm(&stage).is_none().then_some(()));
    call(&stage, stage.vendor_a().answers());
}

/// SIG-24: a name that does not exist costs a call one attempt.
#[test]
fn a_name_that_does_not_exist_is_followed_by_the_next_vendor() {
    let (setup, _server) = setup("\"nowhere.vendor.test\"", "");
    let stage = Stage::with(&setup);
    let begun = Instant::now();
    call(&stage, stage.vendor_b().answers());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let record = stage.switch.record();
    record.shows("/attempts/0/end_reason", "connect_failed").shows("/attempts/0/sends", 0);
    record.shows("/attempts/1/code", 200);
    let told = wait::until("an alarm", CALL_LIMIT, || alarm(&stage));
    assert!(told.contains("the name servers know no address of it"), "{told}");
}

/// RFC 3263 section 4.1: the transport comes from the target or from NAPTR records; both use the
/// TCP listener at the address of the trunk's UDP listener.
#[test]
fn a_target_over_tcp_needs_no_trunk_of_its_own() {
    for by_naptr in [false, true] {
        let target = if by_naptr { "gw.vendor.test" } else { "sip:gw.vendor.test;transport=tcp" };
        let (mut setup, server) = setup(&format!("\"{target}\""), "");
        with_tcp(&mut setup);
        if by_naptr {
            server.services(
                "gw.vendor.test",
                &[
                    (20, "SIP+D2U", "_sip._udp.gw.vendor.test"),
                    (10, "SIP+D2T", "_sip._tcp.gw.vendor.test"),
                ],
            );
        }
        server.service("_sip._tcp.gw.vendor.test", &[(0, 0, 5060, "a.vendor.test")]);
        server.host("a.vendor.test", &[setup.net.vendor_a()]);
        let stage = Stage::with(&setup);
        let folder = stage.switch.folder().path().to_owned();
        let vendor = stage.vendor_a().script("vendor_answers").arguments(&["-t", "t1"]);
        let vendor = call(&stage, vendor.start(&folder));
        let invite = vendor.hears("INVITE ");
        let parameter = if by_naptr { "" } else { ";transport=tcp" };
        let line = format!("INVITE sip:442071234567@gw.vendor.test{parameter} SIP/2.0");
        assert!(invite.starts_with(&line), "{invite}");
        stage.switch.record().shows("/attempts/0/transport", "tcp");
    }
}

/// SIG-65: by weight, among addresses and names.
#[test]
fn targets_with_weights_share_the_calls() {
    let mut setup = Setup::new();
    let (first, second) = (setup.net.vendor_a(), setup.net.vendor_b());
    setup.vendor_a = format!(
        "targets = [{{ target = \"{first}\", priority = 10, weight = 50 }}, \
         {{ target = \"{second}\", priority = 10, weight = 50 }}]\n"
    );
    setup.vendor_b = format!("targets = [\"{}\"]\n", setup.net.host(33));
    let stage = Stage::with(&setup);
    let folder = stage.switch.folder().path().to_owned();
    let endless = |vendor: strowger_tests::stage::Vendor| {
        vendor.with("ring_ms", 1).script("vendor_answers").calls(0, 10).quiet().start(&folder)
    };
    let vendors = [endless(stage.vendor_a()), endless(stage.vendor_b())];
    let calls = 30;
    let mut caller =
        stage.caller().with("talk_ms", 10).script("caller_calls").calls(calls, 20).start(&folder);
    caller.succeeds(CALL_LIMIT);
    let records = stage.switch.settled_records(calls as usize);
    let at = |host| {
        let target = format!("{host}:5060");
        records.iter().filter(|record| record["attempts"][0]["target"] == *target).count()
    };
    let (first, second) = (at(first), at(second));
    assert!(first > 3 && second > 3 && first + second == 30, "{first} and {second}");
    drop(vendors);
}
