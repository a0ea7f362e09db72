//! The journal on a bad disk: torn ends, damage, rights, two users.

use crate::support::documents::call;
use crate::support::folder::Folder;
use crate::support::recorder::{
    open, segments, start, start_locked, wait_for_release, wait_until_durable,
};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use strowger_store::{Recorder, RecorderSettings, Recovery};

/// A segment of ten finished calls, and the length of each.
async fn ten_calls() -> (Vec<u8>, usize) {
    let folder = Folder::new("ten");
    let store = open(folder.path()).await;
    let (recorder, _) = start(&store, folder.path()).await;
    for number in 0..10 {
        recorder.submit(call(number));
    }
    recorder.flush().await;
    let whole = std::fs::read(&segments(folder.path())[0]).expect("the folder of the test is ours");
    let entry = (whole.len() - 8) / 10;
    (whole, entry)
}

/// Starts on a journal of these bytes; what it said of them, what is kept of them aside, and
/// how many calls are in the database.
async fn started_on(bytes: &[u8]) -> (Recovery, Vec<Vec<u8>>, u64) {
    let folder = Folder::new("started-on");
    let store = open(folder.path()).await;
    std::fs::create_dir(folder.join("journal")).expect("the folder of the test is ours");
    std::fs::write(folder.join("journal/0000000000000001.journal"), bytes)
        .expect("the folder of the test is ours");
    let (_recorder, recovery) = start(&store, folder.path()).await;
    let files = std::fs::read_dir(folder.join("journal")).expect("the folder of the test is ours");
    let aside = files.map(|file| file.expect("the folder of the test is ours").path());
    let aside = aside.filter(|path| path.extension().is_some_and(|kind| kind == "damaged"));
    let aside =
        aside.map(|path| std::fs::read(path).expect("the folder of the test is ours")).collect();
    assert!(store.prove().await.expect("the store reads").faults.is_empty());
    (recovery, aside, store.count_calls().await.expect("the store reads"))
}

#[tokio::test]
async fn a_torn_end_of_the_journal_is_cut() {
    let (whole, entry) = ten_calls().await;
    let cases = [
        (whole[..whole.len() - 1].to_vec(), 9),
        (whole[..8 + 5 * entry + 3].to_vec(), 5),
        (whole[..8].to_vec(), 0),
        (whole[..5].to_vec(), 0),
        (Vec::new(), 0),
        (whole.clone(), 10),
    ];
    for (bytes, whole_entries) in cases {
        let (recovery, aside, _) = started_on(&bytes).await;
        assert_eq!(recovery.replayed, whole_entries, "{} bytes", bytes.len());
        let read = if bytes.len() < 8 { 0 } else { 8 + whole_entries as usize * entry };
        assert_eq!(recovery.torn_bytes as usize, bytes.len() - read);
        assert_eq!((recovery.damaged_bytes, aside.len()), (0, 0));
    }
}

/// CDR-06: one bit costs one call, wherever it is, and its segment is kept for people.
#[tokio::test]
async fn a_damaged_part_of_the_journal_is_set_aside_and_the_rest_is_read() {
    let (whole, entry) = ten_calls().await;
    let at = |number: usize| 8 + number * entry;
    let flipped = |byte: usize| {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        bytes
    };
    let mut garbage = whole.clone();
    garbage.extend_from_slice(&[0xff; 100]);
    let mut hole = whole.clone();
    hole[at(3) + 5..at(6) + 5].fill(0);
    let cases = [
        ("in a text", flipped(at(4) + 200), 9, entry),
        ("in a check sum", flipped(at(4) + 5), 9, entry),
        ("in a length", flipped(at(4) + 1), 9, entry),
        ("in a kind", flipped(at(4) + 8), 9, entry),
        ("in the last one", flipped(at(9) + 20), 9, entry),
        ("in the head", flipped(2), 10, 8),
        ("a hole", hole, 6, 4 * entry),
        ("garbage at the end", garbage, 10, 100),
        ("nothing else", vec![0; 5000], 0, 5000),
    ];
    for (what, bytes, read, damaged) in cases {
        let (recovery, aside, calls) = started_on(&bytes).await;
        assert_eq!((recovery.replayed, calls), (read, read), "{what}");
        assert_eq!(recovery.damaged_bytes as usize, damaged, "{what}");
        assert_eq!((recovery.torn_bytes, aside), (0, vec![bytes]), "{what}");
    }
    let mut later = whole.clone();
    later[7] = 9;
    later.truncate(8);
    later.extend_from_slice(b"entries of another shape");
    let folder = Folder::new("later");
    let store = open(folder.path()).await;
    std::fs::create_dir(folder.join("journal")).unwrap();
    std::fs::write(folder.join("journal/0000000000000001.journal"), &later).unwrap();
    let started = Recorder::start(&store, folder.join("journal"), RecorderSettings::default());
    let refused = started.await.unwrap_err().to_string();
    assert!(refused.contains("not a journal of this version"), "{refused}");
}

