//! A build's description of itself, read without loading it for calls.

use crate::build::probation::LOAD_DEADLINE_MS;
use crate::error::LoadError;
use crate::guest::code::Code;
use crate::guest::instance::Instance;
use crate::life::host::Host;
use crate::load::anatomy::Anatomy;
use crate::load::artifact::Artifact;
use crate::load::signature::Signer;
use crate::settings::Grant;
use policy::Hook;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// A build without a configuration, as inspected from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its name from `describe`.
    pub name: String,
    /// The version that it declares.
    pub version: String,
    /// Its one-sentence summary.
    pub summary: String,
    /// JSON Schema of its configuration; empty if it ships none.
    pub schema: String,
    /// SHA-256 of the original bytes, 64 hex digits.
    pub digest: String,
    /// The signer that its signature names.
    pub signer: Signer,
    /// Version of the policy interface that it was built for, such as `0.1.0`.
    pub interface: &'static str,
    /// Grants that it needs to be loaded.
    pub grants: BTreeSet<Grant>,
    /// Hooks that it answers.
    pub hooks: Vec<Hook>,
    /// Wall time of compilation, without a cache.
    pub compile: Duration,
    /// Wall time of making an instance: the shortest of ten.
    pub instantiate: Duration,
    /// Sizes of the parts of the original file.
    pub anatomy: Anatomy,
}

impl Host {
    /// Compiles a build and reads its description. It is not configured and not tested.
    ///
    /// # Errors
    /// A reason that would prevent loading with any configuration.
    pub fn inspect(&self, file: &Path) -> Result<Inspection, LoadError> {
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plugin");
        let plugin = self.stranger(name, file);
        let artifact = Artifact::read(name, file.into(), &plugin.services.intake)?;
        let begun = Instant::now();
        let code = Code::compile(&self.inner.linkers, &plugin, &artifact)?;
        let compile = begun.elapsed();
        let watching = plugin.services.pace.watch();
        let deadline = || watching.watched().deadline(LOAD_DEADLINE_MS);
        let mut instantiate = Duration::MAX;
        for _ in 0..10 {
            let begun = Instant::now();
            Instance::new(&code, &plugin, deadline())?;
            instantiate = instantiate.min(begun.elapsed());
        }
        let mut instance = Instance::new(&code, &plugin, deadline())?;
        instance.begin(deadline());
        let described = instance.describe().map_err(|fault| LoadError::Failed {
            plugin: name.to_owned(),
            stage: "describe",
            fault,
        })?;
        Ok(Inspection {
            name: described.name,
            version: described.version,
            summary: described.summary,
            schema: described.config_schema,
            digest: artifact.digest,
            signer: artifact.signer,
            interface: code.exports.interface.version(),
            grants: code.imports,
            hooks: Hook::ALL.into_iter().filter(|hook| code.exports.has(*hook)).collect(),
            compile,
            instantiate,
            anatomy: artifact.anatomy,
        })
    }
}
