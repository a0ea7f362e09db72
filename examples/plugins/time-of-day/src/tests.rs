use super::*;
use plugin_sdk::{Call, Candidate, configured, testing};

const WEEK: &str = r#"{
    "time_zone": "CET-1CEST,M3.5.0,M10.5.0/3",
    "bands": [
        {"weekdays": ["fri"], "from": "22:00", "to": "06:00", "prefer": [4]},
        {"weekdays": ["mon","tue","wed","thu","fri"], "from": "08:00", "to": "18:00", "prefer": [3, 2]},
        {"weekdays": ["sat","sun"], "prefer": [2]}
    ]
}"#;

fn order_at(json: &str, utc: &str) -> Vec<u32> {
    let moment: Timestamp = utc.parse().expect(utc);
    let received_ms = u64::try_from(moment.as_millisecond()).expect("after 1970");
    let candidates = (1..=4).map(|id| Candidate { trunk: TrunkId(id), ..Candidate::default() });
    let question = RouteQuestion {
        call: Call { received_ms, ..Call::default() },
        candidates: candidates.collect(),
        ..RouteQuestion::default()
    };
    let mut plugin: TimeOfDay = configured(json).expect("legal");
    plugin.select(&question).expect("no rejection").into_iter().map(|trunk| trunk.0).collect()
}

/// ROUTE-73. 2026-01-05 is a Monday; winter time is one hour ahead of UTC.
#[test]
fn a_band_begins_at_its_first_moment_and_ends_before_its_last() {
    for (utc, order) in [
        ("2026-01-05T06:59:59.999Z", [1, 2, 3, 4]),
        ("2026-01-05T07:00:00.000Z", [3, 2, 1, 4]),
        ("2026-01-05T16:59:59.999Z", [3, 2, 1, 4]),
        ("2026-01-05T17:00:00.000Z", [1, 2, 3, 4]),
    ] {
        assert_eq!(order_at(WEEK, utc), order, "{utc}");
    }
}

#[test]
fn a_band_over_midnight_belongs_to_the_day_it_begins_on() {
    for (utc, order) in [
        ("2026-01-09T20:59:59Z", [1, 2, 3, 4]), // Friday, 21:59:59
        ("2026-01-09T21:00:00Z", [4, 1, 2, 3]),
        ("2026-01-10T04:59:59Z", [4, 1, 2, 3]), // Saturday, 05:59:59: the first band wins
        ("2026-01-10T05:00:00Z", [2, 1, 3, 4]),
        ("2026-01-11T22:59:59Z", [2, 1, 3, 4]), // Sunday to its end
        ("2026-01-11T23:00:00Z", [1, 2, 3, 4]), // Monday, 00:00
    ] {
        assert_eq!(order_at(WEEK, utc), order, "{utc}");
    }
}

/// Local time counts, before and after the change of 2026-03-29.
#[test]
fn summer_time_comes_with_the_rule_of_the_zone() {
    assert_eq!(order_at(WEEK, "2026-03-27T07:00:00Z"), [3, 2, 1, 4], "08:00 in winter");
    assert_eq!(order_at(WEEK, "2026-03-30T06:00:00Z"), [3, 2, 1, 4], "08:00 in summer");
    assert_eq!(order_at(WEEK, "2026-03-30T05:59:59Z"), [1, 2, 3, 4]);
    let india = r#"{"time_zone":"IST-5:30","bands":[{"from":"05:30","to":"05:31","prefer":[4]}]}"#;
    assert_eq!(order_at(india, "2026-01-01T00:00:00Z"), [4, 1, 2, 3]);
}

/// For every band: no vendor is lost or invented, the preferred vendors come first, and the others
/// keep their order.
#[test]
fn the_answer_is_a_stable_rearrangement() {
    testing::check(1_000, |draw| {
        let preferred: Vec<u32> = (0..1 + draw.small(4)).map(|_| 1 + draw.small(20)).collect();
        let (from, to) = (draw.small(24), draw.small(25));
        let json = format!(
            r#"{{"bands":[{{"from":"{from:02}:00","to":"{to:02}:00","prefer":{preferred:?}}}]}}"#
        );
        let mut plugin: TimeOfDay = configured(&json).expect("legal");
        let question = draw.route_question();
        let before: Vec<TrunkId> = question.candidates.iter().map(|one| one.trunk).collect();
        let after = plugin.select(&question).expect("no rejection");
        let is_preferred = |trunk: &TrunkId| preferred.contains(&trunk.0);

        let hour = u32::try_from(question.call.received_ms / 3_600_000 % 24).expect("small");
        let inside = if from < to { (from..to).contains(&hour) } else { hour >= from || hour < to };
        if !inside {
            assert_eq!(after, before);
        }
        let first = before.iter().filter(|trunk| inside && is_preferred(trunk)).count();
        assert!(after[..first].iter().all(is_preferred), "{after:?} prefers {preferred:?}");
        let others = |order: &[TrunkId]| -> Vec<TrunkId> {
            order.iter().filter(|trunk| !is_preferred(trunk)).copied().collect()
        };
        assert_eq!(others(&after), others(&before));
        let sorted = |mut order: Vec<TrunkId>| {
            order.sort_unstable();
            order
        };
        assert_eq!(sorted(after), sorted(before));
    });
}

/// At every moment of the week exactly one of two bands that share the day holds: there is no gap
/// and no overlap at their ends.
#[test]
fn two_bands_that_meet_leave_no_gap_and_no_overlap() {
    testing::check(500, |draw| {
        let cut = format!("{:02}:{:02}", draw.small(24), draw.small(60));
        let band = |from: &str, to: &str| Band {
            weekdays: Vec::new(),
            from: from.to_owned(),
            to: to.to_owned(),
            prefer: vec![1],
        };
        let (one, two) = (band(&cut, "24:00"), band("00:00", &cut));
        let moment = Moment { weekday: draw.small(7) as u8, ms: draw.small(86_400_000) };
        // A band from 00:00 to 00:00 is a whole day.
        if cut != "00:00" {
            assert!(one.holds(moment) != two.holds(moment), "{moment:?} {cut}");
        }
        assert!(band(&cut, &cut).holds(moment), "a band that ends where it begins is a day");
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<TimeOfDay>(json).expect_err("must be refused");
    assert!(refused(r#"{"time_zone":"Mars"}"#).starts_with("field `time_zone`: `Mars` is not"));
    let error = refused(r#"{"bands":[{"from":"24:00","prefer":[1]}]}"#);
    assert_eq!(error, "field `bands[0]`: `from` is `24:00`, allowed is 00:00 to 23:59");
    let error = refused(r#"{"bands":[{"to":"8:00","prefer":[1]}]}"#);
    assert_eq!(error, "field `bands[0]`: `to` is `8:00`, allowed is 00:00 to 24:00");
    let error = refused(r#"{"bands":[{"prefer":[]}]}"#);
    assert_eq!(error, "field `bands[0]`: `prefer` names no vendor trunk");
    assert!(refused(r#"{"bands":[{"weekdays":["monday"],"prefer":[1]}]}"#).contains("weekdays[0]"));
}

#[test]
fn what_comes_after_a_failure_is_left_to_others() {
    let mut plugin: TimeOfDay = configured("").expect("defaults");
    let outcome = plugin_sdk::Outcome::default();
    assert_eq!(plugin.after_failure(&Call::default(), &outcome), Decision::Pass);
}
