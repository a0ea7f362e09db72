//! Objects written one by one: revisions, history, and what the folder leaves alone.

use crate::support::configuration::{SMALL, configuration};
use crate::support::database::database;
use crate::support::folder::Folder;
use business::Business;
use ledger::{Money, NumberChange, PriceRow, RateLookup, RateRow, RowChange};
use serde_json::{Map, Value, json};
use strowger_store::{Edit, Edited, ObjectKind, Ownership, Payment, Store, StoreError};

const DECK: &str = "[[deck]]\nname = \"retail\"\ncurrency = \"EUR\"\nfile = \"retail.csv\"\n";

fn business(text: &str) -> Business {
    let files = [("all.toml", text), ("retail.csv", "prefix,price\n44,0.1\n49,0.2\n447,0.3\n")];
    Business::from_folder(configuration(&files).path(), "realm").expect("a good configuration")
}

async fn open(folder: &Folder) -> Store {
    let store = Store::open(database(folder.path())).await.expect("the store works");
    store.apply(&business(&format!("{DECK}{SMALL}"))).await.expect("the store works");
    store
}

fn body(fields: Value) -> Option<Map<String, Value>> {
    fields.as_object().cloned()
}

fn account(name: &str, revision: Option<u64>, fields: Value) -> Edit {
    let mut whole = body(json!({ "name": name, "currency": "EUR" })).expect("an object");
    whole.extend(body(fields).expect("an object"));
    Edit {
        kind: ObjectKind::Account,
        name: name.to_owned(),
        body: Some(whole),
        revision,
        who: "tester".to_owned(),
        owner: Ownership::Api,
    }
}

#[tokio::test]
async fn one_object_is_made_changed_and_removed_with_revisions_and_a_history() {
    let folder = Folder::new("edit");
    let store = open(&folder).await;
    let made =
        store.edit(&account("new", None, json!({ "opening_balance": "7.5" }))).await.unwrap();
    assert_eq!((made.id, made.revision), (3, 1));
    assert_eq!(store.balance(3).await.unwrap(), "7.5".parse().ok());
    assert!(store.prove().await.unwrap().faults.is_empty());
    let changed = account("new", Some(1), json!({ "credit_limit": "10", "opening_balance": "9" }));
    let Edited { revision, change, .. } = store.edit(&changed).await.unwrap();
    assert_eq!(revision, 2);
    assert_eq!(change.unwrap().details, ["credit_limit: (none) -> 10"], "what was booked stays");
    // The same again is no change.
    let again = Edit { revision: Some(2), ..changed.clone() };
    assert_eq!(store.edit(&again).await.unwrap().change, None);
    let stale = store.edit(&changed).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale { seen: Some(1), now: Some(2), .. }), "{stale}");
    assert!(stale.to_string().contains("revision 1 was seen, it has 2"), "{stale}");
    let twice = store.edit(&account("new", None, json!({}))).await.unwrap_err().to_string();
    assert!(twice.contains("there is a account `new` already"), "{twice}");
    let euro = account("new", Some(2), json!({ "currency": "USD" }));
    assert!(store.edit(&euro).await.unwrap_err().to_string().contains("BILL-74"));

    let gone = Edit { body: None, revision: Some(2), ..changed.clone() };
    let owing = store.edit(&gone).await.unwrap_err().to_string();
    assert!(owing.contains("its balance is 7.5; book a payment of -7.5 first"), "{owing}");
    let amount = "-7.5".parse().unwrap();
    let payment = Payment { account: 3, amount, note: String::new(), key: None };
    store.pay(&payment).await.unwrap();
    assert_eq!(store.edit(&gone).await.unwrap().revision, 3);
    let absent = store.edit(&gone).await.unwrap_err().to_string();
    assert!(absent.contains("there is no account `new`"), "{absent}");
    let object = store.object(ObjectKind::Account, "new").await.unwrap().unwrap();
    assert!(object.removed && object.origin == Ownership::Api && object.revision == 3);
    let back = store.edit(&account("new", None, json!({}))).await.unwrap();
    assert_eq!((back.id, back.revision), (3, 4), "it comes back with its id");

    let history = store.history(ObjectKind::Account, 3, 10).await.unwrap();
    let steps: Vec<(u64, &str, &str)> =
        history.iter().map(|step| (step.revision, &*step.action, &*step.who)).collect();
    let expected = [
        (4, "added", "tester"),
        (3, "removed", "tester"),
        (2, "changed", "tester"),
        (1, "added", "tester"),
    ];
    assert_eq!(steps, expected);
    assert_eq!(history[2].body.as_ref().unwrap()["credit_limit"], "10");
    assert_eq!(history[1].body, None);
    let of_folder = store.history(ObjectKind::Account, 1, 10).await.unwrap();
    assert_eq!((of_folder.len(), &*of_folder[0].who), (1, "folder"));
}

