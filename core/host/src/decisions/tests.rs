use super::segment::{MAGIC, Next, SegmentReader, numbers, path};
use super::*;
use policy::{
    Advance, AdvanceQuestion, Answer, AttemptFailure, CallDetails, CallFacts, CallNotes,
    CallNumbers, Candidate, Charge, Context, Course, DeckRow, EarlierStep, Ending, EventKind,
    EventNotice, FailoverSwitches, Fault, HookSet, IdentityAnswer, IdentityQuestion, Invite,
    Lookup, NumberAnswer, NumberQuestion, PastAttempt, Pin, PluginStamp, PrefixHit, Question,
    RateQuestion, RateSubject, Rejection, Reply, Rounding, RouteQuestion, ScreenQuestion, Side,
    Stage, Supervised, SupervisionAnswer, SupervisionQuestion, TrunkIdentity, Verdict,
};
use std::path::Path;
use std::time::Instant;

const CALLER: &str = "15551230001";
const CALLEE: &str = "442071234567";

/// A folder that is deleted at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Folder(folder)
    }

    fn bytes(&self) -> u64 {
        let size = |number| std::fs::metadata(path(&self.0, number)).expect("it exists").len();
        numbers(&self.0).expect("a folder").into_iter().map(size).sum()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(folder: &Folder) -> DecisionSettings {
    DecisionSettings {
        folder: folder.0.clone(),
        node: "under-test".to_owned(),
        keep: Duration::from_secs(3600),
        max_bytes: 1 << 30,
        mask_digits: 0,
        mask_key: [9; 32],
        random_seed: 77,
    }
}

struct Rules;

impl Lookup for Rules {
    fn text(&self, handle: u64) -> Option<Arc<str>> {
        (handle == 5).then(|| Arc::from("00 -> "))
    }
    fn longest_prefix(&self, _: &str, _: &str) -> Option<PrefixHit> {
        None
    }
    fn exact(&self, _: &str, _: &str) -> Option<Arc<str>> {
        None
    }
}

#[derive(Debug)]
struct Headers;

impl Invite for Headers {
    fn request_uri(&self) -> &str {
        "sip:442071234567@192.0.2.1"
    }
    fn header(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn headers(&self) -> Vec<(String, String)> {
        vec![("From".to_owned(), format!("<sip:{CALLER}@192.0.2.2>;tag=1"))]
    }
}

/// A value that a plugin kept before each question.
fn kept() -> policy::KeptValue {
    policy::KeptValue { plugin: "screening".into(), key: "score".into(), value: "87".into() }
}

fn call(id: u128) -> CallFacts {
    CallFacts { id, received_ms: 1_700_000_000_000, trunk: 3, account: 4 }
}

/// One question of each kind with its answer.
fn decisions(id: u128) -> Vec<(Question, Result<Answer, Fault>)> {
    let (call, caller, callee) = (call(id), CALLER.to_owned(), CALLEE.to_owned());
    let rejection = Rejection {
        code: 403,
        reason: "caller_barred".into(),
        detail: format!("{CALLER} is barred").into(),
    };
    let candidate = Candidate {
        trunk: 7,
        prefix_length: 2,
        prefix_priority: 0,
        extend: true,
        priority: 10,
        weight: 1,
        last_resort: false,
        active: 0,
        channels: 0,
        calls_today: 0,
        buy_price: 1_200_000_000,
    };
    let row = DeckRow {
        price_first: 6_000_000_000,
        price_next: 6_000_000_000,
        connect_fee: 0,
        first_increment_s: 1,
        next_increment_s: 1,
        free_seconds: 0,
        minimum_charge: 0,
    };
    let subject = RateSubject { side: Side::Sell, is_final: false, account: 4, trunk: 3, at_ms: 1 };
    vec![
        (
            Question::Number(NumberQuestion {
                call,
                stage: Stage::Ingress,
                trunk: 3,
                caller: caller.clone().into(),
                callee: format!("00{CALLEE}").into(),
                identity: caller.clone().into(),
                caller_rules: 0,
                callee_rules: 5,
                identity_rules: 0,
                tech_prefix: policy::Text::default(),
                reject_unmatched: false,
            }),
            Ok(Answer::Number(Ok(NumberAnswer {
                caller: caller.clone().into(),
                callee: callee.clone().into(),
                identity: caller.clone().into(),
                ..NumberAnswer::default()
            }))),
        ),
        (
            Question::Screen(ScreenQuestion {
                call,
                caller: caller.clone().into(),
                callee: callee.clone().into(),
                source: "192.0.2.2".into(),
            }),
            Ok(Answer::Screen(Verdict::Reject(rejection))),
        ),
        (
            Question::Rate(RateQuestion {
                call,
                subject,
                row,
                rounding: Rounding::default(),
                duration_ms: 1_000,
            }),
            Ok(Answer::Rate(Charge { amount: 100_000_000, billed_seconds: 1 })),
        ),
        (
            Question::Route(RouteQuestion {
                call,
                caller: caller.clone().into(),
                callee: callee.clone().into(),
                sell_price: 6_000_000_000,
                candidates: vec![candidate],
            }),
            Ok(Answer::Route(Ok(vec![7]))),
        ),
        (
            Question::Advance(AdvanceQuestion {
                call,
                trunk: 7,
                failure: AttemptFailure::Response,
                code: 503,
                cause: 0,
                alerted: false,
                media_opened: false,
                rtp_received: false,
                switches: FailoverSwitches::default(),
                attempts: 1,
                remaining: 0,
            }),
            Ok(Answer::Advance(Advance::StopWith(503))),
        ),
        (
            Question::Identity(IdentityQuestion {
                call,
                trunk: 7,
                caller_out: caller.clone().into(),
                identity_out: caller.clone().into(),
                display: policy::Text::default(),
                host: "192.0.2.9".into(),
                privacy: policy::Text::default(),
                private: false,
                source_trusted: true,
                target_trusted: true,
                modes: TrunkIdentity::default(),
            }),
            Ok(Answer::Identity(Ok(IdentityAnswer {
                display: policy::Text::default(),
                user: caller.clone().into(),
                host: "192.0.2.9".into(),
                headers: vec![(
                    "P-Asserted-Identity".to_owned(),
                    format!("<sip:{CALLER}@192.0.2.9>"),
                )],
            }))),
        ),
        (
            Question::Supervise(SupervisionQuestion {
                call,
                asking: 1,
                answered_s: 60,
                interval_s: 60,
                trunk: 7,
                caller: caller.clone().into(),
                callee: callee.clone().into(),
                sell_price: 6_000_000_000,
                marks: vec![format!("calls {CALLEE}").into()],
            }),
            Ok(Answer::Supervise(SupervisionAnswer {
                course: Course::End(Ending {
                    reason: "premium_limit".into(),
                    cause: 31,
                    code: 0,
                    detail: format!("{CALLEE} for 60 s").into(),
                }),
                marks: vec![format!("by {CALLER}").into()],
                ask_again_s: 0,
            })),
        ),
        (
            Question::Event(EventNotice {
                call,
                kind: EventKind::Ended,
                at_ms: 2,
                trunk: 7,
                code: 0,
                duration_ms: 0,
                caller: caller.into(),
                callee: callee.into(),
            }),
            Err(Fault::Refused(format!("{CALLEE} is not known"))),
        ),
    ]
}

fn pin() -> Pin {
    Pin {
        generation: 12,
        policy: Arc::new(()),
        lookup: Arc::new(Rules),
        hears_events: true,
        supervised: Supervised::default(),
        wants_details: HookSet::default(),
        notes: Arc::new(CallNotes::starting_at(3, vec![kept()])),
    }
}

fn stamp() -> Arc<PluginStamp> {
    let word = Arc::<str>::from;
    Arc::new(PluginStamp { name: word("any"), version: word("1.0.0"), digest: word("01234567") })
}

/// Puts one decision of each kind for a call into the tap, a millisecond apart.
fn record(tap: &mut DecisionTap, now: Instant, id: u128, at_ms: u64) {
    let (pin, stamp) = (pin(), stamp());
    let details = Arc::new(CallDetails {
        invite: Some(Arc::new(Headers)),
        numbers: CallNumbers { caller_in: CALLER.into(), ..CallNumbers::default() },
        attempts: vec![PastAttempt {
            trunk: 7,
            failure: AttemptFailure::Response,
            code: 503,
            cause: 34,
            duration_ms: 20,
        }],
        origin: policy::CallOrigin {
            source: "192.0.2.7:5061".into(),
            transport: "udp".into(),
            listener: "main".into(),
        },
    });
    for (number, (question, outcome)) in (0..).zip(decisions(id)) {
        let earlier = vec![EarlierStep {
            plugin: stamp.clone(),
            outcome: outcome.clone().map(Some),
            nanos: 500,
            instead_of: None,
        }];
        let plugin = Some(stamp.clone());
        let reply = Reply {
            outcome,
            plugin,
            nanos: 1_000,
            by_previous: false,
            instead_of: None,
            rejects: false,
            earlier,
        };
        let context = Context { pin: &pin, details: Some(&details) };
        let mark = pin.notes.mark();
        let at_ms = at_ms + number;
        let asked = Decided { at_ms, mark, context, question: &question, reply: &reply };
        tap.record(now, &asked);
    }
}

fn read(folder: &Path) -> (Vec<Decision>, ReadCounts) {
    let mut reader = DecisionReader::open(folder, 0, u64::MAX).expect("a folder");
    let mut found = Vec::new();
    while let Some(decision) = reader.next().expect("readable") {
        found.push(decision);
    }
    (found, reader.counts())
}

#[test]
fn what_is_kept_is_read_back_in_the_order_of_time() {
    let folder = Folder::new("decisions-whole");
    let log = DecisionLog::start(settings(&folder)).expect("a log");
    let now = Instant::now();
    let (mut one, mut two) = (log.tap(0), log.tap(1));
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at_ms = since_1970.expect("a clock").as_millis() as u64;
    record(&mut one, now, 1, at_ms);
    record(&mut two, now, 2, at_ms + 3);
    drop((two, one));
    log.close();
    let counts = log.counts();
    assert_eq!((counts.recorded, counts.dropped), (16, 0));

    let (found, counts) = read(&folder.0);
    assert_eq!(counts, ReadCounts { segments: 1, ..ReadCounts::default() });
    let times: Vec<u64> = found.iter().map(|decision| decision.at_ms).collect();
    assert!(times.is_sorted() && times.len() == 16, "{times:?}");
    let first: Vec<&Decision> =
        found.iter().filter(|found| found.question.call().id == 1).collect();
    for (found, (question, outcome)) in first.iter().zip(decisions(1)) {
        assert_eq!((&found.question, &found.outcome), (&question, &outcome));
        assert_eq!((found.draw, found.generation, found.random_seed), (3, 12, 77));
        assert_eq!(found.kept, [kept()]);
        assert_eq!(found.plugin, Some(stamp()));
        assert_eq!(found.earlier, [(stamp(), outcome.map(Some))]);
        let details = found.details.as_ref().expect("details");
        assert_eq!(details.attempts[0].cause, 34);
        let invite = details.invite.as_ref().expect("an INVITE");
        assert_eq!(invite.header("from"), [format!("<sip:{CALLER}@192.0.2.2>;tag=1")]);
    }
    let mut reader = DecisionReader::open(&folder.0, at_ms + 2, at_ms + 4).expect("a folder");
    let mut within = Vec::new();
    while let Some(decision) = reader.next().expect("readable") {
        within.push(decision.at_ms - at_ms);
    }
    assert_eq!(within, [2, 3, 3]);
    assert_eq!(reader.texts().get(5).as_deref(), Some("00 -> "));
}

/// SEC-51; a folder that an earlier version created for everybody is closed too.
#[test]
fn nobody_else_can_read_the_log() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let folder = Folder::new("decisions-private");
    std::fs::create_dir(&folder.0).expect("a folder");
    std::fs::set_permissions(&folder.0, PermissionsExt::from_mode(0o755)).expect("it is ours");
    for place in [folder.0.clone(), folder.0.join("made")] {
        let log =
            DecisionLog::start(DecisionSettings { folder: place.clone(), ..settings(&folder) })
                .expect("a log");
        let mut tap = log.tap(0);
        record(&mut tap, Instant::now(), 1, 1_700_000_000_000);
        drop(tap);
        log.close();
        assert_eq!((mode(&place), mode(&path(&place, 1))), (0o700, 0o600));
    }
}

/// A crash leaves half a block, or a block that was never completely written.
#[test]
fn a_segment_that_was_cut_off_is_read_up_to_its_last_whole_block() {
    let folder = Folder::new("decisions-torn");
    let log = DecisionLog::start(settings(&folder)).expect("a log");
    let mut tap = log.tap(0);
    for id in 0..5 {
        record(&mut tap, Instant::now(), id, 1_000 * id as u64);
        tap.hand_over();
    }
    drop(tap);
    log.close();
    let file = path(&folder.0, 1);
    let whole = std::fs::read(&file).expect("a segment");
    let mut seen = std::collections::BTreeSet::new();
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).expect("writable");
        let (found, _) = read(&folder.0);
        assert_eq!(found.len() % 8, 0, "whole blocks only");
        seen.insert(found.len() / 8);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);

    let mut broken = whole.clone();
    let last = broken.len() - 10;
    broken[last] ^= 1;
    std::fs::write(&file, &broken).expect("writable");
    let (found, counts) = read(&folder.0);
    assert_eq!((found.len(), counts.torn), (32, 1));

    // The next start writes its own segment.
    let log = DecisionLog::start(settings(&folder)).expect("a log");
    let mut tap = log.tap(0);
    record(&mut tap, Instant::now(), 9, 9_000);
    drop(tap);
    log.close();
    assert_eq!(read(&folder.0).0.len(), 40);
}

