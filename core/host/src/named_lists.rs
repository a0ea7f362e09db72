//! Number lists that the settings of plugins name.

use crate::Host;
use std::sync::Arc;

/// What a plugin's schema writes at a setting that is the name of a number list. A name may
/// hold placeholders in braces, which the plugin fills in for each call.
const FORMAT: &str = "number-list";

/// A number list that a setting of a plugin names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedList {
    /// The plugin.
    pub plugin: Arc<str>,
    /// The setting, such as `levels[0].caller_deny`.
    pub setting: String,
    /// The name, not empty.
    pub list: String,
}

impl NamedList {
    /// Whether a list of this name is, or may be, the one that is meant.
    #[must_use]
    pub fn may_be(&self, name: &str) -> bool {
        fits(&self.list, name)
    }
}

impl Host {
    /// Every number list that settings of the live plugins name, as far as their schemas say
    /// which settings are such names.
    #[must_use]
    pub fn named_lists(&self) -> Vec<NamedList> {
        let generation = self.current();
        let of_plugin = |live: &Arc<crate::generation::Live>| {
            let version = &live.version;
            let (schema, config) = (&version.config_schema, &version.plugin.settings.config);
            let plugin = Arc::clone(&version.plugin.name);
            schema::of_format(schema, config, FORMAT)
                .into_iter()
                .filter(|(_, list)| !list.is_empty())
                .map(move |(setting, list)| NamedList { plugin: plugin.clone(), setting, list })
        };
        generation.plugins().values().flat_map(of_plugin).collect()
    }
}

/// `pattern` with something in the place of each `{word}` is `name`.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else { return pattern == name };
    let Some((_, after)) = rest.split_once('}') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    // What stands for a placeholder is not empty.
    let ends = rest.char_indices().map(|(at, first)| at + first.len_utf8());
    ends.into_iter().any(|end| fits(after, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn placeholders_stand_for_anything_but_nothing() {
        assert!(fits("barred", "barred") && !fits("barred", "bared"));
        assert!(fits("barred-{account}", "barred-7") && !fits("barred-{account}", "barred-"));
        assert!(fits("{trunk}-x-{account}", "3-x-12") && !fits("{trunk}-x-{account}", "3-y-12"));
        assert!(!fits("barred-{account}", "bared-7"));
    }
}
