//! Prepaid accounts: calls reserve the money for their talk time, so that nobody can talk for more
//! than the balance, whatever happens (BILL-40, BILL-41, BILL-51).

use serde_json::Value;
use std::process::{Command, Output};
use std::time::Duration;
use strowger_tests::sipp::Sipp;
use strowger_tests::stage::Stage;
use strowger_tests::switch::{Setup, program};
use strowger_tests::wait;

/// Calls of the account `prepaid` have this callee; a second costs one cent.
const CALLEE: &str = "77447700900123";

fn setup() -> Setup {
    let mut setup = Setup::new();
    // Without the relay a call needs no media as evidence (BILL-13).
    setup.relay = false;
    setup.calls = "slice = \"10s\"\ninterim = \"1s\"".to_owned();
    setup.business = business(&setup, "");
    setup
}

fn business(setup: &Setup, lines: &str) -> String {
    format!(
        "[[account]]\nname = \"prepaid\"\ncurrency = \"EUR\"\ndeck = \"sell\"\n{lines}\n\
         [[customer_trunk]]\nname = \"prepaid\"\naccount = \"prepaid\"\naddresses = [\"{}\"]\n\
         tech_prefix = \"77\"\nrelay = false\n",
        setup.net.poor_caller()
    )
}

fn strowger(stage: &Stage, arguments: &[&str]) -> Output {
    let node = stage.switch.folder().path().join("node.toml");
    let output = Command::new(program()).args(arguments).arg("--config").arg(node).output();
    let output = output.expect("the program is built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn pay(stage: &Stage, amount: &str) {
    strowger(stage, &["account", "pay", "prepaid", amount]);
}

/// BILL-48: balances, postings, records and the purses used by calls agree.
fn the_books_are_right(stage: &Stage) {
    let proof = String::from_utf8(strowger(stage, &["ledger", "verify"]).stdout).expect("text");
    assert!(proof.ends_with("the books are right\n"), "{proof}");
}

/// A field of the account in 10^-10 units.
fn money(stage: &Stage, field: &str) -> i128 {
    let accounts = stage.switch.get("/v1/accounts");
    let list = accounts.as_array().expect("accounts");
    let account = list.iter().find(|account| account["name"] == "prepaid").expect("it exists");
    amount(account[field].as_str().expect("money is a text"))
}

fn amount(text: &str) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    sign * format!("{whole}{fraction:0<10}").parse::<i128>().expect("money is a number")
}

/// Concurrent calls that last until the other side hangs up.
fn burst(stage: &Stage, calls: u32, port: u16) -> Sipp {
    let caller = stage.caller_from(stage.net.poor_caller()).with("callee", CALLEE);
    let script = caller.script("caller_waits_for_bye").calls(calls, 1000).port(port);
    script.quiet().start(stage.switch.folder().path())
}

fn vendor(stage: &Stage) -> Sipp {
    let script = stage.vendor_a().with("ring_ms", 20).script("vendor_answers");
    script.calls(0, 100).quiet().start(stage.switch.folder().path())
}

/// All records of the account, once there are `count`.
fn records(stage: &Stage, count: usize) -> Vec<Value> {
    wait::until("the records", Duration::from_secs(60), || {
        let records = stage.switch.get("/v1/records?limit=1000");
        let all = records.as_array()?.iter().filter(|record| record["account"] == "prepaid");
        Some(all.cloned().collect::<Vec<_>>()).filter(|all| all.len() >= count)
    })
}

fn up(stage: &Stage, count: usize) {
    wait::until("the calls are up", Duration::from_secs(20), || {
        let calls = stage.switch.get("/v1/calls");
        let up = calls.as_array()?.iter().filter(|call| call["state"] == "answered").count();
        (up == count).then_some(())
    });
}

