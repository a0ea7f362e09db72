//! Resolves a name to addresses: NAPTR, then SRV, then A or AAAA (RFC 3263 section 4).

use sip::Link;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use switch::facts::{Answer, Name};

/// Default SIP port without a record.
const PORT: u16 = 5060;
/// Most addresses used per name.
const MOST: usize = 64;

/// DNS queries.
pub(super) trait Dns {
    /// NAPTR records of a domain.
    fn services(&self, host: &str) -> impl Future<Output = Asked<Service>> + Send;
    /// SRV records of a service.
    fn servers(&self, service: &str) -> impl Future<Output = Asked<Server>> + Send;
    /// A or AAAA records of a host.
    fn addresses(&self, host: &str, ipv6: bool) -> impl Future<Output = Asked<IpAddr>> + Send;
}

/// The result of a query; no records if the name servers say that there are none.
pub(super) type Asked<T> = Result<Records<T>, String>;

/// Records of one type.
#[derive(Clone, Debug)]
pub(super) struct Records<T> {
    pub(super) records: Vec<T>,
    /// The shortest TTL; `None` if unknown.
    pub(super) valid: Option<Duration>,
}

/// A NAPTR record that leads to SRV records.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) order: u16,
    pub(super) preference: u16,
    /// Such as `SIP+D2U`.
    pub(super) kind: String,
    pub(super) replacement: String,
}

/// An SRV record.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: String,
}

/// The addresses of a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) answers: Vec<Answer>,
    /// The shortest TTL of the records used.
    pub(super) valid: Option<Duration>,
    /// A query that no name server answered: there may be more addresses.
    pub(super) missing: Option<String>,
}

impl Found {
    fn note<T>(&mut self, records: &Records<T>) {
        self.valid = [self.valid, records.valid].into_iter().flatten().min();
    }

    fn add(&mut self, address: SocketAddr, link: Link, [priority, weight]: [u16; 2]) {
        let answer = Answer { address, link, priority, weight };
        if self.answers.len() < MOST && !self.answers.contains(&answer) {
            self.answers.push(answer);
        }
    }
}

/// Resolves a name.
///
/// # Errors
/// Why the name servers could not tell whether it has addresses.
pub(super) async fn resolve(dns: &impl Dns, name: &Name) -> Result<Found, String> {
    let mut found = Found::default();
    let usual = name.link.unwrap_or(name.exits.usual);
    if let Some(port) = name.port {
        by_host(dns, name, usual, port, &mut found).await?;
        return Ok(found);
    }
    for (link, service) in services(dns, name, &mut found).await {
        let servers = dns.servers(&service).await?;
        found.note(&servers);
        for server in servers.records {
            // The target "." means that the service does not exist (RFC 2782).
            if server.target.trim_end_matches('.').is_empty() {
                continue;
            }
            match dns.addresses(&server.target, name.exits.ipv6).await {
                Ok(addresses) => {
                    found.note(&addresses);
                    for address in addresses.records {
                        let address = SocketAddr::new(address, server.port);
                        found.add(address, link, [server.priority, server.weight]);
                    }
                }
                Err(why) => found.missing = Some(why),
            }
        }
        if !found.answers.is_empty() {
            return Ok(found);
        }
    }
    if found.missing.is_none() {
        by_host(dns, name, usual, PORT, &mut found).await?;
    }
    Ok(found)
}

/// The services of a name with their transports, in order of preference.
async fn services(dns: &impl Dns, name: &Name, found: &mut Found) -> Vec<(Link, String)> {
    let usual = |link: Link| {
        let transport = match link {
            Link::Datagram => "_udp",
            Link::Stream => "_tcp",
        };
        (link, format!("_sip.{transport}.{}", name.host))
    };
    if let Some(link) = name.link {
        return vec![usual(link)];
    }
    // Some name servers do not support NAPTR; without a response, the default applies (section
    // 4.1).
    let services = dns.services(&name.host).await.unwrap_or_else(|why| {
        tracing::debug!(name = %name.host, why, "no NAPTR records");
        Records { records: Vec::new(), valid: None }
    });
    found.note(&services);
    let mut records = services.records;
    records.sort_by_key(|service| (service.order, service.preference));
    let links: Vec<Link> = name.exits.links().collect();
    let usable = records.into_iter().filter_map(|service| {
        let link = match &*service.kind.to_ascii_uppercase() {
            "SIP+D2U" => Link::Datagram,
            "SIP+D2T" => Link::Stream,
            _ => return None,
        };
        links.contains(&link).then_some((link, service.replacement))
    });
    let usable: Vec<(Link, String)> = usable.collect();
    if usable.is_empty() { links.into_iter().map(usual).collect() } else { usable }
}

async fn by_host(
    dns: &impl Dns,
    name: &Name,
    link: Link,
    port: u16,
    found: &mut Found,
) -> Result<(), String> {
    let addresses = dns.addresses(&name.host, name.exits.ipv6).await?;
    found.note(&addresses);
    for address in addresses.records {
        found.add(SocketAddr::new(address, port), link, [0, 0]);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
