//! Every statement in both dialects.

use super::*;
use crate::{
    balance, correction, currency, db, deck_page, deck_rows, edit, list_rows, load, objects,
    payment, proof, purge, query, records, references, spent,
};
use postgres_server::Server;
use sqlx::Executor as _;

/// The statements of the store; new ones must be added.
fn statements() -> Vec<&'static db::Statement> {
    let mut statements = vec![
        &db::BOOK,
        &db::NEWEST,
        &records::IS_RECORDED,
        &records::POST,
        &deck_rows::CLEAR_DECK,
        &load::LOAD_ACCOUNTS,
        &load::LOAD_DECK_ROWS,
        &payment::HELD_BALANCE,
        &payment::PAY,
        &payment::PAID,
        &query::DOCUMENT,
        &query::COUNT_CALLS,
        &balance::BALANCE,
        &balance::POSTINGS_SUM,
        &balance::ALL_BALANCES,
        &balance::ALL_SUMS,
        &correction::CORRECTIONS,
        &correction::CORRECT,
        &currency::MOVED,
        &spent::SPENT,
        &proof::SUMS_BY_KIND,
        &proof::COUNT,
        &proof::BOOKS,
        &proof::OPEN_BOOK,
        &proof::ORPHANS,
        &proof::CHARGES,
        &records::BOOK,
        &objects::STEPS,
        &deck_page::DECK_PAGE,
        &deck_page::DECK_PAGE_OF,
        &list_rows::LIST_PAGE,
        &list_rows::FIRST_LIST_PAGE,
        &list_rows::FIND_LIST_ROW,
        &list_rows::REMOVE_LIST_ROW,
        &edit::FIND_ROWS,
        &edit::REMOVE_ROW,
        &edit::LAST_ROW,
        &purge::BOUNDARY,
        &purge::CALLS,
        &purge::ATTEMPTS,
    ];
    for table in [
        &objects::ACCOUNTS,
        &objects::CUSTOMER_TRUNKS,
        &objects::VENDOR_TRUNKS,
        &objects::RULE_SETS,
        &objects::DECKS,
        &objects::NUMBER_LISTS,
        &objects::PLUGIN_SETTINGS,
    ] {
        statements.extend([&table.select, &table.find, &table.page, &table.last]);
        statements.extend([&table.insert, &table.update, &table.remove]);
    }
    for rows in [
        &records::CALLS,
        &records::ATTEMPTS,
        &records::POSTINGS,
        &deck_rows::DECK_ROWS,
        &list_rows::LIST_ROWS,
        &objects::HISTORY,
    ] {
        statements.extend(rows.chunks().map(|(_, statement)| statement));
    }
    statements.extend(references::statements());
    statements
}

/// The statements built for queries.
fn searches() -> Vec<db::Statement> {
    let number = Some("44".to_owned());
    let filter = query::CallFilter {
        since_ms: Some(1),
        until_ms: Some(2),
        caller: number.clone(),
        callee: number.clone(),
        number,
        reason: Some("normal".to_owned()),
        answered: Some(true),
        rerate: true,
        before: Some(3),
        limit: 5,
        ..query::CallFilter::default()
    };
    let search = |few| {
        let wanted = query::Wanted {
            filter: Some(&filter),
            customer_trunk: Some(1),
            vendor_trunk: Some(1),
            account: Some(1),
            few_of_vendor: few,
            few_numbers: [few; 3],
        };
        query::page(&wanted).finish().0
    };
    [false, true].map(search).into()
}

#[tokio::test]
async fn every_statement_prepares_on_the_schema() {
    let folder = std::env::temp_dir().join(format!("strowger-prepare-{}", std::process::id()));
    let url = Server::shared().database();
    let server = Database::from_url(&url).expect("a URL");
    for database in [Database::from(folder.join("strowger.db")), server] {
        let store = Store::open(database).await.expect("a store");
        let mut writer = store.writer().await.expect("a connection");
        let dialect = writer.dialect();
        let searches = searches();
        for statement in statements().into_iter().chain(&searches) {
            let text = statement.text(dialect);
            let prepared = match writer.drivers().expect("a connection") {
                db::Driver::Sqlite(driver) => driver.prepare(text.clone()).await.map(|_| ()),
                db::Driver::Postgres(driver) => driver.prepare(text.clone()).await.map(|_| ()),
            };
            assert!(prepared.is_ok(), "{dialect:?}: {}: {prepared:?}", text.as_str());
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// Both dialects have the same tables with the same column names.
#[tokio::test]
async fn both_dialects_have_the_same_tables() {
    let folder = std::env::temp_dir().join(format!("strowger-same-{}", std::process::id()));
    let server = Database::from_url(&Server::shared().database()).expect("a URL");
    static COLUMNS: db::Statement = db::Statement::each(
        "SELECT t.name, c.name FROM pragma_table_list t, pragma_table_info(t.name) c \
         WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%' \
         AND t.name <> '_sqlx_migrations' ORDER BY 1, 2",
        "SELECT table_name::text, column_name::text FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations' ORDER BY 1, 2",
    );
    let mut found = Vec::new();
    for database in [Database::from(folder.join("strowger.db")), server] {
        let store = Store::open(database).await.expect("a store");
        let mut writer = store.writer().await.expect("a connection");
        let mut columns: Vec<(String, String)> = writer.rows(&COLUMNS, &[]).await.expect("columns");
        columns.sort();
        found.push(columns);
    }
    assert!(found[0].len() > 50, "{found:#?}");
    assert_eq!(found[0], found[1]);
    let _ = std::fs::remove_dir_all(folder);
}
