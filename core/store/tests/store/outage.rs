//! A long outage of the database: what ends meanwhile lies in the journal on disk, not in memory
//! (CDR-14).

use crate::support::documents::call;
use crate::support::folder::Folder;
use crate::support::recorder::{open, segments, start_locked, wait_until_durable};
use std::process::Command;
use std::time::Duration;
use strowger_store::RecorderSettings;

/// Calls of the first part of the outage: more than are held in memory.
const FIRST: u64 = 30_000;
/// Calls of all of it: nearly seven minutes of 300 calls a second.
const ALL: u64 = 120_000;
/// Bytes that a longer outage may cost; calls that were kept would cost ten times as much.
const MORE: u64 = 16 * 1024 * 1024;

/// Memory of this process, bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let kilobytes = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kilobytes.expect("a number") * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by a_long_outage_takes_room_on_disk_and_not_in_memory"]
async fn child_whose_database_is_away() {
    let folder = Folder::new("outage");
    let store = open(folder.path()).await;
    let settings = RecorderSettings { segment_bytes: 4 << 20, ..RecorderSettings::default() };
    let (recorder, mut other) = start_locked(&store, folder.path(), settings).await;
    let submit = async |from: u64, to: u64| {
        for number in from..to {
            recorder.submit(call(number));
            if number % 500 == 499 {
                // The disk keeps up: what is measured is what waits for the database.
                wait_until_durable(&recorder, number + 1).await;
            }
        }
        memory()
    };
    let after_first = submit(0, FIRST).await;
    let after_all = submit(FIRST, ALL).await;
    let gauges = recorder.gauges();
    assert_eq!((gauges.in_journal, gauges.in_memory, gauges.refused), (ALL, 0, 0));
    assert!(gauges.journal_bytes > ALL * 500, "{gauges:?}");
    assert!(segments(folder.path()).len() > 10, "they lie in many segments");
    let more = after_all.saturating_sub(after_first);
    println!("{more} bytes more after {ALL} calls than after {FIRST}, {after_all} in all");
    assert!(more < MORE, "{more} bytes more after {ALL} calls than after {FIRST}");
    assert!(!recorder.is_full());

    other.release().await;
    tokio::time::timeout(Duration::from_secs(300), recorder.flush()).await.expect("it catches up");
    assert_eq!(store.count_calls().await.expect("read"), ALL);
    assert!(store.prove().await.expect("read").faults.is_empty());
}

/// In a process of its own, whose memory nobody else uses.
#[test]
fn a_long_outage_takes_room_on_disk_and_not_in_memory() {
    let child = Command::new(std::env::current_exe().expect("a test knows its own file"))
        .args(["--exact", "outage::child_whose_database_is_away", "--ignored", "--nocapture"])
        .output()
        .expect("it runs");
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr)
    );
    assert!(child.status.success() && told.contains("1 passed"), "{told}");
}
