//! Signalling figures of the running program, beside Kamailio where it is installed:
//! processor time per call, delay added to an INVITE, load on one core, memory per call.
//!
//! Processors that are idle between two messages fall asleep, and what waking them costs is booked
//! to the program that wakes. At a slow pace every program is therefore measured twice: asleep,
//! with idle processors as the machine is set up, and awake, with all kept awake, as
//! `processor_latency = "0us"` of the node file does. Goals are about awake ones.
//! `STROWGER_BENCH=quick` measures a fifth as long.

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use strowger_tests::figures::{Figure, publish};
use strowger_tests::net::Net;
use strowger_tests::pm_qos::{Awake, keep_awake};
use strowger_tests::process::{family, memory_kb, processor_seconds};
use strowger_tests::switch::{Setup, Switch, pinned};
use strowger_tests::wait;

/// Where the switch, or its peer, runs; the load generator runs on the other one.
const SWITCH_PROCESSOR: usize = 0;
const LOAD_PROCESSOR: usize = 1;

const PACED_RATE: u32 = 300;
const FULL_RATE: u32 = 4000;
const BUSY_RATE: u32 = 6000;
const HELD_CALLS: u32 = 10_000;

/// Rates of calls that are tried, and those that a switch is tried with before.
const RATES: &[u32] = &[FULL_RATE, 3500, 3000, 2500, 2000, 1500, 1000, 500];
const HIGH_RATES: &[u32] = &[8000, 7000, BUSY_RATE, 5000];

fn main() -> anyhow::Result<()> {
    let quick = std::env::var("STROWGER_BENCH").is_ok_and(|value| value == "quick");
    let scale = if quick { 5 } else { 1 };
    let paced = PACED_RATE * 30 / scale;
    let full = FULL_RATE * 20 / scale;

    let floor = Measured::floor(paced, full)?;
    let switch = Measured::switch(paced, full, scale)?;
    let proxy = Measured::kamailio("", paced, full)?;
    let dialogs = Measured::kamailio("DIALOGS", paced, full)?;
    let peer = |name: &str, of: fn(&Measured) -> f64, peer: &Option<Measured>| {
        peer.as_ref().map(|peer| (name.to_owned(), of(peer))).filter(|(_, value)| *value > 0.0)
    };
    let plain = "kamailio 5.6 proxy";
    let with_dialogs = "kamailio 5.6 dialogs+cdr";

    let figure = |name: &str, unit, goal, of: fn(&Measured) -> f64| Figure {
        name: name.to_owned(),
        value: of(&switch),
        unit,
        goal,
        more_is_better: false,
        peer: peer(with_dialogs, of, &dialogs),
    };
    let us = |name: &str, goal, of| figure(name, "us", goal, of);
    let mut figures = vec![
        us("processor time per call at 300 calls/s", Some(150.0), |m| m.awake.per_call_us),
        Figure {
            peer: peer(plain, |m| m.awake.per_call_us, &proxy),
            ..us("the same, beside a plain proxy", None, |m| m.awake.per_call_us)
        },
        us("delay added to an INVITE, p50", Some(200.0), |m| m.awake.added_p50_us),
        us("delay added to an INVITE, p99", Some(500.0), |m| m.awake.added_p99_us),
        us("processor time per call, processors asleep", None, |m| m.asleep.per_call_us),
        us("delay added, p50, processors asleep", None, |m| m.asleep.added_p50_us),
        us("delay added, p99, processors asleep", None, |m| m.asleep.added_p99_us),
        figure("retransmissions at 4,000 calls/s on one core", "messages", Some(0.0), |m| {
            m.full_retransmissions
        }),
        figure("calls failed at 4,000 calls/s on one core", "calls", Some(0.0), |m| m.full_failed),
        us("processor time per call at 4,000 calls/s", None, |m| m.full_per_call_us),
        Figure {
            more_is_better: true,
            ..figure("calls/s without loss or retransmission", "calls/s", Some(4000.0), |m| {
                m.held_rate
            })
        },
        figure("memory per held call", "KB", Some(7.0), |m| m.held_kb),
    ];
    figures.push(Figure {
        peer: None,
        ..figure("delay added to an INVITE at 6,000 calls/s, p99", "ms", Some(5.0), |m| {
            m.busy_p99_ms
        })
    });
    let floors = [
        ("processor time per call at 300 calls/s", floor.awake.per_call_us),
        ("delay added to an INVITE, p50", floor.awake.added_p50_us),
        ("delay added to an INVITE, p99", floor.awake.added_p99_us),
        ("processor time, processors asleep", floor.asleep.per_call_us),
        ("delay added, p50, processors asleep", floor.asleep.added_p50_us),
        ("delay added, p99, processors asleep", floor.asleep.added_p99_us),
        ("processor time per call at 4,000 calls/s", floor.full_per_call_us),
    ];
    figures.extend(floors.map(|(name, value)| Figure {
        name: format!("floor: {name}"),
        value,
        unit: "us",
        goal: None,
        more_is_better: false,
        peer: None,
    }));
    if let Some(growth) = switch.growth_percent {
        figures.push(Figure {
            name: "memory growth at rest from 100,000 to 300,000 calls".to_owned(),
            value: growth,
            unit: "%",
            goal: Some(5.0),
            more_is_better: false,
            peer: None,
        });
    }
    figures.push(tcp_against_udp(if quick { 1 } else { 3 })?);
    let file = std::env::var_os("STROWGER_BENCH_FILE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench.jsonl"),
        PathBuf::from,
    );
    publish("signalling, five hooks, record written, no RTP", &figures, &file)?;
    Ok(())
}