/// Bits that flip and ends that are missing cost no more calls than they touch.
#[tokio::test]
async fn whatever_is_damaged_the_other_calls_are_read() {
    let (whole, entry) = ten_calls().await;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut dice = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    for round in 0..60 {
        let mut bytes = whole.clone();
        let mut touched = std::collections::BTreeSet::new();
        for _ in 0..=dice(4) {
            let byte = 8 + dice(whole.len() - 8);
            bytes[byte] ^= 1 << dice(8);
            touched.insert((byte - 8) / entry);
        }
        if dice(3) == 0 {
            let left = 8 + dice(whole.len() - 8);
            bytes.truncate(left);
            touched.extend((left - 8) / entry..10);
        }
        let (recovery, _, calls) = started_on(&bytes).await;
        let least = 10 - touched.len() as u64;
        assert!(calls >= least && calls <= 10, "round {round}: {calls} of at least {least}");
        assert!(recovery.unfinished.is_empty(), "round {round}");
    }
}

/// The disk may also change what is still to be read back into the database.
#[tokio::test]
async fn damage_met_while_the_database_catches_up_holds_nobody_up() {
    let folder = Folder::new("catches-up");
    let store = open(folder.path()).await;
    let settings = RecorderSettings { held: 0, ..RecorderSettings::default() };
    let (recorder, mut other) = start_locked(&store, folder.path(), settings).await;
    for number in 0..10 {
        recorder.submit(call(number));
        wait_until_durable(&recorder, number + 1).await;
    }
    let segment = &segments(folder.path())[0];
    let mut bytes = std::fs::read(segment).unwrap();
    let length = bytes.len();
    bytes[length - 30] ^= 1;
    std::fs::write(segment, bytes).unwrap();
    other.release().await;
    recorder.flush().await;
    let gauges = recorder.gauges();
    assert_eq!((gauges.stored_finals, store.count_calls().await.unwrap()), (10, 9));
    assert!(gauges.damaged_bytes > 0, "{gauges:?}");
    assert!(store.prove().await.unwrap().faults.is_empty());
}

/// A file that has lost its end, or is gone, while it is to be read back: nobody waits for what is
/// nowhere any more, the others are taken, and the place is told.
#[tokio::test]
async fn a_journal_that_becomes_shorter_holds_nobody_up() {
    for cut in [true, false] {
        let folder = Folder::new("shorter");
        let store = open(folder.path()).await;
        let settings = RecorderSettings { held: 0, ..RecorderSettings::default() };
        let (recorder, mut other) = start_locked(&store, folder.path(), settings).await;
        for number in 0..10 {
            recorder.submit(call(number));
            wait_until_durable(&recorder, number + 1).await;
        }
        let segment = segments(folder.path()).remove(0);
        let length = segment.metadata().expect("it is ours").len();
        let mut kept = 0;
        if cut {
            let file = std::fs::OpenOptions::new().write(true).open(&segment);
            file.and_then(|file| file.set_len(length / 2)).expect("it is ours");
            kept = (length / 2 - 8) / ((length - 8) / 10);
        } else {
            std::fs::remove_file(&segment).expect("it is ours");
        }
        other.release().await;
        recorder.flush().await;
        // The first one may have been read before.
        let calls = store.count_calls().await.expect("the store reads");
        assert!((kept..=kept + 1).contains(&calls), "{calls}, {kept} were whole");
        assert_eq!(recorder.gauges().stored_finals, 10);
        assert!(recorder.gauges().damaged_bytes > 0);
        if cut {
            let told = recorder.set_aside().expect("it is told");
            let name = segment.with_extension("damaged").display().to_string();
            assert!(told.starts_with(&name) && told.contains("from byte"), "{told}");
        }
        assert!(store.prove().await.expect("the store reads").faults.is_empty());
    }
}

