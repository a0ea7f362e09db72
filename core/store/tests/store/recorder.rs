//! Records become durable, once, whatever happens to the process.

use crate::support::database::{Other, database};
use crate::support::documents::{call, call_up};
use crate::support::folder::Folder;
use crate::support::recorder::{
    open, segments, start, start_locked, wait_for_release, wait_until_durable,
};
use ledger::Money;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use strowger_store::{Alarm, CallFilter, RecordedCall, Recorder, RecorderSettings, Store};

/// CDR-01, CDR-02, BILL-48
#[tokio::test]
async fn a_finished_call_is_recorded_and_booked() {
    let folder = Folder::new("record");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    for number in 0..100 {
        recorder.submit(call_up(number));
        recorder.submit(call(number));
    }
    recorder.flush().await;
    assert_eq!(recorder.durable_finals(), 100);
    let gauges = recorder.gauges();
    assert_eq!((gauges.depth, gauges.stored_finals, gauges.failures), (0, 100, 0));
    let id = call(42).call.id;
    assert_eq!(store.call(id).await.unwrap().unwrap().document, *call(42));
    assert_eq!(store.call(1).await.unwrap(), None);
    let spent = Money(100 * 50_633_000);
    let balance = Money(100 * Money::ONE.0) - spent;
    assert_eq!(store.balance(1).await.unwrap(), Some(balance));
    assert_eq!(store.balance(2).await.unwrap(), Some(Money(-100 * 41_333_300)));
    assert!(store.prove().await.unwrap().faults.is_empty());
}

/// CDR-22, CDR-24
#[tokio::test]
async fn calls_are_found_by_each_filter_and_paged_newest_first() {
    let folder = Folder::new("query");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    for number in 0..50 {
        let mut document = call(number);
        if number % 5 == 0 {
            document.call.answer_ms = None;
            document.call.end_reason = "no_route".into();
            document.call.callee_route = format!("33{number}").into();
        }
        if number % 10 == 3 {
            document.attempts[0].trunk = 1;
        }
        recorder.submit(document);
    }
    recorder.flush().await;
    let find = async |filter: CallFilter| store.calls(&filter).await.unwrap();
    let all = find(CallFilter::default()).await;
    assert_eq!(all.len(), 50);
    let id = |call: &RecordedCall| call.document.call.id;
    assert!(all.windows(2).all(|pair| id(&pair[0]) > id(&pair[1])));
    assert_eq!(all[0].document, *call(49));
    let page = find(CallFilter { limit: 20, ..CallFilter::default() }).await;
    let rest = find(CallFilter { before: Some(id(&page[19])), ..CallFilter::default() }).await;
    assert_eq!([page, rest].concat(), all);
    let count = async |filter| find(filter).await.len();
    let from = call(10).call.invite_ms;
    let until = call(20).call.invite_ms;
    let default = CallFilter::default;
    let time = CallFilter { since_ms: Some(from), until_ms: Some(until), ..default() };
    assert_eq!(count(time).await, 10);
    assert_eq!(count(CallFilter { answered: Some(false), ..default() }).await, 10);
    assert_eq!(count(CallFilter { reason: Some("no_route".into()), ..default() }).await, 10);
    assert_eq!(count(CallFilter { number: Some("33".into()), ..default() }).await, 10);
    assert_eq!(count(CallFilter { number: Some("+4930".into()), ..default() }).await, 50);
    let word = |text: &str| Some(text.to_owned());
    assert_eq!(count(CallFilter { caller: word("+4930"), ..default() }).await, 50);
    assert_eq!(count(CallFilter { callee: word("+4930"), ..default() }).await, 0);
    assert_eq!(count(CallFilter { callee: word("335"), ..default() }).await, 1);
    assert_eq!(count(CallFilter { customer_trunk: word("office"), ..default() }).await, 50);
    assert_eq!(count(CallFilter { account: word("acme"), ..default() }).await, 50);
    assert_eq!(count(CallFilter { account: word("carrier"), ..default() }).await, 0);
    assert_eq!(count(CallFilter { rerate: true, ..default() }).await, 0);
    let vendor = CallFilter { vendor_trunk: word("carrier-a"), ..default() };
    assert_eq!(count(vendor).await, 5);
    let unknown = CallFilter { account: word("nobody"), ..default() };
    let refused = store.calls(&unknown).await.unwrap_err().to_string();
    assert_eq!(refused, "no account has or had the name `nobody`");
}

