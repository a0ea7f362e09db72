//! PostgreSQL: any number of nodes and readers on one database.

use super::insertion::Insertion;
use super::row::{FromRow, Row};
use super::{Dialect, Statement, Value};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow, Postgres};
use sqlx::{ConnectOptions as _, Connection as _};
use std::borrow::Cow;
use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Longest time of one statement, told to the server.
const STATEMENT: Duration = Duration::from_secs(30);
/// What an answer may take beyond it before the connection counts as dead: a server that is cut
/// off ends nothing.
const GRACE: Duration = Duration::from_secs(5);
/// How long a statement waits for a lock, as SQLite waits for its file.
const LOCK: Duration = Duration::from_secs(10);
/// How long a server may take to let us in.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is tried before it is trusted.
const IDLE: Duration = Duration::from_secs(1);
/// Rows that are fewer go in by INSERT. COPY ends with a small packet that TCP holds back until
/// the one before is confirmed, up to 40 ms later; rows in megabytes are confirmed as they are
/// read.
const FEW: usize = 256;
/// Rows of one COPY: a price list of millions stays within the time of a statement.
const COPY_ROWS: usize = 50_000;
/// Bytes that are sent at once.
const COPY_BYTES: usize = 256 * 1024;
/// Of advisory locks: `strowger`, folded. One for the business of a database.
const BUSINESS_LOCK: i64 = 0x7374_726f_7767_6572;

/// How a server is asked to serve us.
pub(super) fn options(options: &PgConnectOptions, read_only: bool) -> PgConnectOptions {
    let ms = |time: Duration| time.as_millis().to_string();
    let mut settings = vec![
        ("statement_timeout", ms(STATEMENT)),
        ("lock_timeout", ms(LOCK)),
        ("idle_in_transaction_session_timeout", ms(2 * STATEMENT)),
    ];
    if read_only {
        settings.push(("default_transaction_read_only", "on".to_owned()));
    }
    let named = match options.get_application_name() {
        Some(_) => options.clone(),
        None => options.clone().application_name("strowger"),
    };
    named.options(settings).disable_statement_logging()
}

/// A connection of its own, one of the pool's, or none any more.
enum Held {
    Own(PgConnection),
    Pooled(PoolConnection<Postgres>),
    Gone,
}

pub(crate) struct Link {
    held: Held,
    /// How to connect again; none for a connection of the pool, which does that.
    options: Option<PgConnectOptions>,
    /// The last error says that the server or the way to it is gone.
    broken: bool,
    used: Instant,
    /// How long an answer may take.
    patience: Duration,
}

impl Link {
    pub(super) async fn open(
        given: &PgConnectOptions,
        read_only: bool,
    ) -> Result<Link, sqlx::Error> {
        let options = options(given, read_only);
        let connection = connect(&options).await?;
        Ok(Link { options: Some(options), ..Link::new(Held::Own(connection)) })
    }

    pub(super) fn pooled(connection: PoolConnection<Postgres>) -> Link {
        Link::new(Held::Pooled(connection))
    }

    fn new(held: Held) -> Link {
        let patience = STATEMENT + GRACE;
        Link { held, options: None, broken: false, used: Instant::now(), patience }
    }

    /// The driver's connection. One that broke is not asked again: a server that has stopped
    /// would be waited for once more.
    pub(super) fn driver(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        match &mut self.held {
            _ if self.broken => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
            Held::Own(connection) => Ok(connection),
            Held::Pooled(connection) => Ok(connection),
            Held::Gone => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
        }
    }

    /// Connects again when the connection is of no use any more: it broke, a transaction was
    /// left open, or the server has gone while nobody asked it.
    pub(super) async fn revive(&mut self, left_open: bool) -> Result<(), sqlx::Error> {
        let Some(options) = &self.options else { return Ok(()) };
        let usable = match &mut self.held {
            Held::Own(_) if self.broken || left_open => false,
            Held::Own(connection) if self.used.elapsed() > IDLE => {
                matches!(timeout(CONNECT, connection.ping()).await, Ok(Ok(())))
            }
            Held::Own(_) => true,
            Held::Pooled(_) | Held::Gone => false,
        };
        if !usable {
            // The old one first: when the new one is refused nobody goes on with it.
            self.held = Held::Gone;
            self.held = Held::Own(connect(options).await?);
            self.broken = false;
        }
        self.used = Instant::now();
        self.patience = STATEMENT + GRACE;
        Ok(())
    }

    pub(super) fn let_go(&mut self, in_transaction: bool) {
        if let Held::Pooled(connection) = &mut self.held
            && (in_transaction || self.broken)
        {
            connection.close_on_drop();
        }
    }

