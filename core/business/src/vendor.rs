use super::customer::{Transcode, yes};
use super::target::Target;
use super::words::{self, DigestAlgorithm, Secret};
use policy::{DisplayMode, HeaderMode, PrivacyMode, StopAfterMedia};
use serde::{Deserialize, Deserializer, Serialize, de};
use sip::ResendSchedule;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A destination of calls (ROUTE-02), as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorTrunk {
    /// Unique name among vendor trunks.
    pub name: String,
    /// Name of the account that we pay.
    pub account: String,
    /// Gets no calls.
    #[serde(default)]
    pub locked: bool,
    /// Addresses and host names, in order of preference or with priority and weight (SIG-65,
    /// SIG-66).
    pub targets: Vec<Target>,
    /// Sends requests above 1300 bytes over TCP, if the node has a TCP listener at the address of
    /// the trunk's UDP listener (RFC 3261 section 18.1.1).
    #[serde(default = "yes")]
    pub large_over_tcp: bool,
    /// Name of the listener to send from (SIG-63); if omitted, the node's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// Callee prefixes that it accepts (ROUTE-16); `""` accepts all.
    pub prefixes: Vec<VendorPrefix>,
    /// Lower first.
    #[serde(default = "hundred")]
    pub priority: u32,
    /// Weight for weighted balancing.
    #[serde(default = "hundred")]
    pub weight: u32,
    /// Used only when no other trunk is left (ROUTE-45).
    #[serde(default)]
    pub last_resort: bool,
    /// A name shared by trunks that fail together, such as a site or a carrier (ROUTE-46).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_domain: Option<String>,
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
    /// One timer per state of an attempt (SIG-15 to SIG-19).
    #[serde(default)]
    pub timers: Timers,
    /// Reliable provisional responses from it (SIG-06).
    #[serde(default)]
    pub reliable_provisionals: super::Reliability,
    /// Resend schedule (SIG-21).
    #[serde(default)]
    pub resend: Resend,
    /// Name of the rule set for the caller number (NUM-09).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_rules: Option<String>,
    /// Name of the rule set for the callee number (NUM-08).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee_rules: Option<String>,
    /// Name of the rule set for the identity headers (NUM-22).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_rules: Option<String>,
    /// Rejects a callee that no rule matches (NUM-19).
    #[serde(default)]
    pub reject_unmatched: bool,
    /// Prepended to the callee after its rewrite (NUM-10).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tech_prefix: String,
    /// The identity it is shown (SIG-71 to SIG-77): a preset's name (SIG-83) or single modes.
    #[serde(default, deserialize_with = "identity")]
    pub identity: Identity,
    /// Host in From and identity headers (SIG-70), without port; `"peer"`: the destination address
    /// of the INVITE; if omitted, the listener's domain.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "host")]
    pub from_host: Option<String>,
    /// Attributes for the operator's own routing or rating plugins, by name (`host-call`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// May see the number of a caller who requested privacy (SIG-78).
    #[serde(default = "yes")]
    pub trusted: bool,
    /// Which failures of an attempt end the call (ROUTE-50).
    #[serde(default)]
    pub failover: Failover,
    /// Relays media; if either trunk of a call says no, media bypass the switch.
    #[serde(default = "yes")]
    pub relay: bool,
    /// Accepts media from the SDP address only (MEDIA-11).
    #[serde(default)]
    pub strict_media: bool,
    /// Transcoding for callers without a common codec (MEDIA-23).
    #[serde(default)]
    pub transcode: Transcode,
    /// When callers hear local ringback (MEDIA-13).
    #[serde(default)]
    pub ringback: Ringback,
    /// Country code of the ringback tone, or the name of a sound in the node file.
    #[serde(default = "european")]
    pub ringback_sound: String,
    /// Name of the media address for this leg; if omitted, the node's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_address: Option<String>,
    /// User name for the vendor's challenge (SIG-53).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its password; stored in clear text because any realm may challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Digest algorithms accepted in the vendor's challenge; if omitted, all that are supported.
    /// With `["SHA-256"]` an MD5-only challenge is not answered (SIG-53, SIG-54).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_algorithms: Option<Vec<DigestAlgorithm>>,
}

