//! Money in the database: bounds, keys, currencies, charges that come later, and that
//! balances, postings and records tell the same.

use crate::support::configuration::{SMALL, configuration};
use crate::support::database::{Other, database};
use crate::support::documents::call;
use crate::support::folder::Folder;
use business::Business;
use ledger::{CallDocument, Money, Posting, PostingKind};
use std::path::Path;
use std::time::Duration;
use strowger_store::{
    CallFilter, Fault, Kept, Payment, Recorder, RecorderSettings, Rerating, Store,
};

async fn open(folder: &Path) -> Store {
    let store = Store::open(database(folder)).await.expect("the store takes it");
    store.apply(&business(SMALL).expect("the store takes it")).await.expect("the store takes it");
    store
}

fn business(text: &str) -> Result<Business, business::ConfigErrors> {
    Business::from_folder(configuration(&[("all.toml", text)]).path(), "realm")
}

async fn recorder(store: &Store, folder: &Path) -> Recorder {
    let settings = RecorderSettings::default();
    Recorder::start(store, folder.join("journal"), settings).await.expect("the store takes it").0
}

/// What a call lacked on both sides.
fn corrections(sell: Money, buy: Money) -> Vec<Posting> {
    vec![
        Posting { account: 1, amount: -sell, kind: PostingKind::Correction },
        Posting { account: 2, amount: -buy, kind: PostingKind::CostCorrection },
    ]
}

fn payment(amount: &str) -> Payment {
    Payment {
        account: 1,
        amount: amount.parse().expect("an amount"),
        note: String::new(),
        key: None,
    }
}

/// BILL-46: what an account does not hold is refused by name, before anything is booked, and
/// the node starts again.
#[tokio::test]
async fn amounts_and_balances_have_bounds() {
    let folder = Folder::new("bounds");
    let store = open(folder.path()).await;
    for amount in ["999999999999999999", "-999999999999999999", "1000000000000.0000000001"] {
        let refused = store.pay(&payment(amount)).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("amount = {amount} is refused")), "{refused}");
        assert!(refused.contains("at most 1000000000000"), "{refused}");
    }
    // 100 are there already: the last one leads past a million times a thousand million.
    for booked in 0..1000 {
        let paid = store.pay(&payment("1000000000000")).await;
        assert_eq!(paid.is_ok(), booked < 999, "{booked}");
    }
    let refused = store.pay(&payment("999999999900.5")).await.unwrap_err().to_string();
    assert!(refused.contains("an account holds at most 1000000000000000"), "{refused}");
    store.pay(&payment("999999999900")).await.unwrap();
    store.pay(&payment("-1")).await.unwrap();
    let balance = "999999999999999".parse().expect("an amount");
    assert_eq!(store.balance(1).await.unwrap(), Some(balance));
    assert!(store.prove().await.unwrap().faults.is_empty());
    drop(store);
    let store = open(folder.path()).await;
    assert_eq!(store.load().await.unwrap().accounts[0].balance, balance);
}

/// The same bounds where amounts are configured.
#[tokio::test]
async fn configured_amounts_have_bounds() {
    for (field, old, new) in [
        ("opening_balance", "opening_balance = \"100\"", "opening_balance = \"1000000000001\""),
        ("credit_limit", "opening_balance = \"100\"", "credit_limit = \"1000000000001\""),
    ] {
        let refused = business(&SMALL.replacen(old, new, 1)).unwrap_err().to_string();
        let place = format!("all.toml:2: account.{field}");
        assert!(
            refused.contains(&place) || refused.contains(&format!("account.{field}")),
            "{refused}"
        );
        assert!(refused.contains("expected at most 1000000000000"), "{refused}");
    }
}

