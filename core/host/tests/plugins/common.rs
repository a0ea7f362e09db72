//! Guests built from source, and short functions that make questions.

use host::{Grant, Host, HostSettings, HttpSettings, PluginSettings, ShardHost};
use policy::{
    AdvanceQuestion, AttemptFailure, CallDetails, CallFacts, CallNumbers, Candidate, DeckRow,
    EventKind, EventNotice, FailoverSwitches, IdentityQuestion, Invite, Lookup, NumberQuestion,
    Owner, PastAttempt, Pin, PrefixHit, Question, RateQuestion, RateSubject, Reply, Rounding,
    RouteQuestion, ScreenQuestion, Side, Stage, SupervisionQuestion, TrunkIdentity,
    TrunkStatistics,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The guest's file, after building all guests once for this test process.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // The folder of these tests, so that guests compile once.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it has one");
        crate::guests::build(&["clumsy", "hostile", "trespasser", "outside"], target)
    });
    std::fs::read(folder.join(format!("strowger_guest_{name}.wasm"))).expect("guest was built")
}

/// The same plugin as another build: the last letter of its version is `letter`.
pub(crate) fn build(letter: char) -> Vec<u8> {
    build_of("hostile", letter)
}

/// The same for another guest.
pub(crate) fn build_of(name: &str, letter: char) -> Vec<u8> {
    patched(guest(name), "1.0.0-build-a", &format!("1.0.0-build-{letter}"))
}

/// Replaces text by text of the same length.
pub(crate) fn patched(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..bytes.len().saturating_sub(from.len()))
        .filter(|at| bytes[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{from} is in the guest");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// A file of this test's own.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.wasm", std::process::id()));
    std::fs::write(&path, bytes).expect("the test's folder is writable");
    path
}

/// The hostile plugin with every grant.
pub(crate) fn hostile(path: PathBuf) -> PluginSettings {
    PluginSettings {
        grants: Grant::ALL.into_iter().collect(),
        http: Some(HttpSettings::new(["unused.example"])),
        ..PluginSettings::new("hostile", path)
    }
}

pub(crate) fn settings(plugin: PluginSettings, shards: usize) -> HostSettings {
    HostSettings {
        plugins: vec![plugin],
        cache_dir: None,
        shards,
        random_seed: Some(1),
        housekeeping: None,
    }
}

/// A host with the hostile plugin, one shard of it, and a pin.
pub(crate) fn bench(test: &str) -> (Host, ShardHost, Pin) {
    bench_within(test, 5)
}

/// The same with another deadline.
pub(crate) fn bench_within(test: &str, deadline_ms: u32) -> (Host, ShardHost, Pin) {
    let plugin = PluginSettings { deadline_ms, ..hostile(file(test, &guest("hostile"))) };
    let host = Host::new(settings(plugin, 2)).expect("the plugin loads");
    let shard = host.shard();
    let pin = host.pin(Arc::new(Tables));
    (host, shard, pin)
}

/// A snapshot with one text and one table.
pub(crate) struct Tables;

impl Lookup for Tables {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        (handle == 7).then(|| Arc::from("rules of seven"))
    }

    fn longest_prefix(&self, table: &str, number: &str) -> Option<PrefixHit> {
        let found = table == "deny" && number.starts_with("4930");
        found.then(|| PrefixHit { length: 4, value: Arc::from("Berlin") })
    }

    fn exact(&self, _table: &str, number: &str) -> Option<Arc<str>> {
        (number == "110").then(|| Arc::from("police"))
    }

    fn attribute(&self, owner: Owner, name: &str) -> Option<Arc<str>> {
        match (owner, name) {
            (Owner::Account(3), "plan") => Some(Arc::from("gold")),
            (Owner::Vendor(5), "class") => Some(Arc::from("cli")),
            _ => None,
        }
    }

    fn name(&self, owner: Owner) -> Option<Arc<str>> {
        match owner {
            Owner::Account(3) => Some("acme".into()),
            Owner::Customer(3) => Some("office".into()),
            Owner::Vendor(5) => Some("carrier-a".into()),
            _ => None,
        }
    }

    fn standing(&self, owner: Owner) -> Option<policy::Standing> {
        let standing = policy::Standing {
            currency: "EUR".into(),
            balance: 1000,
            reserved: 20,
            available: Some(980),
        };
        (owner == Owner::Account(3)).then_some(standing)
    }

    fn price(&self, owner: Owner, number: &str, _at_ms: u64) -> Option<policy::Price> {
        let row = DeckRow {
            price_first: 60,
            price_next: 60,
            connect_fee: 0,
            first_increment_s: 1,
            next_increment_s: 1,
            free_seconds: 0,
            minimum_charge: 0,
        };
        let found = owner == Owner::Vendor(5) && number.starts_with("4930");
        let price = policy::Price { prefix: "4930".into(), destination: "Berlin".into(), row };
        found.then_some(price)
    }

    fn trunk_statistics(&self, trunk: u32) -> Option<TrunkStatistics> {
        let figures = TrunkStatistics { active: 4, asr_permille: 570, ..Default::default() };
        (trunk == 5).then_some(figures)
    }
}

