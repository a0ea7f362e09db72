//! An operator's actions on a build between load and end: canary, promotion, shadow, rollback.

use crate::build::version::Version;
use crate::error::LoadError;
use crate::generation::chain::ChainSettings;
use crate::generation::live::Live;
use crate::generation::shadow::{Difference, Shadow};
use crate::generation::trial::{Canary, Selection, WHOLE};
use crate::life::host::{Host, SwapReport, keeps_hooks};
use crate::load::artifact::{Artifact, Source};
use crate::plugin::{Plugin, SHADOW_NUMBER};
use std::sync::{Arc, PoisonError};

/// Missing object of a rollback if another build stands where the judged one stood.
const JUDGED: &str = "build any more that was judged";

impl Host {
    /// Lets another build of a plugin decide a share of the calls. It replaces an existing canary;
    /// a canary with the same bytes only gets the new selection.
    ///
    /// # Errors
    /// What is wrong with the build or the selection; then nothing changes.
    pub fn canary(
        &self,
        name: &str,
        source: impl Into<Source>,
        selection: Selection,
    ) -> Result<SwapReport, LoadError> {
        self.begin(name, source.into(), &selection, "canary", |plugin, artifact, live| {
            let same = live.canary.as_ref().filter(|it| it.version.digest == artifact.digest);
            let version = match same {
                Some(canary) => Arc::clone(&canary.version),
                None => Arc::new(self.load(plugin, artifact)?),
            };
            keeps_hooks(&live.version, &version)?;
            let begun = live.canary.as_ref().filter(|it| Arc::ptr_eq(&it.version, &version));
            let live_then = begun.map_or_else(
                || Arc::new(live.version.tally.figures()),
                |canary| Arc::clone(&canary.live_then),
            );
            let canary = Some(Canary {
                version: Arc::clone(&version),
                selection: selection.clone(),
                live_then,
            });
            Ok((version, Live { canary, ..Live::clone(live) }))
        })
    }

    /// Makes a plugin's canary its live build.
    ///
    /// # Errors
    /// If it has none.
    pub fn promote(&self, name: &str) -> Result<SwapReport, LoadError> {
        let plugin = self.inner.plugin(name)?;
        let _one_at_a_time = self.changing();
        let live = self.live(plugin)?;
        let canary = live.canary.as_ref().ok_or_else(|| nothing(name, "canary"))?;
        self.replace(plugin, &live, Arc::clone(&canary.version), "canary promoted")
    }

    /// Lets another build be asked the calls' questions on the shadow thread, and compares its
    /// answers with the obeyed ones.
    ///
    /// # Errors
    /// What is wrong with the build or the selection; then nothing changes.
    pub fn shadow(
        &self,
        name: &str,
        source: impl Into<Source>,
        selection: Selection,
    ) -> Result<SwapReport, LoadError> {
        self.begin(name, source.into(), &selection, "shadow", |plugin, artifact, live| {
            // With its own counters, places and figures: its actions must not affect any call.
            let aside = Plugin::new(
                plugin.settings.clone(),
                plugin.number | SHADOW_NUMBER,
                Arc::clone(&plugin.services),
            );
            aside.set_config(plugin.config());
            let version = Arc::new(self.load(&Arc::new(aside), artifact)?);
            let shadow = Some(Arc::new(Shadow::new(Arc::clone(&version), selection.clone())));
            Ok((version, Live { shadow, ..Live::clone(live) }))
        })
    }

    /// Puts a build beside the live one; `beside` loads it and returns the plugin's new state.
    fn begin(
        &self,
        name: &str,
        source: Source,
        selection: &Selection,
        what: &'static str,
        beside: impl FnOnce(&Arc<Plugin>, Artifact, &Live) -> Result<(Arc<Version>, Live), LoadError>,
    ) -> Result<SwapReport, LoadError> {
        check(name, selection)?;
        let plugin = self.inner.plugin(name)?;
        let artifact = self.named(name, source)?;
        let _one_at_a_time = self.changing();
        let live = self.live(plugin)?;
        let (version, next) = beside(plugin, artifact, &live)?;
        let generation = self.put(plugin, next)?;
        let (build, live) = (&version, &live.version);
        tracing::info!(live = %live.stamp, build = %build.stamp, %selection, generation, "{what}");
        Ok(report(live, build, generation))
    }

