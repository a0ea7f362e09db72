//! Bodies of objects that a database holds: words that other rooms define are stored as well, so
//! that a change there must not make an old body unreadable.

use serde_json::{Value, json};
use strowger_business::{DisplayMode, HeaderMode, PrivacyMode, StopAfterMedia, VendorTrunk};

fn body(settings: Value) -> Value {
    let mut body = json!({ "name": "v", "account": "a", "targets": ["192.0.2.1"], "prefixes": [] });
    for (name, value) in settings.as_object().cloned().unwrap_or_default() {
        body[name] = value;
    }
    body
}

fn read(settings: Value) -> VendorTrunk {
    let trunk: VendorTrunk = serde_json::from_value(body(settings)).expect("a body");
    let again = serde_json::to_value(&trunk).expect("a body");
    assert_eq!(serde_json::from_value::<VendorTrunk>(again).expect("a body"), trunk);
    trunk
}

#[test]
fn stored_words_of_identity_and_failover_stay_as_they_are() {
    use HeaderMode::{Caller, Fixed, None, Pass};
    for (word, mode) in [("none", None), ("pass", Pass), ("caller", Caller), ("fixed", Fixed)] {
        let trunk = read(json!({ "identity": { "asserted": word } }));
        assert_eq!(trunk.identity.asserted, mode);
        assert_eq!(json!(mode), word);
    }
    for (word, mode) in
        [("none", PrivacyMode::None), ("pass", PrivacyMode::Pass), ("id", PrivacyMode::Id)]
    {
        assert_eq!(read(json!({ "identity": { "privacy": word } })).identity.privacy, mode);
        assert_eq!(json!(mode), word);
    }
    for (word, mode) in [
        ("pass", DisplayMode::Pass),
        ("remove", DisplayMode::Remove),
        ("number", DisplayMode::Number),
        ("fixed", DisplayMode::Fixed),
    ] {
        assert_eq!(read(json!({ "identity": { "display": word } })).identity.display, mode);
        assert_eq!(json!(mode), word);
    }
    for (word, when) in
        [("sdp", StopAfterMedia::Sdp), ("rtp", StopAfterMedia::Rtp), ("off", StopAfterMedia::Off)]
    {
        let trunk = read(json!({ "failover": { "stop_after_media": word } }));
        assert_eq!(trunk.failover.stop_after_media, when);
        assert_eq!(json!(when), word);
    }
}

/// SIG-21: what the transaction layer cannot read is no body; what it can, is written as it came.
#[test]
fn a_stored_resend_schedule_is_the_one_that_calls_use() {
    for text in ["standard", "fast-failover", "lossy", "slow", "aggressive", "0.5, 1.50,2", "32"] {
        let trunk = read(json!({ "resend": text }));
        assert_eq!(trunk.resend.as_str(), text);
        assert_eq!(json!(trunk.resend), text);
        let schedule = sip::ResendSchedule::preset(text);
        let schedule = schedule.or_else(|| sip::ResendSchedule::parse(text).ok());
        assert_eq!(Some(&**trunk.resend.schedule()), schedule.as_ref());
    }
    for text in ["", "quick", "2,1", "1,1,1", "0.05", "33", "1,,2"] {
        let error = serde_json::from_value::<VendorTrunk>(body(json!({ "resend": text })));
        let error = error.expect_err(text).to_string();
        assert!(error.contains("standard, fast-failover") && error.contains("SIG-21"), "{error}");
    }
}
