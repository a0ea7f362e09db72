//! Processor time per relayed packet: 100 calls of two parties over loopback sockets.
//!
//! One thread plays all parties. Only the processor time of the threads that relay counts, as the
//! kernel's scheduler keeps it, so that the parties cost the figure nothing. Beside it stand
//! rtpengine in user space under the same load, where it is installed, and the floor of the same
//! machine in the same minute: one receive and one send of the same packet between two sockets,
//! nothing else, nothing cold. Idle processors are kept awake where the machine allows it
//! (`processor_latency`); first all is measured as the machine is set up, for a quarter of the
//! time. `cargo bench -p strowger-engine --bench relay`; `RELAY_SECONDS`, `RELAY_CALLS` and `RELAY_PPS`
//! change duration, calls and packets per second.

mod rtpengine;
#[path = "../../bench_table.rs"]
mod table;

use engine::media_plane::{MediaAddress, MediaPlane, MediaSettings, PlaneControl, Sounds};
use platform::LatencyLimit;
use rtpengine::Rtpengine;
use serde_json::json;
use std::error::Error;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use switch::{CallKey, MediaControl, MediaLeg, RemoteMedia};

/// Microseconds of processor time that a packet may cost.
const GOAL_US: f64 = 2.5;
/// RTP of 20 ms G.711: header and 160 bytes.
const PACKET: usize = 172;
/// How often the parties send.
const TICK: Duration = Duration::from_millis(1);

/// One party: its socket and the relay's port for it.
struct Party {
    socket: UdpSocket,
    relay: SocketAddr,
}

/// What relays: the parties that talk through it and the threads that carry what they say.
struct Relay {
    parties: Vec<Party>,
    threads: Vec<PathBuf>,
}

/// Microseconds per packet of all that relays in this run.
struct Measured {
    ours: f64,
    rtpengine: Option<f64>,
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
        spare_files: 1_000,
        sounds: Sounds::default(),
    })?;
    let mut control = plane.control(|_, _| {});
    let ours = Relay {
        parties: parties(calls, localhost, |key, at| open(&mut control, key, at))?,
        threads: vec![relay_thread()?],
    };
    let mut engine = Rtpengine::start(localhost)?;
    let peer = match &mut engine {
        Some(engine) => {
            let parties = parties(calls, localhost, |key, at| engine.open(key, at))?;
            Some(Relay { parties, threads: engine.threads()? })
        }
        None => None,
    };

    println!("{calls} calls, {rate} packets/s");
    let measure = |seconds| -> Result<Measured, Box<dyn Error>> {
        let duration = Duration::from_secs(seconds);
        let rtpengine =
            peer.as_ref().map(|peer| us_per_packet(peer, rate, duration)).transpose()?;
        Ok(Measured { ours: us_per_packet(&ours, rate, duration)?, rtpengine })
    };
    let as_set_up = measure(seconds.div_ceil(4))?;
    let _awake = LatencyLimit::hold(Duration::ZERO);
    report(&measure(seconds)?, &as_set_up, bare_us()?)
}

/// Parties of so many calls, whose sockets `open` joins.
fn parties(
    calls: u64,
    host: IpAddr,
    mut open: impl FnMut(u64, [SocketAddr; 2]) -> Result<[SocketAddr; 2], Box<dyn Error>>,
) -> Result<Vec<Party>, Box<dyn Error>> {
    let mut parties = Vec::new();
    for key in 0..calls {
        let sockets = [UdpSocket::bind((host, 0))?, UdpSocket::bind((host, 0))?];
        let relays = open(key, [sockets[0].local_addr()?, sockets[1].local_addr()?])?;
        for (socket, relay) in sockets.into_iter().zip(relays) {
            socket.set_nonblocking(true)?;
            parties.push(Party { socket, relay });
        }
    }
    Ok(parties)
}

/// Opens a call between two parties; returns the ports that relay for each.
fn open(
    control: &mut PlaneControl,
    key: u64,
    parties: [SocketAddr; 2],
) -> Result<[SocketAddr; 2], Box<dyn Error>> {
    let legs = [0, 1].map(|leg| MediaLeg { call: CallKey(key), leg });
    let mut ports = parties;
    for ((leg, rtp), port) in legs.into_iter().zip(parties).zip(&mut ports) {
        *port = control.open(leg, 0).ok_or("no media ports")?;
        let remote = RemoteMedia {
            rtp,
            rtcp: rtp,
            rtcp_mux: true,
            payload_types: vec![8],
            signalling: rtp.ip(),
            strict: false,
            clock_hz: 8_000,
            sealed: false,
            sends: true,
            receives: true,
            formats: None,
        };
        control.update(leg, remote);
    }
    control.join(legs[0], legs[1]);
    Ok(ports)
}

