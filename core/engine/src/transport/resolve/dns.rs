//! DNS queries through hickory-resolver.

use super::procedure::{Asked, Dns, Records, Server, Service};
use config::DnsConfig;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a name server may take for a response, and how often it is retried.
const ANSWER: Duration = Duration::from_secs(2);
const AGAIN: usize = 1;

/// The name servers of the node file, or those of the operating system.
pub(super) struct NameServers(TokioResolver);

impl NameServers {
    /// # Errors
    /// The configuration of the operating system is unreadable.
    pub(super) fn of(config: &DnsConfig) -> Result<NameServers, String> {
        let told = |error: NetError| error.to_string();
        let mut builder = if config.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(told)?
        } else {
            let servers = config.servers.iter().map(|server| {
                let mut known = NameServerConfig::udp_and_tcp(server.0.ip());
                known.connections.iter_mut().for_each(|way| way.port = server.0.port());
                known
            });
            let servers = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
        };
        set(builder.options_mut());
        Ok(NameServers(builder.build().map_err(told)?))
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Asked<T> {
        match self.0.lookup(name, kind).await {
            Ok(lookup) => {
                let records: Vec<T> =
                    lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
                let valid = lookup.valid_until().saturating_duration_since(Instant::now());
                Ok(Records { records, valid: Some(valid) })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain) =>
            {
                let valid = none.negative_ttl.map(|seconds| Duration::from_secs(seconds.into()));
                Ok(Records { records: Vec::new(), valid })
            }
            Err(error) => Err(format!("{kind} of {name}: {error}")),
        }
    }
}

/// Disables the cache: the resolver queries a name when its answer expires, so a second cache would
/// only make it older.
fn set(options: &mut ResolverOpts) {
    options.timeout = ANSWER;
    options.attempts = AGAIN;
    options.cache_size = 0;
}

impl Dns for NameServers {
    async fn services(&self, host: &str) -> Asked<Service> {
        self.ask(host, RecordType::NAPTR, |data| {
            let RData::NAPTR(naptr) = data else { return None };
            // Other flags do not lead to SRV records (RFC 3263 section 4.1).
            let flagged = naptr.flags.eq_ignore_ascii_case(b"s") && naptr.regexp.is_empty();
            flagged.then(|| Service {
                order: naptr.order,
                preference: naptr.preference,
                kind: String::from_utf8_lossy(&naptr.services).into_owned(),
                replacement: naptr.replacement.to_string(),
            })
        })
        .await
    }

    async fn servers(&self, service: &str) -> Asked<Server> {
        self.ask(service, RecordType::SRV, |data| {
            let RData::SRV(srv) = data else { return None };
            Some(Server {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_string(),
            })
        })
        .await
    }

    async fn addresses(&self, host: &str, ipv6: bool) -> Asked<IpAddr> {
        let kind = if ipv6 { RecordType::AAAA } else { RecordType::A };
        self.ask(host, kind, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .await
    }
}
