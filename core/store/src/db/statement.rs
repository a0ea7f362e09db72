use super::Dialect;
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// A statement in both dialects, its parameters written `?`.
#[derive(Debug)]
pub(crate) struct Statement {
    sqlite: Cow<'static, str>,
    /// None where both take the same text.
    postgres: Option<&'static str>,
    /// The text with PostgreSQL's parameters, made at the first use.
    numbered: OnceLock<Arc<str>>,
}

impl Statement {
    /// One text for both.
    pub(crate) const fn both(text: &'static str) -> Statement {
        Statement { sqlite: Cow::Borrowed(text), postgres: None, numbered: OnceLock::new() }
    }

    /// A text for each, where they must differ.
    pub(crate) const fn each(sqlite: &'static str, postgres: &'static str) -> Statement {
        Statement {
            sqlite: Cow::Borrowed(sqlite),
            postgres: Some(postgres),
            numbered: OnceLock::new(),
        }
    }

    /// A text that was put together for both.
    pub(super) fn made(text: String) -> Statement {
        Statement { sqlite: Cow::Owned(text), postgres: None, numbered: OnceLock::new() }
    }

    /// What is sent to the database.
    pub(crate) fn text(&self, dialect: Dialect) -> SqlStr {
        match dialect {
            Dialect::Sqlite => AssertSqlSafe(self.sqlite.clone()).into_sql_str(),
            Dialect::Postgres => {
                let text = || number(self.postgres.unwrap_or(&self.sqlite)).into();
                AssertSqlSafe(self.numbered.get_or_init(text).clone()).into_sql_str()
            }
        }
    }
}

/// Numbers the parameters of a statement as PostgreSQL wants them: `?`, `?` is `$1`, `$2`. A
/// question mark in a quoted text is not one.
fn number(text: &str) -> String {
    let mut numbered = String::with_capacity(text.len() + 16);
    let (mut count, mut quoted) = (0, false);
    for character in text.chars() {
        quoted ^= character == '\'';
        if character == '?' && !quoted {
            count += 1;
            numbered.push_str(&format!("${count}"));
        } else {
            numbered.push(character);
        }
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_and_quoted_question_marks_are_not() {
        assert_eq!(
            number("SELECT 'why?' WHERE a = ? AND b IN (?, ?)"),
            "SELECT 'why?' WHERE a = $1 AND b IN ($2, $3)"
        );
    }

    #[test]
    fn each_dialect_gets_its_text() {
        let one = Statement::each("SELECT ?", "SELECT ? FOR UPDATE");
        assert_eq!(one.text(Dialect::Sqlite).as_str(), "SELECT ?");
        assert_eq!(one.text(Dialect::Postgres).as_str(), "SELECT $1 FOR UPDATE");
    }
}