    /// Takes an answer that may have come too late, and remembers what it says of the
    /// connection.
    fn judge<T>(
        &mut self,
        answer: Result<Result<T, sqlx::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, sqlx::Error> {
        self.used = Instant::now();
        let answer = answer.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the database does not answer").into())
        });
        answer.inspect_err(|error| self.broken |= breaks(error))
    }

    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, sqlx::Error> {
        let (query, patience) = (query(statement, values), self.patience);
        let done = timeout(patience, query.execute(self.driver()?)).await;
        Ok(self.judge(done)?.rows_affected())
    }

    pub(super) async fn rows<T: FromRow>(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, sqlx::Error> {
        let read = |row: PgRow| T::of(Row::Postgres(&row));
        let (query, patience) = (query(statement, values).try_map(read), self.patience);
        let rows = timeout(patience, query.fetch_all(self.driver()?)).await;
        self.judge(rows)
    }

    pub(super) async fn insert_rows<'r, T, const N: usize>(
        &mut self,
        into: &Insertion,
        rows: &'r [T],
        fields: impl Fn(&'r T) -> [Value<'r>; N],
    ) -> Result<(), sqlx::Error> {
        if rows.len() < FEW {
            return self.insert_few(into, rows, fields).await;
        }
        let (statement, patience) = (into.copy(), self.patience);
        for rows in rows.chunks(COPY_ROWS) {
            let copied =
                timeout(patience, copy(self.driver()?, &statement, rows.iter().map(&fields)));
            let copied = copied.await;
            self.judge(copied)?;
        }
        Ok(())
    }

    async fn insert_few<'r, T, const N: usize>(
        &mut self,
        into: &Insertion,
        mut rows: &'r [T],
        fields: impl Fn(&'r T) -> [Value<'r>; N],
    ) -> Result<(), sqlx::Error> {
        for (size, statement) in into.chunks() {
            let chunks = rows.chunks_exact(size);
            rows = chunks.remainder();
            for chunk in chunks {
                let values: Vec<Value<'_>> = chunk.iter().flat_map(&fields).collect();
                self.execute(statement, &values).await?;
            }
        }
        Ok(())
    }

    /// Adds to the balances of many accounts with two statements. The rows are locked in the
    /// order of their ids, so that two nodes never wait for each other.
    pub(super) async fn book(&mut self, sums: &[(u32, i64, i64)]) -> Result<Vec<u32>, sqlx::Error> {
        const LOCK: &str = "SELECT id FROM account WHERE id = ANY($1) ORDER BY id FOR UPDATE";
        const BOOK: &str = "UPDATE account SET balance_units = balance_units + s.units \
             + (balance_fraction + s.fraction) / 10000000000, \
             balance_fraction = (balance_fraction + s.fraction) % 10000000000 \
             FROM unnest($1, $2, $3) AS s (id, units, fraction) WHERE account.id = s.id";
        let ids: Vec<i64> = sums.iter().map(|sum| i64::from(sum.0)).collect();
        let units: Vec<i64> = sums.iter().map(|sum| sum.1).collect();
        let fractions: Vec<i64> = sums.iter().map(|sum| sum.2).collect();
        let patience = self.patience;
        let lock = sqlx::query_scalar(LOCK).bind(&ids);
        let known = timeout(patience, lock.fetch_all(self.driver()?)).await;
        let known: HashSet<i64> = self.judge(known)?.into_iter().collect();
        let book = sqlx::query(BOOK).bind(&ids).bind(&units).bind(&fractions);
        let booked = timeout(patience, book.execute(self.driver()?)).await;
        self.judge(booked)?;
        let missing = sums.iter().map(|sum| sum.0).filter(|id| !known.contains(&i64::from(*id)));
        Ok(missing.collect())
    }

    /// From the sequence, which every node draws from; what a failed transaction drew is a gap.
    pub(super) async fn next_seqs(&mut self, count: usize) -> Result<Vec<i64>, sqlx::Error> {
        const NEXT: &str = "SELECT nextval('call_seq') FROM generate_series(1, $1)";
        let next = sqlx::query_scalar(NEXT).bind(i64::try_from(count).unwrap_or(i64::MAX));
        let patience = self.patience;
        let seqs = timeout(patience, next.fetch_all(self.driver()?)).await;
        self.judge(seqs)
    }

    pub(super) async fn lock_business(&mut self) -> Result<(), sqlx::Error> {
        static LOCK: Statement = Statement::both("SELECT pg_advisory_xact_lock(?)");
        self.execute(&LOCK, &[Value::from(BUSINESS_LOCK)]).await.map(|_| ())
    }

    pub(super) async fn give_up_after(&mut self, limit: Duration) -> Result<(), sqlx::Error> {
        static LIMIT: Statement =
            Statement::both("SELECT set_config('statement_timeout', ?, TRUE)");
        if limit != STATEMENT {
            self.execute(&LIMIT, &[Value::from(limit.as_millis().to_string())]).await?;
            self.patience = limit + GRACE;
        }
        Ok(())
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let connecting = async {
        let mut connection = PgConnection::connect_with(options).await?;
        // Texts are UTF-8 and a commit is on disk, whatever else the server is used for.
        let (encoding, commit): (String, String) = sqlx::query_as(
            "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')",
        )
        .fetch_one(&mut connection)
        .await?;
        if encoding != "UTF8" {
            return Err(sqlx::Error::Configuration(
                format!("the database is encoded in {encoding}; make one with ENCODING 'UTF8'")
                    .into(),
            ));
        }
        if commit == "off" {
            sqlx::query("SET synchronous_commit = on").execute(&mut connection).await?;
        }
        Ok(connection)
    };
    timeout(CONNECT, connecting).await.unwrap_or_else(|_| {
        let words = format!("no answer within {} s", CONNECT.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, words).into())
    })
}

