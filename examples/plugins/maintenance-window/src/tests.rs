use super::*;
use plugin_sdk::{Candidate, configured};

/// 2026-12-05 22:00 UTC.
const BEGIN_MS: u64 = 1_796_508_000_000;
const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// Trunk 1 from 22:00 to 23:00 UTC, trunk 2 from 22:30 to 23:30, written in another zone.
fn config(more: &str) -> String {
    format!(
        r#"{{"windows":[
            {{"trunks":[1],"from":"2026-12-05T22:00:00Z","to":"2026-12-05T23:00:00Z"}},
            {{"trunks":[2],"from":"2026-12-05T23:30:00+01:00","to":"2026-12-06T00:30:00+01:00"}}
        ]{more}}}"#
    )
}

fn order(json: &str, at_ms: u64, callee: &str) -> Vec<u32> {
    let vendor = |trunk| Candidate { trunk: TrunkId(trunk), ..Candidate::default() };
    let question = RouteQuestion {
        call: Call { received_ms: at_ms, ..Call::default() },
        callee: callee.to_owned(),
        candidates: (1..=3).map(vendor).collect(),
        ..RouteQuestion::default()
    };
    let mut plugin: MaintenanceWindow = configured(json).expect(json);
    plugin.select(&question).expect("no rejection").into_iter().map(|trunk| trunk.0).collect()
}

#[test]
fn a_vendor_rests_from_the_lead_to_the_end_of_its_window_route_73() {
    let lead = BEGIN_MS - 15 * MINUTE_MS;
    for (at_ms, expected) in [
        (lead - 1, [1, 2, 3]),
        (lead, [2, 3, 1]),
        (BEGIN_MS + 15 * MINUTE_MS, [3, 1, 2]),
        (BEGIN_MS + HOUR_MS - 1, [3, 1, 2]),
        (BEGIN_MS + HOUR_MS, [1, 3, 2]),
        (BEGIN_MS + HOUR_MS + 30 * MINUTE_MS, [1, 2, 3]),
    ] {
        assert_eq!(order(&config(""), at_ms, "4420"), expected, "{at_ms}");
    }
    let exact = config(r#","lead_minutes":0"#);
    assert_eq!(order(&exact, BEGIN_MS - 1, "4420"), [1, 2, 3]);
    assert_eq!(order(&exact, BEGIN_MS, "4420"), [2, 3, 1]);
    let mut plugin: MaintenanceWindow = configured("").expect("defaults");
    let after = plugin.after_failure(&Call::default(), &Outcome::default());
    assert_eq!(after, Decision::Pass);
}

#[test]
fn a_vendor_may_be_left_out_but_not_for_emergency_calls() {
    let exclude = config(r#","action":"exclude""#);
    assert_eq!(order(&exclude, BEGIN_MS, "4420"), [2, 3]);
    assert_eq!(order(&exclude, BEGIN_MS, "112"), [2, 3, 1]);
    assert_eq!(order("{}", BEGIN_MS, "4420"), [1, 2, 3], "no window");
}

#[test]
fn times_before_1970_and_far_ahead_do_no_harm() {
    assert_eq!(order(&config(""), u64::MAX, "4420"), [1, 2, 3]);
    assert_eq!(order(&config(""), 0, "4420"), [1, 2, 3]);
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |window: &str| {
        let json = format!(r#"{{"windows":[{{{window}}}]}}"#);
        configured::<MaintenanceWindow>(&json).expect_err("must be refused")
    };
    let from = r#""trunks":[1],"from":"2026-12-05T22:00:00Z""#;
    let said = refused(&format!(r#"{from},"to":"tomorrow""#));
    assert!(said.starts_with("field `windows[0].to`: ") && said.contains("tomorrow"), "{said}");
    let said = refused(&format!(r#"{from},"to":"2026-12-05T23:00:00""#));
    assert!(said.starts_with("field `windows[0].to`: "), "a time without a zone: {said}");
    assert_eq!(
        refused(&format!(r#"{from},"to":"2026-12-05T22:00:00Z""#)),
        "field `windows[0].to`: 2026-12-05T22:00:00Z is not after 2026-12-05T22:00:00Z"
    );
    let nobody = r#""trunks":[],"from":"2026-12-05T22:00:00Z","to":"2026-12-05T23:00:00Z""#;
    assert_eq!(refused(nobody), "field `windows[0].trunks`: name a vendor trunk");
    let lead = configured::<MaintenanceWindow>(r#"{"lead_minutes":1441}"#);
    let said = lead.expect_err("must be refused");
    assert_eq!(said, "field `lead_minutes`: 1441, allowed is 0 to 1440");
}
