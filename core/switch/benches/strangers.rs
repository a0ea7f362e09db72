//! The cost of strangers and of a new snapshot for a node with 20,000 customer trunks: a packet
//! from an unknown address, without and with digest users; an INVITE that is answered with a
//! challenge, and the password guess that follows; and how long a signalling thread stalls when one
//! snapshot replaces another.
//!
//! `cargo bench -p strowger-switch --bench strangers`

#[path = "../tests/machine/support/facts.rs"]
#[allow(dead_code)]
mod facts;
#[path = "../tests/machine/support/policy.rs"]
#[allow(dead_code)]
mod policy_answers;
#[path = "../../bench_table.rs"]
mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strowger_switch::facts::{Authentication, Change, DigestUser, Facts, Network};
use strowger_switch::{
    CallKey, Classifier, LegCounters, MediaControl, MediaLeg, Now, RemoteMedia, SilenceLimits,
    Switch, SwitchSettings, World,
};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SWITCH: &str = "10.0.0.1:5060";
const TRUNKS: u32 = 20_000;
const PACKETS: u32 = 500_000;
const GUESSERS: u32 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (users, name) in [(0, "stranger_us"), (TRUNKS / 2, "stranger_beside_digest_users_us")] {
        let world = world(users);
        let mut switch = Switch::new(settings(), Arc::clone(&world));
        let scan = "OPTIONS sip:100@10.0.0.1 SIP/2.0\r\n\
                    Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n\
                    From: <sip:100@1.1.1.1>;tag=1\r\nTo: <sip:100@1.1.1.1>\r\nCall-ID: 1\r\n\
                    CSeq: 1 OPTIONS\r\nContact: <sip:100@203.0.113.9>\r\nContent-Length: 0\r\n\r\n";
        let flow = sip::Flow::datagram(0, "203.0.113.9:5060".parse()?);
        let now = Now { instant: Instant::now(), utc_ms: 1_790_000_000_000 };
        let classifier = switch.classifier();
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let began = Instant::now();
            for _ in 0..PACKETS {
                receive(&mut switch, &classifier, now, flow, scan.as_bytes());
            }
            best = best.min(began.elapsed());
        }
        assert!(switch.poll_output().is_none(), "a stranger was answered");
        report(name, best.as_secs_f64() * 1e6 / f64::from(PACKETS), Some(1.0))?;
    }

    let [challenge, guess] = guesses()?;
    report("stranger_challenged_us", challenge, None)?;
    report("stranger_guesses_us", guess, None)?;

    // The snapshots are kept here, as the program keeps them.
    let worlds = [world(0), world(TRUNKS / 2)];
    let mut switch = Switch::new(settings(), Arc::clone(&worlds[0]));
    let now = Now { instant: Instant::now(), utc_ms: 1_790_000_000_000 };
    let mut longest = Duration::ZERO;
    for swap in 0..1_000 {
        let next = Arc::clone(&worlds[(swap + 1) % 2]);
        let began = Instant::now();
        switch.set_world(now, next);
        longest = longest.max(began.elapsed());
    }
    report("new_snapshot_stands_still_us", longest.as_secs_f64() * 1e6, Some(1_000.0))
}

