//! Embedded migrations to this version's schema.
//!
//! They are listed here instead of using `sqlx::migrate!`: that macro builds its own database
//! driver, which would compile SQLite twice.

use crate::db::{Connection, Database, Dialect, Driver, Statement};
use crate::error::{StoreError, Task};
use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

/// Number, name and text of each migration. A released file in `migrations/` never changes, because
/// databases keep its checksum.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/sqlite/0001_initial.sql")),
    (2, "number files", include_str!("../migrations/sqlite/0002_number_files.sql")),
    (3, "payments", include_str!("../migrations/sqlite/0003_payments.sql")),
    (4, "strict", include_str!("../migrations/sqlite/0004_strict.sql")),
    (5, "double entry", include_str!("../migrations/sqlite/0005_double_entry.sql")),
    (6, "objects", include_str!("../migrations/sqlite/0006_objects.sql")),
    (7, "list rows", include_str!("../migrations/sqlite/0007_list_rows.sql")),
];

/// The PostgreSQL migrations, which begin with the schema of SQLite's migration 4.
const POSTGRES: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/postgres/0001_initial.sql")),
    (2, "double entry", include_str!("../migrations/postgres/0002_double_entry.sql")),
    (3, "objects", include_str!("../migrations/postgres/0003_objects.sql")),
    (4, "list rows", include_str!("../migrations/postgres/0004_list_rows.sql")),
];

static HAS_STEPS: Statement = Statement::each(
    "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')",
    "SELECT to_regclass('_sqlx_migrations') IS NOT NULL",
);
static NEWEST_STEP: Statement = Statement::both("SELECT MAX(version) FROM _sqlx_migrations");

/// Migrates a database to this version's schema. Nodes that start at the same time migrate one
/// after the other.
pub(crate) async fn run(
    connection: &mut Connection,
    database: &Database,
) -> Result<(), StoreError> {
    let migrated = match connection.drivers().during("opening the database")? {
        Driver::Sqlite(driver) => steps(STEPS).run(driver).await,
        Driver::Postgres(driver) => {
            // A migration of many rows takes long, and so does waiting for another node's.
            let settings = "SET statement_timeout = 0; SET lock_timeout = 0";
            sqlx::raw_sql(settings).execute(&mut *driver).await.during("migrating")?;
            let migrated = steps(POSTGRES).run(&mut *driver).await;
            let settings = "RESET statement_timeout; RESET lock_timeout";
            sqlx::raw_sql(settings).execute(driver).await.during("migrating")?;
            migrated
        }
    };
    migrated.map_err(|source| match source {
        MigrateError::VersionMissing(step) => later(database, step),
        MigrateError::VersionMismatch(step) => StoreError::Refused(format!(
            "step {step} of the database {database} is not the one of strowger: another program \
             has made it; give this one a database of its own"
        )),
        source => StoreError::Migrate { database: database.to_string(), source },
    })
}

fn later(database: &Database, step: i64) -> StoreError {
    StoreError::Refused(format!(
        "the database {database} has step {step} of a later version of strowger; start that \
         version, or give this one a database of its own"
    ))
}

/// Refuses the database of a later version, and changes nothing.
pub(crate) async fn look(
    connection: &mut Connection,
    database: &Database,
) -> Result<(), StoreError> {
    let steps = match connection.dialect() {
        Dialect::Sqlite => STEPS,
        Dialect::Postgres => POSTGRES,
    };
    let known = steps.last().map_or(0, |(number, _, _)| *number);
    let (has_steps,): (bool,) =
        connection.one(&HAS_STEPS, &[]).await.during("looking at the schema")?;
    if !has_steps {
        return Ok(());
    }
    let (newest,): (Option<i64>,) =
        connection.one(&NEWEST_STEP, &[]).await.during("looking at the schema")?;
    match newest {
        Some(step) if step > known => Err(later(database, step)),
        _ => Ok(()),
    }
}

