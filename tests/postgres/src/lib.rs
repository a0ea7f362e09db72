//! A PostgreSQL server of the tests' own: made in a temporary folder, listening on loopback and on
//! a socket in its folder, with a database for each test. It ends with the process that started
//! it, however that ends.
//!
//! The programs of the server have to be there (Debian: `postgresql`); a test that needs them
//! fails without.
#![forbid(unsafe_code)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// The user that may do everything.
pub const USER: &str = "strowger";
/// The password of [`USER`]: with what a URL wants written otherwise.
pub const PASSWORD: &str = "a secret/word";
/// [`PASSWORD`] as a URL has it.
const PASSWORD_IN_URL: &str = "a%20secret%2Fword";

/// Where Debian and others keep the programs.
const FOLDERS: [&str; 3] = ["/usr/lib/postgresql", "/usr/pgsql", "/usr/local/pgsql"];

/// What is needed of them.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// What the server of a folder is told by.
const SCRIPT: &str = include_str!("server.sh");

/// A running server.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    line: Mutex<Line>,
    databases: AtomicU32,
}

/// The way to the shell that keeps the server.
#[derive(Debug)]
struct Line {
    keeper: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// The server that all tests of this process share.
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine.
    #[must_use]
    pub fn shared() -> &'static Server {
        static SHARED: LazyLock<Server> = LazyLock::new(Server::start);
        &SHARED
    }

    /// A server for a test that stops it.
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine.
    #[must_use]
    pub fn start() -> Server {
        Server::start_with("off")
    }

    /// A server that forces what it commits to disk, as those of operators do: for benchmarks.
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine.
    #[must_use]
    pub fn start_durable() -> Server {
        Server::start_with("on")
    }

    fn start_with(fsync: &str) -> Server {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let programs = programs();
        // A short path: the name of a socket has a hundred characters.
        let folder = PathBuf::from(format!("/tmp/pg-{}-{number}", std::process::id()));
        let port = free_port();
        let mut command = shell();
        command.args(["-c", SCRIPT, "server.sh"]);
        command.arg(&programs).arg(&folder).arg(port.to_string()).args([USER, PASSWORD, fsync]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/tmp");
        // Not in the terminal's group: an interrupt of the tests must not reach it first.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut keeper = command.spawn().expect("sh runs");
        let orders = keeper.stdin.take();
        let answers = BufReader::new(keeper.stdout.take().expect("it is piped"));
        let line = Mutex::new(Line { keeper, orders, answers });
        let server = Server { programs, folder, port, line, databases: AtomicU32::new(0) };
        server.tell("make");
        server
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// When the server does not make it.
    #[must_use]
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, in which its socket is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Executes statements in a database and gives what they answer, without heads.
    ///
    /// # Panics
    /// When they fail.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements]);
        command.env("PGPASSWORD", PASSWORD).arg("-h").arg(&self.folder);
        command.args(["-p", &self.port.to_string(), "-U", USER, "-d", database]);
        let output = command.output().expect("psql runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Stops it: connections end, and new ones are refused.
    pub fn stop(&self) {
        self.tell("stop");
    }

    /// Ends it as a crash would.
    pub fn kill(&self) {
        self.tell("kill");
    }

    /// Starts it after a stop, on the same port and with what it had.
    pub fn start_again(&self) {
        self.tell("start");
    }

    /// Stops its processes where they stand: connections stay, new ones too, and nothing answers.
    pub fn freeze(&self) {
        self.tell("freeze");
    }

    /// Lets it go on after [`Server::freeze`].
    pub fn thaw(&self) {
        self.tell("thaw");
    }

    fn tell(&self, order: &str) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answer = String::new();
        let orders = line.orders.as_mut().expect("it is open until the end");
        writeln!(orders, "{order}").expect("the keeper listens");
        line.answers.read_line(&mut answer).expect("the keeper answers");
        assert_eq!(answer.trim(), "done", "PostgreSQL, {order}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        line.orders = None;
        let _ = line.keeper.wait();
    }
}

/// The folder with `initdb`, `postgres` and `psql` of the newest version.
fn programs() -> PathBuf {
    let versions = FOLDERS.iter().flat_map(|folder| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join("bin")).chain([PathBuf::from(folder).join("bin")])
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = versions
        .chain(std::env::split_paths(&path))
        .filter(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()))
        .collect();
    found.sort();
    found.pop().expect(
        "PostgreSQL is not on this machine, and this test needs its server: \
         apt-get install postgresql (scripts/setup.sh test)",
    )
}

/// A shell of a user that PostgreSQL serves: it refuses to run as root.
fn shell() -> Command {
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root {
        return Command::new("sh");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", "sh"]);
    command
}

/// A port that nobody has at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_stopped_started_and_gone_without_a_trace() {
        let server = Server::start();
        let url = server.database();
        assert!(url.ends_with("/test_0"), "{url}");
        server.sql("test_0", "CREATE TABLE kept (n INT); INSERT INTO kept VALUES (7)");
        server.stop();
        server.start_again();
        assert_eq!(server.sql("test_0", "SELECT n FROM kept"), "7");
        let (folder, port) = (server.folder().to_owned(), server.port());
        drop(server);
        assert!(!folder.exists(), "{}", folder.display());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
