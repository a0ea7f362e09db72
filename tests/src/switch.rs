//! The real program, started with a test configuration.

use crate::net::Net;
use crate::wait;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Configuration of a switch; the defaults suit most tests.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Addresses of the switch and its peers.
    pub net: Net,
    /// Lines for the `customer` trunk, which calls from [`Net::caller`].
    pub customer: String,
    /// Lines for vendor trunk `vendor-a`, the first choice; `targets` replace the default ones.
    pub vendor_a: String,
    /// Lines for vendor trunk `vendor-b`, the second choice.
    pub vendor_b: String,
    /// Callee prefixes of both vendors.
    pub prefixes: Vec<&'static str>,
    /// Account of `vendor-b`.
    pub vendor_b_account: String,
    /// More business objects.
    pub business: String,
    /// Lines before the tables of the node file; by default the number of [`shards`].
    pub node: String,
    /// Lines of the node file's `[calls]` table.
    pub calls: String,
    /// Lines of the node file's `[admin]` table.
    pub admin: String,
    /// Plugin files by name; `None` for the built one.
    pub plugins: Vec<(String, Option<PathBuf>)>,
    /// Lines after the list of plugins in the node file, such as chains.
    pub plugin_lines: String,
    /// Whether media of all trunks are relayed.
    pub relay: bool,
    /// RTP ports, `FIRST-LAST`.
    pub media_ports: String,
    /// Lines of the node file's `[media]` table.
    pub media: String,
    /// Log level.
    pub log: String,
}

