//! `/metrics` in the Prometheus text format (OPS-49), built from readings at the time of the
//! request: nothing is counted twice, and nothing on the call path for this page only.

mod plugins;

use crate::alarms::AlarmCount;
use crate::mailbox::{ShardCounters, ShardReading};
use crate::media_plane::PlaneStats;
use crate::refusals::Refusals;
use crate::transport::resolve::NameCounts;
use crate::transport::streams::StreamCounters;
use api::TableLine;
use host::decisions::DecisionCounts;
use host::{EventMetrics, HookMetrics, HttpMetrics, OwnMetric, PluginState, SendMetrics};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder, TextEncoder};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// All values of the page.
pub(crate) struct Readings<'a> {
    /// Node name.
    pub(crate) node: &'a str,
    /// The call machine of each shard.
    pub(crate) shards: &'a [ShardReading],
    /// The mailbox counters of each shard.
    pub(crate) mailboxes: &'a [&'a ShardCounters],
    /// Each plugin at each hook.
    pub(crate) hooks: &'a [HookMetrics],
    /// The state of each plugin.
    pub(crate) plugins: &'a [PluginState],
    /// Metrics of plugins: plugin, name, value.
    pub(crate) own: &'a [(std::sync::Arc<str>, String, OwnMetric)],
    /// HTTP requests of plugins.
    pub(crate) http: &'a [HttpMetrics],
    /// Requests that plugins left to the switch.
    pub(crate) sends: &'a [(std::sync::Arc<str>, SendMetrics)],
    /// The queue of events.
    pub(crate) events: EventMetrics,
    /// Number tables for new calls.
    pub(crate) tables: &'a [TableLine],
    /// Number of lockouts.
    pub(crate) lockouts: usize,
    /// SIP connections over TCP.
    pub(crate) streams: Option<&'a StreamCounters>,
    /// Host names of vendors.
    pub(crate) names: NameCounts,
    /// The relay.
    pub(crate) media: &'a PlaneStats,
    /// Requests refused by the admin API.
    pub(crate) refusals: &'a Refusals,
    /// Alarms by kind.
    pub(crate) alarms: &'a [AlarmCount],
    /// The recorder.
    pub(crate) recorder: &'a store::Gauges,
    /// Accounts whose balance is not the sum of its postings.
    pub(crate) wrong_balances: u64,
    /// The decision log, if enabled.
    pub(crate) decisions: Option<DecisionCounts>,
    /// Plugin generation for new calls.
    pub(crate) generation: u64,
    /// Plugin generations still in use by calls.
    pub(crate) generations_alive: u64,
    /// Seconds since start.
    pub(crate) uptime_s: f64,
}

/// Renders the page.
pub(crate) fn page(readings: &Readings<'_>) -> String {
    let mut families = Vec::new();
    node(&mut families, readings);
    alarms(&mut families, readings.alarms);
    refusals(&mut families, readings.refusals);
    calls(&mut families, readings.shards);
    families.push(gauge(
        "strowger_lockouts",
        "Sources, and users at sources, that are locked out (SEC-01, SEC-22).",
        [(NONE, readings.lockouts as f64)],
    ));
    streams(&mut families, readings.streams);
    names(&mut families, readings.names);
    hooks(&mut families, readings.hooks);
    plugins::plugins(&mut families, readings.plugins);
    plugins::own(&mut families, readings.own);
    http(&mut families, readings.http);
    plugins::sends(&mut families, readings.sends);
    plugins::events(&mut families, readings.events);
    tables(&mut families, readings.tables);
    media(&mut families, readings.media);
    queues(&mut families, readings);
    decisions(&mut families, readings.decisions);
    // The encoder refuses a family without a value.
    families.retain(|family| !family.get_metric().is_empty());
    let mut text = Vec::new();
    match TextEncoder::new().encode(&families, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => format!("# {error}\n"),
    }
}

