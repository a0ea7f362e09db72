//! What an earlier version has written, as it stands in `upgrade/`, read by this one: records of
//! the database, and a journal that its node left behind. The files were written by that version
//! and never change.

use crate::support::database::{Other, database};
use crate::support::documents::{call, call_up};
use crate::support::folder::Folder;
use crate::support::recorder::{open, start};
use ledger::{CallDocument, DurationRounding, EndedBy, Money, Posting, PostingKind, Text};
use strowger_store::{Recorder, RecorderSettings, Store};

const RECORD: &str = include_str!("upgrade/record-2.hex");
const ODD_RECORD: &str = include_str!("upgrade/odd-record-2.hex");
const JOURNAL: &str = include_str!("upgrade/journal-2.hex");

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

/// As a record of before the fields that came with format 3.
fn before(mut document: Box<CallDocument>) -> CallDocument {
    let call = &mut document.call;
    for text in [
        &mut call.transport,
        &mut call.local,
        &mut call.caller_tag,
        &mut call.our_tag,
        &mut call.media.local,
    ] {
        *text = Text::default();
    }
    for attempt in &mut document.attempts {
        for text in [
            &mut attempt.transport,
            &mut attempt.local,
            &mut attempt.our_tag,
            &mut attempt.vendor_tag,
            &mut attempt.media.local,
        ] {
            *text = Text::default();
        }
        (attempt.sends, attempt.first_response_ms, attempt.media_ms) = (0, None, None);
    }
    *document
}

/// A call in which each field has a value that no other has.
fn odd() -> CallDocument {
    let mut document = before(call(7));
    let call = &mut document.call;
    call.private = true;
    call.marks = vec!["fraud".into(), "\u{fc}ber".into()];
    call.tech_prefix_in = "99#".into();
    call.ended_by = EndedBy::Switch;
    call.detail = "a detail that is longer than twenty-four bytes".into();
    call.rerate = true;
    call.profit = Money(-1);
    call.balance_after = None;
    call.processing_us = None;
    call.media.bytes_in = 480_000;
    call.media.codec = "PCMA".into();
    call.media.remote = "[2001:db8::7]:40000".into();
    if let Some(sell) = &mut call.sell {
        sell.rounding.mode = DurationRounding::Nearest;
        sell.row.minimum_charge = Money(i128::from(i64::MAX));
        sell.row.connect_fee = Money(5);
        sell.row.free_seconds = 3;
    }
    document.attempts[0].ended_by = EndedBy::Callee;
    document.attempts[0].skipped = true;
    document.attempts[0].ringing_ms = Some(1_795_242_000_900);
    document.attempts[0].cause = 34;
    document.trail[0].fault = "timeout".into();
    document.trail[0].attempt = 2;
    let amount = Money(-1 << 40);
    document.postings.push(Posting { account: 1, amount, kind: PostingKind::Correction });
    document
}

async fn stored(store: &Store, id: u128) -> CallDocument {
    let found = store.call(id).await.expect("the record is readable");
    found.expect("the call is recorded").document
}

#[tokio::test]
async fn records_of_the_version_before_are_read() {
    let folder = Folder::new("records-before");
    let store = open(folder.path()).await;
    let mut other = Other::connect(folder.path()).await;
    for (seq, hex, document) in [(1, RECORD, before(call(1))), (2, ODD_RECORD, odd())] {
        let hex: String = hex.split_whitespace().collect();
        let row = |open: &str, close: &str| {
            format!(
                "INSERT INTO call_record (seq, id, invite_ms, answer_ms, end_ms, trunk, account, \
                 caller, callee, reason, code, duration_ms, billable_ms, charge, cost, rerate, \
                 document) VALUES ({seq}, {open}{:032x}{close}, 1, 1, 1, 1, 1, '', '', '', 200, \
                 0, 0, 0, 0, FALSE, {open}{hex}{close})",
                document.call.id
            )
        };
        other.execute(&row("X'", "'"), &row("decode('", "', 'hex')")).await;
        assert_eq!(stored(&store, document.call.id).await, document);
    }
}

/// A journal of a later version is refused by name, and stays as it is.
#[tokio::test]
async fn a_journal_of_a_later_version_is_refused() {
    let folder = Folder::new("journal-later");
    let store = open(folder.path()).await;
    std::fs::create_dir(folder.join("journal")).expect("the folder of the test is ours");
    let mut journal = bytes(JOURNAL);
    let length = u32::from_le_bytes(journal[8..12].try_into().expect("four bytes")) as usize;
    // Kind, then the format of the document.
    journal[17] = 99;
    let sum = crc32fast::hash(&journal[16..16 + length]);
    journal[12..16].copy_from_slice(&sum.to_le_bytes());
    let path = folder.join("journal/0000000000000001.journal");
    std::fs::write(&path, &journal).expect("the folder of the test is ours");
    let settings = RecorderSettings::default();
    let refused = Recorder::start(&store, folder.join("journal"), settings).await.err();
    let refused = refused.expect("it does not start").to_string();
    assert!(refused.contains("segment 1 has format 99, which a later version"), "{refused}");
    assert_eq!(std::fs::read(&path).expect("it is there"), journal);
}

/// OPS-62, CDR-06: the node was killed before the database had its journal, with two calls ended
/// and one up, and the next version starts.
#[tokio::test]
async fn a_journal_of_the_version_before_is_replayed() {
    let folder = Folder::new("journal-before");
    let store = open(folder.path()).await;
    std::fs::create_dir(folder.join("journal")).expect("the folder of the test is ours");
    std::fs::write(folder.join("journal/0000000000000001.journal"), bytes(JOURNAL))
        .expect("the folder of the test is ours");
    let (recorder, recovery) = start(&store, folder.path()).await;
    assert_eq!((recovery.replayed, recovery.damaged_bytes, recovery.torn_bytes), (2, 0, 0));
    let [lost] = &recovery.unfinished[..] else { panic!("one call was up") };
    assert_eq!((lost.call.id, lost.call.billable_ms), (call_up(2).call.id, 30_000));
    recorder.flush().await;
    for document in [before(call(1)), odd()] {
        assert_eq!(stored(&store, document.call.id).await, document);
    }
    assert!(store.prove().await.expect("the store reads").faults.is_empty());
}

/// A database of a later version is refused by name, and stays as it is.
#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let folder = Folder::new("database-later");
    drop(open(folder.path()).await);
    let mut other = Other::connect(folder.path()).await;
    let step = |sum: &str| {
        format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (99, 'later', TRUE, {sum}, 1)"
        )
    };
    other.execute(&step("X'00'"), &step("'\\x00'")).await;
    let refused = Store::open(database(folder.path())).await.expect_err("it is a later one");
    let told = refused.to_string();
    assert!(told.contains("has step 99 of a later version of strowger"), "{told}");
    assert!(!refused.is_away(), "nobody waits for it");
    let refused = Store::open_to_read(database(folder.path())).await.expect_err("nor to read");
    assert_eq!(refused.to_string(), told);
}
