//! What an operator with a deck of a million rows waits for, phase by phase: the sheet read
//! and checked, the deck built of it, stored for the first time, stored again with one price
//! changed, and loaded at a restart.
//!
//! `cargo bench -p strowger-store --bench deck`; `DECK_ROWS` changes the rows, the goals are
//! those of a million.

#[path = "../../business/tests/business/support/folder.rs"]
mod folder;
#[path = "../../bench_table.rs"]
mod table;

use business::Business;
use folder::Folder;
use ledger::RateDeck;
use std::fmt::Write as _;
use std::time::Instant;
use strowger_store::Store;

fn main() -> anyhow::Result<()> {
    let rows = std::env::var("DECK_ROWS").map_or(Ok(1_000_000), |count| count.parse())?;
    let folder = Folder::new("deck");
    write(&folder, rows)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut sum = 0.0;
    let began = Instant::now();
    let mut business = Business::from_folder(folder.path(), "sip.example.com")?;
    sum += report("deck_sheet_read_s", began.elapsed().as_secs_f64(), 1.5)?;
    let began = Instant::now();
    let rows = business.decks[0].rows.iter().cloned();
    let built = RateDeck::from_rows("sell", "EUR", rows)?;
    sum += report("deck_built_s", began.elapsed().as_secs_f64(), 0.5)?;
    runtime.block_on(async {
        let store = Store::open(folder.join("strowger.db")).await?;
        let began = Instant::now();
        store.apply(&business).await?;
        let first = report("deck_stored_s", began.elapsed().as_secs_f64(), 6.0)?;
        business.decks[0].rows[7].price.connect_fee = ledger::Money::ONE;
        let began = Instant::now();
        let changes = store.apply(&business).await?;
        let again = report("deck_stored_with_one_change_s", began.elapsed().as_secs_f64(), 6.0)?;
        assert_eq!(changes.changes.len(), 1);
        drop(store);
        let store = Store::open(folder.join("strowger.db")).await?;
        let began = Instant::now();
        let loaded = store.load().await?;
        sum += report("deck_loaded_s", began.elapsed().as_secs_f64(), 3.0)?;
        assert_eq!(loaded.decks[0].deck.len(), built.len());
        report("deck_from_sheet_to_restart_s", sum + first.max(again), 8.0)?;
        Ok(())
    })
}

/// As sheets are: prefixes of 5 to 9 digits in order, 200 destinations, some 5,000 prices.
fn write(folder: &Folder, rows: usize) -> anyhow::Result<()> {
    let toml = "[[deck]]\nname = \"sell\"\ncurrency = \"EUR\"\nfile = \"sell.csv\"\n";
    std::fs::write(folder.join("all.toml"), toml)?;
    let mut sheet = String::from("prefix,destination,price,first_increment,valid_from\n");
    for n in 0..rows {
        let (prefix, price) = (10_000 + n * 37, 100 + n * 7919 % 4973);
        writeln!(sheet, "{prefix},destination {},0.{price:04},60,2026-11-01", n % 200)?;
    }
    std::fs::write(folder.join("sell.csv"), sheet)?;
    Ok(())
}

/// Prints the seconds, adds them to the table and gives them back.
fn report(name: &str, value: f64, goal: f64) -> anyhow::Result<f64> {
    println!("{name}: {value:.2} s (goal {goal})");
    table::append([table::line(name, value, "s", Some(goal))])?;
    Ok(value)
}