fn node(families: &mut Vec<MetricFamily>, readings: &Readings<'_>) {
    let labels = [("node", readings.node), ("version", env!("CARGO_PKG_VERSION"))];
    families.push(gauge("strowger_info", "The running program; always 1.", [(&labels[..], 1.0)]));
    families.push(gauge(
        "strowger_uptime_seconds",
        "Seconds since start.",
        [(NONE, readings.uptime_s)],
    ));
    families.push(gauge(
        "strowger_plugin_generation",
        "Plugin generation of new calls.",
        [(NONE, readings.generation as f64)],
    ));
    families.push(gauge(
        "strowger_plugin_generations_alive",
        "Plugin generations that are kept: the newest and those of running calls.",
        [(NONE, readings.generations_alive as f64)],
    ));
}

fn streams(families: &mut Vec<MetricFamily>, counters: Option<&StreamCounters>) {
    let Some(counters) = counters else { return };
    families.push(gauge(
        "strowger_connections",
        "Connections of SIP over TCP that stand or are being made.",
        [(NONE, counters.open.load(Relaxed) as f64)],
    ));
    families.push(counter(
        "strowger_connections_refused_total",
        "Connections of strangers that were not taken.",
        [(NONE, counters.refused.load(Relaxed) as f64)],
    ));
    families.push(counter(
        "strowger_connections_broken_total",
        "Connections closed for bytes that are no messages, or because their peer reads too slowly.",
        [(NONE, counters.broken.load(Relaxed) as f64)],
    ));
}

fn names(families: &mut Vec<MetricFamily>, counts: NameCounts) {
    let states =
        [("resolved", counts.resolved), ("stale", counts.stale), ("unresolved", counts.unresolved)];
    let labels = states.map(|(state, _)| [("state", state)]);
    families.push(gauge(
        "strowger_names",
        "Host names of vendors: with a whole answer, with an old one, without any (SIG-66).",
        labels.iter().zip(states).map(|(labels, (_, count))| (&labels[..], count as f64)),
    ));
}

fn alarms(families: &mut Vec<MetricFamily>, counts: &[AlarmCount]) {
    let mut standing = family(
        "strowger_alarms",
        "Objects that an alarm of this kind stands for now (OPS-37).",
        MetricType::GAUGE,
    );
    let mut begun =
        family("strowger_alarms_total", "Alarms that began, by kind.", MetricType::COUNTER);
    for count in counts {
        let labels = [("alarm", count.kind.name()), ("severity", count.kind.severity().name())];
        push_gauge(&mut standing, &labels, count.standing as f64);
        push_counter(&mut begun, &labels, count.begun as f64);
    }
    families.extend([standing, begun]);
}

fn refusals(families: &mut Vec<MetricFamily>, refusals: &Refusals) {
    let mut total = family(
        "strowger_admin_refused_total",
        "Requests that the admin interface refused, by what was wrong.",
        MetricType::COUNTER,
    );
    for (reason, count) in [
        ("host", &refusals.host),
        ("origin", &refusals.origin),
        ("token", &refusals.token),
        ("content_type", &refusals.content_type),
        ("busy", &refusals.busy),
    ] {
        push_counter(&mut total, &[("reason", reason)], count.load(Relaxed) as f64);
    }
    families.push(total);
    families.push(counter(
        "strowger_log_lines_lost_total",
        "Log lines that were not written because their reader was slow.",
        [(NONE, crate::log::lost_lines() as f64)],
    ));
}

/// A value of a shard's reading.
type Figure = fn(&ShardReading) -> u64;

