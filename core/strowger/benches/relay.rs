//! Processor time per relayed packet: 100 calls of two parties over loopback sockets.
//!
//! One thread plays all parties. Only the relay thread's own processor time counts, as the
//! kernel's scheduler keeps it, so that the parties cost the figure nothing. Beside it stands
//! the floor of the same machine in the same minute: one receive and one send of the same
//! packet between two sockets, nothing else, nothing cold. Idle processors are kept awake where
//! the machine allows it (`processor_latency`); first it is measured as the machine is set up,
//! for a quarter of the time. `cargo bench -p strowger --bench relay`;
//! `RELAY_SECONDS`, `RELAY_CALLS` and `RELAY_PPS` change duration, calls and packets per second.

use serde_json::json;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use strowger::media_plane::{MediaAddress, MediaPlane, MediaSettings, PlaneControl};
use strowger::pm_qos::LatencyLimit;
use switch::{CallKey, MediaControl, MediaSide, RemoteMedia};

/// Microseconds of processor time that a packet may cost.
const GOAL_US: f64 = 2.5;
/// What rtpengine costs in user space, as its authors document it.
const RTPENGINE_US: f64 = 5.0;
/// RTP of 20 ms G.711: header and 160 bytes.
const PACKET: usize = 172;
/// How often the parties send.
const TICK: Duration = Duration::from_millis(1);

/// One party: its socket and the relay's port for it.
struct Party {
    socket: UdpSocket,
    relay: SocketAddr,
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = setting("RELAY_SECONDS", 10)?;
    let calls = setting("RELAY_CALLS", 100)?;
    let rate = setting("RELAY_PPS", 40_000)?;
    let localhost = IpAddr::from([127, 0, 0, 1]);
    let plane = MediaPlane::start(MediaSettings {
        addresses: vec![MediaAddress {
            name: "bench".into(),
            bind: localhost,
            advertised: localhost,
            ports: 20_000..=29_999,
        }],
        threads: 1,
        dscp: 46,
        seed: [1; 32],
        processors: None,
    })?;
    let mut control = plane.control();
    let mut parties = Vec::new();
    for key in 0..calls {
        parties.extend(call(&mut control, key, localhost)?);
    }

    println!("{calls} calls, {rate} packets/s");
    let as_set_up = relay_us(&plane, &parties, rate, Duration::from_secs(seconds.div_ceil(4)))?;
    let _awake = LatencyLimit::hold(Duration::ZERO);
    let awake = relay_us(&plane, &parties, rate, Duration::from_secs(seconds))?;
    report(awake, as_set_up, bare_us()?)
}

/// Microseconds of the relay thread for each packet, while the parties talk.
fn relay_us(
    plane: &MediaPlane,
    parties: &[Party],
    rate: u64,
    duration: Duration,
) -> Result<f64, Box<dyn Error>> {
    let thread = relay_thread()?;
    let (cpu, before) = (cpu_ns(&thread)?, plane.stats());
    let sent = talk(parties, rate, duration)?;
    let deadline = Instant::now() + Duration::from_secs(2);
    while plane.stats().packets_in < before.packets_in + sent && Instant::now() < deadline {
        std::thread::sleep(TICK);
    }
    let (cpu, after) = (cpu_ns(&thread)? - cpu, plane.stats());
    let relayed = after.packets_out - before.packets_out;
    if relayed * 100 < sent * 99 {
        return Err(format!("only {relayed} of {sent} packets were relayed").into());
    }
    Ok(cpu as f64 / 1_000.0 / relayed as f64)
}

/// Opens a call whose parties have sockets of their own.
fn call(control: &mut PlaneControl, key: u64, host: IpAddr) -> Result<[Party; 2], Box<dyn Error>> {
    let ports = control.open(CallKey(key), 0, 0).ok_or("no media ports")?;
    let sides = [MediaSide::Caller, MediaSide::Vendor];
    let mut parties = Vec::with_capacity(2);
    for (side, relay) in sides.into_iter().zip(ports) {
        let socket = UdpSocket::bind((host, 0))?;
        socket.set_nonblocking(true)?;
        let rtp = socket.local_addr()?;
        let remote = RemoteMedia { rtp, rtcp: rtp, payload_types: vec![8], strict: false };
        control.update(CallKey(key), side, remote);
        parties.push(Party { socket, relay });
    }
    parties.try_into().map_err(|_| "a call has two parties".into())
}

