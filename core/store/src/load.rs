//! Reads the business objects with their ids and balances.

use crate::amount::join;
use crate::apply::json;
use crate::db::{Connection, Statement, values};
use crate::error::{StoreError, Task};
use crate::objects::{CUSTOMER_TRUNKS, DECKS, NUMBER_LISTS, RULE_SETS, Table, VENDOR_TRUNKS};
use crate::spent::fill_spent;
use crate::store::Store;
use business::{Account, CustomerTrunk, NumberList, RuleSet, VendorTrunk};
use ledger::{Money, PriceRow, RateDeck, RateDeckBuilder, RateRow, Spent, Text};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The business objects in use.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Accounts by id.
    pub accounts: Vec<LoadedAccount>,
    /// Customer trunks by id.
    pub customer_trunks: Vec<LoadedTrunk<CustomerTrunk>>,
    /// Vendor trunks by id.
    pub vendor_trunks: Vec<LoadedTrunk<VendorTrunk>>,
    /// Decks.
    pub decks: Vec<LoadedDeck>,
    /// Rule sets.
    pub rule_sets: Vec<RuleSet>,
    /// Number lists by id.
    pub number_lists: Vec<LoadedList>,
}

/// An account with its state in the database.
#[derive(Clone, Debug)]
pub struct LoadedAccount {
    /// Numeric id.
    pub id: u32,
    /// Sum of its postings. While calls are recorded it lags by up to the recorder's
    /// `store_window`, so a running node keeps its purses.
    pub balance: Money,
    /// Cost of its calls today and this month (UTC), if it has a cap.
    pub spent: Spent,
    /// The account as configured.
    pub account: Account,
}

/// A trunk and its ids.
#[derive(Clone, Debug)]
pub struct LoadedTrunk<T> {
    /// Numeric id.
    pub id: u32,
    /// Id of its account.
    pub account_id: u32,
    /// The trunk as configured.
    pub trunk: T,
}

/// A number list. Its rows are in its file ([`NumberList::fill`]) or in the database
/// ([`Store::list_table`]).
#[derive(Clone, Debug)]
pub struct LoadedList {
    /// Numeric id.
    pub id: u32,
    /// The list as configured.
    pub list: NumberList,
}

/// A deck, ready for lookups. A clone shares it.
#[derive(Clone, Debug)]
pub struct LoadedDeck {
    /// Its body in the database, which identifies the deck's state.
    body: String,
    /// The deck.
    pub deck: Arc<RateDeck>,
}

impl LoadedDeck {
    /// A deck just written, with its body in the database.
    #[must_use]
    pub fn written(body: &Map<String, Value>, deck: Arc<RateDeck>) -> LoadedDeck {
        LoadedDeck { body: json(body), deck }
    }

    /// The same state of the deck in another representation.
    #[must_use]
    pub fn held_as(&self, deck: Arc<RateDeck>) -> LoadedDeck {
        LoadedDeck { body: self.body.clone(), deck }
    }
}

pub(crate) static LOAD_ACCOUNTS: Statement = Statement::both(
    "SELECT id, name, body, balance_units, balance_fraction \
     FROM account WHERE NOT removed ORDER BY id",
);
/// Many rows in one text: the driver's work per cell would dominate.
pub(crate) static LOAD_DECK_ROWS: Statement = Statement::each(
    "SELECT json_group_array(json_array(number, prefix, destination, price_first, price_next, \
     connect_fee, first_increment, next_increment, free_seconds, minimum_charge, valid_from_ms, \
     valid_to_ms, blocked)) FROM (SELECT * FROM deck_row WHERE deck = ? AND number >= ? \
     ORDER BY number LIMIT 2000)",
    "SELECT COALESCE(CAST(json_agg(json_build_array(number, prefix, destination, price_first, \
     price_next, connect_fee, first_increment, next_increment, free_seconds, minimum_charge, \
     valid_from_ms, valid_to_ms, CAST(blocked AS INTEGER))) AS TEXT), '[]') FROM (SELECT * \
     FROM deck_row WHERE deck = ? AND number >= ? ORDER BY number LIMIT 2000) AS page",
);

