//! Large businesses: time grows with their size and not with its square, and what did not
//! change is neither read nor copied again.

use crate::support::database::database;
use crate::support::folder::Folder;
use business::Business;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use strowger_store::Store;

/// Trunks and accounts of the smaller business.
const FEW: usize = 1_000;
/// How many times as many the larger one has.
const TIMES: usize = 8;

/// Reading and checking eight times as many objects takes eight times as long; with the square
/// it would be 64 times.
#[test]
fn checking_a_business_is_linear() {
    let small = written(FEW);
    let large = written(FEW * TIMES);
    let read = |folder: &Folder| {
        let before = processor_time();
        let business = Business::from_folder(folder.path(), "realm").expect("it is good");
        assert!(business.customer_trunks.len().is_multiple_of(FEW));
        processor_time() - before
    };
    let ratio = (0..3)
        .map(|_| (read(&small), read(&large)))
        .map(|(small, large)| large.as_secs_f64() / small.as_secs_f64())
        .fold(f64::INFINITY, f64::min);
    assert!(ratio < 3.0 * TIMES as f64, "{TIMES} times the objects took {ratio:.0} times as long");
}

/// The same where every trunk is wrong and each error lists what there is.
#[test]
fn refusing_a_business_is_linear() {
    let lost = |count: usize| {
        let mut text = accounts(count);
        for n in 0..count {
            let _ = write!(
                text,
                "[[customer_trunk]]\nname = \"c{n}\"\naccount = \"nobody\"\n\
                 callee_rules = \"none\"\naddresses = [\"10.0.0.0/8\"]\n"
            );
        }
        let folder = Folder::new("lost");
        std::fs::write(folder.join("all.toml"), text).expect("a configuration file");
        folder
    };
    let (small, large) = (lost(FEW), lost(FEW * TIMES));
    let read = |folder: &Folder| {
        let before = processor_time();
        Business::from_folder(folder.path(), "realm").expect_err("every trunk is wrong");
        processor_time() - before
    };
    let ratio = (0..3)
        .map(|_| (read(&small), read(&large)))
        .map(|(small, large)| large.as_secs_f64() / small.as_secs_f64())
        .fold(f64::INFINITY, f64::min);
    assert!(ratio < 3.0 * TIMES as f64, "{TIMES} times the objects took {ratio:.0} times as long");
}

/// A deck that did not change is the one that was loaded before; one that did is read.
#[tokio::test]
async fn decks_that_did_not_change_are_shared_when_the_business_is_loaded_again() {
    let folder = Folder::new("shared");
    std::fs::write(
        folder.join("all.toml"),
        "[[deck]]\nname = \"a\"\ncurrency = \"EUR\"\nfile = \"a.csv\"\n\
         [[deck]]\nname = \"b\"\ncurrency = \"EUR\"\nfile = \"b.csv\"\n",
    )
    .expect("a configuration file");
    let sheet = |name: &str, price: &str| {
        let rows = format!("prefix,destination,price\n44,UK,{price}\n33,France,0.3\n");
        std::fs::write(folder.join(name), rows).expect("a sheet");
    };
    let read = || Business::from_folder(folder.path(), "realm").expect("it is good");
    sheet("a.csv", "0.6");
    sheet("b.csv", "0.5");
    let store = Store::open(database(folder.path())).await.unwrap();
    store.apply(&read()).await.unwrap();
    let first = store.load().await.unwrap();

    sheet("b.csv", "0.55");
    let changes = store.apply(&read()).await.unwrap();
    assert_eq!(changes.changes.len(), 1, "{changes}");
    assert_eq!(changes.changes[0].details, ["prefix 44: price 0.5 -> 0.55"]);
    assert_eq!(changes.log_lines(), ["deck b changed: prefix 44: price 0.5 -> 0.55"]);
    let second = store.load_beside(&first.decks).await.unwrap();
    assert!(Arc::ptr_eq(&first.decks[0].deck, &second.decks[0].deck));
    assert!(!Arc::ptr_eq(&first.decks[1].deck, &second.decks[1].deck));
    assert!(store.apply(&read()).await.unwrap().is_empty());
}

/// What the log says of a change is bounded, however large it is.
#[tokio::test]
async fn the_log_of_a_large_change_is_short() {
    let folder = written(300);
    let business = Business::from_folder(folder.path(), "realm").expect("it is good");
    let store = Store::open(database(folder.path())).await.unwrap();
    let lines = store.apply(&business).await.unwrap().log_lines();
    assert_eq!(lines.len(), 101, "{lines:#?}");
    assert_eq!(lines[100], "and 801 more objects: 801 added, 0 changed, 0 removed");
    assert!(lines.iter().all(|line| line.chars().count() <= 1_003));
}

fn accounts(count: usize) -> String {
    let mut text =
        String::from("[[account]]\nname = \"v\"\nkind = \"vendor\"\ncurrency = \"EUR\"\n");
    for n in 0..count {
        let _ =
            write!(text, "[[account]]\nname = \"a{n}\"\ncurrency = \"EUR\"\ncredit_limit = 5\n");
    }
    text
}

/// A business of so many accounts, customer trunks of every kind, and vendor trunks.
fn written(count: usize) -> Folder {
    let mut text = accounts(count);
    for n in 0..count {
        let (high, low) = (n / 256, n % 256);
        let how = match n % 4 {
            0 => format!("addresses = [\"10.{high}.{low}.0/28\", \"10.{high}.{low}.16\"]"),
            1 => format!("addresses = [\"192.0.2.1:{}\"]", 1024 + n),
            2 => format!(
                "authentication = \"both\"\naddresses = [\"198.51.100.0/24\"]\nuser = \"u{n}\"\n\
                 password = \"a long password\""
            ),
            _ => format!(
                "authentication = \"digest\"\nuser = \"u{n}\"\npassword = \"a long password\""
            ),
        };
        let _ = write!(
            text,
            "[[customer_trunk]]\nname = \"c{n}\"\naccount = \"a{n}\"\n{how}\n\
             [[vendor_trunk]]\nname = \"v{n}\"\naccount = \"v\"\ntargets = [\"203.0.113.7\"]\n\
             prefixes = [\"{n}\"]\n"
        );
    }
    let folder = Folder::new("scale");
    std::fs::write(folder.join("all.toml"), text).expect("a configuration file");
    folder
}

/// Processor time of this thread, from the scheduler (Linux): other programs do not count.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number"))
}
