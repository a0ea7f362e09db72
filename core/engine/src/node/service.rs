//! Operations of a node for the admin API.

use super::Node;
use crate::alarms::{Alarms, Severity};
use crate::mailbox::{Command, ShardReading};
use crate::metrics::{self, Readings};
use crate::refusals::Refusals;
use crate::transport::streams::Streams;
use api::{AccountLine, AlarmLine, ApiError, CallLine, Health, PluginList, SwapDone};
use host::{LoadError, Source};
use ledger::Money;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long `/health` waits for a stalled shard.
const LONGEST_COUNT: Duration = Duration::from_secs(2);

/// How long a change waits for the shards.
const LONGEST_TURN: Duration = Duration::from_secs(1);

impl Node {
    /// Whether new calls should come to this node.
    pub fn takes_calls(&self) -> bool {
        !self.draining.load(Ordering::Relaxed) && self.records_are_safe()
    }

    /// Whether records reach the disk and the recorder has room; without room new calls are refused
    /// (CDR-14).
    pub(super) fn records_are_safe(&self) -> bool {
        !self.alarms.keep_calls_away() && !self.recorder.is_full()
    }

    /// How the node is.
    pub async fn health(&self) -> Health {
        let alarms = self.alarms.lines();
        let bad = |alarm: &AlarmLine| alarm.severity != Severity::Warning.name();
        let calls = timeout(LONGEST_COUNT, self.call_count()).await;
        let status = if self.draining.load(Ordering::Relaxed) {
            "draining"
        } else if !self.records_are_safe() {
            "down"
        } else if alarms.iter().any(bad) || calls.is_err() {
            "degraded"
        } else {
            "ok"
        };
        Health {
            status: status.to_owned(),
            node: self.config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: self.generation(),
            calls: calls.unwrap_or_default(),
            uptime_s: self.started.elapsed().as_secs(),
            started_ms: self.started_ms,
            alarms: alarms.into_iter().map(|alarm| alarm.alarm).collect(),
        }
    }

    /// Requests refused by the admin API.
    pub fn admin_refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// The alarms of the node.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// The plugin generation that new calls get.
    pub fn generation(&self) -> u64 {
        self.desk.published().load().pin.generation
    }

    /// All calls, oldest first.
    pub async fn calls(&self) -> Vec<CallLine> {
        let mut lines: Vec<CallLine> = Vec::new();
        for calls in self.ask_shards(Command::Calls).await {
            lines.extend(calls.iter().map(crate::lines::call));
        }
        lines.sort_by(|a, b| a.id.cmp(&b.id));
        lines
    }

    /// The call with this id, if it is in progress.
    pub async fn call(&self, id: u128) -> Option<CallLine> {
        let found = self.ask_shards(|reply| Command::Look(id, reply)).await;
        found.iter().flatten().next().map(crate::lines::call)
    }

    pub(crate) async fn call_count(&self) -> usize {
        self.readings().await.iter().map(|reading| reading.calls).sum()
    }

    /// Ends a call; whether it existed.
    pub async fn hang_up(&self, id: u128) -> bool {
        let found = self.ask_shards(|reply| Command::HangUp(id, reply)).await;
        found.contains(&true)
    }

    async fn readings(&self) -> Vec<ShardReading> {
        self.ask_shards(Command::Read).await
    }