fn calls(families: &mut Vec<MetricFamily>, shards: &[ShardReading]) {
    let sum = |of: Figure| shards.iter().map(of).sum::<u64>() as f64;
    let totals: [(&str, &str, Figure); 11] = [
        (
            "strowger_strangers_held_back_total",
            "Messages of strangers not answered, for a budget or a lockout (SEC-01, SEC-22).",
            |s| s.counters.held_back,
        ),
        (
            "strowger_refusals_held_back_total",
            "INVITEs of known peers not answered, because too many had been refused.",
            |s| s.counters.refusals_held_back,
        ),
        ("strowger_challenges_total", "INVITEs answered with a challenge (SIG-52).", |s| {
            s.counters.challenges
        }),
        ("strowger_auth_failed_total", "INVITEs with wrong credentials (SEC-01).", |s| {
            s.counters.auth_failed
        }),
        ("strowger_calls_total", "Calls taken from known trunks.", |s| s.counters.calls),
        ("strowger_calls_answered_total", "Calls answered.", |s| s.counters.answered),
        ("strowger_datagrams_received_total", "Signalling datagrams in.", |s| {
            s.counters.datagrams_in
        }),
        (
            "strowger_unknown_source_total",
            "Datagrams of strangers, dropped in silence (SIG-92).",
            |s| s.counters.unknown_source,
        ),
        ("strowger_malformed_total", "Malformed messages of known peers.", |s| {
            s.counters.malformed
        }),
        (
            "strowger_malformed_unknown_total",
            "Malformed messages of strangers, dropped in silence.",
            |s| s.counters.malformed_unknown,
        ),
        ("strowger_retransmissions_total", "Messages sent again (SIG-21).", |s| {
            s.counters.retransmissions
        }),
    ];
    for (name, help, of) in totals {
        families.push(counter(name, help, [(NONE, sum(of))]));
    }
    families.push(gauge(
        "strowger_calls_active",
        "Calls up or being set up.",
        [(NONE, sum(|s| s.calls as u64))],
    ));
    families.push(gauge(
        "strowger_transactions",
        "SIP transactions alive.",
        [(NONE, sum(|s| s.transactions as u64))],
    ));
    let by = |of: &dyn Fn(&ShardReading) -> Vec<(String, u64)>| {
        let mut total = BTreeMap::<String, u64>::new();
        for (label, count) in shards.iter().flat_map(of) {
            *total.entry(label).or_default() += count;
        }
        total
    };
    let labelled = [
        (
            "strowger_calls_ended_total",
            "Calls ended, by the code returned to the caller.",
            "code",
            by(&|s| pairs(&s.counters.ended)),
        ),
        (
            "strowger_calls_end_reason_total",
            "Calls ended, by end reason (SIG-93).",
            "reason",
            by(&|s| pairs(&s.counters.reasons)),
        ),
        (
            "strowger_attempts_total",
            "INVITEs sent to vendors, by trunk.",
            "trunk",
            by(&|s| pairs(&s.counters.attempts)),
        ),
        (
            "strowger_vendor_codes_total",
            "Final responses of vendors, by code.",
            "code",
            by(&|s| pairs(&s.counters.vendor_codes)),
        ),
        (
            "strowger_hook_fallbacks_total",
            "Questions answered by the core because no plugin did, by hook.",
            "hook",
            by(&|s| pairs(&s.counters.fallbacks)),
        ),
    ];
    for (name, help, label, values) in &labelled {
        let mut family = family(name, help, MetricType::COUNTER);
        for (value, count) in values {
            push_counter(&mut family, &[(label, value)], *count as f64);
        }
        families.push(family);
    }
}

fn pairs<K: ToString>(map: &BTreeMap<K, u64>) -> Vec<(String, u64)> {
    map.iter().map(|(key, count)| (key.to_string(), *count)).collect()
}

