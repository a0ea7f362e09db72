//! Speaks version 0.2 of the policy interface (`wit/`), which only tests answer.
//!
//! It tells what it saw of the question in the marks of the call: the new field, the new
//! clock, and a counter, whose interface is as in 0.1.

wit_bindgen::generate!({ path: "wit", world: "plugin" });

use exports::strowger::policy::{lifecycle, screening};
use strowger::policy::{host_clock, host_counters};

struct Next;

impl lifecycle::Guest for Next {
    fn describe() -> lifecycle::Description {
        lifecycle::Description {
            name: "next".to_owned(),
            version: "2.0.0".to_owned(),
            summary: "Is ahead of its time.".to_owned(),
            config_schema: String::new(),
        }
    }

    fn configure(_config: String) -> Result<(), String> {
        Ok(())
    }

    fn self_test() -> Result<u32, String> {
        Ok(1)
    }
}

impl screening::Guest for Next {
    fn screen(q: screening::Question) -> screening::Verdict {
        screening::Verdict::Mark(vec![
            "0.2".to_owned(),
            format!("forwarded {}", q.forwarded),
            format!("{} to {} from {}", q.caller, q.callee, q.source),
            format!("trunk {}", q.call.trunk),
            (host_clock::now_us() > 1_600_000_000_000_000).to_string(),
            host_counters::add("asked", 1, 3600).to_string(),
        ])
    }
}

export!(Next);
