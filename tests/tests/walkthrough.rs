//! The walkthrough of `docs/plugins.md`, command by command, during calls.

use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use strowger_tests::skip::skipped;
use strowger_tests::switch::{Folder, built_plugin, program};
use strowger_tests::wait;

/// Five calls per second, of which a canary of 5 % gets one every four seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// The line that a new user changes, and its replacement.
const LINE: (&str, &str) = (
    "order = sorted(q.candidates, key=lambda it: (it.buy_price, it.trunk))",
    "order = sorted(q.candidates, key=lambda it: (it.buy_price, -it.weight, it.trunk))",
);

/// A terminal in the folder of `strowger demo --stay`.
struct Terminal {
    folder: Folder,
    demo: Option<Child>,
}

impl Terminal {
    fn command(&self, arguments: &[&str]) -> Command {
        let routing = built_plugin("routing");
        let target = routing.parent().and_then(Path::parent).expect("target/plugins/routing.wasm");
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("STROWGER_TOOLS", target.join("tools"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// The output of a command that must succeed.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}\n{words}{errors}");
        words
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let words = self.says(&[arguments, &["--json"]].concat());
        serde_json::from_str(&words).expect("JSON was asked for")
    }

    /// The demo's own lines: number of calls and failures.
    fn demo_says(&self) -> String {
        self.folder.read("demo.log")
    }

    fn starts_demo(&mut self) {
        let log = File::create(self.folder.path().join("demo.log")).expect("the folder is ours");
        let plugins = built_plugin("routing");
        let plugins = plugins.parent().and_then(Path::to_str).expect("a plain path");
        let demo = self
            .command(&["demo", "--stay", ".", "--plugins", plugins])
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a log has two writers"))
            .stdout(log)
            .spawn();
        self.demo = Some(demo.expect("the program starts"));
        wait::until("the first calls", PATIENCE, || {
            self.demo_says().contains(" calls, 0 failed").then_some(())
        });
    }

    /// The first vendor tried by calls of a generation, once `calls` of them have ended.
    fn first_choices(&self, generation: u64, calls: usize) -> Vec<String> {
        let of = |record: &Value| {
            let first = record["attempts"][0]["vendor"].as_str().map(str::to_owned);
            first.filter(|_| record["generation"] == generation)
        };
        wait::until("calls that have ended", PATIENCE, || {
            let records = self.json(&["cdr", "--limit", "1000"]);
            let records = records.as_array().expect("a list");
            let vendors: Vec<String> = records.iter().filter_map(of).collect();
            (vendors.len() >= calls).then_some(vendors)
        })
    }

    /// The routing plugin in `plugin list`, and the generation of new calls.
    fn routing(&self) -> (Value, u64) {
        let list = self.json(&["plugin", "list"]);
        let lines = list["plugins"].as_array().expect("plugins");
        let routing = lines.iter().find(|line| line["name"] == "routing").expect("it is loaded");
        (routing.clone(), list["generation"].as_u64().expect("a number"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(mut demo) = self.demo.take() {
            let _ = demo.kill();
            let _ = demo.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the demo says\n{}\n---", self.demo_says());
        }
    }
}

#[test]
fn a_new_user_takes_a_router_from_an_idea_to_live_calls_and_back() {
    let mut terminal = Terminal { folder: Folder::new(), demo: None };
    let build = "my-router/build/my-router.wasm";
    // Calls run from here on.
    terminal.starts_demo();

    // A project with one line changed, tested in the real host.
    let made = terminal.says(&["plugin", "new", "my-router", "--lang", "python"]);
    assert!(made.contains("the line to change is in my-router/src/app.py"), "{made}");
    let source = terminal.folder.path().join("my-router/src/app.py");
    let text = fs::read_to_string(&source).expect("it was made");
    assert_eq!(text.matches(LINE.0).count(), 1, "{text}");
    fs::write(&source, text.replace(LINE.0, LINE.1)).expect("the folder is ours");
    let tested = terminal.run(&["plugin", "test", "--path", "my-router"]);
    let errors = String::from_utf8_lossy(&tested.stderr);
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    if errors.contains("is not on this machine") && !in_ci {
        return skipped(&errors);
    }
    let words = String::from_utf8_lossy(&tested.stdout);
    assert!(words.contains("3 passed, 0 failed"), "{words}{errors}");
    let checked = terminal.says(&["plugin", "check", "--path", "my-router"]);
    assert!(checked.contains("routing"), "{checked}");

    let replayed = terminal.says(&["plugin", "replay", build, "--name", "routing", "--limit", "1"]);
    for shown in ["routing 0.1.0", "first route", "after   vendor-b, vendor-a", "acme-pbx"] {
        assert!(replayed.contains(shown), "{shown} in {replayed}");
    }

    let shadow = terminal.says(&["plugin", "shadow", "routing", build]);
    assert!(shadow.contains("is asked and compared"), "{shadow}");
    wait::until("the shadow differs", PATIENCE, || {
        let differences = terminal.says(&["plugin", "shadow", "routing"]);
        (!differences.contains("\n0 differences kept")).then_some(())
    });
    let (routing, generation) = terminal.routing();
    assert_eq!(routing["shadow"]["faults"], 0, "{routing}");
    let vendors = terminal.first_choices(generation, 5);
    assert!(vendors.iter().all(|vendor| vendor == "vendor-a"), "not obeyed: {vendors:?}");

    let canary = terminal.says(&["plugin", "canary", "routing", build, "--share", "5%"]);
    assert!(canary.contains("decides its share"), "{canary}");
    let (_, generation) = terminal.routing();
    wait::until("a call of the canary", PATIENCE, || {
        let vendors = terminal.first_choices(generation, 1);
        vendors.iter().any(|vendor| vendor == "vendor-b").then_some(())
    });
    let (routing, _) = terminal.routing();
    assert_eq!(routing["canary"]["selection"], "5 % of calls");
    assert_eq!(routing["canary"]["faults"], 0, "{routing}");

    let swapped = terminal.says(&["plugin", "swap", "routing", build]);
    assert!(swapped.contains("routing 0.1.0"), "{swapped}");
    let (_, generation) = terminal.routing();
    let vendors = terminal.first_choices(generation, 10);
    assert!(vendors.iter().all(|vendor| vendor == "vendor-b"), "swapped: {vendors:?}");
    let (routing, _) = terminal.routing();
    assert_eq!(routing["faults"], 0, "no answer of any build was missed: {routing}");

    let back = terminal.says(&["plugin", "rollback", "routing"]);
    assert!(back.contains("is live again"), "{back}");
    let (_, generation) = terminal.routing();
    let vendors = terminal.first_choices(generation, 10);
    assert!(vendors.iter().all(|vendor| vendor == "vendor-a"), "rolled back: {vendors:?}");

    // Calls in progress at any of these times have ended well, too.
    let counted = terminal.demo_says();
    wait::until("the calls of all steps are counted", PATIENCE, || {
        (terminal.demo_says().len() > counted.len()).then_some(())
    });
    for line in terminal.demo_says().lines().filter(|line| line.ends_with(" failed")) {
        assert!(line.ends_with(" calls, 0 failed"), "{line}");
    }
    let records = terminal.json(&["cdr", "--limit", "10000"]);
    for record in records.as_array().expect("a list") {
        assert_eq!(record["end_reason"], "caller_hangup", "{record}");
    }
}