impl Setup {
    /// A customer with money, two vendors and the default plugins.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Setup {
        let plugins = ["routing", "numbering", "rating", "identity", "screening"];
        Setup {
            net: Net::new(),
            customer: String::new(),
            vendor_a: String::new(),
            vendor_b: String::new(),
            prefixes: vec!["44", "33", "49"],
            vendor_b_account: "carrier".to_owned(),
            business: String::new(),
            node: format!("shards = {}", shards()),
            calls: String::new(),
            admin: String::new(),
            plugins: plugins.iter().map(|name| ((*name).to_owned(), None)).collect(),
            plugin_lines: String::new(),
            relay: true,
            media_ports: "20000-29999".to_owned(),
            media: String::new(),
            log: "info".to_owned(),
        }
    }

    /// [`Setup::new`] with another customer, `nomad`, that may call from anywhere with its
    /// password, `correct-horse-8`.
    #[must_use]
    pub fn with_a_nomad() -> Setup {
        let business = "[[customer_trunk]]\nname = \"nomad\"\naccount = \"payer\"\n\
             authentication = \"digest\"\nuser = \"nomad\"\npassword = \"correct-horse-8\"\n";
        Setup { business: business.to_owned(), ..Setup::new() }
    }

    /// Uses another file for a plugin.
    #[must_use]
    pub fn plugin(mut self, name: &str, file: &Path) -> Setup {
        self.plugins.retain(|(known, _)| known != name);
        self.plugins.push((name.to_owned(), Some(file.to_owned())));
        self
    }

    /// Writes the configuration into a new folder.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn write(&self) -> Folder {
        println!("a switch with {}", self.node.replace('\n', ", "));
        let folder = Folder::new();
        fs::create_dir_all(folder.path.join("business")).expect("test folder is writable");
        fs::create_dir_all(folder.path.join("plugins")).expect("test folder is writable");
        for (name, file) in &self.plugins {
            let built = built_plugin(name);
            let file = file.as_ref().unwrap_or(&built);
            fs::copy(file, folder.path.join("plugins").join(format!("{name}.wasm")))
                .unwrap_or_else(|error| panic!("{}: {error}; run `make plugins`", file.display()));
        }
        folder.put("node.toml", &self.node_file());
        folder.put("business/business.toml", &self.business_file());
        folder.put(
            "business/sell.csv",
            "prefix,destination,price,connect_fee,first_increment,next_increment\n\
             44,United Kingdom,0.6,0,1,1\n4420,London,0.6,0.05,1,1\n33,France,0.3,0,30,6\n",
        );
        folder.put(
            "business/buy.csv",
            "prefix,destination,price\n44,United Kingdom,0.12\n33,France,0.1\n",
        );
        folder.put("business/barred.csv", "number,value\n44900,premium\n");
        folder
    }

    /// Writes the configuration and starts the program; returns when it takes calls.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(&self) -> Switch {
        Switch::start(self.net, self.write())
    }

    fn node_file(&self) -> String {
        let Setup { net, node, calls, admin, log, media_ports, media, .. } = self;
        let mut text = format!(
            "name = \"under-test\"\ndata_dir = \"data\"\nbusiness = \"business\"\n{node}\n\
             [[listeners]]\nname = \"main\"\naddress = \"{}\"\n\
             [media]\n{media}\n[[media.addresses]]\nname = \"main\"\nbind = \"{}\"\nports = \"{media_ports}\"\n\
             [admin]\naddress = \"{}\"\n{admin}\n[calls]\n{calls}\n[log]\nlevel = \"{log}\"\n\
             [plugins]\nfolder = \"plugins\"\nwatch = true\n",
            net.switch(),
            net.media(),
            net.admin(),
        );
        for (name, _) in &self.plugins {
            let _ = write!(
                text,
                "[[plugins.list]]\nname = \"{name}\"\n\
                 grants = [\"log\", \"config\", \"call\", \"tables\", \"counters\", \"clock\", \"random\"]\n"
            );
        }
        text + &self.plugin_lines
    }

    fn business_file(&self) -> String {
        let Setup { net, customer, vendor_a, vendor_b, prefixes, business, relay, .. } = self;
        let mut text = String::new();
        for (name, balance, deck) in
            [("payer", "1000000", "sell"), ("broke", "0", "sell"), ("no-prices", "10", "")]
        {
            let _ = write!(
                text,
                "[[account]]\nname = \"{name}\"\ncurrency = \"EUR\"\nopening_balance = \"{balance}\"\n"
            );
            if !deck.is_empty() {
                let _ = writeln!(text, "deck = \"{deck}\"");
            }
        }
        let _ = write!(
            text,
            "[[account]]\nname = \"carrier\"\nkind = \"vendor\"\ncurrency = \"EUR\"\ndeck = \"buy\"\n\
             credit_limit = \"unlimited\"\n\
             [[customer_trunk]]\nname = \"customer\"\naccount = \"payer\"\naddresses = [\"{}\"]\nrelay = {relay}\n{customer}\n\
             [[customer_trunk]]\nname = \"poor\"\naccount = \"broke\"\naddresses = [\"{}\"]\n\
             [[customer_trunk]]\nname = \"roamer\"\naccount = \"payer\"\nauthentication = \"both\"\n\
             addresses = [\"{}\"]\nuser = \"roamer\"\npassword = \"correct-horse-7\"\n",
            net.caller(),
            net.poor_caller(),
            net.roaming_caller(),
        );
        for (name, account, address, priority, lines) in [
            ("vendor-a", "carrier", net.vendor_a(), 10, vendor_a),
            ("vendor-b", self.vendor_b_account.as_str(), net.vendor_b(), 20, vendor_b),
        ] {
            let targets = match lines.contains("targets = ") {
                true => String::new(),
                false => format!("targets = [\"{address}:5060\"]\n"),
            };
            let _ = write!(
                text,
                "[[vendor_trunk]]\nname = \"{name}\"\naccount = \"{account}\"\n\
                 {targets}prefixes = {prefixes:?}\n\
                 priority = {priority}\nrelay = {relay}\n{lines}\n"
            );
        }
        for deck in ["sell", "buy"] {
            let _ = write!(
                text,
                "[[deck]]\nname = \"{deck}\"\ncurrency = \"EUR\"\nfile = \"{deck}.csv\"\n"
            );
        }
        let _ = write!(
            text,
            "[[number_list]]\nname = \"barred-destinations\"\nkind = \"prefix\"\nfile = \"barred.csv\"\n{business}\n"
        );
        text
    }
}

/// A folder of one test; removed on drop unless the test failed.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Creates an empty folder.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name =
            format!("strowger-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the temporary folder is writable");
        Folder { path }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in the folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.path.join(name), text).expect("test folder is writable");
    }

    /// Reads a file in the folder; empty if it does not exist.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for inspection: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Maximum size of a response.
const ANSWER_BYTES: u64 = 1 << 30;

/// The running program; killed on drop.
#[derive(Debug)]
pub struct Switch {
    net: Net,
    folder: Folder,
    child: Child,
    agent: ureq::Agent,
    /// The command line that runs it.
    wrapper: Vec<String>,
}

impl Switch {
    /// Starts the program on a folder from [`Setup::write`].
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(net: Net, folder: Folder) -> Switch {
        Switch::start_under(net, folder, &[])
    }

