//! Trunks, accounts and prices for the call machine: an immutable snapshot of the configuration. A
//! call keeps the snapshot that it began with. Data that changes (taken channels, figures of vendor
//! trunks, balances) is in `live`, under the same ids.
//!
//! When one object changes, the next snapshot shares all other objects with the previous one
//! ([`Facts::with`]).

mod change;
mod index;
mod price;
mod vendor;

pub use crate::destinations::{Answer, Destination, Destinations, Directory, Exits, Name, Place};
use crate::id_map::IdMap;
use crate::media::SilenceLimits;
pub use change::Change;
pub(crate) use index::SourceIndex;
pub use ledger::Terms;
use ledger::{DEEPEST_TREE, LayeredTable, PriceRounding, RateDeck, Text};
pub use live::Rate;
pub(crate) use price::deck_row;
use serde::{Deserialize, Serialize};
use sip::digest::{Algorithm, Ha1s};
pub use sip::session::{Credentials, Reliability, SessionTimers};
use sip::{Flow, Link};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
pub use vendor::{AttemptTimers, Ringback, RingbackMode, RouteEntry, RoutePrefix, VendorTrunk};

/// One snapshot of everything that an operator configured. A clone shares it.
///
/// Only [`Facts::apply`] adds and removes objects; it keeps routes and the addresses of trunks
/// consistent with them.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Node name, written to records.
    pub node: Arc<str>,
    /// Listeners by index; `sip::Flow::listener` is an index into it.
    pub listeners: Vec<Listener>,
    /// Node-wide call settings.
    pub settings: CallSettings,
    /// The addresses of the host names among the trunks' targets, shared by all shards and by
    /// successive snapshots (SIG-66).
    pub directory: Arc<Directory>,
    /// Customer trunks by id.
    pub(crate) customers: IdMap<Arc<CustomerTrunk>>,
    /// Vendor trunks by id.
    pub(crate) vendors: IdMap<Arc<VendorTrunk>>,
    /// Accounts, paying and paid, by id.
    pub(crate) accounts: IdMap<Arc<Account>>,
    /// Decks by the number that accounts refer to.
    pub(crate) decks: IdMap<Arc<RateDeck>>,
    /// Callee prefixes, each with its vendor trunks sorted by id. Shorter matches count too, so
    /// look up with `LayeredTable::matches`.
    pub(crate) routes: LayeredTable<Arc<[RouteEntry]>>,
    /// The addresses of the trunks, indexed.
    pub(crate) sources: SourceIndex,
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
    /// Hashes that are offered and accepted here, the preferred one first (SIG-54).
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
    /// Interval of supervision questions about an answered call, default 60 s; zero: only on
    /// answer, and when an answer requests it.
    pub supervision: Duration,
    /// Concurrent calls of the node; 0 is unlimited.
    pub channels: u32,
    /// Calls a second of the node (SEC-11).
    pub rate: Rate,
    /// Talk time per reservation (BILL-40), 10 to 900 s, default 60 s.
    pub slice: Duration,
    /// Session timers and probes of each leg (SIG-26 to SIG-33).
    pub session: SessionTimers,
    /// How long an answered call may be silent (MEDIA-16 to MEDIA-19).
    pub silence: SilenceLimits,
    /// The node's own secret behind digest nonces; other nodes have other secrets (SIG-54).
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
            rate: Rate::default(),
            slice: Duration::from_secs(60),
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

/// How a customer trunk authenticates (ROUTE-09 to ROUTE-12).
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
    /// Hashes offered and accepted instead of the listener's (SIG-54).
    pub algorithms: Option<Arc<[Algorithm]>>,
}

impl std::fmt::Debug for DigestUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestUser").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The code for the caller if every attempt failed (SIG-86).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureReply {
    /// The most informative code of all attempts.
    #[default]
    Best,
    /// That of the last attempt.
    Last,
    /// Always this one.
    Fixed(u16),
}

