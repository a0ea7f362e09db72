//! A vendor that accepts calls over UDP and TCP at one address and remembers the transport of each
//! request.

use crate::raw::answer_to;
use crate::sipp::header;
use crate::wait;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The SDP of its answers.
pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 4002 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";

/// A request and its transport: `UDP` or `TCP`.
pub type Heard = (&'static str, String);

/// The vendor; stops on drop.
#[derive(Debug)]
pub struct BothVendor {
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl BothVendor {
    /// Binds port 5060 of an address; without `tcp` it accepts no connections.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn at(address: IpAddr, tcp: bool) -> BothVendor {
        let address = SocketAddr::new(address, 5060);
        let socket = UdpSocket::bind(address).expect("the address is free");
        socket.set_read_timeout(Some(Duration::from_millis(10))).expect("a time is set");
        let listener = tcp.then(|| TcpListener::bind(address).expect("the address is free"));
        if let Some(listener) = &listener {
            listener.set_nonblocking(true).expect("it does not block");
        }
        let (heard, stop) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::new(AtomicBool::new(false)));
        let mut desk = Desk { address, socket, listener, peers: Vec::new(), heard: heard.clone() };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                desk.turn();
            }
        });
        BothVendor { heard, stop, thread: Some(thread) }
    }

    /// All requests so far.
    ///
    /// # Panics
    /// When its thread has panicked.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("no panic").clone()
    }

    /// Waits for `count` requests with this method, and returns them.
    ///
    /// # Panics
    /// When they do not come within ten seconds.
    #[must_use]
    pub fn hears(&self, method: &str, count: usize) -> Vec<Heard> {
        let start = format!("{method} ");
        wait::until(&format!("{count} {method} at the vendor"), Duration::from_secs(10), || {
            let heard = self.heard();
            let found: Vec<Heard> =
                heard.into_iter().filter(|(_, text)| text.starts_with(&start)).collect();
            (found.len() >= count).then_some(found)
        })
    }
}

impl Drop for BothVendor {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

struct Desk {
    address: SocketAddr,
    socket: UdpSocket,
    listener: Option<TcpListener>,
    /// Connections and the bytes received on them.
    peers: Vec<(TcpStream, Vec<u8>)>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Desk {
    fn turn(&mut self) {
        let mut buffer = [0; 65_536];
        if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if let Some(answer) = self.answer("UDP", request) {
                self.socket.send_to(answer.as_bytes(), from).expect("loopback takes packets");
            }
        }
        if let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) {
            stream.set_nonblocking(true).expect("it does not block");
            self.peers.push((stream, Vec::new()));
        }
        for (mut stream, mut bytes) in std::mem::take(&mut self.peers) {
            match stream.read(&mut buffer) {
                Ok(0) => continue,
                Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => continue,
            }
            while let Some(request) = take_message(&mut bytes) {
                if let Some(answer) = self.answer("TCP", request) {
                    stream.write_all(answer.as_bytes()).expect("the switch reads");
                }
            }
            self.peers.push((stream, bytes));
        }
    }

    fn answer(&self, over: &'static str, request: String) -> Option<String> {
        let answer = answer_to(&request, self.address, SDP);
        self.heard.lock().expect("no panic").push((over, request));
        answer
    }
}

/// Takes the first complete message of a stream.
fn take_message(bytes: &mut Vec<u8>) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let head = text.find("\r\n\r\n")? + 4;
    let body: usize = header(&text, "Content-Length")?.parse().ok()?;
    if bytes.len() < head + body {
        return None;
    }
    let rest = bytes.split_off(head + body);
    let message = std::mem::replace(bytes, rest);
    Some(String::from_utf8_lossy(&message).into_owned())
}