fn hooks(families: &mut Vec<MetricFamily>, hooks: &[HookMetrics]) {
    let mut seconds = family(
        "strowger_hook_seconds",
        "Time of a question to a plugin, answered or not.",
        MetricType::HISTOGRAM,
    );
    let mut previous = family(
        "strowger_hook_previous_total",
        "Questions that the previous version answered after a fault.",
        MetricType::COUNTER,
    );
    let mut faults = family(
        "strowger_hook_faults_total",
        "Questions that a plugin did not answer, by kind of fault.",
        MetricType::COUNTER,
    );
    let mut refused = family(
        "strowger_hook_refused_total",
        "Questions that a plugin answered with an error of its own, such as rating without a plan.",
        MetricType::COUNTER,
    );
    let mut losses = family(
        "strowger_hook_losses_total",
        "Answers after which a call or its attempt does not go on, by kind; each may be right.",
        MetricType::COUNTER,
    );
    for metrics in hooks {
        let labels = [("plugin", metrics.plugin.as_str()), ("hook", metrics.hook.name())];
        push_counter(&mut refused, &labels, metrics.refused as f64);
        seconds.mut_metric().push(histogram(&labels, &metrics.nanos));
        push_counter(&mut previous, &labels, metrics.by_previous as f64);
        for (kind, count) in metrics.faults.named() {
            push_counter(&mut faults, &[labels[0], labels[1], ("fault", kind)], count as f64);
        }
        for (kind, count) in metrics.losses.named() {
            push_counter(&mut losses, &[labels[0], labels[1], ("kind", kind)], count as f64);
        }
    }
    families.extend([seconds, previous, faults, refused, losses]);
}

fn http(families: &mut Vec<MetricFamily>, plugins: &[HttpMetrics]) {
    let mut seconds = family(
        "strowger_plugin_http_seconds",
        "Time of a request of a plugin to a server outside.",
        MetricType::HISTOGRAM,
    );
    let mut requests = family(
        "strowger_plugin_http_requests_total",
        "Requests of a plugin, by result; those cached, joined, refused and busy were not sent.",
        MetricType::COUNTER,
    );
    type Reading = fn(&HttpMetrics) -> f64;
    let gauges: [(&str, &str, Reading); 4] = [
        ("strowger_plugin_http_requests", "Requests under way.", |m| f64::from(m.requests)),
        ("strowger_plugin_waiting", "Questions under way on fibres.", |m| f64::from(m.questions)),
        ("strowger_plugin_http_cache_entries", "Answers kept.", |m| m.cache_entries as f64),
        ("strowger_plugin_http_cache_bytes", "Memory of them.", |m| m.cache_bytes as f64),
    ];
    for metrics in plugins {
        let label = ("plugin", metrics.plugin.as_str());
        seconds.mut_metric().push(histogram(&[label], &metrics.nanos));
        for (result, count) in metrics.results() {
            push_counter(&mut requests, &[label, ("result", result)], count as f64);
        }
    }
    families.extend([seconds, requests]);
    for (name, help, of) in gauges {
        let mut gauge = family(name, help, MetricType::GAUGE);
        for metrics in plugins {
            push_gauge(&mut gauge, &[("plugin", metrics.plugin.as_str())], of(metrics));
        }
        families.push(gauge);
    }
}

fn tables(families: &mut Vec<MetricFamily>, tables: &[TableLine]) {
    let mut rows =
        family("strowger_table_rows", "Rows of a number table (SEC-17).", MetricType::GAUGE);
    let mut bytes = family("strowger_table_bytes", "Memory of a number table.", MetricType::GAUGE);
    for table in tables {
        let labels = [("table", table.name.as_str())];
        push_gauge(&mut rows, &labels, table.rows as f64);
        push_gauge(&mut bytes, &labels, table.bytes as f64);
    }
    families.extend([rows, bytes]);
}

fn histogram(labels: &[(&str, &str)], times: &host::Histogram) -> Metric {
    let mut cumulative = 0;
    let mut buckets = Vec::with_capacity(times.buckets.len());
    for (bound, count) in &times.buckets {
        cumulative += count;
        // Powers of two only: a quarter of the lines, and quantiles still within 41 %.
        if bound.is_power_of_two() {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound as f64 / 1e9);
            bucket.set_cumulative_count(cumulative);
            buckets.push(bucket);
        }
    }
    let mut inner = Histogram::default();
    inner.set_bucket(buckets);
    inner.set_sample_count(cumulative);
    inner.set_sample_sum(times.sum as f64 / 1e9);
    let mut metric = Metric::from_label(label_pairs(labels));
    metric.set_histogram(inner);
    metric
}

