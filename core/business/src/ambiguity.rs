//! Ambiguous customer trunks (ROUTE-13): two with the same source and tech prefix, or the same
//! digest user and tech prefix. Each trunk is looked up among the earlier ones, so that the time
//! grows linearly, not quadratically.

use super::folder::{Origin, Origins};
use super::{Authentication, Business, ConfigErrors, CustomerTrunk, PeerAddress};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

const TABLE: &str = "customer_trunk";
const REMEDY: &str = "give one of them a tech_prefix of its own (ROUTE-13)";

/// Refuses each trunk that is indistinguishable from an earlier one.
pub(super) fn check(business: &Business, origins: &Origins, errors: &mut ConfigErrors) {
    let mut seen = Seen::default();
    for (n, trunk) in business.customer_trunks.iter().enumerate() {
        let origin = origins.get(&origins.customer_trunks, n);
        let told = |earlier: usize| {
            let name = &business.customer_trunks[earlier].name;
            match origins.get(&origins.customer_trunks, earlier) {
                origin if origin.has_line() => format!("trunk {name:?} at {}", origin.place()),
                // Stored, or made over the API.
                _ => format!("trunk {name:?}"),
            }
        };
        if let Some((address, earlier)) = seen.same_source(trunk) {
            let problem = format!("{} also has this address; {REMEDY}", told(earlier));
            refuse(origin, "addresses", format!("\"{address}\""), problem, errors);
        } else if let Some(earlier) = seen.same_user(trunk) {
            let problem = format!("{} has this user too; {REMEDY}", told(earlier));
            let value = format!("{:?}", trunk.user.as_deref().unwrap_or(""));
            refuse(origin, "user", value, problem, errors);
        }
        seen.add(trunk, n);
    }
}

fn refuse(origin: &Origin, field: &str, value: String, problem: String, errors: &mut ConfigErrors) {
    errors.push(origin.error(TABLE, field, value, problem));
}

/// The trunks checked so far, by index. The keys begin with the tech prefix.
#[derive(Default)]
struct Seen<'a> {
    /// Trunks identified by address, with or without digest.
    by_address: HashMap<&'a str, Sources>,
    /// Those that need no digest.
    by_address_alone: HashMap<&'a str, Sources>,
    /// Those that also need digest, by user: the user distinguishes trunks at one address.
    by_address_and_user: HashMap<(&'a str, &'a str), Sources>,
    /// Trunks with a digest user, whatever the address.
    by_user: HashMap<(&'a str, &'a str), usize>,
    /// Those that accept any address.
    by_user_alone: HashMap<(&'a str, &'a str), usize>,
}

impl<'a> Seen<'a> {
    /// An address that overlaps one of an earlier trunk, and the index of that trunk.
    fn same_source(&self, trunk: &CustomerTrunk) -> Option<(PeerAddress, usize)> {
        let tech = trunk.tech_prefix.as_str();
        let user = trunk.user.as_deref().unwrap_or("");
        let among: [Option<&Sources>; 2] = match trunk.authentication {
            Authentication::Digest => return None,
            Authentication::Address => [self.by_address.get(tech), None],
            Authentication::Both => {
                [self.by_address_alone.get(tech), self.by_address_and_user.get(&(tech, user))]
            }
        };
        trunk.addresses.iter().find_map(|address| {
            let found = among.iter().flatten().filter_map(|sources| sources.overlapping(address));
            found.min().map(|earlier| (*address, earlier))
        })
    }

    /// An earlier trunk with the same digest user, if either of the two accepts any address.
    fn same_user(&self, trunk: &CustomerTrunk) -> Option<usize> {
        let key = (trunk.tech_prefix.as_str(), trunk.user.as_deref().unwrap_or(""));
        match trunk.authentication {
            Authentication::Address => None,
            Authentication::Digest => self.by_user.get(&key).copied(),
            Authentication::Both => self.by_user_alone.get(&key).copied(),
        }
    }

    fn add(&mut self, trunk: &'a CustomerTrunk, n: usize) {
        let tech = trunk.tech_prefix.as_str();
        let key = (tech, trunk.user.as_deref().unwrap_or(""));
        let digest = trunk.authentication != Authentication::Address;
        if trunk.authentication != Authentication::Digest {
            self.by_address.entry(tech).or_default().add(trunk, n);
            let narrower = if digest {
                self.by_address_and_user.entry(key).or_default()
            } else {
                self.by_address_alone.entry(tech).or_default()
            };
            narrower.add(trunk, n);
        } else {
            self.by_user_alone.entry(key).or_insert(n);
        }
        if digest {
            self.by_user.entry(key).or_insert(n);
        }
    }
}

/// Addresses of trunks, indexed to find overlaps without a scan.
#[derive(Default)]
struct Sources {
    /// Without a port.
    any: Networks,
    /// By port; `None` is any port.
    by_port: HashMap<Option<u16>, Networks>,
}