/// The code of an error of the server (its manual, appendix A).
pub(super) fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// Whether the server cannot be reached at this moment, or takes nobody, and may soon.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    match error {
        // A certificate that is not believed comes as data that is wrong.
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        sqlx::Error::PoolTimedOut => true,
        // Connection failures, too many connections, shutting down and starting up.
        sqlx::Error::Database(_) => code(error).is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || code == "53300"
        }),
        _ => false,
    }
}

/// Whether the connection is of no use after it: the server has gone, or it has become one that
/// only reads, as after a change of the primary.
fn breaks(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(_) => {
            is_away(error) || code(error).is_some_and(|code| code == "25006" || code == "25P03")
        }
        _ => false,
    }
}

type Query = sqlx::query::Query<'static, Postgres, PgArguments>;

fn query(statement: &Statement, values: &[Value<'_>]) -> Query {
    values.iter().cloned().fold(sqlx::query(statement.text(Dialect::Postgres)), bind)
}

fn bind(query: Query, value: Value<'_>) -> Query {
    match value {
        Value::Integer(value) => query.bind(value),
        Value::Text(value) => query.bind(value.map(|text| storable(&text).into_owned())),
        Value::Bytes(value) => query.bind(Vec::from(value)),
        Value::Bool(value) => query.bind(value),
    }
}

/// PostgreSQL's texts have no zero byte, and a peer may send one in a number: the document of
/// the call has it as it came.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Sends rows in the binary form of COPY.
async fn copy<'r, const N: usize>(
    connection: &mut PgConnection,
    statement: &str,
    rows: impl Iterator<Item = [Value<'r>; N]>,
) -> Result<(), sqlx::Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    let mut buffer = Vec::with_capacity(COPY_BYTES + COPY_BYTES / 8);
    buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    for row in rows {
        buffer.extend_from_slice(&(N as i16).to_be_bytes());
        for value in row {
            encode(&mut buffer, value);
        }
        if buffer.len() >= COPY_BYTES {
            copy.send(&*buffer).await?;
            buffer.clear();
        }
    }
    buffer.extend_from_slice(&(-1_i16).to_be_bytes());
    copy.send(&*buffer).await?;
    copy.finish().await.map(|_| ())
}

fn encode(buffer: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Integer(Some(number)) => field(buffer, &number.to_be_bytes()),
        Value::Text(Some(text)) => field(buffer, storable(&text).as_bytes()),
        Value::Integer(None) | Value::Text(None) => {
            buffer.extend_from_slice(&(-1_i32).to_be_bytes());
        }
        Value::Bytes(bytes) => field(buffer, &bytes),
        Value::Bool(is) => field(buffer, &[u8::from(is)]),
    }
}

fn field(buffer: &mut Vec<u8>, bytes: &[u8]) {
    // A document is kilobytes; the server refuses what has 1 GiB.
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_byte_in_a_text_is_replaced() {
        assert_eq!(storable("+44\0 7"), "+44\u{fffd} 7");
        assert_eq!(storable("+447"), "+447");
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(is_away(&sqlx::Error::Io(refused)));
        assert!(!is_away(&sqlx::Error::RowNotFound));
        assert!(!is_away(&sqlx::Error::Tls("a certificate".into())));
        let distrusted = io::Error::new(io::ErrorKind::InvalidData, "an unknown issuer");
        assert!(!is_away(&sqlx::Error::Io(distrusted)));
    }
}
