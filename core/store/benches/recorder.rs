//! Processor time of recording a call: an interim copy at the answer, the final document
//! with two attempts, two postings and seven trail entries, in journal and database.
//!
//! Goal: 40 µs per call at 300 calls/s, of the 150 µs that a whole call may take.
//!
//! And how many calls a second each database takes from a journal that is far ahead: 20,000 on
//! SQLite, 50,000 on PostgreSQL. Beside the latter the same rows by the server's own `COPY` from a
//! file, which nothing of ours slows down. That server is one of the benchmark's own, on this
//! machine, with forced writes like any other.

#[path = "../../business/tests/business/support/configuration.rs"]
#[allow(dead_code)]
mod configuration;
#[path = "../tests/store/support/documents.rs"]
mod documents;
#[path = "../../business/tests/business/support/folder.rs"]
#[allow(dead_code)]
mod folder;
#[path = "../../bench_table.rs"]
mod table;

use business::Business;
use documents::{call, call_up};
use folder::Folder;
use ledger::CallDocument;
use postgres_server::Server;
use std::path::Path;
use std::time::{Duration, Instant};
use strowger_store::{Database, Recorder, RecorderSettings, Store};

/// As in the program: a third of the time of a record is allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Goal in microseconds.
const GOAL: f64 = 40.0;
/// Calls of the stream that the databases are measured with.
const STREAM: u64 = 60_000;

fn main() -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = Folder::new("bench");
    runtime.block_on(async {
        let store = Store::open(folder.join("strowger.db")).await?;
        let recorder = recorder(&store, &folder.join("journal")).await?;
        // The first calls make pages, statements and threads.
        run(&recorder, calls(0, 600), Duration::ZERO).await?;
        let paced = run(&recorder, calls(10_000, 3000), Duration::from_micros(3333)).await?;
        report("record_us_per_call", paced, Some(GOAL))?;
        let burst = run(&recorder, calls(20_000, 30_000), Duration::ZERO).await?;
        report("record_us_per_call_in_bursts", burst, None)?;
        let path = store.database().file().map(Path::to_owned).unwrap_or_default();
        let bytes = std::fs::metadata(path)?.len();
        println!("database: {} bytes per call", bytes / store.count_calls().await?);
        drop(recorder);

        let file = Store::open(folder.join("stream.db")).await?;
        let rate = stream(&file, &folder.join("sqlite")).await?;
        report_rate("records_per_second_sqlite", rate, Some(20_000.0), None)?;
        let server = Server::start_durable();
        let url = server.database();
        let store = Store::open(Database::from_url(&url)?).await?;
        let rate = stream(&store, &folder.join("postgres")).await?;
        let bare = bare_copy(&server, url.rsplit('/').next().unwrap_or_default());
        report_rate("records_per_second_postgres", rate, Some(50_000.0), Some(bare))?;
        anyhow::ensure!(store.prove().await?.faults.is_empty(), "the books are right");
        Ok(())
    })
}

async fn recorder(store: &Store, journal: &Path) -> anyhow::Result<Recorder> {
    Ok(Recorder::start(store, journal, RecorderSettings::default()).await?.0)
}

/// Calls a second that go through the journal into a database with the two accounts, as fast as
/// it takes them.
async fn stream(store: &Store, folder: &Path) -> anyhow::Result<f64> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("all.toml"), configuration::SMALL)?;
    store.apply(&Business::from_folder(folder, "realm")?).await?;
    let settings = RecorderSettings { held: STREAM as usize, ..RecorderSettings::default() };
    let (recorder, _) = Recorder::start(store, folder.join("journal"), settings).await?;
    let finals: Vec<Box<CallDocument>> = (0..STREAM).map(call).collect();
    let start = Instant::now();
    for document in finals {
        recorder.submit(document);
    }
    recorder.flush().await;
    let rate = STREAM as f64 / start.elapsed().as_secs_f64();
    anyhow::ensure!(store.count_calls().await? == STREAM, "all of them are there");
    Ok(rate)
}

/// The same rows into tables of the same form by the server itself, in calls a second.
fn bare_copy(server: &Server, database: &str) -> f64 {
    let file = |table: &str| format!("'{}/{table}.copy'", server.folder().display());
    let tables = ["call_record", "attempt_record", "posting"];
    for table in tables {
        server.sql(database, &format!("COPY {table} TO {} (FORMAT binary)", file(table)));
        let like = format!("CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)");
        server.sql(database, &like);
    }
    let copies = tables.map(|t| format!("COPY bare_{t} FROM {} (FORMAT binary)", file(t)));
    let start = Instant::now();
    server.sql(database, &copies.join("; "));
    STREAM as f64 / start.elapsed().as_secs_f64()
}

fn calls(first: u64, count: u64) -> Vec<[Box<CallDocument>; 2]> {
    (first..first + count).map(|number| [call_up(number), call(number)]).collect()
}

/// Records calls and gives the processor time per call in microseconds.
async fn run(
    recorder: &Recorder,
    calls: Vec<[Box<CallDocument>; 2]>,
    interval: Duration,
) -> anyhow::Result<f64> {
    let (count, before, start) = (calls.len(), processor_time()?, Instant::now());
    for (number, documents) in (0_u32..).zip(calls) {
        let due = start + interval * number;
        // Three at a time: waking for each would be what is measured.
        if number % 3 == 0 && due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        for document in documents {
            recorder.submit(document);
        }
    }
    recorder.flush().await;
    Ok((processor_time()? - before).as_secs_f64() * 1e6 / count as f64)
}

/// Processor time of all threads of this process, from the scheduler (Linux).
fn processor_time() -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Prints a figure and adds it to the table.
fn report(name: &str, value: f64, goal: Option<f64>) -> anyhow::Result<()> {
    let words = goal.map_or("no goal".to_owned(), |goal| format!("goal {goal}"));
    println!("{name}: {value:.1} us ({words})");
    Ok(table::append([table::line(name, value, "us", goal)])?)
}

/// The same for what a database takes, beside what it takes from its own tool.
fn report_rate(name: &str, value: f64, goal: Option<f64>, bare: Option<f64>) -> anyhow::Result<()> {
    let words = goal.map_or("no goal".to_owned(), |goal| format!("goal {goal}"));
    println!("{name}: {value:.0} calls/s ({words})");
    table::append([table::line(name, value, "calls/s", goal)])?;
    if let Some(bare) = bare {
        println!("{name}, bare COPY: {bare:.0} calls/s (ratio {:.2})", value / bare);
        table::append([table::line(&format!("{name}_bare_copy"), bare, "calls/s", None)])?;
    }
    Ok(())
}
