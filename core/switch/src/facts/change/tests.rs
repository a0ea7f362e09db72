//! Random sequences of changes, compared with facts built from scratch.

use super::*;
use crate::facts::{Authentication, Destination, Destinations, DigestUser, Network, Place};
use crate::facts::{Listener, RoutePrefix};
use crate::testing;
use ledger::{Money, PriceRow, RateLookup, RateRow};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::digest::{Credentials, Ha1s};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The expected facts, in the plainest form.
#[derive(Default)]
struct Naive {
    accounts: BTreeMap<u32, Arc<Account>>,
    customers: BTreeMap<u32, Arc<CustomerTrunk>>,
    vendors: BTreeMap<u32, Arc<VendorTrunk>>,
    decks: BTreeMap<u32, Arc<RateDeck>>,
}

impl Naive {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Account(account) => drop(self.accounts.insert(account.id, account)),
            Change::NoAccount(id) => drop(self.accounts.remove(&id)),
            Change::Customer(trunk) => drop(self.customers.insert(trunk.id, trunk)),
            Change::NoCustomer(id) => drop(self.customers.remove(&id)),
            Change::Vendor(trunk) => drop(self.vendors.insert(trunk.id, trunk)),
            Change::NoVendor(id) => drop(self.vendors.remove(&id)),
            Change::Deck(number, deck) => drop(self.decks.insert(number, deck)),
            Change::NoDeck(number) => drop(self.decks.remove(&number)),
        }
    }

    fn facts(&self) -> Facts {
        let mut facts = empty();
        for (number, deck) in &self.decks {
            facts.apply(Change::Deck(*number, Arc::clone(deck)));
        }
        for account in self.accounts.values() {
            facts.apply(Change::Account(Arc::clone(account)));
        }
        facts.fill(self.customers.values().cloned(), self.vendors.values().cloned());
        facts
    }
}

fn empty() -> Facts {
    let listener = Listener {
        name: "main".into(),
        local: SocketAddr::from(([10, 0, 0, 1], 5060)),
        link: sip::Link::Datagram,
        twin: None,
        advertised: "10.0.0.1".into(),
        domain: "realm-1".into(),
        digest_algorithms: Arc::from(sip::digest::Algorithm::ALL),
        digest_from_anywhere: true,
    };
    Facts { listeners: vec![listener], ..Facts::default() }
}

/// Few ids, hosts, users and prefixes, so that they collide.
struct Draws(StdRng);

impl Draws {
    fn below(&mut self, limit: u32) -> u32 {
        self.0.random_range(0..limit)
    }

    fn host(&mut self) -> IpAddr {
        let host = 0x0a00_0000 + self.below(24);
        match self.below(5) {
            0 => IpAddr::V6(u128::from(host).into()),
            _ => IpAddr::V4(host.into()),
        }
    }

    fn prefix(&mut self) -> String {
        (0..self.below(4)).map(|_| ["4", "2"][self.below(2) as usize]).collect()
    }

    fn change(&mut self) -> Change {
        let id = self.below(12);
        match self.below(12) {
            0 => Change::NoAccount(id),
            1..3 => Change::Account(Arc::new(Account {
                deck: Some(self.below(4)),
                channels: self.below(3),
                ..testing::account(id)
            })),
            3 => Change::NoCustomer(id),
            4..7 => Change::Customer(Arc::new(self.customer(id))),
            7 => Change::NoVendor(id),
            8..11 => Change::Vendor(Arc::new(self.vendor(id))),
            _ if self.below(3) == 0 => Change::NoDeck(self.below(4)),
            _ => {
                let number = self.below(4);
                Change::Deck(number, self.deck())
            }
        }
    }

    fn customer(&mut self, id: u32) -> CustomerTrunk {
        let networks = (0..self.below(4)).map(|_| {
            let address = self.host();
            let widest = if address.is_ipv4() { 28 } else { 124 };
            let prefix = widest + self.below(5) as u8;
            Network { address, prefix, port: (self.below(4) == 0).then_some(5061) }
        });
        let networks: Vec<Network> = networks.collect();
        let kinds = [Authentication::Address, Authentication::Digest];
        let digest = DigestUser {
            user: format!("user-{}", self.below(4)).into(),
            realm: format!("realm-{}", self.below(4)).into(),
            ha1s: Ha1s { md5: None, sha256: None },
            algorithms: None,
        };
        CustomerTrunk {
            authentication: kinds[self.below(2) as usize],
            digest: Some(digest),
            tech_prefix: ["", "9"][self.below(2) as usize].into(),
            ..testing::customer(id, networks)
        }
    }

    fn vendor(&mut self, id: u32) -> VendorTrunk {
        let targets = (0..self.below(3)).map(|_| {
            let flow = sip::Flow::datagram(0, SocketAddr::new(self.host(), 5060));
            Destination { priority: 0, weight: None, place: Place::Address(flow) }
        });
        let targets = Destinations::new(targets.collect());
        let mut prefixes: Vec<RoutePrefix> = Vec::new();
        for _ in 0..self.below(4) {
            let prefix = self.prefix().into();
            if prefixes.iter().all(|known| known.prefix != prefix) {
                prefixes.push(RoutePrefix { prefix, priority: self.below(2), extend: true });
            }
        }
        VendorTrunk { prefixes, ..testing::vendor(id, targets) }
    }

