//! What calls leave to the host: events that wait, and requests that nobody waits for.

use crate::ask::events::EventMetrics;
use crate::life::host::Host;
use crate::outside::{Outside, SendMetrics};
use crate::plugin::Plugin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What [`Host::finish`] gave up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Unfinished {
    /// Events of which no plugin was notified.
    pub events: usize,
    /// Requests of plugins that no server accepted.
    pub requests: usize,
}

impl Host {
    /// Figures of the queue of events.
    #[must_use]
    pub fn event_metrics(&self) -> EventMetrics {
        self.inner.shared.events.metrics()
    }

    /// Figures of the requests that nobody waits for, for each plugin that may make any.
    #[must_use]
    pub fn send_metrics(&self) -> Vec<(Arc<str>, SendMetrics)> {
        let plugins = self.inner.plugins.values();
        let of = |plugin: &Arc<Plugin>| {
            Some((Arc::clone(&plugin.name), plugin.outside.as_ref()?.send_metrics()))
        };
        plugins.filter_map(of).collect()
    }

    /// Makes each request that nobody waits for try now, for the last time, and blocks until none
    /// is left, at most `limit`. Calls may still ask; their requests get one attempt.
    pub fn drain_requests(&self, limit: Duration) {
        let until = Instant::now() + limit;
        self.outsides().for_each(|outside| outside.close());
        self.outsides().for_each(|outside| outside.drain(until));
    }

    /// Blocks until plugins were notified of every event, and no request is left that nobody waits
    /// for, at most `limit`. Each such request gets one more attempt. What is left after the limit
    /// is lost, and counted. Call it when no call asks any more.
    pub fn finish(&self, limit: Duration) -> Unfinished {
        let until = Instant::now() + limit;
        self.outsides().for_each(|outside| outside.close());
        let events = self.inner.shared.events.finish(until);
        let requests = self.outsides().map(|outside| outside.finish(until)).sum();
        Unfinished { events, requests }
    }

    fn outsides(&self) -> impl Iterator<Item = &Arc<Outside>> {
        self.inner.plugins.values().filter_map(|plugin| plugin.outside.as_ref())
    }
}
