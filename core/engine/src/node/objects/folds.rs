//! A deck or a list of which many rows were changed one by one is built again, so that the next
//! changes and look-ups are as quick as the first. That takes up to seconds, and no change waits for
//! it: what is changed meanwhile is changed in the new one too.

use super::Node;
use crate::snapshot::Changed;
use crate::tables::Table;
use ledger::{NumberChange, RateDeck, RowChange};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What has changed in each deck and list since it began to be built again.
#[derive(Default)]
pub(crate) struct Folds(Mutex<Since>);

#[derive(Default)]
struct Since {
    decks: HashMap<String, Vec<RowChange>>,
    lists: HashMap<String, Vec<NumberChange>>,
}

impl Folds {
    /// All decks and lists are others: what is being built is of no use any more.
    pub(crate) fn forget(&self) {
        *self.lock() = Since::default();
    }

    fn lock(&self) -> MutexGuard<'_, Since> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Takes note of rows that were changed; `deck` is what is in force with them.
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
            // What was good before is good in the new one.
            let (Some(known), Ok(folded)) = (known, folded.with(since)) else { return };
            let folded = known.held_as(Arc::new(folded));
            let before = node.desk.snapshot();
            match before.patched(&node.config, Changed::Deck(&folded), &node.registry) {
                Ok(snapshot) => node.desk.replace_snapshot(Arc::new(snapshot)),
                Err(error) => tracing::error!(%error, deck = name, "a deck is not built again"),
            }
        });
    }

    /// The same of a number list, whose rows are read from the database.
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
                Err(error) => tracing::error!(%error, list = name, "a list is not built again"),
            }
        });
    }

    /// The deck or list is another one, or gone.
    pub(super) fn no_fold_of(&self, name: &str) {
        let mut since = self.folds.lock();
        since.decks.remove(name);
        since.lists.remove(name);
    }
}