/// Reads a host name (underscores are accepted), an IPv4 address, or an IPv6 address in brackets.
fn host<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let host = String::deserialize(from)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let good = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => (1..=255).contains(&host.len()) && host.bytes().all(plain),
    };
    if good {
        return Ok(Some(host));
    }
    Err(de::Error::custom(format!(
        "`{host}` is not a host name or an address without port, such as \"sip.example.com\""
    )))
}

fn european() -> String {
    "eu".to_owned()
}

fn hundred() -> u32 {
    100
}

/// A callee prefix of a vendor trunk: `"44"` or `{ prefix = "44", priority = 50 }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VendorPrefix {
    /// 0 to 20 characters of `0-9 + * #`; empty matches everything.
    pub prefix: String,
    /// Lower first.
    pub priority: u32,
    /// Allows shorter prefixes after it (ROUTE-18).
    pub extend: bool,
}

impl VendorPrefix {
    /// A prefix with the default priority and extension.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        VendorPrefix { prefix: prefix.into(), priority: hundred(), extend: yes() }
    }
}

impl<'de> Deserialize<'de> for VendorPrefix {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            prefix: String,
            #[serde(default = "hundred")]
            priority: u32,
            #[serde(default = "yes")]
            extend: bool,
        }

        struct Entry;

        impl<'de> de::Visitor<'de> for Entry {
            type Value = VendorPrefix;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a prefix such as \"44\" or { prefix = \"44\", priority = 100 }")
            }

            fn visit_str<E: de::Error>(self, prefix: &str) -> Result<VendorPrefix, E> {
                checked(VendorPrefix::new(prefix))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<VendorPrefix, A::Error> {
                let Table { prefix, priority, extend } =
                    Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                checked(VendorPrefix { prefix, priority, extend })
            }
        }

        from.deserialize_any(Entry)
    }
}

fn checked<E: de::Error>(entry: VendorPrefix) -> Result<VendorPrefix, E> {
    let plain = |byte: u8| byte.is_ascii_digit() || b"+*#".contains(&byte);
    if entry.prefix.len() <= 20 && entry.prefix.bytes().all(plain) {
        return Ok(entry);
    }
    Err(E::custom(format!(
        "`{}` is not a prefix: expected 0 to 20 characters of 0-9, +, * and #",
        entry.prefix
    )))
}

/// One timer per state of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// Nothing received (SIG-15).
    #[serde(with = "words::duration")]
    pub response: Duration,
    /// 100 received (SIG-16).
    #[serde(with = "words::duration")]
    pub trying: Duration,
    /// 183 without SDP (SIG-17).
    #[serde(with = "words::duration")]
    pub progress: Duration,
    /// 18x with SDP (SIG-18).
    #[serde(with = "words::duration")]
    pub progress_sdp: Duration,
    /// 180 without SDP (SIG-19).
    #[serde(with = "words::duration")]
    pub ringing: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            response: Duration::from_secs(10),
            trying: Duration::from_secs(20),
            progress: Duration::from_secs(20),
            progress_sdp: Duration::from_secs(120),
            ringing: Duration::from_secs(120),
        }
    }
}

/// A resend schedule (SIG-21): a preset's name or a list of seconds such as `0.5,1,2,4`. Keeps the
/// text as the operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resend {
    text: String,
    schedule: Arc<ResendSchedule>,
}

impl Resend {
    /// The name or list.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The schedule itself.
    #[must_use]
    pub fn schedule(&self) -> &Arc<ResendSchedule> {
        &self.schedule
    }
}

impl Default for Resend {
    fn default() -> Self {
        Resend { text: "standard".to_owned(), schedule: Arc::new(ResendSchedule::standard()) }
    }
}

impl TryFrom<String> for Resend {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let preset = ResendSchedule::preset(&text).map(Ok);
        match preset.unwrap_or_else(|| ResendSchedule::parse(&text)) {
            Ok(schedule) => Ok(Resend { text, schedule: Arc::new(schedule) }),
            Err(error) => Err(format!(
                "{error}: expected one of {}, or 1 to 16 seconds of 0.1 to 32 that do not shrink \
                 and do back off, such as \"0.5,1,2,4\" (SIG-21)",
                ResendSchedule::PRESETS.join(", ")
            )),
        }
    }
}

