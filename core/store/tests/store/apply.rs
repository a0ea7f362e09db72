//! Applying a configuration to a database, and reading it back.

use crate::support::configuration::{SMALL, configuration};
use crate::support::database::{contents, database};
use crate::support::folder::Folder;
use business::Business;
use ledger::{Money, RateLookup};
use strowger_store::{Action, Payment, Store};

fn business(files: &[(&str, &str)]) -> Business {
    Business::from_folder(configuration(files).path(), "realm").expect("a good configuration")
}

const DIGEST: &str = r#"
[[customer_trunk]]
name = "phones"
account = "acme"
authentication = "digest"
user = "phones"
password = "a long enough secret"
"#;

#[tokio::test]
async fn what_was_applied_is_loaded_with_ids_and_balances() {
    let folder = Folder::new("apply");
    let store = Store::open(database(folder.path())).await.unwrap();
    let wanted = business(&[("all.toml", &format!("{SMALL}{DIGEST}"))]);
    let preview = store.preview(&wanted).await.unwrap();
    assert!(store.load().await.unwrap().accounts.is_empty(), "a preview changes nothing");
    let changes = store.apply(&wanted).await.unwrap();
    assert_eq!(preview, changes);
    assert_eq!(changes.changes.len(), 5, "{changes}");
    assert!(changes.to_string().contains("+ account acme"), "{changes}");
    assert!(store.apply(&wanted).await.unwrap().is_empty(), "the second time nothing differs");

    drop(store);
    let store = Store::open(database(folder.path())).await.unwrap();
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.accounts[0].balance, Money(100 * Money::ONE.0));
    assert_eq!(loaded.customer_trunks[0].trunk, wanted.customer_trunks[0]);
    assert_eq!(loaded.customer_trunks[0].account_id, loaded.accounts[0].id);
    assert_eq!(loaded.customer_trunks[1].trunk.ha1_md5, wanted.customer_trunks[1].ha1_md5);
    assert_eq!(loaded.vendor_trunks[0].trunk, wanted.vendor_trunks[0]);
    assert!(store.prove().await.unwrap().faults.is_empty());
    let file = contents(folder.path());
    assert!(file.windows(8).any(|part| part == b"ha1_md5\""), "it is what was asked for");
    let secret = b"a long enough secret";
    assert!(!file.windows(secret.len()).any(|part| part == secret), "SIG-51");
}