/// The folder neither removes nor changes what the API made or changed, says so, and takes it back
/// where it is told to.
#[tokio::test]
async fn a_folder_leaves_alone_what_is_the_apis() {
    let folder = Folder::new("owners");
    let store = open(&folder).await;
    store.edit(&account("made", None, json!({}))).await.unwrap();
    let acme = account("acme", Some(1), json!({ "opening_balance": "100", "credit_limit": "50" }));
    store.edit(&acme).await.unwrap();
    let wanted = business(&format!("{DECK}{SMALL}"));
    for _ in 0..2 {
        let changes = store.apply(&wanted).await.unwrap();
        assert!(changes.is_empty(), "{changes}");
        let [notice] = &changes.notices[..] else { panic!("{changes}") };
        assert!(notice.contains("account acme: it was changed by itself"), "{notice}");
    }
    let credit = |loaded: &strowger_store::Loaded| loaded.accounts[0].account.credit_limit;
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.accounts.len(), credit(&loaded)), (3, "50".parse().ok()));

    let changes = store.apply_over(&wanted).await.unwrap();
    assert!(changes.to_string().contains("credit_limit: 50 -> 0"), "{changes}");
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.accounts.len(), credit(&loaded)), (3, Some(Money::ZERO)), "`made` stays");
    assert!(store.apply(&wanted).await.unwrap().notices.is_empty());
    let object = store.object(ObjectKind::Account, "acme").await.unwrap().unwrap();
    assert_eq!((object.origin, object.revision), (Ownership::File, 3));

    // What the API has removed the folder does not bring back by itself.
    let office = Edit {
        kind: ObjectKind::CustomerTrunk,
        name: "office".to_owned(),
        body: None,
        revision: Some(1),
        who: "tester".to_owned(),
        owner: Ownership::Api,
    };
    store.edit(&office).await.unwrap();
    let notices = store.apply(&wanted).await.unwrap().notices;
    assert!(notices[0].contains("customer_trunk office: it was removed by itself"), "{notices:?}");
    assert!(store.load().await.unwrap().customer_trunks.is_empty());
    store.apply_over(&wanted).await.unwrap();
    assert_eq!(store.load().await.unwrap().customer_trunks.len(), 1);
}

#[tokio::test]
async fn rows_of_a_deck_are_put_and_removed_one_by_one() {
    let folder = Folder::new("rows");
    let store = open(&folder).await;
    let row = |prefix: &str, cents: i128| RateRow {
        prefix: prefix.into(),
        destination: "".into(),
        price: PriceRow {
            price_first: Money(cents * Money::ONE.0 / 100),
            price_next: Money(cents * Money::ONE.0 / 100),
            first_increment_s: 1,
            next_increment_s: 1,
            ..PriceRow::default()
        },
        valid_from_ms: 0,
        valid_to_ms: None,
        blocked: false,
    };
    let changes = [
        RowChange::Put(row("44", 15)),
        RowChange::Put(row("33", 40)),
        RowChange::Remove { prefix: "447".into(), valid_from_ms: 0 },
    ];
    let done = store.edit_rows("retail", 1, "tester", &changes).await.unwrap();
    assert_eq!(done.revision, 2);
    let details = done.change.unwrap().details.join("\n");
    for told in ["prefix 44: ", "prefix 33: (none) -> ", "prefix 447: "] {
        assert!(details.contains(told), "{details}");
    }
    let loaded = store.load().await.unwrap();
    let deck = &loaded.decks[0].deck;
    let price = |number: &str| match deck.find(number, 1) {
        RateLookup::Found(found) => found.price.price_first.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!([price("447"), price("33"), price("49")], ["0.15", "0.4", "0.2"]);
    assert_eq!(deck.len(), 3);
    // A load beside the one before sees that it has changed.
    let beside = store.load_beside(&loaded.decks).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&beside.decks[0].deck, deck), "nothing has changed since");
    store.edit_rows("retail", 2, "tester", &[RowChange::Put(row("44", 16))]).await.unwrap();
    let beside = store.load_beside(&loaded.decks).await.unwrap();
    assert!(!std::sync::Arc::ptr_eq(&beside.decks[0].deck, deck));

    let stale = store.edit_rows("retail", 1, "tester", &changes).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale { .. }), "{stale}");
    let same = store.edit_rows("retail", 3, "tester", &[RowChange::Put(row("44", 16))]).await;
    assert_eq!(same.unwrap().change, None);
    let notices = store.apply(&business(&format!("{DECK}{SMALL}"))).await.unwrap().notices;
    assert!(notices.iter().any(|notice| notice.contains("deck retail")), "{notices:?}");
}

