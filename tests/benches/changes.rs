//! One object changed in a large business while calls run: how long until it is in force, and how
//! long calls wait meanwhile. 100,000 accounts, 20,000 customer trunks and a deck of a million
//! rows; `STROWGER_BENCH=quick` changes each object 20 times instead of 100.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use strowger_tests::figures::{Figure, publish};
use strowger_tests::load::{Plan, Report, Transport, run};
use strowger_tests::process::memory_kb;
use strowger_tests::switch::{Setup, Switch};

const ACCOUNTS: usize = 100_000;
const TRUNKS: usize = 20_000;
const ROWS: usize = 1_000_000;
/// Calls a second.
const RATE: u32 = 300;

fn main() -> anyhow::Result<()> {
    let quick = std::env::var("STROWGER_BENCH").is_ok_and(|value| value == "quick");
    let changes = if quick { 20 } else { 100 };
    let mut setup = Setup { relay: false, ..Setup::new() };
    setup.log = "warn".to_owned();
    setup.business =
        "[[deck]]\nname = \"wide\"\ncurrency = \"EUR\"\nfile = \"wide.csv\"\n".to_owned();
    let folder = setup.write();
    folder.put("business/wide.csv", &sheet());
    folder.put("business/many.toml", &many());
    let began = Instant::now();
    let switch = Switch::start(setup.net, folder);
    let start_s = began.elapsed().as_secs_f64();

    let quiet = load(&setup, Duration::from_secs(10), 1)?;
    let editor = Editor::of(&switch, &format!("http://{}", setup.net.admin()));
    let ended = AtomicBool::new(false);
    let (took, busy) = std::thread::scope(|scope| {
        let editing = scope.spawn(|| {
            let took = editor.change_everything(changes);
            ended.store(true, Ordering::Relaxed);
            took
        });
        // As long as the changes take, and some.
        let mut worst = None::<Report>;
        for run in 2.. {
            let report = load(&setup, Duration::from_secs(5), run)?;
            let worse = worst.as_ref().is_none_or(|worst| report.added_max_us > worst.added_max_us);
            if worse {
                worst = Some(report);
            }
            if ended.load(Ordering::Relaxed) {
                break;
            }
        }
        let took = editing.join().map_err(|_| anyhow::anyhow!("the editor failed"))??;
        anyhow::Ok((took, worst.ok_or_else(|| anyhow::anyhow!("no call was made"))?))
    })?;

    let figure = |name: &str, value: f64, unit, goal| Figure {
        name: name.to_owned(),
        value,
        unit,
        goal,
        more_is_better: false,
        peer: None,
    };
    let mut figures = vec![
        figure("start with all of it", start_s, "s", None),
        figure("memory of the program", memory_kb(&[switch.pid()]) / 1024.0, "MB", None),
    ];
    for (what, mut took) in took {
        took.sort_unstable();
        let ms = |at: usize| took[(took.len() - 1) * at / 100].as_secs_f64() * 1000.0;
        figures.push(figure(&format!("{what}: in force, median"), ms(50), "ms", Some(50.0)));
        figures.push(figure(&format!("{what}: in force, longest"), ms(100), "ms", Some(50.0)));
    }
    let without = "no changes";
    let beside = |name: &str, of: fn(&Report) -> u32, goal| Figure {
        peer: Some((without.to_owned(), f64::from(of(&quiet)))),
        ..figure(name, f64::from(of(&busy)), "us", goal)
    };
    figures.extend([
        beside("delay added to an INVITE meanwhile, p50", |report| report.added_p50_us, None),
        beside("the same, p99", |report| report.added_p99_us, None),
        beside("the same, longest", |report| report.added_max_us, None),
        figure(
            "calls lost or refused meanwhile",
            (busy.lost + busy.refused) as f64,
            "calls",
            Some(0.0),
        ),
    ]);
    let file = std::env::var_os("STROWGER_BENCH_FILE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench.jsonl"),
        PathBuf::from,
    );
    publish("One object changed in a large business, at 300 calls/s", &figures, &file)?;
    Ok(())
}

