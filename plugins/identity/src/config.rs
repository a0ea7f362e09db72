//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pass identity headers on only if they came from a trusted customer trunk, even if a vendor
    /// trunk's mode is `pass`. Default false: the mode is the explicit choice that SIG-78 requires.
    pub pass_trusted_only: bool,
}
