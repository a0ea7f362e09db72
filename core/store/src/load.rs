//! Reading the business objects back, with ids and balances.

use crate::amount::join;
use crate::apply::{CUSTOMER_TRUNKS, DECKS, NUMBER_LISTS, RULE_SETS, Table, VENDOR_TRUNKS};
use crate::business::{Account, CustomerTrunk, NumberList, RuleSet, VendorTrunk};
use crate::error::{StoreError, Task};
use crate::store::Store;
use ledger::{Money, PriceRow, RateDeck, RateRow};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteConnection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The business objects of the database that are in use.
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
    /// Number lists; their rows are in their files ([`NumberList::fill`]).
    pub number_lists: Vec<NumberList>,
}

/// An account with what the database knows about it.
#[derive(Clone, Debug)]
pub struct LoadedAccount {
    /// Numeric id.
    pub id: u32,
    /// Sum of its postings. While calls are being recorded it is behind by the recorder's
    /// `store_window`, so a running node keeps the purses it has.
    pub balance: Money,
    /// What is configured.
    pub account: Account,
}

/// A trunk with its ids.
#[derive(Clone, Debug)]
pub struct LoadedTrunk<T> {
    /// Numeric id.
    pub id: u32,
    /// Id of its account.
    pub account_id: u32,
    /// What is configured.
    pub trunk: T,
}

/// A deck, ready for look-ups. A clone shares it.
#[derive(Clone, Debug)]
pub struct LoadedDeck {
    /// What the database tells the deck's states apart by.
    body: String,
    /// The deck.
    pub deck: Arc<RateDeck>,
}

pub(crate) const LOAD_ACCOUNTS: &str = "SELECT id, name, body, balance_units, balance_fraction \
     FROM account WHERE NOT removed ORDER BY id";
pub(crate) const LOAD_DECK_ROWS: &str = "SELECT number, prefix, destination, price_first, \
     price_next, connect_fee, first_increment, next_increment, free_seconds, minimum_charge, \
     valid_from_ms, valid_to_ms, blocked FROM deck_row WHERE deck = ? AND number >= ? \
     ORDER BY number LIMIT 10000";

impl Store {
    /// Reads every object that is in use.
    ///
    /// # Errors
    ///
    /// When the database fails or a row does not read back.
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        self.load_beside(&[]).await
    }

    /// As [`Store::load`]. Of decks that were loaded before, those that have not changed since
    /// are shared and not read again.
    ///
    /// # Errors
    ///
    /// Those of [`Store::load`].
    pub async fn load_beside(&self, before: &[LoadedDeck]) -> Result<Loaded, StoreError> {
        // The writer's connection, so that an `apply` is seen whole or not at all.
        let mut writer = self.writer.lock().await;
        let connection = &mut writer.connection;
        let accounts = accounts(connection).await?;
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
        let number_lists = objects::<NumberList>(connection, &NUMBER_LISTS).await?;
        Ok(Loaded {
            customer_trunks,
            vendor_trunks,
            decks,
            rule_sets: rule_sets.into_iter().map(|(_, set)| set).collect(),
            number_lists: number_lists.into_iter().map(|(_, list)| list).collect(),
            accounts,
        })
    }
}

async fn accounts(connection: &mut SqliteConnection) -> Result<Vec<LoadedAccount>, StoreError> {
    let rows: Vec<(u32, String, String, i64, i64)> =
        sqlx::query_as(LOAD_ACCOUNTS).fetch_all(connection).await.during("reading accounts")?;
    let account = |(id, name, body, units, fraction): (u32, String, String, i64, i64)| {
        let account: Account = object("account", &name, &body)?;
        Ok(LoadedAccount { id, balance: join(units, fraction), account })
    };
    rows.into_iter().map(account).collect()
}

fn object<T: DeserializeOwned>(kind: &str, name: &str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body)
        .map_err(|error| StoreError::unreadable(format!("{kind} {name}"), error))
}

/// Id, name and body of the objects of a table that are in use.
async fn bodies(
    connection: &mut SqliteConnection,
    table: &Table,
) -> Result<Vec<(u32, String, String)>, StoreError> {
    let rows: Vec<(u32, String, String, bool)> =
        sqlx::query_as(table.select).fetch_all(connection).await.during("reading objects")?;
    let used = rows.into_iter().filter(|(_, _, _, removed)| !removed);
    Ok(used.map(|(id, name, body, _)| (id, name, body)).collect())
}

async fn objects<T: DeserializeOwned>(
    connection: &mut SqliteConnection,
    table: &Table,
) -> Result<Vec<(u32, T)>, StoreError> {
    let rows = bodies(connection, table).await?;
    rows.into_iter().map(|(id, name, body)| Ok((id, object(table.kind, &name, &body)?))).collect()
}

type DeckColumns = (i64, String, String, i64, i64, i64, u32, u32, u32, i64, i64, Option<i64>, bool);

async fn decks(
    connection: &mut SqliteConnection,
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
        let mut deck = RateDeck::new(name, currency);
        each_row(connection, id, |row| deck.push(row)).await?;
        decks.push(LoadedDeck { body, deck: Arc::new(deck) });
    }
    Ok(decks)
}

/// Gives the rows of a deck in the order of its sheet.
pub(crate) async fn each_row(
    connection: &mut SqliteConnection,
    deck: u32,
    mut take: impl FnMut(RateRow),
) -> Result<(), StoreError> {
    let mut destinations: HashSet<Arc<str>> = HashSet::new();
    let mut next = 0_i64;
    loop {
        let rows: Vec<DeckColumns> = sqlx::query_as(LOAD_DECK_ROWS)
            .bind(deck)
            .bind(next)
            .fetch_all(&mut *connection)
            .await
            .during("reading a deck")?;
        let Some(last) = rows.last() else { return Ok(()) };
        next = last.0 + 1;
        for row in rows {
            take(deck_row(row, &mut destinations));
        }
    }
}

fn deck_row(row: DeckColumns, destinations: &mut HashSet<Arc<str>>) -> RateRow {
    let (_, prefix, destination, first, next, fee, first_s, next_s, free_s, least, from, to, no) =
        row;
    let destination = match destinations.get(destination.as_str()) {
        Some(known) => known.clone(),
        None => {
            let name: Arc<str> = destination.into();
            destinations.insert(name.clone());
            name
        }
    };
    let instant = |ms: i64| u64::try_from(ms).unwrap_or(0);
    RateRow {
        prefix: prefix.into(),
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
        blocked: no,
    }
}