    /// As [`Switch::start`], on one CPU only.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_on(net: Net, folder: Folder, processor: usize) -> Switch {
        Switch::start_under(net, folder, &["taskset", "-c", &processor.to_string()])
    }

    /// As [`Switch::start`], run by another command such as `prlimit --nofile=256:`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_under(net: Net, folder: Folder, wrapper: &[&str]) -> Switch {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build()
            .into();
        let child = spawn(&folder, wrapper);
        let wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        let mut switch = Switch { net, folder, child, agent, wrapper };
        switch.wait_until_healthy();
        switch
    }

    /// Its files.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its SIP address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.net.switch()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// When it is not ours to kill.
    pub fn kill_hard(&mut self) {
        self.child.kill().expect("the switch is ours");
        self.child.wait().expect("the switch is ours");
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// When it is not there.
    pub fn ask_to_stop(&self) {
        let status = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(status.expect("kill runs").success(), "the switch is ours");
    }

    /// Sends SIGTERM and waits until it has ended.
    ///
    /// # Panics
    /// When it does not end within 20 s.
    pub fn stop(&mut self) {
        self.ask_to_stop();
        self.wait_for_the_end();
    }

    /// Waits until the program has ended.
    ///
    /// # Panics
    /// When it does not end within 20 s.
    pub fn wait_for_the_end(&mut self) {
        wait::until("the end of the switch", Duration::from_secs(20), || {
            self.child.try_wait().expect("the switch is ours")
        });
    }

    /// Starts the program again on the same files.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let wrapper: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        self.child = spawn(&self.folder, &wrapper);
        self.wait_until_healthy();
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.folder.read("switch.log")
    }

    /// `GET` on the admin API: status and JSON body.
    ///
    /// # Panics
    /// When nothing answers.
    #[must_use]
    pub fn try_get(&self, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.net.admin());
        let mut response = self
            .agent
            .get(&url)
            .header("authorization", self.bearer())
            .call()
            .unwrap_or_else(|error| panic!("GET {path}: {error}"));
        let status = response.status().as_u16();
        (status, read_body(path, response.body_mut()))
    }

    /// `GET` that must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.try_get(path);
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// `POST` with a JSON body: status and JSON response.
    ///
    /// # Panics
    /// When nothing answers.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.net.admin());
        let mut response = self
            .agent
            .post(&url)
            .header("content-type", "application/json")
            .header("authorization", self.bearer())
            .send(body.to_string())
            .unwrap_or_else(|error| panic!("POST {path}: {error}"));
        let status = response.status().as_u16();
        (status, read_body(path, response.body_mut()))
    }

    /// Value of a metric, summed over the label sets that contain all of `labels`.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (_, text) = self.try_get("/metrics");
        let text = text.as_str().unwrap_or_default();
        text.lines()
            .filter(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && labels.iter().all(|label| line.contains(label))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The final records, newest first.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let body = self.get("/v1/records?limit=10000");
        body.as_array().or_else(|| body["records"].as_array()).cloned().unwrap_or_default()
    }

    /// Waits for `calls` final records.
    ///
    /// # Panics
    /// When there are fewer after 10 s, or more.
    #[must_use]
    pub fn settled_records(&self, calls: usize) -> Vec<Value> {
        let what = format!("{calls} records");
        let records = wait::until(&what, Duration::from_secs(10), || {
            Some(self.records()).filter(|records| records.len() >= calls)
        });
        assert_eq!(records.len(), calls, "one record per call (CDR-01)");
        records
    }

    /// Waits for the record of the only call so far, with attempts and trail.
    ///
    /// # Panics
    /// When there is none within 5 s, or more than one.
    #[must_use]
    pub fn record(&self) -> Record {
        let records = wait::until("a record", Duration::from_secs(5), || {
            Some(self.records()).filter(|records| !records.is_empty())
        });
        assert_eq!(records.len(), 1, "one call has one record (CDR-01)");
        let id = records[0]["id"].as_str().expect("a record has an id");
        Record(self.get(&format!("/v1/records/{id}")))
    }

    /// Calls in progress, answered or not.
    #[must_use]
    pub fn calls_now(&self) -> u64 {
        // A stopping node responds with 503.
        self.try_get("/health").1["calls"].as_u64().expect("health tells calls")
    }

    /// Swaps in a plugin file.
    ///
    /// # Panics
    /// When the switch refuses it.
    pub fn swap(&self, plugin: &str, file: &Path) -> Value {
        let path = file.canonicalize().expect("the plugin file exists");
        let body = serde_json::json!({ "path": path });
        let (status, answer) = self.post(&format!("/v1/plugins/{plugin}/swap"), &body);
        assert_eq!(status, 200, "swap of {plugin}: {answer}");
        answer
    }

    /// The token of the admin API: from the node file, or created by the program.
    #[must_use]
    pub fn token(&self) -> String {
        let node = self.folder.read("node.toml");
        let given = node.lines().find_map(|line| line.strip_prefix("token = "));
        let made = || self.folder.read("data/admin-token").trim().to_owned();
        given.map_or_else(made, |token| token.trim_matches('"').to_owned())
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token())
    }

    fn wait_until_healthy(&mut self) {
        let url = format!("http://{}/health", self.net.admin());
        // Plugins are compiled at the first start.
        wait::until("the switch takes calls", Duration::from_secs(60), || {
            if let Some(status) = self.child.try_wait().expect("the switch is ours") {
                panic!("the switch ended with {status}:\n{}", self.folder.read("switch.log"));
            }
            self.agent.get(&url).call().ok().filter(|answer| answer.status() == 200)
        });
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            eprintln!("--- log of the switch\n{}\n---", tail.join("\n"));
        }
    }
}