/// CDR-07: a record is written once and never changed.
#[tokio::test]
async fn a_call_submitted_twice_is_recorded_and_booked_once() {
    let folder = Folder::new("twice");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    for number in 0..20 {
        recorder.submit(call(number));
    }
    recorder.flush().await;
    for number in (10..30).chain(25..30) {
        recorder.submit(call(number));
    }
    recorder.flush().await;
    assert_eq!(store.count_calls().await.unwrap(), 30);
    assert_eq!(store.postings_sum(2).await.unwrap(), Money(-30 * 41_333_300));
    assert!(store.prove().await.unwrap().faults.is_empty());
}

/// A crash between journal and database: the same journal against an older database.
#[tokio::test]
async fn the_journal_is_replayed_into_the_database_once() {
    let folder = Folder::new("replay");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    for number in 0..40 {
        recorder.submit(call(number));
    }
    recorder.flush().await;
    let kept = std::fs::read(&segments(folder.path())[0]).unwrap();
    drop((recorder, store));

    let other = Folder::new("replay-into");
    let store = open(other.path()).await;
    std::fs::create_dir(other.join("journal")).unwrap();
    for round in 0..2_u64 {
        let segment = other.join("journal").join(format!("{:016}.journal", 10 * (round + 1)));
        std::fs::write(segment, &kept).unwrap();
        let (recorder, recovery) = start(&store, other.path()).await;
        assert_eq!(recovery.replayed, if round == 0 { 40 } else { 0 });
        assert!(recovery.unfinished.is_empty());
        assert_eq!(store.count_calls().await.unwrap(), 40);
        assert_eq!(store.postings_sum(2).await.unwrap(), Money(-40 * 41_333_300));
        assert!(store.prove().await.unwrap().faults.is_empty());
        assert_eq!(segments(other.path()).len(), 1, "old segments are gone");
        recorder.flush().await;
        drop(recorder);
        wait_for_release(other.path()).await;
    }
}

/// BILL-13: billed to the last evidence.
#[tokio::test]
async fn a_call_that_was_up_is_closed_as_node_lost() {
    let folder = Folder::new("lost");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    recorder.submit(call_up(1));
    recorder.submit(call_up(2));
    recorder.submit(call(2));
    recorder.flush().await;
    drop(recorder);
    wait_for_release(folder.path()).await;

    let (recorder, recovery) = start(&store, folder.path()).await;
    let [lost] = &recovery.unfinished[..] else { panic!("{recovery:?}") };
    assert_eq!(lost.call.id, call(1).call.id);
    assert_eq!(lost.call.end_reason, "node_lost");
    assert_eq!(lost.call.billable_ms, 30_000);
    assert_eq!((lost.call.code_chosen, lost.call.code_returned), (200, 200));
    assert_eq!(lost.attempts[1].billable_ms, 30_000);
    assert_eq!(lost.attempts[1].end_ms, lost.call.end_ms);
    assert!(lost.attempts[1].buy.is_some(), "it was answered");
    assert_eq!(lost.attempts[0].end_reason, "vendor_rejected", "it had ended before");
    assert!(lost.call.sell.as_ref().is_some_and(|sell| sell.row.next_increment_s == 1));
    drop(recorder);
    wait_for_release(folder.path()).await;

    let (recorder, recovery) = start(&store, folder.path()).await;
    assert_eq!(recovery.unfinished.len(), 1, "until its final document comes");
    recorder.submit(Box::new(recovery.unfinished[0].clone()));
    recorder.flush().await;
    drop(recorder);
    wait_for_release(folder.path()).await;
    let (_recorder, recovery) = start(&store, folder.path()).await;
    assert!(recovery.unfinished.is_empty());
    assert_eq!(store.count_calls().await.unwrap(), 2);
}

