//! Publishes a stored change to new calls: the snapshot with this one object changed.

use super::check::{currency, typed_as};
use super::{ApiError, FIRST_ANSWERS, Node, ObjectChanged, refused, unreadable};
use crate::snapshot::{Changed, Snapshot};
use crate::tables::Table;
use business::{Account, CustomerTrunk, NumberList, VendorTrunk};
use ledger::{NumberChange, RateDeck, RowChange, Spent};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::{Change, Edited, LoadedAccount, LoadedDeck, LoadedList, LoadedTrunk, ObjectKind};

impl Node {
    /// Publishes a stored change to new calls.
    pub(super) async fn publish_change(
        self: &Arc<Node>,
        kind: ObjectKind,
        name: &str,
        edited: Edited,
        rows: &[RowChange],
    ) -> Result<ObjectChanged, ApiError> {
        let Edited { id, revision, change, body } = edited;
        let mut changes = Vec::new();
        if let Some(change) = change {
            self.log_change(&change, revision);
            // If publishing fails, the next change publishes everything stored.
            let others = self.unpublished.swap(true, Ordering::Relaxed);
            let next = match others {
                true => None,
                false => self.patched(kind, name, id, body.as_ref(), rows)?,
            };
            match next {
                Some(snapshot) => {
                    self.publish_snapshot(kind, snapshot).await;
                    self.look_at_folds(kind, name, body.as_ref(), rows);
                }
                None => self.publish_stored(self.live_tables()).await?,
            }
            changes.push(change.action.name().to_owned());
            changes.extend(change.details);
        }
        let kind = kind.name().to_owned();
        Ok(ObjectChanged { kind, name: name.to_owned(), id, revision, changes })
    }

    /// Rebuilds a deck in the background after many changed rows.
    fn look_at_folds(
        self: &Arc<Node>,
        kind: ObjectKind,
        name: &str,
        body: Option<&Map<String, Value>>,
        rows: &[RowChange],
    ) {
        if kind != ObjectKind::Deck {
            return;
        }
        let known = self.registry.decks().into_iter().find(|known| *known.deck.name == *name);
        match (body, known) {
            (Some(_), Some(known)) => self.deck_changed(known.deck, rows),
            _ => self.no_fold_of(name),
        }
    }

    /// The rows of a list about to be stored, if they are in a file.
    pub(super) async fn list_of_file(
        &self,
        name: &str,
        body: &Map<String, Value>,
    ) -> Result<Option<Arc<Table>>, ApiError> {
        let mut body = body.clone();
        body.insert("name".to_owned(), Value::from(name));
        let list: NumberList = typed_as(ObjectKind::NumberList, &body)?;
        if list.file.is_none() {
            return Ok(None);
        }
        let known = self.live_tables().get(name).filter(|table| table.list == list).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let read = tokio::task::spawn_blocking(move || Table::of_file(list)).await;
        let read = read.map_err(|error| ApiError::internal(error.to_string()))?;
        read.map(Some).map_err(|errors| ApiError::invalid("file", errors.to_string()))
    }

    /// Publishes a stored list: as `read`, or with its rows in the database.
    pub(super) async fn publish_list(
        self: &Arc<Node>,
        name: &str,
        edited: Edited,
        read: Option<Arc<Table>>,
    ) -> Result<ObjectChanged, ApiError> {
        let Edited { id, revision, change, body } = edited;
        let mut changes = Vec::new();
        if let Some(change) = change {
            self.log_change(&change, revision);
            self.no_fold_of(name);
            let before = self.desk.snapshot();
            let snapshot = match (body, read) {
                (None, _) => before.without_table(name),
                (Some(_), Some(table)) => before.with(vec![table]),
                (Some(mut body), None) => {
                    body.insert("name".to_owned(), Value::from(name));
                    let list = typed_as(ObjectKind::NumberList, &body)?;
                    let table = Table::read(&self.store, &LoadedList { id, list }).await;
                    before.with(vec![table.map_err(unreadable)?])
                }
            };
            self.desk.replace_snapshot(Arc::new(snapshot));
            self.in_force().await;
            if let Err(error) = self.watch_tables() {
                tracing::error!(%error, "a folder of number files cannot be watched");
            }
            changes.push(change.action.name().to_owned());
            changes.extend(change.details);
        }
        let kind = ObjectKind::NumberList.name().to_owned();
        Ok(ObjectChanged { kind, name: name.to_owned(), id, revision, changes })
    }