impl Sources {
    fn add(&mut self, trunk: &CustomerTrunk, n: usize) {
        for address in &trunk.addresses {
            self.any.add(address, n);
            self.by_port.entry(address.port).or_default().add(address, n);
        }
    }

    fn overlapping(&self, address: &PeerAddress) -> Option<usize> {
        match address.port {
            None => self.any.overlapping(address),
            Some(_) => [None, address.port]
                .iter()
                .filter_map(|port| self.by_port.get(port)?.overlapping(address))
                .min(),
        }
    }
}

/// Family (IPv4 before IPv6), first address and prefix length of a network.
type Key = (bool, u128, u8);

/// Two networks overlap only if one contains the other.
#[derive(Default)]
struct Networks {
    /// Index of the first trunk with each network.
    trunks: BTreeMap<Key, usize>,
    /// Prefix lengths in use, by family.
    bits: BTreeSet<(bool, u8)>,
}

impl Networks {
    fn add(&mut self, address: &PeerAddress, n: usize) {
        let (first, _) = span(address, address.prefix);
        let six = address.address.is_ipv6();
        self.trunks.entry((six, first, address.prefix)).or_insert(n);
        self.bits.insert((six, address.prefix));
    }

    /// A trunk with a network that equals, contains or lies in `address`.
    fn overlapping(&self, address: &PeerAddress) -> Option<usize> {
        let six = address.address.is_ipv6();
        let wider = self
            .bits
            .range((six, 0)..=(six, address.prefix))
            .find_map(|(_, bits)| self.trunks.get(&(six, span(address, *bits).0, *bits)).copied());
        wider.or_else(|| {
            let (first, last) = span(address, address.prefix);
            let inside = self.trunks.range((six, first, 0)..=(six, last, u8::MAX)).next();
            inside.map(|(_, n)| *n)
        })
    }
}

/// First and last address of the network with this prefix length around an address.
fn span(address: &PeerAddress, bits: u8) -> (u128, u128) {
    let (host, width) = match address.address {
        IpAddr::V4(host) => (u128::from(u32::from(host)), 32),
        IpAddr::V6(host) => (u128::from(host), 128),
    };
    let free = width - u32::from(bits).min(width);
    let mask = u128::MAX.checked_shl(free).unwrap_or(0);
    let first = host & mask;
    (first, first | !mask & u128::MAX.checked_shr(128 - width).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule, checked pair by pair.
    fn alike(a: &CustomerTrunk, b: &CustomerTrunk) -> bool {
        let digest = |trunk: &CustomerTrunk| trunk.authentication != Authentication::Address;
        let address = |trunk: &CustomerTrunk| trunk.authentication != Authentication::Digest;
        if a.tech_prefix != b.tech_prefix || digest(a) && digest(b) && a.user != b.user {
            return false;
        }
        if address(a) && address(b) {
            return a.addresses.iter().any(|one| b.addresses.iter().any(|two| one.overlaps(two)));
        }
        digest(a) && digest(b)
    }

    /// ROUTE-13, over trunks generated from a seed.
    #[test]
    fn the_index_finds_what_comparing_all_pairs_finds() {
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..300 {
            let mut trunks: Vec<CustomerTrunk> = Vec::new();
            for n in 0..12 {
                let addresses: Vec<String> = (0..draw(3))
                    .map(|_| match draw(4) {
                        0 => format!("\"10.0.{}.0/{}\"", draw(2), 22 + draw(3)),
                        1 => format!("\"10.0.{}.{}\"", draw(2), draw(3)),
                        2 => format!("\"10.0.0.{}:{}\"", draw(3), 5060 + draw(2)),
                        _ => format!("\"2001:db8::{}/{}\"", draw(3), 126 + draw(3)),
                    })
                    .collect();
                let text = format!(
                    "name = \"t{n}\"\naccount = \"a\"\nauthentication = \"{}\"\nuser = \"u{}\"\n\
                     tech_prefix = \"{}\"\naddresses = [{}]\n",
                    ["address", "digest", "both"][draw(3) as usize],
                    draw(3),
                    ["", "9"][draw(2) as usize],
                    addresses.join(", ")
                );
                trunks.push(toml::from_str(&text).unwrap());
            }
            let mut seen = Seen::default();
            for (n, trunk) in trunks.iter().enumerate() {
                let expected = trunks[..n].iter().any(|earlier| alike(earlier, trunk));
                let found =
                    seen.same_source(trunk).map(|(_, n)| n).or_else(|| seen.same_user(trunk));
                assert_eq!(found.is_some(), expected, "round {round}: {trunk:?} in {trunks:#?}");
                if let Some(earlier) = found {
                    assert!(alike(&trunks[earlier], trunk), "round {round}");
                }
                seen.add(trunk, n);
            }
        }
    }
}
