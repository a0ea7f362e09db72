use super::exports::Exports;
use super::imports::{self, Linkers};
use super::interface::Interface;
use super::sandbox::Sandbox;
use crate::error::LoadError;
use crate::load::artifact::Artifact;
use crate::plugin::Plugin;
use crate::settings::Grant;
use std::collections::BTreeSet;
use wasmtime::component::{Component, InstancePre};

/// Compiled code, ready to be instantiated.
pub(crate) struct Code {
    pub(crate) pre: InstancePre<Sandbox>,
    pub(crate) exports: Exports,
    /// Grants that it uses.
    pub(crate) imports: BTreeSet<Grant>,
    /// It imports a function that can wait.
    pub(crate) on_fibre: bool,
}

impl Code {
    pub(crate) fn compile(
        linkers: &Linkers,
        plugin: &Plugin,
        artifact: &Artifact,
    ) -> Result<Code, LoadError> {
        let settings = &plugin.settings;
        let compile_error = |cause: wasmtime::Error| LoadError::Compile {
            plugin: settings.name.clone(),
            cause: format!("{cause:#}"),
        };
        let component =
            Component::new(linkers.engine(), &artifact.component).map_err(compile_error)?;
        Interface::check(&settings.name, &component)?;
        let imports = imports::check(settings, &component)?;
        let exports = Exports::find(&settings.name, &component)?;
        let pre = linkers.of(&imports).instantiate_pre(&component).map_err(compile_error)?;
        let on_fibre = imports.contains(&Grant::Http);
        if on_fibre {
            plugin.services.start_lane()?;
        }
        Ok(Code { pre, exports, imports, on_fibre })
    }
}