impl Store {
    /// Reads every object that is in use.
    ///
    /// # Errors
    ///
    /// The database fails or a row is unreadable.
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        self.load_beside(&[]).await
    }

    /// The number lists that are in use.
    ///
    /// # Errors
    ///
    /// The database fails or a list is unreadable.
    pub async fn number_lists(&self) -> Result<Vec<LoadedList>, StoreError> {
        number_lists(&mut self.reader().await?).await
    }

    /// As [`Store::load`], but decks unchanged since `before` are shared, not read again.
    ///
    /// # Errors
    ///
    /// As [`Store::load`].
    pub async fn load_beside(&self, before: &[LoadedDeck]) -> Result<Loaded, StoreError> {
        let mut writer = self.writer().await?;
        // One transaction, so that an `apply`, even by another node, is seen whole or not at all.
        writer.begin_reading().await.during("beginning to read")?;
        let loaded = load(&mut writer, before).await;
        writer.finish(loaded).await
    }
}

async fn load(connection: &mut Connection, before: &[LoadedDeck]) -> Result<Loaded, StoreError> {
    let mut accounts = accounts(connection).await?;
    fill_spent(connection, &mut accounts).await?;
    let ids: HashMap<&str, u32> =
        accounts.iter().map(|account| (account.account.name.as_str(), account.id)).collect();
    let trunk = |kind: &str, name: &str, account: &str| {
        ids.get(account).copied().ok_or_else(|| {
            StoreError::unreadable(format!("{kind} {name}"), format!("no account {account}"))
        })
    };
    let mut customer_trunks = Vec::new();
    for (id, object) in objects::<CustomerTrunk>(connection, &CUSTOMER_TRUNKS).await? {
        let account_id = trunk("customer_trunk", &object.name, &object.account)?;
        customer_trunks.push(LoadedTrunk { id, account_id, trunk: object });
    }
    let mut vendor_trunks = Vec::new();
    for (id, object) in objects::<VendorTrunk>(connection, &VENDOR_TRUNKS).await? {
        let account_id = trunk("vendor_trunk", &object.name, &object.account)?;
        vendor_trunks.push(LoadedTrunk { id, account_id, trunk: object });
    }
    let rule_sets = objects::<RuleSet>(connection, &RULE_SETS).await?;
    let decks = decks(connection, before).await?;
    let number_lists = number_lists(connection).await?;
    Ok(Loaded {
        customer_trunks,
        vendor_trunks,
        decks,
        rule_sets: rule_sets.into_iter().map(|(_, set)| set).collect(),
        number_lists,
        accounts,
    })
}

async fn number_lists(connection: &mut Connection) -> Result<Vec<LoadedList>, StoreError> {
    let lists = objects::<NumberList>(connection, &NUMBER_LISTS).await?;
    Ok(lists.into_iter().map(|(id, list)| LoadedList { id, list }).collect())
}

async fn accounts(connection: &mut Connection) -> Result<Vec<LoadedAccount>, StoreError> {
    let rows: Vec<(u32, String, String, i64, i64)> =
        connection.rows(&LOAD_ACCOUNTS, &[]).await.during("reading accounts")?;
    let account = |(id, name, body, units, fraction): (u32, String, String, i64, i64)| {
        let account: Account = object("account", &name, &body)?;
        Ok(LoadedAccount { id, balance: join(units, fraction), spent: Spent::default(), account })
    };
    rows.into_iter().map(account).collect()
}

fn object<T: DeserializeOwned>(kind: &str, name: &str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body)
        .map_err(|error| StoreError::unreadable(format!("{kind} {name}"), error))
}

