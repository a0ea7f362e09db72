//! What a bad database does to a switch: one that is away, stands still, is full of what is not
//! ours, refuses a record, or has lost a part of the journal. Calls go on, each record arrives once,
//! and what is wrong is said by name (CDR-06, CDR-14, BILL-48).

use postgres_server::{PASSWORD, Server};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use strowger_tests::sipp::Sipp;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Folder, Setup, program, refusal};
use strowger_tests::wait;

/// Longest wait for what the node does by itself.
const LIMIT: Duration = Duration::from_secs(60);

/// A database of either dialect, and what is done to it behind the back of the node.
enum Kind {
    Sqlite,
    Postgres(Server, String),
}

impl Kind {
    fn both() -> [Kind; 2] {
        [Kind::Sqlite, Kind::postgres()]
    }

    fn postgres() -> Kind {
        let server = Server::start();
        let url = server.database();
        Kind::Postgres(server, url)
    }

    fn setup(&self) -> Setup {
        let mut setup = Setup::new();
        if let Kind::Postgres(_, url) = self {
            setup.node.push_str(&format!("\ndatabase = \"{url}\"\n"));
        }
        setup
    }

    /// Executes a statement and gives its rows as lines.
    fn sql(&self, folder: &Folder, sqlite: &str, postgres: &str) -> String {
        match self {
            Kind::Sqlite => {
                let run = "import sqlite3, sys\n\
                           base = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n\
                           for row in base.execute(sys.argv[2]): print(*row, sep='|')\n";
                let file = folder.path().join("data/strowger.db");
                let done = Command::new("python3").args(["-c", run]).arg(file).arg(sqlite).output();
                let done = done.expect("python3 runs");
                assert!(done.status.success(), "{sqlite}: {}", errors(&done));
                words(&done).trim().to_owned()
            }
            Kind::Postgres(server, url) => server.sql(name(url), postgres),
        }
    }

    fn both_sql(&self, folder: &Folder, statement: &str) -> String {
        self.sql(folder, statement, statement)
    }

    /// What a message about it names.
    fn shown(&self) -> String {
        match self {
            Kind::Sqlite => "strowger.db".to_owned(),
            Kind::Postgres(server, url) => {
                format!("postgres://strowger@127.0.0.1:{}/{}", server.port(), name(url))
            }
        }
    }
}

