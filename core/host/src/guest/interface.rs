//! Versions of the interface between host and plugins.
//!
//! A component names the version of each interface that it imports and exports. The host links all
//! supported versions side by side, so components of several versions can be loaded at one time and
//! be in one chain. `wit/README.md` is the promise; the tests of this module check it with a small
//! version 0.2 that exists only for them.

use crate::error::LoadError;
use wasmtime::component::Component;

/// One folder of `wit/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    V0_1,
    /// `tests/guests/next/wit`: screening has an additional field, the clock is finer.
    #[cfg(test)]
    V0_2,
}

impl Interface {
    /// The versions that this host supports, oldest first.
    pub(crate) const ANSWERED: &[Interface] = &[
        Interface::V0_1,
        #[cfg(test)]
        Interface::V0_2,
    ];

    pub(crate) fn version(self) -> &'static str {
        match self {
            Interface::V0_1 => "0.1.0",
            #[cfg(test)]
            Interface::V0_2 => "0.2.0",
        }
    }

    /// The full name of an interface, as components use it.
    pub(crate) fn name(self, interface: &str) -> String {
        format!("strowger:policy/{interface}@{}", self.version())
    }

    /// Refuses a component that uses an unsupported version, whose functions may have the same
    /// names and another meaning.
    pub(crate) fn check(plugin: &str, component: &Component) -> Result<(), LoadError> {
        let kind = component.component_type();
        let engine = component.engine();
        let imports = kind.imports(engine).map(|(name, _)| name);
        let mut names = imports.chain(kind.exports(engine).map(|(name, _)| name));
        let other = names.find_map(|name| {
            let version = split(name)?.1;
            let answered = Self::ANSWERED.iter().any(|answered| answered.version() == version);
            (!answered).then(|| version.to_owned())
        });
        if let Some(wanted) = other {
            let answered = Self::ANSWERED.iter().map(|answered| answered.version());
            let answered = answered.collect::<Vec<_>>().join(", ");
            return Err(LoadError::WrongVersion { plugin: plugin.to_owned(), wanted, answered });
        }
        Ok(())
    }

    /// The version whose `lifecycle` the component exports, which is that of its hooks.
    pub(crate) fn of(plugin: &str, component: &Component) -> Result<Interface, LoadError> {
        let exports =
            |version: &Interface| component.get_export(None, version.name("lifecycle")).is_some();
        let found = Self::ANSWERED.iter().rev().copied().find(exports);
        found.ok_or_else(|| LoadError::MissingExport {
            plugin: plugin.to_owned(),
            interface: Interface::V0_1.name("lifecycle"),
        })
    }
}

/// Short name and version of one of our interfaces.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("strowger:policy/")?.split_once('@')
}

#[cfg(test)]
pub(crate) mod tests;
