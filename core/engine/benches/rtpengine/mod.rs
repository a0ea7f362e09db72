//! rtpengine as the peer of the relay: its own process without its kernel module, with as many
//! threads as it starts by itself, told what to relay over its NG protocol (bencoded
//! dictionaries behind a cookie, over UDP).

use std::error::Error;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take until it answers, and for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running peer; killed when dropped.
pub(crate) struct Rtpengine {
    child: Child,
    /// Towards its control port.
    control: UdpSocket,
    requests: u32,
}

impl Rtpengine {
    /// Starts it on `host`, with ports of calls from 30000; none where it is not installed.
    ///
    /// # Errors
    /// If it does not start or does not answer.
    pub(crate) fn start(host: IpAddr) -> Result<Option<Rtpengine>, Box<dyn Error>> {
        // A port that is free now; it takes the control socket there.
        let address = UdpSocket::bind((host, 0))?.local_addr()?;
        let mut command = Command::new("rtpengine");
        command
            .args(["--config-file=none", "--table=-1", "--foreground", "--log-stderr"])
            .args(["--log-level=1", "--port-min=30000", "--port-max=39999"])
            .arg(format!("--interface={host}"))
            .arg(format!("--listen-ng={address}"));
        let child = match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            child => child?,
        };
        let control = UdpSocket::bind((host, 0))?;
        control.connect(address)?;
        control.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut peer = Rtpengine { child, control, requests: 0 };
        peer.ask(&[("command", "ping")])?;
        Ok(Some(peer))
    }

    /// Opens a call between two parties; returns the ports that relay for each.
    ///
    /// # Errors
    /// If it refuses the call.
    pub(crate) fn open(
        &mut self,
        key: u64,
        parties: [SocketAddr; 2],
    ) -> Result<[SocketAddr; 2], Box<dyn Error>> {
        let call = key.to_string();
        let [caller, vendor] = parties;
        let common = [("call-id", call.as_str()), ("from-tag", "caller")];
        let sdp = sdp(caller);
        let towards_vendor =
            self.ask(&[("command", "offer"), common[0], common[1], ("sdp", &sdp)])?;
        let sdp = self::sdp(vendor);
        let towards_caller = self.ask(&[
            ("command", "answer"),
            common[0],
            common[1],
            ("to-tag", "vendor"),
            ("sdp", &sdp),
        ])?;
        let port = |answer: &str, host: IpAddr| {
            let port = answer.split_once("m=audio ").and_then(|(_, rest)| rest.split(' ').next());
            let port = port.and_then(|port| port.parse().ok());
            port.map(|port| SocketAddr::new(host, port)).ok_or_else(|| answer.to_owned())
        };
        Ok([port(&towards_caller, caller.ip())?, port(&towards_vendor, vendor.ip())?])
    }

    /// The threads of its process, as folders under `/proc`.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn threads(&self) -> std::io::Result<Vec<PathBuf>> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        tasks.map(|task| Ok(task?.path())).collect()
    }

    /// Sends a dictionary until it is answered.
    fn ask(&mut self, entries: &[(&str, &str)]) -> Result<String, Box<dyn Error>> {
        self.requests += 1;
        let cookie = format!("{} ", self.requests);
        let mut entries = entries.to_vec();
        entries.sort_unstable();
        let text = |text: &str| format!("{}:{text}", text.len());
        let body: String =
            entries.into_iter().flat_map(|(name, value)| [text(name), text(value)]).collect();
        let request = format!("{cookie}d{body}e");
        let deadline = Instant::now() + PATIENCE;
        let mut answer = [0; 4_096];
        while Instant::now() < deadline {
            // Refused while it has not opened its port.
            let _ = self.control.send(request.as_bytes());
            if let Ok(len) = self.control.recv(&mut answer) {
                let answer = String::from_utf8_lossy(&answer[..len]).into_owned();
                if answer.starts_with(&cookie) {
                    return Ok(answer);
                }
            } else {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Err("rtpengine does not answer".into())
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// G.711 at an address.
fn sdp(at: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 8\r\n\
         a=sendrecv\r\n",
        at.ip(),
        at.port()
    )
}
