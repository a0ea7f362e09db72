//! From a built plugin to a running switch: checked, measured, signed, published, installed.

mod check;
mod keys;
mod measure;
mod oci;
mod package;
mod questions;
mod shelf;
mod version;

use super::manifest::{Project, nobody};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use config::{Config, PluginsConfig};
use host::{
    BreakerSettings, Host, HostSettings, Inspection, KeptLog, PluginSettings, SigningPolicy,
};
use package::Package;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Commands around a plugin file; no running switch is needed.
#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Say whether a switch would load a plugin, what it needs, and how long it takes.
    Check {
        /// The plugin.
        #[command(flatten)]
        file: FileArgs,
        /// Questions with their answers; by default the vectors of the project.
        #[arg(long, value_name = "FILE")]
        vectors: Option<PathBuf>,
    },
    /// Measure a plugin: compilation, instantiation, and the questions of each hook.
    Bench {
        /// The plugin.
        #[command(flatten)]
        file: FileArgs,
        /// Questions to each hook.
        #[arg(long, default_value_t = 20_000,
              value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        questions: u32,
    },
    /// Make a key that signs plugins: FILE, which is secret, and FILE.pub.
    Keygen {
        /// Where the secret key goes; it must not exist.
        file: PathBuf,
    },
    /// Sign a plugin file; the signature becomes its last section.
    Sign {
        /// The `.wasm` file.
        file: PathBuf,
        /// File with the secret key.
        #[arg(long, value_name = "KEY")]
        key: PathBuf,
        /// Where the signed file goes; by default in the place of the other.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say who signed a plugin file, and fail if none of the keys did.
    Verify {
        /// The `.wasm` file.
        file: PathBuf,
        /// Public keys, or files with one.
        #[arg(long, value_name = "PUB", required = true, num_args = 1..)]
        key: Vec<String>,
    },
    /// Put a plugin on a shelf, from where others install it.
    Publish {
        /// The `.wasm` file.
        file: PathBuf,
        /// The shelf: a plain folder, or an OCI image layout.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Make the shelf an OCI image layout; one that is one stays one.
        #[arg(long)]
        oci: bool,
    },
    /// Put a plugin of a shelf into the plugin folder; a running switch swaps it in.
    Install(InstallArgs),
}

/// The plugin, and how to run it.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The `.wasm` file; by default the output of `plugin build` for the project.
    file: Option<PathBuf>,
    /// Folder of the project, if no file is named: its plugin.toml sets configuration, deadline,
    /// memory and vectors.
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "file")]
    path: PathBuf,
    /// Its configuration; by default that of the project, or {}.
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// Processor time for one answer, 2 to 1000 ms; by default that of the project, or 5.
    #[arg(long, value_name = "MS")]
    deadline_ms: Option<u32>,
    /// Most memory of an instance, MiB; by default that of the project, or 16.
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<u32>,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// The plugin that the arguments select.
#[derive(Debug)]
struct Subject {
    inspection: Inspection,
    /// The host's settings for it: with the grants that it needs.
    settings: PluginSettings,
    /// Its questions with their answers, if it has a project.
    vectors: Option<PathBuf>,
}

/// The plugin to install, its shelf and its destination.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// NAME, which is the newest version, or NAME@VERSION.
    name: String,
    /// The shelf.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The plugin folder; by default that of the node file.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Public keys, or files with one; one of them must have signed. By default those of the node
    /// file, if `--into` is not given.
    #[arg(long, value_name = "PUB", num_args = 1..)]
    key: Vec<String>,
    /// Node file.
    #[arg(long, default_value = "config/strowger.toml")]
    config: PathBuf,
}

impl ReleaseCommand {
    /// Executes the command and reports on `out`.
    ///
    /// # Errors
    /// What is wrong with the plugin, the key or the shelf.
    pub fn execute(self, out: &mut impl Write) -> Result<()> {
        match self {
            ReleaseCommand::Check { file, vectors } => check::run(&file, vectors, out),
            ReleaseCommand::Bench { file, questions } => measure::run(&file, questions, out),
            ReleaseCommand::Keygen { file } => keys::generate(&file, out),
            ReleaseCommand::Sign { file, key, out: to } => {
                keys::sign(&file, &key, to.as_deref().unwrap_or(&file), out)
            }
            ReleaseCommand::Verify { file, key } => keys::verify(&file, &key, out),
            ReleaseCommand::Publish { file, to, oci } => publish(&file, &to, oci, out),
            ReleaseCommand::Install(args) => install(&args, out),
        }
    }
}

