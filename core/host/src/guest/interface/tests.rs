//! Components of 0.1, built before 0.2 existed, still work in a host that supports both.

use crate::ask::shard::ShardHost;
use crate::error::LoadError;
use crate::life::host::Host;
use crate::settings::{Grant, HostSettings, PluginSettings};
use policy::{
    Answer, CallFacts, Lookup, NumberQuestion, Owner, Pin, PrefixHit, Question, ScreenQuestion,
    Stage, TrunkStatistics, Verdict,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

#[path = "../../../tests/shared/guests.rs"]
mod guests;

/// A guest's file: `hostile` is of 0.1 and reports that when asked for its `version`; `next` is of
/// 0.2.
fn guest(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let program = std::env::current_exe().expect("it runs");
        // target/PROFILE/deps/PROGRAM
        let target = program.ancestors().nth(3).expect("it is in a target folder");
        guests::build(&["hostile", "next"], target)
    });
    folder.join(format!("strowger_guest_{name}.wasm"))
}

/// The hostile guest as another build: the last letter of its version is `letter`.
pub(crate) fn build(letter: char) -> Vec<u8> {
    let mut bytes = std::fs::read(guest("hostile")).expect("it was built");
    let to = format!("{}{letter}", &OLD[..OLD.len() - 1]);
    replace(&mut bytes, OLD.as_bytes(), to.as_bytes());
    bytes
}

/// Replaces bytes by as many others, everywhere.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}

pub(crate) fn plugin(name: &str) -> PluginSettings {
    PluginSettings {
        grants: Grant::ALL.into_iter().filter(|grant| *grant != Grant::Http).collect(),
        ..PluginSettings::new(name, guest(name))
    }
}

pub(crate) fn host(plugins: Vec<PluginSettings>) -> (Host, ShardHost, Pin) {
    let settings = HostSettings {
        plugins,
        cache_dir: None,
        shards: 1,
        random_seed: Some(1),
        housekeeping: None,
    };
    let host = Host::new(settings).expect("it loads");
    let (shard, pin) = (host.shard(), pin(&host));
    (host, shard, pin)
}

pub(crate) fn pin(host: &Host) -> Pin {
    host.pin(Arc::new(NoFacts))
}

struct NoFacts;

impl Lookup for NoFacts {
    fn text(&self, _handle: u64) -> Option<Arc<str>> {
        None
    }

    fn longest_prefix(&self, _table: &str, _number: &str) -> Option<PrefixHit> {
        None
    }

    fn exact(&self, _table: &str, _number: &str) -> Option<Arc<str>> {
        None
    }

    fn attribute(&self, _owner: Owner, _name: &str) -> Option<Arc<str>> {
        None
    }

    fn trunk_statistics(&self, _trunk: u32) -> Option<TrunkStatistics> {
        None
    }
}

const CALL: CallFacts = CallFacts { id: 7, received_ms: 1, trunk: 12, account: 3 };

/// The 0.1 guest's mark on a call when it is asked for its version.
const OLD: &str = "1.0.0-build-a";

/// A screening question whose callee is the command to the 0.1 guest.
pub(crate) fn of_callee(callee: &str) -> Question {
    Question::Screen(ScreenQuestion {
        call: CALL,
        caller: "4930".into(),
        callee: callee.into(),
        source: "192.0.2.1".into(),
    })
}

fn screened(shard: &mut ShardHost, pin: &Pin) -> Vec<policy::Text> {
    match shard.ask(pin, &of_callee("version")).outcome {
        Ok(Answer::Screen(Verdict::Mark(words))) => words,
        other => panic!("marks expected, got {other:?}"),
    }
}

fn new(asked: u32) -> Vec<policy::Text> {
    let asked = asked.to_string();
    ["0.2", "forwarded false", "4930 to version from 192.0.2.1", "trunk 12", "true", &asked]
        .map(Into::into)
        .to_vec()
}

#[test]
fn both_versions_answer_in_one_chain() {
    let (_host, mut shard, pin) = host(vec![plugin("hostile"), plugin("next")]);
    assert_eq!(screened(&mut shard, &pin), [vec![OLD.into()], new(1)].concat());
    // 0.1 still answers the hooks that 0.2 does not have.
    let number = Question::Number(NumberQuestion {
        call: CALL,
        stage: Stage::Ingress,
        trunk: 12,
        caller: "1".into(),
        callee: "2".into(),
        identity: policy::Text::default(),
        caller_rules: 0,
        callee_rules: 0,
        identity_rules: 0,
        tech_prefix: policy::Text::default(),
        reject_unmatched: false,
    });
    let reply = shard.ask(&pin, &number);
    assert!(matches!(reply.outcome, Ok(Answer::Number(Ok(_)))), "{reply:?}");
    assert_eq!(reply.plugin.expect("it answered").name.as_ref(), "hostile");
}

#[test]
fn a_build_for_the_next_version_is_swapped_in_and_back() {
    let mut first = plugin("hostile");
    first.hooks = Some([policy::Hook::Screening].into());
    let (host, mut shard, before) = host(vec![first]);
    assert_eq!(screened(&mut shard, &before), [OLD]);
    host.swap("hostile", guest("next").as_path()).expect("0.2 is answered");
    let after = host.pin(Arc::new(NoFacts));
    assert_eq!(screened(&mut shard, &after), new(1));
    assert_eq!(screened(&mut shard, &before), [OLD], "a call keeps what it began with");
    host.swap("hostile", guest("hostile").as_path()).expect("0.1 is answered");
    assert_eq!(screened(&mut shard, &host.pin(Arc::new(NoFacts))), [OLD]);
}

#[test]
fn a_version_that_nobody_answers_is_refused_by_name() {
    let mut bytes = std::fs::read(guest("next")).expect("it was built");
    replace(&mut bytes, b"@0.2.0", b"@0.3.0");
    let program = std::env::current_exe().expect("it runs");
    let file = Path::new(&program).with_extension("third.wasm");
    std::fs::write(&file, bytes).expect("the target folder is writable");
    let settings = PluginSettings { path: file.clone(), ..plugin("next") };
    let settings = HostSettings {
        plugins: vec![settings],
        cache_dir: None,
        shards: 1,
        random_seed: None,
        housekeeping: None,
    };
    let error = Host::new(settings).err().expect("it is refused");
    std::fs::remove_file(&file).expect("it was written");
    assert!(matches!(error, LoadError::WrongVersion { .. }), "{error}");
    let words = error.to_string();
    assert!(words.contains("0.3.0") && words.contains("0.1.0, 0.2.0"), "{words}");
}
