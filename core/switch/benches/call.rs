//! The cost of the call machine: a call from INVITE to its final document, without sockets and
//! plugins. `cargo bench -p strowger-switch --bench call`; `CALLS` sets the number of calls.
//!
//! The transactions of the last 32 s stay, as they do in service: at 1,000 calls a second of
//! virtual time most data of a call is not in a cache. Only the machine's own time counts, not that
//! of the two parties.

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
use strowger_switch::{
    CallKey, LegCounters, MediaControl, MediaLeg, Now, Output, RemoteMedia, SilenceLimits,
    Standing, Switch, SwitchSettings, World,
};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SWITCH: &str = "10.0.0.1:5060";
/// In virtual time.
const CALLS_PER_SECOND: u32 = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let calls = std::env::var("CALLS").map_or(Ok(100_000), |calls| calls.parse())?;
    let mut bench = Bench::new();
    // Warm-up: tables grow and the allocator reaches its size.
    for number in 0..calls / 2 {
        bench.call(number);
    }
    bench.spent = Duration::ZERO;
    let mut best = f64::INFINITY;
    let part = (calls / 10).max(1);
    for number in 0..calls {
        // A new number: the INVITE of an earlier one would be taken for a repetition.
        bench.call(calls / 2 + number);
        if (number + 1) % part == 0 {
            best = best.min(bench.spent.as_secs_f64() * 1e6 / f64::from(part));
            bench.spent = Duration::ZERO;
        }
    }
    println!("call machine: {best:.1} us a call, best of ten parts");
    Ok(table::append([table::line("call_machine_us_per_call", best, "us", None)])?)
}

struct Bench {
    switch: Switch,
    media: Ports,
    policy: policy_answers::Policy,
    start: Instant,
    passed: Duration,
    spent: Duration,
    /// Datagrams that the switch sent since the last look.
    sent: Vec<(SocketAddr, Arc<[u8]>)>,
    documents: usize,
}

impl Bench {
    fn new() -> Bench {
        let mut pin = policy_answers::pin(1);
        // As with the default plugins.
        (pin.hears_events, pin.wants_details) = (false, policy::HookSet::default());
        let (facts, live) = (facts::small_operator(), live::Live::default());
        for account in facts.accounts().values() {
            // More than all calls cost together.
            let balance = ledger::Money(1_000_000_000 * ledger::Money::ONE.0);
            live.purses.open(account.id, balance, Default::default(), account.terms, 0);
        }
        let world = Arc::new(World { facts: Arc::new(facts), pin });
        let settings = SwitchSettings {
            shard: 0,
            shards: 1,
            seed: [7; 32],
            live,
            strangers: Arc::default(),
            foreign: Arc::default(),
        };
        Bench {
            switch: Switch::new(settings, world),
            media: Ports(0),
            policy: policy_answers::Policy::default(),
            start: Instant::now(),
            passed: Duration::ZERO,
            spent: Duration::ZERO,
            sent: Vec::new(),
            documents: 0,
        }
    }

