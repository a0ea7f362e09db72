//! What the call machine knows about trunks, accounts and prices: a snapshot of the
//! configuration, which never changes. A call keeps the snapshot that it began with. What does
//! change (channels taken, figures of vendor trunks, balances) hangs on the snapshot as shared
//! handles, [`TrunkUsage`] and [`Purse`], which the next snapshot takes over.

pub use crate::destinations::{Answer, Destination, Destinations, Directory, Exits, Name, Place};
pub use crate::index::Sources;
use crate::media::SilenceLimits;
use crate::quality::Quality;
use foldhash::HashMap;
use ledger::{PrefixTable, PriceRounding, Purse, RateDeck};
use policy::{FailoverSwitches, TrunkIdentity, TrunkStatistics};
use serde::{Deserialize, Serialize};
use sip::Link;
use sip::digest::{Algorithm, Ha1s};
pub use sip::session::{Credentials, Reliability, SessionTimers};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// One snapshot of everything an operator configured.
#[derive(Debug, Default)]
pub struct Facts {
    /// Node name, written to records.
    pub node: Arc<str>,
    /// Listeners by index; `sip::Flow::listener` is an index into it.
    pub listeners: Vec<Listener>,
    /// Customer trunks by id.
    pub customers: HashMap<u32, Arc<CustomerTrunk>>,
    /// Vendor trunks by id.
    pub vendors: HashMap<u32, Arc<VendorTrunk>>,
    /// Accounts, paying and paid, by id.
    pub accounts: HashMap<u32, Arc<Account>>,
    /// Callee prefix to the vendor trunks that list it. Every length matters, so look
    /// up with `PrefixTable::matches`.
    pub routes: PrefixTable<Vec<RouteEntry>>,
    /// Node-wide call settings.
    pub settings: CallSettings,
    /// Counters of the whole node, shared by all shards and by successive snapshots.
    pub usage: Arc<TrunkUsage>,
    /// The addresses of the trunks, arranged for look-ups.
    pub sources: Sources,
    /// The addresses of the names that trunks have as targets, shared by all shards and by
    /// successive snapshots (SIG-66).
    pub directory: Arc<Directory>,
}

/// An address that the switch listens on.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Bound address.
    pub local: SocketAddr,
    /// Datagrams or streams.
    pub link: Link,
    /// Index of the listener of the other transport at the same address.
    pub twin: Option<u16>,
    /// `host:port` for Via and Contact (SIG-64).
    pub advertised: Arc<str>,
    /// Host for From, PAI and the digest realm (SIG-51, SIG-70).
    pub domain: Arc<str>,
    /// Hashes that are offered and taken here, the preferred one first (SIG-54).
    pub digest_algorithms: Arc<[Algorithm]>,
    /// Customers with a password may call from addresses that no trunk names (SIG-92).
    pub digest_from_anywhere: bool,
}

/// Settings that hold for every call of the node.
#[derive(Clone, Debug)]
pub struct CallSettings {
    /// SIG-35: longest call, default 12 h; zero is no limit.
    pub max_duration: Duration,
    /// Whole set-up including ringing (ROUTE-54), default 180 s.
    pub setup_limit: Duration,
    /// Between interim records of an answered call (CDR-06), default 60 s.
    pub interim: Duration,
    /// From one question of supervision about an answered call to the next, default 60 s; zero:
    /// only on answer, and when the answer says so.
    pub supervision: Duration,
    /// Concurrent calls of the node; 0 is unlimited.
    pub channels: u32,
    /// How the life of each leg is watched (SIG-26 to SIG-33).
    pub session: SessionTimers,
    /// How long an answered call may be silent (MEDIA-16 to MEDIA-19).
    pub silence: SilenceLimits,
    /// The secret behind digest nonces; the same on all nodes (SIG-54).
    pub nonce_secret: [u8; 32],
}

impl Default for CallSettings {
    fn default() -> Self {
        CallSettings {
            max_duration: Duration::from_secs(43_200),
            setup_limit: Duration::from_secs(180),
            interim: Duration::from_secs(60),
            supervision: Duration::from_secs(60),
            channels: 0,
            session: SessionTimers::default(),
            silence: SilenceLimits::default(),
            nonce_secret: [0; 32],
        }
    }
}

