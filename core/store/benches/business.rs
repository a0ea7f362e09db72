//! A large business: 100,000 accounts, 100,000 trunks and a deck of a million rows, read and
//! checked, applied for the first time, applied again without a difference, with one price
//! changed, and loaded beside what was loaded before.
//!
//! `cargo bench -p strowger-store --bench business`; `OBJECTS` changes how many objects.

#[path = "../../business/tests/business/support/folder.rs"]
mod folder;
#[path = "../../bench_table.rs"]
mod table;

use business::Business;
use folder::Folder;
use std::fmt::Write as _;
use std::time::Instant;
use strowger_store::Store;

/// Seconds that each step may take.
const GOAL: f64 = 30.0;

fn main() -> anyhow::Result<()> {
    let objects = std::env::var("OBJECTS").map_or(Ok(100_000), |count| count.parse())?;
    let folder = Folder::new("large");
    write(&folder, objects)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let began = Instant::now();
    let mut business = Business::from_folder(folder.path(), "sip.example.com")?;
    report("business_check_s", began)?;
    runtime.block_on(async {
        let store = Store::open(folder.join("strowger.db")).await?;
        let began = Instant::now();
        store.apply(&business).await?;
        report("business_first_apply_s", began)?;
        let began = Instant::now();
        let loaded = store.load().await?;
        report("business_load_s", began)?;
        let began = Instant::now();
        assert!(store.apply(&business).await?.is_empty());
        report("business_apply_without_a_change_s", began)?;
        business.customer_trunks[0].channels = 7;
        let began = Instant::now();
        store.apply(&business).await?;
        let again = store.load_beside(&loaded.decks).await?;
        report("business_change_of_one_trunk_s", began)?;
        assert!(std::sync::Arc::ptr_eq(&again.decks[0].deck, &loaded.decks[0].deck));
        business.decks[0].rows[0].price.connect_fee = ledger::Money::ONE;
        let began = Instant::now();
        store.apply(&business).await?;
        report("business_change_of_one_price_s", began)
    })
}

/// Half of the trunks are customers', half vendors'.
fn write(folder: &Folder, objects: usize) -> anyhow::Result<()> {
    let mut text = String::from(
        "[[deck]]\nname = \"sell\"\ncurrency = \"EUR\"\nfile = \"sell.csv\"\n\
         [[account]]\nname = \"carrier\"\nkind = \"vendor\"\ncurrency = \"EUR\"\n",
    );
    for n in 0..objects {
        write!(text, "[[account]]\nname = \"a{n}\"\ncurrency = \"EUR\"\ndeck = \"sell\"\n")?;
    }
    for n in 0..objects / 2 {
        let (high, middle, low) = (n >> 12, n >> 4 & 255, (n & 15) << 4);
        write!(
            text,
            "[[customer_trunk]]\nname = \"c{n}\"\naccount = \"a{n}\"\n\
             addresses = [\"10.{high}.{middle}.{low}/28\"]\n\
             [[vendor_trunk]]\nname = \"v{n}\"\naccount = \"carrier\"\n\
             targets = [\"203.0.113.7:{}\"]\nprefixes = [\"{n}\"]\n",
            1 + n % 60_000
        )?;
    }
    std::fs::write(folder.join("all.toml"), text)?;
    let mut sheet = String::from("prefix,destination,price\n");
    for n in 0..objects * 10 {
        writeln!(sheet, "4{n},somewhere {},0.0{}", n % 2000, n % 9973)?;
    }
    std::fs::write(folder.join("sell.csv"), sheet)?;
    Ok(())
}

/// Prints the seconds since `began` and adds them to the table.
fn report(name: &str, began: Instant) -> anyhow::Result<()> {
    let value = began.elapsed().as_secs_f64();
    println!("{name}: {value:.2} s (goal {GOAL})");
    Ok(table::append([table::line(name, value, "s", Some(GOAL))])?)
}
