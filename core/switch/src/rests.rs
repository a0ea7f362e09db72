//! Vendor addresses that asked for a rest (SIG-91).

use foldhash::HashMap;
use sip::Message;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// No address rests longer, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(30);

/// The addresses that rest, the same for all shards: only vendors' addresses get in. Where none
/// rests, asking takes no lock.
#[derive(Debug, Default)]
pub struct Rests {
    resting: AtomicUsize,
    until: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Rests {
    /// Nothing is sent to `address` for as long as this 503 says, at most 30 s. Without
    /// Retry-After (RFC 3261 section 20.33) it does not rest.
    pub(crate) fn note(&self, now: Instant, address: SocketAddr, refusal: &Message) {
        let Some(wanted) = retry_after(refusal) else { return };
        let mut until = self.lock();
        until.retain(|_, until| now < *until);
        until.insert(address, now + wanted.min(LONGEST));
        self.resting.store(until.len(), Ordering::Release);
    }

    /// Whether `address` rests now.
    pub(crate) fn has(&self, now: Instant, address: SocketAddr) -> bool {
        if self.resting.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut until = self.lock();
        let rests = until.get(&address).map(|until| now < *until);
        if rests == Some(false) {
            until.remove(&address);
            self.resting.store(until.len(), Ordering::Release);
        }
        rests == Some(true)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        // What a panic left is a map of moments, each good in itself.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time that a Retry-After names.
pub(crate) fn retry_after(response: &Message) -> Option<Duration> {
    response.header("Retry-After").and_then(seconds)
}

/// `120`, `120 (in a meeting)` or `120;duration=60`; none for 0 and for what is no number.
fn seconds(value: &str) -> Option<Duration> {
    let digits = value.split(|c: char| !c.is_ascii_digit()).next()?;
    let seconds = match digits {
        "" => return None,
        // More digits than a number holds are more than the longest rest.
        digits => digits.parse::<u64>().unwrap_or(u64::MAX),
    };
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(header: &str) -> Message {
        let text = format!(
            "SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\n\
             From: <sip:b@192.0.2.2>;tag=1\r\nTo: <sip:a@192.0.2.1>;tag=2\r\nCall-ID: c\r\n\
             CSeq: 1 INVITE\r\n{header}\r\n"
        );
        Message::parse(text.as_bytes()).expect("a response")
    }

    /// SIG-91
    #[test]
    fn an_address_rests_as_long_as_it_says_but_not_longer_than_half_a_minute() {
        let (address, now) = (SocketAddr::from(([192, 0, 2, 1], 5060)), Instant::now());
        let other = SocketAddr::from(([192, 0, 2, 1], 5061));
        for (header, seconds) in [
            ("Retry-After: 5\r\n", 5),
            ("Retry-After: 18000;duration=3600\r\n", 30),
            ("Retry-After: 7 (in a meeting)\r\n", 7),
            ("Retry-After: 99999999999999999999999\r\n", 30),
            ("Retry-After: 0\r\n", 0),
            ("Retry-After: -5\r\n", 0),
            ("Retry-After: soon\r\n", 0),
            ("", 0),
        ] {
            let rests = Rests::default();
            rests.note(now, address, &refusal(header));
            let at = |ms| rests.has(now + Duration::from_millis(ms), address);
            assert_eq!(at(0), seconds > 0, "{header}");
            assert!(!rests.has(now, other));
            assert_eq!(at((seconds * 1000_u64).saturating_sub(1)), seconds > 0, "{header}");
            assert!(!at(seconds * 1000), "{header}");
            assert_eq!(rests.resting.load(Ordering::Acquire), 0, "nothing is kept");
        }
    }
}