/// A million rows.
fn sheet() -> String {
    let mut sheet = String::from("prefix,destination,price\n");
    for row in 0..ROWS {
        // Eight digits, spread as those of a real deck are not: each has a place of its own.
        let prefix = 10_000_000 + row * 83;
        let _ = writeln!(sheet, "{prefix},Destination {},0.{:04}", row % 500, row % 9000 + 1000);
    }
    sheet
}

fn many() -> String {
    let mut text = String::new();
    for n in 0..ACCOUNTS {
        let _ = write!(
            text,
            "[[account]]\nname = \"account-{n}\"\ncurrency = \"EUR\"\ndeck = \"wide\"\n"
        );
    }
    for n in 0..TRUNKS {
        let _ = write!(
            text,
            "[[customer_trunk]]\nname = \"trunk-{n}\"\naccount = \"account-{n}\"\n\
             addresses = [\"10.{}.{}.{}\"]\n",
            n >> 16,
            n >> 8 & 255,
            n & 255
        );
    }
    text
}

fn load(setup: &Setup, lasting: Duration, number: u64) -> anyhow::Result<Report> {
    let net = setup.net;
    let calls = lasting.as_secs() as usize * RATE as usize;
    run(&Plan {
        target: SocketAddr::new(net.switch().ip(), net.switch().port()),
        caller: SocketAddr::new(net.caller(), 5080),
        vendor: SocketAddr::new(net.vendor_a(), 5060),
        transport: Transport::Udp,
        rate: f64::from(RATE),
        calls,
        hold: Duration::from_millis(50),
        drain: Duration::from_secs(5),
        run: number,
        hold_until_told: false,
    })
    .map_err(|error| anyhow::anyhow!("{error}"))
}

/// A client of the admin interface.
struct Editor {
    base: String,
    token: String,
    agent: ureq::Agent,
}

impl Editor {
    fn of(switch: &Switch, base: &str) -> Editor {
        let (base, token) = (base.to_owned(), format!("Bearer {}", switch.token()));
        Editor { base, token, agent: ureq::Agent::new_with_defaults() }
    }

    /// Wall time of each change until it is answered, by kind of object.
    fn change_everything(
        &self,
        changes: usize,
    ) -> anyhow::Result<Vec<(&'static str, Vec<Duration>)>> {
        let step = |at: usize, most: usize| at * most / changes;
        let account = |at| format!("/v1/accounts/account-{}", step(at, ACCOUNTS));
        let trunk = |at| format!("/v1/customer-trunks/trunk-{}", step(at, TRUNKS));
        let vendor = |_| "/v1/vendor-trunks/vendor-a".to_owned();
        let deck = |_| "/v1/decks/wide".to_owned();
        let same = |path: &str| path.to_owned();
        let rows = |path: &str| format!("{path}/rows");
        let price = |at: usize| {
            let prefix = 10_000_000 + step(at, ROWS) * 83;
            json!({ "put": [{ "prefix": prefix.to_string(), "price": format!("0.2{at:03}1") }] })
        };
        let credit = |at: usize| json!({ "credit_limit": (at + 1).to_string() });
        let channels = |at: usize| json!({ "channels": at + 1000 });
        Ok(vec![
            ("account", self.change(changes, account, same, credit)?),
            ("customer trunk", self.change(changes, trunk, same, channels)?),
            ("vendor trunk", self.change(changes, vendor, same, channels)?),
            ("row of a deck", self.change(changes, deck, rows, price)?),
        ])
    }

    fn change(
        &self,
        changes: usize,
        object: impl Fn(usize) -> String,
        path: impl Fn(&str) -> String,
        body: impl Fn(usize) -> Value,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut took = Vec::new();
        for at in 0..changes {
            let object = object(at);
            let url = format!("{}{object}", self.base);
            let mut seen = self.agent.get(&url).header("authorization", &self.token).call()?;
            let seen: Value = serde_json::from_str(&seen.body_mut().read_to_string()?)?;
            let tag = format!("\"{}\"", seen["revision"]);
            let url = format!("{}{}", self.base, path(&object));
            let request = self.agent.patch(&url).header("authorization", &self.token);
            let request = request.header("if-match", &tag);
            let request = request.header("content-type", "application/json");
            let begun = Instant::now();
            request.send(body(at).to_string())?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }
}