/// The details of the call beyond its questions.
pub(crate) fn details() -> Arc<CallDetails> {
    let failure = AttemptFailure::Response;
    Arc::new(CallDetails {
        invite: Some(Arc::new(Headers)),
        numbers: CallNumbers {
            caller_in: "0301".into(),
            callee_in: "0044".into(),
            callee: "44".into(),
            ..CallNumbers::default()
        },
        attempts: vec![PastAttempt { trunk: 5, failure, code: 503, cause: 0, duration_ms: 9 }],
        origin: policy::CallOrigin {
            source: "192.0.2.7:5061".into(),
            transport: "udp".into(),
            listener: "main".into(),
        },
    })
}

#[derive(Debug)]
struct Headers;

impl Invite for Headers {
    fn request_uri(&self) -> &str {
        "sip:0044@192.0.2.2"
    }

    fn header(&self, name: &str) -> Vec<String> {
        let named =
            self.headers().into_iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    }

    fn headers(&self) -> Vec<(String, String)> {
        [
            ("User-Agent", "peer/1"),
            ("P-Asserted-Identity", "<sip:4930@a>"),
            ("P-Asserted-Identity", "<tel:4930>"),
            ("Diversion", "<sip:1@a>"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

pub(crate) fn call() -> CallFacts {
    CallFacts {
        id: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        received_ms: 1,
        trunk: 12,
        account: 3,
    }
}

pub(crate) fn screen(callee: &str) -> Question {
    Question::Screen(ScreenQuestion {
        call: call(),
        caller: "493012345".into(),
        callee: callee.into(),
        source: "192.0.2.1".into(),
    })
}

pub(crate) fn rate(duration_ms: u64) -> Question {
    Question::Rate(RateQuestion {
        call: call(),
        subject: RateSubject { side: Side::Sell, is_final: true, account: 3, trunk: 12, at_ms: 1 },
        row: DeckRow {
            price_first: 42,
            price_next: 0,
            connect_fee: 0,
            first_increment_s: 60,
            next_increment_s: 1,
            free_seconds: 0,
            minimum_charge: 0,
        },
        rounding: Rounding::default(),
        duration_ms,
    })
}

pub(crate) fn route(callee: &str) -> Question {
    let candidate = |trunk| Candidate {
        trunk,
        prefix_length: 2,
        prefix_priority: 1,
        extend: false,
        priority: 1,
        weight: 1,
        last_resort: false,
        active: 0,
        channels: 0,
        calls_today: 0,
        buy_price: 5,
    };
    Question::Route(RouteQuestion {
        call: call(),
        caller: "493012345".into(),
        callee: callee.into(),
        sell_price: 9,
        candidates: vec![candidate(5), candidate(3)],
    })
}

pub(crate) fn number(callee: &str) -> Question {
    Question::Number(NumberQuestion {
        call: call(),
        stage: Stage::Ingress,
        trunk: 1,
        caller: policy::Text::default(),
        callee: callee.into(),
        identity: policy::Text::default(),
        caller_rules: 0,
        callee_rules: 0,
        identity_rules: 0,
        tech_prefix: policy::Text::default(),
        reject_unmatched: false,
    })
}

pub(crate) fn identity(what: &str) -> Question {
    Question::Identity(IdentityQuestion {
        call: call(),
        trunk: 1,
        caller_out: what.into(),
        identity_out: policy::Text::default(),
        display: policy::Text::default(),
        host: "h".into(),
        privacy: policy::Text::default(),
        private: false,
        source_trusted: false,
        target_trusted: false,
        modes: TrunkIdentity::default(),
    })
}

pub(crate) fn advance(code: u16) -> Question {
    Question::Advance(AdvanceQuestion {
        call: call(),
        trunk: 1,
        failure: AttemptFailure::Response,
        code,
        cause: 0,
        alerted: false,
        media_opened: false,
        rtp_received: false,
        switches: FailoverSwitches::default(),
        attempts: 1,
        remaining: 1,
    })
}

pub(crate) fn supervise(callee: &str) -> Question {
    Question::Supervise(SupervisionQuestion {
        call: call(),
        asking: 2,
        answered_s: 121,
        interval_s: 60,
        trunk: 5,
        caller: "493012345".into(),
        callee: callee.into(),
        sell_price: 9,
        marks: vec!["fraud:burst".into()],
    })
}

pub(crate) fn event(callee: &str) -> Question {
    event_of(call().id, callee)
}

/// An event of another call.
pub(crate) fn event_of(id: u128, callee: &str) -> Question {
    Question::Event(EventNotice {
        call: CallFacts { id, ..call() },
        kind: EventKind::Incoming,
        at_ms: 1,
        trunk: 0,
        code: 0,
        duration_ms: 0,
        caller: policy::Text::default(),
        callee: callee.into(),
    })
}

/// A question for each function. `told` is the callee and commands the guest; the questions of
/// rating and `after-failure` have no callee, and command it by number.
pub(crate) fn every_hook(told: &str, by_number: u16) -> [Question; 8] {
    [
        screen(told),
        number(told),
        rate(by_number.into()),
        route(told),
        advance(by_number),
        identity(told),
        supervise(told),
        event(told),
    ]
}

/// The marks of a screening reply.
pub(crate) fn marks(reply: Reply) -> Vec<String> {
    match reply.outcome {
        Ok(policy::Answer::Screen(policy::Verdict::Mark(words))) => {
            words.into_iter().map(String::from).collect()
        }
        other => panic!("marks expected, got {other:?}"),
    }
}

/// Checks again and again, for 20 s at most.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}
