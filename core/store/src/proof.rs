//! Verifies the books (BILL-48): every balance is the sum of its postings, accounts and books sum
//! to zero, and every charge of a call matches its record.

use crate::amount::{join, split};
use crate::balance::{ALL_BALANCES, ALL_SUMS, Sums, sum};
use crate::db::{Connection, Statement, values};
use crate::error::{StoreError, Task};
use crate::store::Store;
use ledger::{Book, Money, PostingKind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest run time.
const LONGEST: Duration = Duration::from_secs(600);
/// Most faults listed of one kind.
const NAMED: i64 = 100;

pub(crate) static SUMS_BY_KIND: Statement = Statement::both(
    "SELECT kind, CAST(SUM(units / 1000000000) AS BIGINT), \
     CAST(SUM(units % 1000000000) AS BIGINT), CAST(SUM(fraction / 100000) AS BIGINT), \
     CAST(SUM(fraction % 100000) AS BIGINT) FROM posting GROUP BY kind",
);
pub(crate) static COUNT: Statement = Statement::both("SELECT COUNT(*) FROM posting");
pub(crate) static BOOKS: Statement =
    Statement::both("SELECT name, balance_units, balance_fraction FROM book ORDER BY name");
pub(crate) static OPEN_BOOK: Statement = Statement::both(
    "INSERT INTO book (name, balance_units, balance_fraction) VALUES (?, ?, ?) \
     ON CONFLICT DO NOTHING",
);
/// Postings of calls without a record. Purged calls, the oldest ones, are not counted.
pub(crate) static ORPHANS: Statement = Statement::both(
    "SELECT call_seq, account FROM posting WHERE call_seq >= (SELECT MIN(seq) FROM call_record) \
     AND NOT EXISTS (SELECT 1 FROM call_record WHERE seq = call_seq) ORDER BY call_seq LIMIT ?",
);
/// Records whose charge differs from the amount booked on their account. Postings are first summed
/// by call: a lookup per call would take time in proportion to records times postings.
pub(crate) static CHARGES: Statement = Statement::each(
    "SELECT seq, account, charge, -COALESCE(booked, 0) FROM call_record LEFT JOIN \
     (SELECT call_seq, account AS payer, SUM(units * 10000000000 + fraction) AS booked FROM posting \
     WHERE call_seq IS NOT NULL AND kind IN ('call_charge', 'resale') GROUP BY call_seq, account) \
     ON call_seq = seq AND payer = account WHERE charge <> -COALESCE(booked, 0) \
     ORDER BY seq LIMIT ?",
    "SELECT seq, account, charge, CAST(-COALESCE(booked, 0) AS BIGINT) FROM call_record LEFT JOIN \
     (SELECT call_seq, account AS payer, SUM(CAST(units AS NUMERIC) * 10000000000 + fraction) \
     AS booked FROM posting \
     WHERE call_seq IS NOT NULL AND kind IN ('call_charge', 'resale') GROUP BY call_seq, account) \
     AS sums ON call_seq = seq AND payer = account WHERE charge <> -COALESCE(booked, 0) \
     ORDER BY seq LIMIT ?",
);

/// The state of the books and its contradictions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Number of accounts.
    pub accounts: u64,
    /// Number of postings.
    pub postings: u64,
    /// Sum of all balances.
    pub owed: Money,
    /// The balance of each book.
    pub books: BTreeMap<String, Money>,
    /// Contradictions, at most a hundred of each kind.
    pub faults: Vec<Fault>,
}

/// A contradiction in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Fault {
    /// The balance of an account is not the sum of its postings.
    Balance {
        /// The account; its row may be missing.
        account: u32,
        /// The stored balance; `None` if there is no row.
        balance: Option<Money>,
        /// Sum of its postings.
        postings: Money,
    },
    /// The balance of a book is not the negated sum of its postings.
    Book {
        /// Its name.
        book: String,
        /// The stored balance.
        balance: Money,
        /// The negated sum of its postings.
        postings: Money,
    },
    /// All accounts and books do not sum to zero.
    Unbalanced {
        /// Their sum.
        sum: Money,
    },
    /// A posting has a kind without a book.
    Kind {
        /// The kind.
        kind: String,
    },
    /// A posting belongs to a call without a record.
    Orphan {
        /// Sequence number of the call's record.
        call: i64,
        /// The account.
        account: u32,
    },
    /// The charge in a record differs from the amount booked.
    Charge {
        /// Sequence number of the record.
        call: i64,
        /// The account.
        account: u32,
        /// The charge in the record.
        charge: Money,
        /// The amount booked.
        booked: Money,
    },
}

impl Store {
    /// Verifies the books in one snapshot.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn prove(&self) -> Result<Proof, StoreError> {
        let mut reader = self.reader().await?;
        reader.begin_reading().await.during("proving the books")?;
        let proof = prove(&mut reader).await;
        reader.finish(proof).await
    }
}

