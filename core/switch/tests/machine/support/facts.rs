//! A small operator: one customer, two vendors.

use ledger::{Money, PriceRounding, PriceRow, Purse, RateDeck, RateRow};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use strowger_switch::facts::*;

pub(crate) const CALLER: &str = "10.1.0.1:5060";
pub(crate) const VENDOR_A: &str = "10.2.0.1:5060";
pub(crate) const VENDOR_B: &str = "10.2.0.2:5060";

pub(crate) fn deck(name: &str, cents_a_minute: i128) -> Arc<RateDeck> {
    let mut deck = RateDeck::new(name, "EUR");
    let price = Money(cents_a_minute * Money::ONE.0 / 100);
    deck.push(RateRow {
        prefix: Arc::from("44"),
        destination: Arc::from("United Kingdom"),
        price: PriceRow {
            price_first: price,
            price_next: price,
            first_increment_s: 1,
            next_increment_s: 1,
            ..PriceRow::default()
        },
        valid_from_ms: 0,
        valid_to_ms: None,
        blocked: false,
    });
    Arc::new(deck)
}

pub(crate) fn account(id: u32, name: &str, balance: i128, cents: i128) -> Arc<Account> {
    Arc::new(Account {
        id,
        name: Arc::from(name),
        locked: false,
        expires_ms: None,
        max_duration: Duration::ZERO,
        deck: Some(deck(name, cents)),
        rounding: PriceRounding::default(),
        purse: Arc::new(Purse::new(Money(balance * Money::ONE.0), Some(Money::ZERO))),
    })
}

pub(crate) fn customer(id: u32, name: &str, address: &str) -> CustomerTrunk {
    let address: SocketAddr = address.parse().expect("an address");
    CustomerTrunk {
        id,
        name: Arc::from(name),
        account: 1,
        locked: false,
        authentication: Authentication::Address,
        networks: vec![strowger_switch::facts::Network {
            address: address.ip(),
            prefix: 32,
            port: None,
        }],
        digest: None,
        tech_prefix: Arc::from(""),
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
        until_connect: false,
        hedge: Duration::ZERO,
        parallel: 1,
        reliability: Reliability::Supported,
        failure_reply: FailureReply::Best,
        relay: true,
        media_address: 0,
        strict_media: false,
        transcode: true,
        usage: Arc::default(),
    }
}

/// What vendors know us by that challenge.
pub(crate) fn known_to_vendors() -> Credentials {
    Credentials {
        user: "strowger".into(),
        password: "a long enough secret".into(),
        algorithms: Arc::from(sip::digest::Algorithm::ALL),
    }
}

/// A target by its address.
pub(crate) fn at(target: &str) -> Destination {
    let flow = sip::Flow::datagram(0, target.parse().expect("an address"));
    Destination { priority: 0, weight: None, place: Place::Address(flow) }
}

pub(crate) fn vendor(id: u32, name: &str, targets: &[&str], priority: u32) -> VendorTrunk {
    VendorTrunk {
        id,
        name: Arc::from(name),
        account: 2,
        locked: false,
        targets: Destinations::new(targets.iter().map(|target| at(target)).collect()),
        listener: 0,
        large_over_tcp: true,
        priority,
        weight: 0,
        last_resort: false,
        channels: 0,
        max_duration: Duration::ZERO,
        timers: AttemptTimers::default(),
        schedule: Arc::default(),
        reliability: Reliability::Supported,
        caller_rules: 0,
        callee_rules: 0,
        identity_rules: 0,
        reject_unmatched: false,
        tech_prefix: Arc::from(""),
        identity: policy::TrunkIdentity::default(),
        from_host: Arc::from("switch.example"),
        trusted: true,
        failover: policy::FailoverSwitches::default(),
        relay: true,
        media_address: 0,
        strict_media: false,
        transcode: true,
        ringback: Default::default(),
        credentials: None,
        usage: Arc::default(),
    }
}

/// One customer at [`CALLER`], vendor-a before vendor-b, all for prefix 44.
pub(crate) fn small_operator() -> Facts {
    operator(
        customer(1, "acme", CALLER),
        vec![vendor(11, "vendor-a", &[VENDOR_A], 1), vendor(12, "vendor-b", &[VENDOR_B], 2)],
    )
}

pub(crate) fn operator(customer: CustomerTrunk, vendors: Vec<VendorTrunk>) -> Facts {
    let mut facts = Facts { node: Arc::from("test"), ..Facts::default() };
    facts.listeners.push(Listener {
        name: Arc::from("main"),
        local: super::SWITCH.parse().expect("an address"),
        link: sip::Link::Datagram,
        twin: None,
        advertised: Arc::from(super::SWITCH),
        domain: Arc::from("switch.example"),
        digest_algorithms: Arc::from(sip::digest::Algorithm::ALL),
        digest_from_anywhere: true,
    });
    facts.accounts.insert(1, account(1, "acme", 100_000, 60));
    facts.accounts.insert(2, account(2, "carrier", 0, 30));
    facts.customers.insert(customer.id, Arc::new(customer));
    let entries =
        vendors.iter().map(|v| RouteEntry { trunk: v.id, priority: 100, extend: true }).collect();
    facts.routes.insert("44", entries);
    for vendor in vendors {
        facts.vendors.insert(vendor.id, Arc::new(vendor));
    }
    facts
}
