//! A fault says why: the plugin's own last words, and the functions that it was in.

use crate::common::{Tables, bench, file, guest, route, screen, settings};
use host::{Host, KeptLog, LogLevel, PluginSettings};
use policy::{Answer, Fault, Hook, Pin};
use std::sync::Arc;

fn clumsy(test: &str) -> PluginSettings {
    PluginSettings {
        grants: [host::Grant::Log].into(),
        ..PluginSettings::new("routing", file(test, &guest("clumsy")))
    }
}

fn host(plugin: PluginSettings) -> (Host, host::ShardHost, Pin) {
    let host = Host::new(settings(plugin, 1)).expect("the plugin loads");
    let (shard, pin) = (host.shard(), host.pin(Arc::new(Tables)));
    (host, shard, pin)
}

fn trap(outcome: Result<Answer, Fault>) -> String {
    let Err(Fault::Trap(text)) = outcome else { panic!("{outcome:?}") };
    text
}

#[test]
fn a_panic_is_told_with_its_message_its_place_and_its_callers() {
    let (host, mut shard, pin) = host(clumsy("panics"));
    assert_eq!(host.list()[0].last_fault, None);
    let text = trap(shard.ask(&pin, &route("4413")).outcome);
    let (said, place) = text.split_once(" | in ").expect("words and functions");
    assert!(said.starts_with("panicked at "), "{text}");
    assert!(said.contains("clumsy/src/lib.rs:39:"), "{text}");
    assert!(said.ends_with(": a thirteenth vendor"), "{text}");
    assert!(place.starts_with("strowger_guest_clumsy::unlucky, called by "), "{text}");
    assert!(place.contains("select"), "{text}");

    // Words of an earlier question are forgotten.
    assert!(shard.ask(&pin, &route("44")).outcome.is_ok());
    let Err(Fault::Deadline(5, text)) = shard.ask(&pin, &route("4414")).outcome else { panic!() };
    assert!(text.starts_with("in strowger_guest_clumsy::spin, called by "), "{text}");

    let last = host.list()[0].last_fault.clone().expect("two faults");
    assert_eq!((last.hook, &*last.build.name), (Hook::Routing, "routing"));
    assert_eq!(last.fault, Fault::Deadline(5, text));
}

#[test]
fn a_plugin_cannot_move_a_cursor_or_forge_a_line() {
    let (_host, mut shard, pin) = host(clumsy("escapes"));
    let text = trap(shard.ask(&pin, &route("4415")).outcome);
    assert!(text.contains(": cursor \\u001b[2J moved | forged line"), "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// A guest that explains nothing: the functions remain.
#[test]
fn a_trap_without_words_names_its_functions() {
    let (_host, mut shard, pin) = bench("no-words");
    let text = trap(shard.ask(&pin, &screen("trap")).outcome);
    assert!(text.starts_with("wasm trap: wasm `unreachable` instruction executed | in "), "{text}");
    assert!(text.contains("strowger_guest_hostile::misbehave"), "{text}");
}

#[test]
fn log_lines_can_be_kept_for_a_command() {
    let log = KeptLog::default();
    let (_host, mut shard, pin) =
        host(PluginSettings { kept_log: Some(log.clone()), ..clumsy("kept-log") });
    assert!(log.take().lines.is_empty());
    assert!(shard.ask(&pin, &route("4413")).outcome.is_err());
    let lines = log.take().lines;
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].level, lines[0].text.as_str()), (LogLevel::Info, "2 candidates"));
}