    /// Publishes stored rows of a list.
    pub(super) async fn publish_list_rows(
        self: &Arc<Node>,
        name: &str,
        edited: Edited,
        rows: &[NumberChange],
    ) -> Result<ObjectChanged, ApiError> {
        let Some(live) = self.live_tables().get(name).cloned() else {
            // An earlier change was stored but could not be published.
            return self.publish_list(name, edited, None).await;
        };
        let Edited { id, revision, change, .. } = edited;
        let mut changes = Vec::new();
        if let Some(change) = change {
            self.log_change(&change, revision);
            let table = live.with(rows);
            let snapshot = self.desk.snapshot().with(vec![Arc::clone(&table)]);
            self.desk.replace_snapshot(Arc::new(snapshot));
            self.in_force().await;
            self.list_changed(id, &table, rows);
            changes.push(change.action.name().to_owned());
            changes.extend(change.details);
        }
        let kind = ObjectKind::NumberList.name().to_owned();
        Ok(ObjectChanged { kind, name: name.to_owned(), id, revision, changes })
    }

    fn log_change(&self, change: &Change, revision: u64) {
        let (kind, name) = (change.kind, &change.name);
        let details = change.details.join("; ");
        tracing::info!(kind, name, revision, "{}: {details}", change.action.name());
    }

    /// The next snapshot, with only this object changed; `None` if everything stored must be read.
    fn patched(
        &self,
        kind: ObjectKind,
        name: &str,
        id: u32,
        body: Option<&Map<String, Value>>,
        rows: &[RowChange],
    ) -> Result<Option<Snapshot>, ApiError> {
        let before = self.desk.snapshot();
        let patched = |change: Changed<'_>| {
            let patched = before.patched(&self.config, change, &self.registry);
            patched.map(Some).map_err(|error| refused(error.to_string()))
        };
        let Some(body) = body else {
            if kind == ObjectKind::CustomerTrunk {
                self.sources.change(name, None);
            }
            return patched(match kind {
                ObjectKind::Account => Changed::NoAccount(id),
                ObjectKind::CustomerTrunk => Changed::NoCustomer(id),
                ObjectKind::VendorTrunk => Changed::NoVendor(id),
                ObjectKind::Deck => Changed::NoDeck(name),
                ObjectKind::RuleSet => Changed::NoRuleSet(name),
                ObjectKind::NumberList | ObjectKind::PluginSettings => return Ok(None),
            });
        };
        let mut body = body.clone();
        body.insert("name".to_owned(), Value::from(name));
        match kind {
            ObjectKind::Account => {
                let account: Account = typed_as(kind, &body)?;
                // An existing purse is more recent than these.
                let (balance, spent) = (account.opening_balance, Spent::default());
                patched(Changed::Account(&LoadedAccount { id, balance, spent, account }))
            }
            ObjectKind::CustomerTrunk => {
                let trunk: CustomerTrunk = typed_as(kind, &body)?;
                self.sources.change(name, Some(&trunk));
                let Some(account) = before.account(&trunk.account) else { return Ok(None) };
                patched(Changed::Customer(&LoadedTrunk { id, account_id: account.id, trunk }))
            }
            ObjectKind::VendorTrunk => {
                let trunk: VendorTrunk = typed_as(kind, &body)?;
                let Some(account) = before.account(&trunk.account) else { return Ok(None) };
                patched(Changed::Vendor(&LoadedTrunk { id, account_id: account.id, trunk }))
            }
            ObjectKind::RuleSet => patched(Changed::RuleSet(&typed_as(kind, &body)?)),
            ObjectKind::Deck => {
                body.remove("name");
                let known = self.registry.decks().into_iter().find(|one| *one.deck.name == *name);
                let deck = match known {
                    Some(known) => known.deck.with(rows.iter().cloned()),
                    None if rows.is_empty() => {
                        Ok(RateDeck::new(name, String::from(currency(&body)?)))
                    }
                    None => return Ok(None),
                };
                // Prices out of range were refused before they were stored.
                let Ok(deck) = deck else { return Ok(None) };
                patched(Changed::Deck(&LoadedDeck::written(&body, Arc::new(deck))))
            }
            ObjectKind::NumberList | ObjectKind::PluginSettings => Ok(None),
        }
    }

    async fn publish_snapshot(&self, kind: ObjectKind, snapshot: Snapshot) {
        let snapshot = if snapshot.needs_fold() { snapshot.folded() } else { snapshot };
        let snapshot = Arc::new(snapshot);
        let names = kind == ObjectKind::VendorTrunk;
        if names {
            // Resolve new names before calls use them.
            self.resolver.prepare(&snapshot.facts, FIRST_ANSWERS).await;
        }
        self.desk.replace_snapshot(Arc::clone(&snapshot));
        self.in_force().await;
        if names {
            self.resolver.keep_only(&snapshot.facts);
        }
        self.unpublished.store(false, Ordering::Relaxed);
    }
}
