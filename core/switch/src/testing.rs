//! Objects of a snapshot for the tests of this crate.

use crate::facts::{
    Account, AttemptTimers, Authentication, CustomerTrunk, Destinations, FailureReply, Network,
    Rate, Reliability, Terms, VendorTrunk,
};
use std::sync::Arc;
use std::time::Duration;

/// An account without a deck.
pub(crate) fn account(id: u32) -> Account {
    Account {
        id,
        name: format!("a{id}").into(),
        parent: None,
        locked: false,
        cuts: false,
        expires_ms: None,
        channels: 0,
        rate: Rate::default(),
        max_duration: Duration::ZERO,
        deck: None,
        rounding: ledger::PriceRounding::default(),
        terms: Terms::PREPAID,
    }
}

/// A customer trunk that is known by its address.
pub(crate) fn customer(id: u32, networks: Vec<Network>) -> CustomerTrunk {
    CustomerTrunk {
        id,
        name: format!("c{id}").into(),
        account: 1,
        locked: false,
        authentication: Authentication::Address,
        networks,
        digest: None,
        tech_prefix: "".into(),
        strip_tech_prefix: true,
        caller_rules: 0,
        callee_rules: 0,
        reject_unmatched: false,
        support_privacy: true,
        trusted: false,
        channels: 0,
        max_duration: Duration::ZERO,
        max_attempts: 5,
        setup_budget: Duration::from_secs(30),
        failure_reply: FailureReply::Best,
        until_connect: false,
        hedge: Duration::ZERO,
        parallel: 1,
        reliability: Reliability::Supported,
        relay: true,
        media_address: 0,
        strict_media: false,
        transcode: true,
        rate: Rate::default(),
    }
}

/// A vendor trunk without prefixes.
pub(crate) fn vendor(id: u32, targets: Destinations) -> VendorTrunk {
    VendorTrunk {
        id,
        name: format!("v{id}").into(),
        account: 1,
        locked: false,
        targets,
        prefixes: Vec::new(),
        listener: 0,
        large_over_tcp: true,
        priority: 1,
        weight: 0,
        last_resort: false,
        channels: 0,
        rate: Rate::default(),
        max_duration: Duration::ZERO,
        timers: AttemptTimers::default(),
        schedule: Arc::default(),
        reliability: Reliability::Supported,
        caller_rules: 0,
        callee_rules: 0,
        identity_rules: 0,
        reject_unmatched: false,
        tech_prefix: "".into(),
        identity: policy::TrunkIdentity::default(),
        from_host: "".into(),
        trusted: true,
        failover: policy::FailoverSwitches::default(),
        relay: true,
        media_address: 0,
        strict_media: false,
        transcode: true,
        ringback: crate::facts::Ringback::default(),
        credentials: None,
    }
}
