//! Compilers: their paths and versions, and the advice if one is missing.

use super::manifest::Project;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compilation target of Rust plugins.
pub(crate) const RUST_TARGET: &str = "wasm32-unknown-unknown";

const JAVASCRIPT_PACKAGE: &str = include_str!("tools/package.json");
const JAVASCRIPT_DRIVER: &str = include_str!("tools/componentize.mjs");
const JAVASCRIPT_LOCK: &str = include_str!("tools/package-lock.json");
const PYTHON_LOCK: &str = include_str!("tools/requirements.txt");

/// Compilers installed by npm and pip: each in its own folder, in the version of its lock file,
/// installed at first use.
#[derive(Debug)]
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Tools in the given folder, in STROWGER_TOOLS, or in the user's cache.
    pub(crate) fn new(folder: Option<PathBuf>) -> Result<Tools> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = folder
            .or_else(|| variable("STROWGER_TOOLS").map(PathBuf::from))
            .or_else(|| variable("XDG_CACHE_HOME").map(|it| Path::new(&it).join("strowger/tools")))
            .or_else(|| variable("HOME").map(|it| Path::new(&it).join(".cache/strowger/tools")))
            .context("no folder for compilers: give --tools DIR or set STROWGER_TOOLS")?;
        let folder = std::path::absolute(&folder)
            .with_context(|| format!("{} is no folder", folder.display()))?;
        Ok(Tools { folder })
    }

    /// The command of componentize-js: source, WIT folder, world, output.
    pub(crate) fn componentize_js(&self) -> Result<Command> {
        let node = find("node", "runs the JavaScript compiler", "nodejs")?;
        let installed = self.installed("componentize-js", JAVASCRIPT_LOCK, |folder| {
            let npm = find("npm", "installs the JavaScript compiler componentize-js", "npm")?;
            std::fs::write(folder.join("package.json"), JAVASCRIPT_PACKAGE)?;
            std::fs::write(folder.join("package-lock.json"), JAVASCRIPT_LOCK)?;
            std::fs::write(folder.join("componentize.mjs"), JAVASCRIPT_DRIVER)?;
            let mut install = Command::new(npm);
            // Not `npm ci`: it insists on binaries for other machines.
            install
                .args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(folder);
            Ok(install)
        })?;
        let mut command = Command::new(node);
        command.arg(installed.join("componentize.mjs"));
        Ok(command)
    }

    /// The command of componentize-py.
    pub(crate) fn componentize_py(&self) -> Result<Command> {
        let python = find("python3", "runs the Python compiler", "python3")?;
        let installed = self.installed("componentize-py", PYTHON_LOCK, |folder| {
            let lock = folder.join("requirements.txt");
            std::fs::write(&lock, PYTHON_LOCK)?;
            let pip = Command::new(&python).args(["-m", "pip", "--version"]).output();
            if !pip.is_ok_and(|output| output.status.success()) {
                bail!(missing(
                    "pip",
                    "installs the Python compiler componentize-py",
                    "python3-pip"
                ));
            }
            let mut install = Command::new(&python);
            install
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target"])
                .arg(folder)
                .arg("--requirement")
                .arg(lock);
            Ok(install)
        })?;
        let mut command = Command::new(python);
        command
            .args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())"])
            .env("PYTHONPATH", installed);
        Ok(command)
    }

    /// The folder of a tool in the version of `lock`; the tool is installed next to it and then
    /// moved there, so that two processes do not collide.
    fn installed(
        &self,
        tool: &str,
        lock: &str,
        install: impl FnOnce(&Path) -> Result<Command>,
    ) -> Result<PathBuf> {
        let place = self.folder.join(tool);
        let mark = "installed.lock";
        let current = |place: &Path| {
            std::fs::read_to_string(place.join(mark)).is_ok_and(|found| found == lock)
        };
        if current(&place) {
            return Ok(place);
        }
        let fresh = self.folder.join(format!(".{tool}-{}", std::process::id()));
        std::fs::create_dir_all(&fresh)
            .with_context(|| format!("{} cannot be made", fresh.display()))?;
        let done = install(&fresh).and_then(|mut command| {
            let output = command.output().context("the installer cannot be started")?;
            if !output.status.success() {
                let words = String::from_utf8_lossy(&output.stderr).into_owned();
                bail!("{tool} cannot be installed into {}:\n{words}", fresh.display());
            }
            std::fs::write(fresh.join(mark), lock)?;
            Ok(())
        });
        if let Err(error) = done {
            // A half-installed tool is useless; a failure to remove it does not matter.
            let _ = std::fs::remove_dir_all(&fresh);
            return Err(error);
        }
        if place.exists() && !current(&place) {
            std::fs::remove_dir_all(&place)
                .with_context(|| format!("{} cannot be replaced", place.display()))?;
        }
        if let Err(error) = std::fs::rename(&fresh, &place) {
            let _ = std::fs::remove_dir_all(&fresh);
            // Another process was faster.
            if !current(&place) {
                return Err(error).with_context(|| format!("{} cannot be made", place.display()));
            }
        }
        Ok(place)
    }
}