/// S-64: two hundred concurrent calls with money for thirty seconds.
#[test]
fn a_burst_on_a_small_balance_ends_with_it() {
    let stage = Stage::with(&setup());
    pay(&stage, "0.30");
    let vendor = vendor(&stage);
    let callers = burst(&stage, 200, 5070);
    up(&stage, 3);
    assert_eq!(
        (money(&stage, "balance"), money(&stage, "reserved")),
        (3_000_000_000, 3_000_000_000)
    );
    let records = records(&stage, 200);
    let of =
        |reason: &str| records.iter().filter(|r| r["end_reason"] == reason).collect::<Vec<_>>();
    let (cut, refused) = (of("balance_exhausted"), of("insufficient_balance"));
    assert_eq!((cut.len(), refused.len()), (3, 197));
    for record in cut {
        assert_eq!(
            (&record["billable_ms"], &record["sell"]["amount"]),
            (&10_000.into(), &"0.1".into())
        );
        let lasted = record["duration_ms"].as_u64().expect("a number");
        assert!((10_000..11_000).contains(&lasted), "{lasted} ms");
        assert_eq!(record["detail"], "10 s were paid for");
    }
    assert_eq!((money(&stage, "balance"), money(&stage, "reserved")), (0, 0));
    the_books_are_right(&stage);
    drop((callers, vendor));
}

/// BILL-41: a payment during the call extends its talk time; BILL-40: no reservation survives its
/// call, even across `kill -9`.
#[test]
fn nothing_stays_reserved_through_a_kill_and_nobody_is_overdrawn() {
    let mut stage = Stage::with(&setup());
    pay(&stage, "0.35");
    let first_vendor = vendor(&stage);
    let callers = burst(&stage, 5, 5070);
    up(&stage, 4);
    assert_eq!(money(&stage, "reserved"), 3_500_000_000, "the fourth has the rest");
    pay(&stage, "0.20");
    wait::until("they talk on for the payment", Duration::from_secs(20), || {
        (money(&stage, "reserved") == 5_500_000_000).then_some(())
    });
    stage.switch.kill_hard();
    drop((callers, first_vendor));
    stage.switch.start_again();
    assert_eq!(money(&stage, "reserved"), 0);
    let lost = records(&stage, 5);
    let billed = |record: &Value| record["billable_ms"].as_u64().expect("a number");
    for record in lost.iter().filter(|record| record["end_reason"] == "node_lost") {
        assert!((1_000..20_000).contains(&billed(record)), "{record:#}");
    }
    let left = money(&stage, "balance");
    assert!((0..5_500_000_000).contains(&left), "{left}");

    let _vendor = vendor(&stage);
    let _callers = burst(&stage, 40, 5072);
    let all = records(&stage, 45);
    assert_eq!(money(&stage, "reserved"), 0);
    let rest = money(&stage, "balance");
    assert!((0..100_000_000).contains(&rest), "less than a second is left: {rest}");
    let charged = all.iter().filter_map(|record| record["sell"]["amount"].as_str()).map(amount);
    assert_eq!(charged.sum::<i128>() + rest, 5_500_000_000);
    the_books_are_right(&stage);
}

/// BILL-51: an account locked with `running_calls = "cut"` loses its calls at once, another keeps
/// them; the channel limit of an account spans its trunks.
#[test]
fn a_locked_account_keeps_or_loses_its_running_calls() {
    let setup = setup();
    let stage = Stage::with(&setup);
    pay(&stage, "100");
    let _vendor = vendor(&stage);
    let _callers = burst(&stage, 20, 5070);
    up(&stage, 20);
    let apply = |lines: &str| {
        let folder = stage.switch.folder();
        let text = folder.read("business/business.toml");
        let (from, to) = (business(&setup, ""), business(&setup, lines));
        folder.put("business/business.toml", &text.replace(&from, &to));
        strowger(&stage, &["apply"]);
        folder.put("business/business.toml", &text);
    };
    apply("locked = true\nchannels = 20");
    let _more = burst(&stage, 1, 5072);
    let refused = records(&stage, 1);
    assert_eq!(refused[0]["end_reason"], "account_locked");
    up(&stage, 20);
    apply("channels = 20");
    let _more = burst(&stage, 1, 5074);
    let refused = records(&stage, 2);
    assert!(refused.iter().any(|record| {
        record["end_reason"] == "concurrency_limit" && record["detail"] == "account prepaid has 20"
    }));
    apply("locked = true\nrunning_calls = \"cut\"");
    let records = records(&stage, 22);
    let cut = records.iter().filter(|record| record["end_reason"] == "blocked_midcall").count();
    assert_eq!(cut, 20);
    assert_eq!(money(&stage, "reserved"), 0);
}
