//! A small operator: one customer, two vendors.

use ledger::{Money, PriceRounding, PriceRow, RateDeck, RateRow};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use strowger_switch::facts::*;

pub(crate) const CALLER: &str = "10.1.0.1:5060";
pub(crate) const VENDOR_A: &str = "10.2.0.1:5060";
pub(crate) const VENDOR_B: &str = "10.2.0.2:5060";

pub(crate) fn deck(name: &str, cents_a_minute: i128) -> Arc<RateDeck> {
    let price = Money(cents_a_minute * Money::ONE.0 / 100);
    let row = RateRow {
        prefix: "44".into(),
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
    };
    Arc::new(RateDeck::from_rows(name, "EUR", [row]).expect("a deck"))
}

/// A prepaid account with the deck of the same number; the stage sets its balance.
pub(crate) fn account(id: u32, name: &str) -> Account {
    Account {
        id,
        name: Arc::from(name),
        locked: false,
        expires_ms: None,
        max_duration: Duration::ZERO,
        deck: Some(id),
        rounding: PriceRounding::default(),
        parent: None,
        cuts: false,
        channels: 0,
        rate: Rate::default(),
        terms: Terms::PREPAID,
    }
}

/// Adds an account and its deck.
pub(crate) fn open(facts: &mut Facts, account: Account, deck: Arc<RateDeck>) {
    facts.apply(Change::Deck(account.id, deck));
    facts.apply(Change::Account(Arc::new(account)));
}

/// Changes an existing account.
pub(crate) fn change_account(facts: &mut Facts, id: u32, change: impl FnOnce(&mut Account)) {
    let mut account = Account::clone(&facts.accounts()[&id]);
    change(&mut account);
    facts.apply(Change::Account(Arc::new(account)));
}

/// Changes every vendor trunk.
pub(crate) fn change_vendors(facts: &mut Facts, change: impl Fn(&mut VendorTrunk)) {
    for trunk in facts.clone().vendors().values() {
        let mut trunk = VendorTrunk::clone(trunk);
        change(&mut trunk);
        facts.apply(Change::Vendor(Arc::new(trunk)));
    }
}

/// Adds customer trunks.
pub(crate) fn put_customers(facts: &mut Facts, trunks: impl IntoIterator<Item = CustomerTrunk>) {
    trunks.into_iter().for_each(|trunk| facts.apply(Change::Customer(Arc::new(trunk))));
}

/// Removes all customer trunks.
pub(crate) fn take_customers(facts: &mut Facts) {
    for id in facts.clone().customers().keys() {
        facts.apply(Change::NoCustomer(id));
    }
}

/// Removes all trunks.
pub(crate) fn take_trunks(facts: &mut Facts) {
    take_customers(facts);
    for id in facts.clone().vendors().keys() {
        facts.apply(Change::NoVendor(id));
    }
}

/// A prefix of a vendor trunk.
pub(crate) fn prefix(prefix: &str, extend: bool) -> RoutePrefix {
    RoutePrefix { prefix: prefix.into(), priority: 100, extend }
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
        rate: Rate::default(),
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
    }
}

/// Our credentials for vendors that challenge.
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
        prefixes: vec![prefix("44", true)],
        listener: 0,
        large_over_tcp: true,
        priority,
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
    let mut facts = Facts::default();
    facts.node = Arc::from("test");
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
    open(&mut facts, account(1, "acme"), deck("acme", 60));
    open(&mut facts, account(2, "carrier"), deck("carrier", 30));
    facts.fill([Arc::new(customer)], vendors.into_iter().map(Arc::new));
    facts
}
