//! Number lists that the settings of plugins name.

use crate::build::version::Version;
use crate::life::host::Host;
use std::sync::Arc;

/// The `format` in a plugin's schema for a setting that is the name of a number list. A name may
/// contain placeholders in braces, which the plugin fills in for each call.
const FORMAT: &str = "number-list";

/// A number list named by a setting of a plugin.
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
    /// Whether a list of this name is, or may be, the intended one.
    #[must_use]
    pub fn may_be(&self, name: &str) -> bool {
        fits(&self.list, name)
    }
}

impl Host {
    /// Every number list that settings of the live plugins name, as marked in their schemas.
    #[must_use]
    pub fn named_lists(&self) -> Vec<NamedList> {
        let generation = self.current();
        generation.plugins().values().flat_map(|live| of_version(&live.version)).collect()
    }
}

/// Those of one build with its configuration.
pub(super) fn of_version(version: &Version) -> Vec<NamedList> {
    let plugin = &version.plugin.name;
    schema::of_format(&version.config_schema, version.config(), FORMAT)
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(setting, list)| NamedList { plugin: Arc::clone(plugin), setting, list })
        .collect()
}

/// Whether `pattern` equals `name` with each `{word}` replaced by some text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else { return pattern == name };
    let Some((_, after)) = rest.split_once('}') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    // The text for a placeholder is not empty.
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
