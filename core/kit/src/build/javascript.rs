//! JavaScript: SpiderMonkey with the program already loaded, by componentize-js.

use super::{intermediate, run};
use crate::interface;
use crate::manifest::Project;
use crate::toolchain::Tools;
use anyhow::Result;
use std::path::PathBuf;

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<PathBuf> {
    let mut command = tools.componentize_js()?;
    let component = intermediate(project, "component.wasm")?;
    command
        // It cuts the length of its own folder off the source's path, even if that folder is not a
        // parent of the source.
        .current_dir(&project.folder)
        .arg(&project.source)
        .arg(interface::write(project)?)
        .arg(interface::WORLD)
        .arg(&component);
    run(command)?;
    Ok(component)
}