/// What was not answered costs nothing, whatever price was looked up for it.
#[tokio::test]
async fn a_call_that_was_ringing_is_closed_without_charges() {
    let folder = Folder::new("ringing");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    let mut ringing = call_up(1);
    ringing.call.answer_ms = None;
    ringing.call.code_chosen = 0;
    ringing.call.code_returned = 0;
    ringing.attempts[1].answer_ms = None;
    recorder.submit(ringing);
    recorder.flush().await;
    drop(recorder);
    wait_for_release(folder.path()).await;

    let (_recorder, recovery) = start(&store, folder.path()).await;
    let [lost] = &recovery.unfinished[..] else { panic!("{recovery:?}") };
    assert_eq!((lost.call.code_returned, lost.call.billable_ms), (0, 0));
    assert!(lost.call.sell.is_none());
    assert!(lost.attempts.iter().all(|attempt| attempt.buy.is_none() && attempt.billable_ms == 0));
}

#[tokio::test]
async fn segments_go_when_nothing_needs_them() {
    let folder = Folder::new("segments");
    let store = open(folder.path()).await;
    let settings = RecorderSettings {
        segment_bytes: 20_000,
        commit_window: Duration::from_millis(1),
        store_window: Duration::from_millis(1),
        ..RecorderSettings::default()
    };
    let (recorder, _) = Recorder::start(&store, folder.join("journal"), settings).await.unwrap();
    recorder.submit(call_up(0));
    for number in 1..200 {
        recorder.submit(call(number));
        if number % 10 == 0 {
            recorder.flush().await;
        }
    }
    let held = segments(folder.path());
    assert!(held.len() > 3, "the call that is up holds its segment and those after it");
    recorder.submit(call(0));
    for number in 200..1000 {
        recorder.submit(call(number));
        if number % 10 == 0 {
            recorder.flush().await;
            if segments(folder.path()).len() < 4 {
                return;
            }
        }
    }
    panic!("{:?}", segments(folder.path()));
}

/// CDR-06: what a call says of itself while it is up is of no use once its end is durable.
#[tokio::test]
async fn an_interim_copy_overtaken_by_the_end_of_its_call_is_not_written() {
    let mut sizes = Vec::new();
    for (name, documents) in [("end", vec![call(1)]), ("both", vec![call_up(1), call(1)])] {
        let folder = Folder::new(name);
        let store = open(folder.path()).await;
        let settings = RecorderSettings {
            commit_window: Duration::from_secs(60),
            ..RecorderSettings::default()
        };
        let (recorder, _) =
            Recorder::start(&store, folder.join("journal"), settings).await.unwrap();
        for document in documents {
            recorder.submit(document);
        }
        recorder.flush().await;
        assert_eq!(store.count_calls().await.unwrap(), 1);
        let journal = folder.join("journal").join("0000000000000001.journal");
        sizes.push(std::fs::metadata(journal).unwrap().len());
    }
    assert_eq!(sizes[0], sizes[1]);
}

/// CDR-14: past its bound the queue says that no new calls may come, takes no interim copies,
/// and still takes the end of every answered call.
#[tokio::test]
async fn a_full_queue_refuses_new_calls_and_takes_the_ends_of_those_that_are_up() {
    let folder = Folder::new("full");
    let store = open(folder.path()).await;
    let settings = RecorderSettings {
        capacity: 3,
        commit_window: Duration::from_secs(60),
        ..RecorderSettings::default()
    };
    let (recorder, _) = Recorder::start(&store, folder.join("journal"), settings).await.unwrap();
    for number in 0..3 {
        recorder.submit(call(number));
    }
    assert!(!recorder.is_full() && recorder.alarms().is_empty());
    for number in 3..10 {
        recorder.submit(call_up(number));
        recorder.submit(call(number));
    }
    let mut refused = call(10);
    refused.call.answer_ms = None;
    refused.call.sell = None;
    refused.attempts.clear();
    refused.postings.clear();
    recorder.submit(refused);
    assert!(recorder.is_full());
    assert_eq!(recorder.alarms(), [Alarm::Full]);
    let gauges = recorder.gauges();
    assert_eq!((gauges.depth, gauges.dropped, gauges.refused), (10, 7, 1));
    recorder.flush().await;
    assert!(!recorder.is_full(), "there is room again");
    assert_eq!(store.count_calls().await.unwrap(), 10);
    assert!(store.prove().await.unwrap().faults.is_empty());
}

