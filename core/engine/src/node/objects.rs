//! Changes single objects during calls: read, checked, stored with revision and history, and
//! published to new calls.

mod check;
mod fields;
mod folds;
mod plugins;
mod publish;
mod rows;
mod sources;

pub(crate) use folds::Folds;
pub(crate) use plugins::bring_plugin_settings;
pub(crate) use sources::Sources;

use super::Node;
use super::reload::{refused, store_failed, unreadable};
use super::start::FIRST_ANSWERS;
use api::ApiError;
use api::{HistoryLine, ObjectChanged, ObjectPage, ObjectView};
use check::keeps;
use fields::{masked, merge, unmasked};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::{Edit, Object, ObjectKind, Ownership};

/// Author of changes through the admin API, which has one token.
const WHO: &str = "api";
/// Most objects of a page.
const LARGEST_PAGE: usize = 1000;
/// Most history entries returned.
const STEPS: u32 = 100;

/// A change of an object.
#[derive(Debug)]
pub enum Change {
    /// Replaces all fields.
    Put(Map<String, Value>),
    /// Changes these fields; null removes one (RFC 7396).
    Merge(Map<String, Value>),
    /// Removes the object.
    Remove,
}

/// How many entries to read for a page of `limit`: one more, which shows that there are more.
fn of_page(limit: usize) -> Result<u32, ApiError> {
    let asked = u32::try_from(limit).ok().filter(|_| (1..=LARGEST_PAGE).contains(&limit));
    asked.map(|limit| limit + 1).ok_or_else(|| {
        let detail = format!("{limit} is out of range: allowed are 1 to {LARGEST_PAGE}");
        ApiError::invalid("limit", detail)
    })
}

impl Node {
    /// A page of the objects of a kind, in name order.
    pub async fn objects(
        &self,
        kind: ObjectKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage, ApiError> {
        let asked = of_page(limit)?;
        let page = self.store.objects_page(kind, after.unwrap_or_default(), asked).await;
        let mut objects = page.map_err(store_failed)?;
        let more = objects.len() > limit;
        objects.truncate(limit);
        let after = objects.last().filter(|_| more).map(|object| object.name.clone());
        let items = objects.into_iter().map(|object| view(kind, object)).collect();
        Ok(ObjectPage { items, after })
    }

    /// One object.
    pub async fn object(&self, kind: ObjectKind, name: &str) -> Result<ObjectView, ApiError> {
        Ok(view(kind, self.stored(kind, name).await?))
    }

    /// The history of an object, newest first; also of a removed one.
    pub async fn object_history(
        &self,
        kind: ObjectKind,
        name: &str,
    ) -> Result<Vec<HistoryLine>, ApiError> {
        let found = self.store.object(kind, name).await.map_err(store_failed)?;
        let object = found.ok_or_else(|| absent(kind, name))?;
        let steps = self.store.history(kind, object.id, STEPS).await.map_err(store_failed)?;
        let line = |step: store::HistoryEntry| HistoryLine {
            revision: step.revision,
            at_ms: step.at_ms,
            who: step.who,
            action: step.action,
            details: step.details,
            settings: step.body.map(masked),
        };
        Ok(steps.into_iter().map(line).collect())
    }

    /// Changes an object based on `revision`; without one, creates it.
    pub async fn change_object(
        self: &Arc<Node>,
        kind: ObjectKind,
        name: &str,
        revision: Option<u64>,
        change: Change,
    ) -> Result<ObjectChanged, ApiError> {
        let _turn = self.reloading.lock().await;
        self.takes_changes()?;
        let stored = self.store.object(kind, name).await.map_err(store_failed)?;
        let stored = stored.filter(|object| !object.removed);
        let before = stored.as_ref().map(|object| &object.body);
        if let (Change::Put(fields) | Change::Merge(fields), Some(object)) = (&change, &stored) {
            keeps("name", fields, Some(&Value::from(name)), "an object keeps its name")?;
            keeps("id", fields, Some(&Value::from(object.id)), "an object keeps its id")?;
            if kind == ObjectKind::Account {
                let why = "it was booked when the account was made; payments change a balance";
                let booked = object.body.get("opening_balance");
                keeps("opening_balance", fields, booked, why)?;
            }
        }
        let body = match change {
            Change::Remove => None,
            Change::Put(fields) => Some(unmasked(fields, before)),
            Change::Merge(fields) => {
                let mut whole = before.cloned().ok_or_else(|| absent(kind, name))?;
                whole.insert("name".to_owned(), Value::from(name));
                merge(&mut whole, fields);
                Some(unmasked(whole, before))
            }
        };
        let edit = Edit {
            kind,
            name: name.to_owned(),
            body,
            revision,
            who: WHO.to_owned(),
            owner: Ownership::Api,
        };
        if kind == ObjectKind::PluginSettings {
            return self.change_plugin_settings(edit).await;
        }
        let body = match edit.body {
            Some(body) => Some(self.checked(kind, name, body, before).await?),
            None => {
                self.may_go(kind, name)?;
                None
            }
        };
        // Errors in a file are reported before anything is stored.
        let read = match (kind, &body) {
            (ObjectKind::NumberList, Some(body)) => self.list_of_file(name, body).await?,
            _ => None,
        };
        let edited = self.store.edit(&Edit { body, ..edit }).await.map_err(store_failed)?;
        match kind {
            ObjectKind::NumberList => self.publish_list(name, edited, read).await,
            _ => self.publish_change(kind, name, edited, &[]).await,
        }
    }

    fn takes_changes(&self) -> Result<(), ApiError> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(refused("the node is stopping".to_owned()));
        }
        Ok(())
    }

    async fn stored(&self, kind: ObjectKind, name: &str) -> Result<Object, ApiError> {
        let found = self.store.object(kind, name).await.map_err(store_failed)?;
        found.filter(|object| !object.removed).ok_or_else(|| absent(kind, name))
    }
}

fn absent(kind: ObjectKind, name: &str) -> ApiError {
    ApiError::not_found(format!("there is no {kind} `{name}`"))
}

fn view(kind: ObjectKind, object: Object) -> ObjectView {
    let Object { id, name, body, origin, revision, .. } = object;
    let origin = match origin {
        store::Ownership::File => "file",
        store::Ownership::Api => "api",
    };
    let settings = masked(body);
    let (kind, origin) = (kind.name().to_owned(), origin.to_owned());
    ObjectView { kind, name, id, revision, origin, settings }
}
