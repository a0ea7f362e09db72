//! Python: CPython with the program already loaded, by componentize-py.

use super::{intermediate, run};
use crate::interface;
use crate::manifest::Project;
use crate::toolchain::Tools;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::PathBuf;

/// Explains exceptions to the host.
const GUARD: &str = include_str!("guard.py");

/// The module around the plugin's own.
const ENTRY: &str = "strowger_entry";

pub(super) fn compile(project: &Project, tools: &Tools) -> Result<PathBuf> {
    let mut command = tools.componentize_py()?;
    let component = intermediate(project, "component.wasm")?;
    let source = &project.source;
    let stem = source.file_stem().context("`source` of plugin.toml names no file")?;
    let package = interface::write(project)?;
    let (module, folder) = match stem.to_str().filter(|_| package.explains) {
        Some(stem) => (OsStr::new(ENTRY), Some(entry(project, stem)?)),
        None => (stem, None),
    };
    // The backtrace would be the compiler's.
    command
        .env_remove("RUST_BACKTRACE")
        .arg("--wit-path")
        .arg(&package.folder)
        .args(["--world", interface::WORLD, "componentize"])
        .arg(module)
        .arg("--python-path")
        .arg(source.parent().unwrap_or(&project.folder))
        .args(folder.iter().flat_map(|folder| [OsStr::new("--python-path"), folder.as_os_str()]))
        .arg("--stub-wasi")
        .arg("--output")
        .arg(&component);
    run(command, own)?;
    Ok(component)
}

/// Writes the module that is compiled; returns its folder. An interface without `host-fault` has no
/// use for it.
fn entry(project: &Project, own: &str) -> Result<PathBuf> {
    let mut text = format!("import {own} as plugin\n{GUARD}");
    for name in ["lifecycle"].into_iter().chain(project.hooks.iter().map(|hook| hook.name())) {
        let (first, rest) = name.split_at(1);
        let class = first.to_ascii_uppercase() + rest;
        // Writing into a String cannot fail.
        let _ = writeln!(text, "\n{class} = guarded(plugin.{class})");
    }
    let folder = intermediate(project, "python")?;
    interface::put(&folder.join(ENTRY).with_extension("py"), &text)?;
    Ok(folder)
}

/// The traceback of the plugin, out of that of the compiler.
fn own(said: &str) -> String {
    let (_, said) = said.split_once("AssertionError: ").unwrap_or(("", said));
    let (said, _) = said.split_once("\nCaused by:").unwrap_or((said, ""));
    let mut own = Vec::new();
    let mut lines = said.trim().lines();
    while let Some(line) = lines.next() {
        if line.contains(&format!("/{ENTRY}.py\"")) {
            // The source line of that frame.
            lines.next();
        } else {
            // The folder of the sources while they are compiled.
            own.push(line.replace("File \"/0/", "File \""));
        }
    }
    own.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traceback_of_the_plugin_is_left() {
        let said = "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\n\
                    AssertionError: Traceback (most recent call last):\n\
                    \x20 File \"/1/strowger_entry.py\", line 1, in <module>\n    import app as plugin\n\
                    \x20 File \"/0/app.py\", line 8\n    clas Routing:\n         ^^^^^^^\n\
                    SyntaxError: invalid syntax\n\n\nCaused by:\n    SyntaxError: invalid syntax\n";
        let left = "Traceback (most recent call last):\n\
                    \x20 File \"app.py\", line 8\n    clas Routing:\n         ^^^^^^^\n\
                    SyntaxError: invalid syntax";
        assert_eq!(own(said), left);
        assert_eq!(own("error: no such world\n"), "error: no such world");
    }
}