fn media(families: &mut Vec<MetricFamily>, stats: &PlaneStats) {
    let totals = [
        ("strowger_relay_packets_received_total", "RTP and RTCP packets in.", stats.packets_in),
        ("strowger_relay_packets_sent_total", "RTP and RTCP packets out.", stats.packets_out),
        (
            "strowger_relay_dropped_total",
            "Packets dropped: wrong source, not RTP, or the kernel's buffer full.",
            stats.dropped,
        ),
        (
            "strowger_relay_takeovers_total",
            "Sides of calls that another source took over after five seconds of silence (MEDIA-11).",
            stats.takeovers,
        ),
        (
            "strowger_relay_faults_total",
            "Faults of relay threads, each of which cost a call.",
            stats.faults,
        ),
    ];
    for (name, help, value) in totals {
        families.push(counter(name, help, [(NONE, value as f64)]));
    }
    families.push(gauge(
        "strowger_relay_sessions",
        "Calls whose media is relayed.",
        [(NONE, stats.sessions as f64)],
    ));
    let mut used =
        family("strowger_relay_pairs_used", "RTP/RTCP port pairs taken.", MetricType::GAUGE);
    let mut all =
        family("strowger_relay_pairs", "RTP/RTCP port pairs of the range.", MetricType::GAUGE);
    let mut resting = family(
        "strowger_relay_pairs_resting",
        "RTP/RTCP port pairs that rest after a call.",
        MetricType::GAUGE,
    );
    let mut nearly_full = family(
        "strowger_relay_nearly_full",
        "1 while 80 % of the pairs or more are taken.",
        MetricType::GAUGE,
    );
    let mut refused = family(
        "strowger_relay_refused_total",
        "Attempts that got no pair: none was free, or the system refused it (MEDIA-09).",
        MetricType::COUNTER,
    );
    for address in &stats.addresses {
        let labels = [("address", address.name.as_str())];
        push_counter(&mut refused, &labels, address.refused as f64);
        push_gauge(&mut used, &labels, address.in_use as f64);
        push_gauge(&mut all, &labels, address.capacity as f64);
        push_gauge(&mut resting, &labels, address.resting as f64);
        push_gauge(&mut nearly_full, &labels, f64::from(u8::from(address.nearly_full)));
    }
    families.extend([used, all, resting, nearly_full, refused]);
}

