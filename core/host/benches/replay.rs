//! The cost of keeping a decision for a call, the disk space per call, and how fast the default
//! plugins decide again. `cargo bench -p strowger-host --bench replay`; figures go to
//! `target/bench.jsonl`.

mod shared;

use host::decisions::{Decided, DecisionLog, DecisionReader, DecisionSettings};
use host::replay::{Names, ReplayHost, ReplayOptions};
use host::{Grant, Host, HostSettings, PluginSettings};
use policy::{
    CallDetails, CallFacts, CallNumbers, Context, Invite, Pin, Question, Reply, Side, Stage,
};
use shared::questions::Wholesale;
use shared::{PLUGINS, Snapshot, build, line, processor_ns, write};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALLS: u32 = 20_000;
/// Nanoseconds of the call's thread per decision.
const RECORD_GOAL_NS: f64 = 1_000.0;
/// Decisions that one core replays in a second.
const REPLAY_GOAL: f64 = 100_000.0;

fn main() -> Result<(), Box<dyn Error>> {
    let built = build()?;
    let plugins = PLUGINS.map(|name| settings(&built, name));
    let host = Host::new(HostSettings {
        plugins: plugins.clone().into(),
        cache_dir: None,
        shards: 1,
        random_seed: None,
        housekeeping: None,
    })?;
    let folder = std::env::temp_dir().join(format!("strowger-replay-{}", std::process::id()));
    let log = DecisionLog::start(DecisionSettings {
        folder: folder.clone(),
        node: "bench".to_owned(),
        keep: Duration::from_secs(86_400),
        max_bytes: 2 << 30,
        mask_digits: 0,
        mask_key: [0; 32],
        random_seed: host.random_seed(),
    })?;
    let decisions = record(&host, &log)?;
    let (record_ns, counts) = (decisions.ns, log.counts());
    println!(
        "recording: {record_ns:.0} ns of the call's thread a decision (goal {RECORD_GOAL_NS}), \
         {} dropped",
        counts.dropped
    );
    let per_call = counts.bytes as f64 / f64::from(CALLS);
    println!("on disk:   {per_call:.0} bytes a call of {} decisions", decisions.of_a_call);

    let replay = ReplayHost::new(None)?;
    let (mut asked, mut all_ns) = (0, 0);
    let mut lines = vec![
        line("decision_record_ns", record_ns, "ns", Some(RECORD_GOAL_NS), None),
        line("decision_bytes_per_call", per_call, "bytes", None, None),
    ];
    for settings in plugins {
        let name = settings.name.clone();
        let build = replay.load(settings, Some(Arc::new(Snapshot)))?;
        let reader = DecisionReader::open(&folder, 0, u64::MAX)?;
        let options = ReplayOptions { hooks: None, limit: 10, call: None, trace: false };
        let before = processor_ns();
        let report = build.run(reader, &options, &Names::default())?;
        let ns = processor_ns() - before;
        if report.different > 0 || report.faults > 0 {
            return Err(format!("{name} decides otherwise: {report:?}").into());
        }
        let rate = report.asked as f64 * 1e9 / ns as f64;
        println!("replay:    {name:<10} {:>8} decisions, {rate:>9.0} a second", report.asked);
        lines.push(line(&format!("replay_{name}_per_second"), rate, "1/s", None, None));
        asked += report.asked;
        all_ns += ns;
    }
    let rate = asked as f64 * 1e9 / all_ns as f64;
    let verdict = if rate >= REPLAY_GOAL { "met" } else { "missed" };
    println!(
        "replay:    all five   {asked:>8} decisions, {rate:>9.0} a second (goal {REPLAY_GOAL}, {verdict})"
    );
    lines.push(line("replay_per_second_per_core", rate, "1/s", Some(REPLAY_GOAL), None));
    std::fs::remove_dir_all(&folder)?;
    write(&lines)
}

struct Recorded {
    /// Processor time of the calling thread per decision.
    ns: f64,
    of_a_call: usize,
}

/// Lets the plugins decide, call by call, and keeps their decisions; only the keeping is measured.
fn record(host: &Host, log: &DecisionLog) -> Result<Recorded, Box<dyn Error>> {
    let mut shard = host.shard();
    shard.warm_current();
    let mut tap = log.tap(0);
    let world = host.pin(Arc::new(Snapshot));
    let (mut spent, mut kept, mut of_a_call) = (0, 0, 0);
    let received_ms = 1_700_000_000_000;
    for number in 0..CALLS {
        let pin = world.for_call();
        let at_ms = received_ms + u64::from(number);
        let details = details(number);
        let asked: Vec<(Question, policy::NotesMark, Reply)> = questions(number, at_ms)
            .into_iter()
            .map(|question| {
                let mark = pin.notes.mark();
                let reply = shard.ask(context(&pin, &details, &question), &question);
                (question, mark, reply)
            })
            .collect();
        of_a_call = asked.len();
        let now = Instant::now();
        let before = processor_ns();
        for (question, mark, reply) in &asked {
            let context = context(&pin, &details, question);
            tap.record(now, &Decided { at_ms, mark: *mark, context, question, reply });
        }
        spent += processor_ns() - before;
        kept += asked.len();
    }
    drop(tap);
    log.close();
    Ok(Recorded { ns: spent as f64 / kept as f64, of_a_call })
}

