//! A full disk: reported at once, calls are refused before records are lost, and no signal drops
//! the record of an answered call (CDR-14).

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Setup, Switch};
use strowger_tests::wait;

/// A small file system mounted on a folder, in a separate mount namespace.
struct SmallDisk {
    holder: Child,
    folder: PathBuf,
}

impl SmallDisk {
    /// Requires the right to mount, as root has: the test fails without it.
    fn mount(folder: &Path, size: &str) -> SmallDisk {
        let options = format!("size={size}");
        let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && echo mounted && exec sleep 600";
        let mut holder = Command::new("unshare")
            .args(["-m", "sh", "-c", script, "sh", &options])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux is installed");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it says something");
        assert_eq!(line, "mounted\n", "a mount namespace with a small tmpfs is needed");
        SmallDisk { holder, folder: folder.to_owned() }
    }

    /// The command line for programs inside.
    fn wrapper(&self) -> Vec<String> {
        ["nsenter", "-m", "-t", &self.holder.id().to_string(), "--"].map(str::to_owned).to_vec()
    }

    /// A file in it, seen from outside.
    fn file(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inside = self.folder.strip_prefix("/").expect("an absolute path");
        root.join(inside).join(name)
    }

    /// Fills the remaining space.
    fn fill(&self) {
        let mut file = File::create(self.file("filler")).expect("room for a name");
        for size in [1 << 20, 4096, 1] {
            let block = vec![1; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.file("filler")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A switch with records, journal and database on a disk of 96 MB.
fn on_a_small_disk(mut setup: Setup) -> (SmallDisk, Stage) {
    // The test does not see the node's files, including a token that it creates.
    setup.admin = "token = \"the-token-of-this-test\"".to_owned();
    let folder = setup.write();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).expect("test folder is writable");
    let disk = SmallDisk::mount(&data, "96m");
    let wrapper = disk.wrapper();
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let switch = Switch::start_under(setup.net, folder, &wrapper);
    (disk, Stage { switch, net: setup.net })
}

fn terminate(switch: &Switch) {
    let status = Command::new("kill").arg(switch.pid().to_string()).status();
    assert!(status.expect("kill runs").success(), "the switch is ours");
}

#[test]
fn a_full_disk_is_told_and_loses_no_answered_call() {
    let mut setup = Setup::new();
    setup.plugin_lines.push_str("[records]\nwaiting = 20\n");
    setup.calls = "drain = \"60s\"".to_owned();
    let (disk, mut stage) = on_a_small_disk(setup);
    let files = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().script("vendor_answers").calls(0, 10).start(&files);
    let call = || stage.caller().with("talk_ms", 50).calls().succeeds(CALL_LIMIT);
    call();
    assert_eq!(stage.switch.settled_records(1).len(), 1);

    disk.fill();
    // The last page of the journal may have room for one more call.
    let mut calls = 1;
    wait::until("the alarm", Duration::from_secs(60), || {
        call();
        calls += 1;
        (stage.switch.metric("strowger_recorder_failures_total", &[]) > 0.0).then_some(())
    });
    wait::until("the news", Duration::from_secs(5), || {
        let (_, health) = stage.switch.try_get("/health");
        (health["status"] == "down").then_some(())
    });
    let alarms = stage.switch.get("/v1/alarms");
    let names = alarms.as_array().into_iter().flatten().map(|one| one["alarm"].as_str());
    assert!(names.flatten().any(|name| name == "disk_critical"), "{alarms}");
    assert!(stage.switch.log().contains("the journal cannot be written"));
    // Calls continue until the limit of waiting records; then they are refused, with a record.
    let long = stage.caller().with("talk_ms", 600_000).script("caller_calls").port(5072);
    let mut long = long.start(&files);
    wait::until("one call stays up", CALL_LIMIT, || {
        let calls = stage.switch.get("/v1/calls");
        calls.as_array()?.iter().any(|call| call["state"] == "answered").then_some(())
    });
    calls += 1;
    let ended = |code: &str| {
        let label = format!("code=\"{code}\"");
        stage.switch.metric("strowger_calls_ended_total", &[&label]) as u64
    };
    while ended("503") == 0 {
        let mut caller = stage.caller().with("talk_ms", 50).calls();
        wait::until("its end", CALL_LIMIT, || caller.has_ended().then_some(()));
        calls += 1;
        assert!(calls < 60, "{calls} calls and none is refused");
    }
    let reasons = stage.switch.metric("strowger_calls_end_reason_total", &["system_overload"]);
    assert_eq!(reasons, 1.0);

    // Two signals end the call in progress, and wait for the disk.
    terminate(&stage.switch);
    wait::until("the first signal", CALL_LIMIT, || {
        stage.switch.log().contains("stopping: no new calls").then_some(())
    });
    assert_eq!(stage.switch.calls_now(), 1);
    terminate(&stage.switch);
    wait::until("the second signal", CALL_LIMIT, || {
        stage.switch.log().contains("the stop waits for the disk").then_some(())
    });
    assert_eq!(stage.switch.try_get("/health").1["calls"], 0, "it still answers");
    disk.make_room();
    stage.switch.stop();
    vendor.stop();
    long.stop();

    stage.switch.start_again();
    let records = stage.switch.settled_records(calls);
    let of = |reason: &str| records.iter().filter(|r| r["end_reason"] == reason).count();
    assert_eq!((of("system_overload"), of("operator_hangup")), (1, 1));
    assert_eq!(of("caller_hangup"), calls - 2);
    let owed: f64 = records
        .iter()
        .filter_map(|record| record["sell"]["amount"].as_str()?.parse::<f64>().ok())
        .sum();
    let accounts = stage.switch.get("/v1/accounts");
    let payer = accounts.as_array().into_iter().flatten().find(|one| one["name"] == "payer");
    let balance = payer.and_then(|one| one["balance"].as_str()?.parse::<f64>().ok());
    let balance = balance.expect("the payer's balance");
    assert!((1_000_000.0 - owed - balance).abs() < 1e-6, "{owed} of {balance}");
}

#[test]
fn calls_come_back_as_soon_as_the_disk_has_room() {
    let mut setup = Setup::new();
    setup.plugin_lines.push_str("[records]\nwaiting = 10\n");
    let (disk, mut stage) = on_a_small_disk(setup);
    let files = stage.switch.folder().path().to_owned();
    let mut vendor = stage.vendor_a().script("vendor_answers").calls(0, 10).start(&files);
    let health = |stage: &Stage| stage.switch.try_get("/health").1["status"].clone();

    disk.fill();
    let lost = |stage: &Stage| stage.switch.metric("strowger_records_refused_total", &[]);
    for calls in 1.. {
        let mut caller = stage.caller().with("talk_ms", 50).calls();
        wait::until("its end", CALL_LIMIT, || caller.has_ended().then_some(()));
        if lost(&stage) > 0.0 {
            break;
        }
        assert!(calls < 90, "{calls} calls and each has a record");
    }
    assert_eq!(health(&stage), "down");
    disk.make_room();
    wait::until("calls again", Duration::from_secs(10), || {
        (health(&stage) != "down").then_some(())
    });
    let alarms = stage.switch.get("/v1/alarms");
    let names = alarms.as_array().into_iter().flatten().map(|one| one["alarm"].as_str());
    assert!(names.flatten().any(|name| name == "records_lost"), "still told: {alarms}");
    stage.caller().with("talk_ms", 50).calls().succeeds(CALL_LIMIT);
    vendor.stop();
    stage.switch.stop();
}
