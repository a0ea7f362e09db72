//! Checks beyond single values: ranges, uniqueness, overlaps.

use super::{Config, Housekeeping, MediaAddressConfig, SessionConfig, Transport};
use platform::ProcessorSet;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

/// All problems: the name of the setting, and what would be right.
pub(super) fn problems(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if !is_name(&config.name) {
        found.push(("name".to_owned(), name_rule(&config.name)));
    }
    threads(&mut found, "shards", config.shards);
    housekeeping(&mut found, config);
    if config.processor_latency.is_some_and(|limit| limit > Duration::from_secs(1)) {
        let detail = "out of range: allowed are 0us to 1s".to_owned();
        found.push(("processor_latency".to_owned(), detail));
    }
    listeners(&mut found, config);
    media(&mut found, config);
    dns(&mut found, config);
    admin(&mut found, config);
    plugins(&mut found, config);
    decisions(&mut found, config);
    records(&mut found, config);
    calls(&mut found, config);
    if !is_log_filter(&config.log.level) {
        found.push((
            "log.level".to_owned(),
            format!(
                "`{}` is not a level: allowed are error, warn, info, debug, trace, or a filter such as \"info,switch=debug\"",
                config.log.level
            ),
        ));
    }
    found
}

pub(super) type Found = Vec<(String, String)>;

fn threads(found: &mut Found, field: &str, count: Option<u16>) {
    if let Some(count) = count
        && !(1..=64).contains(&count)
    {
        found.push((field.to_owned(), format!("{count} is out of range: allowed are 1 to 64")));
    }
}

fn housekeeping(found: &mut Found, config: &Config) {
    let (Some(Housekeeping::On(wanted)), Ok(allowed)) =
        (&config.housekeeping_processors, ProcessorSet::of_program())
    else {
        return;
    };
    let absent = wanted.without(&allowed);
    let detail = if !absent.is_empty() {
        format!("this program may not use processor {absent}: allowed are {allowed}")
    } else if allowed.without(wanted).is_empty() {
        format!(
            "`{wanted}` leaves no processor for calls: allowed are some of {allowed}, or \"none\""
        )
    } else {
        return;
    };
    found.push(("housekeeping_processors".to_owned(), detail));
}

fn listeners(found: &mut Found, config: &Config) {
    if config.listeners.is_empty() {
        found.push(("listeners".to_owned(), "at least one listener is needed".to_owned()));
    }
    let mut names = HashSet::new();
    let mut addresses = HashSet::new();
    for (index, listener) in config.listeners.iter().enumerate() {
        let field = |name: &str| format!("listeners[{index}].{name}");
        unique_name(found, field("name"), &listener.name, &mut names, "listener");
        if listener.address.port() == 0 {
            found.push((field("address"), "port 0 is not allowed: name the port".to_owned()));
        }
        if !addresses.insert((listener.address, listener.transport)) {
            found.push((
                field("address"),
                format!("{} is used by an earlier listener", listener.address),
            ));
        }
        match &listener.advertised {
            None if listener.address.ip().is_unspecified() => found.push((
                field("address"),
                format!(
                    "{} is every address: name in `advertised` the `host:port` that peers can reach",
                    listener.address.ip()
                ),
            )),
            Some(advertised) if !is_host_port(advertised) => found.push((
                field("advertised"),
                format!("`{advertised}` is not `host` or `host:port`, such as \"192.0.2.1:5060\""),
            )),
            _ => {}
        }
        if listener.close_with_reset && listener.transport != Transport::Tcp {
            let detail = "only connections are closed: it needs transport = \"tcp\"";
            found.push((field("close_with_reset"), detail.to_owned()));
        }
        let algorithms = &listener.digest_algorithms;
        if algorithms.is_empty()
            || (1..algorithms.len()).any(|n| algorithms[n] == algorithms[n - 1])
            || algorithms.len() > 2
        {
            let detail = "one or both of \"MD5\" and \"SHA-256\", the preferred one first";
            found.push((field("digest_algorithms"), detail.to_owned()));
        }
        if let Some(domain) = &listener.domain
            && !is_host(domain)
        {
            found.push((
                field("domain"),
                format!("`{domain}` is not a host name or an address, such as \"sip.example.com\""),
            ));
        }
    }
}

fn dns(found: &mut Found, config: &Config) {
    let dns = &config.dns;
    let mut wrong = |field: &str, value: Duration, allowed: &str| {
        let detail = format!("{value:?} is out of range: allowed are {allowed}");
        found.push((format!("dns.{field}"), detail));
    };
    if !(1..=600).contains(&dns.shortest.as_secs()) {
        wrong("shortest", dns.shortest, "1s to 10m");
    }
    if dns.longest < dns.shortest || dns.longest > Duration::from_secs(24 * 3600) {
        wrong("longest", dns.longest, "dns.shortest to 24h");
    }
    if dns.keep > Duration::from_secs(30 * 24 * 3600) {
        wrong("keep", dns.keep, "0s to 720h");
    }
}

