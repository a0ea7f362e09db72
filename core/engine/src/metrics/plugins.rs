//! Metrics of plugins: the role of each build, and the results of canaries and shadows.

use super::{NONE, family, gauge, push_counter, push_gauge};
use host::{BuildTally, EventMetrics, OwnMetric, PluginState, SendMetrics};
use policy::PluginStamp;
use prometheus::proto::{MetricFamily, MetricType};
use std::sync::Arc;

/// Counts of a trial; those that do not apply to its kind are absent.
struct Trial<'a> {
    plugin: &'a str,
    kind: &'static str,
    asked: u64,
    faults: u64,
    rejects: Option<u64>,
    challenges: Option<u64>,
    stops: Option<u64>,
    different: Option<u64>,
    lost: Option<u64>,
    left_out: Option<u64>,
}

pub(super) fn plugins(families: &mut Vec<MetricFamily>, states: &[PluginState]) {
    let mut info = family(
        "strowger_plugin_info",
        "A build of a plugin and where it stands: live, previous, canary or shadow; always 1.",
        MetricType::GAUGE,
    );
    for state in states {
        let mut stands = |role: &str, stamp: &PluginStamp| {
            let labels = [
                ("plugin", &*stamp.name),
                ("version", &*stamp.version),
                ("digest", &*stamp.digest),
                ("role", role),
            ];
            push_gauge(&mut info, &labels, 1.0);
        };
        stands("live", &state.stamp);
        state.previous.iter().for_each(|stamp| stands("previous", stamp));
        state.canary.iter().for_each(|canary| stands("canary", &canary.stamp));
        state.shadow.iter().for_each(|shadow| stands("shadow", &shadow.stamp));
    }
    families.push(info);
    judged(families, states);

    let trials: Vec<Trial<'_>> = states.iter().flat_map(trials).collect();
    type Reading = fn(&Trial<'_>) -> Option<u64>;
    let totals: [(&str, &str, Reading); 8] = [
        (
            "strowger_trial_asked_total",
            "Questions put to a canary or a shadow since it began.",
            |trial| Some(trial.asked),
        ),
        (
            "strowger_trial_different_total",
            "Questions that a shadow would have answered otherwise.",
            |trial| trial.different,
        ),
        (
            "strowger_trial_faults_total",
            "Questions without a usable answer of a canary or a shadow.",
            |trial| Some(trial.faults),
        ),
        (
            "strowger_trial_rejects_total",
            "Questions that a canary answered with a rejection.",
            |trial| trial.rejects,
        ),
        (
            "strowger_trial_challenges_total",
            "Questions that a canary answered with a challenge.",
            |trial| trial.challenges,
        ),
        (
            "strowger_trial_stops_total",
            "Failed attempts after which a canary ended the call.",
            |trial| trial.stops,
        ),
        (
            "strowger_trial_lost_total",
            "Answers of a shadow by which a call would be lost that goes on.",
            |trial| trial.lost,
        ),
        (
            "strowger_trial_left_out_total",
            "Questions that a shadow was not asked, because too many waited.",
            |trial| trial.left_out,
        ),
    ];
    for (name, help, of) in totals {
        let mut counter = family(name, help, MetricType::COUNTER);
        for trial in &trials {
            let Some(count) = of(trial) else { continue };
            let labels = [("plugin", trial.plugin), ("trial", trial.kind)];
            push_counter(&mut counter, &labels, count as f64);
        }
        families.push(counter);
    }
}

/// What became of the calls of live builds and canaries, and what the switch did about builds that
/// did badly.
fn judged(families: &mut Vec<MetricFamily>, states: &[PluginState]) {
    let mut calls = family(
        "strowger_plugin_calls_total",
        "Calls that a live build or a canary decided since it was loaded, by result.",
        MetricType::COUNTER,
    );
    let mut taken_back = family(
        "strowger_plugin_taken_back_total",
        "Builds of a plugin that the switch took back by itself.",
        MetricType::COUNTER,
    );
    let mut left_out = family(
        "strowger_plugin_left_out",
        "1 while a plugin is not asked after many faults in a row.",
        MetricType::GAUGE,
    );
    for state in states {
        let plugin = ("plugin", &*state.stamp.name);
        let mut decided = |role, tally: &BuildTally| {
            let of = tally.calls;
            for (result, count) in [
                ("answered", of.answered),
                ("failed", of.failed),
                ("given_up", of.given_up),
                ("challenged", of.challenged),
            ] {
                let labels = [plugin, ("role", role), ("result", result)];
                push_counter(&mut calls, &labels, count as f64);
            }
        };
        decided("live", &state.tally);
        state.canary.iter().for_each(|canary| decided("canary", &canary.tally));
        push_counter(&mut taken_back, &[plugin], state.taken_back as f64);
        push_gauge(&mut left_out, &[plugin], f64::from(u8::from(state.left_out.is_some())));
    }
    families.extend([calls, taken_back, left_out]);
}

/// Metrics reported by plugins through `host-metrics`.
pub(super) fn own(families: &mut Vec<MetricFamily>, figures: &[(Arc<str>, String, OwnMetric)]) {
    let mut counters = family(
        "strowger_plugin_own_total",
        "What a plugin counted itself, by its own name for it.",
        MetricType::COUNTER,
    );
    let mut gauges = family(
        "strowger_plugin_own",
        "What a plugin set itself, by its own name for it.",
        MetricType::GAUGE,
    );
    for (plugin, name, figure) in figures {
        let labels = [("plugin", &**plugin), ("name", name.as_str())];
        match figure {
            OwnMetric::Counter(count) => push_counter(&mut counters, &labels, *count as f64),
            OwnMetric::Gauge(value) => push_gauge(&mut gauges, &labels, *value as f64),
        }
    }
    families.extend([counters, gauges]);
}

/// Requests that plugins left to the switch.
pub(super) fn sends(families: &mut Vec<MetricFamily>, plugins: &[(Arc<str>, SendMetrics)]) {
    let mut results = family(
        "strowger_plugin_sends_total",
        "Requests that a plugin left to the switch, by result; those dropped found no room.",
        MetricType::COUNTER,
    );
    let mut retries = family(
        "strowger_plugin_send_retries_total",
        "Attempts of such requests after the first.",
        MetricType::COUNTER,
    );
    let mut waiting = family(
        "strowger_plugin_sends_waiting",
        "Such requests that wait for their first or next attempt.",
        MetricType::GAUGE,
    );
    for (plugin, metrics) in plugins {
        let label = ("plugin", &**plugin);
        for (result, count) in metrics.results() {
            push_counter(&mut results, &[label, ("result", result)], count as f64);
        }
        push_counter(&mut retries, &[label], metrics.retries as f64);
        push_gauge(&mut waiting, &[label], metrics.waiting as f64);
    }
    families.extend([results, retries, waiting]);
}

/// The queue of events.
pub(super) fn events(families: &mut Vec<MetricFamily>, metrics: EventMetrics) {
    let totals = [
        ("strowger_events_told_total", "Events of which plugins were notified.", metrics.told),
        (
            "strowger_events_dropped_total",
            "Events of which no plugin was notified: too many waited, or the node stopped.",
            metrics.dropped,
        ),
    ];
    for (name, help, total) in totals {
        let mut counter = family(name, help, MetricType::COUNTER);
        push_counter(&mut counter, NONE, total as f64);
        families.push(counter);
    }
    families.push(gauge(
        "strowger_events_waiting",
        "Events that wait for plugins.",
        [(NONE, metrics.waiting as f64)],
    ));
}

fn trials(state: &PluginState) -> impl Iterator<Item = Trial<'_>> {
    let plugin = &*state.stamp.name;
    let canary = state.canary.as_ref().map(|canary| Trial {
        plugin,
        kind: "canary",
        asked: canary.tally.asked,
        faults: canary.tally.faults,
        rejects: Some(canary.tally.rejects),
        challenges: Some(canary.tally.challenges),
        stops: Some(canary.tally.stops),
        different: None,
        lost: None,
        left_out: None,
    });
    let shadow = state.shadow.as_ref().map(|shadow| Trial {
        plugin,
        kind: "shadow",
        asked: shadow.asked,
        faults: shadow.faults,
        rejects: None,
        challenges: None,
        stops: None,
        different: Some(shadow.different),
        lost: Some(shadow.lost),
        left_out: Some(shadow.left_out),
    });
    canary.into_iter().chain(shadow)
}
