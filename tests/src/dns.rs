//! A name server for one test: answers over UDP from a small zone that can change, and can fall
//! silent.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// Record types (RFC 1035, RFC 2782, RFC 3403).
const A: u16 = 1;
const SRV: u16 = 33;
const NAPTR: u16 = 35;

/// Records by name and type: TTL in seconds, and data.
type Zone = HashMap<(String, u16), Vec<(u32, Vec<u8>)>>;

/// A running name server.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    zone: Mutex<Zone>,
    silent: AtomicBool,
    stop: AtomicBool,
}

impl Shared {
    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().expect("no test panics with the zone in its hand")
    }
}

impl NameServer {
    /// A name server without records at port 5353 of an address.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn at(address: IpAddr) -> NameServer {
        let address = SocketAddr::new(address, 5353);
        let socket = UdpSocket::bind(address).expect("the address is free");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time is set");
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !served.stop.load(Relaxed) {
                serve_one(&socket, &served);
            }
        });
        NameServer { address, shared, thread: Some(thread) }
    }

    /// Lines of the node file that make the switch query it, every second.
    #[must_use]
    pub fn lines(&self) -> String {
        format!("[dns]\nservers = [\"{}\"]\nshortest = \"1s\"\n", self.address)
    }

    /// Replaces the addresses of a host, each with a TTL of one second.
    pub fn host(&self, name: &str, addresses: &[IpAddr]) {
        let data = |address: &IpAddr| match address {
            IpAddr::V4(address) => (1, address.octets().to_vec()),
            IpAddr::V6(_) => panic!("hosts of tests have IPv4 addresses"),
        };
        self.set(name, A, addresses.iter().map(data).collect());
    }

    /// Replaces the SRV records of a service: priority, weight, port, host.
    pub fn service(&self, name: &str, servers: &[(u16, u16, u16, &str)]) {
        let data = |(priority, weight, port, host): &(u16, u16, u16, &str)| {
            let mut data = [priority, weight, port].map(|number| number.to_be_bytes()).concat();
            data.extend(labels(host));
            (1, data)
        };
        self.set(name, SRV, servers.iter().map(data).collect());
    }

    /// Replaces the NAPTR records of a domain: order, service such as `SIP+D2T`, replacement.
    pub fn services(&self, name: &str, services: &[(u16, &str, &str)]) {
        let data = |(order, kind, service): &(u16, &str, &str)| {
            let mut data = [*order, 0].map(u16::to_be_bytes).concat();
            for text in ["s", kind, ""] {
                data.push(u8::try_from(text.len()).expect("a short text"));
                data.extend(text.as_bytes());
            }
            data.extend(labels(service));
            (1, data)
        };
        self.set(name, NAPTR, services.iter().map(data).collect());
    }

    /// Stops or resumes answering.
    pub fn is_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Relaxed);
    }

    fn set(&self, name: &str, kind: u16, records: Vec<(u32, Vec<u8>)>) {
        self.shared.zone().insert((name.to_ascii_lowercase(), kind), records);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

/// A name as length-prefixed labels.
fn labels(name: &str) -> Vec<u8> {
    let label = |label: &str| {
        let length = u8::try_from(label.len()).expect("a short label");
        [&[length], label.as_bytes()].concat()
    };
    let mut bytes: Vec<u8> =
        name.split('.').filter(|part| !part.is_empty()).flat_map(label).collect();
    bytes.push(0);
    bytes
}

fn serve_one(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 4096];
    let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
    if shared.silent.load(Relaxed) {
        return;
    }
    let Some(answer) = answer(&buffer[..length], &shared.zone()) else { return };
    let _ = socket.send_to(&answer, from);
}

/// The response to a query with one question (RFC 1035 section 4).
fn answer(query: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let name = name.join(".");
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let question = query.get(12..at + 4)?;
    let nothing = Vec::new();
    let records = zone.get(&(name.clone(), kind)).unwrap_or(&nothing);
    let exists = zone.keys().any(|(known, _)| *known == name);
    // A response, recursion available; NXDOMAIN for a name without records of any type.
    let code = if exists { 0 } else { 3 };
    let count = u16::try_from(records.len()).ok()?.to_be_bytes();
    let mut out = query.get(..2)?.to_vec();
    out.extend([0x81, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0]);
    out.extend(question);
    for (seconds, data) in records {
        // The name is a pointer to the question.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        out.extend(seconds.to_be_bytes());
        out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_answered_and_an_unknown_name_is_not_there() {
        let zone = Zone::from([(("gw.test".to_owned(), A), vec![(1, vec![192, 0, 2, 1])])]);
        let query = |name: &str| {
            let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            query.extend(labels(name));
            query.extend([0, 1, 0, 1]);
            answer(&query, &zone).expect("a good query")
        };
        let found = query("GW.test");
        assert!(found.ends_with(&[0, 0, 0, 1, 0, 4, 192, 0, 2, 1]) && found[3] == 0x80);
        assert_eq!(query("other.test")[3], 0x83);
    }
}
