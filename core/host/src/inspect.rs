//! What a build says about itself, without loading it for calls.

use crate::artifact::Artifact;
use crate::instance::Instance;
use crate::version::{Code, LOAD_DEADLINE_MS};
use crate::{Anatomy, Grant, Host, LoadError, Signer};
use policy::Hook;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// A build as a stranger sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What it calls itself.
    pub name: String,
    /// The version that it declares.
    pub version: String,
    /// Its own sentence.
    pub summary: String,
    /// JSON Schema of its configuration; empty if it ships none.
    pub schema: String,
    /// SHA-256 of the bytes as they came, 64 hex digits.
    pub digest: String,
    /// Whose key its signature names.
    pub signer: Signer,
    /// Version of the policy interface that it was built for, such as `0.1.0`.
    pub interface: &'static str,
    /// Grants that it cannot be loaded without.
    pub grants: BTreeSet<Grant>,
    /// Hooks that it answers.
    pub hooks: Vec<Hook>,
    /// Wall time of compilation, without a cache.
    pub compile: Duration,
    /// Wall time of making an instance: the shortest of ten.
    pub instantiate: Duration,
    /// Sizes of the file as it came.
    pub anatomy: Anatomy,
}

impl Host {
    /// Compiles a build and asks it who it is. It is not configured and not tested.
    ///
    /// # Errors
    /// Why it would not be loaded whatever the configuration said.
    pub fn inspect(&self, file: &Path) -> Result<Inspection, LoadError> {
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plugin");
        let plugin = self.stranger(name, file);
        let artifact = Artifact::read(name, file.into(), &plugin.services)?;
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