/// Addresses of a peer: one host or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// First address.
    pub address: IpAddr,
    /// Bits that count: 0-32 or 0-128.
    pub prefix: u8,
    /// Only this port (ROUTE-10); none is any.
    pub port: Option<u16>,
}

impl Network {
    /// Whether `source` lies in it. IPv4-mapped IPv6 sources count as IPv4.
    #[must_use]
    pub fn contains(&self, source: SocketAddr) -> bool {
        if self.port.is_some_and(|port| port != source.port()) {
            return false;
        }
        match (self.address, source.ip().to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(host)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
                u32::from(network) & mask == u32::from(host) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(host)) => {
                let bits = 128 - u32::from(self.prefix.min(128));
                let mask = u128::MAX.checked_shl(bits).unwrap_or(0);
                u128::from(network) & mask == u128::from(host) & mask
            }
            _ => false,
        }
    }
}

/// How a customer trunk proves who it is (ROUTE-09 to ROUTE-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// By source address (and port, where the network names one).
    Address,
    /// By digest from any address.
    Digest,
    /// Both.
    AddressAndDigest,
}

/// Digest credentials: hashes of `user:realm:password`, never the password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestUser {
    /// User name.
    pub user: Arc<str>,
    /// Realm the hashes were made for.
    pub realm: Arc<str>,
    /// The hashes.
    pub ha1s: Ha1s,
    /// What is offered and taken instead of the listener's (SIG-54).
    pub algorithms: Option<Arc<[Algorithm]>>,
}

impl std::fmt::Debug for DigestUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestUser").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Which code the caller gets when every attempt failed (SIG-86).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureReply {
    /// The most telling of all attempts.
    #[default]
    Best,
    /// That of the last attempt.
    Last,
    /// Always this one.
    Fixed(u16),
}

/// A source of calls (ROUTE-01).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTrunk {
    /// Numeric id.
    pub id: u32,
    /// Unique name.
    pub name: Arc<str>,
    /// Paying account.
    pub account: u32,
    /// No calls are taken.
    pub locked: bool,
    /// How it is identified.
    pub authentication: Authentication,
    /// Where it may come from.
    pub networks: Vec<Network>,
    /// For the digest modes.
    pub digest: Option<DigestUser>,
    /// Ingress tech prefix that tells trunks on one address apart (ROUTE-13); empty: none.
    pub tech_prefix: Arc<str>,
    /// Take the tech prefix off (NUM-07).
    pub strip_tech_prefix: bool,
    /// Handles of rule sets (NUM-04, NUM-05); 0 is none.
    pub caller_rules: u64,
    /// See `caller_rules`.
    pub callee_rules: u64,
    /// NUM-19.
    pub reject_unmatched: bool,
    /// SIG-76, default on.
    pub support_privacy: bool,
    /// SIG-78, default off.
    pub trusted: bool,
    /// Channels, 0 is unlimited.
    pub channels: u32,
    /// Longest call; zero is no limit of its own.
    pub max_duration: Duration,
    /// ROUTE-53: attempts in total, 0 is unlimited, default 5.
    pub max_attempts: u32,
    /// ROUTE-54: no new attempt later than this after the INVITE, default 30 s.
    pub setup_budget: Duration,
    /// Rows 8 and 9 of ROUTE-50 stop none of its calls.
    pub until_connect: bool,
    /// ROUTE-58: the next attempt starts when the first has stayed silent for so long; zero: it
    /// does not.
    pub hedge: Duration,
    /// ROUTE-58: attempts that start at once, at least 1.
    pub parallel: u32,
    /// Provisional responses to it (SIG-06).
    pub reliability: Reliability,
    /// SIG-86.
    pub failure_reply: FailureReply,
    /// Media pass through us, unless the other trunk of the call says no (MEDIA-03).
    pub relay: bool,
    /// Media address index for this side.
    pub media_address: u16,
    /// MEDIA-11: only the SDP address is accepted.
    pub strict_media: bool,
    /// MEDIA-23: a vendor with another codec is reached by conversion, default on.
    pub transcode: bool,
    /// Counters shared by all shards and by successive snapshots.
    #[serde(skip)]
    pub usage: Arc<TrunkUsage>,
}

