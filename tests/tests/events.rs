//! Plugins that are told what happens: their loops and their slow servers delay no call, and what
//! they report reaches its server.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use strowger_tests::process::threads;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin};
use strowger_tests::wait;

const LIMIT: Duration = Duration::from_secs(10);

/// A server that keeps the bodies of its requests. It holds its responses until it is released, and
/// answers 503 as often as it is told.
#[derive(Clone)]
struct Webhook {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    bodies: Vec<Vec<u8>>,
    held: bool,
    /// Requests to answer with 503.
    away: u32,
}

impl Webhook {
    fn start(held: bool, away: u32) -> Webhook {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = State { held, away, ..State::default() };
        let webhook = Webhook { address, state: Arc::new((Mutex::new(state), Condvar::new())) };
        let own = webhook.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(&stream));
            }
        });
        webhook
    }

    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                (reader.read_line(&mut head).ok()? > 0).then_some(())?;
            }
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(Some(0), |length| length.parse().ok())?];
            reader.read_exact(&mut body).ok()?;
            let (state, changed) = &*self.state;
            let mut state = state.lock().expect("no test panics with it");
            state.bodies.push(body);
            let mut state =
                changed.wait_while(state, |state| state.held).expect("no test panics with it");
            let away = state.away > 0;
            state.away = state.away.saturating_sub(1);
            drop(state);
            let answer = if away {
                "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 204 No Content\r\n\r\n"
            };
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        self.state.0.lock().expect("no test panics with it").bodies.clone()
    }

    fn let_go(&self) {
        self.state.0.lock().expect("no test panics with it").held = false;
        self.state.1.notify_all();
    }
}

