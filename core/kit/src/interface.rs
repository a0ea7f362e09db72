//! The interface between switch and plugin, and the part of it that one project uses.

use super::manifest::Project;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `wit/v0.1/policy.wit` of this program.
pub(crate) const POLICY: &str = include_str!("../../../wit/v0.1/policy.wit");

/// The project's own copy of the interface, used for its build.
pub(crate) const OWN_COPY: &str = "wit/policy.wit";

const VERSION: &str = "0.1.0";

/// Name of the world, which bindings use for their header and their types.
pub(crate) const WORLD: &str = "plugin";

/// The interface by which a plugin explains its traps.
const FAULT: &str = "interface host-fault ";

/// The WIT package of a project.
pub(crate) struct Package {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its world imports `host-fault`: the project's copy of the interface has it.
    pub(crate) explains: bool,
}

/// Writes a WIT package with the world of a project, and the interface as its dependency.
pub(crate) fn write(project: &Project) -> Result<Package> {
    let own = project.folder.join(OWN_COPY);
    let policy = if own.exists() {
        std::fs::read_to_string(&own).with_context(|| format!("{} is lost", own.display()))?
    } else {
        POLICY.to_owned()
    };
    let folder = project.build_folder().join("wit");
    put(&folder.join("deps/policy/policy.wit"), &policy)?;
    let explains = policy.contains(FAULT);
    put(&folder.join("plugin.wit"), &world(project, explains))?;
    Ok(Package { folder, explains })
}

/// The plugin's imports and exports.
fn world(project: &Project, explains: bool) -> String {
    let mut text = format!("package local:guest;\n\nworld {WORLD} {{\n");
    if explains {
        text.push_str(&format!("  import strowger:policy/host-fault@{VERSION};\n"));
    }
    // Writing into a String cannot fail.
    for grant in &project.grants {
        let _ = writeln!(text, "  import strowger:policy/{}@{VERSION};", grant.interface());
    }
    let _ = writeln!(text, "  export strowger:policy/lifecycle@{VERSION};");
    for hook in &project.hooks {
        let _ = writeln!(text, "  export strowger:policy/{hook}@{VERSION};");
    }
    text.push_str("}\n");
    text
}

pub(crate) fn put(file: &Path, text: &str) -> Result<()> {
    let write = || {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, text)
    };
    write().with_context(|| format!("{} cannot be written", file.display()))
}
