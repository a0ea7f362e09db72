//! Compiles sources to one component, in any language.

mod c;
mod javascript;
mod python;
mod rust;

use super::language::Language;
use super::manifest::Project;
use super::toolchain::Tools;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiled component.
#[derive(Debug)]
pub(crate) struct Component {
    /// The file.
    pub(crate) path: PathBuf,
    bytes: usize,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} KiB", self.path.display(), self.bytes.div_ceil(1024))
    }
}

/// Compiles a project; the component appears at `out` in one step.
pub(crate) fn build(project: &Project, tools: &Tools, out: &Path) -> Result<Component> {
    if !project.source.exists() {
        bail!("{} is missing; `source` of plugin.toml names it", project.source.display());
    }
    let compiled = match project.lang {
        Language::Rust => rust::compile(project)?,
        Language::C => c::compile(project)?,
        Language::Javascript => javascript::compile(project, tools)?,
        Language::Python => python::compile(project, tools)?,
    };
    let bytes = std::fs::read(&compiled)
        .with_context(|| format!("{} was not built", compiled.display()))?;
    let component = host::component(&project.name, bytes)?;
    let place = || {
        if let Some(folder) = out.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let part = out.with_extension("wasm.part");
        std::fs::write(&part, &component)?;
        std::fs::rename(&part, out)
    };
    place().with_context(|| format!("{} cannot be written", out.display()))?;
    Ok(Component { path: out.to_owned(), bytes: component.len() })
}

/// Output folder of a language's own compiler.
fn intermediate(project: &Project, name: &str) -> Result<PathBuf> {
    let folder = project.build_folder();
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder.join(name))
}

/// Runs a compiler; its messages are shown only if it fails. Compilers complain on standard error;
/// standard output is then for programs, such as cargo's messages.
fn run(mut command: Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("`{program}` cannot be started"))?;
    if !output.status.success() {
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        bail!("`{program}` fails ({}):\n{}", output.status, String::from_utf8_lossy(said));
    }
    Ok(output.stdout)
}
