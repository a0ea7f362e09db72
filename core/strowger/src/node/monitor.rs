//! Looks once a second at what nobody tells by himself, and raises or clears its alarms.

use super::Node;
use crate::alarms::AlarmKind;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until its task is aborted.
pub(super) async fn watch(node: Arc<Node>) {
    loop {
        tokio::time::sleep(LOOK).await;
        node.look_at_ports();
        node.desk.sweep();
        // It may wait for a swap, which compiles.
        let watching = Arc::clone(&node);
        let watched = tokio::task::spawn_blocking(move || watching.look_at_builds()).await;
        if let Err(error) = watched {
            tracing::error!(%error, "builds were not watched");
        }
    }
}

impl Node {
    /// MEDIA-09.
    fn look_at_ports(&self) {
        for address in self.plane.stats().addresses {
            let taken = address.in_use + address.resting;
            let found = address
                .nearly_full
                .then(|| format!("{taken} of {} pairs of media ports are taken", address.capacity));
            // Once it stands it goes below 70 %, not with every call around the edge.
            if found.is_some() || taken * 10 < address.capacity * 7 {
                self.alarms.set(AlarmKind::PortsLow, &address.name, found);
            }
        }
    }

    /// Takes back builds that do badly.
    fn look_at_builds(&self) {
        for retreat in self.desk.watch_builds() {
            let what = if retreat.was_canary { "canary" } else { "build" };
            let detail = format!(
                "{what} {} is taken back for {}: {}",
                retreat.from, retreat.to, retreat.why
            );
            self.alarms.notice(AlarmKind::PluginRolledBack, &retreat.to.name, detail);
        }
    }
}
