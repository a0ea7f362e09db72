//! The steps that bring a database to this version's schema, embedded in the program.
//!
//! They are listed here rather than by `sqlx::migrate!`: that macro is built with a database
//! driver of its own, so that all of SQLite would be compiled twice.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Number, name and text of each step; a file of `migrations/` that was released is never
/// changed, because databases keep its check sum.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/0001_initial.sql")),
    (2, "number files", include_str!("../migrations/0002_number_files.sql")),
    (3, "payments", include_str!("../migrations/0003_payments.sql")),
];

pub(crate) fn migrator() -> Migrator {
    let step = |&(number, name, text): &(i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_file_is_a_step() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let files = std::fs::read_dir(&folder).expect("the folder is there");
        let mut names: Vec<String> = files
            .map(|file| file.expect("read").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        let step = |(number, name, _): &(i64, &str, &str)| {
            format!("{number:04}_{}.sql", name.replace(' ', "_"))
        };
        assert_eq!(names, STEPS.iter().map(step).collect::<Vec<_>>());
    }
}