fn media(found: &mut Found, config: &Config) {
    threads(found, "media.threads", config.media.threads);
    config.media.silence.check(found);
    if config.media.addresses.is_empty() {
        found.push(("media.addresses".to_owned(), "at least one address is needed".to_owned()));
    }
    let mut names = HashSet::new();
    for (index, address) in config.media.addresses.iter().enumerate() {
        let field = |name: &str| format!("media.addresses[{index}].{name}");
        unique_name(found, field("name"), &address.name, &mut names, "media address");
        if address.bind.is_unspecified() && address.advertised.is_none() {
            found.push((
                field("bind"),
                format!(
                    "{} is every address: name in `advertised` what is written into SDP",
                    address.bind
                ),
            ));
        }
        let overlap = |other: &&MediaAddressConfig| {
            other.bind == address.bind
                && other.ports.first <= address.ports.last
                && address.ports.first <= other.ports.last
        };
        if let Some(other) = config.media.addresses[..index].iter().find(overlap) {
            found.push((
                field("ports"),
                format!(
                    "{} overlaps {} of `{}` on {}",
                    address.ports, other.ports, other.name, other.bind
                ),
            ));
        }
        for listener in &config.listeners {
            let same = SocketAddr::new(address.bind, listener.address.port()) == listener.address;
            if same && (address.ports.first..=address.ports.last).contains(&listener.address.port())
            {
                found.push((
                    field("ports"),
                    format!(
                        "{} contains port {} of listener `{}`",
                        address.ports,
                        listener.address.port(),
                        listener.name
                    ),
                ));
            }
        }
    }
}

fn admin(found: &mut Found, config: &Config) {
    let admin = &config.admin;
    if admin.token.is_none() && !admin.address.ip().is_loopback() {
        found.push((
            "admin.address".to_owned(),
            format!("{} is not loopback: set `token`, or listen on 127.0.0.1", admin.address),
        ));
    }
    for (field, token) in [("token", &admin.token), ("metrics_token", &admin.metrics_token)] {
        if token.as_ref().is_some_and(|token| !is_token(token)) {
            found.push((
                format!("admin.{field}"),
                "a token has at least 16 visible ASCII characters without spaces".to_owned(),
            ));
        }
    }
    if admin.token.is_some() && admin.token == admin.metrics_token {
        found.push((
            "admin.metrics_token".to_owned(),
            "it is the same as `token`, which opens everything; take another one".to_owned(),
        ));
    }
    for (index, host) in admin.hosts.iter().enumerate() {
        if !is_host(host) {
            found.push((
                format!("admin.hosts[{index}]"),
                format!(
                    "`{host}` is not a host name without a port, such as \"switch.example.com\""
                ),
            ));
        }
    }
}