impl From<Resend> for String {
    fn from(resend: Resend) -> String {
        resend.text
    }
}

/// The identity headers that a vendor gets (SIG-71 to SIG-77).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// P-Asserted-Identity (SIG-72).
    pub asserted: HeaderMode,
    /// P-Preferred-Identity (SIG-73).
    pub preferred: HeaderMode,
    /// Remote-Party-ID (SIG-74).
    pub remote_party: HeaderMode,
    /// Diversion (SIG-77).
    pub diversion: HeaderMode,
    /// Privacy (SIG-75).
    pub privacy: PrivacyMode,
    /// Display name (SIG-71).
    pub display: DisplayMode,
    /// For header modes `fixed`: a name-addr or URI.
    pub fixed_identity: String,
    /// For display mode `fixed`.
    pub fixed_display: String,
}

impl Default for Identity {
    fn default() -> Self {
        Identity {
            asserted: HeaderMode::Caller,
            preferred: HeaderMode::None,
            remote_party: HeaderMode::None,
            diversion: HeaderMode::None,
            privacy: PrivacyMode::Pass,
            display: DisplayMode::Pass,
            fixed_identity: String::new(),
            fixed_display: String::new(),
        }
    }
}

impl Identity {
    /// The presets of SIG-83.
    const PRESETS: [&str; 4] = ["standard", "emergency", "hidden", "none"];

    fn preset(name: &str) -> Option<Identity> {
        let with = |privacy| Identity { privacy, ..Identity::default() };
        match name {
            "standard" => Some(with(PrivacyMode::Pass)),
            "emergency" => Some(with(PrivacyMode::None)),
            "hidden" => Some(with(PrivacyMode::Id)),
            "none" => Some(Identity { asserted: HeaderMode::None, ..with(PrivacyMode::None) }),
            _ => None,
        }
    }
}

fn identity<'de, D: Deserializer<'de>>(from: D) -> Result<Identity, D::Error> {
    struct Written;

    impl<'de> de::Visitor<'de> for Written {
        type Value = Identity;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a preset such as \"standard\" or { asserted = \"caller\" }")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Identity, E> {
            Identity::preset(name).ok_or_else(|| {
                let known = Identity::PRESETS.join(", ");
                E::custom(format!("`{name}` is not a preset: expected one of {known} (SIG-83)"))
            })
        }

        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Identity, A::Error> {
            Identity::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }

    from.deserialize_any(Written)
}

/// When callers hear local ringback while the vendor rings (MEDIA-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ringback {
    /// Never.
    #[default]
    Off,
    /// From a 180 without SDP until early media arrive.
    IfNoEarlyMedia,
    /// Until the answer, regardless of early media.
    Always,
}

/// Which failures of an attempt end the call (rows of ROUTE-50).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Failover {
    /// Row 6.
    pub stop_after_busy: bool,
    /// Row 10.
    pub stop_after_timeout: bool,
    /// Rows 8 and 9 do not stop.
    pub until_connect: bool,
    /// Row 9.
    pub stop_after_media: StopAfterMedia,
    /// Row 5: `{ "404" = "stop", "503" = "switch", "34" = "switch" }`.
    pub code_policy: BTreeMap<ResponseCode, CodePolicy>,
}

impl Default for Failover {
    fn default() -> Self {
        Failover {
            stop_after_busy: true,
            stop_after_timeout: false,
            until_connect: false,
            stop_after_media: StopAfterMedia::Sdp,
            code_policy: BTreeMap::new(),
        }
    }
}

/// The effect of a response code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodePolicy {
    /// Ends the call.
    Stop,
    /// Tries the next choice.
    Switch,
}

/// A final failure code, 300 to 699, or a Q.850 cause, 1 to 127 (ROUTE-51), used as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResponseCode(pub u16);

impl TryFrom<String> for ResponseCode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse() {
            Ok(code @ (1..=127 | 300..=699)) => Ok(ResponseCode(code)),
            _ => Err(format!(
                "`{text}` is neither a failure code nor a cause: expected 300 to 699, or a Q.850 \
                 cause of 1 to 127"
            )),
        }
    }
}

impl From<ResponseCode> for String {
    fn from(code: ResponseCode) -> String {
        code.0.to_string()
    }
}