/// Microseconds of the threads that relay for each packet heard, while the parties talk.
fn us_per_packet(relay: &Relay, rate: u64, duration: Duration) -> Result<f64, Box<dyn Error>> {
    let cpu = || relay.threads.iter().map(|thread| cpu_ns(thread)).sum::<Result<u64, _>>();
    let before = cpu()?;
    let (sent, mut heard) = talk(&relay.parties, rate, duration)?;
    let deadline = Instant::now() + Duration::from_secs(2);
    while heard < sent && Instant::now() < deadline {
        std::thread::sleep(TICK);
        heard += relay.parties.iter().map(Party::hear).sum::<u64>();
    }
    if heard * 100 < sent * 99 {
        return Err(format!("only {heard} of {sent} packets were relayed").into());
    }
    Ok((cpu()? - before) as f64 / 1_000.0 / heard as f64)
}

impl Party {
    /// Takes the packets that wait; returns how many.
    fn hear(&self) -> u64 {
        let mut packet = [0; PACKET];
        let mut heard = 0;
        while self.socket.recv(&mut packet).is_ok() {
            heard += 1;
        }
        heard
    }
}

/// All parties talk in turn, `rate` packets a second together, and take what they hear.
/// Returns the packets sent and heard.
fn talk(parties: &[Party], rate: u64, duration: Duration) -> Result<(u64, u64), Box<dyn Error>> {
    let mut packet = [0xd5; PACKET];
    packet[..12].copy_from_slice(&[0x80, 8, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    let begin = Instant::now();
    let (mut sent, mut heard) = (0_u64, 0_u64);
    let mut turn = parties.iter().cycle();
    while begin.elapsed() < duration {
        let due = (begin.elapsed().as_secs_f64() * rate as f64) as u64;
        // What a busy machine held up is made good in small portions: in one burst it would
        // measure the sockets' buffers.
        for party in turn.by_ref().take(due.saturating_sub(sent).min(500) as usize) {
            packet[2..4].copy_from_slice(&(sent as u16).to_be_bytes());
            party.socket.send_to(&packet, party.relay)?;
            heard += party.hear();
            sent += 1;
        }
        std::thread::sleep(TICK);
    }
    Ok((sent, heard))
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

fn report(awake: &Measured, as_set_up: &Measured, bare: f64) -> Result<(), Box<dyn Error>> {
    let verdict = if awake.ours <= GOAL_US { "met" } else { "missed" };
    let beside = |measured: &Measured| match measured.rtpengine {
        Some(us) => format!("rtpengine in user space {us:.2}"),
        None => "rtpengine is not installed".to_owned(),
    };
    println!(
        "relay: {:.2} us of processor time per packet (goal {GOAL_US}, {verdict}; {}; bare receive \
         and send here and now {bare:.2}); with idle processors as the machine is set up {:.2} ({})",
        awake.ours,
        beside(awake),
        as_set_up.ours,
        beside(as_set_up),
    );
    let rounded = |value: f64| (value * 1_000.0).round() / 1_000.0;
    let line = |name: &str, goal: Option<f64>, measured: &Measured| {
        let peer = measured
            .rtpengine
            .map(|us| json!({ "name": "rtpengine in user space", "value": rounded(us) }));
        json!({
            "name": name,
            "value": rounded(measured.ours),
            "unit": "us",
            "goal": goal,
            "peer": peer,
            "ratio": measured.rtpengine.map(|us| rounded(measured.ours / us)),
        })
    };
    let lines = [
        line("relay_us_per_packet", Some(GOAL_US), awake),
        line("relay_us_per_packet_as_set_up", None, as_set_up),
        json!({
            "name": "relay_over_bare_sockets",
            "value": rounded(awake.ours / bare),
            "unit": "times",
            "goal": null,
            "peer": { "name": "one recv_from and send_to in the same run", "value": rounded(bare) },
            "ratio": rounded(awake.ours / bare),
        }),
    ];
    Ok(table::append(lines)?)
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
fn cpu_ns(thread: &Path) -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string(thread.join("schedstat"))?;
    Ok(stat.split_whitespace().next().ok_or("schedstat is empty")?.parse()?)
}

fn setting(name: &str, default: u64) -> Result<u64, Box<dyn Error>> {
    match std::env::var(name) {
        Ok(value) => value.parse().map_err(|_| format!("{name}={value} is not a number").into()),
        Err(_) => Ok(default),
    }
}
