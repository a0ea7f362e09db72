//! Plugin settings as objects: checked by the live build before they are stored, in force for new
//! calls without a restart.

use super::{ApiError, Node, ObjectChanged, absent, refused, store_failed};
use crate::alarms::{AlarmKind, Alarms};
use config::Config;
use host::{Configured, Host, LoadError, NamedList};
use serde_json::{Map, Value};
use std::sync::Arc;
use store::{Edit, Edited, ObjectKind, Ownership, Store, StoreError};

const KIND: ObjectKind = ObjectKind::PluginSettings;

impl Node {
    /// Changes the settings of a plugin. If they are removed, those of the node file apply again.
    pub(super) async fn change_plugin_settings(
        self: &Arc<Node>,
        mut edit: Edit,
    ) -> Result<ObjectChanged, ApiError> {
        let name = edit.name.clone();
        let configured = self.config.plugins.list.iter().find(|plugin| plugin.name == name);
        let Some(plugin) = configured else {
            let names: Vec<&str> =
                self.config.plugins.list.iter().map(|plugin| plugin.name.as_str()).collect();
            let detail = format!("no plugin `{name}`; there are: {}", names.join(", "));
            return Err(ApiError::not_found(detail));
        };
        let config = match edit.body.take() {
            Some(body) => config_of(body)?,
            None if edit.revision.is_none() => return Err(absent(KIND, &name)),
            None => {
                edit.owner = Ownership::File;
                plugin.host_settings(&self.config.plugins.folder).config
            }
        };
        edit.body = Some(body_of(&name, &config));
        let tried = self.tried(&name, config).await?;
        let Edited { id, revision, change, .. } =
            self.store.edit(&edit).await.map_err(store_failed)?;
        let mut changes = Vec::new();
        if let Some(change) = change {
            let details = change.details.join("; ");
            tracing::info!(plugin = name, revision, "plugin settings changed: {details}");
            changes.push(change.action.name().to_owned());
            changes.extend(change.details);
        }
        // Even if nothing differs: the stored settings may not be in force yet.
        let node = Arc::clone(self);
        let taken =
            tokio::task::spawn_blocking(move || node.desk.change(|host| host.take_config(tried)));
        let taken = taken.await.map_err(|error| ApiError::internal(error.to_string()))?;
        taken.map_err(crate::node::service::refused)?;
        self.in_force().await;
        self.alarms.clear(AlarmKind::SettingsRefused, &name);
        Ok(ObjectChanged { kind: KIND.name().to_owned(), name, id, revision, changes })
    }

    /// Lets the live build check a configuration, and checks the number lists that it names.
    async fn tried(self: &Arc<Node>, name: &str, config: Value) -> Result<Configured, ApiError> {
        let (node, plugin) = (Arc::clone(self), name.to_owned());
        let tried =
            tokio::task::spawn_blocking(move || node.desk.host().try_config(&plugin, config));
        let tried = tried.await.map_err(|error| ApiError::internal(error.to_string()))?;
        let tried = tried.map_err(|error| match error {
            LoadError::UnknownPlugin { .. } => ApiError::not_found(error.to_string()),
            error => refused(error.to_string()),
        })?;
        let tables = self.live_tables();
        let absent = absent_lists(&tried, &tables).into_iter().next();
        if let Some(NamedList { setting, list, .. }) = absent {
            let detail = format!("no number list `{list}`");
            return Err(ApiError::invalid(&format!("config.{setting}"), detail));
        }
        Ok(tried)
    }

    /// Stores the settings in force after a build was rolled back together with its settings.
    pub async fn keep_settings_in_force(&self, name: &str) {
        let _turn = self.reloading.lock().await;
        if let Err(error) = self.store_settings_in_force(name).await {
            tracing::error!(%error, plugin = name, "the settings in force are not stored");
        }
    }

    async fn store_settings_in_force(&self, name: &str) -> Result<(), StoreError> {
        let Some(config) = self.desk.host().config(name) else { return Ok(()) };
        let Some(stored) = self.store.object(KIND, name).await? else { return Ok(()) };
        if stored.removed || stored.body.get("config") == Some(&*config) {
            return Ok(());
        }
        let edit = Edit {
            kind: KIND,
            name: name.to_owned(),
            body: Some(body_of(name, &config)),
            revision: Some(stored.revision),
            who: "rollback".to_owned(),
            owner: Ownership::Api,
        };
        self.store.edit(&edit).await.map(|_| ())
    }

    /// Refuses to remove a number list named in plugin settings (SEC-17).
    pub(super) fn may_go(&self, kind: ObjectKind, name: &str) -> Result<(), ApiError> {
        if kind != ObjectKind::NumberList {
            return Ok(());
        }
        let mut others = self.live_tables();
        others.remove(name);
        let named = self.desk.host().named_lists().into_iter();
        let needs = |named: &NamedList| {
            named.may_be(name) && !others.iter().any(|table| named.may_be(&table.list.name))
        };
        match named.into_iter().find(needs) {
            None => Ok(()),
            Some(NamedList { plugin, setting, .. }) => Err(refused(format!(
                "number list {name} is not removed: the settings of plugin `{plugin}` name it \
                 (config.{setting})"
            ))),
        }
    }
}

/// At a start, stores the settings of the node file and passes those owned by the API to their
/// plugins. If a plugin rejects them, an alarm is raised and the node file's apply.
pub(crate) async fn bring_plugin_settings(
    config: &Config,
    store: &Store,
    host: &Host,
    alarms: &Alarms,
) -> Result<(), StoreError> {
    let folder = &config.plugins.folder;
    let of_file = config.plugins.list.iter();
    let of_file: Vec<(String, Value)> =
        of_file.map(|plugin| (plugin.name.clone(), plugin.host_settings(folder).config)).collect();
    let (changes, stored) = store.bring_plugin_settings(&of_file).await?;
    for line in changes.log_lines() {
        tracing::info!("plugin settings: {line}");
    }
    for settings in stored.into_iter().filter(|stored| stored.origin == Ownership::Api) {
        if of_file.iter().all(|(name, _)| *name != settings.name) {
            continue;
        }
        let wanted = settings.body.get("config").cloned().unwrap_or_default();
        let taken =
            host.try_config(&settings.name, wanted).and_then(|tried| host.take_config(tried));
        if let Err(error) = taken {
            let detail = format!("revision {} is not taken: {error}", settings.revision);
            alarms.raise(AlarmKind::SettingsRefused, &settings.name, detail);
        }
    }
    Ok(())
}

/// Lists that a configuration names and that do not exist.
fn absent_lists(tried: &Configured, tables: &crate::tables::Tables) -> Vec<NamedList> {
    let mut named = tried.named_lists();
    named.retain(|named| !tables.iter().any(|table| named.may_be(&table.list.name)));
    named
}

fn body_of(name: &str, config: &Value) -> Map<String, Value> {
    let fields = [("name".to_owned(), Value::from(name)), ("config".to_owned(), config.clone())];
    fields.into_iter().collect()
}

fn config_of(mut body: Map<String, Value>) -> Result<Value, ApiError> {
    let config = body.remove("config");
    if let Some(field) = body.keys().find(|field| *field != "name") {
        let detail = "the settings of a plugin are in `config`, such as `config.attempts=3`";
        return Err(ApiError::invalid(field, detail));
    }
    match config {
        Some(config @ Value::Object(_)) => Ok(config),
        Some(_) => Err(ApiError::invalid("config", "expected a table")),
        None => Ok(Value::Object(Map::new())),
    }
}
