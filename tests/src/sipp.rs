//! sipp as caller and vendor: an independent SIP stack.

use crate::wait;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A sipp process to start.
#[derive(Clone, Debug)]
pub struct Script {
    scenario: String,
    values: Vec<(String, String)>,
    local: SocketAddr,
    target: Option<SocketAddr>,
    calls: u32,
    rate: u32,
    quiet: bool,
    arguments: Vec<String>,
}

impl Script {
    /// One call of `tests/scenarios/SCENARIO.xml`, from or at `local`, port 5060.
    #[must_use]
    pub fn new(scenario: &str, local: IpAddr) -> Script {
        let values = [
            ("caller", "15551230001"),
            ("callee", "442071234567"),
            ("rtp", "40000"),
            ("talk_ms", "300"),
            ("ring_ms", "100"),
            ("patience_ms", "200"),
            ("code", "503"),
            ("phrase", "Refused"),
            ("header", ""),
        ];
        Script {
            scenario: scenario.to_owned(),
            values: values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            local: SocketAddr::new(local, 5060),
            target: None,
            calls: 1,
            rate: 10,
            quiet: false,
            arguments: Vec::new(),
        }
    }

    /// Replaces `{name}` in the scenario.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Script {
        self.values.retain(|(known, _)| known != name);
        self.values.push((name.to_owned(), value.to_string()));
        self
    }

    /// Target of the calls; unset for a vendor.
    #[must_use]
    pub fn to(mut self, target: SocketAddr) -> Script {
        self.target = Some(target);
        self
    }

    /// Number of calls (0 is unlimited) and rate per second.
    #[must_use]
    pub fn calls(mut self, calls: u32, rate: u32) -> Script {
        self.calls = calls;
        self.rate = rate;
        self
    }

    /// Local port other than 5060.
    #[must_use]
    pub fn port(mut self, port: u16) -> Script {
        self.local.set_port(port);
        self
    }

    /// Disables the message log, for load.
    #[must_use]
    pub fn quiet(mut self) -> Script {
        self.quiet = true;
        self
    }

    /// Additional sipp arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Script {
        self.arguments.extend(arguments.iter().map(|a| (*a).to_owned()));
        self
    }

    /// Starts sipp with its files in `folder`.
    ///
    /// # Panics
    /// When sipp is not installed or the scenario does not exist.
    #[must_use]
    pub fn start(self, folder: &Path) -> Sipp {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scenarios")
            .join(format!("{}.xml", self.scenario));
        let mut text = fs::read_to_string(&source)
            .unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        for (name, value) in &self.values {
            // An empty header must not leave an empty line, which would end the headers.
            if value.is_empty() {
                text = text.replace(&format!("      {{{name}}}\n"), "");
            }
            text = text.replace(&format!("{{{name}}}"), value);
        }
        // One folder per process, since sipp chooses some file names itself.
        let folder = folder.join(format!("{}-{}", self.scenario, self.local));
        fs::create_dir_all(&folder).expect("test folder is writable");
        let file = folder.join("scenario.xml");
        fs::write(&file, text).expect("test folder is writable");

        let mut command = Command::new("sipp");
        command
            .current_dir(&folder)
            .arg("-sf")
            .arg(&file)
            .args(["-i", &self.local.ip().to_string(), "-p", &self.local.port().to_string()])
            .args(["-r", &self.rate.to_string(), "-nostdin", "-nr"])
            .args(["-trace_err", "-error_file", "errors.log"])
            .args(["-trace_stat", "-stf", "stat.csv", "-fd", "1"]);
        if self.calls > 0 {
            command.args(["-m", &self.calls.to_string()]);
        }
        if !self.quiet {
            command.args(["-trace_msg", "-message_file", "messages.log"]);
        }
        command.args(&self.arguments);
        if let Some(target) = self.target {
            command.arg(target.to_string());
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("stderr.log")).expect("test folder is writable"))
            .spawn()
            .expect("sipp runs; it comes with the package sip-tester");
        let tcp = self.arguments.iter().any(|argument| argument == "t1");
        let mut sipp = Sipp { child, folder, scenario: self.scenario, tcp };
        if self.target.is_none() {
            sipp.wait_until_bound(self.local);
        }
        sipp
    }
}

