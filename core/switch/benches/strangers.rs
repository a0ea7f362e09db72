//! What a node with 20,000 customer trunks pays for strangers and for a new snapshot: a packet
//! from an address that nobody has, without digest users and with them, and how long a
//! signalling thread stands still for a snapshot that takes another's place.
//!
//! `cargo bench -p strowger-switch --bench strangers`

#[path = "../tests/machine/support/facts.rs"]
#[allow(dead_code)]
mod facts;
#[path = "../tests/machine/support/policy.rs"]
#[allow(dead_code)]
mod policy_answers;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use strowger_switch::facts::{Authentication, DigestUser, Facts, Network};
use strowger_switch::{
    CallKey, LegCounters, MediaControl, MediaSide, Now, RemoteMedia, Switch, SwitchSettings, World,
};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SWITCH: &str = "10.0.0.1:5060";
const TRUNKS: u32 = 20_000;
const PACKETS: u32 = 500_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (users, name) in [(0, "stranger_us"), (TRUNKS / 2, "stranger_beside_digest_users_us")] {
        let world = world(users);
        let mut switch = Switch::new(settings(), Arc::clone(&world));
        let scan = "OPTIONS sip:100@10.0.0.1 SIP/2.0\r\n\
                    Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
                    From: <sip:100@1.1.1.1>;tag=1\r\nTo: <sip:100@1.1.1.1>\r\nCall-ID: 1\r\n\
                    CSeq: 1 OPTIONS\r\nContact: <sip:100@203.0.113.9>\r\nContent-Length: 0\r\n\r\n";
        let flow = sip::Flow { listener: 0, remote: "203.0.113.9:5060".parse()? };
        let now = Now { instant: Instant::now(), utc_ms: 1_790_000_000_000 };
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let began = Instant::now();
            for _ in 0..PACKETS {
                switch.receive(now, flow, scan.as_bytes(), &mut NoPorts);
            }
            best = best.min(began.elapsed());
        }
        assert!(switch.poll_output().is_none(), "a stranger was answered");
        report(name, best.as_secs_f64() * 1e6 / f64::from(PACKETS), 1.0)?;
    }

    // The snapshots are kept elsewhere, as the program does.
    let worlds = [world(0), world(TRUNKS / 2)];
    let mut switch = Switch::new(settings(), Arc::clone(&worlds[0]));
    let mut longest = Duration::ZERO;
    for swap in 0..1_000 {
        let next = Arc::clone(&worlds[(swap + 1) % 2]);
        let began = Instant::now();
        switch.set_world(next);
        longest = longest.max(began.elapsed());
    }
    report("new_snapshot_stands_still_us", longest.as_secs_f64() * 1e6, 1_000.0)
}

fn settings() -> SwitchSettings {
    SwitchSettings {
        shard: 0,
        shards: 1,
        seed: [7; 32],
        replays: Arc::new(Mutex::new(sip::digest::ReplayGuard::new(64, 0))),
        strangers: Arc::default(),
        rests: Arc::default(),
    }
}

/// Trunks with a host or a network each, the last `users` of them with digest from anywhere.
fn world(users: u32) -> Arc<World> {
    let mut facts: Facts = facts::small_operator();
    for id in 100..100 + TRUNKS {
        let mut trunk = facts::customer(id, &format!("c{id}"), facts::CALLER);
        let address = std::net::IpAddr::V4((0x0a10_0000 + id * 16).into());
        let prefix = if id % 2 == 0 { 32 } else { 28 + (id % 4) as u8 };
        trunk.networks = vec![Network { address, prefix, port: None }];
        if id >= 100 + TRUNKS - users {
            trunk.authentication = Authentication::Digest;
            trunk.digest = Some(DigestUser {
                user: format!("u{id}").into(),
                realm: "switch.example".into(),
                ha1s: sip::digest::Ha1s { md5: Some("0".repeat(32)), sha256: Some("0".repeat(64)) },
                algorithms: None,
            });
        }
        facts.customers.insert(id, Arc::new(trunk));
    }
    facts.arrange();
    Arc::new(World { facts: Arc::new(facts), pin: policy_answers::pin(1) })
}

/// No call begins here.
struct NoPorts;

impl MediaControl for NoPorts {
    fn open(&mut self, _: CallKey, _: u16, _: u16) -> Option<[SocketAddr; 2]> {
        None
    }

    fn move_vendor(&mut self, _: CallKey, _: u16) -> Option<SocketAddr> {
        None
    }

    fn forget_vendor(&mut self, _: CallKey) {}

    fn update(&mut self, _: CallKey, _: MediaSide, _: RemoteMedia) {}

    fn counters(&mut self, _: CallKey) -> Option<[LegCounters; 2]> {
        None
    }

    fn close(&mut self, _: CallKey) -> Option<[LegCounters; 2]> {
        None
    }
}

/// Prints the figure and appends it to the table; the file is set by `make bench`.
fn report(name: &str, value: f64, goal: f64) -> Result<(), Box<dyn std::error::Error>> {
    println!("{name}: {value:.2} (goal {goal})");
    let file = std::env::var_os("STROWGER_BENCH_FILE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench.jsonl")),
        PathBuf::from,
    );
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    writeln!(
        file,
        "{{\"name\":\"{name}\",\"value\":{value:.3},\"unit\":\"us\",\"goal\":{goal},\
         \"peer\":null,\"ratio\":null}}"
    )?;
    Ok(())
}