async fn prove(reader: &mut Connection) -> Result<Proof, StoreError> {
    reader.give_up_after(LONGEST).await.during("proving the books")?;
    let mut proof = Proof::default();
    let balances: Vec<(u32, i64, i64)> =
        reader.rows(&ALL_BALANCES, &[]).await.during("reading balances")?;
    let sums: Vec<Sums<u32>> = reader.rows(&ALL_SUMS, &[]).await.during("summing postings")?;
    let kinds: Vec<Sums<String>> =
        reader.rows(&SUMS_BY_KIND, &[]).await.during("summing postings by kind")?;
    let books: Vec<(String, i64, i64)> = reader.rows(&BOOKS, &[]).await.during("reading books")?;
    let (postings,): (i64,) = reader.one(&COUNT, &[]).await.during("counting postings")?;
    proof.postings = u64::try_from(postings).unwrap_or(0);
    proof.compare_accounts(balances, sums);
    proof.compare_books(books, kinds);
    let orphans: Vec<(i64, u32)> =
        reader.rows(&ORPHANS, values![NAMED]).await.during("looking for records of postings")?;
    proof.faults.extend(orphans.into_iter().map(|(call, account)| Fault::Orphan { call, account }));
    let charges: Vec<(i64, u32, i64, i64)> =
        reader.rows(&CHARGES, values![NAMED]).await.during("comparing charges")?;
    proof.faults.extend(charges.into_iter().map(|(call, account, charge, booked)| Fault::Charge {
        call,
        account,
        charge: Money::from(charge),
        booked: Money::from(booked),
    }));
    Ok(proof)
}

impl Proof {
    fn compare_accounts(&mut self, balances: Vec<(u32, i64, i64)>, sums: Vec<Sums<u32>>) {
        self.accounts = balances.len() as u64;
        let mut sums: BTreeMap<u32, Money> = sums.into_iter().map(sum).collect();
        let mut faults = Vec::new();
        for (account, units, fraction) in balances {
            let balance = join(units, fraction);
            let postings = sums.remove(&account).unwrap_or_default();
            self.owed += balance;
            if balance != postings {
                faults.push(Fault::Balance { account, balance: Some(balance), postings });
            }
        }
        let orphans = sums.into_iter();
        faults.extend(orphans.map(|(account, postings)| {
            self.owed += postings;
            Fault::Balance { account, balance: None, postings }
        }));
        self.faults.extend(faults.into_iter().take(NAMED as usize));
    }

    fn compare_books(&mut self, books: Vec<(String, i64, i64)>, kinds: Vec<Sums<String>>) {
        let mut taken: BTreeMap<&str, Money> = BTreeMap::new();
        for (kind, amount) in kinds.into_iter().map(sum) {
            match PostingKind::of_name(&kind) {
                Some(kind) => *taken.entry(kind.book().name()).or_default() -= amount,
                None => self.faults.push(Fault::Kind { kind }),
            }
        }
        let mut total = self.owed;
        for (book, units, fraction) in books {
            let balance = join(units, fraction);
            let postings = taken.get(book.as_str()).copied().unwrap_or_default();
            total += balance;
            if balance != postings {
                self.faults.push(Fault::Book { book: book.clone(), balance, postings });
            }
            self.books.insert(book, balance);
        }
        if total != Money::ZERO {
            self.faults.push(Fault::Unbalanced { sum: total });
        }
    }
}

/// Opens the books in a database without any: each begins with the negated sum of its postings.
pub(crate) async fn open_books(connection: &mut Connection) -> Result<(), StoreError> {
    let books: Vec<(String, i64, i64)> =
        connection.rows(&BOOKS, &[]).await.during("reading books")?;
    if books.len() == Book::ALL.len() {
        return Ok(());
    }
    connection.begin().await.during("opening the books")?;
    let opened = fill(connection).await;
    connection.finish(opened).await
}

async fn fill(connection: &mut Connection) -> Result<(), StoreError> {
    let kinds: Vec<Sums<String>> =
        connection.rows(&SUMS_BY_KIND, &[]).await.during("summing postings by kind")?;
    let mut taken: BTreeMap<Book, Money> = BTreeMap::new();
    for (kind, amount) in kinds.into_iter().map(sum) {
        if let Some(kind) = PostingKind::of_name(&kind) {
            *taken.entry(kind.book()).or_default() -= amount;
        }
    }
    for book in Book::ALL {
        let (units, fraction) = split(taken.get(&book).copied().unwrap_or_default());
        connection
            .execute(&OPEN_BOOK, values![book.name(), units, fraction])
            .await
            .during("opening a book")?;
    }
    Ok(())
}
