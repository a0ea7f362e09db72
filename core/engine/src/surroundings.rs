//! What a node knows beside its decision log.

use crate::database;
use crate::snapshot::{CallLookup, Registry, Snapshot};
use crate::tables::Tables;
use anyhow::Result;
use config::Config;
use host::replay::Names;
use policy::Lookup;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{ObjectKind, Ownership, Store};

/// What a node knows beside its decision log.
pub struct Surroundings {
    /// Names of trunks.
    pub names: Names,
    /// What plugins look up.
    pub lookup: Arc<dyn Lookup>,
    /// Why some of it is missing.
    pub problem: Option<String>,
    /// Configurations of plugins, by name.
    pub configs: BTreeMap<String, serde_json::Value>,
}

impl Surroundings {
    /// What the node knows beside the log, as it is now; a number list that cannot be read does
    /// not hide the rest.
    ///
    /// # Errors
    /// The database cannot be read, or does not fit the node file.
    pub async fn of(config: &Config) -> Result<Surroundings> {
        let store = Store::open_to_read(database::of(config)?).await?;
        let business = store.load().await?;
        let tables = Tables::read(&store, &business.number_lists, &Tables::default()).await;
        let settings = store.objects(ObjectKind::PluginSettings).await?;
        let (tables, problem) = match tables {
            Ok(tables) => (tables, None),
            Err(error) => (Tables::default(), Some(format!("number lists: {error}"))),
        };
        let snapshot = Snapshot::build(config, &business, tables, &Registry::default(), [0; 32])?;
        let facts = &snapshot.facts;
        let customers = facts.customers().values().map(|trunk| (trunk.id, trunk.name.to_string()));
        let vendors = facts.vendors().values().map(|trunk| (trunk.id, trunk.name.to_string()));
        let names = Names { customers: customers.collect(), vendors: vendors.collect() };
        // The node file may have changed since the node read it: what the API owns it does not know.
        let of_api = settings.into_iter().filter(|settings| settings.origin == Ownership::Api);
        let configs = of_api.filter_map(|mut settings| {
            let config = settings.body.remove("config")?;
            Some((settings.name, config))
        });
        let configs = configs.collect();
        let lookup = Arc::new(CallLookup::of(&snapshot));
        Ok(Surroundings { names, lookup, problem, configs })
    }
}
