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
use std::process::{Command, ExitStatus, Output};

/// Lines of a compiler's messages that are shown.
const LINES: usize = 40;

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

/// Runs a compiler. If it fails, the error is its own messages and nothing else; `own` takes what is
/// about the sources out of the rest.
fn run(mut command: Command, own: fn(&str) -> String) -> Result<()> {
    let output = output(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    bail!(complaint(&command, output.status, &own(&String::from_utf8_lossy(said))))
}

fn output(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.output().with_context(|| format!("`{program}` cannot be started"))
}

/// The first lines that a compiler said; if it said nothing, how it ended.
fn complaint(command: &Command, status: ExitStatus, said: &str) -> String {
    let said = said.trim();
    if said.is_empty() {
        return format!("`{}` fails ({status})", command.get_program().to_string_lossy());
    }
    let mut lines = said.lines();
    let mut text: Vec<&str> = lines.by_ref().take(LINES).collect();
    let more = lines.count();
    let rest = format!("... and {more} more lines");
    if more > 0 {
        text.push(&rest);
    }
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_compiler_speaks_for_itself_and_not_for_ever() {
        let told = |said: &str| complaint(&Command::new("cc"), ExitStatus::from_raw(256), said);
        assert_eq!(told("a.c:1: error\n  x\n"), "a.c:1: error\n  x");
        assert_eq!(told("\n"), "`cc` fails (exit status: 1)");
        let long = told(&"line\n".repeat(LINES + 2));
        assert!(long.ends_with("line\n... and 2 more lines"), "{long}");
    }
}