/// OPS-65: a stop ends all calls at once, and there may be more of them than the queue is made for.
#[tokio::test]
async fn a_stop_with_more_calls_than_the_queue_holds_keeps_every_record() {
    const CALLS: u64 = 120_000;
    let folder = Folder::new("stop");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    for number in 0..CALLS {
        recorder.submit(call(number));
    }
    recorder.flush().await;
    let gauges = recorder.gauges();
    assert_eq!((gauges.depth, gauges.stored_finals, gauges.refused), (0, CALLS, 0));
    assert_eq!(store.count_calls().await.unwrap(), CALLS);
    assert!(store.prove().await.unwrap().faults.is_empty());
}

/// CDR-14: the journal has its limit on the disk, too.
#[tokio::test]
async fn a_journal_at_its_limit_says_that_no_new_calls_may_come() {
    let folder = Folder::new("limit");
    let store = open(folder.path()).await;
    let settings = RecorderSettings {
        journal_bytes: 30_000,
        segment_bytes: 5_000,
        ..RecorderSettings::default()
    };
    let (recorder, mut other) = start_locked(&store, folder.path(), settings).await;
    let mut number = 0;
    while !recorder.is_full() {
        recorder.submit(call(number));
        number += 1;
        wait_until_durable(&recorder, number).await;
        assert!(number < 200, "{:?}", recorder.gauges());
    }
    assert!(recorder.gauges().journal_bytes >= 30_000);
    assert!(recorder.alarms().contains(&Alarm::Full));
    other.release().await;
    for more in number..number + 200 {
        recorder.submit(call(more));
        recorder.flush().await;
        if !recorder.is_full() {
            assert_eq!(store.count_calls().await.unwrap(), more + 1);
            return;
        }
    }
    panic!("{:?}", recorder.gauges());
}

/// CDR-14: the journal is the queue. While somebody else holds the database, more calls end
/// than memory may keep; each is in the database afterwards, once, in the order of its end.
#[tokio::test]
async fn a_locked_database_loses_no_call() {
    const CALLS: u64 = 200;
    let folder = Folder::new("locked");
    let store = open(folder.path()).await;
    let settings = RecorderSettings {
        capacity: 8,
        held: 3,
        segment_bytes: 20_000,
        ..RecorderSettings::default()
    };
    let (recorder, mut other) = start_locked(&store, folder.path(), settings).await;
    for number in 0..CALLS {
        recorder.submit(call_up(number));
        recorder.submit(call(number));
        wait_until_durable(&recorder, (number + 1).saturating_sub(2)).await;
    }
    wait_until_durable(&recorder, CALLS).await;
    assert_eq!(store.count_calls().await.unwrap(), 0);
    let gauges = recorder.gauges();
    assert_eq!((gauges.depth, gauges.refused), (CALLS, 0));
    assert!(segments(folder.path()).len() > 3, "what waits lies in several segments");

    other.release().await;
    recorder.flush().await;
    assert_eq!(store.count_calls().await.unwrap(), CALLS);
    let sum = Money(-41_333_300 * i128::from(CALLS));
    assert_eq!(store.postings_sum(2).await.unwrap(), sum);
    assert!(store.prove().await.unwrap().faults.is_empty());
    let ids = other.ids().await;
    let ended: Vec<Vec<u8>> = (0..CALLS).map(|n| call(n).call.id.to_be_bytes().to_vec()).collect();
    assert_eq!(ids, ended);
}

/// What is no number at all, as a peer may send it, holds no record up: an index of PostgreSQL
/// takes no more than 2,704 bytes. The document has all of it.
#[tokio::test]
async fn a_number_without_end_is_recorded() {
    let folder = Folder::new("endless");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    let mut seed = 1_u64;
    let mut letter = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (seed >> 33) as u8 % 90)
    };
    // Nothing that a database could compress.
    let endless: String = (0..20_000).map(|_| letter()).collect();
    let mut odd = call(1);
    odd.call.caller_in = endless.as_str().into();
    odd.call.callee_route = endless.as_str().into();
    odd.attempts[0].callee_out = endless.as_str().into();
    recorder.submit(odd.clone());
    recorder.submit(call(2));
    recorder.flush().await;
    assert_eq!(store.count_calls().await.unwrap(), 2);
    let found = store.call(odd.call.id).await.unwrap().expect("it is there");
    assert_eq!(found.document.call.caller_in, odd.call.caller_in);
}

