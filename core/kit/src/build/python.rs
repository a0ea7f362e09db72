//! Python: CPython with the program already loaded, by componentize-py.

use super::{intermediate, run};
use crate::interface;
use crate::manifest::Project;
use crate::toolchain::Tools;
use anyhow::{Context, Result};
use std::path::PathBuf;

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<PathBuf> {
    let mut command = tools.componentize_py()?;
    let component = intermediate(project, "component.wasm")?;
    let source = &project.source;
    let module = source.file_stem().context("`source` of plugin.toml names no file")?;
    command
        .arg("--wit-path")
        .arg(interface::write(project)?)
        .args(["--world", interface::WORLD, "componentize"])
        .arg(module)
        .arg("--python-path")
        .arg(source.parent().unwrap_or(&project.folder))
        .arg("--stub-wasi")
        .arg("--output")
        .arg(&component);
    run(command)?;
    Ok(component)
}