fn name(url: &str) -> &str {
    url.rsplit('/').next().expect("a database")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the alarm of this name says now; none while it does not stand.
fn alarm(stage: &Stage, name: &str) -> Option<String> {
    let alarms = stage.switch.get("/v1/alarms");
    let found = alarms.as_array()?.iter().find(|alarm| alarm["alarm"] == name)?;
    Some(found["detail"].as_str().unwrap_or_default().to_owned())
}

fn wait_for_alarm(stage: &Stage, name: &str, words: &str) -> String {
    wait::until(&format!("{name}: {words}"), LIMIT, || {
        alarm(stage, name).filter(|detail| detail.contains(words))
    })
}

fn wait_for_its_end(stage: &Stage, name: &str) {
    wait::until(&format!("the end of {name}"), LIMIT, || {
        alarm(stage, name).is_none().then_some(())
    });
}

/// Callers without end, so many a second, from numbers of their own.
fn callers(stage: &Stage, rate: u32) -> Sipp {
    let script = stage.caller().with("talk_ms", 50).script("caller_calls");
    script.calls(0, rate).quiet().start(stage.switch.folder().path())
}

/// A vendor who answers every call.
fn vendor(stage: &Stage) -> Sipp {
    let script = stage.vendor_a().with("ring_ms", 20).script("vendor_answers");
    script.calls(0, 100).quiet().start(stage.switch.folder().path())
}

/// One call from this number.
fn call_from(stage: &Stage, caller: &str) {
    stage.caller().with("caller", caller).with("talk_ms", 50).calls().succeeds(CALL_LIMIT);
}

/// Waits until no call is up, and gives back how many have ended.
fn ended(stage: &Stage) -> usize {
    wait::until("the last call", LIMIT, || (stage.switch.calls_now() == 0).then_some(()));
    stage.switch.metric("strowger_calls_ended_total", &[]) as usize
}

/// Every call that has ended has one record, and the books are right.
fn is_complete(stage: &Stage, calls: usize) -> Vec<Value> {
    let records = are_recorded(stage, calls);
    books_are_right(stage);
    records
}

/// So many calls have one record each.
fn are_recorded(stage: &Stage, calls: usize) -> Vec<Value> {
    let records = wait::until(&format!("{calls} records"), LIMIT, || {
        let (status, records) = stage.switch.try_get("/v1/records?limit=10000");
        let records = records.as_array().filter(|_| status == 200)?.clone();
        (records.len() >= calls).then_some(records)
    });
    let ids: BTreeSet<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
    assert_eq!((records.len(), ids.len()), (calls, calls), "one record for each call");
    records
}

fn books_are_right(stage: &Stage) {
    let node = stage.switch.folder().path().join("node.toml");
    let verify = Command::new(program()).args(["ledger", "verify", "--config"]).arg(node).output();
    let verify = verify.expect("the program is built");
    assert!(verify.status.success(), "{}{}", words(&verify), errors(&verify));
    assert!(words(&verify).contains("the books are right"), "{}", words(&verify));
}

/// A node whose server stands still at the start names it and waits; SIGTERM ends the waiting, and
/// a server that goes on is used.
#[test]
fn a_node_waits_for_a_server_that_stands_still() {
    let kind = Kind::postgres();
    let Kind::Postgres(server, _) = &kind else { unreachable!() };
    let setup = kind.setup();
    let folder = setup.write();
    server.freeze();
    let log = folder.path().join("switch.log");
    let told = || std::fs::read_to_string(&log).unwrap_or_default();
    let mut waiting = Command::new(program())
        .args(["run", "--config"])
        .arg(folder.path().join("node.toml"))
        .stderr(std::fs::File::create(folder.path().join("first.log")).expect("it is ours"))
        .spawn()
        .expect("the program is built");
    let first = || folder.read("first.log");
    wait::until("a node that waits", LIMIT, || first().contains("is away").then_some(()));
    let text = first();
    assert!(text.contains(&kind.shown()) && text.contains("no answer within 5 s"), "{text}");
    assert!(text.contains("seconds_left"), "{text}");
    assert!(!text.contains(PASSWORD) && !text.contains("a%20secret"), "{text}");
    let status = Command::new("kill").arg(waiting.id().to_string()).status();
    assert!(status.expect("kill runs").success());
    let status = wait::until("its end", LIMIT, || waiting.try_wait().expect("the program is ours"));
    assert!(status.success() && first().contains("stopped before any call"), "{}", first());

    let stage = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait::until("a node that waits", LIMIT, || told().contains("is away").then_some(()));
            server.thaw();
        });
        Stage::on(&setup, folder)
    });
    assert!(stage.switch.log().contains("the database is there"), "{}", stage.switch.log());
    let _vendor = vendor(&stage);
    call_from(&stage, "15550001");
    is_complete(&stage, 1);
}

/// A server stands still in the middle of its work, until the node has given a statement up, and
/// goes on then: calls are set up as before, records come later, each once.
#[test]
fn calls_go_on_while_the_server_stands_still() {
    let kind = Kind::postgres();
    let Kind::Postgres(server, url) = &kind else { unreachable!() };
    let stage = Stage::with(&kind.setup());
    let _vendor = vendor(&stage);
    let mut load = callers(&stage, 10);
    wait::until("records", LIMIT, || (stage.switch.records().len() > 20).then_some(()));
    server.freeze();
    let before = load.counts().0;
    let detail = wait_for_alarm(&stage, "database_slow", "no answer for");
    assert!(detail.contains(&kind.shown()), "{detail}");
    assert!(!detail.contains(PASSWORD), "{detail}");
    // A payment is refused before its client gives up, and is not booked.
    let body = serde_json::json!({"amount": "3", "key": "while-frozen"});
    let (status, answer) = stage.switch.post("/v1/accounts/broke/payments", &body);
    assert_eq!(status, 500, "{answer}");
    assert!(answer.to_string().contains(&kind.shown()), "{answer}");
    wait::until("a statement is given up", LIMIT, || {
        stage.switch.log().contains("records are not stored").then_some(())
    });
    wait::until("calls meanwhile", LIMIT, || (load.counts().0 > before + 100).then_some(()));
    server.thaw();
    wait_for_its_end(&stage, "database_slow");
    let after = load.counts();
    assert_eq!(after.1, 0, "no call failed");
    load.stop();
    let calls = ended(&stage);
    let records = is_complete(&stage, calls);
    // The vendor rings for 20 ms: nothing waits for the database.
    let slow: Vec<&Value> = records
        .iter()
        .filter(|record| {
            let time = |field: &str| record[field].as_u64();
            time("answer_ms").zip(time("invite_ms")).is_some_and(|(end, start)| end > start + 1_000)
        })
        .collect();
    assert!(slow.is_empty(), "{slow:#?}");
    let counted = "SELECT COUNT(*), COUNT(DISTINCT id) FROM call_record";
    assert_eq!(server.sql(name(url), counted), format!("{calls}|{calls}"));
    let (status, answer) = stage.switch.post("/v1/accounts/broke/payments", &body);
    assert_eq!((status, &answer["balance"]), (200, &Value::from("3")), "{answer}");
}

