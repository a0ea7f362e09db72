//! A configuration takes effect; an invalid one prevents the start, with its place and what is
//! allowed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use strowger_tests::pm_qos::latency_limit;
use strowger_tests::skip::skipped;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::{Folder, Setup, Switch, program, refusal};
use strowger_tests::wait;

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in:\n{text}");
    }
}

/// Line number, from 1, of the first line that contains `word`.
fn line_of(text: &str, word: &str) -> usize {
    1 + text.lines().position(|line| line.contains(word)).expect("the line is there")
}

#[test]
fn a_wrong_value_in_the_node_file_is_named_with_file_line_and_field() {
    let mut setup = Setup::new();
    setup.node = "shards = 65".to_owned();
    let folder = setup.write();
    let line = line_of(&folder.read("node.toml"), "shards");
    let told = refusal(&folder);
    says(&told, &[&format!("node.toml:{line}"), "shards", "1 to 64"]);
}

#[test]
fn a_misspelt_setting_in_the_node_file_is_named_with_its_line() {
    let mut setup = Setup::new();
    setup.calls = "max_durration = \"1h\"".to_owned();
    let folder = setup.write();
    let line = line_of(&folder.read("node.toml"), "max_durration");
    let told = refusal(&folder);
    says(&told, &[&format!("node.toml:{line}"), "max_durration", "max_duration"]);
}

#[test]
fn a_wrong_value_in_a_business_file_is_named_with_file_line_and_field() {
    let mut setup = Setup::new();
    setup.vendor_b = "resend = \"1,1,1,1\"".to_owned();
    let folder = setup.write();
    let line = line_of(&folder.read("business/business.toml"), "resend");
    let told = refusal(&folder);
    says(&told, &[&format!("business.toml:{line}"), "vendor_trunk.resend", "1,1,1,1"]);
}

#[test]
fn a_wrong_cell_in_a_rate_deck_is_named_with_file_line_and_column() {
    let folder = Setup::new().write();
    folder.put("business/sell.csv", "prefix,price\n44,0.6\n4420,cheap\n");
    let told = refusal(&folder);
    says(&told, &["sell.csv:3", "price", "cheap"]);
}

#[test]
fn an_account_that_does_not_exist_is_named() {
    let mut setup = Setup::new();
    setup.business = "[[customer_trunk]]\nname = \"lost\"\naccount = \"nobody\"\n\
                      addresses = [\"127.0.0.77\"]\n"
        .to_owned();
    let told = refusal(&setup.write());
    says(&told, &["business.toml:", "customer_trunk.account", "nobody"]);
}

#[test]
fn a_trunk_that_names_what_the_node_does_not_have_is_named_with_its_line() {
    let mut setup = Setup::new();
    setup.customer = "media_address = \"elsewhere\"".to_owned();
    setup.vendor_a = "listener = \"outside\"".to_owned();
    setup.vendor_b = format!("targets = [\"{}\"]", setup.net.switch());
    let folder = setup.write();
    let business = folder.read("business/business.toml");
    let told = refusal(&folder);
    let place = |word| format!("business.toml:{}", line_of(&business, word));
    says(&told, &[&place("elsewhere"), "customer_trunk.media_address", "there are main"]);
    says(&told, &[&place("\"outside\""), "vendor_trunk.listener", "there are main"]);
    let own = setup.net.switch().to_string();
    says(&told, &[&place(&format!("[\"{own}\"]")), "vendor_trunk.targets", "own listener `main`"]);
    assert!(!folder.path().join("data/strowger.db").exists(), "nothing is stored");
}

/// A chain is checked before anything is stored, by `check-config` as by `run`.
#[test]
fn a_chain_that_cannot_be_asked_is_named_with_its_line() {
    for (hook, plugin, words) in [
        ("routing", "nope", "no plugin `nope` is in plugins.list; there are: routing"),
        (
            "routing",
            "rating",
            "plugin `rating` does not answer the hook `routing`; it answers: rating",
        ),
    ] {
        let mut setup = Setup::new();
        setup.plugin_lines =
            format!("[[plugins.chain]]\nhook = \"{hook}\"\nplugins = [\"{plugin}\"]\n");
        let folder = setup.write();
        let line = line_of(&folder.read("node.toml"), &format!("plugins = [\"{plugin}\"]"));
        let place = format!("node.toml:{line}: plugins.chain[0].plugins[0]");
        let checked = check(&folder);
        says(&checked, &[&place, words]);
        says(&refusal(&folder), &[&place, words]);
        assert!(!folder.path().join("data/strowger.db").exists(), "nothing is stored");
    }
}

