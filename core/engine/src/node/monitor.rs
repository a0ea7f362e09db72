//! Checks once a second what is not reported otherwise, and raises or clears its alarms.

use super::Node;
use crate::alarms::{AlarmKind, Alarms};
use crate::log;
use host::{EventMetrics, SendMetrics};
use platform::plain;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Interval between checks.
const LOOK: Duration = Duration::from_secs(1);

/// Object of an alarm about the node as a whole.
const NODE: &str = "node";

/// Counters at the last check, by alarm and object.
pub(super) type Seen = HashMap<(AlarmKind, String), u64>;

/// Runs until its task is aborted.
pub(super) async fn watch(node: Arc<Node>) {
    let mut seen = Seen::default();
    let mut lost_lines = log::lost_lines();
    for turn in 1_u64.. {
        tokio::time::sleep(LOOK).await;
        lost_lines = log::look_at_lost_lines(lost_lines, &node.alarms);
        if turn.is_multiple_of(5) {
            node.look_at_lockouts();
        }
        // SEC-28
        if turn.is_multiple_of(60) {
            node.report_strangers();
        }
        node.look_at_ports();
        node.look_at_threads(&mut seen);
        node.look_at_recorder();
        node.look_at_events(&mut seen);
        node.look_at_vendors(&mut seen);
        // Freeing a large snapshot takes time, and a check may wait for a swap, which compiles.
        let watching = Arc::clone(&node);
        let watched = tokio::task::spawn_blocking(move || {
            watching.desk.sweep();
            watching.look_at_builds()
        });
        match watched.await {
            Ok(taken_back) => {
                for plugin in taken_back {
                    node.keep_settings_in_force(&plugin).await;
                }
            }
            Err(error) => tracing::error!(%error, "the sweep failed, and builds were not checked"),
        }
    }
}

/// Raises the alarm if events were dropped since the last check, or nine tenths of the queue are
/// taken; clears it below a half.
fn set_events_lost(alarms: &Alarms, dropped_now: u64, events: EventMetrics) {
    let EventMetrics { dropped, waiting, most, .. } = events;
    let lost = dropped_now > 0 || waiting * 10 >= most * 9;
    let found = lost.then(|| {
        format!("{waiting} of {most} events wait, {dropped} were dropped since the start")
    });
    if found.is_some() || waiting * 2 < most {
        alarms.set(AlarmKind::EventsLost, NODE, found);
    }
}

impl Node {
    /// MEDIA-09.
    fn look_at_ports(&self) {
        for address in self.plane.stats().addresses {
            let taken = address.in_use;
            let found = address
                .nearly_full
                .then(|| format!("{taken} of {} pairs of media ports are taken", address.capacity));
            // Once raised, it clears below 70 %, so that calls around the threshold do not repeat
            // it.
            if found.is_some() || taken * 10 < address.capacity * 7 {
                self.alarms.set(AlarmKind::PortsLow, &address.name, found);
            }
        }
    }

    /// Counters of shards and relay threads since the last check (OPS-62, SIG-91, MEDIA-09).
    fn look_at_threads(&self, seen: &mut Seen) {
        let mut look = |kind, object: String, count: u64, what: &'static str| {
            let before = seen.entry((kind, object.clone())).or_default();
            let new = count.saturating_sub(std::mem::replace(before, count));
            if new > 0 {
                self.alarms.notice_more(kind, &object, new, what);
            }
        };
        for (number, mailbox) in self.mailboxes.iter().enumerate() {
            let (shard, counters) = (format!("shard {number}"), mailbox.counters());
            let faults = counters.faults.load(Relaxed);
            look(AlarmKind::InternalError, shard.clone(), faults, "faults, see the log");
            let overloads = counters.overloads.load(Relaxed);
            let what = "times messages waited for longer than calls.longest_wait";
            look(AlarmKind::SystemOverload, shard, overloads, what);
        }
        let plane = self.plane.stats();
        look(AlarmKind::InternalError, "relay".to_owned(), plane.faults, "faults, see the log");
        for address in plane.addresses {
            let what = "attempts got no media port";
            look(AlarmKind::PortsExhausted, address.name, address.refused, what);
        }
    }

    /// The queue of events, and requests that plugins left to the switch.
    fn look_at_events(&self, seen: &mut Seen) {
        let mut new = |kind, object: &str, count: u64| {
            let before = seen.entry((kind, object.to_owned())).or_default();
            count.saturating_sub(std::mem::replace(before, count))
        };
        let events = self.desk.host().event_metrics();
        let dropped = new(AlarmKind::EventsLost, NODE, events.dropped);
        set_events_lost(&self.alarms, dropped, events);
        for (plugin, sends) in self.desk.host().send_metrics() {
            let lost = new(AlarmKind::SendsFailed, &plugin, sends.failed + sends.dropped);
            if lost > 0 {
                let SendMetrics { failed, dropped, waiting, last_failure, .. } = sends;
                let detail = format!(
                    "since the start {failed} requests failed and {dropped} found no room; \
                     {waiting} wait; the latest failure: {last_failure}"
                );
                self.alarms.notice(AlarmKind::SendsFailed, &plugin, plain(&detail));
            }
        }
    }

    /// Rolls back builds that perform badly, and reports those that have nothing to go back to;
    /// returns the names of the plugins of the former.
    fn look_at_builds(&self) -> Vec<String> {
        let retreats = self.desk.watch_builds();
        for retreat in &retreats {
            let what = if retreat.was_canary { "canary" } else { "build" };
            let detail = format!(
                "{what} {} is rolled back to {}: {}",
                retreat.from, retreat.to, retreat.why
            );
            self.alarms.notice(AlarmKind::PluginRolledBack, &retreat.to.name, detail);
        }
        for host::Condition { stamp, left_out, does_badly } in self.desk.host().conditions() {
            let left_out = left_out
                .map(|faults| format!("{stamp} is left out after {faults} faults in a row"));
            self.alarms.set(AlarmKind::PluginLeftOut, &stamp.name, left_out);
            let does_badly = does_badly.map(|why| format!("{stamp}: {why}"));
            self.alarms.set(AlarmKind::PluginDoesBadly, &stamp.name, does_badly);
        }
        retreats.iter().map(|retreat| retreat.to.name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_about_events_stands_until_half_of_the_queue_is_free() {
        let alarms = Alarms::default();
        let check = |dropped_now, waiting| {
            let dropped = 7;
            let events = EventMetrics { dropped, waiting, most: 1_000, ..EventMetrics::default() };
            set_events_lost(&alarms, dropped_now, events);
            alarms.lines().into_iter().map(|line| line.detail).collect::<Vec<_>>()
        };
        assert_eq!(check(0, 899), [""; 0]);
        assert_eq!(check(0, 900), ["900 of 1000 events wait, 7 were dropped since the start"]);
        assert_eq!(check(0, 500).len(), 1, "once raised it stays");
        assert_eq!(check(0, 499), [""; 0]);
        assert_eq!(check(1, 0).len(), 1, "an event was dropped");
        assert_eq!(check(0, 0), [""; 0]);
    }
}
