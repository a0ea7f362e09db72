//! Which shard owns a message, and identifiers of ours that keep a call on its shard.

use ledger::Text;
use rand::Rng;
use serde::{Deserialize, Serialize};
use sip::{hex, random_text};

/// A call inside one shard; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallKey(pub u64);

/// The shard that owns a datagram, by its Call-ID as the parser reads it: every message of a leg
/// finds its call without a shared table, however it is formatted. Datagrams without a Call-ID
/// belong to shard 0.
#[must_use]
pub fn shard_of(datagram: &[u8], shards: u16) -> u16 {
    if shards <= 1 {
        return 0;
    }
    sip::call_id_of(datagram).map_or(0, |id| shard_of_call_id(&id, shards))
}

fn shard_of_call_id(call_id: &[u8], shards: u16) -> u16 {
    u16::try_from((sip::stable_hash(call_id) >> 16) % u64::from(shards)).unwrap_or(0)
}

/// A Call-ID for a leg of ours that hashes to our own shard.
pub(crate) fn new_call_id(rng: &mut impl Rng, shard: u16, shards: u16) -> Text {
    loop {
        let id = random_text::<24, _>("", rng);
        if shards <= 1 || shard_of_call_id(id.as_bytes(), shards) == shard {
            return id;
        }
    }
}

/// Our tags are 64 random bits in hexadecimal; this parses the number.
pub(crate) fn tag_value(tag: &str) -> Option<u64> {
    (tag.len() == 16).then(|| u64::from_str_radix(tag, 16).ok()).flatten()
}

/// The text of a tag.
pub(crate) fn tag_text(tag: u64) -> Text {
    text_of(&hex::<16>(tag))
}

fn text_of(ascii: &[u8]) -> Text {
    Text::from_utf8(ascii).unwrap_or_default()
}

/// Makes time-sortable 128-bit call ids in the layout of a version 7 UUID (CDR-05).
#[derive(Debug, Default)]
pub(crate) struct CallIds {
    last_ms: u64,
    sequence: u16,
}

impl CallIds {
    /// The next id: 48 bits of UTC ms, a 12-bit sequence within the ms, 62 random bits.
    pub(crate) fn next(&mut self, utc_ms: u64, rng: &mut impl Rng) -> u128 {
        if utc_ms > self.last_ms {
            self.last_ms = utc_ms;
            self.sequence = 0;
        } else {
            self.sequence += 1;
            if self.sequence > 0xfff {
                self.last_ms += 1;
                self.sequence = 0;
            }
        }
        let random = u128::from(rng.random::<u64>() & 0x3fff_ffff_ffff_ffff);
        (u128::from(self.last_ms & 0xffff_ffff_ffff) << 80)
            | (0x7 << 76)
            | (u128::from(self.sequence) << 64)
            | (0b10 << 62)
            | random
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_datagram_without_call_id_belongs_to_the_first_shard() {
        for datagram in [&b"\r\n\r\n"[..], b"", b"INVITE sip:1@h SIP/2.0\r\n\r\nCall-ID: fake"] {
            assert_eq!(shard_of(datagram, 4), 0);
        }
    }

    /// SIG-13: however the messages of a leg are formatted, one shard owns them: the one of the
    /// parsed Call-ID.
    #[test]
    fn every_message_of_a_leg_has_one_owner() {
        const NAMES: [&str; 6] = ["Call-ID:", "CALL-ID :", "call-id\t:", "i:", "I \t:", "i\r\n :"];
        const BEFORE: [&str; 5] = ["", " ", "\t  ", "\r\n ", "\n\t \r\n "];
        const AFTER: [&str; 4] = ["", " ", " \t", "\r\n "];
        const STARTS: [&str; 4] = ["", "\r\n", "\n", "\r\n\r\n\r\n"];
        const MORE: [&str; 4] = [
            "",
            "Contact: <sip:i@h>\r\n",
            "Info-Package: x\r\n i: fake\r\n",
            "X-Call-ID: fake\r\nCSeq-ID: fake\r\n",
        ];
        const IDS: [&[u8]; 4] = [b"abc@host", b"a b\"c", b"\xc3\xa9", b"\xc3(\xff\xe2\x82"];
        let mut rng = StdRng::seed_from_u64(13);
        let mut owners = [[0_u32; 8]; IDS.len()];
        for round in 0..20_000 {
            let mut one = |of: &[&'static str]| of[rng.random_range(0..of.len())];
            let (start, more) = (one(&STARTS), one(&MORE));
            let (name, before, after, end) =
                (one(&NAMES), one(&BEFORE), one(&AFTER), one(&["\r\n", "\n"]));
            let which = round % IDS.len();
            let mut datagram = format!(
                "{start}BYE sip:1@h SIP/2.0{end}v: SIP/2.0/UDP h;branch=z9hG4bK1{end}{more}\
                 f: <sip:a@h>;tag=1{end}t: <sip:b@h>;tag=2{end}{name}{before}"
            )
            .into_bytes();
            datagram.extend(IDS[which]);
            datagram.extend(format!("{after}{end}CSeq: 2 BYE{end}{end}").bytes());
            let message = sip::Message::parse(&datagram).expect("a message");
            let owner = shard_of(&datagram, 8);
            assert_eq!(owner, shard_of_call_id(message.call_id().as_bytes(), 8), "{datagram:?}");
            owners[which][usize::from(owner)] += 1;
        }
        for owners in owners {
            assert_eq!(owners.iter().filter(|messages| **messages > 0).count(), 1, "{owners:?}");
        }
    }

    #[test]
    fn our_call_ids_come_back_to_their_shard() {
        let mut rng = StdRng::seed_from_u64(1);
        for shard in 0..5 {
            let id = new_call_id(&mut rng, shard, 5);
            let message = format!("SIP/2.0 200 OK\r\nCall-ID: {id}\r\n\r\n");
            assert_eq!(shard_of(message.as_bytes(), 5), shard);
        }
    }

    /// CDR-05
    #[test]
    fn call_ids_sort_by_time_even_within_a_millisecond() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut ids = CallIds::default();
        let made: Vec<u128> = (0..10_000).map(|n| ids.next(1000 + n / 6000, &mut rng)).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn tags_are_read_back() {
        assert_eq!(tag_value(&tag_text(42)), Some(42));
        assert_eq!(tag_value("x"), None);
    }
}