/// A source of calls (ROUTE-01).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTrunk {
    /// Numeric id.
    pub id: u32,
    /// Unique name.
    pub name: Arc<str>,
    /// Paying account.
    pub account: u32,
    /// Accepts no calls.
    pub locked: bool,
    /// How it is identified.
    pub authentication: Authentication,
    /// Its addresses.
    pub networks: Vec<Network>,
    /// For the digest modes.
    pub digest: Option<DigestUser>,
    /// Ingress tech prefix that distinguishes trunks on one address (ROUTE-13); empty: none.
    pub tech_prefix: Arc<str>,
    /// Removes the tech prefix (NUM-07).
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
    /// Calls a second (SEC-11).
    #[serde(default)]
    pub rate: Rate,
    /// Longest call; zero means no own limit.
    pub max_duration: Duration,
    /// ROUTE-53: attempts in total, 0 is unlimited, default 5.
    pub max_attempts: u32,
    /// ROUTE-54: no new attempt after this time from the INVITE, default 30 s.
    pub setup_budget: Duration,
    /// Rows 8 and 9 of ROUTE-50 do not stop its calls.
    pub until_connect: bool,
    /// ROUTE-58: the next attempt starts if the first has been silent for this time; zero: never.
    pub hedge: Duration,
    /// ROUTE-58: attempts that start at once, at least 1.
    pub parallel: u32,
    /// Reliable provisional responses to it (SIG-06).
    pub reliability: Reliability,
    /// SIG-86.
    pub failure_reply: FailureReply,
    /// Media pass through us, unless the other trunk of the call bypasses the relay (MEDIA-03).
    pub relay: bool,
    /// Media address index for this side.
    pub media_address: u16,
    /// MEDIA-11: only the SDP address is accepted.
    pub strict_media: bool,
    /// MEDIA-23: audio is converted for a vendor with another codec, default on.
    pub transcode: bool,
}

/// A party that pays us, or that we pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Numeric id.
    pub id: u32,
    /// Unique name.
    pub name: Arc<str>,
    /// Its reseller (BILL-60), which pays for its calls too (BILL-62).
    #[serde(default)]
    pub parent: Option<u32>,
    /// Accepts no calls.
    pub locked: bool,
    /// When it is locked or blocked, its running calls also end (BILL-44, BILL-51).
    #[serde(default)]
    pub cuts: bool,
    /// Expiry, UTC ms; none never expires.
    pub expires_ms: Option<u64>,
    /// Channels for all calls of the account and of the accounts below it, 0 is unlimited
    /// (BILL-51).
    #[serde(default)]
    pub channels: u32,
    /// Their new calls per second (SEC-11).
    #[serde(default)]
    pub rate: Rate,
    /// Longest call (SIG-35); zero means no own limit.
    pub max_duration: Duration,
    /// Prices: sell side for a customer account, buy side for a vendor account. A deck number of
    /// the same snapshot, so a changed deck changes no account.
    #[serde(skip)]
    pub deck: Option<u32>,
    /// BILL-11, BILL-17, BILL-18.
    pub rounding: PriceRounding,
    /// Credit limit, block threshold and caps of its purse.
    #[serde(default)]
    pub terms: Terms,
}

impl Facts {
    /// The address of the listener that a message came in on or goes out from.
    pub(crate) fn local_address(&self, flow: Flow) -> Text {
        let listener = self.listeners.get(usize::from(flow.listener));
        listener.map(|listener| sip::address_text(listener.local)).unwrap_or_default()
    }

    /// Customer trunks by id.
    #[must_use]
    pub fn customers(&self) -> &IdMap<Arc<CustomerTrunk>> {
        &self.customers
    }

    /// Vendor trunks by id.
    #[must_use]
    pub fn vendors(&self) -> &IdMap<Arc<VendorTrunk>> {
        &self.vendors
    }

    /// Accounts by id.
    #[must_use]
    pub fn accounts(&self) -> &IdMap<Arc<Account>> {
        &self.accounts
    }

    /// Decks by number.
    #[must_use]
    pub fn decks(&self) -> &IdMap<Arc<RateDeck>> {
        &self.decks
    }

    /// Vendor trunks by callee prefix.
    #[must_use]
    pub fn routes(&self) -> &LayeredTable<Arc<[RouteEntry]>> {
        &self.routes
    }

    /// The prices of an account; none if it has no deck.
    #[must_use]
    pub fn deck_of(&self, account: &Account) -> Option<&Arc<RateDeck>> {
        self.decks.get(&account.deck?)
    }

    /// The account and its resellers, upwards.
    pub fn payers(&self, account: &Arc<Account>) -> impl Iterator<Item = Arc<Account>> {
        let above = |account: &Arc<Account>| self.accounts.get(&account.parent?).cloned();
        std::iter::successors(Some(Arc::clone(account)), above).take(1 + DEEPEST_TREE)
    }

    /// Whether a trunk names the address, or a trunk's host name resolves to it.
    #[must_use]
    pub fn knows(&self, source: SocketAddr) -> bool {
        self.sources.knows(source) || self.directory.has_host(source.ip().to_canonical())
    }

    /// Whether this listener accepts customers that authenticate by digest from any address.
    #[must_use]
    pub fn admits_users(&self, listener: u16) -> bool {
        let listener = self.listeners.get(usize::from(listener));
        self.sources.has_users() && listener.is_none_or(|listener| listener.digest_from_anywhere)
    }
}