/// The error of `strowger check-config` for a configuration that it must refuse.
fn check(folder: &Folder) -> String {
    let mut command = Command::new(program());
    let done = command.arg("check-config").arg(folder.path().join("node.toml")).output();
    let done = done.expect("the program is built");
    assert!(!done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn a_plugin_that_is_not_loaded_is_named_with_the_line_of_its_setting() {
    let everything = "grants = [\"log\", \"config\", \"call\", \"tables\", \"counters\", \
                      \"clock\", \"random\"]";
    for (setting, line, words) in [
        ("grants = []", "grants = []", ["plugins.list[4].grants", "to its `grants` to allow it"]),
        (
            "hooks = [\"rating\"]",
            "hooks = [",
            ["plugins.list[4].hooks", "configured for the hook `rating`"],
        ),
        (
            "config = { no_such_setting = 1 }",
            "config = {",
            ["plugins.list[4].config", "no_such_setting"],
        ),
        ("file = \"absent.wasm\"", "file = ", ["plugins.list[4].file", "cannot read"]),
    ] {
        let folder = Setup::new().write();
        let node = folder.read("node.toml");
        let (before, last) = node.rsplit_once("name = \"screening\"\n").expect("it is listed");
        let last = if setting.starts_with("grants") {
            last.replace(everything, setting)
        } else {
            format!("{setting}\n{last}")
        };
        let node = format!("{before}name = \"screening\"\n{last}");
        folder.put("node.toml", &node);
        let told = refusal(&folder);
        says(&told, &[&format!("node.toml:{}", line_of(&node, line))]);
        says(&told, &words);
    }
}

#[test]
fn a_rate_deck_that_is_not_utf_8_is_named_with_line_and_column() {
    let folder = Setup::new().write();
    let sheet: &[u8] = b"prefix,destination,price\n44,UK,0.6\n49,M\xfcnchen,0.3\n";
    std::fs::write(folder.path().join("business/sell.csv"), sheet).expect("it is writable");
    says(&refusal(&folder), &["sell.csv:3: destination", "UTF-8"]);
}

/// An invalid reload changes nothing, and calls continue.
#[test]
fn a_broken_reload_is_refused_and_the_old_configuration_stays() {
    let stage = Stage::new();
    stage.switch.folder().put("business/sell.csv", "prefix,price\n44,minus one\n");
    let (status, answer) = stage.switch.post("/v1/reload", &serde_json::json!({}));
    assert!((400..500).contains(&status), "{status} {answer}");
    says(&answer.to_string(), &["sell.csv:2", "price"]);

    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/end_reason", "caller_hangup");
}

/// Promise 4: a reload makes a new snapshot for new calls.
#[test]
fn a_reload_changes_prices_for_new_calls() {
    let stage = Stage::new();
    stage.switch.folder().put("business/sell.csv", "prefix,destination,price\n44,Kingdom,6\n");
    let (status, answer) = stage.switch.post("/v1/reload", &serde_json::json!({}));
    assert_eq!(status, 200, "{answer}");
    assert!(answer["changes"].as_array().is_some_and(|changes| !changes.is_empty()), "{answer}");

    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().calls();
    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/sell/destination", "Kingdom");
}

fn holds_open(pid: u32, path: &str) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the switch runs");
    files
        .flatten()
        .any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to == Path::new(path)))
}