/// A destination of calls (ROUTE-02).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorTrunk {
    /// Numeric id; the last sort key (K11).
    pub id: u32,
    /// Unique name.
    pub name: Arc<str>,
    /// Account that we pay.
    pub account: u32,
    /// Not used.
    pub locked: bool,
    /// Where it is reached (SIG-65, SIG-66).
    pub targets: Destinations,
    /// Index of its own listener (SIG-63). Targets of the other transport are reached from the
    /// twin of this listener.
    pub listener: u16,
    /// Requests that are too large for a datagram go over TCP, where the listener has a twin
    /// (RFC 3261 section 18.1.1).
    pub large_over_tcp: bool,
    /// Lower first.
    pub priority: u32,
    /// For weighted balance.
    pub weight: u32,
    /// ROUTE-45.
    pub last_resort: bool,
    /// Channels, 0 is unlimited.
    pub channels: u32,
    /// Longest call; zero is no limit of its own.
    pub max_duration: Duration,
    /// State timers of an attempt.
    pub timers: AttemptTimers,
    /// Resend schedule (SIG-21).
    pub schedule: Arc<sip::ResendSchedule>,
    /// Provisional responses of it (SIG-06).
    pub reliability: Reliability,
    /// Handles of rule sets (NUM-08, NUM-09, NUM-22); 0 is none.
    pub caller_rules: u64,
    /// See `caller_rules`.
    pub callee_rules: u64,
    /// See `caller_rules`.
    pub identity_rules: u64,
    /// NUM-19.
    pub reject_unmatched: bool,
    /// NUM-10.
    pub tech_prefix: Arc<str>,
    /// SIG-71 to SIG-77.
    pub identity: TrunkIdentity,
    /// Host for From and identity headers (SIG-70); empty: the address that the INVITE goes to.
    pub from_host: Arc<str>,
    /// SIG-78, default on.
    pub trusted: bool,
    /// ROUTE-50.
    pub failover: FailoverSwitches,
    /// Media pass through us, unless the other trunk of the call says no (MEDIA-03).
    pub relay: bool,
    /// Media address index for this side.
    pub media_address: u16,
    /// MEDIA-11.
    pub strict_media: bool,
    /// MEDIA-23: callers with another codec reach it by conversion, default on.
    pub transcode: bool,
    /// MEDIA-13: what its callers hear while it rings.
    pub ringback: Ringback,
    /// Credentials for the vendor's challenge (SIG-53).
    pub credentials: Option<Credentials>,
    /// Counters shared by all shards and by successive snapshots.
    #[serde(skip)]
    pub usage: Arc<TrunkUsage>,
}

/// A tone of ours for callers whose vendor rings (MEDIA-13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ringback {
    /// When it is heard.
    pub mode: RingbackMode,
    /// The code of the country whose tone it is, or the name of a sound of the node.
    pub sound: Arc<str>,
}

/// When a caller hears our tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RingbackMode {
    /// Never.
    Off,
    /// After 180 without SDP, until the vendor is heard.
    IfNoEarlyMedia,
    /// From the first 18x to the answer, whatever the vendor sends.
    Always,
}

impl Default for Ringback {
    fn default() -> Self {
        Ringback { mode: RingbackMode::Off, sound: Arc::from("eu") }
    }
}

/// One timer for each state of an attempt (SIG-15 to SIG-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptTimers {
    /// SIG-15: nothing received, default 10 s.
    pub response: Duration,
    /// SIG-16: 100 received, default 20 s.
    pub trying: Duration,
    /// SIG-17: 183 without SDP, default 20 s.
    pub progress: Duration,
    /// SIG-18: 18x with SDP, default 120 s.
    pub progress_sdp: Duration,
    /// SIG-19: 180 without SDP, default 120 s.
    pub ringing: Duration,
}

impl Default for AttemptTimers {
    fn default() -> Self {
        AttemptTimers {
            response: Duration::from_secs(10),
            trying: Duration::from_secs(20),
            progress: Duration::from_secs(20),
            progress_sdp: Duration::from_secs(120),
            ringing: Duration::from_secs(120),
        }
    }
}

/// Live counters of a trunk or of the node, exact over all shards (SEC-12).
#[derive(Debug, Default)]
pub struct TrunkUsage {
    /// Calls up or being set up.
    active: AtomicU32,
    /// Day number (UTC) that `today` counts.
    day: AtomicU64,
    /// Attempts sent on that day.
    today: AtomicU64,
    /// Attempts refused with 401 or 407.
    unauthorized: AtomicU64,
    /// Attempts refused with 482 or 483.
    looped: AtomicU64,
    /// Outcomes of the last minutes; vendor trunks only.
    pub(crate) quality: Quality,
}