/// Inspects a plugin file.
fn inspect(file: &Path) -> Result<Inspection> {
    let nobody = HostSettings {
        plugins: Vec::new(),
        cache_dir: None,
        shards: 1,
        random_seed: None,
        housekeeping: None,
    };
    let refused = || format!("{} would be refused", file.display());
    Host::new(nobody)?.inspect(file).with_context(refused)
}

impl FileArgs {
    fn open(&self) -> Result<Subject> {
        let (file, mut settings, vectors) = match &self.file {
            Some(file) => {
                let breaker = BreakerSettings::OFF;
                let settings = PluginSettings { breaker, ..PluginSettings::new("", file) };
                (file.clone(), settings, None)
            }
            None => {
                let project = Project::open(&self.path)?;
                let file = project.component();
                if !file.exists() {
                    bail!("{} is missing: `strowger plugin build` makes it", file.display());
                }
                let vectors = project.vectors.exists().then(|| project.vectors.clone());
                (file, project.settings, vectors)
            }
        };
        let inspection = inspect(&file)?;
        if let Some(text) = &self.config {
            settings.config = serde_json::from_str(text).context("--config is not JSON")?;
        }
        settings.deadline_ms = self.deadline_ms.unwrap_or(settings.deadline_ms);
        if let Some(mib) = self.memory_mib {
            settings.memory_bytes = u64::from(mib) << 20;
        }
        settings.grants.clone_from(&inspection.grants);
        settings.name.clone_from(&inspection.name);
        settings.path = file;
        settings.http = nobody(&settings.grants);
        Ok(Subject { inspection, settings, vectors })
    }
}

impl Subject {
    /// A host with the plugin, whose log lines go to `log`.
    fn host(&self, log: &KeptLog) -> Result<Host> {
        let plugin = PluginSettings { kept_log: Some(log.clone()), ..self.settings.clone() };
        let settings = HostSettings {
            plugins: vec![plugin],
            cache_dir: None,
            shards: 1,
            random_seed: Some(1),
            housekeeping: None,
        };
        let refused = || format!("{} would be refused", self.settings.path.display());
        Host::new(settings).with_context(refused)
    }
}

fn publish(file: &Path, to: &Path, oci: bool, out: &mut impl Write) -> Result<()> {
    let inspection = inspect(file)?;
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
    let package = Package::of(&inspection, bytes)?;
    if package.facts.digest.strip_prefix("sha256:") != Some(inspection.digest.as_str()) {
        bail!("{name} was replaced while it was read; publish it again");
    }
    std::fs::create_dir_all(to).with_context(|| format!("{} cannot be made", to.display()))?;
    // Held until this function returns: two publishers at one time must both end up on the shelf.
    let lock = File::create(to.join(".lock")).and_then(|file| file.lock().map(|()| file));
    let _alone = lock.with_context(|| format!("{} cannot be written", to.display()))?;
    let place =
        if oci || oci::is_layout(to) { oci::put(to, &package)? } else { shelf::put(to, &package)? };
    writeln!(out, "{} is at {}", package.facts, place.display())?;
    Ok(())
}

fn install(args: &InstallArgs, out: &mut impl Write) -> Result<()> {
    let (name, version) = match args.name.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (args.name.as_str(), None),
    };
    package::check_word("plugin name", name)?;
    let (place, mut policy) = match &args.into {
        Some(folder) => (folder.join(format!("{name}.wasm")), SigningPolicy::default()),
        None => {
            let PluginsConfig { folder, list, signing, .. } = Config::load(&args.config)?.plugins;
            // The path that the next start uses as well.
            let configured = list.iter().find(|plugin| plugin.name == name);
            let place = configured.map(|plugin| plugin.path(&folder));
            (place.unwrap_or_else(|| folder.join(format!("{name}.wasm"))), signing.policy())
        }
    };
    if !args.key.is_empty() {
        policy = SigningPolicy { required: true, keys: keys::read_all(&args.key)? };
    }
    let package = if oci::is_layout(&args.from) {
        oci::take(&args.from, name, version)?
    } else {
        shelf::take(&args.from, name, version)?
    };
    let origin = package.facts.to_string();
    let signer = policy.judge(&package.bytes, &origin)?;
    let folder = place.parent().unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{} is not a folder; name one with --into", folder.display());
    }
    package::place(&place, &package.bytes)?;
    writeln!(out, "{origin}, signed by {signer}, is at {}", place.display())?;
    Ok(())
}
