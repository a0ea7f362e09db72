//! Locates plugins that fail to load in the node file.

use config::{Config, ConfigErrors};
use host::LoadError;
use std::path::Path;

/// Converts the error to one at the setting at fault or the plugin's entry; without a place if it
/// concerns no plugin of the list.
pub(crate) fn placed(config: &Config, error: &LoadError) -> ConfigErrors {
    let detail = error.to_string();
    let field = match entry(config, error) {
        Some(index) => format!("plugins.list[{index}]{}", setting(error)),
        None => "plugins".to_owned(),
    };
    ConfigErrors(vec![config.source.problem(&field, detail)])
}

/// Index of the plugin in the list.
fn entry(config: &Config, error: &LoadError) -> Option<usize> {
    let list = &config.plugins.list;
    let file = |index: usize| list[index].path(&config.plugins.folder);
    let named = |name: &str| list.iter().position(|plugin| plugin.name == name);
    let of_file = |path: &Path| (0..list.len()).find(|index| file(*index) == path);
    // In these errors the file is named within a sentence.
    let of_origin = |origin: &str| {
        (0..list.len()).find(|index| origin.contains(&*file(*index).to_string_lossy()))
    };
    match error {
        LoadError::ChainedTwice { plugin, .. }
        | LoadError::Nothing { plugin, .. }
        | LoadError::Setting { plugin, .. }
        | LoadError::Componentize { plugin, .. }
        | LoadError::MissingGrant { plugin, .. }
        | LoadError::Wasi { plugin, .. }
        | LoadError::UnknownImport { plugin, .. }
        | LoadError::Compile { plugin, .. }
        | LoadError::MissingExport { plugin, .. }
        | LoadError::Interface { plugin, .. }
        | LoadError::WrongVersion { plugin, .. }
        | LoadError::BadVersion { plugin, .. }
        | LoadError::NoHook { plugin }
        | LoadError::HookNotExported { plugin, .. }
        | LoadError::HookLost { plugin, .. }
        | LoadError::Failed { plugin, .. }
        | LoadError::SchemaNotValid { plugin, .. }
        | LoadError::ConfigDoesNotFit { plugin, .. }
        | LoadError::ConfigRefused { plugin, .. }
        | LoadError::SelfTest { plugin, .. } => named(plugin),
        LoadError::WrongName { configured, .. } => named(configured),
        LoadError::UnknownPlugin { name, .. } | LoadError::Twice(name) => named(name),
        LoadError::Read { path, .. } => of_file(path),
        LoadError::HalfWritten { origin, .. }
        | LoadError::Unsigned { origin, .. }
        | LoadError::Stranger { origin, .. }
        | LoadError::Forged { origin, .. }
        | LoadError::NotWasm { origin } => of_origin(origin),
        LoadError::Engine(_) => None,
    }
}

/// The setting that would fix the error, if any.
fn setting(error: &LoadError) -> &'static str {
    match error {
        LoadError::MissingGrant { .. } => ".grants",
        LoadError::HookNotExported { .. } => ".hooks",
        LoadError::ConfigDoesNotFit { .. } | LoadError::ConfigRefused { .. } => ".config",
        LoadError::WrongName { .. } => ".name",
        LoadError::Read { .. } | LoadError::HalfWritten { .. } | LoadError::NotWasm { .. } => {
            ".file"
        }
        _ => "",
    }
}
