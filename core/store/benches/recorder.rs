//! Processor time of recording a call: an interim copy at the answer, the final document
//! with two attempts, two postings and seven trail entries, in journal and database.
//!
//! Goal: 40 µs per call at 300 calls/s, of the 150 µs that a whole call may take.

#[path = "../tests/store/support/documents.rs"]
mod documents;
#[path = "../tests/store/support/folder.rs"]
mod folder;
#[path = "../../bench_table.rs"]
mod table;

use documents::{call, call_up};
use folder::Folder;
use ledger::CallDocument;
use std::time::{Duration, Instant};
use strowger_store::{Recorder, RecorderSettings, Store};

/// Goal in microseconds.
const GOAL: f64 = 40.0;

fn main() -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = Folder::new("bench");
    runtime.block_on(async {
        let store = Store::open(folder.join("strowger.db")).await?;
        let settings = RecorderSettings::default();
        let (recorder, _) =
            Recorder::start(&store, folder.path().join("journal"), settings).await?;
        // The first calls make pages, statements and threads.
        run(&recorder, calls(0, 600), Duration::ZERO).await?;
        let paced = run(&recorder, calls(10_000, 3000), Duration::from_micros(3333)).await?;
        report("record_us_per_call", paced, Some(GOAL))?;
        let burst = run(&recorder, calls(20_000, 30_000), Duration::ZERO).await?;
        report("record_us_per_call_in_bursts", burst, None)?;
        let bytes = std::fs::metadata(store.path())?.len();
        println!("database: {} bytes per call", bytes / store.count_calls().await?);
        Ok(())
    })
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
