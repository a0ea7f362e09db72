use super::*;
use plugin_sdk::{AccountId, FakeHost, TrunkId, configured, testing};

const CAPS: &str = r#""caps":[
    {"name":"cuba","prefixes":["53"],"concurrent":2},
    {"name":"somalia","prefixes":["252"],"calls_per_hour":3},
    {"name":"latvia","prefixes":["371"],"minutes_per_day":10},
    {"name":"latvia-mobile","prefixes":["3712"],"concurrent":1,"calls_per_hour":1},
    {"name":"india","prefixes":["91","1"],"concurrent":1}
]"#;

fn plugin(more: &str) -> CountryCap {
    configured(&format!("{{{CAPS}{more}}}")).expect(CAPS)
}

fn call(account: u32, trunk: u32) -> Call {
    Call { account: AccountId(account), trunk: TrunkId(trunk), ..Call::default() }
}

/// The detail of the refusal; empty if the call is allowed.
fn screened(plugin: &mut CountryCap, call: Call, callee: &str) -> String {
    let callee = callee.to_owned();
    match plugin.screen(&ScreenQuestion { call, callee, ..ScreenQuestion::default() }) {
        Verdict::Allow => String::new(),
        Verdict::Reject(rejection) => {
            assert_eq!((rejection.code, rejection.reason), (403, Reason::DynamicBlock));
            rejection.detail
        }
        other => panic!("{other:?}"),
    }
}

fn ended(plugin: &mut CountryCap, call: Call, callee: &str, duration_ms: u64) {
    let callee = callee.to_owned();
    let kind = EventKind::Ended;
    plugin.notify(&Event { call, kind, callee, duration_ms, ..Event::default() });
}

#[test]
fn an_account_has_so_many_calls_at_a_time() {
    let switch = FakeHost::install();
    let mut plugin = plugin("");
    assert_eq!(screened(&mut plugin, call(1, 1), "5371"), "");
    assert_eq!(screened(&mut plugin, call(1, 2), "+5372"), "");
    assert_eq!(screened(&mut plugin, call(1, 1), "5371"), "cap `cuba`: 2 calls at a time");
    assert_eq!(screened(&mut plugin, call(2, 1), "5371"), "", "another account");
    assert_eq!(screened(&mut plugin, call(1, 1), "4420"), "", "another country");
    switch.end_call();
    assert_eq!(screened(&mut plugin, call(1, 1), "5371"), "");
}

#[test]
fn calls_within_an_hour_are_limited_and_a_refused_call_is_not_counted() {
    let switch = FakeHost::install();
    let mut plugin = plugin("");
    for _ in 0..3 {
        assert_eq!(screened(&mut plugin, call(1, 1), "25261"), "");
    }
    for _ in 0..5 {
        assert_eq!(screened(&mut plugin, call(1, 1), "25261"), "cap `somalia`: 3 calls an hour");
    }
    switch.advance(3_661_000);
    assert_eq!(screened(&mut plugin, call(1, 1), "25261"), "");
}

#[test]
fn answered_minutes_within_a_day_are_limited() {
    let switch = FakeHost::install();
    let mut plugin = plugin("");
    ended(&mut plugin, call(1, 1), "37167", 599_000);
    ended(&mut plugin, call(1, 1), "37167", 0);
    let other = Event { kind: EventKind::Answered, callee: "37167".into(), ..Event::default() };
    plugin.notify(&Event { call: call(1, 1), duration_ms: 9_000, ..other });
    assert_eq!(screened(&mut plugin, call(1, 1), "37167"), "", "one second is left");
    ended(&mut plugin, call(1, 1), "37167", 1);
    assert_eq!(screened(&mut plugin, call(1, 1), "37167"), "cap `latvia`: 10 minutes a day");
    assert_eq!(screened(&mut plugin, call(2, 1), "37167"), "");
    switch.advance(87_841_000);
    assert_eq!(screened(&mut plugin, call(1, 1), "37167"), "");
}

#[test]
fn the_longest_prefix_decides_and_a_refused_call_holds_no_place() {
    let switch = FakeHost::install();
    let mut plugin = plugin("");
    ended(&mut plugin, call(1, 1), "37120", 600_000);
    assert_eq!(screened(&mut plugin, call(1, 1), "37120"), "", "its cap has no minutes");
    switch.end_call();
    let refused = "cap `latvia-mobile`: 1 calls an hour";
    assert_eq!(screened(&mut plugin, call(1, 1), "37120"), refused);
    assert_eq!(host::places("latvia-mobile a1").held(), 0);
}

#[test]
fn trunks_or_the_node_may_share_a_cap() {
    let _switch = FakeHost::install();
    let mut by_trunk = plugin(r#","per":"trunk""#);
    for trunk in [1, 1, 2] {
        assert_eq!(screened(&mut by_trunk, call(1, trunk), "53"), "");
    }
    assert_ne!(screened(&mut by_trunk, call(2, 1), "53"), "");
    let _switch = FakeHost::install();
    let mut by_node = plugin(r#","per":"node""#);
    assert_eq!(screened(&mut by_node, call(1, 1), "53"), "");
    assert_eq!(screened(&mut by_node, call(2, 2), "53"), "");
    assert_ne!(screened(&mut by_node, call(3, 3), "53"), "");
}

/// 911 begins like India, 112 like North America.
#[test]
fn emergency_calls_are_never_refused_route_66() {
    let _switch = FakeHost::install();
    let mut defaults = plugin("");
    for callee in ["911", "112", "911", "112"] {
        assert_eq!(screened(&mut defaults, call(1, 1), callee), "");
    }
    let mut none = plugin(r#","emergency":[]"#);
    assert_eq!(screened(&mut none, call(1, 1), "911"), "");
    assert_eq!(screened(&mut none, call(1, 1), "911"), "cap `india`: 1 calls at a time");
}

#[test]
fn without_caps_every_call_is_allowed() {
    testing::check(200, |draw| {
        let mut plugin: CountryCap = configured("").expect("defaults");
        assert_eq!(plugin.screen(&draw.screen_question()), Verdict::Allow);
        plugin.notify(&draw.event());
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |cap: &str| {
        let json = format!(r#"{{"caps":[{{"name":"a","prefixes":["1"]}},{{{cap}}}]}}"#);
        configured::<CountryCap>(&json).expect_err("must be refused")
    };
    let name = "field `caps[1].name`: every cap needs a name of its own";
    let prefixes = "field `caps[1].prefixes`: write one or more prefixes of digits only";
    for (cap, words) in [
        (r#""name":"","prefixes":["2"]"#, name),
        (r#""name":"a","prefixes":["2"]"#, name),
        (r#""name":"b","prefixes":[]"#, prefixes),
        (r#""name":"b","prefixes":["+2"]"#, prefixes),
        (
            r#""name":"b","prefixes":["2"],"concurrent":100001"#,
            "field `caps[1].concurrent`: allowed is 0 to 100000",
        ),
    ] {
        assert_eq!(refused(cap), words);
    }
    let negative = refused(r#""name":"b","prefixes":["2"],"calls_per_hour":-1"#);
    assert!(negative.starts_with("field `caps[1].calls_per_hour`: "), "{negative}");
}