fn steps(steps: &[(i64, &'static str, &'static str)]) -> Migrator {
    let step = |&(number, name, text): &(i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.iter().map(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use ledger::Money;
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use std::path::{Path, PathBuf};

    /// A database as left before columns were typed, with one account and payments of these units.
    async fn older(name: &str, payments: &[i64]) -> (PathBuf, SqliteConnection) {
        let folder = std::env::temp_dir().join(format!("strowger-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder of its own");
        let path = folder.join("strowger.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = options.connect().await.expect("a database");
        steps(&STEPS[..3]).run(&mut connection).await.expect("the schema of then");
        let account = "INSERT INTO account VALUES (7, 'acme', '{}', 0, 5, FALSE)";
        sqlx::query(account).execute(&mut connection).await.expect("written");
        for units in payments {
            for statement in [
                "INSERT INTO posting (account, units, fraction, kind, at_ms, note, key) \
                 VALUES (7, ?, 0, 'payment', 1, 'cash', NULL)",
                "UPDATE account SET balance_units = balance_units + ? WHERE id = 7",
            ] {
                let done = sqlx::query(statement).bind(units).execute(&mut connection).await;
                done.expect("written");
            }
        }
        let posting = "INSERT INTO posting (account, units, fraction, kind, at_ms) \
             VALUES (7, 0, 5, 'opening', 1)";
        sqlx::query(posting).execute(&mut connection).await.expect("written");
        (path, connection)
    }

    async fn reopened(path: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path);
        options.connect().await.expect("a database")
    }

    /// BILL-48: an inexact balance becomes the sum of its postings again, and nothing is lost.
    #[tokio::test]
    async fn a_balance_that_became_a_floating_point_number_is_summed_up_anew() {
        let most = 999_999_999_999_999_999;
        let mut payments = vec![most; 10];
        payments.extend([-most; 9]);
        let (path, mut old) = older("mends", &payments).await;
        let wrong: i64 = sqlx::query_scalar("SELECT balance_units FROM account")
            .fetch_one(&mut old)
            .await
            .expect("read");
        assert_ne!(wrong, most, "the fault is there");
        drop(old);
        let store = Store::open(&path).await.expect("it opens");
        let exact = Money(i128::from(most) * Money::ONE.0 + 5);
        assert_eq!(store.balance(7).await.expect("read"), Some(exact));
        assert_eq!(store.postings_sum(7).await.expect("read"), exact);
        let proof = store.prove().await.expect("read");
        assert!(proof.faults.is_empty());
        // The contra entries of postings made before books existed.
        assert_eq!((proof.books["cash"], proof.books["opening"]), (Money(5) - exact, Money(-5)));
        let mut driver = reopened(&path).await;
        let kept: (i64, i64) =
            sqlx::query_as("SELECT COUNT(*), COUNT(*) FILTER (WHERE note = 'cash') FROM posting")
                .fetch_one(&mut driver)
                .await
                .expect("read");
        assert_eq!(kept, (20, 19));
        // Columns are typed: a value that does not fit is refused.
        let update = "UPDATE account SET balance_units = balance_units + ?";
        let refused = sqlx::query(update).bind(i64::MAX).execute(&mut driver).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("REAL value")));
    }

    #[tokio::test]
    async fn a_balance_beyond_its_column_is_named_and_nothing_is_changed() {
        let (path, old) = older("refuses", &[999_999_999_999_999_999; 10]).await;
        drop(old);
        for _ in 0..2 {
            let refused = Store::open(&path).await.expect_err("it cannot be held").to_string();
            assert!(refused.contains("account acme (id 7)"), "{refused}");
            assert!(refused.contains("9999999999999999990.0000000005"), "{refused}");
        }
    }

    /// A step that fails leaves the file as the step before it has left it, and the next start
    /// goes on from there.
    #[tokio::test]
    async fn a_step_that_fails_is_undone_and_taken_again() {
        let (path, mut old) = older("undone", &[12]).await;
        sqlx::query("CREATE TABLE history (n INT)").execute(&mut old).await.expect("written");
        drop(old);
        for _ in 0..2 {
            let refused = Store::open(&path).await.expect_err("it is in the way").to_string();
            assert!(refused.contains("history") && refused.contains("strowger.db"), "{refused}");
            let steps: (i64, i64) =
                sqlx::query_as("SELECT COUNT(*), MAX(version) FROM _sqlx_migrations")
                    .fetch_one(&mut reopened(&path).await)
                    .await
                    .expect("read");
            assert_eq!(steps, (5, 5));
        }
        let mut driver = reopened(&path).await;
        sqlx::query("DROP TABLE history").execute(&mut driver).await.expect("it is ours");
        let store = Store::open(&path).await.expect("it opens");
        assert_eq!(store.balance(7).await.expect("read"), Some(Money(12 * Money::ONE.0 + 5)));
        assert!(store.prove().await.expect("read").faults.is_empty());
    }

    /// The same on a server, from its first version on.
    #[tokio::test]
    async fn an_older_database_of_a_server_is_brought_to_this_version() {
        let server = postgres_server::Server::shared();
        let url = server.database();
        let name = url.rsplit('/').next().expect("a database");
        let database = Database::from_url(&url).expect("a URL");
        let mut connection = Connection::open(&database, false).await.expect("a connection");
        match connection.drivers().expect("a connection") {
            Driver::Postgres(driver) => {
                steps(&POSTGRES[..1]).run(driver).await.expect("the schema of then");
            }
            Driver::Sqlite(_) => panic!("it is a server"),
        }
        drop(connection);
        server.sql(
            name,
            "INSERT INTO account VALUES (7, 'acme', '{}', 12, 5, FALSE), \
             (8, 'carrier', '{\"kind\": \"vendor\"}', -3, 0, FALSE); \
             INSERT INTO posting (account, units, fraction, kind, at_ms, note) VALUES \
             (7, 12, 0, 'payment', 1, 'cash'), (7, 0, 5, 'opening', 1, ''), \
             (8, -3, 0, 'correction', 1, ''); \
             CREATE TABLE history (n INT)",
        );
        let refused = Store::open(database.clone()).await.expect_err("it is in the way");
        let told = refused.to_string();
        assert!(told.contains("history") && told.contains(&format!("/{name}")), "{told}");
        assert!(!refused.is_away() && !told.contains("secret"), "{told}");
        let done = "SELECT COUNT(*), MAX(version) FROM _sqlx_migrations";
        assert_eq!(server.sql(name, done), "2|2");
        let half = "SELECT COUNT(*) FROM information_schema.columns \
                    WHERE table_name = 'account' AND column_name = 'revision'";
        assert_eq!(server.sql(name, half), "0", "a part of the third step");
        server.sql(name, "DROP TABLE history");
        let store = Store::open(database).await.expect("it opens");
        let exact = Some(Money(12 * Money::ONE.0 + 5));
        assert_eq!(store.balance(7).await.expect("read"), exact);
        let proof = store.prove().await.expect("read");
        assert!(proof.faults.is_empty());
        assert_eq!(proof.books["cash"], Money(-12 * Money::ONE.0));
        assert_eq!(server.sql(name, done), format!("{0}|{0}", POSTGRES.len()));
    }

    /// The columns of every table enforce their type.
    #[tokio::test]
    async fn every_table_keeps_its_types() {
        let (path, old) = older("strict", &[]).await;
        drop(old);
        Store::open(&path).await.expect("it opens");
        let loose: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
             AND NOT strict AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations'",
        )
        .fetch_all(&mut reopened(&path).await)
        .await
        .expect("read");
        assert!(loose.is_empty(), "{loose:?}");
    }

    /// A database refuses to open with a migration that changed after it was applied, comments
    /// included.
    #[test]
    fn steps_that_databases_have_applied_never_change() {
        let sums = STEPS[..3].iter().map(|(_, _, text)| crc32fast::hash(text.as_bytes()));
        assert_eq!(sums.collect::<Vec<_>>(), [0x83b2_3d40, 0x598b_34e0, 0x7993_a5a4]);
    }

    #[test]
    fn every_file_is_a_step() {
        for (dialect, steps) in [("sqlite", STEPS), ("postgres", POSTGRES)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
            let files = std::fs::read_dir(&folder).expect("the folder is there");
            let mut names: Vec<String> = files
                .map(|file| file.expect("read").file_name().into_string().expect("text"))
                .collect();
            names.sort();
            let step = |(number, name, _): &(i64, &str, &str)| {
                format!("{number:04}_{}.sql", name.replace(' ', "_"))
            };
            assert_eq!(names, steps.iter().map(step).collect::<Vec<_>>());
        }
    }
}
