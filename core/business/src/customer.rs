use super::words::{self, DigestAlgorithm, PeerAddress, Secret};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A source of calls (ROUTE-01), in the operator's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerTrunk {
    /// Unique name among customer trunks.
    pub name: String,
    /// Name of the paying account.
    pub account: String,
    /// No calls are taken.
    #[serde(default)]
    pub locked: bool,
    /// How it proves who it is (ROUTE-09 to ROUTE-12).
    #[serde(default)]
    pub authentication: Authentication,
    /// Where it may call from; needed unless authentication is `digest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<PeerAddress>,
    /// User name for digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password for digest, at least 12 characters (SEC-05). Read only: it is replaced by
    /// the hashes below and never stored (SIG-51).
    #[serde(default, skip_serializing)]
    pub password: Option<Secret>,
    /// Realm that the hashes are made for; left out: the node's domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// MD5 of `user:realm:password` in lower-case hexadecimal, instead of a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha1_md5: Option<Secret>,
    /// SHA-256 of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha1_sha256: Option<Secret>,
    /// Hashes that it is offered and may use, the preferred one first; left out: those of the
    /// listener (SIG-54). With `["SHA-256"]` a login by MD5 is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_algorithms: Option<Vec<DigestAlgorithm>>,
    /// Ingress tech prefix that tells trunks on one address apart (ROUTE-13).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tech_prefix: String,
    /// Take the tech prefix off (NUM-07).
    #[serde(default = "yes")]
    pub strip_tech_prefix: bool,
    /// Name of the rule set for the caller (NUM-05).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_rules: Option<String>,
    /// Name of the rule set for the callee (NUM-04).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee_rules: Option<String>,
    /// Reject a callee that no rule matches (NUM-19).
    #[serde(default)]
    pub reject_unmatched: bool,
    /// Privacy asked for by the caller counts (SIG-76).
    #[serde(default = "yes")]
    pub support_privacy: bool,
    /// Words for plugins, by name: what a routing or rating plugin of the operator's own
    /// wants to know about it (`host-call`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Its asserted identity is believed, and its caller where From is anonymous (SIG-68,
    /// SIG-78).
    #[serde(default)]
    pub trusted: bool,
    /// Calls at once, 0 is unlimited.
    #[serde(default)]
    pub channels: u32,
    /// Calls a second, 0 is unlimited (SEC-11).
    #[serde(default, skip_serializing_if = "words::is_default")]
    pub cps: words::CallRate,
    /// Calls that may begin at once after a pause; 0: those of one second.
    #[serde(default, skip_serializing_if = "words::is_default")]
    pub burst: u32,
    /// Longest call, 0 s is no limit of its own.
    #[serde(default, with = "words::duration")]
    pub max_duration: Duration,
    /// Attempts in total, 0 is unlimited (ROUTE-53).
    #[serde(default = "five")]
    pub max_attempts: u32,
    /// No new attempt later than this after the INVITE (ROUTE-54).
    #[serde(default = "half_a_minute", with = "words::duration")]
    pub setup_budget: Duration,
    /// Neither ringing nor early media keeps its calls from the next choice (ROUTE-50, rows 8
    /// and 9), as if every vendor trunk said so.
    #[serde(default)]
    pub until_connect: bool,
    /// The next attempt starts beside one that has stayed silent for so long; 0 s: it does not
    /// (ROUTE-58).
    #[serde(default, with = "words::duration")]
    pub hedge: Duration,
    /// Attempts that start at once, 1 to 10 (ROUTE-58).
    #[serde(default = "one")]
    pub parallel: u32,
    /// Whether provisional responses to it are to arrive for certain (SIG-06).
    #[serde(default)]
    pub reliable_provisionals: Reliability,
    /// Code for the caller when every attempt failed (SIG-86).
    #[serde(default)]
    pub failure_reply: FailureReply,
    /// Media pass through the switch; where either trunk of a call says no, they go past it.
    #[serde(default = "yes")]
    pub relay: bool,
    /// Media only from the address in the SDP (MEDIA-11).
    #[serde(default)]
    pub strict_media: bool,
    /// Whether vendors with another codec are reached by conversion (MEDIA-23).
    #[serde(default)]
    pub transcode: Transcode,
    /// Name of the media address for this side; left out: the node's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_address: Option<String>,
}

pub(super) fn yes() -> bool {
    true
}

/// Whether audio is converted for a side that does not share the other's codec (MEDIA-23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transcode {
    /// Where it is necessary.
    #[default]
    Auto,
    /// Never.
    Never,
}

fn one() -> u32 {
    1
}

fn five() -> u32 {
    5
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

/// How a customer trunk proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// By its source address (ROUTE-09, ROUTE-10).
    #[default]
    Address,
    /// By digest from any address (ROUTE-11).
    Digest,
    /// Both (ROUTE-12).
    Both,
}

/// Whether provisional responses are to arrive for certain (RFC 3262, SIG-06).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reliability {
    /// The switch does not offer it to this trunk.
    Off,
    /// Where the other side demands it, and for early media where it can.
    #[default]
    Supported,
    /// For each; a caller that cannot is refused with 421.
    Required,
}

/// Which code the caller gets when every attempt failed (SIG-86): `"best"`, `"last"` or
/// a code of 400 to 699.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureReply {
    /// The most telling of all attempts.
    #[default]
    Best,
    /// That of the last attempt.
    Last,
    /// Always this one.
    Fixed(u16),
}

impl Serialize for FailureReply {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            FailureReply::Best => to.serialize_str("best"),
            FailureReply::Last => to.serialize_str("last"),
            FailureReply::Fixed(code) => to.serialize_u16(*code),
        }
    }
}

impl<'de> Deserialize<'de> for FailureReply {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reply;

        impl de::Visitor<'_> for Reply {
            type Value = FailureReply;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"best\", \"last\" or a code of 400 to 699 (SIG-86)")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FailureReply, E> {
                match text {
                    "best" => Ok(FailureReply::Best),
                    "last" => Ok(FailureReply::Last),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, code: u64) -> Result<FailureReply, E> {
                match u16::try_from(code) {
                    Ok(code) if (400..700).contains(&code) => Ok(FailureReply::Fixed(code)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(code), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, code: i64) -> Result<FailureReply, E> {
                match u64::try_from(code) {
                    Ok(code) => self.visit_u64(code),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(code), &self)),
                }
            }
        }

        from.deserialize_any(Reply)
    }
}
