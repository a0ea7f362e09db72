//! The cost of a transaction: processor time and memory. Run with
//! `cargo bench -p strowger-sip --bench transactions`.
//!
//! Processor time comes from the scheduler (Linux), so that a busy machine does not distort it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strowger_sip::{Flow, Message, ResendSchedule, TransactionEvent, TransactionId, Transactions};

const COUNT: usize = 100_000;

fn main() {
    // Runs first, while the process has no freed memory to reuse.
    memory();
    parsing();
    for alive in [1, COUNT] {
        println!("{alive} alive at a time:");
        server_options(alive);
        client_invite(alive);
        server_invite(alive);
    }
    unanswered_invites();
}

/// The cost of parsing, which is part of every figure that follows.
fn parsing() {
    let bytes = invite(0);
    report("parse an INVITE", || {
        for _ in 0..COUNT {
            black_box(Message::parse(black_box(&bytes)).is_ok());
        }
    });
}

/// Request in, 200 out, timer J.
fn server_options(alive: usize) {
    let requests: Vec<_> = (0..COUNT).map(|call| request("OPTIONS", call)).collect();
    let mut bench = Bench::new();
    report("server OPTIONS: request, 200, end", || {
        for part in requests.chunks(alive) {
            for bytes in part {
                let id = bench.receive_request(bytes);
                bench.layer.respond(bench.now, id, 200, bytes.clone());
                bench.drain();
            }
            bench.pass(33);
        }
    });
    assert!(bench.layer.is_empty());
}

/// INVITE out, 100, 180, 486, ACK out, timer D.
fn client_invite(alive: usize) {
    let calls: Vec<_> = (0..COUNT)
        .map(|call| (invite(call), [100, 180, 486].map(|status| response(status, call))))
        .collect();
    let mut bench = Bench::new();
    report("client INVITE: 100, 180, 486, ACK, end", || {
        for part in calls.chunks(alive) {
            for (invite, responses) in part {
                bench.request(invite);
                for bytes in responses {
                    bench.receive(bytes);
                }
                bench.drain();
            }
            bench.pass(33);
        }
    });
    assert!(bench.layer.is_empty());
}

/// INVITE in, 100, 180, 200 out, ACK in, timer L.
fn server_invite(alive: usize) {
    let calls: Vec<_> = (0..COUNT)
        .map(|call| (invite(call), [100, 180, 200].map(|status| response(status, call)), ack(call)))
        .collect();
    let mut bench = Bench::new();
    report("server INVITE: 100, 180, 200, ACK, end", || {
        for part in calls.chunks(alive) {
            for (invite, responses, ack) in part {
                let id = bench.receive_request(invite);
                for (bytes, status) in responses.iter().zip([100, 180, 200]) {
                    bench.layer.respond(bench.now, id, status, bytes.clone());
                }
                bench.receive(ack);
                bench.drain();
            }
            bench.pass(33);
        }
    });
    assert!(bench.layer.is_empty());
}

/// The worst case of SIG-25: every INVITE is sent eleven times to a dead peer.
fn unanswered_invites() {
    let invites: Vec<_> = (0..COUNT).map(invite).collect();
    let mut bench = Bench::new();
    report("client INVITE, unanswered: 11 sends, timed out", || {
        for bytes in &invites {
            bench.request(bytes);
        }
        for _ in 0..64 {
            bench.pass_millis(500);
        }
    });
    assert!(bench.layer.is_empty());
}

fn memory() {
    let before = resident();
    let mut bench = Bench::new();
    for call in 0..COUNT {
        let id = bench.receive_request(&invite(call));
        bench.layer.respond(bench.now, id, 100, response(100, call));
        bench.drain();
    }
    let bytes = resident().saturating_sub(before);
    println!("memory of {COUNT} server INVITEs with their 100: {} bytes each", bytes / COUNT);
    black_box(&bench.layer);
}

struct Bench {
    layer: Transactions,
    now: Instant,
    flow: Flow,
    schedule: Arc<ResendSchedule>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            layer: Transactions::new(),
            now: Instant::now(),
            flow: Flow::datagram(0, ([192, 0, 2, 9], 5060).into()),
            schedule: Arc::new(ResendSchedule::standard()),
        }
    }

    fn request(&mut self, bytes: &[u8]) -> TransactionId {
        self.layer.request(self.now, self.flow, bytes.to_vec(), &self.schedule)
    }

    fn receive(&mut self, bytes: &[u8]) {
        let message = Message::parse(bytes).expect("a message of ours");
        self.layer.receive(self.now, self.flow, message);
    }

    fn receive_request(&mut self, bytes: &[u8]) -> TransactionId {
        self.receive(bytes);
        match self.layer.poll_event() {
            Some(TransactionEvent::Request { id, .. }) => id,
            other => panic!("no new request but {other:?}"),
        }
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.layer.poll_transmit() {
            black_box(transmit);
        }
        while let Some(event) = self.layer.poll_event() {
            black_box(event);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.pass_millis(seconds * 1000);
    }

    fn pass_millis(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.layer.handle_timeout(self.now);
        self.drain();
    }
}

fn report(what: &str, run: impl FnOnce()) {
    let (before, start) = (processor_time(), Instant::now());
    run();
    let wall = start.elapsed();
    let spent = match (before, processor_time()) {
        (Some(before), Some(after)) => after - before,
        _ => wall,
    };
    println!("  {what:<48} {:>7.2} us each", spent.as_secs_f64() * 1e6 / COUNT as f64);
}

/// Processor time of this thread; `None` where the kernel does not report it.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

/// Resident memory of this process in bytes, 0 if unknown.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_usize) * 4096
}

fn invite(call: usize) -> Vec<u8> {
    request("INVITE", call)
}

fn ack(call: usize) -> Vec<u8> {
    message("ACK sip:493012345678@192.0.2.9 SIP/2.0", "ACK", &format!("ack{call}"), call, ";tag=me")
}

fn request(method: &str, call: usize) -> Vec<u8> {
    let line = format!("{method} sip:493012345678@192.0.2.9 SIP/2.0");
    message(&line, method, &format!("branch{call}"), call, "")
}

fn response(status: u16, call: usize) -> Vec<u8> {
    let line = format!("SIP/2.0 {status} Because");
    message(&line, "INVITE", &format!("branch{call}"), call, ";tag=me")
}

fn message(line: &str, method: &str, branch: &str, call: usize, to_tag: &str) -> Vec<u8> {
    format!(
        "{line}\r\n\
         Via: SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\n\
         From: \"4940123456\" <sip:4940123456@198.51.100.1>;tag=tag{call}\r\n\
         To: <sip:493012345678@192.0.2.9>{to_tag}\r\n\
         Call-ID: {call}-0123456789abcdef@198.51.100.1\r\n\
         CSeq: 1 {method}\r\n\
         Contact: <sip:4940123456@198.51.100.1:5060>\r\n\
         User-Agent: Bench\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into()
}
