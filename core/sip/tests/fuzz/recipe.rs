//! Inputs as changes of seeds: purely random bytes never get past the first line.

/// A change: its kind, position and length, and a byte or the number of a word.
pub(crate) type Edit = (u8, u16, u8, u8);

/// A seed and the changes to it.
pub(crate) type Recipe = (u8, Vec<Edit>);

/// Texts that some reader interprets.
const WORDS: [&str; 24] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "<",
    ">",
    "\"",
    "\\",
    "@",
    "[",
    "]",
    "%",
    "=",
    "?",
    "99999999999",
    "\r\n\r\n",
    "\u{e9}",
    "Content-Length: 3\r\n",
    "\r\n ",
];

/// The bytes that a recipe makes from the seeds.
pub(crate) fn cook(seeds: &[&[u8]], (seed, edits): &Recipe) -> Vec<u8> {
    let mut bytes = seeds[usize::from(*seed) % seeds.len()].to_vec();
    for &(what, at, length, value) in edits.iter().take(12) {
        let at = usize::from(at) % (bytes.len() + 1);
        let end = (at + usize::from(length)).min(bytes.len());
        let word = WORDS[usize::from(value) % WORDS.len()].as_bytes();
        match what % 6 {
            0 => bytes.insert(at, value),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, word.iter().copied())),
            3 => drop(bytes.splice(at..end, word.iter().copied())),
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let other = seeds[usize::from(value) % seeds.len()];
                let from = at % (other.len() + 1);
                let to = (from + usize::from(length)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

/// Messages of a call as phones and carriers write them.
pub(crate) const MESSAGES: [&[u8]; 5] = [
    b"INVITE sip:+442071234567;npdi;rn=+4420@192.0.2.1:5060;user=phone SIP/2.0\r\n\
      Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK74bf9;rport\r\n\
      Via: SIP/2.0/TCP [2001:db8::9];branch=z9hG4bKx, SIP/2.0/UDP a.example;branch=z9hG4bKy\r\n\
      Max-Forwards: 70\r\nFrom: \"A \\\"B\\\"\" <sip:+15551230001@h.example>;tag=1928\r\n\
      To: <sip:+442071234567@192.0.2.1>\r\nCall-ID: a84b4c76e66710@pc33.example\r\n\
      CSeq: 314159 INVITE\r\nContact: <sip:a@198.51.100.7:5062;transport=udp>\r\n\
      Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\nP-Asserted-Identity: <tel:+1555>\r\n\
      Subject: a folded\r\n line\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
    b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;received=192.0.2.9;rport=5060\r\n\
      f: <sip:a@h>;tag=1\r\nt: sip:b@h;tag=2\r\ni: x\r\nCSeq: 1 INVITE\r\nm: <sip:b@[2001:db8::2]>\r\n\
      Reason: Q.850;cause=16;text=\"bye\"\r\nl: 0\r\n\r\n",
    b"BYE sips:b@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK2\r\nFrom: <sip:a@h>;tag=1\r\n\
      To: <sip:b@h>;tag=2\r\nCall-ID: x\r\nCSeq: 2 BYE\r\nRoute: <sip:p;lr>\r\nContent-Length: 0\r\n\r\n",
    b"SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK3\r\nFrom: <sip:a@h>;tag=1\r\n\
      To: <sip:b@h>;tag=2\r\nCall-ID: x\r\nCSeq: 3 INVITE\r\n\
      WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth,auth-int\"\r\n\
      WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5\r\nContent-Length: 0\r\n\r\n",
    b"OPTIONS tel:+1-201-555;phone-context=h SIP/2.0\nVia: SIP/2.0/UDP h\nFrom: <sip:a@h>\n\
      To: <sip:b@h>\nCall-ID: y\nCSeq: 4 OPTIONS\n\n",
];