/// A running sipp process; killed on drop.
#[derive(Debug)]
pub struct Sipp {
    child: Child,
    folder: PathBuf,
    scenario: String,
    /// Whether it listens on TCP.
    tcp: bool,
}

impl Sipp {
    /// Waits until every call has followed the script.
    ///
    /// # Panics
    /// When one did not; the message has sipp's error.
    pub fn succeeds(&mut self, limit: Duration) {
        let what = format!("the end of {}", self.scenario);
        let status = wait::until(&what, limit, || self.child.try_wait().expect("sipp is ours"));
        assert!(status.success(), "{} ended with {status}: {}", self.scenario, self.complaints());
    }

    /// Whether all its calls have ended, successfully or not.
    ///
    /// # Panics
    /// When it is not ours.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("sipp is ours").is_some()
    }

    /// Successful and failed calls so far, as sipp counts them.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let text = fs::read_to_string(self.folder.join("stat.csv")).unwrap_or_default();
        let mut lines = text.lines();
        let heads: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        let Some(last) = lines.next_back() else { return (0, 0) };
        let values: Vec<&str> = last.split(';').collect();
        let value = |name: &str| {
            heads
                .iter()
                .position(|head| *head == name)
                .and_then(|at| values.get(at)?.parse().ok())
                .unwrap_or(0)
        };
        (value("SuccessfulCall(C)"), value("FailedCall(C)"))
    }

    /// All messages sent and received so far.
    #[must_use]
    pub fn messages(&self) -> String {
        fs::read_to_string(self.folder.join("messages.log")).unwrap_or_default()
    }

    /// All messages received so far.
    #[must_use]
    pub fn received(&self) -> Vec<String> {
        let text = self.messages();
        text.split("-----------------------------------------------")
            .filter_map(|block| {
                let (head, body) = block.split_once("\n\n")?;
                head.contains("message received").then(|| body.trim_start().to_owned())
            })
            .collect()
    }

    /// Waits for the first received message that starts with `start`.
    ///
    /// # Panics
    /// When it does not come within 5 s.
    #[must_use]
    pub fn hears(&self, start: &str) -> String {
        let what = format!("{} hears {start}", self.scenario);
        wait::until(&what, Duration::from_secs(5), || {
            self.received().into_iter().find(|message| message.starts_with(start))
        })
    }

    /// Kills it.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn complaints(&self) -> String {
        let mut text = String::new();
        for file in ["stderr.log", "errors.log"] {
            text.push_str(&fs::read_to_string(self.folder.join(file)).unwrap_or_default());
        }
        text.push_str(&self.messages());
        text.truncate(6000);
        text
    }

    fn wait_until_bound(&mut self, local: SocketAddr) {
        wait::until(&format!("{} on {local}", self.scenario), Duration::from_secs(5), || {
            if let Some(status) = self.child.try_wait().expect("sipp is ours") {
                panic!("{} ended with {status}: {}", self.scenario, self.complaints());
            }
            let table = if self.tcp { "/proc/net/tcp" } else { "/proc/net/udp" };
            is_bound(table, local).then_some(())
        });
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether an address is bound, according to the kernel's table.
fn is_bound(table: &str, address: SocketAddr) -> bool {
    let IpAddr::V4(ip) = address.ip() else { return true };
    let wanted = format!("{:08X}:{:04X}", u32::from_le_bytes(ip.octets()), address.port());
    let table = fs::read_to_string(table).unwrap_or_default();
    table.lines().any(|line| line.split_whitespace().nth(1) == Some(&wanted))
}

/// Trimmed value of the first header with this name in a message.
#[must_use]
pub fn header(message: &str, name: &str) -> Option<String> {
    message.lines().take_while(|line| !line.trim().is_empty()).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// The audio address of an SDP.
#[must_use]
pub fn audio_address(message: &str) -> Option<SocketAddr> {
    let ip = message.lines().find_map(|line| line.trim().strip_prefix("c=IN IP4 "))?;
    let port = message.lines().find_map(|line| line.trim().strip_prefix("m=audio "))?;
    Some(SocketAddr::new(ip.parse().ok()?, port.split(' ').next()?.parse().ok()?))
}