/// A call record.
#[derive(Clone, Debug)]
pub struct Record(pub Value);

impl Record {
    /// Asserts the value of a field, named by a JSON pointer such as `/attempts/0/code`.
    ///
    /// # Panics
    /// When it is another value.
    #[track_caller]
    pub fn shows(&self, pointer: &str, value: impl Into<Value>) -> &Record {
        let found = self.0.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(*found, value.into(), "{pointer} of {:#}", self.0);
        self
    }

    /// An integer field.
    ///
    /// # Panics
    /// When it is not one.
    #[must_use]
    #[track_caller]
    pub fn number(&self, pointer: &str) -> u64 {
        self.0
            .pointer(pointer)
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("{pointer} is no number in {:#}", self.0))
    }

    /// Names of the attempted vendor trunks, in order.
    #[must_use]
    pub fn vendors(&self) -> Vec<&str> {
        let attempts = self.0["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
        attempts.iter().filter_map(|attempt| attempt["vendor"].as_str()).collect()
    }
}

/// Shards of a switch unless its test sets them: `STROWGER_TEST_SHARDS`, else one. `make test` runs
/// the whole-system tests with one and with two.
///
/// # Panics
/// When the variable is no number.
#[must_use]
pub fn shards() -> u32 {
    std::env::var("STROWGER_TEST_SHARDS")
        .map_or(1, |text| text.parse().expect("STROWGER_TEST_SHARDS is a number"))
}

/// The program built beside this test, or `STROWGER_BIN`.
#[must_use]
pub fn program() -> PathBuf {
    std::env::var_os("STROWGER_BIN")
        .map_or_else(|| profile_folder().join("strowger"), PathBuf::from)
}

/// A plugin built by `make plugins`, or one in `STROWGER_PLUGINS`.
#[must_use]
pub fn built_plugin(name: &str) -> PathBuf {
    let folder = std::env::var_os("STROWGER_PLUGINS").map_or_else(
        || profile_folder().parent().expect("target/PROFILE").join("plugins"),
        PathBuf::from,
    );
    folder.join(format!("{name}.wasm"))
}

/// `target/debug` or `target/release`, where this test was built.
fn profile_folder() -> PathBuf {
    let mut folder = std::env::current_exe().expect("a test knows its own file");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder
}

fn spawn(folder: &Folder, wrapper: &[&str]) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.path.join("switch.log"))
        .expect("test folder is writable");
    let program = program();
    under(wrapper, &program)
        .args(["run", "--config"])
        .arg(folder.path.join("node.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log has two writers"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo build --bins`", program.display()))
}

/// A command that runs `program` on one CPU.
#[must_use]
pub fn pinned(program: &Path, processor: usize) -> Command {
    under(&["taskset", "-c", &processor.to_string()], program)
}

fn under(wrapper: &[&str], program: &Path) -> Command {
    let Some((first, arguments)) = wrapper.split_first() else { return Command::new(program) };
    let mut command = Command::new(first);
    command.args(arguments).arg(program);
    command
}

/// Runs the program on a configuration that it must refuse; returns its error.
///
/// # Panics
/// When it starts nevertheless, or does not end within 20 s.
#[must_use]
pub fn refusal(folder: &Folder) -> String {
    let mut child = spawn(folder, &[]);
    let status = wait::until("a refusal", Duration::from_secs(20), || {
        child.try_wait().expect("the switch is ours")
    });
    assert!(!status.success(), "a broken configuration must not start");
    folder.read("switch.log")
}

/// A JSON body, or text as a JSON string.
fn read_body(path: &str, body: &mut ureq::Body) -> Value {
    let text = body.with_config().limit(ANSWER_BYTES).read_to_string();
    let text = text.unwrap_or_else(|error| panic!("{path}: the answer breaks off: {error}"));
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
