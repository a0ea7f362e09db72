//! The story of a call, with sipp on both sides of the real program.

use std::time::Duration;
use strowger_tests::sipp::{audio_address, header};
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Record, Setup};
use strowger_tests::wait;

/// CDR-01, CDR-02, SIG-93: an answered call has one record and one attempt.
#[test]
fn an_answered_call_ends_when_the_caller_hangs_up() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);

    let record = stage.switch.record();
    record
        .shows("/end_reason", "caller_hangup")
        .shows("/ended_by", "caller")
        .shows("/code_returned", 200)
        .shows("/customer", "customer")
        .shows("/account", "payer")
        .shows("/caller_in", "15551230001")
        .shows("/callee_in", "442071234567")
        .shows("/attempts/0/vendor", "vendor-a")
        .shows("/attempts/0/code", 200);
    assert_eq!(record.vendors(), ["vendor-a"]);
}

/// CDR-06: readers of records do not notice the half second for which ended calls wait to be
/// written in a batch.
#[test]
fn a_call_that_has_ended_is_in_the_records_at_once() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    wait::until("the end of the call", CALL_LIMIT, || {
        (stage.switch.calls_now() == 0).then_some(())
    });
    assert_eq!(stage.switch.records().len(), 1);
}

/// SIG-93.
#[test]
fn an_answered_call_ends_when_the_callee_hangs_up() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers_and_hangs_up();
    let mut caller = stage.caller().waits_for_bye();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "callee_hangup").shows("/ended_by", "callee");
}

/// SIG-04: neither side sees an address, Call-ID or tag of the other.
#[test]
fn the_two_legs_know_nothing_of_each_other() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);

    let caller_address = stage.net.caller().to_string();
    let vendor_address = stage.net.vendor_a().to_string();
    for message in vendor.received() {
        assert!(!message.contains(&caller_address), "the vendor sees the caller:\n{message}");
    }
    for message in caller.received() {
        assert!(!message.contains(&vendor_address), "the caller sees the vendor:\n{message}");
    }
    let invite = vendor.hears("INVITE");
    let answer = caller.hears("SIP/2.0 200");
    assert_ne!(header(&invite, "Call-ID"), header(&answer, "Call-ID"));
    assert_ne!(header(&invite, "From"), header(&answer, "From"));
    let contact = header(&invite, "Contact").expect("an INVITE has a Contact");
    assert!(contact.contains(&stage.net.switch().to_string()), "{contact}");
}

/// ROUTE-50 row 6, SIG-86.
#[test]
fn busy_is_told_to_the_caller_and_no_other_vendor_is_tried() {
    let stage = Stage::new();
    let mut vendor_a = stage.vendor_a().refuses(486);
    let silent_b = stage.vendor_b().is_silent();
    let mut caller = stage.caller().is_refused_with(486);
    caller.succeeds(CALL_LIMIT);
    vendor_a.succeeds(CALL_LIMIT);

    let record = stage.switch.record();
    record.shows("/end_reason", "callee_busy").shows("/code_returned", 486);
    assert_eq!(record.vendors(), ["vendor-a"]);
    silent_b.set_nonblocking(true).unwrap();
    assert!(silent_b.recv(&mut [0; 16]).is_err(), "the second vendor was called");
}

/// ROUTE-51 (wholesale), ROUTE-52, ROUTE-55.
#[test]
fn a_vendor_in_trouble_is_followed_by_the_next_one() {
    let stage = Stage::new();
    let mut vendor_a = stage.vendor_a().refuses(503);
    let mut vendor_b = stage.vendor_b().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor_a.succeeds(CALL_LIMIT);
    vendor_b.succeeds(CALL_LIMIT);

    assert!(!caller.messages().contains("SIP/2.0 503"), "a failed attempt is not told upstream");
    let record = stage.switch.record();
    record
        .shows("/end_reason", "caller_hangup")
        .shows("/attempts/0/code", 503)
        .shows("/attempts/0/end_reason", "device_congested")
        .shows("/attempts/1/code", 200);
    assert_eq!(record.vendors(), ["vendor-a", "vendor-b"]);
}

/// SIG-86, ROUTE-50 row 12: `best` takes the most specific code.
#[test]
fn when_every_vendor_fails_the_caller_gets_the_most_telling_code() {
    let stage = Stage::new();
    let mut vendor_a = stage.vendor_a().refuses(480);
    let mut vendor_b = stage.vendor_b().refuses(503);
    let mut caller = stage.caller().is_refused_with(480);
    caller.succeeds(CALL_LIMIT);
    vendor_a.succeeds(CALL_LIMIT);
    vendor_b.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    record.shows("/end_reason", "all_routes_failed").shows("/code_returned", 480);
    assert_eq!(record.vendors(), ["vendor-a", "vendor-b"]);
}