/// Counters are equal to themselves alone.
impl PartialEq for TrunkUsage {
    fn eq(&self, other: &TrunkUsage) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for TrunkUsage {}

/// Refusals of a vendor trunk that an operator must know of (ROUTE-51), since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// With 401 or 407: it wants credentials that it was not given, or others (SIG-53).
    pub unauthorized: u64,
    /// With 482 or 483: the calls may go in circles.
    pub looped: u64,
}

const DAY_MS: u64 = 86_400_000;

impl TrunkUsage {
    /// Takes a channel if fewer than `limit` are taken; 0 is no limit (SEC-12).
    #[must_use]
    pub fn take(&self, limit: u32) -> bool {
        let limit = if limit == 0 { u32::MAX } else { limit };
        let more = |active: u32| (active < limit).then(|| active + 1);
        self.active.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Gives a taken channel back.
    pub fn release(&self) {
        self.active.fetch_sub(1, Ordering::AcqRel);
    }

    /// Counts a final code of the vendor, if it is one that an operator must know of.
    pub(crate) fn count_refusal(&self, code: u16) {
        match code {
            401 | 407 => self.unauthorized.fetch_add(1, Ordering::Relaxed),
            482 | 483 => self.looped.fetch_add(1, Ordering::Relaxed),
            _ => return,
        };
    }

    /// What was counted so far.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Refusals { unauthorized: read(&self.unauthorized), looped: read(&self.looped) }
    }

    /// Live figures at `utc_ms` (ROUTE-31 to ROUTE-34).
    #[must_use]
    pub fn statistics(&self, utc_ms: u64) -> TrunkStatistics {
        TrunkStatistics { active: self.active(), ..self.quality.read(utc_ms) }
    }

    /// Channels taken now.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Acquire)
    }

    /// Counts an attempt on the UTC day of `utc_ms` (K9 of ROUTE-23).
    pub fn count_attempt(&self, utc_ms: u64) {
        let day = utc_ms / DAY_MS;
        if self.day.swap(day, Ordering::AcqRel) != day {
            self.today.store(0, Ordering::Release);
        }
        self.today.fetch_add(1, Ordering::AcqRel);
    }

    /// Attempts on the UTC day of `utc_ms`.
    #[must_use]
    pub fn attempts_today(&self, utc_ms: u64) -> u64 {
        let today = self.day.load(Ordering::Acquire) == utc_ms / DAY_MS;
        if today { self.today.load(Ordering::Acquire) } else { 0 }
    }
}

/// Who pays us, or whom we pay.
#[derive(Debug, Serialize, Deserialize)]
pub struct Account {
    /// Numeric id.
    pub id: u32,
    /// Unique name.
    pub name: Arc<str>,
    /// Takes no calls.
    pub locked: bool,
    /// Expiry, UTC ms; none never expires.
    pub expires_ms: Option<u64>,
    /// Longest call (SIG-35); zero is no limit of its own.
    pub max_duration: Duration,
    /// Prices: sell side for a customer account, buy side for a vendor account.
    #[serde(skip)]
    pub deck: Option<Arc<RateDeck>>,
    /// BILL-11, BILL-17, BILL-18.
    pub rounding: PriceRounding,
    /// Balance and credit, shared by all shards and by successive snapshots.
    #[serde(skip)]
    pub purse: Arc<Purse>,
}

/// Purses and decks are equal to themselves alone: comparing a million rows would cost what
/// sharing an account saves.
impl PartialEq for Account {
    fn eq(&self, other: &Account) -> bool {
        let Account { id, name, locked, expires_ms, max_duration, deck, rounding, purse } = self;
        (*id, name, *locked, *expires_ms, *max_duration, *rounding)
            == (
                other.id,
                &other.name,
                other.locked,
                other.expires_ms,
                other.max_duration,
                other.rounding,
            )
            && deck.as_ref().map(Arc::as_ptr) == other.deck.as_ref().map(Arc::as_ptr)
            && Arc::ptr_eq(purse, &other.purse)
    }
}

/// One vendor trunk under one callee prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// Vendor trunk id.
    pub trunk: u32,
    /// Lower first, default 100.
    pub priority: u32,
    /// ROUTE-18, default yes.
    pub extend: bool,
}