#[tokio::test]
async fn a_difference_names_fields_and_ids_stay_with_names() {
    let folder = Folder::new("difference");
    let store = Store::open(database(folder.path())).await.unwrap();
    store.apply(&business(&[("all.toml", SMALL)])).await.unwrap();
    let before = store.load().await.unwrap();

    let less = SMALL
        .replacen("prefixes = [\"44\",", "channels = 5\nprefixes = [\"44\",", 1)
        .replacen("opening_balance = \"100\"", "opening_balance = \"50\"", 1);
    let changes = store.apply(&business(&[("all.toml", &less)])).await.unwrap();
    assert_eq!(changes.changes.len(), 1, "{changes}");
    assert_eq!(changes.changes[0].details, ["channels: 0 -> 5"]);
    assert!(changes.notices[0].contains("booked when the account was made"), "{changes}");
    assert_eq!(
        store.balance(before.accounts[0].id).await.unwrap(),
        before.accounts[0].balance.into()
    );

    let without: String = SMALL.split("[[vendor_trunk]]").next().unwrap().to_owned();
    let changes = store.apply(&business(&[("all.toml", &without)])).await.unwrap();
    assert_eq!(changes.changes[0].action, Action::Removed);
    assert!(store.load().await.unwrap().vendor_trunks.is_empty());

    store.apply(&business(&[("all.toml", SMALL)])).await.unwrap();
    let after = store.load().await.unwrap();
    assert_eq!(after.vendor_trunks[0].id, before.vendor_trunks[0].id, "the same trunk again");
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused_and_nothing_changes() {
    let folder = Folder::new("ids");
    let store = Store::open(database(folder.path())).await.unwrap();
    store.apply(&business(&[("all.toml", SMALL)])).await.unwrap();
    let moved = SMALL.replacen("name = \"acme\"", "name = \"acme\"\nid = 9", 1);
    let error = store.apply(&business(&[("all.toml", &moved)])).await.unwrap_err().to_string();
    assert_eq!(error, "account acme: id = 9 is refused, it has id 1 for ever");
    let added = format!("{SMALL}\n[[account]]\nname = \"new\"\nid = 1\ncurrency = \"EUR\"\n");
    let error = store.apply(&business(&[("all.toml", &added)])).await.unwrap_err().to_string();
    assert_eq!(error, "account new: id = 1 is refused, it is that of acme");
    assert_eq!(store.load().await.unwrap().accounts.len(), 2);
}

#[tokio::test]
async fn a_deck_of_a_hundred_thousand_rows_applies() {
    let mut sheet = String::from("prefix,destination,price\n");
    for number in 0..100_000 {
        sheet.push_str(&format!("4{number:05},somewhere {},0.0{number}\n", number % 500));
    }
    let toml = "[[deck]]\nname = \"retail\"\ncurrency = \"EUR\"\nfile = \"retail.csv\"\n";
    let wanted = business(&[("decks.toml", toml), ("retail.csv", &sheet)]);
    let folder = Folder::new("deck");
    let store = Store::open(database(folder.path())).await.unwrap();
    store.apply(&wanted).await.unwrap();
    let deck = &store.load().await.unwrap().decks[0].deck;
    let RateLookup::Found(row) = deck.find("41234500", 1) else { panic!("no row") };
    assert_eq!(row.price.price_first, "0.012345".parse().unwrap());
    assert_eq!(&**row.destination, "somewhere 345");
    let fewer = wanted.decks[0].rows[..10].to_vec();
    let mut wanted = wanted;
    wanted.decks[0].rows = fewer;
    let changes = store.apply(&wanted).await.unwrap();
    assert!(changes.changes[0].details.iter().any(|d| d == "rows: 100000 -> 10"), "{changes}");
    assert_eq!(store.load().await.unwrap().decks[0].deck.find("4999999", 1), RateLookup::None);
}

/// BILL-46, BILL-48
#[tokio::test]
async fn a_payment_moves_the_balance_exactly() {
    let folder = Folder::new("pay");
    let store = Store::open(database(folder.path())).await.unwrap();
    store.apply(&business(&[("all.toml", SMALL)])).await.unwrap();
    let payment = |account, amount| Payment { account, amount, note: String::new(), key: None };
    let paid = store.pay(&payment(1, Money(-3))).await.unwrap();
    assert_eq!((paid.balance.to_string().as_str(), paid.booked), ("99.9999999997", true));
    let large: Money = "123456789012.0000000001".parse().unwrap();
    store.pay(&payment(1, large)).await.unwrap();
    assert_eq!(store.postings_sum(1).await.unwrap().to_string(), "123456789111.9999999998");
    assert!(store.prove().await.unwrap().faults.is_empty());
    let error = store.pay(&payment(99, Money::ONE)).await.unwrap_err().to_string();
    assert_eq!(error, "there is no account with id 99");
    assert_eq!(store.postings_sum(99).await.unwrap(), Money::ZERO);
}

/// BILL-46: who hears no answer may ask again under the same key.
#[tokio::test]
async fn a_payment_asked_for_twice_is_booked_once() {
    let folder = Folder::new("pay-twice");
    let store = Store::open(database(folder.path())).await.unwrap();
    store.apply(&business(&[("all.toml", SMALL)])).await.unwrap();
    let payment = |amount, key: &str| Payment {
        account: 1,
        amount,
        note: "bank transfer".to_owned(),
        key: Some(key.to_owned()),
    };
    for booked in [true, false] {
        let paid = store.pay(&payment(Money::ONE, "invoice-7")).await.unwrap();
        assert_eq!((paid.balance.to_string().as_str(), paid.booked), ("101", booked));
    }
    assert!(store.pay(&payment(Money::ONE, "invoice-8")).await.unwrap().booked);
    let error = store.pay(&payment(Money(5), "invoice-7")).await.unwrap_err().to_string();
    assert!(
        error.contains("the key `invoice-7` was used for another payment: 1 to account `acme`")
    );
    assert_eq!(store.balance(1).await.unwrap().map(|sum| sum.to_string()).as_deref(), Some("102"));
    assert!(store.prove().await.unwrap().faults.is_empty());
}