/// Processor time of a call over kept connections, in times that of one over UDP: two switches on
/// one processor, measured in turn.
fn tcp_against_udp(rounds: u32) -> anyhow::Result<Figure> {
    const RATE: u32 = 1000;
    let start = |tcp: bool| {
        let mut setup = Setup::new();
        setup.relay = false;
        setup.log = "warn".to_owned();
        if tcp {
            setup.vendor_a = "listener = \"tcp\"".to_owned();
            setup.plugin_lines.push_str(&format!(
                "\n[[listeners]]\nname = \"tcp\"\naddress = \"{}\"\ntransport = \"tcp\"\n",
                setup.net.switch()
            ));
        }
        (setup.net, Switch::start_on(setup.net, setup.write(), SWITCH_PROCESSOR))
    };
    let switches = [("udp", start(false)), ("tcp", start(true))];
    let mut used = [0.0, 0.0];
    // The first round warms up and does not count.
    for round in 0..=rounds {
        for (used, (transport, (net, switch))) in used.iter_mut().zip(&switches) {
            let subject = Subject { address: switch.address(), pids: vec![switch.pid()] };
            let calls = if round == 0 { RATE } else { RATE * 10 };
            let before = processor_seconds(&subject.pids);
            let mut command = loader(*net, &subject, RATE, calls);
            let output = command.args(["--transport", transport]).output()?;
            let report: Value = serde_json::from_slice(&output.stdout)?;
            anyhow::ensure!(
                report["completed"] == calls,
                "calls over {transport} failed: {report}"
            );
            settled(switch);
            if round > 0 {
                *used += (processor_seconds(&subject.pids) - before) * 1e6 / f64::from(calls);
            }
        }
    }
    let [udp, tcp] = used.map(|used| used / f64::from(rounds));
    eprintln!("processor time of a call: {udp:.0} us over udp, {tcp:.0} us over tcp");
    Ok(Figure {
        name: "processor time per call over kept TCP connections, against UDP".to_owned(),
        value: tcp / udp,
        unit: "times",
        goal: Some(1.5),
        more_is_better: false,
        peer: None,
    })
}

/// One program's figures.
#[derive(Debug, Default)]
struct Measured {
    /// With idle processors as the machine is set up.
    asleep: Paced,
    /// With idle processors kept awake, as everything below.
    awake: Paced,
    full_retransmissions: f64,
    full_failed: f64,
    full_per_call_us: f64,
    held_rate: f64,
    /// Delay added to an INVITE at [`BUSY_RATE`].
    busy_p99_ms: f64,
    held_kb: f64,
    growth_percent: Option<f64>,
}

