//! How long a vendor's address rests after asking for it (SIG-91).

use live::Health;
use sip::Message;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Longest rest of an address, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(30);

/// Sends nothing to `address` for the time in this 503, at most 30 s. Without Retry-After (RFC 3261
/// section 20.33) there is no rest.
pub(crate) fn rest(health: &dyn Health, now: Instant, address: SocketAddr, refusal: &Message) {
    if let Some(wanted) = retry_after(refusal) {
        health.rest(address, now, now + wanted.min(LONGEST));
    }
}

/// The duration in a Retry-After.
pub(crate) fn retry_after(response: &Message) -> Option<Duration> {
    response.header("Retry-After").and_then(seconds)
}

/// `120`, `120 (in a meeting)` or `120;duration=60`; none for 0 and for anything that is not a
/// number.
fn seconds(value: &str) -> Option<Duration> {
    let digits = value.split(|c: char| !c.is_ascii_digit()).next()?;
    let seconds = match digits {
        "" => return None,
        // A number that overflows is longer than the longest rest anyway.
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
            let health = live::Live::default().health;
            rest(&*health, now, address, &refusal(header));
            let at = |ms| health.rests(address, now + Duration::from_millis(ms));
            assert_eq!(at(0), seconds > 0, "{header}");
            assert!(!health.rests(other, now));
            assert_eq!(at((seconds * 1000_u64).saturating_sub(1)), seconds > 0, "{header}");
            assert!(!at(seconds * 1000), "{header}");
            assert_eq!(health.resting(), 0, "nothing is kept");
        }
    }
}