/// A number portability database: every number is ported to France.
fn database() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                for line in BufReader::new(&stream).lines().map_while(Result::ok) {
                    let body = "{\"lrn\": \"33144550000\"}";
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    let answer = head + body;
                    if line.starts_with("GET ") && (&stream).write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A stage with more plugins, with these lines in the entry of the last one in the node file.
fn stage(mut setup: Setup, names: &[&str], lines: &str) -> Stage {
    let last = names.last().expect("at least one");
    setup.plugin_lines += &format!("[[plugins.list]]\nname = \"{last}\"\n{lines}");
    let folder = setup.write();
    for name in names {
        let file = folder.path().join(format!("plugins/{name}.wasm"));
        std::fs::copy(built_plugin(name), file).expect("`make plugins` built it");
    }
    if setup.prefixes == [""] {
        folder.put("business/sell.csv", "prefix,destination,price\n*,Anywhere,0.6\n");
        folder.put("business/buy.csv", "prefix,destination,price\n*,Anywhere,0.1\n");
    }
    Stage::on(&setup, folder)
}

/// Processor time of the threads whose names begin so.
fn ran(stage: &Stage, name: &str) -> Duration {
    let threads = threads(stage.switch.pid());
    threads.iter().filter(|thread| thread.name.starts_with(name)).map(|thread| thread.ran).sum()
}

/// CDR-15: `notify` computes until its deadline for each of six events of a call.
#[test]
fn a_loop_in_notify_costs_calls_nothing() {
    let mut setup = Setup::new();
    setup.prefixes = vec![""];
    // Without a breaker, which would leave most of the events out.
    let grants = "breaker = { faults = 0 }\nhooks = [\"events\"]\ngrants = [\"log\", \"config\", \"call\", \"tables\", \
                  \"counters\", \"trunks\", \"clock\", \"random\", \"metrics\", \"accounts\", \"notes\"]\n";
    let stage = stage(setup, &["hostile"], grants);
    let folder = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().script("vendor_answers").calls(0, 20).start(&folder);
    let (calls, told) = (ran(&stage, "shard-"), ran(&stage, "policy-events"));
    let script = stage.caller().with("callee", "loop").with("talk_ms", 100);
    let mut callers = script.script("caller_calls").calls(40, 20).port(5070).start(&folder);
    callers.succeeds(CALL_LIMIT);
    vendor.stop();
    let faults = ["hostile", "events", "deadline"];
    let faults = || stage.switch.metric("strowger_hook_faults_total", &faults);
    wait::until("the events are told", LIMIT, || (faults() >= 200.0).then_some(()));
    let (calls, told) = (ran(&stage, "shard-") - calls, ran(&stage, "policy-events") - told);
    // 5 ms for each event, on one of the two.
    assert!(told > Duration::from_millis(800), "{told:?} for {} events", faults());
    assert!(calls < told, "{calls:?} of the signalling threads, {told:?} of the events' thread");
    for record in stage.switch.settled_records(40) {
        assert_eq!(record["end_reason"], "caller_hangup", "{record:#}");
    }
}

/// CDR-15, ROUTE-61: the events' plugin waits for a server that never answers; the dips of the same
/// calls are answered.
#[test]
fn a_slow_webhook_refuses_no_question_of_other_hooks() {
    let (webhook, database) = (Webhook::start(true, 0), database());
    let mut setup = Setup::new();
    setup.plugin_lines = format!(
        "[[plugins.list]]\nname = \"lrn-router\"\ngrants = [\"call\", \"metrics\", \"http\"]\n\
         http = {{ hosts = [\"{database}\"], timeout = \"5s\", total = \"10s\", in_flight = 4 }}\n\
         [plugins.list.config]\nurl = \"http://{database}/{{number}}\"\nprefixes = [\"44\"]\n\
         timeout_ms = 5000\ncache_s = 0\n"
    );
    let address = webhook.address;
    let lines = format!(
        "hooks = [\"events\"]\ngrants = [\"http\"]\n\
         http = {{ hosts = [\"{address}\"], timeout = \"5s\", total = \"30s\", in_flight = 2 }}\n\
         [plugins.list.config]\nserver = \"{address}\"\n"
    );
    let stage = stage(setup, &["lrn-router", "outside"], &lines);
    let folder = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().script("vendor_answers").calls(0, 20).start(&folder);
    let script = stage.caller().with("callee", "442071230001").with("talk_ms", 100);
    let mut callers = script.script("caller_calls").calls(40, 20).port(5070).start(&folder);
    callers.succeeds(CALL_LIMIT);
    vendor.stop();
    assert!(stage.switch.metric("strowger_events_waiting", &[]) > 100.0, "none is answered");
    let labels = ["lrn-router", "answered"];
    assert_eq!(stage.switch.metric("strowger_plugin_http_requests_total", &labels), 40.0);
    assert_eq!(stage.switch.metric("strowger_hook_faults_total", &["lrn-router"]), 0.0);
    assert_eq!(stage.switch.metric("strowger_events_dropped_total", &[]), 0.0);
    let records = stage.switch.settled_records(40);
    for record in &records {
        assert_eq!(record["end_reason"], "caller_hangup", "{record:#}");
    }
    webhook.let_go();
    let waiting = || stage.switch.metric("strowger_events_waiting", &[]);
    wait::until("all events are told", LIMIT, || (waiting() == 0.0).then_some(()));
}

/// CDR-15: the example plugin leaves its reports to the switch; the server is away at first.
#[test]
fn a_report_arrives_although_its_server_is_away_at_first() {
    let webhook = Webhook::start(false, 2);
    let address = webhook.address;
    let lines = format!(
        "grants = [\"metrics\", \"http\"]\nhttp = {{ hosts = [\"{address}\"], timeout = \"5s\" }}\n\
         config = {{ url = \"http://{address}/calls\" }}\n"
    );
    let mut stage = stage(Setup::new(), &["call-report"], &lines);
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let show = || stage.switch.get("/v1/plugins/call-report")["sends"].clone();
    let sends = wait::until("two reports are sent", LIMIT, || {
        Some(show()).filter(|sends| sends["sent"] == 2)
    });
    assert_eq!(sends["failed"], 0, "{sends}");
    assert_eq!(sends["last_failure"], format!("{address}: status 503"), "{sends}");
    let labels = ["call-report", "sent"];
    assert_eq!(stage.switch.metric("strowger_plugin_sends_total", &labels), 2.0);
    assert_eq!(stage.switch.metric("strowger_plugin_send_retries_total", &["call-report"]), 2.0);
    let record = stage.switch.record();
    let mut reports: Vec<Value> = webhook
        .bodies()
        .iter()
        .map(|body| serde_json::from_slice(body).expect("a report is JSON"))
        .collect();
    assert_eq!(reports.len(), 4, "two of them twice");
    reports.sort_by_key(|report| report["at_ms"].as_u64());
    let (first, last) = (&reports[0], &reports[3]);
    assert_eq!((&first["event"], &last["event"]), (&"answered".into(), &"ended".into()));
    let id = record.0["id"].as_str().expect("an id").replace('-', "");
    assert!(reports.iter().all(|report| report["call"] == id.as_str()), "{reports:#?}");
    assert!(last["duration_ms"].as_u64() > Some(0), "{last}");

    // A call that the stop ends is reported too.
    let vendor = stage.vendor_a().answers();
    let caller = stage.caller().with("talk_ms", 60_000).calls();
    let _ = vendor.hears("ACK");
    stage.switch.stop();
    drop(caller);
    let ended = |body: &Vec<u8>| {
        let report: Value = serde_json::from_slice(body).expect("a report is JSON");
        report["event"] == "ended"
    };
    let bodies = webhook.bodies();
    assert!(bodies[4..].iter().any(ended), "{} reports", bodies.len());
}
