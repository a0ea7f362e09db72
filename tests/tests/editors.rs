//! Two editors change objects through the API during calls while the switch is killed repeatedly:
//! an answered change is in force for the next call, in the history, and on disk.

use postgres_server::Server;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use strowger_tests::stage::Stage;
use strowger_tests::switch::{Setup, program};
use strowger_tests::wait;

/// Changes of each editor.
const CHANGES: u32 = 50;
/// Number of `kill -9`.
const KILLS: u32 = 10;
/// Calls per second.
const RATE: u32 = 300;
/// Interval between changes of an editor: some calls start within it.
const PACE: Duration = Duration::from_millis(100);
/// How long an editor tries one change.
const PATIENCE: Duration = Duration::from_secs(60);

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_millis()).expect("it is far from its end")
}

/// A client of the API that copes with restarts of the switch.
struct Editor {
    base: String,
    token: String,
    agent: ureq::Agent,
}

/// A change answered by the API.
#[derive(Debug)]
struct Done {
    value: u32,
    /// When it was last requested, UTC ms.
    asked_ms: u64,
    /// When the response arrived, UTC ms.
    answered_ms: u64,
    /// `None` if the response was lost, but not the change.
    revision: Option<u64>,
}

impl Editor {
    fn of(stage: &Stage) -> Editor {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)));
        Editor {
            base: format!("http://{}", stage.net.admin()),
            token: format!("Bearer {}", stage.switch.token()),
            agent: config.build().into(),
        }
    }

    /// `None` without a response.
    fn get(&self, path: &str) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let answer = self.agent.get(&url).header("authorization", &self.token).call();
        read(answer)
    }

    fn patch(&self, path: &str, revision: u64, body: &Value) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.patch(&url).header("authorization", &self.token);
        let request = request.header("if-match", &format!("\"{revision}\""));
        read(request.header("content-type", "application/json").send(body.to_string()))
    }

    /// Puts `body` at `path` of the object at `object`, retrying when the switch restarts or the
    /// other editor is faster. `is_there` finds a change whose response was lost.
    fn change(
        &self,
        value: u32,
        (object, path): (&str, &str),
        body: &Value,
        is_there: impl Fn(&Editor) -> Option<bool>,
    ) -> Done {
        wait::until("a change is answered", PATIENCE, || {
            let (status, seen) = self.get(object)?;
            assert_eq!(status, 200, "{object}: {seen}");
            let revision = seen["revision"].as_u64().expect("an object has a revision");
            let asked_ms = now_ms();
            let answer = self.patch(path, revision, body);
            let answered_ms = now_ms();
            match answer {
                Some((200, answer)) => {
                    let revision = answer["revision"].as_u64();
                    Some(Done { value, asked_ms, answered_ms, revision })
                }
                // The other editor was faster.
                Some((412, _)) => None,
                // It is stopping, or has lost its database for a moment.
                Some((status, answer)) => {
                    assert!(status >= 500 || status == 409, "{path}: {status} {answer}");
                    None
                }
                None => {
                    let there = wait::until("the switch is back", PATIENCE, || is_there(self));
                    let answered_ms = now_ms();
                    there.then_some(Done { value, asked_ms, answered_ms, revision: None })
                }
            }
        })
    }
}

fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<(u16, Value)> {
    let mut answer = answer.ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    Some((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// The price of a change, which identifies it.
fn price(value: u32) -> String {
    format!("0.1{value:03}1")
}

fn change_price(editor: &Editor, value: u32) -> Done {
    let price = price(value);
    let body = json!({ "put": [{ "prefix": "4477", "price": price, "first_increment": 1, "next_increment": 1 }] });
    let is_there = |editor: &Editor| {
        let (_, rows) = editor.get("/v1/decks/sell/rows?prefix=4477")?;
        Some(rows["items"][0]["price"] == price)
    };
    editor.change(value, ("/v1/decks/sell", "/v1/decks/sell/rows"), &body, is_there)
}

/// Changes a text field of an object.
fn change_field(editor: &Editor, object: &str, field: &str, text: &str, value: u32) -> Done {
    let is_there = |editor: &Editor| {
        let (_, seen) = editor.get(object)?;
        Some(seen["settings"][field] == text)
    };
    editor.change(value, (object, object), &json!({ field: text }), is_there)
}

fn edit_and_kill(database: Option<String>) {
    let mut setup = Setup { relay: false, ..Setup::new() };
    setup.vendor_a = "channels = 5000".to_owned();
    if let Some(url) = &database {
        setup.node.push_str(&format!("\ndatabase = \"{url}\"\n"));
    }
    let mut stage = Stage::with(&setup);
    let folder = stage.switch.folder().path().to_owned();
    let script = stage.vendor_a().with("ring_ms", 10).script("vendor_answers");
    let vendor = script.calls(0, 1000).quiet().start(&folder);
    let caller = stage.caller().with("talk_ms", 100).with("callee", "447700900123");
    let load = caller.script("caller_calls").calls(0, RATE).quiet().start(&folder);

    let done = AtomicU32::new(0);
    let (prices, prefixes, credits) = std::thread::scope(|scope| {
        let editors = [Editor::of(&stage), Editor::of(&stage)];
        let [first, second] = editors;
        let done = &done;
        let first = scope.spawn(move || {
            let (mut prices, mut credits) = (Vec::new(), Vec::new());
            for value in 0..CHANGES {
                if value % 5 == 4 {
                    let text = format!("1{value:04}");
                    credits.push(change_field(
                        &first,
                        "/v1/accounts/payer",
                        "credit_limit",
                        &text,
                        value,
                    ));
                } else {
                    prices.push(change_price(&first, value));
                }
                done.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(PACE);
            }
            (prices, credits)
        });
        let second = scope.spawn(move || {
            let (mut prefixes, mut credits) = (Vec::new(), Vec::new());
            for value in 0..CHANGES {
                if value % 5 == 4 {
                    let text = format!("2{value:04}");
                    credits.push(change_field(
                        &second,
                        "/v1/accounts/payer",
                        "credit_limit",
                        &text,
                        value,
                    ));
                } else {
                    let text = format!("{}", 1000 + value);
                    let object = "/v1/vendor-trunks/vendor-a";
                    prefixes.push(change_field(&second, object, "tech_prefix", &text, value));
                }
                done.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(PACE);
            }
            (prefixes, credits)
        });
        for kill in 1..=KILLS {
            // The last kill comes before the last change.
            let at = kill * (2 * CHANGES - 4) / KILLS;
            wait::until("changes are made", PATIENCE, || {
                (done.load(Ordering::Relaxed) >= at).then_some(())
            });
            stage.switch.kill_hard();
            stage.switch.start_again();
        }
        let (prices, mut credits) = first.join().expect("the first editor is done");
        let (prefixes, others) = second.join().expect("the second editor is done");
        credits.extend(others);
        (prices, prefixes, credits)
    });
    // A call after the last change.
    let last_ms = now_ms();
    let seen = |records: &[Value]| {
        let after = |record: &&Value| record["invite_ms"].as_u64() > Some(last_ms);
        records.iter().filter(after).count() > 20
    };
    let records = wait::until("calls after the last change", Duration::from_secs(20), || {
        Some(stage.switch.records()).filter(|records| seen(records))
    });
    drop((load, vendor));

    in_force(&records, &prices, "price", |record| {
        record.pointer("/sell/price").and_then(Value::as_str).map(str::to_owned)
    });
    let of_prefix = |done: &Done| (1000 + done.value).to_string();
    for (change, next) in windows(&prefixes) {
        let wanted = of_prefix(change) + "447700900123";
        // One call per change is enough: the record with its attempts is a separate request.
        if let Some(record) = within(&records, change, next).next() {
            let id = record["id"].as_str().expect("an id");
            let whole = stage.switch.get(&format!("/v1/records/{id}"));
            let sent = whole.pointer("/attempts/0/callee_out").and_then(Value::as_str);
            assert_eq!(sent, Some(wanted.as_str()), "{change:?}: {whole}");
        }
    }

    // Every answered change is one history entry, and none is missing in between.
    for (object, changes) in [
        ("/v1/decks/sell", &prices),
        ("/v1/vendor-trunks/vendor-a", &prefixes),
        ("/v1/accounts/payer", &credits),
    ] {
        let history = stage.switch.get(&format!("{object}/history"));
        let revisions: Vec<u64> = history
            .as_array()
            .expect("steps")
            .iter()
            .map(|step| step["revision"].as_u64().expect("a revision"))
            .collect();
        let newest = stage.switch.get(object)["revision"].as_u64().expect("a revision");
        let every: Vec<u64> = (1..=newest).rev().collect();
        assert_eq!(revisions, every, "{object}: {history}");
        // The first one is the folder's.
        assert_eq!(newest, changes.len() as u64 + 1, "{object}: {history}");
        let answered: Vec<u64> = changes.iter().filter_map(|done| done.revision).collect();
        let different: BTreeSet<u64> = answered.iter().copied().collect();
        assert_eq!(different.len(), answered.len(), "{object}: a revision was given twice");
    }
    let node = folder.join("node.toml");
    let verify = ["ledger", "verify", "--config", node.to_str().expect("a path")];
    let output = Command::new(program()).args(verify).output().expect("the program is built");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.ends_with("the books are right\n"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Each change and the one after it.
fn windows(changes: &[Done]) -> impl Iterator<Item = (&Done, Option<&Done>)> {
    (0..changes.len()).map(|at| (&changes[at], changes.get(at + 1)))
}

/// Calls started after this change was answered and before the next one was requested.
fn within<'a>(
    records: &'a [Value],
    change: &'a Done,
    next: Option<&'a Done>,
) -> impl Iterator<Item = &'a Value> {
    records.iter().filter(move |record| {
        let began = record["invite_ms"].as_u64().expect("a call has begun");
        began > change.answered_ms && next.is_none_or(|next| began < next.asked_ms)
    })
}

fn in_force(
    records: &[Value],
    changes: &[Done],
    what: &str,
    of: impl Fn(&Value) -> Option<String>,
) {
    let mut looked_at = 0;
    for (change, next) in windows(changes) {
        for record in within(records, change, next) {
            // A call lost before its rating has none.
            let Some(found) = of(record) else { continue };
            assert_eq!(found, price(change.value), "{what} of {change:?}: {record}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 100, "{looked_at} calls fell between two changes");
}

#[test]
fn a_hundred_changes_by_two_editors_survive_ten_kills() {
    edit_and_kill(None);
}

#[test]
fn a_hundred_changes_by_two_editors_survive_ten_kills_on_postgresql() {
    edit_and_kill(Some(Server::shared().database()));
}