/// What is referred to stays, and what is not there is not referred to.
#[tokio::test]
async fn objects_that_are_referred_to_stay() {
    let folder = Folder::new("references");
    let store = open(&folder).await;
    let remove = |kind, name: &str, revision| Edit {
        kind,
        name: name.to_owned(),
        body: None,
        revision: Some(revision),
        who: "tester".to_owned(),
        owner: Ownership::Api,
    };
    let refused =
        store.edit(&remove(ObjectKind::Account, "acme", 1)).await.unwrap_err().to_string();
    assert!(refused.contains("customer_trunk office has it as `account`"), "{refused}");
    let nowhere = account("below", None, json!({ "parent": "nobody" }));
    let refused = store.edit(&nowhere).await.unwrap_err().to_string();
    assert!(
        refused.contains("parent = \"nobody\" is refused: there is no such account"),
        "{refused}"
    );
    let itself = account("below", None, json!({ "parent": "below" }));
    assert!(store.edit(&itself).await.is_err());
    // The API's account leans on a deck of the folder, which then has it no more.
    store.edit(&account("leaning", None, json!({ "deck": "retail" }))).await.unwrap();
    let refused = store.apply(&business(SMALL)).await.unwrap_err().to_string();
    assert!(refused.contains("account leaning: deck = \"retail\" is refused"), "{refused}");
    assert_eq!(store.load().await.unwrap().decks.len(), 1, "nothing has changed");
    store.edit(&remove(ObjectKind::Account, "leaning", 1)).await.unwrap();
    store.apply(&business(SMALL)).await.unwrap();
    assert!(store.load().await.unwrap().decks.is_empty());
}

fn put(number: &str, value: &str) -> NumberChange {
    NumberChange::Put { number: number.to_owned(), value: value.to_owned() }
}

/// A number list without a file keeps its rows in the database, each with a line in the history.
#[tokio::test]
async fn rows_of_a_number_list_are_changed_one_by_one() {
    let folder = Folder::new("list-rows");
    let store = open(&folder).await;
    let (kind, name) = (ObjectKind::NumberList, "barred".to_owned());
    let body = body(json!({ "name": "barred", "kind": "exact" }));
    let (who, owner) = ("tester".to_owned(), Ownership::Api);
    let edit = Edit { kind, name, body, revision: None, who, owner };
    let made = store.edit(&edit).await.unwrap();
    let rows = [put("4420", "spam"), put("", "rest"), put("49", "")];
    let written = store.edit_list("barred", 1, "tester", &rows).await.unwrap();
    assert_eq!(written.revision, 2);
    let details = written.change.unwrap().details;
    assert_eq!(details, ["+ 4420 = spam", "+  = rest", "+ 49"]);
    let table = store.list_table(made.id).await.unwrap();
    assert_eq!((table.len(), table.get("4420"), table.get("")), (3, Some("spam"), Some("rest")));
    let stale = store.edit_list("barred", 1, "tester", &rows).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale { .. }), "{stale}");
    let same = store.edit_list("barred", 2, "tester", &rows).await.unwrap();
    assert_eq!((same.revision, same.change), (2, None));

    let changes = [put("4420", "fraud"), NumberChange::Remove("49".to_owned())];
    let written = store.edit_list("barred", 2, "tester", &changes).await.unwrap();
    assert_eq!(written.change.unwrap().details, ["~ 4420: spam -> fraud", "- 49"]);
    let pages = [
        store.list_page(made.id, None, 1).await.unwrap(),
        store.list_page(made.id, Some(""), 1).await.unwrap(),
        store.list_page(made.id, Some("4420"), 1).await.unwrap(),
    ];
    let row = |number: &str, value: &str| (number.to_owned(), value.to_owned());
    assert_eq!(pages, [vec![row("", "rest")], vec![row("4420", "fraud")], vec![]]);
    // The folder leaves it alone.
    assert!(store.apply(&business(&format!("{DECK}{SMALL}"))).await.unwrap().is_empty());
    assert_eq!(store.load().await.unwrap().number_lists.len(), 1);
    assert_eq!(store.history(kind, made.id, 10).await.unwrap().len(), 3);
}