    /// The latest decisions that a plugin's shadow would have made differently, oldest first.
    ///
    /// # Errors
    /// If it has no shadow.
    pub fn differences(&self, name: &str) -> Result<Vec<Difference>, LoadError> {
        let live = self.live(self.inner.plugin(name)?)?;
        let shadow = live.shadow.as_ref().ok_or_else(|| nothing(name, "shadow"))?;
        Ok(shadow.differences())
    }

    /// Ends a plugin's canary and shadow; the live build decides all.
    ///
    /// # Errors
    /// If it has neither.
    pub fn end_trial(&self, name: &str) -> Result<SwapReport, LoadError> {
        self.end_trial_if(name, |_| true)
    }

    /// [`Host::end_trial`] if the plugin's state, once locked, is the wanted one.
    pub(super) fn end_trial_if(
        &self,
        name: &str,
        wanted: impl FnOnce(&Live) -> bool,
    ) -> Result<SwapReport, LoadError> {
        let plugin = self.inner.plugin(name)?;
        let _one_at_a_time = self.changing();
        let live = self.live(plugin)?;
        if !wanted(&live) {
            return Err(nothing(name, JUDGED));
        }
        let stamp = match (&live.canary, &live.shadow) {
            (Some(canary), _) => Arc::clone(&canary.version.stamp),
            (None, Some(shadow)) => Arc::clone(&shadow.version().stamp),
            (None, None) => return Err(nothing(name, "canary and no shadow")),
        };
        let next = Live { canary: None, shadow: None, ..Live::clone(&live) };
        let generation = self.put(plugin, next)?;
        tracing::info!(plugin = %stamp, generation, "trial ended");
        Ok(SwapReport { from: stamp, ..report(&live.version, &live.version, generation) })
    }

    /// Makes the previous build live again.
    ///
    /// # Errors
    /// If there is none since the start or since the last rollback.
    pub fn rollback(&self, name: &str) -> Result<SwapReport, LoadError> {
        self.rollback_if(name, |_| true)
    }

    /// [`Host::rollback`] if the plugin's state, once locked, is the wanted one.
    pub(super) fn rollback_if(
        &self,
        name: &str,
        wanted: impl FnOnce(&Live) -> bool,
    ) -> Result<SwapReport, LoadError> {
        let plugin = self.inner.plugin(name)?;
        let _one_at_a_time = self.changing();
        let live = self.live(plugin)?;
        if !wanted(&live) {
            return Err(nothing(name, JUDGED));
        }
        let previous = live.previous.clone().ok_or_else(|| nothing(name, "build before"))?;
        let to = Arc::clone(&previous);
        let next = Live::alone(previous);
        Host::keep_config(plugin, &next);
        let generation = self.put(plugin, next)?;
        tracing::info!(from = %live.version.stamp, to = %to.stamp, generation, "rolled back");
        Ok(report(&live.version, &to, generation))
    }

    /// Sets which plugins calls ask at which hook; hooks that are not named keep the order of the
    /// configuration. True if anything changed.
    ///
    /// # Errors
    /// A plugin that is unknown, named twice, or without the hook; then nothing changes.
    pub fn set_chains(&self, settings: Vec<ChainSettings>) -> Result<bool, LoadError> {
        let _one_at_a_time = self.changing();
        let lock = || self.inner.chains.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *lock(), settings);
        if *lock() == before {
            return Ok(false);
        }
        match self.advance(self.current().plugins().clone()) {
            Ok(_) => Ok(true),
            Err(error) => {
                *lock() = before;
                Err(error)
            }
        }
    }
}

pub(super) fn report(from: &Version, to: &Version, generation: u64) -> SwapReport {
    SwapReport {
        from: Arc::clone(&from.stamp),
        to: Arc::clone(&to.stamp),
        compile_ms: to.compile_ms,
        self_test_cases: to.self_test_cases,
        generation,
    }
}

fn nothing(name: &str, what: &'static str) -> LoadError {
    LoadError::Nothing { plugin: name.to_owned(), what }
}

fn check(name: &str, selection: &Selection) -> Result<(), LoadError> {
    if selection.share > WHOLE {
        return Err(LoadError::Setting {
            plugin: name.to_owned(),
            field: "share",
            value: selection.share.to_string(),
            allowed: "0 to 10000 ten thousandths of the calls",
        });
    }
    Ok(())
}
