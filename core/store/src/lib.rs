//! Durable facts, money and records: SQLite through sqlx, migrations, the journal.
