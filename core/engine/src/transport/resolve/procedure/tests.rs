use super::*;
use std::collections::HashMap;
use switch::facts::Exits;

/// A zone in memory; other names have no records.
#[derive(Default)]
struct Zone {
    services: HashMap<&'static str, Vec<Service>>,
    servers: HashMap<&'static str, Vec<Server>>,
    addresses: HashMap<&'static str, Vec<&'static str>>,
    /// Names for which no name server responds.
    silent: Vec<&'static str>,
}

impl Zone {
    fn asked<T: Clone>(
        &self,
        table: &HashMap<&'static str, Vec<T>>,
        name: &str,
        seconds: u64,
    ) -> Asked<T> {
        if self.silent.contains(&name) {
            return Err(format!("{name} timed out"));
        }
        let records = table.get(name).cloned().unwrap_or_default();
        let valid = (!records.is_empty()).then(|| Duration::from_secs(seconds));
        Ok(Records { records, valid })
    }
}

impl Dns for Zone {
    async fn services(&self, host: &str) -> Asked<Service> {
        self.asked(&self.services, host, 900)
    }

    async fn servers(&self, service: &str) -> Asked<Server> {
        self.asked(&self.servers, service, 120)
    }

    async fn addresses(&self, host: &str, ipv6: bool) -> Asked<IpAddr> {
        let Records { records, valid } = self.asked(&self.addresses, host, 60)?;
        let addresses = records.iter().map(|text| text.parse::<IpAddr>().unwrap());
        let records = addresses.filter(|address| address.is_ipv6() == ipv6).collect();
        Ok(Records { records, valid })
    }
}

fn service(order: u16, preference: u16, kind: &str, replacement: &str) -> Service {
    Service { order, preference, kind: kind.to_owned(), replacement: replacement.to_owned() }
}

fn server(priority: u16, weight: u16, port: u16, target: &str) -> Server {
    Server { priority, weight, port, target: target.to_owned() }
}

fn zone() -> Zone {
    let mut zone = Zone::default();
    zone.addresses.insert("a.example", vec!["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    zone.addresses.insert("b.example", vec!["192.0.2.3"]);
    zone.servers.insert(
        "_sip._udp.gw.example",
        vec![server(20, 0, 5070, "b.example"), server(10, 5, 5060, "a.example")],
    );
    zone.servers.insert("_sip._tcp.gw.example", vec![server(1, 0, 5080, "b.example")]);
    zone
}

const BOTH: Exits =
    Exits { datagram: Some(0), stream: Some(1), usual: Link::Datagram, ipv6: false };

fn name(host: &str, port: Option<u16>, link: Option<Link>, exits: Exits) -> Name {
    Name { host: host.into(), port, link, exits }
}

fn run(zone: &Zone, name: &Name) -> Result<Found, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(resolve(zone, name))
}

/// `udp 192.0.2.1:5060 10/5` and so on.
fn texts(found: &Found) -> Vec<String> {
    let text = |answer: &Answer| {
        let Answer { address, link, priority, weight } = answer;
        format!("{} {address} {priority}/{weight}", link.name())
    };
    found.answers.iter().map(text).collect()
}

fn resolved(zone: &Zone, name: &Name) -> Vec<String> {
    texts(&run(zone, name).unwrap())
}

/// SIG-66, RFC 3263 section 4.2: with a port, an address record; without, SRV, then an address
/// record with the default port.
#[test]
fn ports_come_from_the_target_or_from_srv_records() {
    let zone = zone();
    let at = |host, port| resolved(&zone, &name(host, port, Some(Link::Datagram), BOTH));
    assert_eq!(at("a.example", Some(5090)), ["udp 192.0.2.1:5090 0/0", "udp 192.0.2.2:5090 0/0"]);
    assert_eq!(at("b.example", None), ["udp 192.0.2.3:5060 0/0"]);
    assert_eq!(
        at("gw.example", None),
        ["udp 192.0.2.3:5070 20/0", "udp 192.0.2.1:5060 10/5", "udp 192.0.2.2:5060 10/5"]
    );
    let six = Exits { ipv6: true, ..BOTH };
    let found = resolved(&zone, &name("a.example", None, None, six));
    assert_eq!(found, ["udp [2001:db8::1]:5060 0/0"]);
    assert_eq!(at("nowhere.example", None), [""; 0]);
}

/// RFC 3263 section 4.1: the transport as written, else the preferred one of NAPTR that is
/// supported, else the default.
#[test]
fn the_transport_comes_from_the_target_or_from_naptr_records() {
    let mut zone = zone();
    let by = |zone: &Zone, link, exits| {
        let found = resolved(zone, &name("gw.example", None, link, exits));
        found[0].split(' ').next().unwrap().to_owned()
    };
    let udp_only = Exits { stream: None, ..BOTH };
    let tcp_first = Exits { usual: Link::Stream, ..BOTH };
    assert_eq!(by(&zone, None, BOTH), "udp");
    assert_eq!(by(&zone, None, tcp_first), "tcp");
    assert_eq!(by(&zone, Some(Link::Stream), BOTH), "tcp");
    zone.services.insert(
        "gw.example",
        vec![
            service(20, 1, "SIP+D2U", "_sip._udp.gw.example"),
            service(10, 2, "SIP+D2T", "_sip._tcp.gw.example"),
            service(10, 1, "SIPS+D2T", "_sips._tcp.gw.example"),
        ],
    );
    assert_eq!(by(&zone, None, BOTH), "tcp");
    assert_eq!(by(&zone, None, udp_only), "udp");
    assert_eq!(by(&zone, Some(Link::Datagram), BOTH), "udp");
    zone.silent.push("gw.example");
    assert_eq!(by(&zone, None, BOTH), "udp", "an unanswered NAPTR question changes nothing");
}

/// SIG-66: an answer is valid for the shortest TTL of its records; no response differs from no
/// record.
#[test]
fn the_shortest_record_counts_and_silence_is_no_answer() {
    let mut zone = zone();
    let gateway = name("gw.example", None, None, BOTH);
    assert_eq!(run(&zone, &gateway).unwrap().valid, Some(Duration::from_secs(60)));
    zone.silent.push("b.example");
    let part = run(&zone, &gateway).unwrap();
    assert_eq!(part.answers.len(), 2);
    assert_eq!(part.missing.as_deref(), Some("b.example timed out"));
    zone.silent.push("_sip._udp.gw.example");
    assert_eq!(run(&zone, &gateway).unwrap_err(), "_sip._udp.gw.example timed out");
    zone.servers.insert("_sip._udp.off.example", vec![server(0, 0, 0, ".")]);
    assert!(resolved(&zone, &name("off.example", None, None, BOTH)).is_empty());
}