/// A database that refuses more calls than could each be at fault is at fault itself: they stay in
/// the journal, in order, and no file is made of each.
#[tokio::test]
async fn a_database_that_refuses_every_call_is_waited_for() {
    const CALLS: u64 = 150;
    let folder = Folder::new("refuses");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    let mut other = Other::connect(folder.path()).await;
    other
        .execute(
            "CREATE TRIGGER never BEFORE INSERT ON call_record BEGIN \
             SELECT RAISE(ABORT, 'never any'); END",
            "ALTER TABLE call_record ADD CONSTRAINT never CHECK (seq < 0)",
        )
        .await;
    for number in 0..CALLS {
        recorder.submit(call(number));
    }
    let alarm = async |words: &str| {
        for _ in 0..2_000 {
            if recorder.database_trouble().is_some_and(|trouble| trouble.contains(words)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{:?}", recorder.database_trouble());
    };
    alarm("never").await;
    assert_eq!((recorder.gauges().in_journal, recorder.set_aside()), (CALLS, None));
    let all = "ALTER TABLE call_record DROP CONSTRAINT never";
    other.execute("DROP TRIGGER never", all).await;
    recorder.flush().await;
    assert_eq!(recorder.database_trouble(), None);
    assert_eq!(recorder.set_aside(), None);
    assert_eq!(store.count_calls().await.unwrap(), CALLS);
    assert!(store.prove().await.unwrap().faults.is_empty());
}

/// The child of the test below: writes calls as fast as it can and prints the id of each
/// that is reported durable, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by kill_dash_nine_loses_no_call_that_was_reported_as_recorded"]
async fn child_that_records_until_it_is_killed() {
    let Ok(folder) = std::env::var("STROWGER_KILLED_CHILD") else { return };
    let folder = Path::new(&folder);
    let store = open(folder).await;
    let report = Arc::new(|ids: &[u128]| {
        let mut out = std::io::stdout().lock();
        for id in ids {
            writeln!(out, "durable {id:032x}").expect("the parent reads");
        }
        out.flush().expect("the parent reads");
    });
    let settings = RecorderSettings {
        on_durable: Some(report),
        store_window: Duration::from_millis(20),
        commit_window: Duration::from_millis(5),
        segment_bytes: 200_000,
        ..RecorderSettings::default()
    };
    let (recorder, _) = Recorder::start(&store, folder.join("journal"), settings).await.unwrap();
    let mut number = 0;
    loop {
        number += 1;
        recorder.submit(call_up(number));
        if number > 20 {
            recorder.submit(call(number - 20));
        }
        if number % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn kill_dash_nine_loses_no_call_that_was_reported_as_recorded() {
    for reported in [1, 700, 3000] {
        let folder = Folder::new("killed");
        // Made here: a server that the child has started would end with it.
        let database = database(folder.path());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "recorder::child_that_records_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("STROWGER_KILLED_CHILD", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut durable = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut killed = false;
        // After the kill, what is still in the pipe was reported too.
        while let Some(Ok(line)) = lines.next() {
            if let Some((_, id)) = line.split_once("durable ")
                && let Ok(id) = u128::from_str_radix(id, 16)
            {
                durable.push(id);
            }
            if durable.len() >= reported && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(durable.len() >= reported);

        let store = Store::open(database).await.unwrap();
        let (recorder, recovery) = start(&store, folder.path()).await;
        for id in &durable {
            assert!(store.call(*id).await.unwrap().is_some(), "call {id:032x} is lost");
        }
        assert!(!recovery.unfinished.is_empty(), "twenty calls were up");
        assert!(store.prove().await.unwrap().faults.is_empty());
        let recorded = store.count_calls().await.unwrap();
        assert_eq!(store.postings_sum(2).await.unwrap(), Money(-41_333_300 * i128::from(recorded)));
        for document in &recovery.unfinished {
            recorder.submit(Box::new(document.clone()));
        }
        recorder.flush().await;
        let all = store.count_calls().await.unwrap();
        assert_eq!(all, recorded + recovery.unfinished.len() as u64, "none is recorded twice");
    }
}