/// BILL-46: a key belongs to one payment with all that it says, also after a restart.
#[tokio::test]
async fn a_key_books_one_payment_once_also_after_a_restart() {
    let folder = Folder::new("keys");
    let keyed = Payment { key: Some("statement-7".into()), note: "cash".into(), ..payment("5") };
    for round in 0..3 {
        let store = open(folder.path()).await;
        let paid = store.pay(&keyed).await.unwrap();
        assert_eq!((paid.booked, paid.balance), (round == 0, "105".parse().unwrap()));
        let others = [
            Payment { amount: "6".parse().unwrap(), ..keyed.clone() },
            Payment { account: 2, ..keyed.clone() },
            Payment { note: "bank".into(), ..keyed.clone() },
        ];
        for other in others {
            let refused = store.pay(&other).await.unwrap_err().to_string();
            assert!(refused.contains("used for another payment: 5 to account `acme`"), "{refused}");
        }
    }
}

/// BILL-74: amounts that were booked stay what they are.
#[tokio::test]
async fn an_account_with_postings_keeps_its_currency() {
    let folder = Folder::new("currency");
    let store = open(folder.path()).await;
    let dollars = business(&SMALL.replace("EUR", "USD")).unwrap();
    for refused in [store.preview(&dollars).await, store.apply(&dollars).await] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("account acme: currency = \"USD\" is refused"), "{refused}");
        assert!(refused.contains("are in EUR"), "{refused}");
    }
    // Nor does it help to take the money out first, or to remove the account in between.
    store.pay(&payment("-100")).await.unwrap();
    store.apply(&business("").unwrap()).await.unwrap();
    assert!(store.apply(&dollars).await.is_err());

    let fresh = Folder::new("fresh-currency");
    let store = Store::open(database(fresh.path())).await.unwrap();
    let poor = SMALL.replacen("opening_balance = \"100\"", "", 1);
    store.apply(&business(&poor).unwrap()).await.unwrap();
    store.apply(&business(&poor.replace("EUR", "USD")).unwrap()).await.unwrap();
}

/// BILL-74: no exchange rates, no second currency.
#[tokio::test]
async fn two_currencies_are_refused_with_both_places() {
    let mixed = SMALL.replacen(
        "kind = \"vendor\"\ncurrency = \"EUR\"",
        "kind = \"vendor\"\ncurrency = \"USD\"",
        1,
    );
    let refused = business(&mixed).unwrap_err().to_string();
    assert!(refused.contains("account.currency = \"USD\""), "{refused}");
    assert!(refused.contains("account \"acme\" at"), "{refused}");
    assert!(refused.contains("has EUR"), "{refused}");
}

/// A call whose charges were left open at its end.
fn open_call(number: u64) -> Box<CallDocument> {
    let mut document = call(number);
    document.call.rerate = true;
    document.postings.clear();
    let charges = document.call.sell.iter_mut().chain(document.attempts[1].buy.iter_mut());
    for charge in charges {
        charge.amount = Money::ZERO;
        charge.billed_s = 0;
    }
    document
}

fn rerating(seq: i64, number: u64) -> Rerating {
    let (sell, buy) = (Money(50_633_000), Money(41_333_300));
    Rerating {
        id: call(number).call.id,
        seq,
        charges: vec![(0, sell, 62), (2, buy, 62)],
        postings: corrections(sell, buy),
    }
}

/// BILL-73, CDR-07: booked once, the record as it was.
#[tokio::test]
async fn a_call_is_corrected_once_and_its_record_stays() {
    let folder = Folder::new("corrects");
    let store = open(folder.path()).await;
    let recorder = recorder(&store, folder.path()).await;
    recorder.submit(open_call(1));
    recorder.submit(call(2));
    recorder.flush().await;
    let pending = CallFilter { rerate: true, ..CallFilter::default() };
    let [found] = &store.calls(&pending).await.unwrap()[..] else { panic!("one is open") };
    assert_eq!((&found.document, found.corrections.len()), (&*open_call(1), 0));
    let calls = [rerating(found.seq, 1)];
    assert_eq!(store.correct(&calls).await.unwrap(), [true]);
    assert_eq!(store.correct(&calls).await.unwrap(), [false]);
    // Another call's number, or a call that has no open charge: nothing.
    assert_eq!(store.correct(&[rerating(found.seq, 2)]).await.unwrap(), [false]);
    assert_eq!(store.correct(&[rerating(2, 2)]).await.unwrap(), [false]);
    assert!(store.calls(&pending).await.unwrap().is_empty());
    let now = store.call(call(1).call.id).await.unwrap().unwrap();
    assert_eq!(now.document, *open_call(1));
    let [sell, buy] = &now.corrections[..] else { panic!("{:?}", now.corrections) };
    assert_eq!((sell.number, sell.amount, sell.billed_s), (0, Money(50_633_000), 62));
    assert_eq!((buy.number, buy.amount), (2, Money(41_333_300)));
    assert_eq!(store.postings_sum(2).await.unwrap(), Money(-2 * 41_333_300));
    assert!(store.prove().await.unwrap().faults.is_empty());
}

