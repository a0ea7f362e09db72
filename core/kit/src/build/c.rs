//! C: bindings from the interface, clang for WebAssembly, wasi-libc without WASI.

use super::{intermediate, run};
use crate::interface;
use crate::manifest::Project;
use crate::toolchain;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use wit_bindgen_core::{Files, wit_parser::Resolve};

/// Replaces WASI.
const NO_WASI: &str = include_str!("no_wasi.c");

pub(super) fn compile(project: &Project) -> Result<PathBuf> {
    let clang = toolchain::clang()?;
    let package = interface::write(project)?;
    let bindings = project.build_folder().join("bindings");
    generate(&package.folder, &bindings)?;
    let sources = project.source.parent().unwrap_or(&project.folder);
    let module = intermediate(project, "module.wasm")?;
    let mut command = Command::new(clang);
    if package.explains {
        command.arg("-DSTROWGER_HOST_FAULT");
    }
    command
        .args(["--target=wasm32-wasi", "-mexec-model=reactor", "-O2", "-Wall", "-Wextra"])
        .arg("-I")
        .arg(&bindings)
        .arg("-o")
        .arg(&module)
        .args(c_files(sources)?)
        .arg(bindings.join("plugin.c"))
        .arg(bindings.join("no_wasi.c"))
        .arg(bindings.join("plugin_component_type.o"));
    run(command, str::to_owned)?;
    Ok(module)
}

/// Writes `plugin.h`, `plugin.c` and the object that carries the component's type.
fn generate(wit: &Path, folder: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some(interface::WORLD))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, content) in files.iter().chain([("no_wasi.c", NO_WASI.as_bytes())]) {
        let file = folder.join(name);
        std::fs::write(&file, content)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}

/// The C files of a folder, sorted, so that a build does not depend on the file system.
fn c_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
