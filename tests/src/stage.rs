//! A switch with its peers, so that a test reads like the story of a call:
//! `stage.vendor_a().refuses(503)`, `stage.caller().calls()`, `record.shows(..)`.

use crate::net::Net;
use crate::sipp::{Script, Sipp};
use crate::switch::{Folder, Setup, Switch};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for the end of one scripted call.
pub const CALL_LIMIT: Duration = Duration::from_secs(20);

/// A running switch with its network.
#[derive(Debug)]
pub struct Stage {
    /// The switch.
    pub switch: Switch,
    /// The addresses.
    pub net: Net,
}

impl Stage {
    /// The default customer and vendors.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Stage {
        Stage::with(&Setup::new())
    }

    /// A test-specific configuration.
    #[must_use]
    pub fn with(setup: &Setup) -> Stage {
        Stage::on(setup, setup.write())
    }

    /// A configuration that was modified after writing.
    #[must_use]
    pub fn on(setup: &Setup, folder: Folder) -> Stage {
        Stage { switch: Switch::start(setup.net, folder), net: setup.net }
    }

    /// The customer with a known address and money.
    #[must_use]
    pub fn caller(&self) -> Caller {
        self.caller_from(self.net.caller())
    }

    /// A caller at any address.
    #[must_use]
    pub fn caller_from(&self, address: IpAddr) -> Caller {
        Caller {
            address,
            target: self.switch.address(),
            folder: self.switch.folder().path().to_owned(),
            values: Vec::new(),
        }
    }

    /// The vendor of first choice.
    #[must_use]
    pub fn vendor_a(&self) -> Vendor {
        self.vendor_at(self.net.vendor_a())
    }

    /// The vendor of second choice.
    #[must_use]
    pub fn vendor_b(&self) -> Vendor {
        self.vendor_at(self.net.vendor_b())
    }

    /// A plain UDP socket at port 5060 of an address, for messages that no SIP stack sends.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn raw_socket(&self, address: IpAddr) -> UdpSocket {
        let socket = UdpSocket::bind(SocketAddr::new(address, 5060)).expect("the address is free");
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time is set");
        socket
    }

    fn vendor_at(&self, address: IpAddr) -> Vendor {
        Vendor { address, folder: self.switch.folder().path().to_owned(), values: Vec::new() }
    }
}

/// A customer before its call.
#[derive(Clone, Debug)]
pub struct Caller {
    address: IpAddr,
    target: SocketAddr,
    folder: PathBuf,
    values: Vec<(&'static str, String)>,
}

impl Caller {
    /// Sets a value of the script: `caller`, `callee`, `rtp`, `talk_ms`, `user` ...
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Caller {
        self.values.push((name, value.to_string()));
        self
    }

    /// Calls, talks for 300 ms (`talk_ms`), hangs up.
    #[must_use]
    pub fn calls(self) -> Sipp {
        self.plays("caller_calls")
    }

    /// Calls and talks until the other side hangs up.
    #[must_use]
    pub fn waits_for_bye(self) -> Sipp {
        self.plays("caller_waits_for_bye")
    }

    /// Calls and expects a refusal with this code.
    #[must_use]
    pub fn is_refused_with(self, code: u16) -> Sipp {
        self.with("code", code).plays("caller_expects_refusal")
    }

    /// Calls, waits for ringing, cancels.
    #[must_use]
    pub fn cancels(self) -> Sipp {
        self.plays("caller_cancels")
    }

    /// Plays `tests/scenarios/SCENARIO.xml`.
    #[must_use]
    pub fn plays(self, scenario: &str) -> Sipp {
        let folder = self.folder.clone();
        self.script(scenario).start(&folder)
    }

    /// The script, not yet started.
    #[must_use]
    pub fn script(self, scenario: &str) -> Script {
        let script = Script::new(scenario, self.address).to(self.target);
        self.values.into_iter().fold(script, |script, (name, value)| script.with(name, value))
    }
}

/// A vendor before its call.
#[derive(Clone, Debug)]
pub struct Vendor {
    address: IpAddr,
    folder: PathBuf,
    values: Vec<(&'static str, String)>,
}

impl Vendor {
    /// Sets a value of the script: `rtp`, `ring_ms`, `talk_ms`, `header` ...
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Vendor {
        self.values.push((name, value.to_string()));
        self
    }

    /// Rings for 100 ms (`ring_ms`), answers, waits for the BYE.
    #[must_use]
    pub fn answers(self) -> Sipp {
        self.plays("vendor_answers")
    }

    /// Answers, talks for 300 ms (`talk_ms`), hangs up.
    #[must_use]
    pub fn answers_and_hangs_up(self) -> Sipp {
        self.plays("vendor_hangs_up")
    }

    /// Refuses with this code.
    #[must_use]
    pub fn refuses(self, code: u16) -> Sipp {
        self.with("code", code).plays("vendor_refuses")
    }

    /// Rings until it is cancelled.
    #[must_use]
    pub fn rings(self) -> Sipp {
        self.plays("vendor_rings")
    }

    /// Listens and never responds.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn is_silent(self) -> UdpSocket {
        UdpSocket::bind(SocketAddr::new(self.address, 5060)).expect("the address is free")
    }

    /// Plays `tests/scenarios/SCENARIO.xml`.
    #[must_use]
    pub fn plays(self, scenario: &str) -> Sipp {
        let folder = self.folder.clone();
        self.script(scenario).start(&folder)
    }

    /// The script, not yet started.
    #[must_use]
    pub fn script(self, scenario: &str) -> Script {
        let script = Script::new(scenario, self.address);
        self.values.into_iter().fold(script, |script, (name, value)| script.with(name, value))
    }
}