    fn deck(&mut self) -> Arc<RateDeck> {
        let price = PriceRow { price_next: Money(self.below(9).into()), ..PriceRow::default() };
        let row = RateRow {
            prefix: self.prefix().into(),
            destination: "somewhere".into(),
            price,
            valid_from_ms: 0,
            valid_to_ms: None,
            blocked: false,
        };
        Arc::new(RateDeck::from_rows("deck", "EUR", [row]).unwrap())
    }
}

/// The results of look-ups.
fn finds_the_same(one: &Facts, other: &Facts, draws: &mut Draws) {
    let source = SocketAddr::new(draws.host(), 5060 + draws.below(2) as u16);
    assert_eq!(one.knows(source), other.knows(source), "{source}");
    assert_eq!(one.admits_users(0), other.admits_users(0));
    let (sources, others) = (&one.sources, &other.sources);
    assert_eq!(sources.demands_digest(), others.demands_digest());
    let (user, realm) = (format!("user-{}", draws.below(4)), format!("realm-{}", draws.below(5)));
    let text = format!("Digest username=\"{user}\",realm=\"{realm}\",nonce=\"1\",uri=\"1\"");
    let text = format!("{text},response=\"{}\"", "0".repeat(32));
    let claim = Credentials::parse(&text).expect("credentials");
    assert_eq!(sources.has_realm(&realm), others.has_realm(&realm));
    assert_eq!(sources.realm(&realm, "realm-1"), others.realm(&realm, "realm-1"));
    for callee in ["4244", "94244", "2"] {
        let of = |index: &crate::facts::SourceIndex| {
            let here = index.customer(source, callee, Some(&user)).map(|trunk| trunk.id);
            (here, index.user(&claim, callee).map(|trunk| trunk.id))
        };
        assert_eq!(of(sources), of(others), "{source} calls {callee}");
        assert!(one.routes.matches(callee).eq(other.routes.matches(callee)), "{callee}");
        let prices = |facts: &Facts| -> Vec<Option<Money>> {
            let price = |account: &u32| {
                let deck = facts.deck_of(facts.accounts.get(account)?)?;
                match deck.find(callee, 0) {
                    RateLookup::Found(row) => Some(row.price.price_next),
                    RateLookup::Blocked | RateLookup::None => None,
                }
            };
            (0..12).map(|account| price(&account)).collect()
        };
        assert_eq!(prices(one), prices(other));
    }
}

#[test]
fn any_sequence_of_changes_leads_to_the_facts_made_anew() {
    for seed in 0..40 {
        let mut draws = Draws(StdRng::seed_from_u64(seed));
        let (mut facts, mut naive) = (empty(), Naive::default());
        for round in 0..120 {
            let change = match naive.customers.values().nth(draws.below(12) as usize) {
                // Found by the same keys, but with another value.
                Some(trunk) if draws.below(3) == 0 => Change::Customer(Arc::new(CustomerTrunk {
                    channels: round,
                    ..CustomerTrunk::clone(trunk)
                })),
                _ => draws.change(),
            };
            naive.apply(change.clone());
            facts = facts.with(change);
            let anew = naive.facts();
            assert_eq!(facts.accounts, anew.accounts);
            assert_eq!(facts.customers, anew.customers);
            assert_eq!(facts.vendors, anew.vendors);
            assert!(facts.routes.iter().eq(anew.routes.iter()), "seed {seed}, round {round}");
            assert_eq!(facts.routes.len(), anew.routes.len());
            // A whole business is added by other steps than a change: both must give the same
            // index.
            assert!(facts.sources.is_like(&anew.sources), "seed {seed}, round {round}");
            for _ in 0..4 {
                finds_the_same(&facts, &anew, &mut draws);
            }
            if round == 60 {
                facts.fold();
            }
        }
    }
}

/// A change of anything else does not affect the peers of running calls.
#[test]
fn only_an_address_that_is_gone_counts_as_lost() {
    let network = |last: u8| Network { address: [10, 0, 0, last].into(), prefix: 32, port: None };
    let put = |networks| Change::Customer(Arc::new(testing::customer(1, networks)));
    let facts = empty().with(put(vec![network(1), network(2)]));
    let loses = |change| facts.with(change).sources.has_lost_some_of(&facts.sources);
    assert!(!loses(Change::Account(Arc::new(testing::account(1)))));
    assert!(!loses(put(vec![network(2), network(1), network(3)])));
    assert!(loses(put(vec![network(1), network(3)])));
    assert!(loses(Change::NoCustomer(1)));
    assert!(facts.sources.has_lost_some_of(&empty().sources), "of another business");
}
