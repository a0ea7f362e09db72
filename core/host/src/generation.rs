use crate::LoadError;
use crate::reaper::Reaper;
use crate::version::Version;
use policy::{Hook, HookSet, PluginStamp};
use std::sync::Arc;

/// The plugins that calls of one time ask. It never changes; a swap makes the next one,
/// and the last call that pinned this one frees it.
pub struct Generation {
    number: u64,
    hooks: [Option<Bound>; Hook::ALL.len()],
    reaper: Reaper,
}

/// Who answers a hook.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) version: Arc<Version>,
    /// The version that it replaced, asked once when it fails at rating or routing.
    pub(crate) previous: Option<Arc<Version>>,
}

impl Bound {
    fn wants_details(&self) -> bool {
        let previous = self.previous.as_ref().is_some_and(|version| version.wants_details());
        self.version.wants_details() || previous
    }
}

impl Generation {
    /// Grows by one with each swap; the first is 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Which build answers a hook; none if no plugin has it.
    #[must_use]
    pub fn stamp(&self, hook: Hook) -> Option<&Arc<PluginStamp>> {
        self.bound(hook).map(|bound| &bound.version.stamp)
    }

    /// Hooks whose plugins may ask about the call.
    pub(crate) fn wants_details(&self) -> HookSet {
        let wants = |hook: &Hook| self.bound(*hook).is_some_and(Bound::wants_details);
        Hook::ALL.into_iter().filter(wants).collect()
    }

    pub(crate) fn first(versions: Vec<Arc<Version>>, reaper: &Reaper) -> Result<Self, LoadError> {
        let mut hooks: [Option<Bound>; Hook::ALL.len()] = Default::default();
        for version in versions {
            for hook in &version.hooks {
                bind(&mut hooks, *hook, Bound { version: Arc::clone(&version), previous: None })?;
            }
            version.set_since(1);
        }
        Ok(Generation { number: 1, hooks, reaper: reaper.clone() })
    }

    /// The generation after this one: `version` in place of its plugin's version here.
    pub(crate) fn next(&self, version: Arc<Version>) -> Result<Generation, LoadError> {
        let name = &version.plugin.name;
        let of_plugin = |bound: &Bound| bound.version.plugin.name == *name;
        let previous = self.version(name).cloned();
        if let Some(hook) = Hook::ALL
            .into_iter()
            .find(|hook| self.bound(*hook).is_some_and(of_plugin) && !version.hooks.contains(hook))
        {
            return Err(LoadError::HookLost {
                plugin: name.to_string(),
                version: version.stamp.version.to_string(),
                hook,
            });
        }
        let mut hooks = self.hooks.clone();
        for bound in &mut hooks {
            *bound = bound.take().filter(|bound| !of_plugin(bound));
        }
        for hook in &version.hooks {
            let keeps_previous = matches!(hook, Hook::Rating | Hook::Routing);
            let previous = previous.clone().filter(|_| keeps_previous);
            bind(&mut hooks, *hook, Bound { version: Arc::clone(&version), previous })?;
        }
        let number = self.number + 1;
        version.set_since(number);
        Ok(Generation { number, hooks, reaper: self.reaper.clone() })
    }

    pub(crate) fn bound(&self, hook: Hook) -> Option<&Bound> {
        self.hooks[hook as usize].as_ref()
    }

    pub(crate) fn version(&self, plugin: &str) -> Option<&Arc<Version>> {
        self.versions().find(|version| &*version.plugin.name == plugin)
    }

    /// Each live version, once for each of its hooks.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.hooks.iter().flatten().map(|bound| &bound.version)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        let mut versions = Vec::new();
        for bound in self.hooks.iter_mut().filter_map(Option::take) {
            versions.push(bound.version);
            versions.extend(bound.previous);
        }
        self.reaper.take_versions(versions);
    }
}

fn bind(
    hooks: &mut [Option<Bound>; Hook::ALL.len()],
    hook: Hook,
    bound: Bound,
) -> Result<(), LoadError> {
    let place = &mut hooks[hook as usize];
    if let Some(holder) = place {
        return Err(LoadError::HookTaken {
            plugin: bound.version.plugin.name.to_string(),
            hook,
            holder: holder.version.plugin.name.to_string(),
        });
    }
    *place = Some(bound);
    Ok(())
}
