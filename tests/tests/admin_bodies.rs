//! Any malformed body of a request to the admin API gets an error that says what is wrong, and the
//! switch keeps running.

use serde_json::{Map, Value, json};
use strowger_tests::stage::{CALL_LIMIT, Stage};

/// A valid body for each path, so that mutations reach deep.
fn bodies() -> [(&'static str, Value); 8] {
    [
        ("/v1/accounts/payer/payments", json!({ "amount": "1.5", "note": "n", "key": "k" })),
        ("/v1/accounts/nobody/payments", json!({ "amount": "1" })),
        ("/v1/plugins/routing/swap", json!({ "path": "/nowhere/routing.wasm" })),
        ("/v1/plugins/routing/canary", json!({ "path": "/nowhere.wasm", "share": 500 })),
        ("/v1/plugins/routing/shadow", json!({ "path": "/nowhere.wasm", "trunks": [1] })),
        ("/v1/plugins/routing/rollback", json!({})),
        ("/v1/tables/barred-destinations/reload", json!({})),
        ("/v1/reload", json!({ "folder": "business", "dry_run": true })),
    ]
}

/// Reproducible random numbers (splitmix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    /// A value that some parser does not expect.
    fn spice(&mut self) -> Value {
        match self.below(14) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(u64::MAX),
            4 => json!(1e308),
            5 => json!(""),
            6 => json!("9".repeat(400)),
            7 => json!("\u{0}\u{1b}[31m\r\n"),
            8 => json!("1e9"),
            9 => json!("../../../../etc/passwd"),
            10 => json!("x".repeat(100_000)),
            11 => (0..100).fold(json!(1), |inner, _| json!([inner])),
            12 => json!({ "a": { "b": [] } }),
            _ => json!("-0.0000000001"),
        }
    }

    fn mutated(&mut self, body: &Value) -> Value {
        let mut fields: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
        for _ in 0..=self.below(3) {
            let names: Vec<String> = fields.keys().cloned().collect();
            match (self.below(6), names.is_empty()) {
                (0, _) => return self.spice(),
                (1, _) => drop(fields.insert("surprise".to_owned(), self.spice())),
                (2, false) => drop(fields.remove(&names[self.below(names.len())])),
                (_, false) => {
                    drop(fields.insert(names[self.below(names.len())].clone(), self.spice()));
                }
                (_, true) => drop(fields.insert("path".to_owned(), self.spice())),
            }
        }
        Value::Object(fields)
    }
}

#[test]
fn no_body_brings_the_switch_down_and_each_error_says_what_is_wrong() {
    let stage = Stage::new();
    let mut draws = Draws(18);
    let (mut refused, mut taken) = (0, 0);
    for round in 0..60 {
        for (path, body) in bodies() {
            let body = draws.mutated(&body);
            let (status, answer) = stage.switch.post(path, &body);
            let shown: String = body.to_string().chars().take(300).collect();
            match status {
                200..=299 => taken += 1,
                400..=499 => {
                    let words = answer["detail"].as_str().unwrap_or_default();
                    assert!(!words.is_empty(), "round {round}, {path}: {shown}: {answer}");
                    refused += 1;
                }
                _ => panic!("round {round}, {path}: {shown}: {status} {answer}"),
            }
        }
    }
    assert!(refused > 200, "{refused} refused, {taken} taken");
    let mut vendor = stage.vendor_a().answers();
    stage.caller().calls().succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "caller_hangup");
}