/// Id, name and body of the objects in use of a table.
async fn bodies(
    connection: &mut Connection,
    table: &Table,
) -> Result<Vec<(u32, String, String)>, StoreError> {
    let rows: Vec<(u32, String, String, bool, String, i64)> =
        connection.rows(&table.select, &[]).await.during("reading objects")?;
    let used = rows.into_iter().filter(|(_, _, _, removed, _, _)| !removed);
    Ok(used.map(|(id, name, body, _, _, _)| (id, name, body)).collect())
}

async fn objects<T: DeserializeOwned>(
    connection: &mut Connection,
    table: &Table,
) -> Result<Vec<(u32, T)>, StoreError> {
    let rows = bodies(connection, table).await?;
    rows.into_iter().map(|(id, name, body)| Ok((id, object(table.kind, &name, &body)?))).collect()
}

/// A row of a deck as the database returns it.
pub(crate) type DeckColumns =
    (i64, Text, Text, i64, i64, i64, u32, u32, u32, i64, i64, Option<i64>, u8);

async fn decks(
    connection: &mut Connection,
    before: &[LoadedDeck],
) -> Result<Vec<LoadedDeck>, StoreError> {
    #[derive(Deserialize)]
    struct Body {
        currency: String,
    }

    let before: HashMap<&str, &LoadedDeck> =
        before.iter().map(|known| (&*known.deck.name, known)).collect();
    let mut decks = Vec::new();
    for (id, name, body) in bodies(connection, &DECKS).await? {
        if let Some(known) = before.get(name.as_str()).filter(|known| known.body == body) {
            decks.push(LoadedDeck::clone(known));
            continue;
        }
        let Body { currency } = object("deck", &name, &body)?;
        let mut builder = RateDeckBuilder::new(name.as_str(), currency);
        let mut taken = Ok(());
        each_row(connection, id, |row| {
            if taken.is_ok() {
                taken = builder.push(&row);
            }
        })
        .await?;
        taken.map_err(|error| StoreError::unreadable(format!("deck {name}"), error))?;
        decks.push(LoadedDeck { body, deck: Arc::new(builder.build()) });
    }
    Ok(decks)
}

/// Visits the rows of a deck in the order of its sheet.
pub(crate) async fn each_row(
    connection: &mut Connection,
    deck: u32,
    mut take: impl FnMut(RateRow),
) -> Result<(), StoreError> {
    let mut destinations: HashSet<Arc<str>> = HashSet::new();
    let mut next = 0_i64;
    loop {
        let rows: Option<(String,)> =
            connection.row(&LOAD_DECK_ROWS, values![deck, next]).await.during("reading a deck")?;
        let rows = rows.map_or_else(|| "[]".to_owned(), |(rows,)| rows);
        let rows: Result<Vec<DeckColumns>, _> = serde_json::from_str(&rows);
        let mut rows =
            rows.map_err(|error| StoreError::unreadable(format!("deck {deck}"), error))?;
        // Neither database guarantees an order within an aggregate.
        rows.sort_by_key(|row| row.0);
        let Some(last) = rows.last() else { return Ok(()) };
        next = last.0 + 1;
        for row in rows {
            take(deck_row(row, &mut destinations));
        }
    }
}

pub(crate) fn deck_row(row: DeckColumns, destinations: &mut HashSet<Arc<str>>) -> RateRow {
    let (_, prefix, destination, first, next, fee, first_s, next_s, free_s, least, from, to, no) =
        row;
    let destination = match destinations.get(destination.as_str()) {
        Some(known) => known.clone(),
        None => {
            let name: Arc<str> = destination.as_str().into();
            destinations.insert(name.clone());
            name
        }
    };
    let instant = |ms: i64| u64::try_from(ms).unwrap_or(0);
    RateRow {
        prefix,
        destination,
        price: PriceRow {
            price_first: Money::from(first),
            price_next: Money::from(next),
            connect_fee: Money::from(fee),
            first_increment_s: first_s,
            next_increment_s: next_s,
            free_seconds: free_s,
            minimum_charge: Money::from(least),
        },
        valid_from_ms: instant(from),
        valid_to_ms: to.map(instant),
        blocked: no != 0,
    }
}