/// Figures of a slow pace, at which processors are idle between messages.
#[derive(Debug, Default)]
struct Paced {
    per_call_us: f64,
    added_p50_us: f64,
    added_p99_us: f64,
}

impl Measured {
    fn switch(paced: u32, full: u32, scale: u32) -> anyhow::Result<Measured> {
        let mut setup = Setup::new();
        setup.relay = false;
        setup.log = "warn".to_owned();
        let start = || Switch::start_on(setup.net, setup.write(), SWITCH_PROCESSOR);
        let mut measured = Measured::default();

        let switch = start();
        let subject = Subject { address: switch.address(), pids: vec![switch.pid()] };
        let settle = || settled(&switch);
        let _awake = measured.paced(setup.net, &subject, paced, settle)?;
        let resent = switch.metric("strowger_retransmissions_total", &[]);
        measured.full(setup.net, &subject, full, settle)?;
        measured.full_retransmissions +=
            switch.metric("strowger_retransmissions_total", &[]) - resent;
        drop(switch);

        let switch = start();
        let subject = Subject { address: switch.address(), pids: vec![switch.pid()] };
        let rates = HIGH_RATES.iter().chain(RATES);
        measured.highest_rate(setup.net, &subject, rates, || settled(&switch))?;
        if measured.held_rate > f64::from(BUSY_RATE) {
            measured.highest_rate(setup.net, &subject, [&BUSY_RATE], || settled(&switch))?;
        }
        drop(switch);

        let switch = start();
        let subject = Subject { address: switch.address(), pids: vec![switch.pid()] };
        measured.held(setup.net, &subject)?;
        drop(switch);

        if scale == 1 {
            let switch = start();
            let subject = Subject { address: switch.address(), pids: vec![switch.pid()] };
            // At rest: no record under way, and the last transactions have ended, 32 s after
            // the last call.
            let at_rest = || {
                wait::until("everything has ended", Duration::from_secs(90), || {
                    let left = ["strowger_recorder_queue", "strowger_transactions"];
                    left.iter().all(|name| switch.metric(name, &[]) == 0.0).then_some(())
                });
                memory_kb(&subject.pids)
            };
            // All that is used at one time was used once by then, and every number of the load has
            // its counter: each load counts its callers from the first one.
            load(setup.net, &subject, 1000, 100_000)?;
            let first = at_rest();
            load(setup.net, &subject, 1000, 100_000)?;
            load(setup.net, &subject, 1000, 100_000)?;
            let after = at_rest();
            measured.growth_percent = Some((after - first) / first * 100.0);
            eprintln!("at rest: {first} KB after 100,000 calls, {after} KB after 300,000");
        }
        Ok(measured)
    }

    /// What the same datagrams cost here without a switch: no program stays below.
    fn floor(paced: u32, full: u32) -> anyhow::Result<Measured> {
        let net = Net::new();
        let mut command = pinned(Path::new(env!("CARGO_BIN_EXE_sipfloor")), SWITCH_PROCESSOR);
        command.arg(net.switch().to_string());
        command.args([net.caller(), net.vendor_a()].map(|host| format!("{host}:5060")));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let ready = BufReader::new(child.stdout.take().expect("piped")).lines().next();
        anyhow::ensure!(matches!(ready, Some(Ok(_))), "sipfloor did not start");
        let subject = Subject { address: net.switch(), pids: vec![child.id()] };
        let mut measured = Measured::default();
        let done = measured
            .paced(net, &subject, paced, || ())
            .and_then(|_awake| measured.full(net, &subject, full, || ()));
        child.kill()?;
        child.wait()?;
        done.map(|()| measured)
    }

