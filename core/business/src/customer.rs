use super::words::{self, DigestAlgorithm, PeerAddress, Secret};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A source of calls (ROUTE-01), as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerTrunk {
    /// Unique name among customer trunks.
    pub name: String,
    /// Name of the paying account.
    pub account: String,
    /// Takes no calls.
    #[serde(default)]
    pub locked: bool,
    /// How it authenticates (ROUTE-09 to ROUTE-12).
    #[serde(default)]
    pub authentication: Authentication,
    /// Source addresses; required unless authentication is `digest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<PeerAddress>,
    /// Digest user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Digest password, at least 12 characters (SEC-05). Read only: replaced by the hashes below
    /// and never stored (SIG-51).
    #[serde(default, skip_serializing)]
    pub password: Option<Secret>,
    /// Realm of the hashes; if omitted, the node's domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// MD5 of `user:realm:password` in lower-case hexadecimal, in place of a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha1_md5: Option<Secret>,
    /// SHA-256 of the same text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha1_sha256: Option<Secret>,
    /// Digest algorithms offered and accepted, in order of preference; if omitted, those of the
    /// listener (SIG-54). With `["SHA-256"]` an MD5 response is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_algorithms: Option<Vec<DigestAlgorithm>>,
    /// Ingress tech prefix, which distinguishes trunks at one address (ROUTE-13).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tech_prefix: String,
    /// Strips the tech prefix (NUM-07).
    #[serde(default = "yes")]
    pub strip_tech_prefix: bool,
    /// Name of the rule set for the caller number (NUM-05).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_rules: Option<String>,
    /// Name of the rule set for the callee number (NUM-04).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee_rules: Option<String>,
    /// Rejects a callee that no rule matches (NUM-19).
    #[serde(default)]
    pub reject_unmatched: bool,
    /// Honors the privacy that the caller requests (SIG-76).
    #[serde(default = "yes")]
    pub support_privacy: bool,
    /// Attributes for the operator's own routing or rating plugins, by name (`host-call`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Its asserted identity is accepted, also as the caller when From is anonymous (SIG-68,
    /// SIG-78).
    #[serde(default)]
    pub trusted: bool,
    /// Concurrent calls; 0 is unlimited.
    #[serde(default)]
    pub channels: u32,
    /// Call attempts per second; 0 is unlimited (SEC-11).
    #[serde(default, skip_serializing_if = "words::is_default")]
    pub cps: words::CallRate,
    /// Burst: calls that may start at once after a pause; 0 allows those of one second.
    #[serde(default, skip_serializing_if = "words::is_default")]
    pub burst: u32,
    /// Longest call; 0 s sets no limit.
    #[serde(default, with = "words::duration")]
    pub max_duration: Duration,
    /// Most attempts per call; 0 is unlimited (ROUTE-53).
    #[serde(default = "five")]
    pub max_attempts: u32,
    /// No attempt starts later than this after the INVITE (ROUTE-54).
    #[serde(default = "half_a_minute", with = "words::duration")]
    pub setup_budget: Duration,
    /// Fails over even after ringing or early media (ROUTE-50, rows 8 and 9), as if set on
    /// every vendor trunk.
    #[serde(default)]
    pub until_connect: bool,
    /// The next attempt starts in parallel with one that stays silent this long; 0 s disables this
    /// (ROUTE-58).
    #[serde(default, with = "words::duration")]
    pub hedge: Duration,
    /// Attempts started at once, 1 to 10 (ROUTE-58).
    #[serde(default = "one")]
    pub parallel: u32,
    /// Reliable provisional responses towards it (SIG-06).
    #[serde(default)]
    pub reliable_provisionals: Reliability,
    /// Status code for the caller after every attempt failed (SIG-86).
    #[serde(default)]
    pub failure_reply: FailureReply,
    /// Relays media; if either trunk of a call says no, media bypass the switch.
    #[serde(default = "yes")]
    pub relay: bool,
    /// Accepts media from the SDP address only (MEDIA-11).
    #[serde(default)]
    pub strict_media: bool,
    /// Transcoding towards vendors without a common codec (MEDIA-23).
    #[serde(default)]
    pub transcode: Transcode,
    /// Name of the media address for this leg; if omitted, the node's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_address: Option<String>,
}

pub(super) fn yes() -> bool {
    true
}

/// Transcoding between sides without a common codec (MEDIA-23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transcode {
    /// Where necessary.
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

/// How a customer trunk authenticates.
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

/// Reliable provisional responses (RFC 3262, SIG-06).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reliability {
    /// Not offered to this trunk.
    Off,
    /// Where the other side requires them, and for early media where the other side supports them.
    #[default]
    Supported,
    /// For every provisional response; a caller without support is refused with 421.
    Required,
}

/// Status code for the caller after every attempt failed (SIG-86): `"best"`, `"last"` or a code
/// from 400 to 699.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureReply {
    /// The most specific of all attempts.
    #[default]
    Best,
    /// The last attempt's.
    Last,
    /// This code.
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
