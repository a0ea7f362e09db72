use super::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::HashMap;

const EXITS: Exits =
    Exits { datagram: Some(0), stream: Some(1), usual: Link::Datagram, ipv6: false };

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 5060))
}

fn name(host: &str, port: Option<u16>, link: Option<Link>) -> Arc<Name> {
    Arc::new(Name { host: host.into(), port, link, exits: EXITS })
}

fn answer(last: u8, priority: u16, weight: u16) -> Answer {
    Answer { address: address(last), link: Link::Datagram, priority, weight }
}

fn entry(priority: u32, weight: Option<u32>, place: Place) -> Destination {
    Destination { priority, weight, place }
}

fn at(last: u8) -> Place {
    Place::Address(Flow::datagram(0, address(last)))
}

fn order(destinations: &Destinations, directory: &Directory, rng: &mut StdRng) -> Vec<u8> {
    let last = |way: &Way| match way.flow.remote.ip() {
        IpAddr::V4(host) => host.octets()[3],
        IpAddr::V6(_) => 0,
    };
    destinations.ways(directory, rng).list.iter().map(last).collect()
}

/// SIG-65: priority before written order; within one priority a share of the calls by weight.
#[test]
fn targets_are_tried_by_priority_and_shared_by_weight() {
    let mut rng = StdRng::seed_from_u64(1);
    let directory = Directory::default();
    let listed = Destinations::new(vec![
        entry(20, None, at(1)),
        entry(10, None, at(3)),
        entry(10, None, at(2)),
    ]);
    assert!(listed.fixed.is_some());
    assert_eq!(order(&listed, &directory, &mut rng), [3, 2, 1]);

    let shared = Destinations::new(vec![
        entry(10, Some(30), at(1)),
        entry(10, Some(10), at(2)),
        entry(10, Some(0), at(3)),
        entry(20, None, at(4)),
    ]);
    let mut first: HashMap<u8, u32> = HashMap::new();
    for _ in 0..4000 {
        let order = order(&shared, &directory, &mut rng);
        assert_eq!(order.len(), 4);
        assert_eq!(order[3], 4);
        *first.entry(order[0]).or_default() += 1;
    }
    assert!((2700..3200).contains(&first[&1]), "{first:?}");
    assert!((800..1200).contains(&first[&2]), "{first:?}");
    assert!(first.get(&3).is_none_or(|count| *count < 200), "{first:?}");
}

/// SIG-66: a name counts with its addresses at that moment.
#[test]
fn names_lead_to_the_addresses_of_the_directory() {
    let mut rng = StdRng::seed_from_u64(2);
    let directory = Directory::default();
    let gateway = name("gw.example", None, None);
    let by_name = Place::Name(Arc::clone(&gateway));
    let targets = Destinations::new(vec![entry(0, None, by_name), entry(0, None, at(9))]);
    assert_eq!(order(&targets, &directory, &mut rng), [9], "an unknown name is left out");
    let alone = Destinations::new(vec![entry(0, None, Place::Name(Arc::clone(&gateway)))]);
    let ways = alone.ways(&directory, &mut rng).skip_to_awake(|_| true).unwrap();
    assert!(ways.first().is_none() && alone.first_text() == "gw.example");

    directory.publish([(Arc::clone(&gateway), vec![answer(2, 20, 0), answer(1, 10, 0)])], []);
    assert_eq!(order(&targets, &directory, &mut rng), [1, 2, 9]);
    assert!(directory.has_host(address(2).ip()));
    directory.publish([(Arc::clone(&gateway), vec![answer(9, 0, 0)])], [address(2).ip()]);
    assert_eq!(order(&targets, &directory, &mut rng), [9], "one address is tried once");
    assert!(!directory.has_host(address(2).ip()), "the old address is no vendor's any more");
    assert!(directory.had_host(address(2).ip()), "its calls are");
}

/// The Request-URI and the identity keep the name; an address stands for itself.
#[test]
fn a_name_stays_in_the_uri() {
    let way = |name: &Arc<Name>| Way::of(name, &answer(1, 0, 0)).unwrap();
    let plain = way(&name("gw.example", None, None));
    assert_eq!((&*plain.uri_end(), &*plain.host()), ("gw.example", "gw.example"));
    let whole = way(&name("gw.example", Some(5070), Some(Link::Stream)));
    assert_eq!(whole.uri_end(), "gw.example:5070;transport=tcp");
    let address = Way { flow: Flow { link: Link::Stream, ..plain.flow }, name: None };
    assert_eq!(address.uri_end(), "192.0.2.1:5060;transport=tcp");
    assert_eq!(address.host(), "192.0.2.1");
}

/// SIG-91, SIG-65: addresses at rest are skipped, and each way is used once.
#[test]
fn ways_are_taken_one_by_one() {
    let mut rng = StdRng::seed_from_u64(3);
    let listed = [1, 2, 3].map(|last| entry(0, None, at(last)));
    let ways = Destinations::new(listed.into()).ways(&Directory::default(), &mut rng);
    let ways = ways.skip_to_awake(|address| address != self::address(1)).unwrap();
    assert_eq!(ways.first().unwrap().flow.remote, address(2));
    let rest = ways.rest().unwrap();
    assert_eq!(rest.first().unwrap().flow.remote, address(3));
    assert!(rest.rest().is_none());
    assert!(ways.skip_to_awake(|_| false).is_none());
}

/// A Contact with a host name leads to the vendor that a trunk names so, and nowhere else.
#[test]
fn a_known_name_in_a_contact_is_resolved() {
    let directory = Directory::default();
    let flow = Flow::datagram(0, address(7));
    assert_eq!(directory.address_of("gw.example", None, flow), None);
    let gateway = name("gw.example", None, None);
    directory.publish([(Arc::clone(&gateway), vec![answer(1, 0, 0), answer(2, 0, 0)])], []);
    assert_eq!(directory.address_of("GW.example", None, flow), Some(address(1)));
    let known = Flow::datagram(0, address(2));
    assert_eq!(directory.address_of("gw.example", None, known), Some(address(2)));
    assert_eq!(directory.address_of("gw.example", Some(5070), flow), None);
    let stream = Flow { link: Link::Stream, ..flow };
    assert_eq!(directory.address_of("gw.example", None, stream), None);
}