/// Microseconds of an INVITE that is answered with 401, and of the same INVITE with a wrong
/// password, which is answered with 403. Each source is used once.
fn guesses() -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let mut switch = Switch::new(settings(), world(TRUNKS / 2));
    let classifier = switch.classifier();
    let begun = Instant::now();
    let mut spent = [Duration::ZERO; 2];
    for source in 0..GUESSERS {
        let remote = SocketAddr::from((std::net::Ipv4Addr::from(0xcb00_0000 + source), 5060));
        let flow = sip::Flow::datagram(0, remote);
        // Slow enough for the budget of all strangers together, so that both are answered.
        let at = Duration::from_millis(4 * u64::from(source));
        let utc_ms = 1_790_000_000_000 + at.as_millis() as u64;
        let now = Now { instant: begun + at, utc_ms };
        let mut answer = |n: usize, credentials: &str| {
            let invite = format!(
                "INVITE sip:442071234567@10.0.0.1 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {remote};branch=z9hG4bK{source}n{n};rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:a@{remote}>;tag=1\r\nTo: <sip:442071234567@10.0.0.1>\r\n\
                 Call-ID: {source}@a\r\nCSeq: {n} INVITE\r\nContact: <sip:a@{remote}>\r\n\
                 {credentials}Content-Length: 0\r\n\r\n"
            );
            let began = Instant::now();
            receive(&mut switch, &classifier, now, flow, invite.as_bytes());
            let answer = switch.poll_transmit();
            spent[n] += began.elapsed();
            answer.map(|answer| String::from_utf8_lossy(&answer.bytes).into_owned())
        };
        let challenge = answer(0, "").ok_or("no challenge")?;
        let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
        let nonce = nonce.ok_or("no nonce")?;
        let wrong = "0".repeat(64);
        let credentials = format!(
            "Authorization: Digest username=\"u{}\",realm=\"switch.example\",nonce=\"{nonce}\",\
             uri=\"sip:442071234567@10.0.0.1\",response=\"{wrong}\",algorithm=SHA-256,qop=auth,\
             nc=00000001,cnonce=\"c\"\r\n",
            99 + TRUNKS
        );
        let refusal = answer(1, &credentials).ok_or("a guess was not answered")?;
        if !refusal.starts_with("SIP/2.0 403 ") {
            return Err(format!("a guess was answered with {refusal}").into());
        }
    }
    Ok(spent.map(|spent| spent.as_secs_f64() * 1e6 / f64::from(GUESSERS)))
}

/// The work of a socket thread for a datagram.
fn receive(switch: &mut Switch, classifier: &Classifier, now: Now, flow: sip::Flow, bytes: &[u8]) {
    match classifier.standing(now.instant, flow) {
        Some(standing) => switch.receive(now, flow, standing, bytes, &mut NoPorts),
        None => switch.turn_away(),
    }
}

fn settings() -> SwitchSettings {
    SwitchSettings {
        shard: 0,
        shards: 1,
        seed: [7; 32],
        live: live::Live::default(),
        strangers: Arc::default(),
        foreign: Arc::default(),
    }
}

/// Trunks with one host or network each, the last `users` of them with digest from anywhere.
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
        facts.apply(Change::Customer(Arc::new(trunk)));
    }
    Arc::new(World { facts: Arc::new(facts), pin: policy_answers::pin(1) })
}

/// No call begins in this benchmark.
struct NoPorts;

impl MediaControl for NoPorts {
    fn open(&mut self, _: MediaLeg, _: u16) -> Option<SocketAddr> {
        None
    }

    fn reopen(&mut self, _: MediaLeg, _: u16, _: SocketAddr) -> bool {
        false
    }

    fn update(&mut self, _: MediaLeg, _: RemoteMedia) {}

    fn join(&mut self, _: MediaLeg, _: MediaLeg) {}

    fn play(&mut self, _: MediaLeg, _: &str, _: bool) -> bool {
        false
    }

    fn watch(&mut self, _: CallKey, _: SilenceLimits) {}

    fn counters(&mut self, _: MediaLeg) -> Option<LegCounters> {
        None
    }

    fn close(&mut self, _: MediaLeg) -> Option<LegCounters> {
        None
    }
}

/// Prints the figure and adds it to the table.
fn report(name: &str, value: f64, goal: Option<f64>) -> Result<(), Box<dyn std::error::Error>> {
    let words = goal.map_or("no goal".to_owned(), |goal| format!("goal {goal}"));
    println!("{name}: {value:.2} us ({words})");
    Ok(table::append([table::line(name, value, "us", goal)])?)
}
