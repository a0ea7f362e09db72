//! Decks in the database: what is written again, and what comes back.

use crate::support::configuration::configuration;
use crate::support::folder::Folder;
use business::Business;
use ledger::{Money, RateDeck, RateRow};
use strowger_store::Store;

const DECK: &str = "[[deck]]\nname = \"retail\"\ncurrency = \"EUR\"\nfile = \"retail.csv\"\n";

fn business(sheet: &str) -> Business {
    let folder = configuration(&[("all.toml", DECK), ("retail.csv", sheet)]);
    Business::from_folder(folder.path(), "realm").expect("a good configuration")
}

/// Applies these rows; a restart finds them.
async fn stored(store: &Store, business: &mut Business, rows: &[RateRow]) {
    business.decks[0].rows = rows.to_vec();
    store.apply(business).await.expect("the store takes it");
    let loaded = store.load().await.expect("it reads back");
    let wanted = RateDeck::from_rows("retail", "EUR", rows.to_vec()).expect("a deck");
    assert!(loaded.decks[0].deck.rows().eq(wanted.rows()), "{} rows", rows.len());
    let again = store.apply(business).await.expect("the store takes it");
    assert!(again.is_empty(), "{again}");
}

/// Rows that are as they were are not written; those around a change are, in their order.
#[tokio::test]
async fn rows_that_change_come_and_go_are_stored_over_those_that_stay() {
    let mut sheet = String::from("prefix,destination,price,valid_from\n");
    for number in 0..330 {
        sheet.push_str(&format!("4{number:03},somewhere {},0.0{number},\n", number % 7));
    }
    let mut business = business(&sheet);
    let rows = business.decks[0].rows.clone();
    let folder = Folder::new("deck-rows");
    let store = Store::open(folder.join("strowger.db")).await.unwrap();
    stored(&store, &mut business, &rows).await;

    let mut changed = rows.clone();
    changed[7].price.connect_fee = Money::ONE;
    changed[149].blocked = true;
    changed[150].valid_to_ms = Some(1_900_000_000_000);
    stored(&store, &mut business, &changed).await;

    let mut longer = changed.clone();
    longer.insert(100, RateRow { prefix: "9".into(), ..rows[0].clone() });
    longer.push(RateRow { valid_from_ms: 1_800_000_000_000, ..rows[0].clone() });
    stored(&store, &mut business, &longer).await;

    stored(&store, &mut business, &longer[..99]).await;
    stored(&store, &mut business, &[]).await;
    stored(&store, &mut business, &rows).await;
}

/// Whatever a cell holds comes back as it was, without the space around it.
#[tokio::test]
async fn odd_destinations_and_the_greatest_numbers_come_back() {
    let sheet = "prefix , destination,price,minimum_charge,valid_from,valid_to\n\
                 \u{a0} 44\t,\"a \"\"b\"\", c\nd \",0.1,,,\n\
                 45,\\u0041 Z\u{fc}rich \u{1f4de}\u{1}\u{7f},922337203.6854775807,0.0000000001,\
                 1970-01-01,9999-12-31\n\
                 46,,.5,922337203.6854775807,9999-12-30,9999-12-31T23:59:59.999Z\n";
    let mut business = business(sheet);
    let rows = business.decks[0].rows.clone();
    assert_eq!((rows[0].prefix.as_str(), &*rows[0].destination), ("44", "a \"b\", c\nd"));
    assert_eq!(rows[1].price.price_first, Money(i64::MAX.into()));
    let folder = Folder::new("deck-cells");
    let store = Store::open(folder.join("strowger.db")).await.unwrap();
    stored(&store, &mut business, &rows).await;
    let odd = RateRow { destination: "nul \u{0} after".into(), ..rows[0].clone() };
    stored(&store, &mut business, &[odd]).await;
}
