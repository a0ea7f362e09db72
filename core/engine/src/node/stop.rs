//! Ends a node, in an order that loses nothing: a stop, or a takeover by the next program.

use super::{Node, RunningNode};
use crate::handover::Handover;
use crate::mailbox::Command;
use crate::shard::Shard;
use host::Unfinished;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long hanging up all calls may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long plugins may then take to rate the calls; the others are to be re-rated.
const LAST_CHARGES: Duration = Duration::from_secs(2);

/// How long plugins may then take for the events of the calls, and servers outside for the requests
/// that plugins left to the switch.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// The same while the next program waits for the sockets, and calls with it.
const LAST_EVENTS_OF_PAUSED_CALLS: Duration = Duration::from_millis(500);

/// Interval between log lines while a stop waits for disk or database.
const PATIENCE: Duration = Duration::from_secs(10);

/// Interval between checks whether the calls have ended.
const LOOK: Duration = Duration::from_millis(50);

impl RunningNode {
    /// Writes the running calls down for the next program, and returns when every record is
    /// durable. Nothing is read from sockets any more: what comes waits in them.
    pub async fn hand_over(self) -> Handover {
        let RunningNode { node, shards, kept, monitor, housekeeper, .. } = self;
        monitor.abort();
        housekeeper.abort();
        // Before the pause: calls would wait.
        let host = node.desk.host().clone();
        let drained = tokio::task::spawn_blocking(move || host.drain_requests(LAST_EVENTS)).await;
        if let Err(error) = drained {
            tracing::error!(%error, "the requests of plugins do not end");
        }
        node.ask_shards(Command::Pause).await;
        if let Some(streams) = &node.streams {
            streams.pause().await;
        }
        let mut written = Vec::with_capacity(node.mailboxes.len());
        for mailbox in &node.mailboxes {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            mailbox.send(Command::WriteDown(sender));
            written.push(receiver.await.ok().flatten());
        }
        let shards = shards.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A shard that could not serialize its calls ends them here.
        let joined = tokio::task::spawn_blocking(|| shards.into_iter().for_each(Shard::stop));
        if let Err(error) = joined.await {
            tracing::error!(%error, "a shard does not stop");
        }
        let connections = match &node.streams {
            Some(streams) => streams.leave().await,
            None => Vec::new(),
        };
        node.close(LAST_EVENTS_OF_PAUSED_CALLS).await;
        Handover { listeners: kept, connections, shards: written }
    }

    /// Takes no new calls, waits `drain` for the running ones, ends what is left, and
    /// returns when every record is durable. [`Node::hurry`] ends the waiting for calls, not
    /// that for the disk: nothing but the journal has their records.
    pub async fn stop(self, drain: Duration) {
        let RunningNode { node, shards, streams, _watch, monitor, housekeeper, .. } = self;
        monitor.abort();
        housekeeper.abort();
        node.drain();
        node.wait_for_peers(drain).await;
        for mailbox in &node.mailboxes {
            mailbox.send(Command::HangUpAll);
        }
        node.wait_for_peers(FAREWELL).await;
        // Otherwise a vendor that ignores CANCEL or a caller without ACK would be awaited for 32 s.
        for mailbox in &node.mailboxes {
            mailbox.send(Command::CloseAll);
        }
        node.wait_for_silence(LAST_CHARGES).await;
        let shards = shards.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Joining a thread must not block the runtime, which the recorder needs.
        let joined = tokio::task::spawn_blocking(move || {
            shards.into_iter().for_each(Shard::stop);
            // The last messages of the shards are still to be written.
            if let Some(streams) = streams {
                streams.stop();
            }
        });
        if let Err(error) = joined.await {
            tracing::error!(%error, "a shard does not stop");
        }
        node.close(LAST_EVENTS).await;
    }
}

impl Node {
    /// Takes no new calls from now on; running calls continue (OPS-65).
    fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        for mailbox in &self.mailboxes {
            mailbox.send(Command::Drain);
        }
    }

    async fn wait_for_silence(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.call_count().await > 0 && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// As [`Node::wait_for_silence`], until [`Node::hurry`].
    async fn wait_for_peers(&self, limit: Duration) {
        let mut hurried = self.hurried.subscribe();
        tokio::select! {
            () = self.wait_for_silence(limit) => {}
            _ = hurried.wait_for(|hurried| *hurried) => {}
        }
    }

    /// Makes a stop in progress wait for calls no longer.
    pub fn hurry(&self) {
        self.hurried.send_replace(true);
    }

    /// Ends the rest, the admin API last, after all calls have ended or were written down.
    async fn close(&self, last_events: Duration) {
        self.finish_plugins(last_events).await;
        self.write_what_is_left().await;
        if let Some(decisions) = &self.decisions {
            decisions.close();
        }
    }

    /// Waits until plugins were notified of the last events, and logs what is lost.
    async fn finish_plugins(&self, limit: Duration) {
        let host = self.desk.host().clone();
        match tokio::task::spawn_blocking(move || host.finish(limit)).await {
            Ok(Unfinished { events: 0, requests: 0 }) => {}
            Ok(Unfinished { events, requests }) => {
                tracing::warn!(events, requests, "events and requests of plugins are lost");
            }
            Err(error) => tracing::error!(%error, "the plugins do not finish"),
        }
    }

    /// Returns when every record is in the journal and, if it is writable, in the database.
    async fn write_what_is_left(&self) {
        while tokio::time::timeout(PATIENCE, self.recorder.flush_journal()).await.is_err() {
            let in_memory = self.recorder.gauges().in_memory;
            tracing::error!(
                in_memory,
                "the stop waits for the disk: free space in data_dir; whoever kills the node now \
                 loses these records"
            );
        }
        if tokio::time::timeout(PATIENCE, self.recorder.flush()).await.is_err() {
            tracing::warn!(
                "the next start brings the newest records from the journal into the database"
            );
        }
    }
}
