//! The trait of every plugin: its description and settings.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Life cycle of a plugin. Each instance is created by [`Plugin::new`], asked any number of
/// questions one after the other, and dropped; several instances exist side by side (one per shard
/// of the switch), so `self` must not contain shared state: use [`crate::host::counter`] for that.
pub trait Plugin: Sized + 'static {
    /// Lower-case name, unique on a node, such as `routing`.
    const NAME: &'static str;
    /// Semantic version; `None` means the version in the plugin's `Cargo.toml`.
    const VERSION: Option<&'static str> = None;
    /// One sentence for the operator.
    const SUMMARY: &'static str;
    /// JSON Schema (draft 2020-12) of the settings; empty if the plugin ships none. The switch
    /// refuses settings that do not match before the plugin sees them.
    const CONFIG_SCHEMA: &'static str = "";
    /// Settings, read from the plugin's table of the node configuration.
    /// `#[serde(default, deny_unknown_fields)]` makes every field optional and refuses a misspelt
    /// one by name.
    type Config: DeserializeOwned + Default;

    /// Creates an instance. An error refuses the load and is shown to the operator; it should name
    /// the field and what is allowed.
    ///
    /// # Errors
    /// The configuration is not permitted.
    fn new(config: Self::Config) -> Result<Self, String>;

    /// Runs the plugin's own examples before a version goes live; returns the number that passed.
    ///
    /// # Errors
    /// The first example that failed; this refuses the load.
    fn self_test(&self) -> Result<u32, String> {
        Ok(0)
    }
}

/// Configuration of a plugin without settings: any field is refused.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Creates a plugin from its configuration in JSON, as the switch does. An empty text means the
/// default configuration.
///
/// # Errors
/// Names the field that cannot be used and why.
pub fn configured<P: Plugin>(json: &str) -> Result<P, String> {
    let config = if json.trim().is_empty() {
        P::Config::default()
    } else {
        let mut reader = serde_json::Deserializer::from_str(json);
        let config = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let field = error.path().to_string();
            let reason = error.into_inner();
            if field == "." { reason.to_string() } else { format!("field `{field}`: {reason}") }
        })?;
        reader.end().map_err(|error| format!("after the configuration: {error}"))?;
        config
    };
    P::new(config)
}