fn queues(families: &mut Vec<MetricFamily>, readings: &Readings<'_>) {
    let recorder = readings.recorder;
    families.push(gauge(
        "strowger_recorder_queue",
        "Documents that wait for the journal, and finished calls that wait for the database.",
        [(NONE, recorder.depth as f64)],
    ));
    families.push(gauge(
        "strowger_journal_bytes",
        "Bytes of the journal on disk; at records.journal_size new calls are refused.",
        [(NONE, recorder.journal_bytes as f64)],
    ));
    families.push(gauge(
        "strowger_wrong_balances",
        "Accounts whose balance was not the sum of their postings when they were compared last.",
        [(NONE, readings.wrong_balances as f64)],
    ));
    families.push(gauge(
        "strowger_recorder_commit_seconds",
        "Age of the last document when it became durable.",
        [(NONE, recorder.commit_ms as f64 / 1000.0)],
    ));
    let totals = [
        (
            "strowger_records_durable_total",
            "Finished calls in the journal.",
            recorder.durable_finals,
        ),
        (
            "strowger_records_stored_total",
            "Finished calls in the database.",
            recorder.stored_finals,
        ),
        (
            "strowger_records_refused_total",
            "Unanswered calls without a record: the queue was full twice over.",
            recorder.refused,
        ),
        (
            "strowger_records_interim_dropped_total",
            "Interim copies not taken: the queue was full.",
            recorder.dropped,
        ),
        (
            "strowger_journal_damaged_bytes_total",
            "Bytes of the journal that did not read back; their segments are kept.",
            recorder.damaged_bytes,
        ),
        (
            "strowger_recorder_failures_total",
            "Failed writes of journal or database.",
            recorder.failures,
        ),
    ];
    for (name, help, value) in totals {
        families.push(counter(name, help, [(NONE, value as f64)]));
    }
    let mut depth = family(
        "strowger_shard_queue",
        "Datagrams that wait for a shard after another one received them.",
        MetricType::GAUGE,
    );
    let mut handed = family(
        "strowger_shard_handed_over_total",
        "Datagrams received by another shard than their call's.",
        MetricType::COUNTER,
    );
    let mut dropped = family(
        "strowger_shard_dropped_total",
        "Datagrams dropped because a shard's queue was full.",
        MetricType::COUNTER,
    );
    let mut unsent = family(
        "strowger_send_errors_total",
        "Datagrams that the kernel did not take.",
        MetricType::COUNTER,
    );
    let mut waited = family(
        "strowger_shard_wait_seconds",
        "How long the last datagram waited for its shard.",
        MetricType::GAUGE,
    );
    let mut faults = family(
        "strowger_shard_faults_total",
        "Faults of a shard, after each of which it ended its calls and started anew (OPS-62).",
        MetricType::COUNTER,
    );
    for (number, counters) in readings.mailboxes.iter().enumerate() {
        let number = number.to_string();
        let labels = [("shard", number.as_str())];
        push_gauge(&mut depth, &labels, counters.inbox_depth.load(Relaxed) as f64);
        push_counter(&mut handed, &labels, counters.handed_over.load(Relaxed) as f64);
        push_counter(&mut dropped, &labels, counters.inbox_dropped.load(Relaxed) as f64);
        push_counter(&mut unsent, &labels, counters.send_errors.load(Relaxed) as f64);
        push_gauge(&mut waited, &labels, counters.waited_ms.load(Relaxed) as f64 / 1000.0);
        push_counter(&mut faults, &labels, counters.faults.load(Relaxed) as f64);
    }
    families.extend([depth, handed, dropped, unsent, waited, faults]);
}

fn decisions(families: &mut Vec<MetricFamily>, counts: Option<DecisionCounts>) {
    let Some(counts) = counts else { return };
    let totals = [
        ("strowger_decisions_recorded_total", "Decisions kept for replay.", counts.recorded),
        (
            "strowger_decisions_dropped_total",
            "Decisions not kept: their writer was behind, or the disk failed.",
            counts.dropped,
        ),
        ("strowger_decisions_bytes_total", "Compressed bytes of kept decisions.", counts.bytes),
    ];
    for (name, help, value) in totals {
        families.push(counter(name, help, [(NONE, value as f64)]));
    }
}

type Labels<'a> = &'a [(&'a str, &'a str)];

const NONE: Labels<'static> = &[];

fn family(name: &str, help: &str, kind: MetricType) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family
}

fn counter<'a>(
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> MetricFamily {
    let mut family = family(name, help, MetricType::COUNTER);
    for (labels, value) in values {
        push_counter(&mut family, labels, value);
    }
    family
}

fn gauge<'a>(
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> MetricFamily {
    let mut family = family(name, help, MetricType::GAUGE);
    for (labels, value) in values {
        push_gauge(&mut family, labels, value);
    }
    family
}

fn push_counter(family: &mut MetricFamily, labels: Labels<'_>, value: f64) {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::from_label(label_pairs(labels));
    metric.set_counter(counter);
    family.mut_metric().push(metric);
}

fn push_gauge(family: &mut MetricFamily, labels: Labels<'_>, value: f64) {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(label_pairs(labels));
    metric.set_gauge(gauge);
    family.mut_metric().push(metric);
}

fn label_pairs(labels: Labels<'_>) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        // The encoder escapes newlines and quotes; scrapers may interpret other control characters.
        pair.set_value(platform::plain(value).into_owned());
        pair
    };
    labels.iter().map(pair).collect()
}