fn context<'a>(pin: &'a Pin, details: &'a Arc<CallDetails>, question: &Question) -> Context<'a> {
    let wanted = pin.wants_details.contains(question.hook());
    Context { pin, details: wanted.then_some(details) }
}

fn settings(built: &Path, name: &str) -> PluginSettings {
    PluginSettings {
        grants: Grant::ALL.into_iter().filter(|grant| *grant != Grant::Http).collect(),
        ..PluginSettings::new(name, built.join(format!("strowger_{name}.wasm")))
    }
}

/// A multiplicative hash that gives digits like those of different subscribers.
fn scattered(number: u32) -> u64 {
    u64::from(number.wrapping_mul(2_654_435_761)) % 100_000_000
}

fn details(number: u32) -> Arc<CallDetails> {
    let caller = format!("4930{:08}", scattered(number));
    let callee = format!("0033145{:08}", scattered(number + 1));
    Arc::new(CallDetails {
        invite: Some(Arc::new(Headers::new(number, &caller, &callee))),
        numbers: CallNumbers {
            caller_in: caller.clone().into(),
            callee_in: callee.clone().into(),
            caller: caller.into(),
            callee: callee.trim_start_matches('0').into(),
            ..CallNumbers::default()
        },
        attempts: Vec::new(),
        origin: policy::CallOrigin {
            source: "192.0.2.7:5061".into(),
            transport: "udp".into(),
            listener: "main".into(),
        },
    })
}

/// A wholesale call: rewritten numbers, ten vendors, an asserted identity, three charges.
fn questions(number: u32, at_ms: u64) -> Vec<Question> {
    let noise = u128::from(scattered(number)) << 64 | u128::from(scattered(number ^ 0x5555));
    let id = u128::from(at_ms) << 80 | noise;
    let dialled = format!("0033145{:08}", scattered(number + 1));
    let callee = dialled.trim_start_matches('0');
    let asked = Wholesale {
        call: CallFacts { id, received_ms: at_ms, trunk: number % 40, account: 3 },
        caller: format!("4930{:08}", scattered(number)),
        callee: callee.to_owned(),
        load: number,
        duration_ms: scattered(number) % 200_000,
    };
    vec![
        asked.numbering(Stage::Ingress, &dialled, false),
        asked.screening(),
        asked.rating(Side::Sell, false),
        asked.routing(),
        asked.numbering(Stage::Egress, callee, false),
        asked.identity(),
        asked.rating(Side::Sell, true),
        asked.rating(Side::Buy, true),
    ]
}

/// The headers of an ordinary INVITE.
#[derive(Debug)]
struct Headers {
    uri: String,
    lines: Vec<(String, String)>,
}

impl Headers {
    fn new(number: u32, caller: &str, callee: &str) -> Headers {
        let unique = scattered(number ^ 0xaaaa);
        let lines = [
            ("Via", format!("SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK{unique:x}")),
            ("From", format!("<sip:{caller}@192.0.2.17>;tag={unique:x}")),
            ("To", format!("<sip:{callee}@198.51.100.4>")),
            ("Call-ID", format!("{unique:x}-{number}@192.0.2.17")),
            ("CSeq", "1 INVITE".to_owned()),
            ("Contact", "<sip:192.0.2.17:5060>".to_owned()),
            ("Max-Forwards", "70".to_owned()),
            ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE".to_owned()),
            ("Supported", "100rel, timer".to_owned()),
            ("User-Agent", "bench/1.0".to_owned()),
            ("Content-Type", "application/sdp".to_owned()),
            ("Content-Length", "214".to_owned()),
        ];
        Headers {
            uri: format!("sip:{callee}@198.51.100.4"),
            lines: lines.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}

impl Invite for Headers {
    fn request_uri(&self) -> &str {
        &self.uri
    }

    fn header(&self, name: &str) -> Vec<String> {
        let named = self.lines.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.clone()).collect()
    }

    fn headers(&self) -> Vec<(String, String)> {
        self.lines.clone()
    }

    fn each_header(&self, visit: &mut dyn FnMut(&str, &str)) {
        self.lines.iter().for_each(|(name, value)| visit(name, value));
    }
}
