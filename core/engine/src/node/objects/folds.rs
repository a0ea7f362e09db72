//! Rebuilds a deck or list after many changes of single rows, so that changes and lookups stay
//! fast. It takes up to seconds, and no change waits for it: changes made meanwhile are applied to
//! the new one as well.

use super::Node;
use crate::snapshot::Changed;
use crate::tables::Table;
use ledger::{NumberChange, RateDeck, RowChange};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The changes in each deck and list since its rebuild began.
#[derive(Default)]
pub(crate) struct Folds(Mutex<Since>);

#[derive(Default)]
struct Since {
    decks: HashMap<String, Vec<RowChange>>,
    lists: HashMap<String, Vec<NumberChange>>,
}

impl Folds {
    /// Discards all rebuilds: all decks and lists were replaced.
    pub(crate) fn forget(&self) {
        *self.lock() = Since::default();
    }

    fn lock(&self) -> MutexGuard<'_, Since> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Records changed rows; `deck` is the deck in force, which has them.
    pub(super) fn deck_changed(self: &Arc<Node>, deck: Arc<RateDeck>, rows: &[RowChange]) {
        let name = deck.name.to_string();
        {
            let mut since = self.folds.lock();
            if let Some(since) = since.decks.get_mut(&name) {
                since.extend(rows.iter().cloned());
                return;
            }
            if !deck.needs_fold() {
                return;
            }
            since.decks.insert(name.clone(), Vec::new());
        }
        let node = Arc::clone(self);
        tokio::spawn(async move {
            let folded = tokio::task::spawn_blocking(move || deck.fold()).await;
            let _turn = node.reloading.lock().await;
            let since = node.folds.lock().decks.remove(&name);
            let (Some(since), Ok(folded)) = (since, folded) else { return };
            let known = node.registry.decks().into_iter().find(|one| *one.deck.name == *name);
            // Changes accepted before are valid in the rebuilt deck as well.
            let (Some(known), Ok(folded)) = (known, folded.with(since)) else { return };
            let folded = known.held_as(Arc::new(folded));
            let before = node.desk.snapshot();
            match before.patched(&node.config, Changed::Deck(&folded), &node.registry) {
                Ok(snapshot) => node.desk.replace_snapshot(Arc::new(snapshot)),
                Err(error) => tracing::error!(%error, deck = name, "a deck could not be rebuilt"),
            }
        });
    }

    /// As [`Node::deck_changed`], for a number list, whose rows are read from the database.
    pub(super) fn list_changed(self: &Arc<Node>, id: u32, table: &Table, rows: &[NumberChange]) {
        let name = table.list.name.clone();
        {
            let mut since = self.folds.lock();
            if let Some(since) = since.lists.get_mut(&name) {
                since.extend(rows.iter().cloned());
                return;
            }
            if !table.numbers.needs_fold() {
                return;
            }
            since.lists.insert(name.clone(), Vec::new());
        }
        let node = Arc::clone(self);
        tokio::spawn(async move {
            let numbers = node.store.list_table(id).await;
            let _turn = node.reloading.lock().await;
            let Some(since) = node.folds.lock().lists.remove(&name) else { return };
            let Some(live) = node.live_tables().get(&name).cloned() else { return };
            match numbers {
                Ok(numbers) => {
                    let table = Table::kept(live.list.clone(), numbers).with(&since);
                    let snapshot = node.desk.snapshot().with(vec![table]);
                    node.desk.replace_snapshot(Arc::new(snapshot));
                }
                Err(error) => tracing::error!(%error, list = name, "a list could not be rebuilt"),
            }
        });
    }

    /// Discards the rebuild: the deck or list was replaced or removed.
    pub(super) fn no_fold_of(&self, name: &str) {
        let mut since = self.folds.lock();
        since.decks.remove(name);
        since.lists.remove(name);
    }
}
