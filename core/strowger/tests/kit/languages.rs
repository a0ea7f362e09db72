//! One policy in four languages: byte-identical answers, refusals and errors.

use crate::support::{folder, root, succeeds, text};
use host::{Grant, Host, HostSettings, PluginSettings};
use policy::{Answer, CallFacts, Context, Lookup, NumberQuestion, PrefixHit, Question, Stage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The project folder per language.
const PROJECTS: [(&str, &str); 4] = [
    ("rust", "plugins/numbering"),
    ("c", "examples/plugins/numbering-c"),
    ("javascript", "examples/plugins/numbering-javascript"),
    ("python", "examples/plugins/numbering-python"),
];

/// 272 questions about number rewriting (NUM-11 to NUM-17, NUM-19), including random draws and
/// refused rules: `plugin test` compares every answer of the component in the real host with one
/// file, the same for all languages.
#[test]
fn one_policy_in_four_languages_gives_the_same_answers() {
    let folder = folder("languages");
    let mut told = Vec::new();
    let mut complaints = Vec::new();
    for (lang, project) in PROJECTS {
        let component = folder.join(format!("{lang}.wasm"));
        let project = root().join(project);
        let out = ["--vectors-only", "--out", text(&component)];
        let Some(words) = succeeds(&[&["test", "--path", text(&project)][..], &out].concat())
        else {
            continue;
        };
        let answers: Vec<String> =
            words.lines().filter(|line| line.starts_with("ok ")).map(str::to_owned).collect();
        assert_eq!(answers.len(), 272, "{lang}: {words}");
        told.push((lang, answers));
        complaints.push((lang, complaint(&component)));
        answers_for_long(lang, &component);
    }
    for pair in told.windows(2) {
        assert_eq!(pair[0].1, pair[1].1, "{} and {}", pair[0].0, pair[1].0);
    }
    for (lang, complaint) in complaints {
        // By its schema if it ships one, otherwise in its own words; both name the field.
        assert!(complaint.contains("speed"), "{lang}: {complaint}");
    }
}

/// Compiled code is cached beside the component, so that it is compiled once here.
fn settings(plugin: PluginSettings, component: &Path) -> HostSettings {
    let cache_dir = component.parent().map(|folder| folder.join("cache"));
    HostSettings {
        plugins: vec![plugin],
        cache_dir,
        shards: 1,
        random_seed: Some(1),
        housekeeping: None,
    }
}

/// The host's error when the plugin gets an unknown setting.
fn complaint(component: &Path) -> String {
    let plugin = PluginSettings {
        grants: [Grant::Config, Grant::Random].into(),
        config: serde_json::json!({"speed": 1}),
        memory_bytes: 64 << 20,
        ..PluginSettings::new("numbering", PathBuf::from(component))
    };
    match Host::new(settings(plugin, component)) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Asks one instance so often that a memory leak would exceed its limit.
fn answers_for_long(lang: &str, component: &Path) {
    let small = lang == "c" || lang == "rust";
    let plugin = PluginSettings {
        grants: [Grant::Config, Grant::Random].into(),
        deadline_ms: 100,
        memory_bytes: if small { 2 << 20 } else { 64 << 20 },
        ..PluginSettings::new("numbering", component)
    };
    let host = Host::new(settings(plugin, component)).expect("it loads");
    let mut shard = host.shard();
    let pin = host.pin(Arc::new(OneText));
    let question = Question::Number(NumberQuestion {
        call: CallFacts { id: 1, received_ms: 1, trunk: 1, account: 1 },
        stage: Stage::Egress,
        trunk: 1,
        caller: "01234567890123456789".into(),
        callee: "09876543210987654321".into(),
        identity: policy::Text::default(),
        caller_rules: 1,
        callee_rules: 1,
        identity_rules: 1,
        tech_prefix: "77".into(),
        reject_unmatched: true,
    });
    for turn in 0..20_000 {
        let reply = shard.ask(Context { pin: &pin, details: None }, &question);
        let Ok(Answer::Number(Ok(numbers))) = reply.outcome else {
            panic!("{lang}, question {turn}: {:?}", reply.outcome)
        };
        assert_eq!(numbers.callee, "77499876543210987654321", "{lang}, question {turn}");
        assert_eq!(numbers.caller, "491234567890123456789", "{lang}, question {turn}");
    }
}

/// A snapshot with one rule set.
struct OneText;

impl Lookup for OneText {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        (handle == 1).then(|| Arc::from("0 -> 49\n* -> *"))
    }

    fn longest_prefix(&self, _: &str, _: &str) -> Option<PrefixHit> {
        None
    }

    fn exact(&self, _: &str, _: &str) -> Option<Arc<str>> {
        None
    }
}