    /// Asks every shard and waits for all; a shard that has ended does not reply.
    pub(super) async fn ask_shards<T>(
        &self,
        command: impl Fn(oneshot::Sender<T>) -> Command,
    ) -> Vec<T> {
        let mut waiting = Vec::with_capacity(self.mailboxes.len());
        for mailbox in &self.mailboxes {
            let (sender, receiver) = oneshot::channel();
            mailbox.send(command(sender));
            waiting.push(receiver);
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for receiver in waiting {
            answers.extend(receiver.await.ok());
        }
        answers
    }

    /// Waits until every shard starts calls with what was published. A shard takes at most a few
    /// milliseconds per turn; one that is failing does not delay the caller.
    pub(super) async fn in_force(&self) {
        let taken = self.ask_shards(Command::TakeWorld);
        if timeout(LONGEST_TURN, taken).await.is_err() {
            tracing::warn!("a shard has not taken what was published yet");
        }
    }

    /// The accounts, by name.
    pub fn accounts(&self) -> Vec<AccountLine> {
        let snapshot = self.desk.snapshot();
        let (accounts, utc_ms) = (snapshot.facts.accounts(), crate::clock::utc_ms());
        let credit = |account: &switch::facts::Account| {
            account.terms.credit.map_or_else(|| "unlimited".to_owned(), |credit| credit.to_string())
        };
        let line = |account: &Arc<switch::facts::Account>| {
            let standing = self.registry.live().purses.standing(account.id, utc_ms);
            let parent = account.parent.and_then(|parent| accounts.get(&parent));
            let deck = snapshot.facts.deck_of(account);
            let sum = |amount: Option<Money>| amount.unwrap_or_default().to_string();
            AccountLine {
                id: account.id,
                name: account.name.to_string(),
                balance: sum(standing.map(|standing| standing.balance)),
                credit: credit(account),
                reserved: sum(standing.map(|standing| standing.reserved)),
                parent: parent.map(|parent| parent.name.to_string()).unwrap_or_default(),
                deck: deck.map(|deck| deck.name.to_string()).unwrap_or_default(),
                currency: deck.map(|deck| deck.currency.to_string()).unwrap_or_default(),
                locked: account.locked,
            }
        };
        let mut lines: Vec<AccountLine> = accounts.values().map(line).collect();
        lines.sort_by(|a, b| a.name.cmp(&b.name));
        lines
    }

    /// The live plugins.
    pub fn plugins(&self) -> PluginList {
        let plugins = self.desk.host().list().iter().map(crate::lines::plugin).collect();
        PluginList { generation: self.generation(), plugins }
    }

    /// Swaps a plugin. Blocks for compilation and self-test, so not for an async thread.
    pub fn swap(&self, name: &str, source: Source) -> Result<SwapDone, ApiError> {
        self.changed(name, |host| host.swap(name, source))
    }

    /// Metrics in the Prometheus text format.
    pub async fn metrics(&self) -> String {
        let shards = self.readings().await;
        let mailboxes: Vec<_> = self.mailboxes.iter().map(|mailbox| mailbox.counters()).collect();
        let plugins = self.desk.host().list();
        let alive: std::collections::BTreeSet<u64> = plugins
            .iter()
            .flat_map(|plugin| &plugin.builds)
            .flat_map(|build| build.generations.iter().copied())
            .collect();
        metrics::page(&Readings {
            node: &self.config.name,
            shards: &shards,
            mailboxes: &mailboxes,
            hooks: &self.desk.host().metrics(),
            plugins: &plugins,
            own: &self.desk.host().own_metrics(),
            http: &self.desk.host().http_metrics(),
            sends: &self.desk.host().send_metrics(),
            events: self.desk.host().event_metrics(),
            tables: &self.tables(),
            refusals: &self.refusals,
            alarms: &self.alarms.counts(),
            lockouts: self.lockouts().len(),
            streams: self.streams.as_ref().map(Streams::counters),
            names: self.resolver.counts(),
            media: &self.plane.stats(),
            recorder: &self.recorder.gauges(),
            wrong_balances: self.wrong_balances.load(Ordering::Relaxed),
            decisions: self.decisions.as_ref().map(|decisions| decisions.counts()),
            generation: self.generation(),
            generations_alive: alive.len() as u64,
            uptime_s: self.started.elapsed().as_secs_f64(),
        })
    }
}

/// The error of a failed plugin change.
pub(super) fn refused(error: LoadError) -> ApiError {
    match error {
        LoadError::UnknownPlugin { .. } => ApiError::not_found(error.to_string()),
        LoadError::Read { .. } => ApiError::invalid("path", error.to_string()),
        error => ApiError::refused("plugin_refused", error.to_string()),
    }
}