/// CDR-26: old records go with what belongs to them, the newest stays, and so do postings.
#[tokio::test]
async fn old_records_go_and_balances_stay() {
    let folder = Folder::new("purge");
    let store = open(folder.path()).await;
    let recorder = recorder(&store, folder.path()).await;
    for number in 0..1200 {
        recorder.submit(if number == 3 { open_call(number) } else { call(number) });
    }
    recorder.flush().await;
    store.correct(&[rerating(4, 3)]).await.unwrap();
    let balance = store.balance(1).await.unwrap();
    let day = Duration::from_secs(86_400);
    let at = |number: u64| call(number).call.invite_ms + 86_400_000;
    let kept = Kept { calls: None, attempts: Some(day) };
    assert_eq!(store.purge(at(100), kept).await.unwrap().attempts, 100);
    let by_vendor = CallFilter { limit: 10_000, ..CallFilter::default() };
    assert_eq!(store.calls(&by_vendor).await.unwrap().len(), 1200);
    let kept = Kept { calls: Some(day), attempts: Some(day) };
    let purged = store.purge(at(1100), kept).await.unwrap();
    assert_eq!((purged.calls, store.count_calls().await.unwrap()), (1100, 100));
    assert!(store.call(call(3).call.id).await.unwrap().is_none());
    let left = &store.calls(&by_vendor).await.unwrap();
    assert!(left.iter().all(|one| one.document.call.id >= call(1100).call.id));
    // Everything is old: the last one carries the number of the next.
    assert_eq!(store.purge(at(1_000_000), kept).await.unwrap().calls, 99);
    recorder.submit(call(5000));
    recorder.flush().await;
    assert_eq!(store.calls(&by_vendor).await.unwrap()[0].seq, 1201);
    assert_eq!(store.balance(1).await.unwrap(), balance.map(|sum| sum - Money(50_633_000)));
    assert!(store.prove().await.unwrap().faults.is_empty());
}

