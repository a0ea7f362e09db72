//! Another configuration for the live build of a plugin, without a restart and without another
//! compilation.

use super::host::{Host, SwapReport};
use super::named_lists::{NamedList, of_version};
use crate::build::version::Version;
use crate::error::LoadError;
use crate::generation::live::Live;
use crate::plugin::Plugin;
use serde_json::Value;
use std::sync::Arc;

/// A configuration that the live build of a plugin has accepted aside.
pub struct Configured {
    plugin: Arc<Plugin>,
    /// The build as it stood.
    of: Arc<Version>,
    version: Arc<Version>,
}

impl Configured {
    /// Number lists that the configuration names.
    #[must_use]
    pub fn named_lists(&self) -> Vec<NamedList> {
        of_version(&self.version)
    }
}

impl Host {
    /// What the live build of a plugin is configured with.
    #[must_use]
    pub fn config(&self, name: &str) -> Option<Arc<Value>> {
        let live = self.live(self.inner.plugin(name).ok()?).ok()?;
        Some(Arc::clone(live.version.config()))
    }

    /// Has the live build of a plugin try a configuration on an instance that no call meets: its
    /// schema, `configure` and its own examples. Nothing changes for calls.
    ///
    /// # Errors
    /// What is wrong with the configuration, by its place in it.
    pub fn try_config(&self, name: &str, config: Value) -> Result<Configured, LoadError> {
        let plugin = self.inner.plugin(name)?;
        let of = Arc::clone(&self.live(plugin)?.version);
        let version = Arc::new(self.inner.run_aside(|| of.with_config(Arc::new(config)))?);
        Ok(Configured { plugin: Arc::clone(plugin), of, version })
    }

    /// Gives new calls a configuration that was tried. A canary and a shadow, which were
    /// configured otherwise, end; the build and configuration before can be rolled back to. Where
    /// nothing differs nothing is done. If another build has become the live one meanwhile, that
    /// one tries the configuration too.
    ///
    /// # Errors
    /// The other build refuses the configuration.
    pub fn take_config(&self, tried: Configured) -> Result<SwapReport, LoadError> {
        let Configured { plugin, of, version } = tried;
        let _one_at_a_time = self.changing();
        let live = self.live(&plugin)?;
        if live.version.config() == version.config() {
            return Ok(super::lifecycle::report(
                &live.version,
                &live.version,
                self.current().number(),
            ));
        }
        let version = if Arc::ptr_eq(&live.version, &of) {
            version
        } else {
            let config = Arc::clone(version.config());
            Arc::new(self.inner.run_aside(|| live.version.with_config(config))?)
        };
        let config = Arc::clone(version.config());
        let report = self.replace(&plugin, &live, version, "plugin configured")?;
        plugin.set_config(config);
        Ok(report)
    }

    /// Builds that are loaded from now on get the configuration of this one.
    pub(super) fn keep_config(plugin: &Plugin, live: &Live) {
        plugin.set_config(Arc::clone(live.version.config()));
    }
}