/// Files of other names are left alone, and one that is kept is not written over.
#[tokio::test]
async fn files_that_are_no_segments_are_left_alone() {
    let (whole, entry) = ten_calls().await;
    let folder = Folder::new("others");
    let store = open(folder.path()).await;
    let journal = folder.join("journal");
    std::fs::create_dir(&journal).expect("it is ours");
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(journal.join(name), bytes).expect("it is ours");
    };
    let others = ["5.journal", "+5.journal", "18446744073709551615.journal", "x.journal"];
    for name in others {
        put(name, b"something");
    }
    let mut bytes = whole.clone();
    bytes[8 + 4 * entry + 200] ^= 1;
    put("0000000000000001.damaged", b"kept before");
    put("0000000000000001.journal", &bytes);
    let (recorder, recovery) = start(&store, folder.path()).await;
    assert_eq!(recovery.replayed, 9);
    let read = |name: &str| std::fs::read(journal.join(name)).expect("it is there");
    assert_eq!(read("0000000000000001.damaged"), b"kept before");
    assert_eq!(read("0000000000000001.2.damaged"), bytes);
    for name in others {
        assert_eq!(read(name), b"something", "{name}");
    }
    let told = recorder.set_aside().expect("it is told");
    assert!(told.contains("0000000000000001.damaged"), "{told}");
}

/// What a crash has left half-written is cut, and kept for who wants to look at it.
#[tokio::test]
async fn a_torn_end_is_kept_beside_the_journal() {
    let (whole, _) = ten_calls().await;
    let folder = Folder::new("torn");
    let store = open(folder.path()).await;
    std::fs::create_dir(folder.join("journal")).expect("it is ours");
    let torn = &whole[..whole.len() - 1];
    std::fs::write(folder.join("journal/0000000000000001.journal"), torn).expect("it is ours");
    let (recorder, recovery) = start(&store, folder.path()).await;
    assert_eq!((recovery.replayed, recorder.set_aside()), (9, None));
    let kept = std::fs::read(folder.join("journal/0000000000000001.torn"));
    assert_eq!(kept.expect("it is kept"), torn);
}

/// Numbers and money are nobody else's: neither in a new folder nor in one that was open.
#[tokio::test]
async fn the_journal_is_readable_for_its_owner_only() {
    let folder = Folder::new("private");
    let store = open(folder.path()).await;
    let journal = folder.join("journal");
    let rights = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for _ in 0..2 {
        let (recorder, _) = start(&store, folder.path()).await;
        recorder.submit(call(1));
        recorder.flush().await;
        assert_eq!(rights(&journal), 0o700);
        for entry in std::fs::read_dir(&journal).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(rights(&path), 0o600, "{}", path.display());
        }
        drop(recorder);
        wait_for_release(folder.path()).await;
        std::fs::set_permissions(&journal, Permissions::from_mode(0o755)).unwrap();
    }
    if store.database().file().is_some() {
        for name in ["strowger.db", "strowger.db-wal"] {
            assert_eq!(rights(&folder.join(name)), 0o600, "{name}");
        }
    }
}

#[tokio::test]
async fn two_nodes_cannot_share_a_journal() {
    let folder = Folder::new("lock");
    let store = open(folder.path()).await;
    let (_recorder, _) = start(&store, folder.path()).await;
    let again = Recorder::start(&store, folder.join("journal"), RecorderSettings::default()).await;
    assert!(again.unwrap_err().to_string().contains("in use by another process"));
}
