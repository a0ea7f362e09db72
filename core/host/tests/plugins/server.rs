//! An outside server for the plugins: HTTP/1.1 over a socket of the standard library.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// Answers by path: `/ok...` 200 with the number of requests so far, `/slow...` the same once it is
/// released, `/missing` 404, `/elsewhere` a redirect, `/big` a body over the limit, `/full` a body
/// at the limit, `/breaks` half a body, `/echo` the request, `/away` 503 for ever and `/third` 503
/// twice, both to be asked again at once.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    requests: BTreeMap<String, u32>,
    connections: u32,
    open: bool,
}

impl Server {
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                state.seen.lock().expect("no test panics with it").connections += 1;
                std::thread::spawn(move || state.serve(&stream));
            }
        });
        Server { address, state }
    }

    /// Releases slow answers, now and from now on.
    pub(crate) fn let_go(&self) {
        self.state.seen.lock().expect("no test panics with it").open = true;
        self.state.changed.notify_all();
    }

    /// Requests for a path so far.
    pub(crate) fn requests(&self, path: &str) -> u32 {
        self.state
            .seen
            .lock()
            .expect("no test panics with it")
            .requests
            .get(path)
            .copied()
            .unwrap_or(0)
    }

    /// Waits until a path was requested so often.
    pub(crate) fn wait_for(&self, path: &str, requests: u32) {
        let seen = self.state.seen.lock().expect("no test panics with it");
        let fewer = |seen: &mut Seen| seen.requests.get(path).copied().unwrap_or(0) < requests;
        drop(self.state.changed.wait_while(seen, fewer).expect("no test panics with it"));
    }

    pub(crate) fn connections(&self) -> u32 {
        self.state.seen.lock().expect("no test panics with it").connections
    }
}

impl State {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((path, text)) = request(&mut reader) {
            let mut seen = self.seen.lock().expect("no test panics with it");
            let count = seen.requests.entry(path.clone()).or_default();
            *count += 1;
            let count = *count;
            self.changed.notify_all();
            if path.starts_with("/slow") {
                seen = self
                    .changed
                    .wait_while(seen, |seen| !seen.open)
                    .expect("no test panics with it");
            }
            drop(seen);
            if answer(stream, &path, count, &text).is_err() || path == "/breaks" {
                return;
            }
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if reader.read_line(&mut text).ok()? == 0 {
            return None;
        }
    }
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let path = text.split(' ').nth(1)?.to_owned();
    Some((path, text + &String::from_utf8_lossy(&body)))
}

fn away() -> (&'static str, String, String) {
    ("503 Service Unavailable", "Retry-After: 0\r\n".to_owned(), String::new())
}

fn answer(mut stream: &TcpStream, path: &str, count: u32, text: &str) -> std::io::Result<()> {
    let (status, extra, body) = match path {
        "/missing" => ("404 Not Found", String::new(), String::new()),
        "/elsewhere" => ("302 Found", "Location: http://other.example/\r\n".into(), String::new()),
        "/big" => ("200 OK", String::new(), "x".repeat((256 << 10) + 1)),
        "/full" => ("200 OK", String::new(), "x".repeat(256 << 10)),
        "/echo" => ("200 OK", String::new(), text.to_owned()),
        "/away" => away(),
        "/third" if count < 3 => away(),
        _ => ("200 OK", String::new(), count.to_string()),
    };
    let length = if path == "/breaks" { body.len() + 10 } else { body.len() };
    // In one piece: the kernel would hold back small ones for 40 ms.
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{extra}\r\n{body}");
    stream.write_all(text.as_bytes())
}