/// The server crashes under load and comes back after some batches, and connections are cut while
/// the backlog is written: no record is lost or doubled, and the books are right.
#[test]
fn an_outage_and_cut_connections_lose_no_record() {
    let kind = Kind::postgres();
    let Kind::Postgres(server, url) = &kind else { unreachable!() };
    let mut setup = kind.setup();
    // So that an outage of seconds is one of many records.
    setup.plugin_lines.push_str("[records]\nwaiting = 100\n");
    let stage = Stage::with(&setup);
    let _vendor = vendor(&stage);
    let mut load = callers(&stage, 25);
    wait::until("records", LIMIT, || (stage.switch.records().len() > 20).then_some(()));
    server.kill();
    let detail = wait_for_alarm(&stage, "database_slow", "Connection refused");
    assert!(detail.contains(&kind.shown()), "{detail}");
    let detail = wait_for_alarm(&stage, "cdr_lag", "records wait for the database");
    assert!(!detail.is_empty());
    server.start_again();
    let cut = AtomicBool::new(true);
    let times = std::thread::scope(|scope| {
        let cutter = scope.spawn(|| {
            let mut times = 0;
            while cut.load(Ordering::Relaxed) {
                let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                           WHERE datname = current_database() AND pid <> pg_backend_pid()";
                times += server.sql(name(url), end).parse::<u32>().expect("a number");
                // Between two cuts the node has time for some statements, and not for all.
                std::thread::sleep(Duration::from_millis(30));
            }
            times
        });
        wait::until("cuts in the middle of writing", LIMIT, || {
            let failures = stage.switch.metric("strowger_recorder_failures_total", &[]);
            (stage.switch.log().matches("records are stored again").count() > 2 && failures > 3.0)
                .then_some(())
        });
        cut.store(false, Ordering::Relaxed);
        cutter.join().expect("no panic")
    });
    assert!(times > 1, "{times} connections were cut");
    wait_for_its_end(&stage, "database_slow");
    wait_for_its_end(&stage, "cdr_lag");
    assert_eq!(load.counts().1, 0, "no call failed");
    load.stop();
    let calls = ended(&stage);
    assert!(calls > 100, "{calls}");
    is_complete(&stage, calls);
    let counted = "SELECT COUNT(*), COUNT(DISTINCT id) FROM call_record";
    assert_eq!(server.sql(name(url), counted), format!("{calls}|{calls}"));
}

/// Where the final documents of a segment of the journal begin.
fn finals(bytes: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), 8);
    while at + 9 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        if bytes[at + 8] == 2 {
            found.push(at);
        }
        at += 8 + length as usize;
    }
    found
}

/// The last segment of a journal.
fn segment(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).expect("it is there").flatten();
    let names = files.map(|file| file.path());
    let segments = names.filter(|path| path.extension().is_some_and(|kind| kind == "journal"));
    segments.max().expect("a segment")
}

