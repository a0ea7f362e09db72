//! Effects of a vendor's failure, depending on the settings of routing plugin and trunks (ROUTE-50,
//! ROUTE-51).

use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Record, Setup, built_plugin};
use strowger_tests::wait;

/// A switch whose routing plugin has these settings.
fn routing(config: &str) -> Setup {
    // The plugin named last gets the lines that follow.
    let mut setup = Setup::new().plugin("routing", &built_plugin("routing"));
    setup.plugin_lines = format!("config = {{ {config} }}\n");
    setup
}

/// The newest of `calls` records, with its attempts.
fn newest(stage: &Stage, calls: usize) -> Record {
    let records = stage.switch.settled_records(calls);
    let id = records[0]["id"].as_str().expect("a record has an id");
    Record(stage.switch.get(&format!("/v1/records/{id}")))
}

/// ROUTE-51: a code of each kind, under each preset.
#[test]
fn each_preset_stops_and_switches_as_its_column_says() {
    // Codes at which the call stops; at others the second vendor answers.
    let codes = [403, 404, 406, 480, 487, 488, 503, 606];
    for (preset, stops) in [
        ("wholesale", &[][..]),
        ("retail", &[404, 406, 480, 487]),
        ("vos_classic", &[403, 404, 487, 488]),
        ("no_failover", &codes),
    ] {
        let stage = Stage::with(&routing(&format!("failover = \"{preset}\"")));
        let folder = stage.switch.folder().path().to_owned();
        let mut vendor_b =
            stage.vendor_b().script("vendor_answers").calls(0, 10).quiet().start(&folder);
        for (calls, code) in (1..).zip(codes) {
            let mut vendor_a = stage.vendor_a().refuses(code);
            let stop = stops.contains(&code);
            let caller = stage.caller();
            let mut caller = if stop { caller.is_refused_with(code) } else { caller.calls() };
            caller.succeeds(CALL_LIMIT);
            vendor_a.succeeds(CALL_LIMIT);
            let record = newest(&stage, calls);
            let tried: &[&str] = if stop { &["vendor-a"] } else { &["vendor-a", "vendor-b"] };
            assert_eq!(record.vendors(), tried, "{preset}, {code}");
            record.shows("/attempts/0/code", code);
        }
        vendor_b.stop();
    }
}

/// ROUTE-50 row 8: no failover after ringing, unless the customer trunk allows it.
#[test]
fn ringing_ends_the_search_unless_the_customer_trunk_searches_until_connect() {
    for until_connect in [false, true] {
        let mut setup = Setup::new();
        setup.vendor_a = "timers = { ringing = \"1s\" }".to_owned();
        setup.customer = format!("until_connect = {until_connect}");
        let stage = Stage::with(&setup);
        let mut vendor_a = stage.vendor_a().rings();
        if until_connect {
            let mut vendor_b = stage.vendor_b().answers();
            stage.caller().calls().succeeds(CALL_LIMIT);
            vendor_b.succeeds(CALL_LIMIT);
        } else {
            stage.caller().is_refused_with(480).succeeds(CALL_LIMIT);
        }
        vendor_a.succeeds(CALL_LIMIT);
        let tried: &[&str] = if until_connect { &["vendor-a", "vendor-b"] } else { &["vendor-a"] };
        assert_eq!(stage.switch.record().vendors(), tried);
    }
}

/// ROUTE-50 rows 5 and 6: the cause in a vendor's 503 takes precedence.
#[test]
fn a_q850_cause_decides_before_the_code() {
    let mut setup = Setup::new();
    setup.vendor_a = "failover = { code_policy = { \"34\" = \"stop\" } }".to_owned();
    let stage = Stage::with(&setup);
    for (calls, cause, reason) in [(1, 34, "device_congested"), (2, 17, "callee_busy")] {
        let header = format!("Reason: Q.850;cause={cause}\n      ");
        let mut vendor_a = stage.vendor_a().with("header", header).refuses(503);
        stage.caller().is_refused_with(503).succeeds(CALL_LIMIT);
        vendor_a.succeeds(CALL_LIMIT);
        let record = newest(&stage, calls);
        assert_eq!(record.vendors(), ["vendor-a"], "cause {cause}");
        record.shows("/end_reason", reason).shows("/attempts/0/cause", cause);
    }
}

/// SIG-53, ROUTE-51: faults that only the operator can fix raise an alarm per vendor trunk.
#[test]
fn a_vendor_that_wants_other_credentials_or_sees_a_loop_raises_an_alarm() {
    let stage = Stage::new();
    for (code, alarm) in [(407, "vendor_auth_failed"), (483, "possible_loop")] {
        let mut vendor_a = stage.vendor_a().refuses(code);
        let mut vendor_b = stage.vendor_b().answers();
        stage.caller().calls().succeeds(CALL_LIMIT);
        vendor_a.succeeds(CALL_LIMIT);
        vendor_b.succeeds(CALL_LIMIT);
        let alarms = wait::until(alarm, CALL_LIMIT, || {
            let alarms = stage.switch.get("/v1/alarms");
            alarms.as_array()?.iter().any(|line| line["alarm"] == alarm).then_some(alarms)
        });
        let line = alarms.as_array().expect("a list").iter().find(|line| line["alarm"] == alarm);
        assert_eq!(line.expect("just found")["object"], "vendor-a", "{alarms}");
    }
}