/// All parties talk in turn, `rate` packets a second together, and take what they hear.
/// Returns the packets sent.
fn talk(parties: &[Party], rate: u64, duration: Duration) -> Result<u64, Box<dyn Error>> {
    let mut packet = [0xd5; PACKET];
    packet[..12].copy_from_slice(&[0x80, 8, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    let mut heard = [0; PACKET];
    let begin = Instant::now();
    let mut sent = 0_u64;
    let mut turn = parties.iter().cycle();
    while begin.elapsed() < duration {
        let due = (begin.elapsed().as_secs_f64() * rate as f64) as u64;
        // What a busy machine held up is made good in small portions: in one burst it would
        // measure the sockets' buffers.
        for party in turn.by_ref().take(due.saturating_sub(sent).min(500) as usize) {
            packet[2..4].copy_from_slice(&(sent as u16).to_be_bytes());
            party.socket.send_to(&packet, party.relay)?;
            while party.socket.recv(&mut heard).is_ok() {}
            sent += 1;
        }
        std::thread::sleep(TICK);
    }
    Ok(sent)
}

/// Microseconds of processor time of one receive and one send without a relay around them.
fn bare_us() -> Result<f64, Box<dyn Error>> {
    const ROUNDS: u32 = 2_000;
    const BATCH: u32 = 100;
    let (from, to) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    let (target, mut packet) = (to.local_addr()?, [0xd5; PACKET]);
    let own = PathBuf::from("/proc/thread-self");
    let before = cpu_ns(&own)?;
    for _ in 0..ROUNDS {
        for _ in 0..BATCH {
            from.send_to(&packet, target)?;
        }
        for _ in 0..BATCH {
            to.recv_from(&mut packet)?;
        }
    }
    Ok((cpu_ns(&own)? - before) as f64 / 1_000.0 / f64::from(ROUNDS * BATCH))
}

fn report(us: f64, as_set_up: f64, bare: f64) -> Result<(), Box<dyn Error>> {
    let verdict = if us <= GOAL_US { "met" } else { "missed" };
    println!(
        "relay: {us:.2} us of processor time per packet (goal {GOAL_US}, {verdict}; rtpengine in \
         user space {RTPENGINE_US}, documented; bare receive and send here and now {bare:.2}; with \
         idle processors as the machine is set up {as_set_up:.2})"
    );
    let rounded = |value: f64| (value * 1_000.0).round() / 1_000.0;
    let lines = [
        json!({
            "name": "relay_us_per_packet",
            "value": rounded(us),
            "unit": "us",
            "goal": GOAL_US,
            "peer": "rtpengine user space 5.0 (documented)",
            "ratio": rounded(us / RTPENGINE_US),
        }),
        json!({
            "name": "relay_us_per_packet_as_set_up",
            "value": rounded(as_set_up),
            "unit": "us",
            "goal": null,
            "peer": "rtpengine user space 5.0 (documented)",
            "ratio": rounded(as_set_up / RTPENGINE_US),
        }),
        json!({
            "name": "relay_over_bare_sockets",
            "value": rounded(us / bare),
            "unit": "times",
            "goal": null,
            "peer": format!("one recv_from and send_to in the same run {bare:.3} us"),
            "ratio": rounded(us / bare),
        }),
    ];
    // Set by `make bench`; a run by hand adds to the same table.
    let path = std::env::var_os("STROWGER_BENCH_FILE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench.jsonl")),
        PathBuf::from,
    );
    let mut table = fs::OpenOptions::new().create(true).append(true).open(path)?;
    for line in lines {
        writeln!(table, "{line}")?;
    }
    Ok(())
}

/// Folder of the relay thread under `/proc`.
fn relay_thread() -> Result<PathBuf, Box<dyn Error>> {
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if fs::read_to_string(path.join("comm"))?.trim() == "relay-0" {
            return Ok(path);
        }
    }
    Err("no thread named relay-0".into())
}

/// Nanoseconds that a thread has run: the first field of its `schedstat`.
fn cpu_ns(thread: &std::path::Path) -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string(thread.join("schedstat"))?;
    Ok(stat.split_whitespace().next().ok_or("schedstat is empty")?.parse()?)
}

fn setting(name: &str, default: u64) -> Result<u64, Box<dyn Error>> {
    match std::env::var(name) {
        Ok(value) => value.parse().map_err(|_| format!("{name}={value} is not a number").into()),
        Err(_) => Ok(default),
    }
}