/// SIG-15, SIG-21: the INVITE is retransmitted, then given up, then the next vendor is tried.
#[test]
fn a_silent_vendor_is_given_up_and_followed_by_the_next_one() {
    let mut setup = Setup::new();
    setup.vendor_a = "timers = { response = \"2s\" }".to_owned();
    let stage = Stage::with(&setup);
    let silent = stage.vendor_a().is_silent();
    let mut vendor_b = stage.vendor_b().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor_b.succeeds(CALL_LIMIT);

    silent.set_nonblocking(true).unwrap();
    let mut buffer = [0; 2048];
    let mut invites = 0;
    while let Ok(length) = silent.recv(&mut buffer) {
        invites += usize::from(buffer[..length].starts_with(b"INVITE "));
    }
    assert_eq!(invites, 3, "sent at 0, 0.5 and 1.5 s, given up after 2 s");
    stage
        .switch
        .record()
        .shows("/attempts/0/end_reason", "no_response")
        .shows("/attempts/0/code", 0)
        .shows("/attempts/1/code", 200);
}

/// SIG-24: the first vendor's port is closed, and its system says so. Two such errors end the
/// attempt, long before the 10 s of SIG-15. With two shards the kernel may give the ICMP error to
/// the shard that did not send.
#[test]
fn a_vendor_whose_port_is_closed_is_followed_by_the_next_one() {
    const CALLS: u32 = 6;
    let mut setup = Setup::new();
    setup.node = "shards = 2".to_owned();
    let stage = Stage::with(&setup);
    let folder = stage.switch.folder().path();
    let script = stage.vendor_b().script("vendor_answers");
    let mut vendor_b = script.calls(CALLS, 10).quiet().start(folder);
    let script = stage.caller().script("caller_calls");
    let mut caller = script.calls(CALLS, 10).start(folder);
    caller.succeeds(CALL_LIMIT);
    vendor_b.succeeds(CALL_LIMIT);

    for record in stage.switch.settled_records(CALLS as usize) {
        let id = record["id"].as_str().expect("a record has an id");
        let record = Record(stage.switch.get(&format!("/v1/records/{id}")));
        record
            .shows("/attempts/0/end_reason", "connect_failed")
            .shows("/attempts/0/code", 0)
            .shows("/attempts/1/code", 200);
        assert_eq!(record.vendors(), ["vendor-a", "vendor-b"]);
    }
}

/// SIG-19, ROUTE-50 row 8: ringing without an answer ends the call.
#[test]
fn a_vendor_that_only_rings_is_cancelled() {
    let mut setup = Setup::new();
    setup.vendor_a = "timers = { ringing = \"1s\" }".to_owned();
    let stage = Stage::with(&setup);
    let mut vendor_a = stage.vendor_a().rings();
    let mut caller = stage.caller().is_refused_with(480);
    caller.succeeds(CALL_LIMIT);
    vendor_a.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    record.shows("/end_reason", "ring_timeout").shows("/code_returned", 480);
    assert_eq!(record.vendors(), ["vendor-a"]);
}

/// SIG-08.
#[test]
fn a_caller_that_gives_up_gets_487_and_the_vendor_is_cancelled() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().rings();
    let mut caller = stage.caller().cancels();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    record
        .shows("/end_reason", "caller_cancelled")
        .shows("/code_returned", 487)
        .shows("/duration_ms", 0);
    assert_eq!(record.vendors(), ["vendor-a"]);
}

/// SIG-19, SIG-14, CDR-54.
#[test]
fn a_long_ring_before_the_answer_is_patiently_waited_for() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().with("ring_ms", 4000).answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    let rang = record.number("/answer_ms") - record.number("/ringing_ms");
    assert!(rang >= 3900, "rang for {rang} ms");
    let pdd = record.number("/pdd_ms");
    assert!(pdd < rang, "ringing is no part of the {pdd} ms before it");
}

/// SIG-05: hold and resume pass through, with the direction of the holding side.
#[test]
fn the_caller_can_hold_the_callee_and_take_it_back() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().plays("vendor_is_held");
    let mut caller = stage.caller().plays("caller_holds");
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "caller_hangup");
}

