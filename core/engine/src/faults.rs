//! Faults during calls, on the stage of the demo: a defect in a shard or a relay thread ends calls
//! in an orderly way and leaves the node running (OPS-62).

// The stage and its players are the demo's; only a test of this crate can make a shard fail.
#[path = "../../strowger/src/agents/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)]
mod agents;
#[path = "../../strowger/src/demo/scene.rs"]
#[allow(dead_code)]
mod scene;

use crate::handover::Handover;
use crate::mailbox::Command;
use crate::media_plane::DEFECT;
use crate::node::{PreparedNode, RunningNode};
use agents::{Behaviour, CallOutcome, CallPlan, Caller, Vendor};
use api::RecordView;
use scene::{Addresses, Scene, free_address, plugin_folder};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use store::CallFilter;

const PATIENCE: Duration = Duration::from_secs(20);
const CALLS: usize = 4;

/// Serializes these tests: their nodes share the ports of one address.
static ALONE: Mutex<()> = Mutex::new(());

struct Stage {
    runtime: tokio::runtime::Runtime,
    running: Option<RunningNode>,
    caller: Option<Caller>,
    _vendors: [Vendor; 2],
    folder: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    fn new(shards: u16) -> Stage {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let answers = || Behaviour::Answer { ring: Duration::from_millis(20) };
        let vendors = ["vendor-a", "vendor-b"]
            .map(|name| Vendor::start(name, free, answers(), None).expect("a vendor"));
        let switch = free_address().expect("a free port");
        let caller = Caller::bind("caller", free, switch, None).expect("a caller");
        let addresses = Addresses {
            switch,
            caller: caller.address(),
            vendor_a: vendors[0].address(),
            vendor_b: vendors[1].address(),
        };
        let folder =
            std::env::temp_dir().join(format!("strowger-faults-{shards}-{}", std::process::id()));
        // target/debug/deps/TEST; the plugins are in target/plugins.
        let exe = std::env::current_exe().expect("a test knows its own file");
        let plugins = exe.ancestors().nth(3).map(|target| target.join("plugins"));
        let plugins = plugin_folder(plugins).expect("plugins");
        let scene = Scene::write_to_stay(folder.clone(), &plugins, &addresses);
        let mut config = scene.and_then(|scene| scene.config()).expect("a configuration");
        config.shards = Some(shards);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let node = PreparedNode::new(config).expect("a configuration that fits");
        let running = runtime.block_on(node.start(Handover::default())).expect("a node");
        Stage {
            runtime,
            running: Some(running),
            caller: Some(caller),
            _vendors: vendors,
            folder,
            _alone: alone,
        }
    }

    fn running(&self) -> &RunningNode {
        self.running.as_ref().expect("it runs")
    }

    /// Places calls with this talk time; the thread ends with the last one.
    fn place(&mut self, calls: usize, talk: Duration) -> JoinHandle<(Caller, Vec<CallOutcome>)> {
        let mut caller = self.caller.take().expect("nobody else calls");
        let plans: Vec<CallPlan> = (0..calls)
            .map(|number| CallPlan {
                caller: "0305550100".to_owned(),
                callee: format!("004420755502{number:02}"),
                after: Duration::from_millis(10),
                talk,
            })
            .collect();
        std::thread::spawn(move || {
            let outcomes = caller.place(&plans).expect("calls");
            (caller, outcomes)
        })
    }

    fn over(&mut self, placed: JoinHandle<(Caller, Vec<CallOutcome>)>) -> Vec<CallOutcome> {
        let (caller, outcomes) = placed.join().expect("the caller");
        self.caller = Some(caller);
        outcomes
    }

    fn until(&self, what: &str, condition: impl Fn(&Stage) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < PATIENCE, "still waiting for: {what}");
            std::thread::yield_now();
        }
    }

    fn talking(&self) -> usize {
        let calls = self.runtime.block_on(self.running().node.calls());
        calls.iter().filter(|call| call.state == "answered").count()
    }

    fn metric(&self, name: &str) -> f64 {
        let page = self.runtime.block_on(self.running().node.metrics());
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn records(&self, count: usize) -> Vec<RecordView> {
        let filter = CallFilter::default();
        let settled = || {
            let records = self.runtime.block_on(self.running().node.records(&filter));
            records.expect("records").0
        };
        self.until("records", |_| settled().len() >= count);
        settled()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop(Duration::ZERO));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn assert_ended_in_order(records: &[RecordView], outcomes: &[CallOutcome]) {
    for outcome in outcomes {
        assert_eq!((outcome.code, outcome.ended_by_callee), (200, true), "{outcome:?}");
    }
    for record in records {
        assert_eq!((record.end_reason.as_str(), record.code_returned), ("node_lost", 200));
        assert!(record.sell.is_some() && !record.rerate, "{record:?}");
    }
}

#[test]
fn a_shard_that_fails_ends_its_calls_and_goes_on() {
    for shards in [1, 2] {
        let mut stage = Stage::new(shards);
        let placed = stage.place(CALLS, PATIENCE);
        stage.until("calls", |stage| stage.talking() == CALLS);
        for mailbox in stage.running().node.mailboxes() {
            mailbox.send(Command::Fail);
        }
        let outcomes = stage.over(placed);
        assert_ended_in_order(&stage.records(CALLS), &outcomes);
        assert_eq!(stage.metric("strowger_shard_faults_total"), f64::from(shards));
        // A record may be written before shard and relay have cleaned up.
        stage.until("free ports", |stage| stage.metric("strowger_relay_pairs_used") == 0.0);
        stage.until("the alarm", |stage| {
            stage.metric("strowger_alarms{alarm=\"internal_error\"") == f64::from(shards)
        });
        stage.until("no calls", |stage| stage.metric("strowger_calls_active") == 0.0);

        let placed = stage.place(CALLS, Duration::from_millis(100));
        let outcomes = stage.over(placed);
        assert!(outcomes.iter().all(|call| call.code == 200 && !call.ended_by_callee));
        let records = stage.records(2 * CALLS);
        let in_order = records.iter().filter(|record| record.end_reason == "caller_hangup");
        assert_eq!(in_order.count(), CALLS, "every shard takes calls again");
        assert_eq!(stage.metric("strowger_calls_total"), 2.0 * CALLS as f64, "counters go on");
    }
}

#[test]
fn a_relay_that_fails_ends_the_call_whose_packet_it_was() {
    let mut stage = Stage::new(2);
    let placed = stage.place(CALLS, PATIENCE);
    stage.until("calls", |stage| stage.talking() == CALLS);
    let anybody = UdpSocket::bind("127.0.0.1:0").expect("bind");
    for port in (20_000..30_000).step_by(2) {
        // Most of them have no listener.
        let _ = anybody.send_to(DEFECT, ("127.0.0.1", port));
    }
    let outcomes = stage.over(placed);
    assert_ended_in_order(&stage.records(CALLS), &outcomes);
    assert!(stage.metric("strowger_relay_faults_total") >= CALLS as f64);
    let placed = stage.place(CALLS, Duration::from_millis(100));
    assert!(stage.over(placed).iter().all(|call| call.code == 200 && call.audio.received > 0));
}
