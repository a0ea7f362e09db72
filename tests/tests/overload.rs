//! Overload: nobody waits long, and refused callers are told when to retry.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use strowger_tests::raw::RawCaller;
use strowger_tests::sipp::header;
use strowger_tests::stage::Stage;
use strowger_tests::switch::{Setup, built_plugin};

const CALLS: usize = 400;

/// Time that each call takes of a shard in the slow plugin.
const SLOWNESS: &str = "50ms";

/// All calls in sequence would take 20 s.
const LIMIT: Duration = Duration::from_secs(8);

/// SIG-91, SIG-93: a plugin takes 50 ms per call, and 400 calls arrive at once: the first of each
/// shard are served, the others are refused with 503 and Retry-After before they have waited long.
/// Each has a record, and the log reports it once.
#[test]
fn a_burst_on_a_slow_switch_is_refused_in_time() {
    for shards in [1, 2] {
        let mut setup = Setup::new();
        setup.node = format!("shards = {shards}");
        setup.plugin_lines = format!(
            "[[plugins.list]]\nname = \"hostile\"\ndeadline = \"{SLOWNESS}\"\n\
             grants = [\"log\", \"config\", \"call\", \"tables\", \"counters\", \"trunks\", \
             \"metrics\", \"clock\", \"random\", \"accounts\", \"notes\"]\n\
             breaker = {{ faults = 0 }}\n"
        );
        let folder = setup.write();
        std::fs::copy(built_plugin("hostile"), folder.path().join("plugins/hostile.wasm"))
            .expect("the plugins of the tests are built");
        let stage = Stage::on(&setup, folder);
        let caller = RawCaller::at(stage.net.caller(), stage.switch.address());

        // A first call: the kernel starts to timestamp datagrams shortly after it is enabled.
        caller.send(&caller.invite("first", "loop"));
        assert!(caller.hear_final("first", "1 INVITE").starts_with("SIP/2.0 500 "));

        let begun = Instant::now();
        for call in 0..CALLS {
            // The plugin loops for this callee, and gives no answer.
            caller.send(&caller.invite(&format!("burst{call}"), "loop"));
        }
        let mut finals = BTreeMap::new();
        while finals.len() < CALLS {
            assert!(
                begun.elapsed() < LIMIT,
                "{} calls wait for their answer",
                CALLS - finals.len()
            );
            let Some(message) = caller.next() else { continue };
            if message.starts_with("SIP/2.0 1") {
                continue;
            }
            let id = header(&message, "Call-ID").expect("a response has it");
            if id == "first" {
                continue;
            }
            finals.entry(id).or_insert(message);
        }
        let refused = finals.values().filter(|m| m.starts_with("SIP/2.0 503 ")).count();
        let served = CALLS - refused;
        assert!(served > 0 && refused > CALLS / 2, "{served} served, {refused} refused");
        for message in finals.values().filter(|message| message.starts_with("SIP/2.0 503 ")) {
            let seconds =
                header(message, "Retry-After").and_then(|value| value.parse::<u32>().ok());
            assert!(seconds.is_some_and(|seconds| (1..=5).contains(&seconds)), "{message}");
        }
        let records = stage.switch.settled_records(CALLS + 1);
        let shed = records.iter().filter(|record| record["end_reason"] == "system_overload");
        assert_eq!(shed.count(), refused);
        let counted = stage.switch.metric("strowger_calls_end_reason_total", &["system_overload"]);
        assert_eq!(counted, refused as f64);
        let lines = stage.switch.log().matches("new calls are refused with 503").count();
        assert!((1..=shards).contains(&lines), "{lines} lines");

        // The queue is empty, and calls are accepted again; this one has no price.
        caller.send(&caller.invite("later", "99"));
        assert!(caller.hear_final("later", "1 INVITE").starts_with("SIP/2.0 403 "));
    }
}
