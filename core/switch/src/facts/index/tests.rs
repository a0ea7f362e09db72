//! Compares the index with a search over all trunks.

use super::*;
use crate::facts::Facts;
use crate::testing;

fn trunk(id: u32, networks: Vec<Network>) -> CustomerTrunk {
    let tech_prefix = ["", "9"][id as usize % 2].into();
    CustomerTrunk { tech_prefix, ..testing::customer(id, networks) }
}

fn facts(trunks: impl IntoIterator<Item = CustomerTrunk>) -> Facts {
    let mut facts = Facts::default();
    facts.fill(trunks.into_iter().map(Arc::new), []);
    facts
}

/// The trunk that ROUTE-13 chooses, by searching all trunks.
fn chosen(facts: &Facts, source: SocketAddr, callee: &str) -> Option<u32> {
    let fits = facts.customers.values().filter(|trunk| callee.starts_with(&*trunk.tech_prefix));
    let ranked = fits.filter_map(|trunk| {
        let around = trunk.networks.iter().filter(|network| network.contains(source));
        let best = around.map(|network| (network.port.is_some(), network.prefix)).max()?;
        Some((best, trunk.tech_prefix.len(), std::cmp::Reverse(trunk.id)))
    });
    ranked.max().map(|(_, _, id)| id.0)
}

/// ROUTE-09, ROUTE-10, ROUTE-13, over trunks made from a seed.
#[test]
fn the_index_finds_what_a_look_at_every_trunk_finds() {
    let mut state = 3_u64;
    let mut draw = |below: u32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % below
    };
    for _ in 0..200 {
        let mut network = || {
            let port = (draw(4) == 0).then(|| 5060 + draw(2) as u16);
            let host = 0x0a00_0000 + draw(40);
            if draw(4) == 0 {
                let address = IpAddr::V6(u128::from(host).into());
                return Network { address, prefix: (118 + draw(11)) as u8, port };
            }
            Network { address: IpAddr::V4(host.into()), prefix: (26 + draw(7)) as u8, port }
        };
        let trunks: Vec<CustomerTrunk> =
            (1..12).map(|id| trunk(id, (0..id % 4).map(|_| network()).collect())).collect();
        let facts = facts(trunks);
        let index = &facts.sources;
        for _ in 0..40 {
            let host = 0x0a00_0000 + draw(48);
            let address = match draw(3) {
                0 => IpAddr::V6(u128::from(host).into()),
                1 => IpAddr::V6(std::net::Ipv4Addr::from(host).to_ipv6_mapped()),
                _ => IpAddr::V4(host.into()),
            };
            let source = SocketAddr::new(address, 5060 + draw(3) as u16);
            for callee in ["123", "9123"] {
                let found = index.customer(source, callee, None).map(|trunk| trunk.id);
                assert_eq!(found, chosen(&facts, source, callee), "{source} in {facts:?}");
                if found.is_some() {
                    assert!(index.knows(source), "{source}");
                }
            }
        }
    }
}

/// The cost of a packet does not grow with the number of trunks: a host is looked up once per
/// prefix length.
#[test]
fn a_stranger_is_known_in_a_few_steps_among_twenty_thousand_networks() {
    let network = |id: u32| Network {
        address: IpAddr::V4((0x0a00_0000 + id * 16).into()),
        prefix: 28 + (id % 3) as u8,
        port: None,
    };
    let facts = facts((1..=20_000).map(|id| trunk(id, vec![network(id)])));
    let index = &facts.sources;
    assert_eq!(index.networks.bits[0].len(), 3, "three look-ups for each packet");
    assert!(index.networks.trunks.values().all(|trunks| trunks.len() == 1));
    assert!(!index.knows("203.0.113.9:5060".parse().unwrap()));
    let known = "10.0.0.17:5060".parse().unwrap();
    assert_eq!(index.customer(known, "1", None).map(|trunk| trunk.id), None, "its prefix is 9");
    assert_eq!(index.customer(known, "91", None).map(|trunk| trunk.id), Some(1));
}