/// SIG-05.
#[test]
fn the_callee_can_hold_the_caller_and_take_it_back() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().plays("vendor_holds");
    let mut caller = stage.caller().plays("caller_is_held");
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "callee_hangup");
}

/// ROUTE-55, SIG-18: early media reaches the caller as 183 with the switch's own address.
#[test]
fn early_media_is_offered_to_the_caller() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().plays("vendor_answers_early_media");
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let progress = caller.hears("SIP/2.0 183");
    let audio = audio_address(&progress).expect("a 183 with SDP");
    assert_eq!(audio.ip(), stage.net.media());
}

/// BILL-12, BILL-17, BILL-29, CDR-05: each started second costs the customer 0.01 and us 0.002.
#[test]
fn a_call_of_known_length_is_priced_on_both_sides() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("talk_ms", 2300).with("callee", "441619998888").calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);

    let record = stage.switch.record();
    let talked = record.number("/duration_ms");
    assert!(talked >= 2300, "talked for {talked} ms");
    // 3, unless the machine delayed the caller's BYE.
    let billed = talked.div_ceil(1000);
    record
        .shows("/sell/deck", "sell")
        .shows("/sell/prefix", "44")
        .shows("/sell/destination", "United Kingdom")
        .shows("/sell/currency", "EUR")
        .shows("/sell/billed_s", billed)
        .shows("/attempts/0/buy/billed_s", billed);
    let money = |pointer: &str| -> f64 {
        record
            .0
            .pointer(pointer)
            .and_then(|v| v.as_str())
            .expect("money is a text")
            .parse()
            .unwrap()
    };
    let near = |value: f64, wanted: f64| (value - wanted).abs() < 1e-9;
    let seconds = f64::from(u32::try_from(billed).expect("a short call"));
    assert!(near(money("/sell/amount"), 0.01 * seconds), "{}", record.0);
    assert!(near(money("/cost"), 0.002 * seconds), "{}", record.0);
    assert!(near(money("/profit"), 0.008 * seconds), "{}", record.0);
    let left = 1_000_000.0 - 0.01 * seconds;
    assert!(near(money("/balance_after"), left), "{}", record.0);

    let accounts = stage.switch.get("/v1/accounts");
    let accounts = accounts.as_array().or_else(|| accounts["accounts"].as_array()).unwrap();
    let payer = accounts.iter().find(|account| account["name"] == "payer").unwrap();
    assert!(near(payer["balance"].as_str().unwrap().parse().unwrap(), left), "{payer}");
}

/// BILL-03: the longest prefix determines the price.
#[test]
fn the_longest_prefix_decides_the_price() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/sell/prefix", "4420").shows("/sell/destination", "London");
}

/// The decision trail: each hook asked, who answered, and how long it took.
#[test]
fn the_record_explains_every_decision() {
    let stage = Stage::new();
    let mut vendor_a = stage.vendor_a().refuses(503);
    let mut vendor_b = stage.vendor_b().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor_a.succeeds(CALL_LIMIT);
    vendor_b.succeeds(CALL_LIMIT);

    let record = stage.switch.record();
    let trail = record.0["trail"].as_array().expect("a trail");
    let hooks: Vec<&str> = trail.iter().filter_map(|entry| entry["hook"].as_str()).collect();
    for hook in ["screening", "numbering", "rating", "routing", "identity"] {
        assert!(hooks.contains(&hook), "{hook} was not asked: {hooks:?}");
    }
    for entry in trail {
        assert_eq!(entry["fault"], "", "{entry}");
        assert_ne!(entry["plugin"], "core", "{entry}");
    }
    let generation = record.number("/generation");
    assert!(generation > 0);
    record.shows("/attempts/0/generation", generation).shows("/attempts/1/generation", generation);
}

/// SIG-72, SIG-70: the default identity of a vendor trunk.
#[test]
fn the_vendor_sees_the_caller_in_from_and_in_the_asserted_identity() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let invite = vendor.hears("INVITE");
    for name in ["From", "P-Asserted-Identity"] {
        let value = header(&invite, name).unwrap_or_else(|| panic!("no {name} in {invite}"));
        assert!(value.contains("sip:15551230001@"), "{name}: {value}");
    }
    assert!(invite.starts_with("INVITE sip:442071234567@"), "{invite}");
}

/// SIG-57.
#[test]
fn a_known_peer_that_asks_options_is_answered() {
    let stage = Stage::new();
    let mut peer = stage.caller().plays("peer_asks_options");
    peer.succeeds(Duration::from_secs(5));
}