/// clang with everything it needs for WebAssembly.
pub(crate) fn clang() -> Result<PathBuf> {
    const PACKAGES: &str = "clang lld wasi-libc libclang-rt-dev-wasm32";
    let clang = find("clang", "compiles C to WebAssembly", PACKAGES)?;
    find("wasm-ld", "links C plugins", PACKAGES)?;
    let told = |question: &str| {
        let answer = Command::new(&clang).args(["--target=wasm32-wasi", question]).output();
        answer.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    // clang echoes the name of a missing file without a folder.
    for (question, name) in
        [("-print-file-name=libc.a", "wasi-libc"), ("-print-libgcc-file-name", "compiler-rt")]
    {
        if !told(question).context("`clang` cannot be started")?.is_file() {
            bail!(missing(
                &format!("{name} for wasm32-wasi"),
                "is linked into C plugins",
                PACKAGES
            ));
        }
    }
    Ok(clang)
}

/// cargo in the project's folder, after checking that the target is installed.
pub(crate) fn cargo(project: &Project) -> Result<Command> {
    let cargo = find("cargo", "compiles Rust", "rustup")?;
    let rustc = find("rustc", "compiles Rust", "rustup")?;
    let sysroot = Command::new(rustc)
        .args(["--print", "sysroot"])
        .current_dir(&project.folder)
        .output()
        .context("`rustc` cannot be started")?;
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    if !Path::new(&sysroot).join("lib/rustlib").join(RUST_TARGET).is_dir() {
        bail!(
            "the Rust target {RUST_TARGET}, which plugins run on, is missing; \
             install it: rustup target add {RUST_TARGET}"
        );
    }
    let mut command = Command::new(cargo);
    command.current_dir(&project.folder);
    Ok(command)
}

fn find(program: &str, purpose: &str, packages: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    search(program, &path).with_context(|| missing(&format!("`{program}`"), purpose, packages))
}

fn search(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn missing(what: &str, purpose: &str, packages: &str) -> String {
    format!("{what} is not on this machine; it {purpose}. On Debian: apt-get install {packages}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_compiler_is_named_with_its_purpose_and_its_package() {
        assert_eq!(search("sh", OsStr::new("/nowhere:/bin")), Some("/bin/sh".into()));
        assert_eq!(search("sh", OsStr::new("/nowhere")), None);
        assert_eq!(
            missing("`clang`", "compiles C to WebAssembly", "clang lld"),
            "`clang` is not on this machine; it compiles C to WebAssembly. \
             On Debian: apt-get install clang lld"
        );
    }

    #[test]
    fn lock_files_pin_versions_and_name_no_registry() {
        for lock in [JAVASCRIPT_LOCK, PYTHON_LOCK, JAVASCRIPT_PACKAGE] {
            assert!(!lock.contains("://"), "{lock}");
            assert!(!lock.contains("\"resolved\""), "{lock}");
        }
        assert!(JAVASCRIPT_LOCK.contains("\"integrity\""));
        assert!(PYTHON_LOCK.contains("--hash=sha256:"));
    }
}
