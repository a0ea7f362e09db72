//! A plugin that queries an external server: its slowness affects only the call concerned.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, built_plugin};
use strowger_tests::wait;

/// The number with the slow query.
const SLOW: &str = "442071230001";
const QUICK: &str = "442071230002";
const LIMIT: Duration = Duration::from_secs(10);

/// A number portability database: every number is ported to France; the response for the slow one
/// is held until it is released.
#[derive(Clone)]
struct Database {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    asked: BTreeSet<String>,
    open: bool,
}

impl Database {
    fn start() -> Database {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let database = Database { address, state: Arc::default() };
        let own = database.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(&stream));
            }
        });
        database
    }

    fn serve(&self, mut stream: &TcpStream) {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let Some(path) = line.strip_prefix("GET /") else { continue };
            let number = path.split(' ').next().unwrap_or_default();
            let (state, changed) = &*self.state;
            let mut state = state.lock().expect("no test panics with it");
            state.asked.insert(number.to_owned());
            if number == SLOW {
                state =
                    changed.wait_while(state, |state| !state.open).expect("no test panics with it");
            }
            drop(state);
            let body = "{\"lrn\": \"33144550000\"}";
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            if stream.write_all((head + body).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn waits_for(&self, number: &str) {
        let asked = || {
            self.state
                .0
                .lock()
                .expect("no test panics with it")
                .asked
                .contains(number)
                .then_some(())
        };
        wait::until("the database is asked", LIMIT, asked);
    }

    fn let_go(&self) {
        self.state.0.lock().expect("no test panics with it").open = true;
        self.state.1.notify_all();
    }
}

/// A stage whose numbering plugin queries the database after the rewrite.
fn stage(database: &Database, timeout_ms: u32) -> Stage {
    let setup = Setup::new();
    let folder = setup.write();
    let plugin = folder.path().join("plugins/lrn-router.wasm");
    std::fs::copy(built_plugin("lrn-router"), plugin).expect("`make plugins` built it");
    let node = std::fs::read_to_string(folder.path().join("node.toml")).expect("it is written");
    let address = database.address;
    folder.put(
        "node.toml",
        &format!(
            "{node}[[plugins.list]]\nname = \"lrn-router\"\ngrants = [\"call\", \"metrics\", \"http\"]\n\
             http = {{ hosts = [\"{address}\"], timeout = \"5s\", total = \"10s\" }}\n\
             [plugins.list.config]\nurl = \"http://{address}/{{number}}\"\nprefixes = [\"44\"]\n\
             timeout_ms = {timeout_ms}\n"
        ),
    );
    Stage::on(&setup, folder)
}

fn destination(stage: &Stage, callee: &str, records: usize) -> String {
    let records = stage.switch.settled_records(records);
    let record = records.iter().find(|record| record["callee_in"] == callee).expect("its record");
    let id = record["id"].as_str().expect("an id");
    let record = stage.switch.get(&format!("/v1/records/{id}"));
    assert_eq!(record["end_reason"], "caller_hangup", "{record:#}");
    assert_eq!(record["attempts"][0]["callee_out"], callee, "{record:#}");
    record["sell"]["destination"].as_str().unwrap_or_default().to_owned()
}

/// ROUTE-61, ROUTE-62: the vendor gets the dialled number, the LRN determines the price.
#[test]
fn a_slow_dip_delays_its_own_call_only() {
    let database = Database::start();
    let stage = stage(&database, 5_000);
    let folder = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().script("vendor_answers").calls(0, 10).start(&folder);
    let mut slow = stage.caller_from(stage.net.caller()).with("callee", SLOW).calls();
    database.waits_for(SLOW);

    let mut others = stage.caller().with("callee", QUICK).script("caller_calls");
    others = others.port(5070).calls(5, 20);
    let mut others = others.start(&folder);
    others.succeeds(CALL_LIMIT);
    assert_eq!(stage.switch.calls_now(), 1, "the slow one still waits");
    assert!(slow.received().iter().all(|message| !message.starts_with("SIP/2.0 200")));

    database.let_go();
    slow.succeeds(CALL_LIMIT);
    vendor.stop();
    assert_eq!(destination(&stage, SLOW, 6), "France");
    let labels = ["lrn-router", "answered"];
    let answered = stage.switch.metric("strowger_plugin_http_requests_total", &labels);
    assert!(answered >= 2.0, "{answered} requests; five equal calls are at most five");
}

/// ROUTE-61: an unresponsive database fails no call.
#[test]
fn a_call_whose_dip_times_out_goes_on_with_the_dialled_number() {
    let database = Database::start();
    let stage = stage(&database, 200);
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("callee", SLOW).calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    assert_eq!(destination(&stage, SLOW, 1), "London");
    let counted = stage.switch.metric("strowger_plugin_own_total", &["lrn-router", "dip_failed"]);
    assert_eq!(counted as u64, 1, "what the plugin counts itself");
    let labels = ["lrn-router", "timeout"];
    assert_eq!(stage.switch.metric("strowger_plugin_http_requests_total", &labels), 1.0);
}