/// A node is killed with calls that the journal alone has; the disk has changed one, cut another
/// off, and put files of its own there. The next start takes what can be read, keeps the rest in
/// files and names them.
#[test]
fn a_damaged_journal_costs_no_more_than_is_damaged() {
    for kind in Kind::both() {
        let mut stage = Stage::with(&kind.setup());
        let vendor = vendor(&stage);
        // Without its table the database takes no record.
        kind.both_sql(stage.switch.folder(), "ALTER TABLE attempt_record RENAME TO away");
        for caller in 1..=5 {
            call_from(&stage, &format!("1555000{caller}"));
        }
        assert_eq!(ended(&stage), 5);
        let journal = stage.switch.folder().path().join("data/journal");
        wait::until("five calls in the journal", LIMIT, || {
            let bytes = std::fs::read(segment(&journal)).expect("it is ours");
            (finals(&bytes).len() == 5).then_some(())
        });
        stage.switch.kill_hard();
        drop(vendor);
        kind.both_sql(stage.switch.folder(), "ALTER TABLE away RENAME TO attempt_record");
        let path = segment(&journal);
        let mut bytes = std::fs::read(&path).expect("it is ours");
        let finals = finals(&bytes);
        let flipped = finals[1];
        bytes[flipped + 40] ^= 0x10;
        bytes.truncate(bytes.len() - 7);
        std::fs::write(&path, &bytes).expect("it is ours");
        let garbage: Vec<u8> =
            (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let numbered = |number: u64| journal.join(format!("{number:016}.journal"));
        std::fs::write(numbered(700), &garbage).expect("it is ours");
        std::fs::write(numbered(701), b"").expect("it is ours");
        std::fs::write(journal.join("7.journal"), &garbage).expect("it is ours");

        stage.switch.start_again();
        // Of the two whose ends are lost, the copies from their answers may be there (BILL-13).
        let records = wait::until("three calls", LIMIT, || {
            Some(stage.switch.records()).filter(|records| records.len() >= 3)
        });
        let with = |reason: &str| -> BTreeSet<&str> {
            let those = records.iter().filter(|record| record["end_reason"] == reason);
            those.filter_map(|record| record["caller_in"].as_str()).collect()
        };
        let (whole, lost) = (with("caller_hangup"), with("node_lost"));
        assert_eq!(whole, BTreeSet::from(["15550001", "15550003", "15550004"]));
        assert!(lost.is_subset(&BTreeSet::from(["15550002", "15550005"])), "{lost:?}");
        let count = whole.len() + lost.len();
        assert_eq!(records.len(), count, "one record for each call");
        books_are_right(&stage);
        let kept = path.with_extension("damaged");
        let detail = wait_for_alarm(&stage, "records_set_aside", "1 more");
        assert!(detail.contains(kept.to_str().expect("ASCII")), "{detail}");
        assert!(detail.contains(&format!("from byte {flipped} on")), "{detail}");
        assert_eq!(std::fs::read(&kept).expect("it is kept"), bytes);
        let rubbish = numbered(700).with_extension("damaged");
        assert_eq!(std::fs::read(&rubbish).expect("it is kept"), garbage);
        assert_eq!(std::fs::read(journal.join("7.journal")).expect("it is left"), garbage);
        let log = stage.switch.log();
        for words in [
            format!("from byte {flipped} on are damaged"),
            format!("from={}", finals[4]),
            numbered(700).display().to_string(),
            format!("{} bytes from byte 0 on are damaged", garbage.len()),
            format!("{}", numbered(701).display()),
            "7.journal".to_owned(),
        ] {
            assert!(log.contains(&words), "{words}: {log}");
        }
        for file in [kept, rubbish] {
            std::fs::rename(&file, file.with_extension("seen")).expect("it is ours");
        }
        wait_for_its_end(&stage, "records_set_aside");
        let _vendor = self::vendor(&stage);
        call_from(&stage, "15550009");
        is_complete(&stage, count + 1);
    }
}

/// The database of a later version is refused by name, and nothing is written into it.
#[test]
fn a_database_of_a_later_version_is_refused_and_stays_as_it_is() {
    for kind in Kind::both() {
        let mut stage = Stage::with(&kind.setup());
        let _vendor = vendor(&stage);
        call_from(&stage, "15550001");
        assert_eq!(stage.switch.settled_records(1).len(), 1);
        kind.sql(
            stage.switch.folder(),
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (99, 'later', TRUE, X'00', 1)",
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (99, 'later', TRUE, '\\x00', 1)",
        );
        // A program that is older than the database does not take a running node over.
        let node = stage.switch.folder().path().join("node.toml");
        let upgrade = Command::new(program()).args(["upgrade", "--config"]).arg(node).output();
        let upgrade = upgrade.expect("the program is built");
        let told = errors(&upgrade);
        assert!(!upgrade.status.success() && told.contains("has step 99"), "{told}");
        call_from(&stage, "15550002");
        is_complete(&stage, 2);
        stage.switch.stop();
        // Business that a start would write.
        let folder = stage.switch.folder();
        let file = "business/business.toml";
        folder.put(file, &folder.read(file).replace("1000000", "2000000"));
        let contents = || match &kind {
            Kind::Sqlite => {
                kind.both_sql(folder, "PRAGMA wal_checkpoint(TRUNCATE)");
                std::fs::read(folder.path().join("data/strowger.db")).expect("it is there")
            }
            Kind::Postgres(server, url) => {
                // Every row that was ever written, with its transaction.
                let rows = "SELECT query_to_xml(format('SELECT xmin, t.* FROM %I t', relname), \
                            FALSE, FALSE, '') FROM pg_class WHERE relkind = 'r' \
                            AND relnamespace = 'public'::regnamespace ORDER BY relname";
                server.sql(name(url), rows).into_bytes()
            }
        };
        let before = contents();
        let told = refusal(folder);
        assert!(told.contains("has step 99 of a later version of strowger"), "{told}");
        assert!(told.contains(&kind.shown()), "{told}");
        assert!(!told.contains(PASSWORD), "{told}");
        assert!(contents() == before, "something was written");
    }
}

/// A database that refuses every record for a reason of its own is named by the alarm with its own
/// words; records come when it takes them again.
#[test]
fn a_database_that_takes_nothing_is_told_in_its_own_words() {
    for kind in Kind::both() {
        let stage = Stage::with(&kind.setup());
        let _vendor = vendor(&stage);
        call_from(&stage, "15550001");
        assert_eq!(stage.switch.settled_records(1).len(), 1);
        let folder = stage.switch.folder();
        let (why, undo) = match &kind {
            Kind::Sqlite => {
                kind.both_sql(folder, "ALTER TABLE attempt_record RENAME TO away");
                ("no such table: attempt_record", "ALTER TABLE away RENAME TO attempt_record")
            }
            Kind::Postgres(server, url) => {
                let database = name(url);
                server.sql(
                    "postgres",
                    &format!(
                        "ALTER DATABASE {database} SET default_transaction_read_only = on; \
                         SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE datname = '{database}'"
                    ),
                );
                ("in a read-only transaction", "")
            }
        };
        call_from(&stage, "15550002");
        call_from(&stage, "15550003");
        let detail = wait_for_alarm(&stage, "database_slow", why);
        assert!(
            detail.contains(&kind.shown()) && detail.contains("wait in the journal"),
            "{detail}"
        );
        wait::until("more attempts", LIMIT, || {
            (stage.switch.metric("strowger_recorder_failures_total", &[]) > 2.0).then_some(())
        });
        let lines = stage.switch.log().matches("records are not stored").count();
        assert_eq!(lines, 1, "one line a minute");
        match &kind {
            Kind::Sqlite => kind.both_sql(folder, undo),
            Kind::Postgres(server, url) => server.sql(
                "postgres",
                &format!("ALTER DATABASE {} RESET default_transaction_read_only", name(url)),
            ),
        };
        wait_for_its_end(&stage, "database_slow");
        is_complete(&stage, 3);
        assert!(alarm(&stage, "records_set_aside").is_none());
    }
}

/// A record that the database refuses holds no other up: as long as it is the only one, it waits and
/// is told; once the database takes another, it is kept in a file of its own. A start after the
/// cause is gone brings it in.
#[test]
fn a_record_that_is_refused_holds_no_other_up() {
    for kind in Kind::both() {
        let mut stage = Stage::with(&kind.setup());
        let first = vendor(&stage);
        call_from(&stage, "15550001");
        assert_eq!(stage.switch.settled_records(1).len(), 1);
        kind.sql(
            stage.switch.folder(),
            "CREATE TRIGGER picky BEFORE INSERT ON call_record WHEN NEW.caller = '15550666' \
             BEGIN SELECT RAISE(ABORT, 'not this caller'); END",
            "ALTER TABLE call_record ADD CONSTRAINT not_this_caller \
             CHECK (caller <> '15550666')",
        );
        call_from(&stage, "15550666");
        let detail = wait_for_alarm(&stage, "database_slow", "call ");
        assert!(detail.contains("caller") && detail.contains(&kind.shown()), "{detail}");
        assert!(alarm(&stage, "records_set_aside").is_none(), "it may be the database's fault");
        call_from(&stage, "15550002");
        let detail = wait_for_alarm(&stage, "records_set_aside", "the database refuses the call");
        wait_for_its_end(&stage, "database_slow");
        // The running node counts with the refused call, the books do without it.
        are_recorded(&stage, 2);
        let file = detail.split(": ").next().expect("a file").to_owned();
        assert!(file.ends_with(".refused") && Path::new(&file).exists(), "{detail}");

        // As long as the cause is there, nothing changes.
        stage.switch.kill_hard();
        stage.switch.start_again();
        assert!(stage.switch.log().contains("still refuses this call"), "{}", stage.switch.log());
        wait_for_alarm(&stage, "records_set_aside", &file);
        is_complete(&stage, 2);

        stage.switch.stop();
        kind.sql(
            stage.switch.folder(),
            "DROP TRIGGER picky",
            "ALTER TABLE call_record DROP CONSTRAINT not_this_caller",
        );
        stage.switch.start_again();
        let records = is_complete(&stage, 3);
        assert!(records.iter().any(|record| record["caller_in"] == "15550666"));
        assert!(!Path::new(&file).exists() && alarm(&stage, "records_set_aside").is_none());
        drop(first);
    }
}
