//! The lower bound of any SIP server on a machine: receives and sends the datagrams of a call as a
//! switch does, and nothing else. `sipfloor SWITCH CALLER VENDOR`, all `host:port`.
//!
//! It parses, keeps, decides and records nothing: it adds and removes a Via line and answers an
//! INVITE with 100 first. Its cost at a given rate is that of kernel and machine. It prints `ready`
//! once it can be called.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, UdpSocket};

const VIA: &[u8] = b"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKfloor\r\n";

fn main() -> anyhow::Result<()> {
    let mut addresses = std::env::args().skip(1).map(|text| text.parse::<SocketAddr>());
    let mut next = || addresses.next().ok_or_else(|| anyhow::anyhow!("SWITCH CALLER VENDOR"));
    let (switch, caller, vendor) = (next()??, next()??, next()??);
    let socket = UdpSocket::bind(switch)?;
    println!("ready");
    let mut buffer = [0; 4096];
    let mut out = Vec::with_capacity(4096);
    loop {
        let (length, source) = socket.recv_from(&mut buffer)?;
        let message = &buffer[..length];
        out.clear();
        let Some(line) = message.iter().position(|byte| *byte == b'\n') else { continue };
        let (start, rest) = message.split_at(line + 1);
        if start.starts_with(b"SIP/2.0 ") && source == vendor {
            out.extend_from_slice(start);
            out.extend_from_slice(rest.strip_prefix(VIA).unwrap_or(rest));
            socket.send_to(&out, caller)?;
        } else {
            if start.starts_with(b"INVITE ") {
                out.extend_from_slice(b"SIP/2.0 100 Trying\r\n");
                let end = rest.windows(4).position(|end| end == b"\r\n\r\n");
                out.extend_from_slice(&rest[..end.map_or(rest.len(), |end| end + 4)]);
                socket.send_to(&out, caller)?;
                out.clear();
            }
            out.extend_from_slice(start);
            out.extend_from_slice(VIA);
            out.extend_from_slice(rest);
            socket.send_to(&out, vendor)?;
        }
    }
}