    fn kamailio(define: &str, paced: u32, full: u32) -> anyhow::Result<Option<Measured>> {
        if Command::new("kamailio").arg("-v").stdout(Stdio::null()).spawn().is_err() {
            return Ok(None);
        }
        let mut measured = Measured::default();
        let kamailio = Kamailio::start(define)?;
        let _awake = measured.paced(kamailio.net, &kamailio.subject, paced, || ())?;
        measured.full(kamailio.net, &kamailio.subject, full, || ())?;
        drop(kamailio);
        if !define.is_empty() {
            let kamailio = Kamailio::start(define)?;
            measured.highest_rate(kamailio.net, &kamailio.subject, RATES, || ())?;
            drop(kamailio);
            let kamailio = Kamailio::start(define)?;
            measured.held(kamailio.net, &kamailio.subject)?;
        }
        Ok(Some(measured))
    }

    /// Asleep and awake; processors stay awake while the answer lives. Where they cannot be kept
    /// awake there is none, and all figures are those of sleeping ones.
    fn paced(
        &mut self,
        net: Net,
        subject: &Subject,
        calls: u32,
        settle: impl Fn(),
    ) -> anyhow::Result<Option<Awake>> {
        self.asleep = Paced::measure(net, subject, calls, &settle)?;
        let idler = Path::new(env!("CARGO_BIN_EXE_sipidle"));
        let awake = keep_awake(&[SWITCH_PROCESSOR, LOAD_PROCESSOR], idler);
        if let Err(error) = &awake {
            eprintln!("processors are not kept awake, all figures are of sleeping ones: {error}");
        }
        let awake = awake.ok();
        self.awake = Paced::measure(net, subject, calls, &settle)?;
        Ok(awake)
    }

    fn full(
        &mut self,
        net: Net,
        subject: &Subject,
        calls: u32,
        settle: impl Fn(),
    ) -> anyhow::Result<()> {
        let before = processor_seconds(&subject.pids);
        let report = load(net, subject, FULL_RATE, calls)?;
        settle();
        let used = processor_seconds(&subject.pids) - before;
        self.full_per_call_us = used * 1e6 / f64::from(calls);
        self.full_retransmissions = number(&report, "retransmissions");
        self.full_failed = f64::from(calls) - number(&report, "completed");
        eprintln!("at {FULL_RATE} calls/s: {report}");
        Ok(())
    }

    /// The highest of some rates that is carried for five seconds without a message lost
    /// or repeated.
    fn highest_rate(
        &mut self,
        net: Net,
        subject: &Subject,
        rates: impl IntoIterator<Item = &'static u32>,
        settle: impl Fn(),
    ) -> anyhow::Result<()> {
        for rate in rates {
            let calls = rate * 5;
            let report = load(net, subject, *rate, calls)?;
            settle();
            eprintln!("at {rate} calls/s: {report}");
            if *rate == BUSY_RATE {
                self.busy_p99_ms = number(&report, "added_p99_us") / 1000.0;
            }
            if report["completed"] == calls && report["retransmissions"] == 0 {
                self.held_rate = self.held_rate.max(f64::from(*rate));
                break;
            }
        }
        Ok(())
    }

    /// Memory with ten thousand calls up, less the memory after as many that ended.
    fn held(&mut self, net: Net, subject: &Subject) -> anyhow::Result<()> {
        load(net, subject, PACED_RATE, PACED_RATE)?;
        let before = memory_kb(&subject.pids);
        let mut child = loader(net, subject, 500, HELD_CALLS)
            .arg("--until-told")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let up = lines.next().transpose()?.unwrap_or_default();
        anyhow::ensure!(up == format!("up {HELD_CALLS}"), "calls failed while held: {up}");
        self.held_kb = (memory_kb(&subject.pids) - before) / f64::from(HELD_CALLS);
        child.stdin.take().expect("piped").write_all(b"\n")?;
        let report = lines.next().transpose()?.unwrap_or_default();
        child.wait()?;
        eprintln!("held: {report}");
        Ok(())
    }
}

/// Waits until all records are written. They are after half a second, and who asks sooner
/// measures the answers as well.
fn settled(switch: &Switch) {
    std::thread::sleep(Duration::from_secs(1));
    wait::until("the records are written", Duration::from_secs(60), || {
        (switch.metric("strowger_recorder_queue", &[]) == 0.0).then_some(())
    });
}

