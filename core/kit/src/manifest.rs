//! `plugin.toml`: the kit's facts about a project.

use super::language::Language;
use anyhow::{Context, Result, bail};
use config::values::{parse_duration, parse_size};
use host::{BreakerSettings, Grant, HttpSettings, PluginSettings};
use policy::Hook;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Name of the file.
pub(crate) const FILE: &str = "plugin.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    lang: Language,
    hooks: BTreeSet<Hook>,
    #[serde(default)]
    grants: BTreeSet<Grant>,
    source: Option<PathBuf>,
    vectors: Option<PathBuf>,
    #[serde(default)]
    config: toml::Table,
    deadline: Option<String>,
    memory: Option<String>,
}

/// A plugin's project: a folder with a `plugin.toml`.
#[derive(Debug)]
pub(crate) struct Project {
    /// The folder, absolute.
    pub(crate) folder: PathBuf,
    /// The plugin's name.
    pub(crate) name: String,
    /// Its language.
    pub(crate) lang: Language,
    /// Decisions that it makes.
    pub(crate) hooks: BTreeSet<Hook>,
    /// Host interfaces that it uses.
    pub(crate) grants: BTreeSet<Grant>,
    /// The source file.
    pub(crate) source: PathBuf,
    /// Its questions with their answers.
    pub(crate) vectors: PathBuf,
    /// Settings for the host in a test.
    pub(crate) settings: PluginSettings,
}

impl Project {
    /// Reads the manifest of a folder.
    pub(crate) fn open(folder: &Path) -> Result<Project> {
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!(
                "{} cannot be read; a project is made by `strowger plugin new NAME --lang LANG` \
                 and named by --path",
                file.display()
            )
        })?;
        let folder =
            folder.canonicalize().with_context(|| format!("{} is lost", folder.display()))?;
        Project::read(folder, &text).with_context(|| format!("{} is not usable", file.display()))
    }

    fn read(folder: PathBuf, text: &str) -> Result<Project> {
        let Manifest { name, lang, hooks, grants, source, vectors, config, deadline, memory } =
            toml::from_str(text)?;
        check_name(&name)?;
        if hooks.is_empty() {
            bail!("`hooks` is empty; write at least one, such as hooks = [\"routing\"]");
        }
        let deadline = deadline.map_or(Ok(lang.deadline()), |text| parse_duration(&text))?;
        let memory =
            memory.map_or(Ok(lang.memory()), |text| parse_size(&text).map(|n| n as u64))?;
        let settings = PluginSettings {
            http: nobody(&grants),
            grants: grants.clone(),
            config: serde_json::to_value(config)?,
            deadline_ms: u32::try_from(deadline.as_millis())?,
            memory_bytes: memory,
            breaker: BreakerSettings::OFF,
            ..PluginSettings::new(name.as_str(), PathBuf::new())
        };
        let source = folder.join(source.unwrap_or_else(|| lang.source().into()));
        let vectors = folder.join(vectors.unwrap_or_else(|| "vectors.json".into()));
        Ok(Project { folder, name, lang, hooks, grants, source, vectors, settings })
    }

    /// The folder for all build output.
    pub(crate) fn build_folder(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// The default path of the component.
    pub(crate) fn component(&self) -> PathBuf {
        self.build_folder().join(format!("{}.wasm", self.name))
    }
}

/// With the grant `http`: a server that does not exist (RFC 2606 section 2). A test makes no
/// request; each one is refused like a request to a host that the operator did not name.
pub(crate) fn nobody(grants: &BTreeSet<Grant>) -> Option<HttpSettings> {
    grants.contains(&Grant::Http).then(|| HttpSettings::new(["nobody.invalid"]))
}

/// Checks a name by the rules of the host.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if !begins || name.len() > 64 || !name.bytes().all(letters) {
        bail!("name `{name}`: allowed are 1 to 64 of a-z, 0-9 and -, beginning with a letter");
    }
    Ok(())
}

/// Parses the name of a hook.
pub(crate) fn parse_hook(name: &str) -> Result<Hook, String> {
    Hook::ALL.into_iter().find(|hook| hook.name() == name).ok_or_else(|| {
        let known: Vec<&str> = Hook::ALL.iter().map(|hook| hook.name()).collect();
        format!("hooks are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", Project::read("/p".into(), text).expect_err("must be refused"))
    }

    #[test]
    fn a_short_manifest_has_the_defaults_of_its_language() {
        let text = "name = \"a\"\nlang = \"python\"\nhooks = [\"routing\"]\n";
        let project = Project::read("/p".into(), text).expect("legal");
        assert_eq!(project.source, Path::new("/p/src/app.py"));
        assert_eq!(project.vectors, Path::new("/p/vectors.json"));
        assert_eq!(project.component(), Path::new("/p/build/a.wasm"));
        assert_eq!(project.settings.deadline_ms, 50);
        assert_eq!(project.settings.memory_bytes, 64 << 20);
        assert_eq!(project.settings.config.to_string(), "{}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = "name = \"a\"\nlang = \"c\"\nhooks = [\"rating\"]\n";
        assert!(Project::read("/p".into(), good).is_ok());
        assert!(refused(&good.replace("\"c\"", "\"cobol\"")).contains("unknown variant `cobol`"));
        assert!(refused(&good.replace("\"a\"", "\"A\"")).contains("name `A`: allowed are"));
        assert!(refused(&good.replace("\"rating\"", "")).contains("`hooks` is empty"));
        assert!(refused(&format!("{good}deadline = \"5\"\n")).contains("not a duration"));
        assert!(refused(&format!("{good}grant = []\n")).contains("unknown field `grant`"));
    }
}
