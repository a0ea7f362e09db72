use super::exports::Exports;
use super::http;
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
    /// It imports the function that sends requests later.
    pub(crate) sends: bool,
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
        let on_fibre = imports::uses(&component, Grant::Http, http::WAITS);
        let sends = imports::uses(&component, Grant::Http, http::SENDS);
        let pre = linkers.of(on_fibre).instantiate_pre(&component).map_err(compile_error)?;
        Ok(Code { pre, exports, imports, on_fibre, sends })
    }
}
