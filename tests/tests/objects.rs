//! Objects created and changed one by one at runtime: in force for the next call, with revisions
//! and history, preserved across restarts, and left alone by the folder.

use serde_json::Value;
use std::process::{Command, Output};
use std::time::Duration;
use strowger_tests::stage::Stage;
use strowger_tests::switch::{Setup, program};
use strowger_tests::wait;

fn run(stage: &Stage, arguments: &[&str]) -> Output {
    let node = stage.switch.folder().path().join("node.toml");
    let output = Command::new(program()).args(arguments).arg("--config").arg(node).output();
    output.expect("the program is built")
}

/// The output of a command that must succeed.
fn done(stage: &Stage, arguments: &[&str]) -> String {
    let output = run(stage, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

/// The error of a command that must fail.
fn refused(stage: &Stage, arguments: &[&str]) -> String {
    let output = run(stage, arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("text")
}

/// The newest record of `shop`, once there are `count`.
fn record(stage: &Stage, count: usize) -> Value {
    wait::until("the record", Duration::from_secs(30), || {
        let records = stage.switch.get("/v1/records?limit=100");
        let all = records.as_array()?;
        let own: Vec<&Value> = all.iter().filter(|record| record["account"] == "shop").collect();
        (own.len() == count).then(|| own[0].clone())
    })
}

fn call(stage: &Stage, count: usize) -> Value {
    let caller = stage.caller_from(stage.net.poor_caller()).with("callee", "88447700900123");
    let sipp = caller.calls();
    let record = record(stage, count);
    drop(sipp);
    record
}

#[test]
fn objects_made_one_by_one_carry_calls_and_stay() {
    let setup = Setup { relay: false, ..Setup::new() };
    let mut stage = Stage::with(&setup);
    let script = stage.vendor_a().with("ring_ms", 20).script("vendor_answers");
    let vendor = script.calls(0, 100).quiet().start(stage.switch.folder().path());

    let made =
        done(&stage, &["account", "set", "shop", "currency=EUR", "deck=sell", "opening_balance=5"]);
    assert!(made.starts_with("account shop added: revision 1"), "{made}");
    let address = format!("addresses=[\"{}\"]", stage.net.poor_caller());
    let trunk =
        ["customer", "set", "shop", "account=shop", &address, "tech_prefix=\"88\"", "relay=false"];
    done(&stage, &trunk);
    let first = call(&stage, 1);
    assert_eq!((&first["customer"], &first["sell"]["price"]), (&"shop".into(), &"0.6".into()));

    // A price, in force for the next call.
    let price = done(&stage, &["deck", "set-price", "sell", "4477009", "price=1.2"]);
    assert!(price.contains("prefix 4477009: (none) -> "), "{price}");
    assert_eq!(call(&stage, 2)["sell"]["price"], "1.2");
    // Columns that a change does not name stay.
    done(&stage, &["deck", "set-price", "sell", "4477009", "destination=Mobile"]);
    let price = done(&stage, &["deck", "set-price", "sell", "4477009", "price=1.3"]);
    assert!(price.contains("price 1.2 -> 1.3") && !price.contains("destination"), "{price}");
    done(&stage, &["deck", "remove-price", "sell", "4477009"]);
    assert_eq!(call(&stage, 3)["sell"]["price"], "0.6");

    // Errors name the field, and change nothing.
    let business = stage.switch.folder().path().join("business");
    let no_file = format!("file={}", business.display());
    for (arguments, told) in [
        (
            &["account", "set", "shop", "credit_limit=much"][..],
            "credit_limit: `much` is not an amount",
        ),
        (&["account", "set", "shop", "deck=none"], "deck = \"none\": no such deck"),
        (&["account", "set", "shop", "colour=red"], "unknown field `colour`"),
        (&["account", "set", "shop", "kind=vendor"], "account shop keeps its kind"),
        (&["account", "set", "shop", "opening_balance=7"], "it was booked when"),
        (&["account", "set", "shop", "name=store"], "an object keeps its name"),
        (&["account", "set", "shop", "parent=shop"], "account.parent"),
        (
            &["numbers", "set", "endless", "kind=prefix", "file=/dev/zero"],
            "expected the absolute path",
        ),
        (&["numbers", "set", "endless", "kind=prefix", &no_file], "not a regular file"),
        (&["numbers", "set", "..", "kind=prefix"], "expected 1 to 64 characters"),
        (&["customer", "set", "shop", "media_address=b"], "media_address"),
        (
            &["customer", "set", "shop", "channels=3", "--revision", "7"],
            "revision 7 was seen, it has 1",
        ),
        (&["account", "remove", "shop"], "customer_trunk shop has it as `account`"),
        (&["vendor", "show", "nobody"], "there is no `nobody`"),
        (&["deck", "set-price", "sell", "44x", "price=1"], "expected 0 to 20 digits"),
        (&["rules", "set", "broken", "text=0*1 -> 5 -> 6"], "rule_set broken"),
    ] {
        let error = refused(&stage, arguments);
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
    let shown = done(&stage, &["customer", "show", "shop"]);
    assert!(shown.contains("revision 1, owned by the API"), "{shown}");

    // A password is never shown; its hashes stay when other fields change.
    let user = ["authentication=both", "user=shop", "password=correct-horse-9"];
    done(&stage, &[&["customer", "set", "shop"][..], &user].concat());
    let shown = done(&stage, &["customer", "show", "shop"]);
    assert!(shown.contains("(secret)") && !shown.contains("correct"), "{shown}");
    let renamed = refused(&stage, &["customer", "set", "shop", "user=other"]);
    assert!(renamed.contains("give the password"), "{renamed}");
    done(&stage, &["customer", "set", "shop", "authentication=address", "channels=5"]);

    // Everything survives a restart and an apply of the folder.
    stage.switch.stop();
    stage.switch.start_again();
    let applied = done(&stage, &["apply"]);
    assert!(applied.contains("deck sell: it was changed by itself"), "{applied}");
    assert_eq!(call(&stage, 4)["customer"], "shop");
    let history = done(&stage, &["customer", "history", "shop"]);
    let steps: Vec<&str> = history.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(steps.len(), 3, "{history}");
    assert!(history.contains("channels: 0 -> 5"), "{history}");
    assert!(!history.contains("correct-horse"), "{history}");

    // An account can be removed once its balance is zero (BILL-61).
    done(&stage, &["customer", "remove", "shop"]);
    let owed = refused(&stage, &["account", "remove", "shop"]);
    let payment = owed.split("book a payment of ").nth(1).and_then(|rest| rest.split(' ').next());
    done(&stage, &["account", "pay", "shop", payment.expect("how much it is")]);
    done(&stage, &["account", "remove", "shop"]);
    done(&stage, &["apply", "--overwrite"]);
    assert!(refused(&stage, &["account", "show", "shop"]).contains("there is no `shop`"));
    let proof = done(&stage, &["ledger", "verify"]);
    assert!(proof.ends_with("the books are right\n"), "{proof}");
    drop(vendor);
}

/// The end reason of the next call.
fn ends_with(stage: &Stage, count: usize) -> String {
    let caller = stage.caller().with("callee", "447700900123").with("caller", "4915550001");
    let sipp = caller.calls();
    let record = wait::until("the record", Duration::from_secs(30), || {
        let records = stage.switch.get("/v1/records?limit=100");
        let all = records.as_array()?;
        (all.len() == count).then(|| all[0].clone())
    });
    drop(sipp);
    record["end_reason"].as_str().unwrap_or_default().to_owned()
}

/// A number list kept in the database, and the settings of the plugin that uses it.
#[test]
fn numbers_and_settings_of_plugins_are_changed_while_calls_run() {
    let setup = Setup { relay: false, ..Setup::new() };
    let mut stage = Stage::with(&setup);
    let script = stage.vendor_a().with("ring_ms", 20).script("vendor_answers");
    let vendor = script.calls(0, 100).quiet().start(stage.switch.folder().path());
    assert_eq!(ends_with(&stage, 1), "caller_hangup");

    // Checked by the plugin, by its schema, and for lists that do not exist.
    let settings = |value: &str| -> Vec<String> {
        ["plugin", "settings", "set", "screening", value].map(str::to_owned).to_vec()
    };
    let deny = settings("config.levels=[{\"caller_deny\": \"pests\"}]");
    let arguments = |words: &[String]| -> Vec<String> { words.to_vec() };
    let refused_settings =
        |value: Vec<String>| refused(&stage, &value.iter().map(String::as_str).collect::<Vec<_>>());
    for (value, told) in [
        (arguments(&deny), "config.levels[0].caller_deny: no number list `pests`"),
        (settings("config.velocity.window_s=5"), "window_s"),
        (settings("config.colour=red"), "colour"),
        (settings("hooks=none"), "the settings of a plugin are in `config`"),
    ] {
        let error = refused_settings(value);
        assert!(error.contains(told), "{told}: {error}");
    }
    let unknown = refused(&stage, &["plugin", "settings", "set", "billing", "config.a=1"]);
    assert!(unknown.contains("no plugin `billing`; there are: "), "{unknown}");
    let shown = done(&stage, &["plugin", "settings", "show", "screening"]);
    assert!(shown.contains("revision 1, owned by the node file"), "{shown}");

    // A file of the node that is none of the operator's lists is neither read nor quoted.
    let foreign = refused(&stage, &["numbers", "set", "pests", "kind=exact", "file=/etc/passwd"]);
    assert!(foreign.contains("expected the absolute path of a file in "), "{foreign}");
    assert!(!foreign.contains("root"), "{foreign}");
    done(&stage, &["numbers", "set", "pests", "kind=exact"]);
    let deny: Vec<&str> = deny.iter().map(String::as_str).collect();
    let set = done(&stage, &deny);
    assert!(set.starts_with("plugin_settings screening changed: revision 2"), "{set}");
    assert_eq!(ends_with(&stage, 2), "caller_hangup", "the list is empty");
    let added = done(&stage, &["numbers", "add", "pests", "4915550001", "robocalls"]);
    assert!(added.contains("+ 4915550001 = robocalls"), "{added}");
    assert_eq!(ends_with(&stage, 3), "caller_barred");
    let rows = done(&stage, &["numbers", "rows", "pests"]);
    assert!(rows.contains("4915550001  robocalls"), "{rows}");
    let wrong = refused(&stage, &["numbers", "add", "pests", "no number"]);
    assert!(wrong.contains("put[0].number: expected 0 to 64 characters"), "{wrong}");
    let needed = refused(&stage, &["numbers", "remove", "pests"]);
    assert!(needed.contains("the settings of plugin `screening` name it"), "{needed}");

    // Both survive a restart.
    stage.switch.stop();
    stage.switch.start_again();
    assert_eq!(ends_with(&stage, 4), "caller_barred");
    let log = stage.switch.log();
    assert!(log.contains("its settings were changed by themselves"), "{log}");

    // A rollback restores the settings, in the database too.
    done(&stage, &["numbers", "drop", "pests", "4915550001"]);
    assert_eq!(ends_with(&stage, 5), "caller_hangup");
    done(&stage, &["numbers", "add", "pests", "4915550001"]);
    done(&stage, &["plugin", "settings", "set", "screening", "config.levels=[{}]"]);
    assert_eq!(ends_with(&stage, 6), "caller_hangup");
    done(&stage, &["plugin", "rollback", "screening"]);
    assert_eq!(ends_with(&stage, 7), "caller_barred");
    let history = done(&stage, &["plugin", "settings", "history", "screening"]);
    assert!(history.lines().next().is_some_and(|line| line.ends_with("changed by rollback")));

    let removed = done(&stage, &["plugin", "settings", "remove", "screening"]);
    assert!(removed.contains("revision 5"), "{removed}");
    assert_eq!(ends_with(&stage, 8), "caller_hangup");
    done(&stage, &["numbers", "remove", "pests"]);
    drop(vendor);
}

/// Rows of a deck can be read as stored.
#[test]
fn prices_are_read_in_pages() {
    let stage = Stage::with(&Setup { relay: false, ..Setup::new() });
    let prices = done(&stage, &["deck", "prices", "sell"]);
    let lines: Vec<&str> = prices.lines().collect();
    assert_eq!(lines.len(), 4, "{prices}");
    assert!(lines[0].starts_with("PREFIX  DESTINATION"), "{prices}");
    assert!(lines[2].starts_with("4420    London"), "{prices}");
    let narrow = done(&stage, &["deck", "prices", "sell", "--prefix", "442", "--json"]);
    let rows: Value = serde_json::from_str(&narrow).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{narrow}");
    assert_eq!(rows[0]["connect_fee"], "0.05");
    // Rows can be written back as read.
    let page = stage.switch.get("/v1/decks/sell/rows?limit=2");
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
    let rest = format!("/v1/decks/sell/rows?after={}", page["after"].as_str().unwrap_or_default());
    assert_eq!(stage.switch.get(&rest)["items"][0]["prefix"], "33");
}