/// MEDIA-09: calls are not refused because of a limit that the program may raise.
#[test]
fn the_limit_of_open_files_is_raised_as_far_as_the_system_allows() {
    let mut setup = Setup::new();
    let switch = Switch::start_under(setup.net, setup.write(), &["prlimit", "--nofile=256:900"]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", switch.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: Vec<&str> = files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(files, ["900", "900"]);
    // 5,000 pairs of the configured range, two sockets each.
    let words = "the limit of open files is 900, too low for all media ports: they need 11024";
    // The log is written by a separate thread.
    wait::until("the log", Duration::from_secs(10), || switch.log().contains(words).then_some(()));
    says(&switch.log(), &["LimitNOFILE"]);
    drop(switch);
    setup.media_ports = "20000-20099".to_owned();
    let switch = Switch::start_under(setup.net, setup.write(), &["prlimit", "--nofile=256:2000"]);
    assert!(!switch.log().contains("LimitNOFILE"), "{}", switch.log());
}

#[test]
fn processors_wake_within_the_limit_for_as_long_as_the_switch_runs() {
    let before = latency_limit();
    let mut setup = Setup::new();
    setup.node.push_str("\nprocessor_latency = \"7us\"");
    let mut switch = setup.start();
    let Some(before) = before else {
        // Nothing can be set here: it takes calls anyway, and reports what is missing.
        says(&switch.log(), &["/dev/cpu_dma_latency", "processor_latency has no effect"]);
        return skipped("/dev/cpu_dma_latency is missing or not ours to write to");
    };
    // The lowest limit of all programs counts: where another one is lower, only the open device
    // shows the switch's.
    assert_eq!(latency_limit(), Some(before.min(7)));
    assert!(holds_open(switch.pid(), "/dev/cpu_dma_latency"));
    switch.stop();
    assert_eq!(latency_limit(), Some(before));
}

/// An error in a rule set is reported where it was written, in either form (NUM-14 to NUM-16), and
/// the running switch keeps its configuration.
#[test]
fn a_broken_rule_set_is_refused_with_its_place_before_a_call_meets_it() {
    let sets = "[[rule_set]]\nname = \"good\"\nrules = [\"00 -> \", \"120* -> 4000-5000\"]\n\
                [[rule_set]]\nname = \"in-a-list\"\nrules = [\n  \"1 -> 2\",\n  \"120* -> 5000-4000\",\n\
                \"0* -> 1*2*\",\n]\n\
                [[rule_set]]\nname = \"in-a-text\"\ntext = '''\n# a note\n01 -> $$$\n0*1 -> 5\n'''\n\
                [[rule_set]]\nname = \"in-a-line\"\ntext = \"1 -> 2\\n44 = 45\"\n\
                [[rule_set]]\nname = \"widths\"\nrules = [\"7 -> 100-99999\"]\n";
    let setup = Setup::new();
    let folder = setup.write();
    let good = folder.read("business/business.toml");
    let bad = format!("{good}{sets}");
    let named = |told: &str| {
        for (rule, what) in [
            ("120* -> 5000-4000", "5000-4000"),
            ("0* -> 1*2*", "at most one `*`"),
            ("01 -> $$$", "beyond the 2 characters"),
            ("0*1 -> 5", "`*` must be the last"),
            ("44 = 45", "is no rule; write `source -> target`"),
            ("7 -> 100-99999", "same width"),
        ] {
            let place = format!("business.toml:{}: rule_set", line_of(&bad, rule));
            says(told, &[&place, what, "plugin `numbering` refuses it"]);
        }
        assert!(!told.contains("4000-5000"), "a good rule is refused:\n{told}");
    };
    folder.put("business/business.toml", &bad);
    named(&check(&folder));
    named(&refusal(&folder));
    assert!(!folder.path().join("data/strowger.db").exists(), "nothing is stored");

    folder.put("business/business.toml", &good);
    let switch = Switch::start(setup.net, folder);
    switch.folder().put("business/business.toml", &bad);
    let (status, answer) = switch.post("/v1/reload", &serde_json::json!({}));
    assert!((400..500).contains(&status), "{status} {answer}");
    named(answer.to_string().replace("\\\"", "\"").as_str());
}

/// A missing plugin for a required hook is reported by name.
#[test]
fn a_hook_that_nobody_answers_is_named_with_what_calls_would_get() {
    for hook in ["rating", "numbering", "identity"] {
        let mut setup = Setup::new();
        setup.plugins.retain(|(name, _)| name != hook);
        let folder = setup.write();
        let told = if hook == "rating" { refusal(&folder) } else { check(&folder) };
        says(&told, &["node.toml:", "plugins.list", &format!("no plugin answers {hook}")]);
    }
    let mut setup = Setup::new();
    setup.plugins.clear();
    let told = check(&setup.write());
    for hook in ["rating", "numbering", "identity"] {
        says(&told, &[&format!("no plugin answers {hook}")]);
    }
    let mut setup = Setup::new();
    setup.plugin_lines = "[[plugins.chain]]\nhook = \"rating\"\nplugins = []\n".to_owned();
    says(&check(&setup.write()), &["plugins.chain[0].plugins", "nobody is asked at rating"]);

    // These two are optional; the behaviour without them is reported.
    let mut setup = Setup::new();
    setup.plugins.retain(|(name, _)| name != "screening" && name != "routing");
    let said = checked(&setup.write());
    says(&said, &["note: no plugin answers screening", "note: no plugin answers routing"]);
}

/// A misspelt list would bar nobody (SEC-17), a misspelt trunk of a chain would match nobody.
#[test]
fn a_list_or_trunk_that_the_node_file_misspells_is_named_with_its_line() {
    let settings = |lists: &str| {
        let mut setup = Setup::new();
        setup.business = "[[number_list]]\nname = \"barred\"\nfile = \"barred.csv\"\n".to_owned();
        let folder = setup.write();
        let node = folder.read("node.toml");
        let (before, after) = node.rsplit_once("name = \"screening\"\n").expect("it is listed");
        let node = format!(
            "{before}name = \"screening\"\nconfig = {{ levels = [{{ callee_deny = \"{lists}\" }}] }}\n{after}"
        );
        folder.put("node.toml", &node);
        (folder, line_of(&node, "config = "))
    };
    let (folder, line) = settings("bared");
    let words = ["plugins.list[4].config.levels[0].callee_deny", "no number list `bared`"];
    for told in [check(&folder), refusal(&folder)] {
        says(&told, &[&format!("node.toml:{line}")]);
        says(&told, &words);
    }
    says(&check(&settings("bared-{account}").0), &["no number list `bared-{account}`"]);
    checked(&settings("barred").0);
    checked(&settings("b{trunk}d").0);

    for (scope, name) in [("customer_trunk", "ofice"), ("account", "payr")] {
        let mut setup = Setup::new();
        setup.plugin_lines = format!(
            "[[plugins.chain]]\nhook = \"screening\"\nplugins = [\"screening\"]\n{scope} = \"{name}\"\n"
        );
        let told = check(&setup.write());
        says(&told, &[&format!("plugins.chain[0].{scope}"), &format!("`{name}`"), "there are:"]);
    }
}

/// A list named by plugins cannot be removed.
#[test]
fn an_apply_that_takes_a_list_away_from_a_plugin_is_refused() {
    let mut setup = Setup::new();
    setup.business = "[[number_list]]\nname = \"barred\"\nfile = \"barred.csv\"\n".to_owned();
    let folder = setup.write();
    let node = folder.read("node.toml").replace(
        "name = \"screening\"\n",
        "name = \"screening\"\nconfig = { levels = [{ callee_deny = \"barred\" }] }\n",
    );
    folder.put("node.toml", &node);
    let switch = Switch::start(setup.net, folder);
    let business = switch.folder().read("business/business.toml");
    let without = business.split("[[number_list]]").next().expect("there is a text");
    switch.folder().put("business/business.toml", without);
    let (status, answer) = switch.post("/v1/reload", &serde_json::json!({}));
    assert!((400..500).contains(&status), "{status} {answer}");
    says(&answer.to_string(), &["callee_deny", "no number list `barred`"]);
}

/// The output of `strowger check-config` for a valid configuration.
fn checked(folder: &Folder) -> String {
    let mut command = Command::new(program());
    let done = command.arg("check-config").arg(folder.path().join("node.toml")).output();
    let done = done.expect("the program is built");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
