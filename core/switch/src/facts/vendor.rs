//! Vendor trunks, the destinations of calls.

use crate::destinations::Destinations;
use live::Rate;
use policy::{FailoverSwitches, TrunkIdentity};
use serde::{Deserialize, Serialize};
use sip::session::{Credentials, Reliability};
use std::sync::Arc;
use std::time::Duration;

/// A destination of calls (ROUTE-02).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorTrunk {
    /// Numeric id; the last sort key (K11).
    pub id: u32,
    /// Unique name.
    pub name: Arc<str>,
    /// Account that we pay.
    pub account: u32,
    /// Accepts no calls.
    pub locked: bool,
    /// Its targets (SIG-65, SIG-66).
    pub targets: Destinations,
    /// Its callee prefixes, each once (ROUTE-16).
    #[serde(default)]
    pub prefixes: Vec<RoutePrefix>,
    /// Index of its own listener (SIG-63). Targets with the other transport are reached from the
    /// twin of this listener.
    pub listener: u16,
    /// Requests that are too large for a datagram go over TCP, if the listener has a twin (RFC 3261
    /// section 18.1.1).
    pub large_over_tcp: bool,
    /// Lower first.
    pub priority: u32,
    /// For weighted balance.
    pub weight: u32,
    /// ROUTE-45.
    pub last_resort: bool,
    /// Channels, 0 is unlimited.
    pub channels: u32,
    /// Calls a second (SEC-11).
    #[serde(default)]
    pub rate: Rate,
    /// Longest call; zero means no own limit.
    pub max_duration: Duration,
    /// State timers of an attempt.
    pub timers: AttemptTimers,
    /// Resend schedule (SIG-21).
    pub schedule: Arc<sip::ResendSchedule>,
    /// Reliable provisional responses from it (SIG-06).
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
    /// Media pass through us, unless the other trunk of the call bypasses the relay (MEDIA-03).
    pub relay: bool,
    /// Media address index for this side.
    pub media_address: u16,
    /// MEDIA-11.
    pub strict_media: bool,
    /// MEDIA-23: audio is converted for callers with another codec, default on.
    pub transcode: bool,
    /// MEDIA-13: the sound that its callers hear while it rings.
    pub ringback: Ringback,
    /// Credentials for the vendor's challenge (SIG-53).
    pub credentials: Option<Credentials>,
}

/// Our tone for callers whose vendor rings (MEDIA-13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ringback {
    /// When it is played.
    pub mode: RingbackMode,
    /// A country code for its tone, or the name of a sound of the node.
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

/// A callee prefix of a vendor trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutePrefix {
    /// The digits; empty is every number.
    pub prefix: ledger::Text,
    /// Lower first, default 100.
    pub priority: u32,
    /// ROUTE-18, default yes.
    pub extend: bool,
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