fn decompressed(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers(folder).expect("a folder") {
        let mut segment =
            SegmentReader::open(&path(folder, number)).expect("readable").expect("a segment");
        while let Next::Block(block) = segment.next().expect("readable") {
            bytes.extend(block);
        }
    }
    bytes
}

#[test]
fn masked_numbers_are_nowhere_in_the_files() {
    let contains = |bytes: &[u8], text: &str| {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    for mask_digits in [0, 4] {
        let folder = Folder::new(&format!("decisions-masked-{mask_digits}"));
        let settings = DecisionSettings { mask_digits, ..settings(&folder) };
        let log = DecisionLog::start(settings).expect("a log");
        let mut tap = log.tap(0);
        record(&mut tap, Instant::now(), 1, 10_000);
        drop(tap);
        log.close();
        let bytes = decompressed(&folder.0);
        for number in [CALLER, CALLEE] {
            assert_eq!(contains(&bytes, number), mask_digits == 0, "{number}");
            assert!(contains(&bytes, &number[..number.len() - 4]), "prefixes stay");
        }
        assert_eq!(contains(&bytes, "From"), mask_digits == 0, "headers are left out");
        let (found, counts) = read(&folder.0);
        assert_eq!((found.len(), counts.masked_digits), (8, mask_digits));
        let (Question::Number(asked), Ok(Answer::Number(Ok(answer)))) =
            (&found[0].question, &found[0].outcome)
        else {
            panic!("{:?}", found[0]);
        };
        assert_eq!(asked.callee, format!("00{}", answer.callee), "equal digits stay equal");
    }
}

#[test]
fn the_folder_never_passes_its_size_and_the_oldest_go_first() {
    let folder = Folder::new("decisions-bounded");
    let settings = DecisionSettings { max_bytes: 24 << 10, ..settings(&folder) };
    let log = DecisionLog::start(settings).expect("a log");
    let mut tap = log.tap(0);
    let mut written = 0;
    for id in 0..800_u64 {
        record(&mut tap, Instant::now(), u128::from(id) << 70 | u128::from(id * 7919), id * 10);
        tap.hand_over();
        // One block at a time, so that none is dropped and the folder can be checked in between.
        while log.counts().recorded < (id + 1) * 8 {
            std::thread::yield_now();
        }
        assert!(folder.bytes() <= 24 << 10, "{} bytes", folder.bytes());
        written = log.counts().bytes;
    }
    assert!(written > 48 << 10, "{written} bytes passed through");
    drop(tap);
    log.close();
    let (found, counts) = read(&folder.0);
    assert!(counts.segments > 4, "{counts:?}");
    assert_eq!(found.last().map(|last| last.at_ms), Some(799 * 10 + 7));
    assert!(found[0].at_ms > 0, "the first ones are gone");
}

#[test]
fn old_segments_are_deleted_at_the_next_start() {
    let folder = Folder::new("decisions-old");
    let kept = |keep| {
        let log = DecisionLog::start(DecisionSettings { keep, ..settings(&folder) });
        let log = log.expect("a log");
        let mut tap = log.tap(0);
        record(&mut tap, Instant::now(), 1, 10_000);
        drop(tap);
        log.close();
        numbers(&folder.0).expect("a folder")
    };
    assert_eq!(kept(Duration::from_secs(3600)), [1]);
    assert_eq!(kept(Duration::from_secs(3600)), [1, 2]);
    let file = std::fs::File::options().write(true).open(path(&folder.0, 1)).expect("a segment");
    let old = std::time::SystemTime::now() - Duration::from_secs(7200);
    file.set_modified(old).expect("its time is ours");
    assert_eq!(kept(Duration::from_secs(3600)), [2, 3]);
}

/// Deleting the folder under a running node loses its contents, but no later decisions.
#[test]
fn a_deleted_folder_is_made_again() {
    let folder = Folder::new("decisions-deleted");
    let log = DecisionLog::start(settings(&folder)).expect("a log");
    let mut tap = log.tap(0);
    for round in 1..=3_u64 {
        record(&mut tap, Instant::now(), u128::from(round), round * 100);
        tap.hand_over();
        while log.counts().recorded < round * 8 {
            std::thread::yield_now();
        }
        if round == 1 {
            std::fs::remove_dir_all(&folder.0).expect("it is ours");
        }
    }
    drop(tap);
    log.close();
    let (found, counts) = read(&folder.0);
    assert_eq!((counts.segments, log.counts().dropped), (1, 0));
    let times: Vec<u64> = found.iter().map(|decision| decision.at_ms).collect();
    assert_eq!((times.len(), times[0], times[15]), (16, 200, 307));
}

/// A thread that is behind costs decisions, not time.
#[test]
fn nobody_waits_for_a_writer_that_is_behind() {
    let counters = Arc::new(Shared::default());
    let (sender, receiver) = sync_channel(2);
    let mut tap = DecisionTap::new(0, sender, Arc::clone(&counters));
    for id in 0..5 {
        record(&mut tap, Instant::now(), id, 1);
        tap.hand_over();
    }
    assert_eq!(counters.dropped.load(Relaxed), 3 * 8);
    assert_eq!(receiver.try_iter().count(), 2);
}

#[test]
fn a_buffer_is_handed_over_after_a_second() {
    let (sender, receiver) = sync_channel(2);
    let mut tap = DecisionTap::new(0, sender, Arc::default());
    let begin = Instant::now();
    assert_eq!(tap.due(), None);
    record(&mut tap, begin, 1, 1);
    assert_eq!(tap.due(), Some(begin + Duration::from_secs(1)));
    assert_eq!(receiver.try_iter().count(), 0);
    record(&mut tap, begin + Duration::from_secs(1), 2, 1);
    assert_eq!(receiver.try_iter().count(), 1);
}

/// A reader must not read segments of another shape: if you change a question or an answer,
/// increment the last byte of the head and put the new sum here.
#[test]
fn a_change_of_questions_or_answers_is_another_format() {
    let folder = Folder::new("decisions-shape");
    let log = DecisionLog::start(settings(&folder)).expect("a log");
    let mut tap = log.tap(0);
    record(&mut tap, Instant::now(), 1, 10_000);
    drop(tap);
    log.close();
    assert_eq!((MAGIC[7], crc32fast::hash(&decompressed(&folder.0))), (4, 3_400_644_832));

    let file = path(&folder.0, 1);
    let mut bytes = std::fs::read(&file).expect("a segment");
    bytes[7] += 1;
    std::fs::write(&file, bytes).expect("writable");
    let (found, counts) = read(&folder.0);
    assert_eq!((found.len(), counts.foreign), (0, 1));
}
