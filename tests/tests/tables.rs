//! Number tables in files: what they bar, and how they are replaced during calls.

use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::time::Duration;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::{switch::Setup, wait};

const LIMIT: Duration = Duration::from_secs(10);
const CALLER: &str = "15559990001";

/// A stage whose screening plugin bars the callers in a file.
fn stage(callers: &str) -> Stage {
    let mut setup = Setup::new();
    setup.business = "[[number_list]]\nname = \"barred-callers\"\nkind = \"exact\"\n\
                      file = \"callers.csv\"\n"
        .to_owned();
    let folder = setup.write();
    folder.put("business/callers.csv", callers);
    Stage::on(&setup, folder)
}

fn table(stage: &Stage) -> Value {
    let tables = stage.switch.get("/v1/tables");
    let tables = tables.as_array().expect("a list of tables");
    let barred = tables.iter().find(|table| table["name"] == "barred-callers");
    barred.expect("the table is there").clone()
}

fn waits_for_rows(stage: &Stage, rows: u64) {
    wait::until(&format!("{rows} rows"), LIMIT, || (table(stage)["rows"] == rows).then_some(()));
}

fn is_barred(stage: &Stage) {
    let mut caller = stage.caller().with("caller", CALLER).is_refused_with(403);
    caller.succeeds(CALL_LIMIT);
}

/// SEC-17, promise 4: the file is the table. A running call whose caller gets barred continues with
/// its snapshot.
#[test]
fn a_deny_list_in_a_file_is_replaced_while_calls_run() {
    let stage = stage("number,value\n15559990001,fraud\n");
    is_barred(&stage);
    stage.switch.record().shows("/end_reason", "caller_barred");

    stage.switch.folder().put("business/callers.csv", "number\n15559990002\n15559990003\n");
    waits_for_rows(&stage, 2);
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("caller", CALLER).with("talk_ms", 1500).calls();
    wait::until("the call is up", LIMIT, || (stage.switch.calls_now() == 1).then_some(()));

    // Moved into place, as a careful script would.
    let folder = stage.switch.folder();
    folder.put("business/new", "15559990001\n15559990002\n15559990003\n");
    let business = folder.path().join("business");
    std::fs::rename(business.join("new"), business.join("callers.csv")).unwrap();
    waits_for_rows(&stage, 3);
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    assert_eq!(stage.switch.settled_records(2)[0]["end_reason"], "caller_hangup");
    is_barred(&stage);
}

/// A truncated or invalid file is rejected: the live table stays, and the error names the place.
#[test]
fn a_half_written_file_leaves_the_table_as_it_was() {
    let stage = stage("15559990001\n");
    stage.switch.folder().put("business/callers.csv", "15559990002\n155599");
    let told = wait::until("the refusal is told", LIMIT, || {
        table(&stage)["error"].as_str().filter(|error| !error.is_empty()).map(str::to_owned)
    });
    assert!(told.contains("callers.csv: the last line has no end"), "{told}");
    assert!(stage.switch.log().contains("the last line has no end"), "{}", stage.switch.log());
    assert_eq!(table(&stage)["rows"], 1);
    is_barred(&stage);
    stage.switch.folder().put("business/callers.csv", "15559990002\n1555999 3\n15559990003\n");
    wait::until("the place is told", LIMIT, || {
        let error = table(&stage)["error"].to_string();
        error.contains("callers.csv:2: number = ").then_some(())
    });
    assert_eq!(table(&stage)["rows"], 1);
}

/// SEC-17: a list still being written is not read because another file in its folder was closed,
/// however complete it looks; it is read once its writer closes it.
#[test]
fn a_file_that_is_being_written_waits_for_its_writer() {
    let mut setup = Setup::new();
    setup.business = ["barred-callers", "allowed-callers"]
        .map(|name| {
            format!("[[number_list]]\nname = \"{name}\"\nkind = \"exact\"\nfile = \"{name}.csv\"\n")
        })
        .concat();
    let folder = setup.write();
    folder.put("business/barred-callers.csv", &format!("{CALLER}\n15559990002\n"));
    folder.put("business/allowed-callers.csv", "15559990004\n");
    let stage = Stage::on(&setup, folder);
    let folder = stage.switch.folder();
    let rows = |name: &str| {
        let tables = stage.switch.get("/v1/tables");
        let tables = tables.as_array().expect("a list of tables");
        let named = tables.iter().find(|table| table["name"] == name).expect("the table is there");
        named["rows"].as_u64().expect("a number")
    };

    let mut barred = File::create(folder.path().join("business/barred-callers.csv")).unwrap();
    barred.write_all(b"15559990002\n").unwrap();
    folder.put("business/allowed-callers.csv", "15559990004\n15559990005\n");
    wait::until("the other list", LIMIT, || (rows("allowed-callers") == 2).then_some(()));
    assert_eq!(rows("barred-callers"), 2);
    is_barred(&stage);
    barred.write_all(format!("{CALLER}\n15559990003\n").as_bytes()).unwrap();
    drop(barred);
    waits_for_rows(&stage, 3);
    is_barred(&stage);
}

/// SEC-17: continuous events in a folder do not prevent its lists from being read.
#[test]
fn a_busy_folder_does_not_hold_its_lists_up() {
    let stage = stage("15559990002\n");
    let folder = stage.switch.folder();
    folder.put("business/callers.csv", &format!("15559990002\n{CALLER}\n"));
    wait::until("both rows", LIMIT, || {
        folder.put("business/noise", "to and fro");
        (table(&stage)["rows"] == 2).then_some(())
    });
    is_barred(&stage);
}

/// A do-not-originate list as published by regulators: a million unsorted rows. The plugin is the
/// example of that name; the switch keeps the rows.
#[test]
fn a_list_of_a_million_callers_that_never_call_bars_them_on_the_wire() {
    const ROWS: u64 = 1_000_000;
    // 7,919 is coprime to a million: every row occurs once, far from its neighbours.
    let number = |row: u64| 18_000_000_000 + 37 * (row * 7_919 % ROWS);
    let mut list = String::from("number\n");
    for row in 0..ROWS {
        list.push_str(&number(row).to_string());
        list.push('\n');
    }
    let mut setup = Setup::new();
    setup.plugins.retain(|(name, _)| name != "screening");
    setup.plugins.push(("do-not-originate".to_owned(), None));
    setup.business =
        "[[number_list]]\nname = \"dno\"\nkind = \"exact\"\nfile = \"dno.csv\"\n".to_owned();
    let folder = setup.write();
    folder.put("business/dno.csv", &list);
    let stage = Stage::on(&setup, folder);
    let tables = stage.switch.get("/v1/tables");
    let tables = tables.as_array().expect("a list of tables");
    let dno = tables.iter().find(|table| table["name"] == "dno").expect("the table is there");
    assert_eq!(dno["rows"], ROWS);

    for row in [0, ROWS / 2, ROWS - 1] {
        let caller = stage.caller().with("caller", number(row));
        caller.is_refused_with(403).succeeds(CALL_LIMIT);
    }
    for record in stage.switch.settled_records(3) {
        assert_eq!(record["end_reason"], "caller_barred", "{record}");
    }
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("caller", number(5) + 1).calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
}