impl Paced {
    fn measure(
        net: Net,
        subject: &Subject,
        calls: u32,
        settle: &impl Fn(),
    ) -> anyhow::Result<Paced> {
        // A second of calls first: code paged in, instances made, tables grown.
        load(net, subject, PACED_RATE, PACED_RATE)?;
        settle();
        let before = processor_seconds(&subject.pids);
        let report = load(net, subject, PACED_RATE, calls)?;
        settle();
        let used = processor_seconds(&subject.pids) - before;
        anyhow::ensure!(report["completed"] == calls, "calls failed at a slow pace: {report}");
        Ok(Paced {
            per_call_us: used * 1e6 / f64::from(calls),
            added_p50_us: number(&report, "added_p50_us"),
            added_p99_us: number(&report, "added_p99_us"),
        })
    }
}

/// What is measured.
#[derive(Debug)]
struct Subject {
    address: SocketAddr,
    pids: Vec<u32>,
}

fn loader(net: Net, subject: &Subject, rate: u32, calls: u32) -> Command {
    let mut command = pinned(Path::new(env!("CARGO_BIN_EXE_sipload")), LOAD_PROCESSOR);
    command.args(["--target", &subject.address.to_string()]);
    command.args(["--caller", &format!("{}:5060", net.caller())]);
    command.args(["--vendor", &format!("{}:5060", net.vendor_a())]);
    command.args(["--rate", &rate.to_string(), "--calls", &calls.to_string()]);
    command
}

fn load(net: Net, subject: &Subject, rate: u32, calls: u32) -> anyhow::Result<Value> {
    let output = loader(net, subject, rate, calls).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "the load generator failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn number(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap_or(0.0)
}

/// The peer; killed when dropped.
#[derive(Debug)]
struct Kamailio {
    child: Child,
    net: Net,
    subject: Subject,
    folder: PathBuf,
}

impl Kamailio {
    fn start(define: &str) -> anyhow::Result<Kamailio> {
        let net = Net::new();
        let folder = std::env::temp_dir().join(format!("strowger-peer-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/kamailio/proxy.cfg");
        let text = fs::read_to_string(template)?
            .replace("SWITCH", &net.switch().to_string())
            .replace("VENDOR", &format!("{}:5060", net.vendor_a()));
        let config = folder.join("kamailio.cfg");
        fs::write(&config, text)?;
        let mut command = pinned(Path::new("kamailio"), SWITCH_PROCESSOR);
        command.args(["-DD", "-E", "-m", "1024", "-M", "64", "-f"]).arg(&config);
        command.arg("-P").arg(folder.join("pid"));
        if !define.is_empty() {
            command.args(["-A", define]);
        }
        // A group of its own: what it does to its group at its end does not concern us.
        command.process_group(0);
        // Its accounting lines go to a file, as they would in service.
        let log = fs::File::create(folder.join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let pid = child.id();
        let mut kamailio = Kamailio {
            child,
            net,
            subject: Subject { address: net.switch(), pids: vec![pid] },
            folder,
        };
        // Its listener answers OPTIONS as soon as its workers run.
        let probe = std::net::UdpSocket::bind((net.stranger(), 5060))?;
        probe.set_read_timeout(Some(Duration::from_millis(100)))?;
        wait::until("kamailio answers", Duration::from_secs(20), || {
            let text = format!(
                "OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP {0}:5060;branch=z9hG4bKp\r\nMax-Forwards: 70\r\n\
                 From: <sip:p@{0}>;tag=p\r\nTo: <sip:x@y>\r\nCall-ID: p\r\nCSeq: 1 OPTIONS\r\n\
                 Content-Length: 0\r\n\r\n",
                net.stranger()
            );
            probe.send_to(text.as_bytes(), net.switch()).ok()?;
            probe.recv_from(&mut [0; 2048]).ok()
        });
        kamailio.subject.pids = family(pid);
        Ok(kamailio)
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its main process ends its workers when asked politely, not when killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