    fn call(&mut self, number: u32) {
        let before = self.documents;
        let caller: SocketAddr = facts::CALLER.parse().expect("an address");
        let vendor: SocketAddr = facts::VENDOR_A.parse().expect("an address");
        let sdp = "v=0\r\no=- 1 1 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
        let own = |method: &str, to_tag: &str, body: &str| {
            let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            format!(
                "{method} sip:44{number:09}@{SWITCH} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {caller};branch=z9hG4bK{method}{number};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:43{number:09}@{caller}>;tag=c{number}\r\n\
                 To: <sip:44{number:09}@{SWITCH}>{to_tag}\r\nCall-ID: {number}@{caller}\r\n\
                 CSeq: {} {method}\r\nContact: <sip:c@{caller}>\r\nUser-Agent: caller\r\n{kind}\
                 Content-Length: {}\r\n\r\n{body}",
                if method == "BYE" { 2 } else { 1 },
                body.len(),
            )
        };
        self.receive(caller, own("INVITE", "", sdp).as_bytes());
        let invite = self.take(vendor, "INVITE ");
        let ringing = answer(&invite, "180 Ringing", &format!(";tag=v{number}"), "");
        self.receive(vendor, ringing.as_bytes());
        let ok = answer(&invite, "200 OK", &format!(";tag=v{number}"), sdp);
        self.receive(vendor, ok.as_bytes());
        let answered = self.take(caller, "SIP/2.0 200 ");
        let to_tag = line(&answered, "To: ").split_once(">").map_or("", |(_, tag)| tag);
        self.receive(caller, own("ACK", to_tag, "").as_bytes());
        self.pass(Duration::from_secs(1) / CALLS_PER_SECOND);
        self.receive(caller, own("BYE", to_tag, "").as_bytes());
        let bye = self.take(vendor, "BYE ");
        self.receive(vendor, answer(&bye, "200 OK", "", "").as_bytes());
        // An interim document at the answer and the final one.
        assert_eq!(self.documents, before + 2, "a call was not recorded");
    }

    fn now(&self) -> Now {
        let utc_ms = 1_790_000_000_000 + self.passed.as_millis() as u64;
        Now { instant: self.start + self.passed, utc_ms }
    }

    fn receive(&mut self, remote: SocketAddr, datagram: &[u8]) {
        let flow = sip::Flow::datagram(0, remote);
        let (now, began) = (self.now(), Instant::now());
        let standing = Standing::Known;
        self.switch.receive(now, flow, standing, datagram, &mut self.media);
        self.give(began);
    }

    fn pass(&mut self, time: Duration) {
        self.passed += time;
        let (now, began) = (self.now(), Instant::now());
        if self.switch.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.switch.handle_timeout(now, &mut self.media);
        }
        self.give(began);
    }

    /// Drains the switch; its time since `began` counts, that of the answers does not.
    fn give(&mut self, mut began: Instant) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    self.sent.push((transmit.flow.remote, transmit.bytes));
                }
                Output::Ask(ask) => {
                    self.spent += began.elapsed();
                    let reply = self.policy.answer(&ask.question, ask.details);
                    let now = self.now();
                    began = Instant::now();
                    self.switch.answer(now, ask.call, ask.ticket, reply, &mut self.media);
                }
                Output::Document(document) => {
                    drop(document);
                    self.documents += 1;
                }
                Output::Outcome(outcome) => drop(outcome),
            }
        }
        self.spent += began.elapsed();
    }

    /// The message to `remote` that begins with `start`; all other sent messages are dropped.
    fn take(&mut self, remote: SocketAddr, start: &str) -> String {
        let found = self
            .sent
            .iter()
            .find(|(to, bytes)| *to == remote && bytes.starts_with(start.as_bytes()));
        let (_, bytes) = found.unwrap_or_else(|| panic!("no `{start}` to {remote}"));
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        self.sent.clear();
        text
    }
}

/// The vendor's response to a request of the switch.
fn answer(request: &str, status: &str, to_tag: &str, body: &str) -> String {
    let [via, from, to, call_id, cseq] =
        ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "].map(|name| line(request, name));
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status}\r\n{via}\r\n{from}\r\n{to}{to_tag}\r\n{call_id}\r\n{cseq}\r\n\
         Contact: <sip:vendor@{}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        facts::VENDOR_A,
        body.len()
    )
}

/// The header line that begins with `name`.
fn line<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find(|line| line.starts_with(name)).unwrap_or_default()
}

/// Media ports without a relay.
struct Ports(u16);

impl MediaControl for Ports {
    fn open(&mut self, _: MediaLeg, _: u16) -> Option<SocketAddr> {
        self.0 = self.0 % 20_000 + 2;
        Some(SocketAddr::from(([10, 0, 0, 1], 10_000 + self.0)))
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
        Some(LegCounters::default())
    }

    fn close(&mut self, _: MediaLeg) -> Option<LegCounters> {
        Some(LegCounters::default())
    }
}
