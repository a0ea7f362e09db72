//! JavaScript: SpiderMonkey with the program already loaded, by componentize-js.

use super::{intermediate, run};
use crate::interface::{self, Package};
use crate::manifest::Project;
use crate::toolchain::Tools;
use anyhow::Result;
use std::borrow::Cow;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Calls the plugin, and explains its exceptions to the host.
const GUARD: &str = include_str!("guard.js");

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<PathBuf> {
    let mut command = tools.componentize_js()?;
    let component = intermediate(project, "component.wasm")?;
    let package = interface::write(project)?;
    command
        // It cuts the length of its own folder off the source's path, even if that folder is not a
        // parent of the source.
        .current_dir(&project.folder)
        .arg(entry(project, &package)?.as_os_str())
        .arg(&package.folder)
        .arg(interface::WORLD)
        .arg(&component);
    run(command, own)?;
    Ok(component)
}

/// The module that is compiled: one around the plugin's own. A source outside of the project, or one
/// built against an interface without `host-fault`, is compiled without it.
fn entry<'a>(project: &'a Project, package: &Package) -> Result<Cow<'a, Path>> {
    let inside = project.source.strip_prefix(&project.folder).ok().and_then(Path::to_str);
    let Some(inside) = inside.filter(|_| package.explains) else {
        return Ok(Cow::Borrowed(&project.source));
    };
    let mut text = format!("import * as plugin from {:?};\n{GUARD}\n", format!("../{inside}"));
    for name in ["lifecycle"].into_iter().chain(project.hooks.iter().map(|hook| hook.name())) {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "export const {name} = guarded(plugin.{name});");
    }
    let file = intermediate(project, "entry.js")?;
    interface::put(&file, &text)?;
    Ok(Cow::Owned(file))
}

/// The exception, without the lines that the compiler puts before it.
fn own(said: &str) -> String {
    let general =
        ["Failed to initialize component (", "Exception while evaluating top-level script"];
    let lines = said.lines().filter(|line| !general.iter().any(|start| line.starts_with(start)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exception_is_left() {
        let said = "Failed to initialize component (wizer (/x)):\n\
                    Exception while evaluating top-level script\n\
                    src/plugin.js:3:8 SyntaxError: unexpected token:\nsrc/plugin.js:3:8 ...^\n";
        let own = "src/plugin.js:3:8 SyntaxError: unexpected token:\nsrc/plugin.js:3:8 ...^";
        assert_eq!(super::own(said), own);
    }
}