/// BILL-48: whatever happens in whatever order, a balance is the sum of its postings, and the
/// postings of a call are its charges as they are now.
#[tokio::test]
async fn records_postings_and_balances_tell_the_same() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut dice = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let folder = Folder::new("agree");
    let mut store = open(folder.path()).await;
    let mut running = recorder(&store, folder.path()).await;
    let mut paid = Money(100 * Money::ONE.0);
    for step in 0..400 {
        match dice(20) {
            0 => {
                let amount = Money(i128::from(dice(u64::MAX)) - i128::from(u64::MAX / 2));
                let key = Some(format!("key-{}", dice(30)));
                let payment = Payment { account: 1, amount, note: String::new(), key };
                if store.pay(&payment).await.is_ok_and(|done| done.booked) {
                    paid += amount;
                }
            }
            1 => {
                running.flush().await;
                let pending = CallFilter { rerate: true, limit: 3, ..CallFilter::default() };
                for found in store.calls(&pending).await.unwrap() {
                    let (sell, buy) =
                        (Money(i128::from(dice(1000))), Money(i128::from(dice(1000))));
                    let again = Rerating {
                        id: found.document.call.id,
                        seq: found.seq,
                        charges: vec![(0, sell, 1), (2, buy, 1)],
                        postings: corrections(sell, buy),
                    };
                    store.correct(&[again.clone(), again]).await.unwrap();
                }
            }
            2 => {
                running.flush().await;
                drop((running, store));
                store = open(folder.path()).await;
                running = loop {
                    let journal = folder.join("journal");
                    match Recorder::start(&store, journal, RecorderSettings::default()).await {
                        Ok((recorder, _)) => break recorder,
                        Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                };
            }
            _ => {
                let number = dice(step + 1);
                let mut document = if number % 3 == 0 { open_call(number) } else { call(number) };
                if number % 3 != 0 {
                    let amount = Money(i128::from(number) * 7_777_777_777);
                    document.call.sell.as_mut().unwrap().amount = amount;
                    document.postings[0].amount = -amount;
                }
                running.submit(document);
            }
        }
    }
    running.flush().await;
    assert!(store.prove().await.unwrap().faults.is_empty());
    let all = CallFilter { limit: 10_000, ..CallFilter::default() };
    let mut spent = [Money::ZERO; 2];
    for found in store.calls(&all).await.unwrap() {
        for Posting { account, amount, kind } in &found.document.postings {
            assert!(matches!(kind, PostingKind::CallCharge | PostingKind::VendorCost));
            spent[*account as usize - 1] -= *amount;
        }
        for correction in &found.corrections {
            spent[usize::from(correction.number > 0)] += correction.amount;
        }
    }
    assert_eq!(store.balance(1).await.unwrap(), Some(paid - spent[0]));
    assert_eq!(store.balance(2).await.unwrap(), Some(-spent[1]));
}

/// BILL-48: every posting has two sides; accounts and books together are nothing, and what
/// contradicts that is named.
#[tokio::test]
async fn bill_48_the_books_are_proven_and_each_contradiction_is_named() {
    let folder = Folder::new("books");
    let store = open(folder.path()).await;
    store.pay(&payment("50.5")).await.unwrap();
    let recorder = recorder(&store, folder.path()).await;
    recorder.submit(call(1));
    recorder.flush().await;
    let proof = store.prove().await.unwrap();
    assert_eq!(proof.faults, []);
    assert_eq!((proof.accounts, proof.postings), (2, 4));
    let books: Vec<String> =
        proof.books.iter().map(|(name, balance)| format!("{name} {balance}")).collect();
    let expected =
        ["cash -50.5", "opening -100", "purchases 0.00413333", "resale 0", "sales 0.0050633"];
    assert_eq!(books, expected);
    assert_eq!(proof.owed + proof.books.values().copied().sum::<Money>(), Money::ZERO);

    let mut other = Other::connect(folder.path()).await;
    let tampered = |text: &'static str, told: fn(&[Fault]) -> bool| (text, told);
    for (text, told) in [
        tampered("UPDATE account SET balance_units = balance_units + 1 WHERE id = 1", |faults| {
            matches!(faults, [Fault::Balance { account: 1, .. }, Fault::Unbalanced { .. }])
        }),
        tampered(
            "UPDATE book SET balance_units = balance_units - 1 WHERE name = 'cash'",
            |faults| matches!(faults, [Fault::Balance { .. }, Fault::Book { book, .. }] if book == "cash"),
        ),
        tampered("UPDATE posting SET kind = 'gift' WHERE kind = 'opening'", |faults| {
            let gift = |fault: &Fault| matches!(fault, Fault::Kind { kind } if kind == "gift");
            faults.iter().any(gift)
        }),
        tampered("UPDATE posting SET units = units - 1 WHERE kind = 'call_charge'", |faults| {
            let charge = |fault: &Fault| matches!(fault, Fault::Charge { account: 1, .. });
            faults.iter().any(charge)
        }),
        tampered("UPDATE posting SET call_seq = 99 WHERE kind = 'vendor_cost'", |faults| {
            faults.iter().any(|fault| matches!(fault, Fault::Orphan { call: 99, account: 2 }))
        }),
    ] {
        other.execute(text, text).await;
        let faults = store.prove().await.unwrap().faults;
        assert!(told(&faults), "{text}: {faults:?}");
    }
}