fn is_token(token: &str) -> bool {
    token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn plugins(found: &mut Found, config: &Config) {
    let mut names = HashSet::new();
    for (index, plugin) in config.plugins.list.iter().enumerate() {
        let field = |name: &str| format!("plugins.list[{index}].{name}");
        unique_name(found, field("name"), &plugin.name, &mut names, "plugin");
        range(found, field("deadline"), plugin.deadline, "2ms", "1s");
        if !((64 << 10)..=(1 << 30)).contains(&plugin.memory) {
            found.push((field("memory"), "out of range: allowed are 64KiB to 1GiB".to_owned()));
        }
        super::http::problems(found, plugin, &field);
    }
    chains(found, config);
    let signing = &config.plugins.signing;
    for (index, key) in signing.keys.iter().enumerate() {
        if let Err(error) = key.parse::<host::PublicKey>() {
            found.push((format!("plugins.signing.keys[{index}]"), error.to_string()));
        }
    }
    if signing.required && signing.keys.is_empty() {
        found.push((
            "plugins.signing.keys".to_owned(),
            "with `required` at least one key is needed, or no plugin can be loaded".to_owned(),
        ));
    }
}

/// Whether the plugins have the hooks is checked when they are loaded.
fn chains(found: &mut Found, config: &Config) {
    let known: Vec<&str> = config.plugins.list.iter().map(|plugin| &*plugin.name).collect();
    for (index, chain) in config.plugins.chain.iter().enumerate() {
        for (at, name) in chain.plugins.iter().enumerate() {
            let detail = if !known.contains(&name.as_str()) {
                format!("no plugin `{name}` is in plugins.list; there are: {}", known.join(", "))
            } else if chain.plugins[..at].contains(name) {
                format!("`{name}` is named twice; a chain asks a plugin once")
            } else {
                continue;
            };
            found.push((format!("plugins.chain[{index}].plugins[{at}]"), detail));
        }
    }
}

fn calls(found: &mut Found, config: &Config) {
    range(found, "calls.interim".to_owned(), config.calls.interim, "1s", "1h");
    range(found, "calls.slice".to_owned(), config.calls.slice, "10s", "900s");
    if config.calls.slice.subsec_nanos() > 0 {
        let detail = format!("{:?} is not possible: allowed are whole seconds", config.calls.slice);
        found.push(("calls.slice".to_owned(), detail));
    }
    if config.calls.cps > 100_000 {
        let detail = format!("{} is out of range: allowed are 0 to 100000", config.calls.cps);
        found.push(("calls.cps".to_owned(), detail));
    }
    let supervision = config.calls.supervision;
    if supervision.subsec_nanos() > 0 {
        let detail = format!("{supervision:?} is not possible: allowed are whole seconds");
        found.push(("calls.supervision".to_owned(), detail));
    } else if !supervision.is_zero() {
        range(found, "calls.supervision".to_owned(), supervision, "1s", "24h");
    }
    range(found, "calls.longest_wait".to_owned(), config.calls.longest_wait, "0s", "10s");
    range(found, "calls.drain".to_owned(), config.calls.drain, "0s", "24h");
    if config.calls.free_seconds > 3_600 {
        let detail =
            format!("{} is out of range: allowed are 0 to 3600 s", config.calls.free_seconds);
        found.push(("calls.free_seconds".to_owned(), detail));
    }
    range(found, "calls.max_duration".to_owned(), config.calls.max_duration, "0s", "720h");
    range(found, "calls.setup_limit".to_owned(), config.calls.setup_limit, "30s", "10m");
    session(found, &config.calls.session);
}

fn session(found: &mut Found, session: &SessionConfig) {
    let field = |name: &str| format!("calls.session.{name}");
    if !session.expires.is_zero() {
        range(found, field("expires"), session.expires, "90s", "24h");
    }
    range(found, field("min_se"), session.min_se, "90s", "1h");
    range(found, field("early_hangup"), session.early_hangup, "0s", "1h");
    if !(2..=10).contains(&session.segment) {
        let detail = format!(
            "{} is out of range: allowed are 2 to 10; it divides `expires`, and is no time",
            session.segment
        );
        found.push((field("segment"), detail));
    }
    if !(1..=5).contains(&session.misses) {
        let detail = format!("{} is out of range: allowed are 1 to 5", session.misses);
        found.push((field("misses"), detail));
    }
    if !session.expires.is_zero() && session.expires < session.min_se {
        let detail = format!("{:?} is below min_se, {:?}", session.expires, session.min_se);
        found.push((field("expires"), detail));
    }
}

pub(super) fn range(found: &mut Found, field: String, value: Duration, low: &str, high: &str) {
    let bound = |text| super::values::parse_duration(text).unwrap_or_default();
    if value < bound(low) || value > bound(high) {
        found.push((field, format!("{value:?} is out of range: allowed are {low} to {high}")));
    }
}

fn unique_name<'a>(
    found: &mut Found,
    field: String,
    name: &'a str,
    seen: &mut HashSet<&'a str>,
    what: &str,
) {
    if !is_name(name) {
        found.push((field, name_rule(name)));
    } else if !seen.insert(name) {
        found.push((field, format!("`{name}` is the name of an earlier {what}; names are unique")));
    }
}

fn records(found: &mut Found, config: &Config) {
    let records = &config.records;
    for (field, age) in [("keep", records.keep), ("keep_attempts", records.keep_attempts)] {
        if !age.is_zero() && age.as_secs() < 3600 {
            let detail = format!("{age:?} is out of range: allowed are 1h and more, or 0s");
            found.push((format!("records.{field}"), detail));
        }
    }
    if !(10..=1_000_000).contains(&records.waiting) {
        let detail = format!("{} is out of range: allowed are 10 to 1000000", records.waiting);
        found.push(("records.waiting".to_owned(), detail));
    }
    if records.journal_size < 64 << 20 {
        let detail =
            format!("{} bytes is out of range: allowed are 64MiB and more", records.journal_size);
        found.push(("records.journal_size".to_owned(), detail));
    }
}

fn decisions(found: &mut Found, config: &Config) {
    let decisions = &config.decisions;
    let mut wrong = |field: &str, value: String, allowed: &str| {
        let detail = format!("{value} is out of range: allowed are {allowed}");
        found.push((format!("decisions.{field}"), detail));
    };
    if !(60..=8_760 * 3_600).contains(&decisions.keep.as_secs()) {
        wrong("keep", format!("{:?}", decisions.keep), "1m to 8760h");
    }
    if decisions.max_size < 1 << 20 {
        wrong("max_size", format!("{} bytes", decisions.max_size), "1MiB and more");
    }
    if decisions.mask_numbers > 18 {
        wrong("mask_numbers", decisions.mask_numbers.to_string(), "0 to 18");
    }
}

/// `LEVEL`, `MODULE=LEVEL`, or several of them separated by commas. The logger would take a single
/// word that is not a level for a module, and silence everything.
fn is_log_filter(filter: &str) -> bool {
    filter.split(',').all(|part| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        matches!(level.trim(), "off" | "error" | "warn" | "info" | "debug" | "trace")
    })
}

fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn name_rule(name: &str) -> String {
    format!("`{name}` is not a name: allowed are 1 to 63 letters, digits, `-`, `_` and `.`")
}

fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        }
    }
}

pub(super) fn is_host_port(text: &str) -> bool {
    if is_host(text) {
        return true;
    }
    text.rsplit_once(':').is_some_and(|(host, port)| {
        is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}