/// More rows than are read at once.
#[tokio::test]
async fn a_number_list_of_many_rows_reads_back_whole() {
    let folder = Folder::new("long-list");
    let store = open(&folder).await;
    let (kind, name) = (ObjectKind::NumberList, "long".to_owned());
    let body = body(json!({ "name": "long" }));
    let (who, owner) = ("tester".to_owned(), Ownership::Api);
    let id = store.edit(&Edit { kind, name, body, revision: None, who, owner }).await.unwrap().id;
    let rows: Vec<NumberChange> = (0..12_000).map(|n| put(&n.to_string(), "")).collect();
    let written = store.edit_list("long", 1, "tester", &rows).await.unwrap();
    let details = written.change.unwrap().details;
    assert_eq!((details.len(), &*details[100]), (101, "and 11900 more rows"));
    assert_eq!(store.list_table(id).await.unwrap().len(), 12_000);
}

#[tokio::test]
async fn rows_of_a_deck_are_read_in_pages() {
    let folder = Folder::new("deck-page");
    let store = open(&folder).await;
    let id = store.object(ObjectKind::Deck, "retail").await.unwrap().unwrap().id;
    let prefixes = |rows: &[(i64, RateRow)]| -> Vec<String> {
        rows.iter().map(|(_, row)| row.prefix.as_str().to_owned()).collect()
    };
    let first = store.deck_page(id, None, "", 2).await.unwrap();
    assert_eq!(prefixes(&first), ["44", "49"]);
    let second = store.deck_page(id, Some(first[1].0), "", 2).await.unwrap();
    assert_eq!(prefixes(&second), ["447"]);
    assert_eq!(prefixes(&store.deck_page(id, None, "44", 9).await.unwrap()), ["44", "447"]);
    assert_eq!(prefixes(&store.deck_page(id, None, "5", 9).await.unwrap()), [""; 0]);
}

/// Settings of plugins come from the node file until they are changed one by one.
#[tokio::test]
async fn settings_of_plugins_are_those_of_the_node_file_or_of_the_api() {
    let folder = Folder::new("plugin-settings");
    let store = open(&folder).await;
    let of_file = |attempts: u32| [("routing".to_owned(), json!({ "attempts": attempts }))];
    let (changes, objects) = store.bring_plugin_settings(&of_file(3)).await.unwrap();
    assert_eq!((changes.changes.len(), objects.len()), (1, 1));
    let (changes, _) = store.bring_plugin_settings(&of_file(4)).await.unwrap();
    assert_eq!(changes.changes[0].details, ["config.attempts: 3 -> 4"]);

    let config = json!({ "attempts": 5, "webhook": { "api_token": "hush" } });
    let (kind, name) = (ObjectKind::PluginSettings, "routing".to_owned());
    let body = body(json!({ "name": "routing", "config": config }));
    let (who, owner) = ("tester".to_owned(), Ownership::Api);
    let edit = Edit { kind, name, body, revision: Some(2), who, owner };
    let details = store.edit(&edit).await.unwrap().change.unwrap().details;
    let webhook = "config.webhook: (none) -> {\"api_token\":\"(secret)\"}";
    assert_eq!(details, ["config.attempts: 4 -> 5", webhook]);
    let (changes, objects) = store.bring_plugin_settings(&of_file(6)).await.unwrap();
    assert!(changes.is_empty(), "{changes}");
    assert!(changes.notices[0].contains("plugin routing: its settings"), "{changes}");
    assert_eq!(objects[0].body["config"], config);
    // Back to those of the node file.
    let back = json!({ "name": "routing", "config": { "attempts": 6 } }).as_object().cloned();
    let back = Edit { body: back, revision: Some(3), owner: Ownership::File, ..edit };
    assert_eq!(store.edit(&back).await.unwrap().revision, 4);
    assert!(store.bring_plugin_settings(&of_file(6)).await.unwrap().0.notices.is_empty());
}
